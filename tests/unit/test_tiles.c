/* What auditors fetch: paths, tiles and bundles, against the vectors of another
 * hand, and against the definitions, from tiles and without any; in pruned,
 * growing and damaged logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "lethe/gateway/audit/leaves.h"
#include "lethe/gateway/audit/tiles.h"
#include "lethe/gateway/audit/tiles_export.h"
#include "lethe/gateway/audit/tlog/tile.h"
#include "lethe/gateway/file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>

#define LOG7    "tests/data/audit/log7"
#define FIRST   512u  /* records of the first segment */
#define RECORDS 1300u /* of three segments, the last from 1024 on */

static char folder[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/lethe-tiles-XXXXXX");
    return sodium_init() < 0 || mkdtemp(folder) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    return folder_remove(folder);
}

/* ---- a log ----------------------------------------------------------------
 */

static void make_folder(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static void append(const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static size_t record(uint64_t i, char out[600])
{
    /* Of many lengths: no two marks are at the same distance. */
    return (size_t)snprintf(out, 600, "{\"i\":%" PRIu64 ",\"x\":\"%*s\"}", i,
                            (int)(i * 7919 % 500), "");
}

static void leaf_hash(uint64_t i, uint8_t out[HASH_BYTES])
{
    char line[600];

    merkle_leaf(line, record(i, line), out);
}

static void add_records(const char *segment, uint64_t from, uint64_t to)
{
    char line[602];

    for (uint64_t i = from; i < to; i++) {
        size_t n = record(i, line);
        (void)snprintf(line + n, 2, "\n");
        append(segment, line);
    }
}

static void make_log(void)
{
    make_folder("seg");
    add_records("seg/000000000000.jsonl", 0, FIRST);
    add_records("seg/000000000512.jsonl", FIRST, 1024);
    add_records("seg/000000001024.jsonl", 1024, RECORDS);
}

/* The root over 2^level leaves from `number << level` on. */
static void naive(unsigned level, uint64_t number, uint8_t out[HASH_BYTES])
{
    uint8_t left[HASH_BYTES], right[HASH_BYTES];

    if (level == 0) {
        leaf_hash(number, out);
        return;
    }
    naive(level - 1, 2 * number, left);
    naive(level - 1, 2 * number + 1, right);
    merkle_node(left, right, out);
}

static struct tiles *open_tiles(const char *where, uint64_t work)
{
    struct tiles *t = NULL;

    assert_int_equal(tiles_open(where, work, &t), ST_OK);
    return t;
}

static enum status get(struct tiles *t, const char *path, uint64_t size,
                       struct buf *out)
{
    struct tile_name name;

    buf_reset(out);
    assert_int_equal(tile_name_read(slice_of(path), &name), ST_OK);
    return tiles_get(t, &name, size, out);
}

static void assert_is_tile(const struct buf *b, unsigned level, uint64_t number,
                           unsigned width)
{
    uint8_t hash[HASH_BYTES];

    assert_int_equal(b->len, width * HASH_BYTES);
    for (unsigned i = 0; i < width; i++) {
        naive(level * TILE_HEIGHT, number * TILE_WIDTH + i, hash);
        assert_memory_equal(b->data + (size_t)i * HASH_BYTES, hash, HASH_BYTES);
    }
}

static void assert_is_bundle(const struct buf *b, uint64_t from, unsigned width)
{
    char line[600];
    size_t at = 0;

    for (uint64_t i = from; i < from + width; i++) {
        size_t n = record(i, line);
        assert_true(at + 2 + n <= b->len);
        assert_int_equal((uint8_t)b->data[at] << 8 | (uint8_t)b->data[at + 1],
                         n);
        assert_memory_equal(b->data + at + 2, line, n);
        at += 2 + n;
    }
    assert_int_equal(at, b->len);
}

/* ---- paths -----------------------------------------------------------------
 */

static void a_path_is_read_as_it_is_written(void **state)
{
    static const uint64_t numbers[] = {0,    1,       255,       999,
                                       1000, 1234067, 999999999, UINT64_MAX};
    static const unsigned levels[] = {0, 1, 9, 10, 63, TILE_ENTRIES};
    static const unsigned widths[] = {1, 9, 10, 255, 256};
    char path[TILE_PATH_MAX];
    struct tile_name n;

    (void)state;
    for (size_t a = 0; a < sizeof(numbers) / sizeof(numbers[0]); a++)
        for (size_t b = 0; b < sizeof(levels) / sizeof(levels[0]); b++)
            for (size_t c = 0; c < sizeof(widths) / sizeof(widths[0]); c++) {
                tile_path(levels[b], numbers[a], widths[c], path);
                assert_int_equal(tile_name_read(slice_of(path), &n), ST_OK);
                assert_true(n.number == numbers[a]);
                assert_int_equal(n.level, levels[b]);
                assert_int_equal(n.width, widths[c]);
            }
}

static void another_spelling_is_no_path(void **state)
{
    static const char *const wrong[] = {
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/100/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001x002/003",
        "tile/0/x001/x002",
        "tile/0/X001/002",
        "tile/0/00a",
        "tile/0/ 00",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "tile/0/000.P/1",
        "tile/0/000.p/1.p/1",
        "tile/0/../0/000",
        "tile//0/000",
        "tile/entries/",
        "tile/entries",
        "tile/entries/0",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/000?",
        "tile/0/000\n",
        /* 2^64, and what wraps around to 1 */
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x018/x446/x744/x073/x709/x551/617",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/001",
    };
    struct tile_name n = {7, 7, 7};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (tile_name_read(slice_of(wrong[i]), &n) != ST_SYNTAX)
            fail_msg("%s was read", wrong[i]);
    assert_int_equal(tile_name_read((struct slice){"tile/0/0\0000", 12}, &n),
                     ST_SYNTAX);
    assert_int_equal(n.level, 7);
}

static void what_a_tree_holds_whole_is_within_it(void **state)
{
    static const struct {
        struct tile_name name;
        uint64_t least; /* size */
    } cases[] = {
        {{0, 0, 1}, 1},
        {{0, 0, 255}, 255},
        {{0, 0, 256}, 256},
        {{0, 3, 7}, 3 * 256 + 7},
        {{TILE_ENTRIES, 3, 7}, 3 * 256 + 7},
        {{1, 0, 1}, 256},
        {{1, 0, 256}, 65536},
        {{2, 0, 1}, 65536},
        {{7, 0, 255}, UINT64_C(255) << 56},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(tile_name_within(&cases[i].name, cases[i].least));
        assert_false(tile_name_within(&cases[i].name, cases[i].least - 1));
        assert_true(tile_name_within(&cases[i].name, UINT64_MAX));
        assert_true(tile_name_end(&cases[i].name) == cases[i].least);
    }
    for (unsigned level = 8; level <= TILE_LEVEL_MAX; level++)
        assert_false(
            tile_name_within(&(struct tile_name){level, 0, 1}, UINT64_MAX));
    assert_false(
        tile_name_within(&(struct tile_name){0, UINT64_MAX, 256}, UINT64_MAX));
}

/* ---- the vectors ------------------------------------------------------------
 */

static void assert_is_file(const struct buf *b, const char *path)
{
    struct buf want;

    assert_int_equal(file_read(path, 1u << 20, &want), ST_OK);
    assert_int_equal(b->len, want.len);
    assert_memory_equal(b->data, want.data, want.len);
    buf_free(&want);
}

static void log7_gives_its_own_tile_and_bundle(void **state)
{
    struct tiles *t = open_tiles(LOG7, TILES_WORK_MAX);
    struct checkpoint c;
    struct buf note, out;
    char segment[PATH_MAX], link[128];

    (void)state;
    buf_init(&note, NOTE_BYTES_MAX);
    buf_init(&out, TILES_BYTES_MAX);
    assert_int_equal(tiles_checkpoint(t, &note, &c), ST_OK);
    assert_true(slice_eq(c.origin, SLICE("gw1.example.eu/audit")));
    assert_true(c.size == 7);
    assert_is_file(&note, LOG7 "/checkpoint");
    assert_int_equal(get(t, "tile/0/000.p/7", 7, &out), ST_OK);
    assert_is_file(&out, LOG7 "/tile/0/000.p/7");
    assert_int_equal(get(t, "tile/entries/000.p/7", 7, &out), ST_OK);
    assert_is_file(&out, LOG7 "/tile/entries/000.p/7");
    tiles_close(t);
    /* The same without the tile, from the records. */
    make_folder("seg");
    (void)snprintf(link, sizeof(link), "%s/seg/000000000000.jsonl", folder);
    assert_non_null(realpath(LOG7 "/seg/000000000000.jsonl", segment));
    assert_int_equal(symlink(segment, link), 0);
    t = open_tiles(folder, TILES_WORK_MAX);
    assert_int_equal(tiles_checkpoint(t, &note, &c), ST_UNKNOWN);
    assert_int_equal(get(t, "tile/0/000.p/7", 7, &out), ST_OK);
    assert_is_file(&out, LOG7 "/tile/0/000.p/7");
    tiles_close(t);
    buf_free(&note);
    buf_free(&out);
}

/* ---- made of records
 * --------------------------------------------------------- */

static void tiles_are_made_of_records(void **state)
{
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    struct buf out;

    (void)state;
    make_log();
    buf_init(&out, TILES_BYTES_MAX);
    /* Back and forth, across segments. */
    assert_int_equal(get(t, "tile/0/004", RECORDS, &out), ST_OK);
    assert_is_tile(&out, 0, 4, 256);
    assert_int_equal(get(t, "tile/0/001", RECORDS, &out), ST_OK);
    assert_is_tile(&out, 0, 1, 256);
    assert_int_equal(get(t, "tile/0/005.p/20", RECORDS, &out), ST_OK);
    assert_is_tile(&out, 0, 5, 20);
    assert_int_equal(get(t, "tile/0/005.p/3", RECORDS, &out), ST_OK);
    assert_is_tile(&out, 0, 5, 3);
    assert_int_equal(get(t, "tile/1/000.p/5", RECORDS, &out), ST_OK);
    assert_is_tile(&out, 1, 0, 5);
    assert_int_equal(get(t, "tile/entries/003", RECORDS, &out), ST_OK);
    assert_is_bundle(&out, 768, 256);
    assert_int_equal(get(t, "tile/entries/000", RECORDS, &out), ST_OK);
    assert_is_bundle(&out, 0, 256);
    assert_int_equal(get(t, "tile/entries/005.p/20", RECORDS, &out), ST_OK);
    assert_is_bundle(&out, 1280, 20);
    /* One beyond. */
    assert_int_equal(get(t, "tile/0/005.p/21", RECORDS, &out), ST_UNKNOWN);
    assert_int_equal(get(t, "tile/0/005", RECORDS, &out), ST_UNKNOWN);
    assert_int_equal(get(t, "tile/1/000.p/6", RECORDS, &out), ST_UNKNOWN);
    assert_int_equal(get(t, "tile/2/000.p/1", RECORDS, &out), ST_UNKNOWN);
    assert_int_equal(get(t, "tile/entries/006", RECORDS, &out), ST_UNKNOWN);
    assert_int_equal(get(t, "tile/0/000.p/1", 0, &out), ST_UNKNOWN);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    tiles_close(t);
}

/* What is there is taken; what is not is made of the tiles below. */
static void tiles_on_disk_come_first(void **state)
{
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    uint8_t mark[TILE_BYTES], want[HASH_BYTES];
    struct buf out;

    (void)state;
    make_log();
    buf_init(&out, TILES_BYTES_MAX);
    memset(mark, 42, sizeof(mark));
    assert_int_equal(tile_write(folder, 0, 2, 256, mark), ST_OK);
    assert_int_equal(get(t, "tile/0/002", RECORDS, &out), ST_OK);
    assert_memory_equal(out.data, mark, sizeof(mark));
    assert_int_equal(get(t, "tile/1/000.p/5", RECORDS, &out), ST_OK);
    tile_root(mark, 256, want);
    assert_memory_equal(out.data + 2 * HASH_BYTES, want, HASH_BYTES);
    naive(8, 3, want);
    assert_memory_equal(out.data + 3 * HASH_BYTES, want, HASH_BYTES);
    buf_free(&out);
    tiles_close(t);
}

static void work_is_bounded(void **state)
{
    struct tiles *exact = open_tiles(folder, 1280);
    struct tiles *less = open_tiles(folder, 1279);
    struct buf out;

    (void)state;
    make_log();
    buf_init(&out, TILES_BYTES_MAX);
    assert_int_equal(get(exact, "tile/1/000.p/5", RECORDS, &out), ST_OK);
    assert_int_equal(get(exact, "tile/1/000.p/5", RECORDS, &out), ST_OK);
    assert_int_equal(get(less, "tile/1/000.p/5", RECORDS, &out), ST_BUSY);
    assert_int_equal(out.len, 0);
    assert_int_equal(get(less, "tile/1/000.p/4", RECORDS, &out), ST_OK);
    buf_free(&out);
    tiles_close(exact);
    tiles_close(less);
}

static void the_root_is_that_of_the_records(void **state)
{
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    struct merkle_stack all = {.size = 0};
    uint8_t want[HASH_BYTES], got[HASH_BYTES];

    (void)state;
    make_log();
    struct tree_source s = tiles_tree(t);
    for (uint64_t i = 0; i < RECORDS; i++) {
        leaf_hash(i, want);
        merkle_add(&all, want);
    }
    merkle_root(&all, want);
    tiles_begin(t);
    assert_int_equal(tree_root(&s, RECORDS, got), ST_OK);
    assert_memory_equal(got, want, HASH_BYTES);
    tiles_close(t);
}

/* ---- pruned, growing, damaged
 * ------------------------------------------------ */

static void remove_file(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static void what_was_pruned_is_gone(void **state)
{
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    uint8_t tile[TILE_BYTES];
    uint64_t minimum = 7;
    struct buf out;

    (void)state;
    make_log();
    buf_init(&out, TILES_BYTES_MAX);
    assert_int_equal(tiles_minimum(t, &minimum), ST_OK);
    assert_true(minimum == 0);
    assert_int_equal(get(t, "tile/0/001", RECORDS, &out), ST_OK);
    memcpy(tile, out.data, sizeof(tile));
    assert_int_equal(tile_write(folder, 0, 1, 256, tile), ST_OK);
    append("minimum-index", "512\n");
    assert_int_equal(tiles_minimum(t, &minimum), ST_OK);
    assert_true(minimum == 512);
    /* Its file is there still, and open. */
    assert_int_equal(get(t, "tile/entries/001", RECORDS, &out), ST_CLOSED);
    assert_int_equal(get(t, "tile/entries/002", RECORDS, &out), ST_OK);
    remove_file("seg/000000000000.jsonl");
    tiles_rest(t);
    assert_int_equal(get(t, "tile/0/001", RECORDS, &out), ST_OK); /* kept */
    assert_int_equal(get(t, "tile/0/000", RECORDS, &out), ST_CLOSED);
    assert_int_equal(get(t, "tile/0/000.p/9", RECORDS, &out), ST_CLOSED);
    assert_int_equal(get(t, "tile/entries/000", RECORDS, &out), ST_CLOSED);
    assert_int_equal(get(t, "tile/entries/002", RECORDS, &out), ST_OK);
    assert_is_bundle(&out, 512, 256);
    /* Above the minimum something is missing: that is damage. */
    remove_file("seg/000000000512.jsonl");
    tiles_rest(t);
    assert_int_equal(get(t, "tile/entries/002", RECORDS, &out), ST_CORRUPT);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    tiles_close(t);
}

static void a_minimum_that_is_no_number_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "\n",
                                        "x\n",
                                        "12",
                                        "12\n\n",
                                        "18446744073709551616\n",
                                        "0000000000000000000000000\n"};
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    uint64_t minimum;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        append("minimum-index", wrong[i]);
        assert_int_equal(tiles_minimum(t, &minimum), ST_CORRUPT);
        remove_file("minimum-index");
    }
    tiles_close(t);
}

