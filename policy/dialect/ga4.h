/* ga4.h - one event of Google Analytics 4, between ga4.c and ga4_event.c. */
#ifndef LETHE_POLICY_DIALECT_GA4_H
#define LETHE_POLICY_DIALECT_GA4_H

#include "family.h"

/* One event of a tag: the pairs of `own` before those of the query. `position`
 * is its place in the request. Borrows from `b` and the arena. Errors: ST_TYPE
 * (not an event), ST_NOMEM. */
enum status ga4_tag_event_read(struct slice own, unsigned position,
                               const struct beacon *b, struct arena *a,
                               struct hit *out) MUST_CHECK;

/* One element of "events" of a Measurement Protocol document. Errors: as
 * above. */
enum status ga4_protocol_event_read(const struct json_node *root,
                                    const struct json_node *event,
                                    const struct beacon *b, struct arena *a,
                                    struct hit *out) MUST_CHECK;

#endif
