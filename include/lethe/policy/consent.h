/* consent.h - signals + opt-out state + policy -> per purpose allow or deny,
 * and why. One pure function; the strictest wins (design.md section 7,
 * R41, R49, R61, R64, R70). */
#ifndef LETHE_POLICY_CONSENT_H
#define LETHE_POLICY_CONSENT_H

#include "lethe/audit_codes.h"
#include "lethe/policy/policy.h"

struct consent_signals;

enum optout_state {
    OPTOUT_NONE,       /* no identifier of the hit is on the list */
    OPTOUT_LISTED,     /* one is */
    OPTOUT_THEN,       /* the event's time lies in a lifted opt-out's time */
    OPTOUT_BY_COOKIE,  /* this browser's flag */
    OPTOUT_CANNOT_TELL /* the store cannot be read: everyone is out */
};

/* What was heard of consent with an event: bits, for ever, of the record
 * consent.summary (docs/audit.md). */
#define CONSENT_HEARD(X)                                                       \
    X(0, APP, "app")                                                           \
    X(1, MODE, "consent-mode")                                                 \
    X(2, TCF, "tcf")                                                           \
    X(3, DENIED, "denied")                                                     \
    X(4, GPC, "gpc")                                                           \
    X(5, DNT, "dnt")                                                           \
    X(6, SIGNAL, "signal")                                                     \
    X(7, OPTOUT, "opt-out")
#define CONSENT_HEARD_SETS 256u
#define X(n, id, text)     HEARD_##id = 1 << n,
enum consent_heard { CONSENT_HEARD(X) };
#undef X

struct consent {
    uint16_t allowed;                    /* bit a purpose */
    uint8_t reason[POLICY_PURPOSES_MAX]; /* enum audit_reason where denied */
    /* Allowed purposes that this destination may not use all the same: the
     * person said no to it as a vendor (REASON_TCF). */
    uint16_t not_to[POLICY_DESTINATIONS_MAX];
    uint8_t heard; /* enum consent_heard */
    bool opened;   /* some purpose that rests on consent is allowed */
};

/* Decide for every purpose of `p`; `now_ms` is what the age of a TC string is
 * counted to. Never fails. */
void consent_decide(const struct policy *p, const struct consent_signals *s,
                    int64_t now_ms, enum optout_state optout,
                    struct consent *out);

#endif