static void a_growing_log_is_read_on(void **state)
{
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    struct buf out;

    (void)state;
    make_log();
    buf_init(&out, TILES_BYTES_MAX);
    assert_int_equal(get(t, "tile/entries/005.p/20", RECORDS, &out), ST_OK);
    append("seg/000000001024.jsonl", "{\"i\":1300,"); /* half of a line */
    assert_int_equal(get(t, "tile/entries/005.p/21", 1301, &out), ST_CORRUPT);
    assert_int_equal(get(t, "tile/entries/005.p/20", 1300, &out), ST_OK);
    assert_is_bundle(&out, 1280, 20);
    append("seg/000000001024.jsonl", "\"x\":\"\"}\n");
    assert_int_equal(get(t, "tile/entries/005.p/21", 1301, &out), ST_OK);
    buf_free(&out);
    tiles_close(t);
}

static void a_new_segment_is_found(void **state)
{
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    struct buf out;

    (void)state;
    make_log();
    add_records("seg/000000001024.jsonl", RECORDS, 1536);
    buf_init(&out, TILES_BYTES_MAX);
    assert_int_equal(get(t, "tile/0/005", 1536, &out), ST_OK);
    add_records("seg/000000001536.jsonl", 1536, 1600);
    assert_int_equal(get(t, "tile/0/006.p/64", 1600, &out), ST_OK);
    assert_is_tile(&out, 0, 6, 64);
    add_records("seg/000000001536.jsonl", 1600, 1650);
    assert_int_equal(get(t, "tile/entries/006.p/114", 1650, &out), ST_OK);
    assert_is_bundle(&out, 1536, 114);
    buf_free(&out);
    tiles_close(t);
}

