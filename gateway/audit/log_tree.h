/* log_tree.h - the log's tree as it grows: the last tile of each level in
 * memory, all before it in tiles on disk. One owner. */
#ifndef GATEWAY_AUDIT_LOG_TREE_H
#define GATEWAY_AUDIT_LOG_TREE_H

#include "lethe/gateway/audit/tlog/tile.h"

struct log_tree {
    uint64_t size; /* leaves */
    uint64_t numbers[TILE_LEVELS];
    unsigned counts[TILE_LEVELS]; /* TILE_WIDTH: not on disk yet */
    uint8_t tails[TILE_LEVELS][TILE_BYTES];
    struct tile_source tiles;
};

/* An empty tree over the tiles in `folder` (borrowed). */
void log_tree_init(struct log_tree *t, const char *folder);

/* Begin with `size` leaves, a multiple of TILE_WIDTH, of which only tiles are
 * left. Errors: ST_END (a tile that is needed is not there), ST_IO. */
enum status log_tree_resume(struct log_tree *t, uint64_t size) MUST_CHECK;

/* One more leaf; a tile that is full goes to disk. On an error the leaf was
 * not taken if log_tree.size did not grow; log_tree_settle() tries again.
 * Errors: those of tile_write(). */
enum status log_tree_add(struct log_tree *t,
                         const uint8_t leaf[HASH_BYTES]) MUST_CHECK;
/* All full tiles are on disk after ST_OK. */
enum status log_tree_settle(struct log_tree *t) MUST_CHECK;

/* For roots and proofs of any size up to log_tree.size. */
struct tree_source log_tree_source(struct log_tree *t);

#endif
