/* The register of requests: terms by the calendar, its limit, damage. */
#include "lethe/gateway/rights/register.h"

#include "folder.h"
#include "lethe/policy/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

static int64_t at(const char *text)
{
    int64_t ms;

    assert_int_equal(time_parse(slice_of(text), &ms), ST_OK);
    return ms;
}

static char folder[] = "/tmp/lethe-register-XXXXXX";
static unsigned registers;

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_remove(folder);
}

static struct request_register *fresh(char path[300])
{
    struct request_register *r;

    (void)snprintf(path, 300, "%s/rights-%u.db", folder, ++registers);
    assert_int_equal(register_open(path, &r), ST_OK);
    return r;
}

static struct request_entry add(struct request_register *r,
                                const char *received)
{
    struct request_entry e = {.kind = REQUEST_ERASURE, .site = "ab"};

    e.received_ms = at(received);
    assert_int_equal(register_add(r, &e), ST_OK);
    return e;
}

static void r44_a_month_is_the_calendars(void **state)
{
    char path[300];
    struct request_register *r = fresh(path);
    struct request_entry e;

    (void)state;
    assert_int_equal(add(r, "2026-11-20T10:00:00Z").due_ms,
                     at("2026-12-20T10:00:00Z"));
    e = add(r, "2027-01-31T00:00:00Z"); /* there is no 31st of February */
    assert_int_equal(e.due_ms, at("2027-02-28T00:00:00Z"));
    assert_int_equal(register_extend(r, slice_of(e.id), DELAY_MANY, &e), ST_OK);
    assert_int_equal(e.due_ms, at("2027-04-30T00:00:00Z"));
    assert_int_equal(register_extend(r, slice_of(e.id), DELAY_MANY, &e),
                     ST_EXISTS);
    assert_int_equal(register_extend(r, SLICE("nonesuch"), DELAY_MANY, &e),
                     ST_UNKNOWN);
    register_close(r);
}

static void r44_counts_at_the_edges(void **state)
{
    char path[300];
    struct request_register *r = fresh(path);
    struct register_facts f;
    int64_t due = add(r, "2026-11-20T00:00:00Z").due_ms;

    (void)state;
    assert_int_equal(register_count(r, due - REQUEST_SOON_MS, &f), ST_OK);
    assert_int_equal(f.soon, 0);
    assert_int_equal(register_count(r, due - REQUEST_SOON_MS + 1, &f), ST_OK);
    assert_int_equal(f.soon, 1);
    assert_int_equal(register_count(r, due, &f), ST_OK);
    assert_int_equal(f.overdue, 0);
    assert_int_equal(f.open, 1);
    assert_int_equal(register_count(r, due + 1, &f), ST_OK);
    assert_int_equal(f.overdue, 1);
    assert_int_equal(f.soon, 0);
    register_close(r);
}

static void what_has_ended_long_ago_is_forgotten(void **state)
{
    char path[300];
    struct request_register *r = fresh(path);
    struct request_entry e = add(r, "2026-11-20T00:00:00Z");
    struct request_entry open = add(r, "2020-11-20T00:00:00Z");
    int64_t end = at("2026-12-01T00:00:00Z");
    uint64_t gone;

    (void)state;
    assert_int_equal(
        register_end(r, slice_of(e.id), REQUEST_ENDED_DONE, end, &e), ST_OK);
    assert_int_equal(register_forget(r, end + REQUESTS_KEEP_MS, &gone), ST_OK);
    assert_int_equal(gone, 0);
    assert_int_equal(register_forget(r, end + REQUESTS_KEEP_MS + 1, &gone),
                     ST_OK);
    assert_int_equal(gone, 1);
    assert_int_equal(register_find(r, slice_of(e.id), &e), ST_UNKNOWN);
    assert_int_equal(register_find(r, slice_of(open.id), &e), ST_OK);
    register_close(r);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void the_register_has_an_end(void **state)
{
    char path[300], sql[400];
    struct request_register *r = fresh(path);
    struct request_entry e = {.site = "ab"};

    (void)state;
    register_close(r);
    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                   "FROM n WHERE i < %u) INSERT INTO requests SELECT "
                   "printf('x%%07d', i), 0, 'ab', '', 0, 0, 0, 0, 1 FROM n",
                   REQUESTS_MAX - 1);
    run_sql(path, sql);
    assert_int_equal(register_open(path, &r), ST_OK);
    assert_int_equal(register_add(r, &e), ST_OK);
    assert_int_equal(register_add(r, &e), ST_LIMIT);
    register_close(r);
}

static enum status never(void *ctx, const struct request_entry *e)
{
    (void)ctx;
    (void)e;
    fail();
    return ST_OK;
}

static void damage_is_told(void **state)
{
    char path[300];
    struct request_register *r = fresh(path);
    struct request_entry e = add(r, "2026-11-20T00:00:00Z");

    (void)state;
    register_close(r);
    run_sql(path, "UPDATE requests SET kind = 99");
    assert_int_equal(register_open(path, &r), ST_OK);
    assert_int_equal(register_find(r, slice_of(e.id), &e), ST_CORRUPT);
    assert_int_equal(register_each(r, true, never, NULL), ST_CORRUPT);
    register_close(r);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (unsigned i = 0; i < 4096; i++)
        (void)fputc('x', f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(register_open(path, &r), ST_CORRUPT);
}

static void words(void **state)
{
    enum request_kind kind;
    enum request_outcome outcome;
    enum request_delay delay;

    (void)state;
    assert_true(request_kind_find(SLICE("objection"), &kind));
    assert_int_equal(request_kind_article(kind), 21);
    assert_string_equal(request_kind_name(kind), "objection");
    assert_false(request_kind_find(SLICE("Objection"), &kind));
    assert_false(request_outcome_find(SLICE("open"), &outcome));
    assert_true(request_outcome_find(SLICE("withdrawn"), &outcome));
    assert_string_equal(request_outcome_name(outcome), "withdrawn");
    assert_false(request_delay_find(SLICE("none"), &delay));
    assert_true(request_delay_find(SLICE("many"), &delay));
    assert_string_equal(request_delay_name(delay), "many");
    assert_true(request_ticket_ok(SLICE("A.b_c-9")));
    assert_false(request_ticket_ok(SLICE_NONE));
    assert_false(request_ticket_ok(SLICE("a b")));
    assert_false(request_ticket_ok(SLICE("a@b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r44_a_month_is_the_calendars),
        cmocka_unit_test(r44_counts_at_the_edges),
        cmocka_unit_test(what_has_ended_long_ago_is_forgotten),
        cmocka_unit_test(the_register_has_an_end),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
