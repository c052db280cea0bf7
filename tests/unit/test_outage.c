/* outage.db: rows come back as they were, in order, and leave no byte. */
#include "lethe/gateway/store/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG UINT64_C(0xfedcba9876543210) /* over 2^63: must come back whole */

struct fixture {
    char folder[64], path[96];
    struct outage *o;
    struct buf sealed;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/lethe-out-XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/outage.db", f->folder);
    buf_init(&f->sealed, 1u << 20);
    *state = f;
    return outage_open(f->path, &f->o) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    outage_close(f->o);
    (void)unlink(f->path);
    (void)rmdir(f->folder);
    buf_free(&f->sealed);
    free(f);
    return 0;
}

static struct outage_row sample(enum outage_kind kind, uint64_t destination)
{
    return (struct outage_row){.kind = kind,
                               .destination = destination,
                               .slot = UINT32_MAX,
                               .use = 3,
                               .count = 10,
                               .done = 4,
                               .accepted_ms = 1000,
                               .optout_seen = BIG,
                               .expires_ms = 2000,
                               .cause = 7,
                               .status = -5};
}

static void rows_come_back_as_they_were_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct outage_row in = sample(OUTAGE_WAITING, BIG), out;

    assert_int_equal(outage_put(f->o, &in, (struct slice){"a\0b", 3}), ST_OK);
    assert_true(in.id > 0);
    outage_close(f->o);
    assert_int_equal(outage_open(f->path, &f->o), ST_OK);
    assert_int_equal(
        outage_next(f->o, OUTAGE_WAITING, BIG, 0, &out, &f->sealed), ST_OK);
    assert_true(out.id == in.id && out.kind == in.kind);
    assert_true(out.destination == BIG && out.optout_seen == BIG);
    assert_true(out.slot == UINT32_MAX && out.use == 3);
    assert_true(out.count == 10 && out.done == 4);
    assert_true(out.accepted_ms == 1000 && out.expires_ms == 2000);
    assert_true(out.cause == 7 && out.status == -5);
    assert_int_equal(f->sealed.len, 3);
    assert_memory_equal(f->sealed.data, "a\0b", 3);
    assert_int_equal(outage_next(f->o, OUTAGE_DEAD, BIG, 0, &out, &f->sealed),
                     ST_END);
    assert_int_equal(outage_next(f->o, OUTAGE_WAITING, 1, 0, &out, &f->sealed),
                     ST_END);
}

static void the_oldest_comes_first_and_ids_are_not_used_again(void **state)
{
    struct fixture *f = *state;
    struct outage_row rows[3] = {sample(OUTAGE_WAITING, 1),
                                 sample(OUTAGE_WAITING, 1),
                                 sample(OUTAGE_WAITING, 1)};
    const struct slice sealed[3] = {SLICE("one"), SLICE("two"), SLICE_NONE};
    struct outage_row out;
    int64_t after = 0;

    assert_int_equal(outage_put_many(f->o, rows, sealed, 3), ST_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(
            outage_next(f->o, OUTAGE_WAITING, 1, after, &out, &f->sealed),
            ST_OK);
        assert_true(out.id == rows[i].id && out.id > after);
        assert_true(slice_eq(buf_slice(&f->sealed), sealed[i]));
        after = out.id;
    }
    assert_int_equal(
        outage_next(f->o, OUTAGE_WAITING, 1, after, &out, &f->sealed), ST_END);
    assert_int_equal(outage_delete(f->o, after), ST_OK);
    assert_int_equal(outage_delete(f->o, after), ST_UNKNOWN);
    struct outage_row again = sample(OUTAGE_WAITING, 1);
    assert_int_equal(outage_put(f->o, &again, SLICE("x")), ST_OK);
    assert_true(again.id > after);
}

static void one_bad_row_of_many_stores_none(void **state)
{
    struct fixture *f = *state;
    struct outage_row rows[2] = {sample(OUTAGE_WAITING, 1),
                                 sample(OUTAGE_WAITING, 1)};
    const struct slice sealed[2] = {SLICE("one"), SLICE("two")};
    uint64_t n, fragments;
    int64_t oldest;

    rows[1].done = rows[1].count + 1;
    assert_int_equal(outage_put_many(f->o, rows, sealed, 2), ST_IO);
    assert_true(rows[0].id == 0 && rows[1].id == 0);
    assert_int_equal(
        outage_count(f->o, OUTAGE_WAITING, 0, &n, &fragments, &oldest), ST_OK);
    assert_true(n == 0 && fragments == 0 && oldest == 0);
    assert_int_equal(outage_put(f->o, &rows[0], SLICE("one")), ST_OK);
}

static void counts_are_of_what_is_not_done(void **state)
{
    struct fixture *f = *state;
    struct outage_row a = sample(OUTAGE_WAITING, 1), b = sample(OUTAGE_DEAD, 1),
                      c = sample(OUTAGE_DEAD, 2);
    uint64_t n, fragments;
    int64_t oldest;
    bool uses;

    b.accepted_ms = 500;
    c.slot = 8;
    assert_int_equal(outage_put(f->o, &a, SLICE("a")), ST_OK);
    assert_int_equal(outage_put(f->o, &b, SLICE("b")), ST_OK);
    assert_int_equal(outage_put(f->o, &c, SLICE("c")), ST_OK);
    assert_int_equal(outage_set_done(f->o, a.id, 9), ST_OK);
    assert_int_equal(outage_set_done(f->o, 999, 1), ST_UNKNOWN);
    assert_int_equal(outage_set_done(f->o, a.id, 11), ST_IO); /* of 10 */
    assert_int_equal(
        outage_count(f->o, OUTAGE_WAITING, 1, &n, &fragments, &oldest), ST_OK);
    assert_true(n == 1 && fragments == 1 && oldest == 1000);
    assert_int_equal(
        outage_count(f->o, OUTAGE_DEAD, 0, &n, &fragments, &oldest), ST_OK);
    assert_true(n == 2 && fragments == 12 && oldest == 500);
    assert_int_equal(outage_uses_key(f->o, 8, 3, &uses), ST_OK);
    assert_true(uses);
    assert_int_equal(outage_uses_key(f->o, 8, 4, &uses), ST_OK);
    assert_false(uses);
    assert_int_equal(outage_delete(f->o, c.id), ST_OK);
    assert_int_equal(outage_uses_key(f->o, 8, 3, &uses), ST_OK);
    assert_false(uses);
}

