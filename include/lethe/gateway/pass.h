/* pass.h - what one worker gathers in one turn of its event loop: plain
 * fragments per destination, audit rows per site, refusals. pass_seal() turns
 * it into a group for the committer. One owner. */
#ifndef LETHE_GATEWAY_PASS_H
#define LETHE_GATEWAY_PASS_H

#include "lethe/gateway/audit/row.h"
#include "lethe/gateway/store/fragment.h"
#include "lethe/gateway/store/group.h"
#include "lethe/gateway/world.h"
#include "lethe/policy/base/status.h"

#define PASS_PLAIN_MAX (8u << 20)  /* bytes of one destination's fragments */
#define PASS_BYTES_MAX (20u << 20) /* of all fragments and rows */
#define PASS_ROWS_MAX  65536u      /* rows of one site */
/* Events times destinations of one request. More is 413 before anyone's
 * consent is looked at: were it only the bytes that decide, a batch of people
 * who opted out would be taken where the same batch of others is not. */
#define PASS_FRAGMENTS_MAX 40960u

struct pass;

/* `sealer` outlives it. NULL: out of memory. */
struct pass *pass_new(struct sealer *sealer);
void pass_free(struct pass *p); /* NULL is allowed; wipes */

/* Work under this world from now on; the pass must be empty. Errors:
 * ST_NOMEM. */
enum status pass_set_world(struct pass *p, struct world *w) MUST_CHECK;

/* Where the pass stands, to undo a request that cannot be taken whole. */
struct pass_point {
    size_t plain[POLICY_DESTINATIONS_MAX];
    uint32_t counts[POLICY_DESTINATIONS_MAX];
    uint32_t rows;
};
void pass_mark(const struct pass *p, unsigned site, struct pass_point *out);
void pass_undo(struct pass *p, unsigned site, const struct pass_point *to);

/* Add one fragment / one row. Errors: ST_LIMIT: no room. Then nothing was
 * added, and what was before is whole; the caller drops the event for `d`
 * (`too-large`), and answers as if there had been room: R50. Rows have room
 * for every request that PASS_FRAGMENTS_MAX lets in. */
enum status pass_put(struct pass *p, const struct world_site *s, unsigned d,
                     const struct clean_hit *clean,
                     const struct fragment *f) MUST_CHECK;
enum status pass_row(struct pass *p, const struct world_site *s,
                     const struct audit_row *row) MUST_CHECK;

/* A request was refused before a decision: status 400, 404, 413, 429, 503. */
void pass_refused(struct pass *p, unsigned site, int status);

/* Anything gathered (refusals alone do not count)? */
bool pass_is_empty(const struct pass *p);
/* So much is used that a request might not fit: seal before the next one. */
bool pass_is_large(const struct pass *p);

/* Seal and hand out as a group with one reference; the pass is empty then.
 * `refusals_too`: also when refusals are all there is. NULL when empty.
 * `optout_seen` is the newest number that was known before the first lookup.
 * On an error the pass is emptied: nothing of it was taken. */
enum status pass_seal(struct pass *p, int64_t now_ms, uint64_t optout_seen,
                      bool refusals_too, struct group **out) MUST_CHECK;

#endif
