/* policy_judge.h - a loaded policy judged by a profile, requirement by
 * requirement: the evidence sheet of `policy check --profile`. Pure. */
#ifndef LETHE_POLICY_POLICY_JUDGE_H
#define LETHE_POLICY_POLICY_JUDGE_H

#include "lethe/policy/policy.h"

/* How one destination stands to one requirement of a profile. */
enum verdict_state {
    VERDICT_HELD,      /* by the gateway, whatever a policy says */
    VERDICT_MET,       /* by this policy's rules */
    VERDICT_DEVIATION, /* not met; the policy gives a reason */
    VERDICT_BROKEN
};
struct policy_verdict {
    struct slice destination;
    unsigned requirement; /* 7 = R7 */
    enum verdict_state state;
    unsigned rule;    /* the rule that breaks it; 0: the destination itself */
    const char *what; /* what is asked */
    struct slice why; /* the deviation's reason, or what is wrong */
};
typedef void policy_verdict_fn(void *ctx, const struct policy_verdict *v);

/* Judge every destination of a loaded policy by profile `as`, whatever profile
 * it names itself; `tell` gets each requirement that `as` asks for, in order.
 */
void policy_judge(const struct policy *p, enum profile as,
                  policy_verdict_fn *tell, void *ctx);

#endif
