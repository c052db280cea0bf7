/* mixpanel.h - one event of Mixpanel's, between mixpanel.c and
 * mixpanel_event.c. */
#ifndef LETHE_POLICY_DIALECT_MIXPANEL_H
#define LETHE_POLICY_DIALECT_MIXPANEL_H

#include "family.h"

/* One event of /track or /import. Borrows from its arguments. Errors: ST_TYPE
 * (not an event), ST_NOMEM. */
enum status mixpanel_event_read(const struct json_node *event,
                                const struct beacon *b, struct arena *a,
                                struct hit *out) MUST_CHECK;

/* One profile update of /engage or /groups: a hit called "profile_update".
 * Errors: as above. */
enum status mixpanel_profile_read(const struct json_node *update,
                                  const struct beacon *b, struct arena *a,
                                  struct hit *out) MUST_CHECK;

/* Add the project's token of an event or a profile update to the keys, from
 * each place where it may stand. Errors: as dialect_add_key(). */
enum status mixpanel_add_tokens(struct dialect_call *c,
                                const struct json_node *item) MUST_CHECK;

#endif
