/* naming.h - what else in a hit names a person, by the policy: asked for on the
 * opt-out list (law 4), never sent as it is. Pure. */
#ifndef LETHE_POLICY_NAMING_H
#define LETHE_POLICY_NAMING_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/minimise.h"
#include "lethe/policy/policy.h"

struct hit;

/* Add to the hit's identifiers, as ID_OTHER, the values at the policy's
 * optout_identifiers and of every field that some destination gets as a
 * pseudonym. `scratch` is overwritten. Errors: ST_LIMIT (more than
 * HIT_IDENTIFIERS_MAX in all: deny the hit), ST_NOMEM. */
enum status hit_add_named(const struct policy *p, struct hit *h,
                          struct hit_view *scratch, struct arena *a) MUST_CHECK;

#endif
