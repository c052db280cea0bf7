/* tree_dump.c - `tree_dump FOLDER SEED COUNT`: random trees of 1 to 2,000
 * leaves, a line of JSON each: root, proofs, and the tile that holds the leaf,
 * as tlog/ makes them from tiles. check.go makes the same trees and compares.
 * The i-th leaf of a tree is the text "<its seed>:<i>". */
#include "lethe/gateway/audit/tlog/tile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAVES_MAX 2000u

typedef uint8_t hash_t[HASH_BYTES];

static uint64_t chance;
static hash_t leaves[LEAVES_MAX];

static uint64_t draw(uint64_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (chance >> 33) % below;
}

static void must(enum status st, const char *what)
{
    if (st == ST_OK)
        return;
    (void)fprintf(stderr, "tree_dump: %s: %s\n", what, status_name(st));
    exit(1);
}

/* Leaves behind the last whole tile are in memory, as with a writer. */
static enum status leaf_of(void *ctx, unsigned level, uint64_t number,
                           uint8_t out[HASH_BYTES])
{
    if (level > 0 || number >= *(const uint64_t *)ctx)
        return ST_END;
    memcpy(out, leaves[number], HASH_BYTES);
    return ST_OK;
}

static void put_hashes(const char *name, hash_t *list, unsigned count)
{
    struct buf line;

    (void)printf("\"%s\":[", name);
    for (unsigned i = 0; i < count; i++) {
        buf_init(&line, 64);
        hash_line_put(list[i], &line);
        (void)printf("%s\"%.*s\"", i == 0 ? "" : ",", (int)line.len - 1,
                     line.data);
        buf_free(&line);
    }
    (void)printf("]");
}

static void dump(const char *folder, uint64_t seed)
{
    uint64_t size = draw(LEAVES_MAX) + 1;
    uint64_t index = draw(size), old = draw(size + 1);
    struct tile_source tiles;
    struct tree_proof proof;
    hash_t root[2];
    char path[TILE_PATH_MAX], text[48];

    for (uint64_t i = 0; i < size; i++) {
        int n = snprintf(text, sizeof(text), "%" PRIu64 ":%" PRIu64, seed, i);
        merkle_leaf(text, (size_t)n, leaves[i]);
        if (i % TILE_WIDTH == TILE_WIDTH - 1)
            must(tile_write(folder, 0, i / TILE_WIDTH, TILE_WIDTH,
                            leaves[i + 1 - TILE_WIDTH]),
                 "writing a tile");
    }
    tile_source_init(&tiles, folder);
    tiles.beyond = (struct tree_source){leaf_of, &size};
    struct tree_source tree = tile_tree(&tiles);
    must(tree_root(&tree, size, root[0]), "a root");
    must(tree_root(&tree, old, root[1]), "an older root");
    (void)printf("{\"seed\":%" PRIu64 ",\"size\":%" PRIu64 ",\"index\":%" PRIu64
                 ",\"old\":%" PRIu64 ",",
                 seed, size, index, old);
    put_hashes("roots", root, 2);
    must(tree_inclusion(&tree, index, size, &proof), "an inclusion");
    (void)printf(",");
    put_hashes("inclusion", proof.hashes, proof.count);
    must(tree_consistency(&tree, old, size, &proof), "a consistency");
    (void)printf(",");
    put_hashes("consistency", proof.hashes, proof.count);
    uint64_t first = index / TILE_WIDTH * TILE_WIDTH;
    unsigned width =
        size - first < TILE_WIDTH ? (unsigned)(size - first) : TILE_WIDTH;
    if (width < TILE_WIDTH)
        must(tile_write(folder, 0, first / TILE_WIDTH, width, leaves[first]),
             "writing a part of a tile");
    static hash_t tile[TILE_WIDTH];
    must(tile_read(folder, 0, first / TILE_WIDTH, width, tile[0]),
         "reading a tile");
    tile_path(0, first / TILE_WIDTH, width, path);
    (void)printf(",");
    put_hashes("tile", tile, width);
    (void)printf(",\"tile_path\":\"%s\"}\n", path);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: tree_dump FOLDER SEED COUNT\n");
        return 3;
    }
    chance = strtoull(argv[2], NULL, 10);
    uint64_t count = strtoull(argv[3], NULL, 10);
    for (uint64_t i = 0; i < count; i++) {
        char folder[4096];
        int n = snprintf(folder, sizeof(folder), "%s/%" PRIu64, argv[1], i);
        if (n < 0 || (size_t)n >= sizeof(folder) || mkdir(folder, 0700) != 0) {
            (void)fprintf(stderr, "tree_dump: no folder\n");
            return 1;
        }
        dump(folder, chance);
    }
    return 0;
}
