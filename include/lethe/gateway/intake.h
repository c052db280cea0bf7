/* intake.h - READ intake.c FIRST: the way of an event through the gateway, in
 * six steps (design.md section 2). One intake a worker; not thread-safe. */
#ifndef LETHE_GATEWAY_INTAKE_H
#define LETHE_GATEWAY_INTAKE_H

#include "lethe/gateway/pass.h"
#include "lethe/gateway/services.h"
#include "lethe/gateway/world.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/dialect.h"

struct intake;

/* NULL: out of memory. `services` outlives it. */
struct intake *intake_new(const struct services *services);
void intake_free(struct intake *in); /* NULL is allowed; wipes */

/* Work under this world from now on; nothing may be gathered. The intake
 * takes its own reference. Errors: ST_NOMEM. */
enum status intake_set_world(struct intake *in, struct world *w) MUST_CHECK;
const struct world *intake_world(const struct intake *in);

/* Take one request's events into the present pass, all of them or none.
 * dialect_read() has been called. *out_reply is the dialect's constant answer,
 * to be given once the pass's group is on disk. *out_receipt: `ev` in the rows
 * of the request's first event; that of the event at position k is k more, and
 * stands in no row where that event was not understood. Errors: ST_SYNTAX
 * (400), ST_LIMIT (413), ST_NOMEM (503); nothing was taken then. */
enum status intake_collect(struct intake *in, const struct world_site *s,
                           struct dialect_call *call, struct reply *out_reply,
                           uint64_t *out_receipt) MUST_CHECK;

/* A request was refused before a decision; `site` >= site_count: none. */
void intake_refused(struct intake *in, unsigned site, int status);

/* Room for whatever a request with a body of this size becomes? Else seal
 * first: whether it fits must not depend on who came before. */
bool intake_has_room(const struct intake *in, size_t body_len);
bool intake_is_empty(const struct intake *in);

/* The pass as a group for the committer, or NULL: pass_seal(). */
enum status intake_seal(struct intake *in, bool refusals_too,
                        struct group **out) MUST_CHECK;

#endif
