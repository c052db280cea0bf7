/* tile_name.h - what a path of C2SP tlog-tiles asks for: the other direction
 * of tile_path(). Free of the gateway. */
#ifndef LETHE_GATEWAY_AUDIT_TLOG_TILE_NAME_H
#define LETHE_GATEWAY_AUDIT_TLOG_TILE_NAME_H

#include "lethe/gateway/audit/tlog/checkpoint.h"

#define TILE_LEVEL_MAX 63u /* of a path; trees of 2^64 leaves have 8 levels */

struct tile_name {
    unsigned level;  /* or TILE_ENTRIES */
    uint64_t number; /* of the tile, or of the bundle */
    unsigned width;  /* 1 to TILE_WIDTH, which is a full one */
};

/* Exactly what tile_path() writes for a level up to TILE_LEVEL_MAX, and nothing
 * else: no other zeros, digits, dots or slashes. Errors: ST_SYNTAX. */
enum status tile_name_read(struct slice path, struct tile_name *out) MUST_CHECK;

/* Is it there, in a tree of `size` leaves: are all its hashes (or entries) of
 * whole subtrees? */
bool tile_name_within(const struct tile_name *n, uint64_t size);

/* One past the last leaf that it tells of; n must be within some tree. */
uint64_t tile_name_end(const struct tile_name *n);

#endif
