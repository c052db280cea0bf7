/* consent_tcf.h - what a TC string says of a policy's purposes (R66 to R69).
 * Included by policy/consent.c and policy/consent_tcf.c alone. */
#ifndef POLICY_CONSENT_TCF_H
#define POLICY_CONSENT_TCF_H

#include "lethe/policy/hit.h"
#include "lethe/policy/policy.h"

/* Bit a purpose; of those that do not rest on consent nothing is said. */
struct tcf_answer {
    uint16_t yes, no;
    uint16_t not_to[POLICY_DESTINATIONS_MAX]; /* as of struct consent */
};

/* All zero without a TC string, or where the policy ignores them. One that
 * cannot count is a no to every purpose that rests on consent. */
void consent_ask_tcf(const struct policy *p, const struct consent_signals *s,
                     int64_t now_ms, struct tcf_answer *out);

#endif
