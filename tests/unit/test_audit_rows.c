/* Rows at the log's end are held against their records at each start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../gateway/audit/log_internal.h"
#include "audit_fixture.h"

#include <fcntl.h>

static int setup(void **state)
{
    static struct fixture f;

    *state = &f;
    return fixture_make(&f) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture_drop(*state);
    return 0;
}

static void flip(const struct fixture *f, off_t at)
{
    char path[128];
    uint8_t byte;

    (void)snprintf(path, sizeof(path), "%s/%s", f->folder, ROWS0);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void rows_that_changed_stop_the_start(void **state)
{
    struct audit_row rows[3] = {
        {.act = 1, .ev = 1}, {.act = 1, .ev = 2}, {.act = 1, .ev = 3}};
    struct fixture *f = *state;
    uint64_t policy;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, rows, 3);
    f->now = 2000;
    assert_int_equal(fixture_read(f), ST_OK);
    fixture_rows(f, MIXBOT, policy, 2, rows, 1);
    fixture_stop(f);
    for (off_t at = 0; at < 4 * (off_t)ROW_BYTES; at += 5) {
        flip(f, at);
        assert_int_equal(fixture_open(f), ST_CORRUPT);
        flip(f, at);
    }
    assert_int_equal(fixture_open(f), ST_OK);
    fixture_stop(f);
}

static void put_root(struct row_batches *b, uint64_t index, uint64_t count)
{
    static const uint8_t zeros[ROW_BYTES];
    struct merkle_stack m = {.size = 0};
    uint8_t leaf[HASH_BYTES], root[HASH_BYTES];
    struct buf text;

    merkle_leaf(zeros, sizeof(zeros), leaf);
    while (m.size < count)
        merkle_add(&m, leaf);
    merkle_root(&m, root);
    buf_init(&text, 64);
    put_base64(&text, root, HASH_BYTES);
    assert_int_equal(rows_note(b, index, count, buf_slice(&text)), ST_OK);
    buf_free(&text);
}

/* A bad batch, and so many good rows behind it. */
static enum status behind(uint64_t rows)
{
    struct row_batches b = {.list = NULL};
    char path[] = "/tmp/lethe-rows-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    (void)unlink(path);
    assert_int_equal(ftruncate(fd, (off_t)((rows + 1) * ROW_BYTES)), 0);
    assert_int_equal(rows_note(&b, 7, 1, SLICE("no root")), ST_OK);
    assert_int_equal(rows_note(&b, 8, 0, SLICE_NONE), ST_OK);
    put_root(&b, 9, rows);
    assert_int_equal(b.count, 2);
    enum status st = rows_check(&b, fd);
    rows_forget(&b);
    (void)close(fd);
    return st;
}

static void the_last_two_million_are_checked(void **state)
{
    (void)state;
    assert_int_equal(behind(3), ST_CORRUPT);
    assert_int_equal(behind(ROWS_CHECKED_MAX - 1), ST_CORRUPT);
    assert_int_equal(behind(ROWS_CHECKED_MAX), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_that_changed_stop_the_start, setup,
                                        teardown),
        cmocka_unit_test(the_last_two_million_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