static enum status count_bytes(void *ctx, struct slice line)
{
    *(size_t *)ctx += line.len;
    return ST_OK;
}

static void a_record_of_the_longest_size_is_taken_and_no_longer_one(
    void **state)
{
    static char line[LEAF_BYTES_MAX + 3];
    struct leaves *l = NULL;
    size_t bytes = 0;

    (void)state;
    make_folder("seg");
    memset(line, 'x', LEAF_BYTES_MAX + 1);
    line[LEAF_BYTES_MAX] = '\n';
    append("seg/000000000000.jsonl", line);
    line[LEAF_BYTES_MAX] = 'x';
    line[LEAF_BYTES_MAX + 1] = '\n';
    append("seg/000000000000.jsonl", line);
    assert_int_equal(leaves_open(folder, &l), ST_OK);
    assert_int_equal(leaves_each(l, 0, 1, count_bytes, &bytes), ST_OK);
    assert_int_equal(bytes, LEAF_BYTES_MAX);
    assert_int_equal(leaves_each(l, 1, 1, count_bytes, &bytes), ST_CORRUPT);
    assert_int_equal(leaves_each(l, 2, 1, count_bytes, &bytes), ST_CORRUPT);
    assert_int_equal(leaves_each(l, 0, 1, count_bytes, &bytes), ST_OK);
    assert_int_equal(bytes, 2 * LEAF_BYTES_MAX);
    leaves_close(l);
}

