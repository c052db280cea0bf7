#include "log_tree.h"

#include <string.h>

/* A perfect subtree whose hashes lie in the last tile of their level. */
static enum status tail_hash(void *ctx, unsigned level, uint64_t number,
                             uint8_t out[HASH_BYTES])
{
    const struct log_tree *t = ctx;
    unsigned tile_level = level / TILE_HEIGHT, within = level % TILE_HEIGHT;
    unsigned count = 1u << within;
    uint64_t first = number << within;
    unsigned at = (unsigned)(first % TILE_WIDTH);

    if (t->numbers[tile_level] != first / TILE_WIDTH ||
        t->counts[tile_level] < at + count)
        return ST_END;
    tile_root(t->tails[tile_level] + (size_t)at * HASH_BYTES, count, out);
    return ST_OK;
}

void log_tree_init(struct log_tree *t, const char *folder)
{
    t->size = 0;
    memset(t->numbers, 0, sizeof(t->numbers));
    memset(t->counts, 0, sizeof(t->counts));
    tile_source_init(&t->tiles, folder);
    t->tiles.beyond = (struct tree_source){tail_hash, t};
}

struct tree_source log_tree_source(struct log_tree *t)
{
    return tile_tree(&t->tiles);
}

enum status log_tree_resume(struct log_tree *t, uint64_t size)
{
    const struct tree_source s = log_tree_source(t);

    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        uint64_t have = size >> (TILE_HEIGHT * level);
        t->numbers[level] = have / TILE_WIDTH;
        for (unsigned i = 0; i < have % TILE_WIDTH; i++) {
            enum status st = s.hash(s.ctx, level * TILE_HEIGHT,
                                    t->numbers[level] * TILE_WIDTH + i,
                                    t->tails[level] + (size_t)i * HASH_BYTES);
            if (st != ST_OK)
                return st;
        }
        t->counts[level] = (unsigned)(have % TILE_WIDTH);
    }
    t->size = size;
    return ST_OK;
}

/* A full tile of this level to disk, and its root to the level above. */
static enum status settle_level(struct log_tree *t, unsigned level)
{
    enum status st = ST_OK;

    if (t->counts[level] < TILE_WIDTH)
        return ST_OK;
    if (level + 1 < TILE_LEVELS)
        st = settle_level(t, level + 1);
    if (st == ST_OK)
        st = tile_write(t->tiles.folder, level, t->numbers[level], TILE_WIDTH,
                        t->tails[level]);
    if (st != ST_OK)
        return st;
    t->counts[level] = 0;
    t->numbers[level]++;
    if (level + 1 == TILE_LEVELS)
        return ST_OK;
    uint8_t *above =
        t->tails[level + 1] + (size_t)t->counts[level + 1]++ * HASH_BYTES;
    tile_root(t->tails[level], TILE_WIDTH, above);
    return settle_level(t, level + 1);
}

enum status log_tree_settle(struct log_tree *t)
{
    enum status st = ST_OK;

    for (unsigned level = TILE_LEVELS; level > 0 && st == ST_OK; level--)
        st = settle_level(t, level - 1);
    return st;
}

enum status log_tree_add(struct log_tree *t, const uint8_t leaf[HASH_BYTES])
{
    enum status st = ST_OK;

    if (t->counts[0] == TILE_WIDTH)
        st = log_tree_settle(t);
    if (st != ST_OK)
        return st;
    memcpy(t->tails[0] + (size_t)t->counts[0]++ * HASH_BYTES, leaf, HASH_BYTES);
    t->size++;
    return t->counts[0] == TILE_WIDTH ? log_tree_settle(t) : ST_OK;
}
