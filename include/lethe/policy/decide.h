/* decide.h - hit + consent -> verdict. Deny by default (laws 1 and 3). */
#ifndef LETHE_POLICY_DECIDE_H
#define LETHE_POLICY_DECIDE_H

#include "lethe/policy/consent.h"
#include "lethe/policy/verdict.h"

struct hit;

/* Decide `h` for every destination in `present` (bit a destination of the
 * policy; those that the config lacks are left out and stay not cleared with
 * REASON_NO_DESTINATION). A hit whose own time plus the purpose's retention
 * lies before `now_ms` is denied for that purpose as REASON_LATE. Never fails.
 */
void decide(const struct policy *p, const struct hit *h,
            const struct consent *c, uint16_t present, int64_t now_ms,
            struct verdict *out);

#endif
