#include "lethe/gateway/audit/tiles_export.h"

#include "lethe/gateway/audit/tiles.h"
#include "lethe/gateway/audit/tlog/tile.h"
#include "lethe/gateway/file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MODE   0640
#define FOLDER_MODE 0750

struct export
{
    struct tiles *tiles;
    const char *dir;
    struct checkpoint c;
    struct buf bytes;
    struct tiles_exported done;
};

static bool is_there(const char *path, struct slice bytes)
{
    struct buf have;
    bool same = file_read(path, bytes.len, &have) == ST_OK &&
                slice_eq(buf_slice(&have), bytes);

    buf_free(&have);
    return same;
}

static enum status put_file(struct export *e, const char *name,
                            struct slice bytes)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", e->dir, name);

    if (n < 0 || (size_t)n >= sizeof(path))
        return ST_LIMIT;
    if (is_there(path, bytes))
        return ST_OK;
    enum status st = file_make_folders(e->dir, path, FOLDER_MODE);
    if (st == ST_OK)
        st = file_put(path, FILE_MODE, bytes);
    e->done.written += st == ST_OK;
    return st;
}

/* One tile or bundle. Bundles that were pruned are left out. */
static enum status put_tile(struct export *e, const struct tile_name *t)
{
    bool bundle = t->level == TILE_ENTRIES;
    char name[TILE_PATH_MAX];

    buf_reset(&e->bytes);
    enum status st = tiles_get(e->tiles, t, e->c.size, &e->bytes);
    if (st == ST_CLOSED && bundle)
        return ST_OK;
    tile_path(t->level, t->number, t->width, name);
    if (st == ST_OK)
        st = put_file(e, name, buf_slice(&e->bytes));
    *(bundle ? &e->done.bundles : &e->done.tiles) += st == ST_OK;
    return st;
}

/* The `count` hashes (or entries) of a level: full tiles, and the rest. */
static enum status put_level(struct export *e, unsigned level, uint64_t count)
{
    enum status st = ST_OK;

    for (uint64_t n = 0; st == ST_OK && n * TILE_WIDTH < count; n++) {
        uint64_t left = count - n * TILE_WIDTH;
        const struct tile_name t = {
            level, n, left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH};
        st = put_tile(e, &t);
    }
    return st;
}

static enum status check_root(struct export *e)
{
    const struct tree_source tree = tiles_tree(e->tiles);
    uint8_t root[HASH_BYTES];

    tiles_begin(e->tiles);
    enum status st = tree_root(&tree, e->c.size, root);
    if (st == ST_OK && memcmp(root, e->c.root, HASH_BYTES) != 0)
        st = ST_MISMATCH;
    return st;
}

static enum status put_all(struct export *e, struct slice note)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", e->done.minimum);
    enum status st = check_root(e);

    for (unsigned l = 0; st == ST_OK && l < TILE_LEVELS; l++)
        st = put_level(e, l, e->c.size >> l * TILE_HEIGHT);
    if (st == ST_OK)
        st = put_level(e, TILE_ENTRIES, e->c.size);
    if (st == ST_OK)
        st = put_file(e, "minimum-index", (struct slice){text, (size_t)n});
    return st == ST_OK ? put_file(e, "checkpoint", note) : st;
}

enum status tiles_export(const char *folder, const char *dir,
                         struct tiles_exported *out)
{
    struct export e = {.dir = dir};
    struct buf note;
    enum status st = tiles_open(folder, UINT64_MAX, &e.tiles);

    if (st != ST_OK)
        return st;
    buf_init(&note, NOTE_BYTES_MAX);
    buf_init(&e.bytes, TILES_BYTES_MAX);
    st = tiles_checkpoint(e.tiles, &note, &e.c);
    if (st == ST_OK)
        st = tiles_minimum(e.tiles, &e.done.minimum);
    if (st == ST_OK && mkdir(dir, FOLDER_MODE) != 0 && errno != EEXIST)
        st = ST_IO;
    e.done.size = e.c.size;
    if (st == ST_OK)
        st = put_all(&e, buf_slice(&note));
    buf_free(&note);
    buf_free(&e.bytes);
    tiles_close(e.tiles);
    if (st == ST_OK)
        *out = e.done;
    return st;
}
