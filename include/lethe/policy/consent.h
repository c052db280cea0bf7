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

struct consent {
    uint16_t allowed;                    /* bit a purpose */
    uint8_t reason[POLICY_PURPOSES_MAX]; /* enum audit_reason where denied */
    /* Allowed purposes that this destination may not use all the same: the
     * person said no to it as a vendor (REASON_TCF). */
    uint16_t not_to[POLICY_DESTINATIONS_MAX];
};

/* Decide for every purpose of `p`; `now_ms` is what the age of a TC string is
 * counted to. Never fails. */
void consent_decide(const struct policy *p, const struct consent_signals *s,
                    int64_t now_ms, enum optout_state optout,
                    struct consent *out);

#endif