/* ---- exported
 * ------------------------------------------------------------------ */

static void sign(uint64_t size)
{
    static const uint8_t seed[NOTE_SEED_BYTES] = {1};
    struct tiles *t = open_tiles(folder, UINT64_MAX);
    struct tree_source s = tiles_tree(t);
    struct checkpoint c = {.origin = SLICE("o/audit"), .size = size};
    struct note_signer log;
    struct buf text, note;
    char path[128];

    buf_init(&text, 1024);
    buf_init(&note, 4096);
    assert_int_equal(tree_root(&s, size, c.root), ST_OK);
    assert_int_equal(note_signer_make(c.origin, NOTE_ED25519, seed, &log),
                     ST_OK);
    checkpoint_put(&c, &text);
    buf_put(&note, buf_slice(&text));
    buf_put_char(&note, '\n');
    assert_int_equal(note_sign(&log, buf_slice(&text), 0, &note), ST_OK);
    (void)snprintf(path, sizeof(path), "%s/checkpoint", folder);
    assert_int_equal(file_put(path, 0600, buf_slice(&note)), ST_OK);
    buf_free(&text);
    buf_free(&note);
    tiles_close(t);
}

static bool exported(const char *name, struct buf *out)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/out/%s", folder, name);
    return file_read(path, TILES_BYTES_MAX, out) == ST_OK;
}

