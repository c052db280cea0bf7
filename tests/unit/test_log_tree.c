/* The growing tree and its tiles: roots and proofs of every size as the plain
 * stack gives them, from memory, from disk, and from what is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../gateway/audit/log_tree.h"
#include "folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAVES 66200u /* two levels of full tiles, and a bit */

typedef uint8_t hash_t[HASH_BYTES];

static char folder[64];
static struct log_tree tree;
static hash_t roots[LEAVES + 1];

static void leaf_of(uint64_t i, hash_t out)
{
    merkle_leaf(&i, sizeof(i), out);
}

static int setup(void **state)
{
    struct merkle_stack m = {.size = 0};
    hash_t leaf;

    (void)state;
    memcpy(folder, "/tmp/lethe-tree-XXXXXX", 23);
    if (mkdtemp(folder) == NULL)
        return -1;
    merkle_root(&m, roots[0]);
    for (uint64_t i = 0; i < LEAVES; i++) {
        leaf_of(i, leaf);
        merkle_add(&m, leaf);
        merkle_root(&m, roots[i + 1]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return folder_remove(folder);
}

static void grow(struct log_tree *t, uint64_t to)
{
    hash_t leaf;

    while (t->size < to) {
        leaf_of(t->size, leaf);
        assert_int_equal(log_tree_add(t, leaf), ST_OK);
    }
}

static void check_root(struct log_tree *t, uint64_t size)
{
    struct tree_source s = log_tree_source(t);
    hash_t root;

    assert_int_equal(tree_root(&s, size, root), ST_OK);
    assert_memory_equal(root, roots[size], HASH_BYTES);
}

static void check_consistency(struct log_tree *t, uint64_t old, uint64_t size)
{
    struct tree_source s = log_tree_source(t);
    struct tree_proof p;

    assert_int_equal(tree_consistency(&s, old, size, &p), ST_OK);
    assert_int_equal(
        tree_check_consistency(&p, old, roots[old], size, roots[size]), ST_OK);
}

static void path_of(const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", folder, name);
}

static void roots_and_proofs_as_it_grows(void **state)
{
    static const uint64_t stops[] = {1,     2,     3,     255,   256,   257,
                                     300,   511,   512,   513,   1000,  65535,
                                     65536, 65537, 65791, 65792, 65793, LEAVES};
    uint64_t before = 0;

    (void)state;
    log_tree_init(&tree, folder);
    check_root(&tree, 0);
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        grow(&tree, stops[i]);
        check_root(&tree, stops[i]);
        check_root(&tree, before);
        check_root(&tree, (before + stops[i]) / 2);
        check_consistency(&tree, before, stops[i]);
        check_consistency(&tree, stops[i] / 3, stops[i]);
        check_consistency(&tree, 1, stops[i]);
        before = stops[i];
    }
}

static void tiles_lie_where_the_format_says(void **state)
{
    char path[128];
    struct stat s;
    hash_t leaf, bytes[TILE_WIDTH];

    (void)state;
    path_of("tile/0/000", path);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_size, 8192);
    assert_int_equal(tile_read(folder, 0, 257, TILE_WIDTH, bytes[0]), ST_OK);
    leaf_of(257 * 256 + 7, leaf);
    assert_memory_equal(bytes[7], leaf, HASH_BYTES);
    path_of("tile/1/000", path);
    assert_int_equal(stat(path, &s), 0);
    path_of("tile/0/258", path); /* 66,048 .. 66,200: not full */
    assert_int_not_equal(stat(path, &s), 0);
    path_of("tile/1/001", path);
    assert_int_not_equal(stat(path, &s), 0);
}

/* Tiles that are lost or wrong are made again from the leaves; right ones are
 * left as they are. */
