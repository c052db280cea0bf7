/* params.h - events that travel as name=value pairs (GA4, Universal
 * Analytics): the pairs of one event, decoded, and the JSON object that rules
 * are applied to. Included by policy/dialect/ alone. Untrusted input. */
#ifndef LETHE_POLICY_DIALECT_PARAMS_H
#define LETHE_POLICY_DIALECT_PARAMS_H

#include "family.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/json_reader.h"

#define PARAMS_MAX 512u /* pairs of one event */

struct param {
    struct slice name, value; /* well-formed UTF-8 without U+0000 */
};
struct params {
    struct param *at; /* in the arena */
    unsigned count;
};

/* The pairs of `own`, then those of `shared` (either may be empty), so that an
 * event's own value comes before the one it shares with others. Errors:
 * ST_TYPE (bad UTF-8, U+0000, more than PARAMS_MAX pairs), ST_NOMEM. */
enum status params_read(struct slice own, struct slice shared, struct arena *a,
                        struct params *out) MUST_CHECK;

/* The first value of this name, SLICE_NONE if there is none. */
struct slice params_get(const struct params *p, struct slice name);

/* Fill the hit's context from the pairs that the rows name. */
void params_context(const struct params *p,
                    const struct dialect_context_row *rows, size_t row_count,
                    struct hit *h);

/* `name` is one of `known` or the name of a row: read already, so no field. */
bool params_is_one_of(struct slice name, const struct slice *known,
                      size_t known_count,
                      const struct dialect_context_row *rows, size_t row_count);

/* What a pair is called among the fields, or SLICE_NONE: it is none. */
typedef struct slice params_name(struct slice name);

/* An object with a text for each pair that `name` names; of several of one
 * name the first. Errors: ST_NOMEM. */
enum status params_fields(const struct params *p, params_name *name,
                          struct arena *a,
                          const struct json_node **out) MUST_CHECK;

#endif
