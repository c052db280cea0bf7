/* naming.h - what else in a hit names a person, by the policy: asked for on the
 * opt-out list (law 4), never sent as it is. Pure. */
#ifndef LETHE_POLICY_NAMING_H
#define LETHE_POLICY_NAMING_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/minimise.h"
#include "lethe/policy/policy.h"

struct hit;

/* Add to the hit's identifiers: of each kind that it lacks, what the policy's
 * `from` of that kind finds first among the fields; and, as ID_OTHER, the
 * values at optout_identifiers and of every field that some destination gets
 * as a pseudonym. More than fit are marked on the hit, and decide() denies it.
 * Call it once, before the list is asked. `scratch` is overwritten. Errors:
 * ST_NOMEM. */
enum status hit_add_named(const struct policy *p, struct hit *h,
                          struct hit_view *scratch, struct arena *a) MUST_CHECK;

#endif
