#include "lethe/gateway/audit/tlog/tile.h"

#include "lethe/gateway/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TILE_MODE   0640
#define FOLDER_MODE 0750

static bool full_path(const char *folder, unsigned level, uint64_t number,
                      unsigned width, char out[PATH_MAX])
{
    char name[TILE_PATH_MAX];

    tile_path(level, number, width, name);
    int n = snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return n > 0 && n < PATH_MAX;
}

/* The file's bytes, if there are exactly `len`. */
static enum status read_exactly(const char *path, uint8_t *out, size_t len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat s;
    size_t done = 0;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ST_END : ST_IO;
    enum status st = fstat(fd, &s) != 0 ? ST_IO : ST_OK;
    if (st == ST_OK && (!S_ISREG(s.st_mode) || s.st_size != (off_t)len))
        st = ST_END;
    while (st == ST_OK && done < len) {
        ssize_t n = read(fd, out + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            st = n < 0 ? ST_IO : ST_END;
        else
            done += (size_t)n;
    }
    (void)close(fd);
    return st;
}

enum status tile_write(const char *folder, unsigned level, uint64_t number,
                       unsigned width, const uint8_t *hashes)
{
    char path[PATH_MAX];
    uint8_t there[TILE_BYTES];
    size_t len = (size_t)width * HASH_BYTES;

    if (!full_path(folder, level, number, width, path))
        return ST_LIMIT;
    if (read_exactly(path, there, len) == ST_OK &&
        memcmp(there, hashes, len) == 0)
        return ST_OK;
    enum status st = file_make_folders(folder, path, FOLDER_MODE);
    return st == ST_OK ? file_put(path, TILE_MODE,
                                  (struct slice){(const char *)hashes, len})
                       : st;
}

/* The narrowest partial tile of at least `width`; 0 if there is none. */
static unsigned find_partial(const char *folder, unsigned level,
                             uint64_t number, unsigned width)
{
    char path[PATH_MAX];
    unsigned best = 0;
    struct dirent *e;

    if (!full_path(folder, level, number, width, path))
        return 0;
    *strrchr(path, '/') = '\0';
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    while ((e = readdir(dir)) != NULL) {
        unsigned long long w;
        if (slice_to_u64(slice_of(e->d_name), &w) && w >= width &&
            w < TILE_WIDTH && (best == 0 || w < best))
            best = (unsigned)w;
    }
    (void)closedir(dir);
    return best;
}

enum status tile_read(const char *folder, unsigned level, uint64_t number,
                      unsigned width, uint8_t *out)
{
    uint8_t bytes[TILE_BYTES];
    char path[PATH_MAX];

    if (!full_path(folder, level, number, TILE_WIDTH, path))
        return ST_LIMIT;
    enum status st = read_exactly(path, bytes, TILE_BYTES);
    if (st == ST_END && width < TILE_WIDTH) {
        unsigned w = find_partial(folder, level, number, width);
        if (w > 0 && full_path(folder, level, number, w, path))
            st = read_exactly(path, bytes, (size_t)w * HASH_BYTES);
    }
    if (st == ST_OK)
        memcpy(out, bytes, (size_t)width * HASH_BYTES);
    return st;
}

void tile_root(const uint8_t *hashes, unsigned count, uint8_t out[HASH_BYTES])
{
    uint8_t level[TILE_BYTES];

    memcpy(level, hashes, (size_t)count * HASH_BYTES);
    for (; count > 1; count /= 2)
        for (unsigned i = 0; i < count / 2; i++)
            merkle_node(level + (size_t)2 * i * HASH_BYTES,
                        level + ((size_t)2 * i + 1) * HASH_BYTES,
                        level + (size_t)i * HASH_BYTES);
    memcpy(out, level, HASH_BYTES);
}

void tile_source_init(struct tile_source *t, const char *folder)
{
    *t = (struct tile_source){.folder = folder};
}

static enum status keep_tile(struct tile_source *t, unsigned level,
                             uint64_t number, unsigned width)
{
    if (t->width >= width && t->level == level && t->number == number)
        return ST_OK;
    t->width = 0;
    enum status st = tile_read(t->folder, level, number, TILE_WIDTH, t->hashes);
    if (st == ST_OK)
        width = TILE_WIDTH;
    else if (st == ST_END)
        st = tile_read(t->folder, level, number, width, t->hashes);
    if (st != ST_OK)
        return st;
    t->level = level;
    t->number = number;
    t->width = width;
    return ST_OK;
}

static enum status source_hash(void *ctx, unsigned level, uint64_t number,
                               uint8_t out[HASH_BYTES])
{
    struct tile_source *t = ctx;
    unsigned within = level % TILE_HEIGHT, count = 1u << within;
    uint64_t first = number << within;
    unsigned at = (unsigned)(first % TILE_WIDTH);
    uint8_t left[HASH_BYTES], right[HASH_BYTES];

    enum status st =
        keep_tile(t, level / TILE_HEIGHT, first / TILE_WIDTH, at + count);
    if (st == ST_OK) {
        tile_root(t->hashes + (size_t)at * HASH_BYTES, count, out);
        return ST_OK;
    }
    if (st == ST_END && t->beyond.hash != NULL)
        st = t->beyond.hash(t->beyond.ctx, level, number, out);
    if (st != ST_END || level == 0)
        return st;
    st = source_hash(t, level - 1, 2 * number, left);
    if (st == ST_OK)
        st = source_hash(t, level - 1, 2 * number + 1, right);
    if (st == ST_OK)
        merkle_node(left, right, out);
    return st;
}

struct tree_source tile_tree(struct tile_source *t)
{
    return (struct tree_source){source_hash, t};
}