static void the_lowest_optout_number_of_waiting_and_dead(void **state)
{
    struct fixture *f = *state;
    struct outage_row a = sample(OUTAGE_WAITING, 1), b = sample(OUTAGE_DEAD, 2);
    uint64_t seen = 0;

    a.optout_seen = 12;
    b.optout_seen = 5;
    assert_int_equal(outage_seen(f->o, &seen), ST_OK);
    assert_true(seen == UINT64_MAX);
    assert_int_equal(outage_put(f->o, &a, SLICE("a")), ST_OK);
    assert_int_equal(outage_put(f->o, &b, SLICE("b")), ST_OK);
    assert_int_equal(outage_seen(f->o, &seen), ST_OK);
    assert_true(seen == 5);
    assert_int_equal(outage_delete(f->o, b.id), ST_OK);
    assert_int_equal(outage_seen(f->o, &seen), ST_OK);
    assert_true(seen == 12);
}

static void the_dead_of_one_destination_or_all_wait_again(void **state)
{
    struct fixture *f = *state;
    struct outage_row a = sample(OUTAGE_DEAD, 1), b = sample(OUTAGE_DEAD, 2),
                      c = sample(OUTAGE_WAITING, 2), out;
    uint64_t count = 99;

    assert_int_equal(outage_put(f->o, &a, SLICE("a")), ST_OK);
    assert_int_equal(outage_put(f->o, &b, SLICE("b")), ST_OK);
    assert_int_equal(outage_put(f->o, &c, SLICE("c")), ST_OK);
    assert_int_equal(outage_revive(f->o, 1, 7000, &count), ST_OK);
    assert_int_equal(count, 6);
    assert_int_equal(outage_next(f->o, OUTAGE_WAITING, 1, 0, &out, &f->sealed),
                     ST_OK);
    assert_true(out.expires_ms == 7000);
    assert_int_equal(outage_next(f->o, OUTAGE_DEAD, 2, 0, &out, &f->sealed),
                     ST_OK);
    assert_int_equal(outage_revive(f->o, 0, 8000, &count), ST_OK);
    assert_int_equal(count, 6);
    assert_int_equal(outage_next(f->o, OUTAGE_WAITING, 2, 0, &out, &f->sealed),
                     ST_OK);
    assert_true(out.id == b.id && out.expires_ms == 8000);
    assert_int_equal(
        outage_next(f->o, OUTAGE_WAITING, 2, out.id, &out, &f->sealed), ST_OK);
    assert_true(out.expires_ms == 2000); /* waited already */
}

static bool file_holds(const char *path, const char *text)
{
    static char bytes[8u << 20];
    FILE *in = fopen(path, "rb");

    if (in == NULL)
        return false;
    size_t n = fread(bytes, 1, sizeof(bytes), in);
    (void)fclose(in);
    return memmem(bytes, n, text, strlen(text)) != NULL;
}

static void deleted_bytes_leave_the_file_and_space_comes_back(void **state)
{
    struct fixture *f = *state;
    static char big[60000];
    struct outage_row rows[300];
    struct slice sealed[300];
    struct stat sb;

    memset(big, 'q', sizeof(big));
    memcpy(big + 30000, "find me", 7);
    for (unsigned i = 0; i < 300; i++) {
        rows[i] = sample(OUTAGE_WAITING, 1);
        sealed[i] = (struct slice){big, sizeof(big)};
    }
    assert_int_equal(outage_put_many(f->o, rows, sealed, 300), ST_OK);
    uint64_t full = outage_bytes(f->o);
    assert_true(full > 300 * sizeof(big));
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(outage_delete(f->o, rows[i].id), ST_OK);
    assert_true(outage_bytes(f->o) < 100000);
    outage_close(f->o);
    f->o = NULL;
    assert_int_equal(stat(f->path, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0600);
    assert_true((uint64_t)sb.st_size < full / 2);
    assert_false(file_holds(f->path, "find me"));
}

static void a_foreign_or_newer_database_is_refused(void **state)
{
    struct fixture *f = *state;
    struct outage *other = NULL;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/other.db", f->folder);
    FILE *out = fopen(path, "wb");
    for (unsigned i = 0; i < 2000; i++)
        assert_int_equal(fputs("not a database ", out) >= 0, 1);
    (void)fclose(out);
    assert_true(outage_open(path, &other) != ST_OK);
    assert_null(other);
    (void)unlink(path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(rows_come_back_as_they_were_after_a_restart),
        T(the_oldest_comes_first_and_ids_are_not_used_again),
        T(one_bad_row_of_many_stores_none),
        T(counts_are_of_what_is_not_done),
        T(the_lowest_optout_number_of_waiting_and_dead),
        T(the_dead_of_one_destination_or_all_wait_again),
        T(deleted_bytes_leave_the_file_and_space_comes_back),
        T(a_foreign_or_newer_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
