/* checkpoint.h - the text of a checkpoint (C2SP tlog-checkpoint): origin, size,
 * root, a line each and no more; and the paths of C2SP tlog-tiles. */
#ifndef LETHE_GATEWAY_AUDIT_TLOG_CHECKPOINT_H
#define LETHE_GATEWAY_AUDIT_TLOG_CHECKPOINT_H

#include "lethe/gateway/audit/merkle.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

struct checkpoint {
    struct slice origin;
    uint64_t size;
    uint8_t root[HASH_BYTES];
};

/* Extension lines are refused. Borrows from `text`. Errors: ST_SYNTAX. */
enum status checkpoint_read(struct slice text,
                            struct checkpoint *out) MUST_CHECK;
void checkpoint_put(const struct checkpoint *c, struct buf *out);

/* "<base64>\n", and one such line from the front of `s`. False: it is none. */
void hash_line_put(const uint8_t hash[HASH_BYTES], struct buf *out);
bool hash_line_take(struct slice *s, uint8_t out[HASH_BYTES]);

#define TILE_WIDTH    256u
#define TILE_ENTRIES  64u /* in the place of a level: entry bundles */
#define TILE_PATH_MAX 64u
/* "tile/<level>/<number>[.p/<width>]"; width TILE_WIDTH is a full tile. */
void tile_path(unsigned level, uint64_t number, unsigned width,
               char out[TILE_PATH_MAX]);

#endif
