/* verdict.h - what is to happen to one hit, per destination. No personal
 * data: numbers of rules, reasons and purposes. */
#ifndef LETHE_POLICY_VERDICT_H
#define LETHE_POLICY_VERDICT_H

#include "lethe/audit_codes.h"
#include "lethe/policy/policy.h"

struct destination_verdict {
    bool cleared;
    uint8_t purpose; /* index of the first allowed one, when cleared */
    uint8_t reason;  /* enum audit_reason, when not */
    uint16_t rule;   /* the rule that decided */
};

struct verdict {
    const struct event_plan *event; /* NULL: no such event */
    uint16_t cleared;               /* bit a destination */
    struct destination_verdict to[POLICY_DESTINATIONS_MAX];
};

#endif
