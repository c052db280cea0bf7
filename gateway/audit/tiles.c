#include "lethe/gateway/audit/tiles.h"

#include "lethe/gateway/audit/leaves.h"
#include "lethe/gateway/audit/tlog/tile.h"
#include "lethe/gateway/file.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 21u /* "<n>\n" */

_Static_assert(TILES_BYTES_MAX == TILE_WIDTH * (LEAF_BYTES_MAX + 2u),
               "a bundle of the longest records");

struct tiles {
    char folder[PATH_MAX - 64]; /* room for the names below it */
    struct leaves *leaves;
    struct tile_source source;
    uint64_t work, work_max;
};

static enum status hash_leaf(void *out, struct slice line)
{
    merkle_leaf(line.at, line.len, out);
    return ST_OK;
}

/* What no tile holds: the leaves themselves; the rest is made of them. */
static enum status beyond(void *ctx, unsigned level, uint64_t number,
                          uint8_t out[HASH_BYTES])
{
    struct tiles *t = ctx;

    if (level > 0)
        return ST_END;
    if (t->work == t->work_max)
        return ST_BUSY;
    t->work++;
    return leaves_each(t->leaves, number, 1, hash_leaf, out);
}

enum status tiles_open(const char *folder, uint64_t work_max,
                       struct tiles **out)
{
    struct tiles *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return ST_NOMEM;
    int n = snprintf(t->folder, sizeof(t->folder), "%s", folder);
    enum status st = n < 0 || (size_t)n >= sizeof(t->folder)
                         ? ST_LIMIT
                         : leaves_open(folder, &t->leaves);
    if (st != ST_OK) {
        free(t);
        return st;
    }
    t->work_max = work_max;
    tile_source_init(&t->source, t->folder);
    t->source.beyond = (struct tree_source){beyond, t};
    *out = t;
    return ST_OK;
}

void tiles_close(struct tiles *t)
{
    if (t == NULL)
        return;
    leaves_close(t->leaves);
    free(t);
}

void tiles_rest(struct tiles *t)
{
    leaves_rest(t->leaves);
}

/* ---- the checkpoint, the beginning --------------------------------------- */

static enum status read_small(const struct tiles *t, const char *name,
                              size_t max, struct buf *out)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", t->folder, name);
    enum status st = file_read(path, max, out);
    if (st == ST_IO && errno == ENOENT)
        return ST_UNKNOWN;
    return st == ST_LIMIT ? ST_CORRUPT : st;
}

enum status tiles_checkpoint(const struct tiles *t, struct buf *note,
                             struct checkpoint *out)
{
    struct note n;
    struct buf bytes;

    enum status st = read_small(t, "checkpoint", NOTE_BYTES_MAX, &bytes);
    if (st == ST_OK) {
        buf_reset(note);
        buf_put(note, buf_slice(&bytes));
        st = note->failed ? ST_NOMEM : ST_OK;
    }
    buf_free(&bytes);
    if (st == ST_OK && (note_read(buf_slice(note), &n) != ST_OK ||
                        checkpoint_read(n.text, out) != ST_OK))
        st = ST_CORRUPT;
    return st;
}

enum status tiles_minimum(const struct tiles *t, uint64_t *out)
{
    struct buf bytes;
    unsigned long long v = 0;

    enum status st = read_small(t, "minimum-index", NUMBER_BYTES_MAX, &bytes);
    struct slice s = buf_slice(&bytes);
    if (st == ST_OK && (!slice_ends(s, SLICE("\n")) ||
                        !slice_to_u64(slice_head(s, s.len - 1), &v)))
        st = ST_CORRUPT;
    buf_free(&bytes);
    if (st != ST_OK && st != ST_UNKNOWN)
        return st;
    *out = v;
    return ST_OK;
}

/* ---- tiles and bundles ----------------------------------------------------
 */

static enum status put_entry(void *ctx, struct slice line)
{
    struct buf *out = ctx;

    buf_put_u16(out, (uint16_t)line.len);
    buf_put(out, line);
    return out->failed ? ST_NOMEM : ST_OK;
}

static enum status put_leaf_hash(void *ctx, struct slice line)
{
    uint8_t hash[HASH_BYTES];

    merkle_leaf(line.at, line.len, hash);
    buf_put_bytes(ctx, hash, HASH_BYTES);
    return ST_OK;
}

/* Each hash of it from what is below. */
static enum status make_hashes(struct tiles *t, const struct tile_name *name,
                               struct buf *out)
{
    struct tree_source s = tiles_tree(t);
    uint8_t hash[HASH_BYTES];
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < name->width; i++) {
        st = s.hash(s.ctx, name->level * TILE_HEIGHT,
                    name->number * TILE_WIDTH + i, hash);
        if (st == ST_OK)
            buf_put_bytes(out, hash, HASH_BYTES);
    }
    return st;
}

static enum status put_hashes(struct tiles *t, const struct tile_name *name,
                              struct buf *out)
{
    uint8_t hashes[TILE_BYTES];
    enum status st =
        tile_read(t->folder, name->level, name->number, name->width, hashes);

    if (st == ST_OK)
        buf_put_bytes(out, hashes, (size_t)name->width * HASH_BYTES);
    else if (st == ST_END && name->level == 0)
        st = leaves_each(t->leaves, name->number * TILE_WIDTH, name->width,
                         put_leaf_hash, out);
    else if (st == ST_END)
        st = make_hashes(t, name, out);
    return st == ST_OK && out->failed ? ST_NOMEM : st;
}

enum status tiles_get(struct tiles *t, const struct tile_name *name,
                      uint64_t size, struct buf *out)
{
    size_t before = out->len;
    uint64_t minimum;
    enum status st = tiles_minimum(t, &minimum);

    if (!tile_name_within(name, size))
        return ST_UNKNOWN;
    if (st != ST_OK)
        return st;
    bool pruned = tile_name_end(name) <= minimum;
    if (name->level == TILE_ENTRIES && pruned)
        return ST_CLOSED; /* also if its file is not gone yet */
    tiles_begin(t);
    if (name->level == TILE_ENTRIES)
        st = leaves_each(t->leaves, name->number * TILE_WIDTH, name->width,
                         put_entry, out);
    else
        st = put_hashes(t, name, out);
    if (st == ST_END) /* pruning may have come in between */
        st = pruned || (tiles_minimum(t, &minimum) == ST_OK &&
                        tile_name_end(name) <= minimum)
                 ? ST_CLOSED
                 : ST_CORRUPT;
    if (st != ST_OK)
        out->len = before;
    return st;
}

void tiles_begin(struct tiles *t)
{
    t->work = 0;
}

struct tree_source tiles_tree(struct tiles *t)
{
    return tile_tree(&t->source);
}