static void assert_exported(const char *name, struct tiles *t)
{
    struct buf file, made;

    buf_init(&made, TILES_BYTES_MAX);
    assert_int_equal(get(t, name, RECORDS, &made), ST_OK);
    if (!exported(name, &file))
        fail_msg("%s is not there", name);
    assert_true(slice_eq(buf_slice(&file), buf_slice(&made)));
    buf_free(&file);
    buf_free(&made);
}

static void an_export_has_every_file_and_grows(void **state)
{
    static const char *const names[] = {
        "tile/0/000",           "tile/0/004",       "tile/0/005.p/20",
        "tile/1/000.p/5",       "tile/entries/000", "tile/entries/004",
        "tile/entries/005.p/20"};
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    struct tiles_exported done = {.size = 7};
    struct buf file;
    char out[128], line[] = "xxxx";

    (void)state;
    make_log();
    (void)snprintf(out, sizeof(out), "%s/out", folder);
    assert_int_equal(tiles_export(folder, out, &done), ST_UNKNOWN);
    assert_true(done.size == 7);
    sign(1030);
    assert_int_equal(tiles_export(folder, out, &done), ST_OK);
    assert_true(done.size == 1030 && done.minimum == 0);
    assert_true(done.tiles == 5 + 1 && done.bundles == 5);
    assert_true(done.written == 6 + 5 + 2);
    sign(RECORDS);
    assert_int_equal(tiles_export(folder, out, &done), ST_OK);
    assert_true(done.size == RECORDS && done.tiles == 7 && done.bundles == 6);
    /* Level 0: 4 and the rest; level 1; bundles alike; the checkpoint. */
    assert_true(done.written == 2 + 1 + 2 + 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_exported(names[i], t);
    assert_true(exported("minimum-index", &file));
    assert_true(slice_eq(buf_slice(&file), SLICE("0\n")));
    buf_free(&file);
    /* What was damaged there is put right. */
    append("out/tile/0/001", line);
    assert_int_equal(tiles_export(folder, out, &done), ST_OK);
    assert_true(done.written == 1);
    assert_exported("tile/0/001", t);
    tiles_close(t);
}

static void a_log_that_is_not_what_was_signed_is_not_exported(void **state)
{
    struct tiles_exported done;
    struct buf file;
    char out[128];

    (void)state;
    make_log();
    sign(RECORDS);
    (void)snprintf(out, sizeof(out), "%s/out", folder);
    remove_file("seg/000000001024.jsonl");
    add_records("seg/000000001024.jsonl", 1025, 1400); /* one is left out */
    assert_int_equal(tiles_export(folder, out, &done), ST_MISMATCH);
    assert_false(exported("checkpoint", &file));
    buf_free(&file);
    remove_file("seg/000000001024.jsonl");
    assert_int_equal(tiles_export(folder, out, &done), ST_END);
}

static void a_pruned_log_is_exported_without_its_bundles(void **state)
{
    struct tiles *t = open_tiles(folder, TILES_WORK_MAX);
    struct tiles_exported done;
    struct buf file, tile;
    char out[128];

    (void)state;
    make_log();
    sign(RECORDS);
    (void)snprintf(out, sizeof(out), "%s/out", folder);
    buf_init(&tile, TILES_BYTES_MAX);
    for (unsigned n = 0; n < 2; n++) {
        assert_int_equal(
            get(t, n == 0 ? "tile/0/000" : "tile/0/001", RECORDS, &tile),
            ST_OK);
        assert_int_equal(tile_write(folder, 0, n, 256, (uint8_t *)tile.data),
                         ST_OK);
    }
    append("minimum-index", "512\n");
    remove_file("seg/000000000000.jsonl");
    assert_int_equal(tiles_export(folder, out, &done), ST_OK);
    assert_true(done.minimum == 512 && done.tiles == 7 && done.bundles == 4);
    assert_false(exported("tile/entries/001", &file));
    buf_free(&file);
    assert_true(exported("minimum-index", &file));
    assert_true(slice_eq(buf_slice(&file), SLICE("512\n")));
    buf_free(&file);
    buf_free(&tile);
    tiles_close(t);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_path_is_read_as_it_is_written),
        CASE(another_spelling_is_no_path),
        CASE(what_a_tree_holds_whole_is_within_it),
        CASE(log7_gives_its_own_tile_and_bundle),
        CASE(tiles_are_made_of_records),
        CASE(tiles_on_disk_come_first),
        CASE(work_is_bounded),
        CASE(the_root_is_that_of_the_records),
        CASE(what_was_pruned_is_gone),
        CASE(a_minimum_that_is_no_number_is_refused),
        CASE(a_growing_log_is_read_on),
        CASE(a_new_segment_is_found),
        CASE(an_export_has_every_file_and_grows),
        CASE(a_log_that_is_not_what_was_signed_is_not_exported),
        CASE(a_pruned_log_is_exported_without_its_bundles),
        CASE(a_record_of_the_longest_size_is_taken_and_no_longer_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
