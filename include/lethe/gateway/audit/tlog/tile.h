/* tile.h - tiles (C2SP tlog-tiles) below a folder: up to 256 hashes of one
 * level, side by side. Derived from the leaves: what is lost is made again.
 *
 * Tile level L holds the hashes of tree level 8 L; the levels between are
 * computed from it. */
#ifndef LETHE_GATEWAY_AUDIT_TLOG_TILE_H
#define LETHE_GATEWAY_AUDIT_TLOG_TILE_H

#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/tree.h"

#define TILE_HEIGHT 8u /* tree levels of one tile level */
#define TILE_LEVELS 8u /* enough for 2^64 leaves */
#define TILE_BYTES  (TILE_WIDTH * HASH_BYTES)

/* Write the `width` hashes of tile (level, number) under its path in `folder`
 * (by a temporary file, synced, renamed); a file with these very bytes stays.
 * Errors: ST_LIMIT (path), ST_FULL, ST_IO. */
enum status tile_write(const char *folder, unsigned level, uint64_t number,
                       unsigned width, const uint8_t *hashes) MUST_CHECK;

/* The first `width` hashes of a tile: of the full one, else of a partial one
 * that is at least as wide. Files of another length count as not there.
 * Errors: ST_END (no such tile), ST_IO, ST_LIMIT. */
enum status tile_read(const char *folder, unsigned level, uint64_t number,
                      unsigned width, uint8_t *out) MUST_CHECK;

/* Root of 2^k hashes side by side (1 <= count <= TILE_WIDTH). */
void tile_root(const uint8_t *hashes, unsigned count, uint8_t out[HASH_BYTES]);

/* A tree whose hashes lie in tiles. What no tile has is asked of `beyond`
 * (hash NULL: nothing is), which says ST_END for what it has not either; then
 * it is made from the two hashes below. ST_END comes back where that ends,
 * too. Keeps the tile read last; one thread. */
struct tile_source {
    const char *folder; /* above "tile"; borrowed */
    struct tree_source beyond;
    unsigned level, width; /* of what is kept; width 0 = nothing */
    uint64_t number;
    uint8_t hashes[TILE_BYTES];
};
void tile_source_init(struct tile_source *t, const char *folder);
/* As a tree_source; `t` stays where it is. */
struct tree_source tile_tree(struct tile_source *t);

#endif
