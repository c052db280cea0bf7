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
};

struct json_node;

/* Add the signals that an app passes on among the event's fields, where the
 * policy names such fields (signals.from_properties): true, 1, "1" or "true"
 * sets the signal; nothing clears one. To be called before consent_decide();
 * `fields` may be NULL. */
void consent_read_properties(const struct policy *p,
                             const struct json_node *fields,
                             struct consent_signals *io);

/* Decide for every purpose of `p`. Never fails. */
void consent_decide(const struct policy *p, const struct consent_signals *s,
                    enum optout_state optout, struct consent *out);

#endif