static void tiles_are_rebuilt(void **state)
{
    char lost[128], wrong[128], kept[128];
    struct stat before, after;
    FILE *f;

    (void)state;
    path_of("tile/0/001", lost);
    path_of("tile/0/002", wrong);
    path_of("tile/0/003", kept);
    assert_int_equal(unlink(lost), 0);
    f = fopen(wrong, "r+");
    assert_non_null(f);
    (void)fputc('x', f);
    (void)fclose(f);
    assert_int_equal(stat(kept, &before), 0);
    log_tree_init(&tree, folder);
    grow(&tree, LEAVES);
    assert_int_equal(stat(kept, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    check_root(&tree, 600);
    check_root(&tree, 1000);
    assert_int_equal(stat(lost, &after), 0);
}

/* The leaves' tiles below a minimum are gone; the tree goes on. */
static void a_pruned_tree_goes_on(void **state)
{
    char path[128], name[32];
    struct tree_source s;
    hash_t root;

    (void)state;
    /* What pruning keeps: the roots of the tiles that go. */
    assert_int_equal(tile_write(folder, 1, 1, tree.counts[1], tree.tails[1]),
                     ST_OK);
    for (unsigned i = 0; i < 258; i++) {
        (void)snprintf(name, sizeof(name), "tile/0/%03u", i);
        path_of(name, path);
        assert_int_equal(unlink(path), 0);
    }
    log_tree_init(&tree, folder);
    assert_int_equal(log_tree_resume(&tree, 66048), ST_OK);
    check_root(&tree, 66048);
    grow(&tree, LEAVES);
    check_root(&tree, LEAVES);
    check_root(&tree, 65536);
    check_consistency(&tree, 66048, LEAVES);
    s = log_tree_source(&tree);
    assert_int_equal(tree_root(&s, 700, root), ST_END);
    /* Without them there is no tree. */
    path_of("tile/1/001.p/2", path);
    assert_int_equal(unlink(path), 0);
    log_tree_init(&tree, folder);
    assert_int_equal(log_tree_resume(&tree, 66048), ST_END);
}

static void partial_tiles(void **state)
{
    hash_t in[TILE_WIDTH], out[TILE_WIDTH];

    (void)state;
    for (unsigned i = 0; i < TILE_WIDTH; i++)
        leaf_of(i, in[i]);
    assert_int_equal(tile_read(folder, 3, 1234567, 1, out[0]), ST_END);
    assert_int_equal(tile_write(folder, 3, 1234567, 9, in[0]), ST_OK);
    assert_int_equal(tile_write(folder, 3, 1234567, 20, in[0]), ST_OK);
    assert_int_equal(tile_read(folder, 3, 1234567, 9, out[0]), ST_OK);
    assert_int_equal(tile_read(folder, 3, 1234567, 10, out[0]), ST_OK);
    assert_memory_equal(in, out, 10 * HASH_BYTES);
    assert_int_equal(tile_read(folder, 3, 1234567, 21, out[0]), ST_END);
    assert_int_equal(tile_write(folder, 3, 1234567, TILE_WIDTH, in[0]), ST_OK);
    assert_int_equal(tile_read(folder, 3, 1234567, 21, out[0]), ST_OK);
    assert_memory_equal(in, out, 21 * HASH_BYTES);
}

/* No room: the leaf behind a full tile waits, and nothing is lost. */
static void a_tile_that_cannot_be_written(void **state)
{
    char place[80], file[96];
    hash_t leaf;
    FILE *f;

    (void)state;
    (void)snprintf(place, sizeof(place), "%s/full", folder);
    assert_int_equal(mkdir(place, 0700), 0);
    (void)snprintf(file, sizeof(file), "%s/tile", place);
    f = fopen(file, "w"); /* where a folder should be */
    assert_non_null(f);
    (void)fclose(f);
    log_tree_init(&tree, place);
    grow(&tree, 255);
    leaf_of(255, leaf);
    assert_int_equal(log_tree_add(&tree, leaf), ST_IO);
    assert_int_equal(tree.size, 256);
    check_root(&tree, 256);
    leaf_of(256, leaf);
    assert_int_equal(log_tree_add(&tree, leaf), ST_IO);
    assert_int_equal(tree.size, 256);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(log_tree_settle(&tree), ST_OK);
    grow(&tree, 600);
    check_root(&tree, 600);
    check_root(&tree, 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_and_proofs_as_it_grows),
        cmocka_unit_test(tiles_lie_where_the_format_says),
        cmocka_unit_test(tiles_are_rebuilt),
        cmocka_unit_test(a_pruned_tree_goes_on),
        cmocka_unit_test(partial_tiles),
        cmocka_unit_test(a_tile_that_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
