/* tiles.h - what C2SP tlog-tiles wants of a log, from its folder: the
 * checkpoint, tiles and entry bundles below it, and where the log begins since
 * it was pruned. Tiles come from tile/ where they lie there whole, and else are
 * made of what is below them, down to the records in seg/; bundles are always
 * made. For the admin listener's reader, for `audit export --tiles`, and for
 * proofs to witnesses. One thread. */
#ifndef LETHE_GATEWAY_AUDIT_TILES_H
#define LETHE_GATEWAY_AUDIT_TILES_H

#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/audit/tlog/tile_name.h"
#include "lethe/gateway/audit/tlog/tree.h"
#include "lethe/policy/base/buf.h"

/* A bundle: 256 records, each with its length before it. */
#define TILES_BYTES_MAX (TILE_WIDTH * (8192u + 2u))
/* Records that one call may hash, unless it is told otherwise: those of one
 * tile of level 1. More means that tiles are missing in number. */
#define TILES_WORK_MAX (TILE_WIDTH * TILE_WIDTH)

struct tiles;

/* `folder` is state_dir/audit, or a copy. `work_max`: records that may be
 * hashed for one answer. Errors: ST_NOMEM, ST_LIMIT. */
enum status tiles_open(const char *folder, uint64_t work_max,
                       struct tiles **out) MUST_CHECK;
void tiles_close(struct tiles *t); /* NULL is allowed */
/* Let go of open files; the next call opens them again. */
void tiles_rest(struct tiles *t);

/* The newest checkpoint, as it was signed, into `note` (initialised by the
 * caller, with a cap); *out borrows from it. Errors: ST_UNKNOWN (none was
 * signed yet), ST_CORRUPT, ST_IO, ST_NOMEM. */
enum status tiles_checkpoint(const struct tiles *t, struct buf *note,
                             struct checkpoint *out) MUST_CHECK;

/* Records below this one were deleted by pruning; 0 if none were.
 * Errors: ST_CORRUPT, ST_IO. */
enum status tiles_minimum(const struct tiles *t, uint64_t *out) MUST_CHECK;

/* Append the bytes of a tile or bundle of the tree of `size` leaves.
 * Errors: ST_UNKNOWN (not in that tree), ST_CLOSED (pruned), ST_BUSY (over
 * work_max), ST_CORRUPT (it must be there and is not), ST_IO, ST_NOMEM. */
enum status tiles_get(struct tiles *t, const struct tile_name *name,
                      uint64_t size, struct buf *out) MUST_CHECK;

/* Its hashes, for roots and proofs of sizes that a checkpoint covers. Call
 * tiles_begin() before each root or proof: it counts work from there.
 * Errors of the source: ST_BUSY, ST_END (not there), ST_CORRUPT, ST_IO. */
void tiles_begin(struct tiles *t);
struct tree_source tiles_tree(struct tiles *t);

#endif
