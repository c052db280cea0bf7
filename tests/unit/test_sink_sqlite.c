#include "lethe/gateway/sink/sink.h"
#include "lethe/policy/base/clock.h"

#include "folder.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY    UINT64_C(0xfedcba9876543210)
#define CANARY "canary-7391"

struct place {
    char folder[64];
    char path[128];
    struct conf_destination conf;
    sqlite3 *other; /* the app's own connection */
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    snprintf(p->folder, sizeof(p->folder), "/tmp/lethe-sqlite-XXXXXX");
    if (mkdtemp(p->folder) == NULL)
        return -1;
    snprintf(p->path, sizeof(p->path), "%s/events.db", p->folder);
    p->conf = (struct conf_destination){
        .type = DESTINATION_SQLITE, .path = p->path, .mode = 0640};
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    sqlite3_close(p->other);
    int rc = folder_remove(p->folder);
    free(p);
    return rc;
}

static void ask(struct place *p, const char *sql, char out[512])
{
    sqlite3_stmt *s = NULL;

    if (p->other == NULL)
        assert_int_equal(sqlite3_open(p->path, &p->other), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(p->other, sql, -1, &s, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(s, 0);
    snprintf(out, 512, "%s", text == NULL ? "null" : text);
    sqlite3_finalize(s);
}

static void expect(struct place *p, const char *sql, const char *want)
{
    char got[512];

    ask(p, sql, got);
    assert_string_equal(got, want);
}

static void run(struct place *p, const char *sql)
{
    if (p->other == NULL)
        assert_int_equal(sqlite3_open(p->path, &p->other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(p->other, sql, NULL, NULL, NULL), SQLITE_OK);
}

static struct fragment piece(const char *body)
{
    return (struct fragment){.body = slice_of(body)};
}

static const char full[] =
    "{\"timestamp\":\"2026-11-22T09:00:00Z\",\"session_id\":\"s1\","
    "\"action\":\"file_upload\",\"details\":{\"size\":1048576,\"ok\":true},"
    "\"user_id\":\"u1\",\"device_id\":\"d1\",\"group_id\":\"g1\","
    "\"context\":{\"url\":\"/a\"},\"purpose\":\"audience\",\"id\":\"e1\"}";
static const char bare[] =
    "{\"action\":\"open\",\"details\":{},\"purpose\":\"audience\"}";

static void columns_come_from_the_body(void **state)
{
    struct place *p = *state;
    const struct fragment f[2] = {piece(full), piece(bare)};
    struct sqlite_sink *s = NULL;
    struct stat st;

    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    assert_int_equal(sqlite_sink_write(s, KEY, 7, 3, f, 2, 1000), ST_OK);
    expect(p,
           "SELECT timestamp||' '||action||' '||details||' '||session_id||' '"
           "||user_id||' '||device_id||' '||group_id||' '||context||' '||"
           "purpose||' '||event_id||' '||written_ms FROM user_actions "
           "WHERE event_id = 'e1'",
           "2026-11-22T09:00:00Z file_upload {\"size\":1048576,\"ok\":true} s1 "
           "u1 d1 g1 {\"url\":\"/a\"} audience e1 1000");
    expect(p,
           "SELECT (timestamp IS NULL)||(session_id IS NULL)||details "
           "FROM user_actions WHERE action = 'open'",
           "11{}");
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    sqlite_sink_close(s);
}

static void position_and_rows_are_one(void **state)
{
    struct place *p = *state;
    const struct fragment good = piece(full);
    const struct fragment bad[2] = {piece(bare), piece("{broken")};
    struct sqlite_sink *s = NULL;
    uint64_t sequence = 99;
    uint32_t fragment = 99;

    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    assert_int_equal(sqlite_sink_position(s, KEY, &sequence, &fragment), ST_OK);
    assert_int_equal(sequence, 0);
    assert_int_equal(fragment, 0);
    assert_int_equal(sqlite_sink_write(s, KEY, 7, 3, &good, 1, 1), ST_OK);
    assert_int_not_equal(sqlite_sink_write(s, KEY, 8, 0, bad, 2, 1), ST_OK);
    sqlite_sink_close(s);
    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    assert_int_equal(sqlite_sink_position(s, KEY, &sequence, &fragment), ST_OK);
    assert_int_equal(sequence, 7);
    assert_int_equal(fragment, 3);
    assert_int_equal(sqlite_sink_position(s, 5, &sequence, &fragment), ST_OK);
    assert_int_equal(sequence, 0);
    expect(p, "SELECT count(*) FROM user_actions", "1");
    sqlite_sink_close(s);
}

static void a_retried_event_is_one_row(void **state)
{
    struct place *p = *state;
    const struct fragment f[3] = {piece(full), piece(full), piece(bare)};
    struct sqlite_sink *s = NULL;

    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    assert_int_equal(sqlite_sink_write(s, KEY, 1, 3, f, 3, 1), ST_OK);
    assert_int_equal(sqlite_sink_write(s, KEY, 2, 3, f, 3, 1), ST_OK);
    expect(p, "SELECT count(*) FROM user_actions WHERE event_id='e1'", "1");
    expect(p, "SELECT count(*) FROM user_actions WHERE event_id IS NULL", "2");
    sqlite_sink_close(s);
}

static void the_apps_old_table_gets_the_columns(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece(full);
    struct sqlite_sink *s = NULL;

    run(p, "CREATE TABLE user_actions(timestamp TEXT, action TEXT, details "
           "TEXT, session_id TEXT);"
           "INSERT INTO user_actions VALUES('t','a','{}','s');");
    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    assert_int_equal(sqlite_sink_write(s, KEY, 1, 1, &f, 1, 5), ST_OK);
    expect(p, "SELECT count(*) FROM user_actions", "2");
    expect(p, "SELECT event_id FROM user_actions WHERE session_id = 's1'",
           "e1");
    sqlite_sink_close(s);
}

static void a_constraint_of_the_app_fails_loudly(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece(bare); /* has no session */
    struct sqlite_sink *s = NULL;

    run(p, "CREATE TABLE user_actions(timestamp TEXT, action TEXT, details "
           "TEXT, session_id TEXT NOT NULL);");
    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    assert_int_equal(sqlite_sink_write(s, KEY, 1, 1, &f, 1, 5), ST_IO);
    expect(p, "SELECT count(*) FROM user_actions", "0");
    sqlite_sink_close(s);
}

static void another_writer_makes_us_wait(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece(full);
    struct sqlite_sink *s = NULL;

    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    run(p, "BEGIN IMMEDIATE");
    assert_int_equal(sqlite_sink_write(s, KEY, 1, 1, &f, 1, 5), ST_BUSY);
    run(p, "COMMIT");
    assert_int_equal(sqlite_sink_write(s, KEY, 1, 1, &f, 1, 5), ST_OK);
    sqlite_sink_close(s);
}

static void retention_leaves_no_bytes(void **state)
{
    struct place *p = *state;
    static const char old[] = "{\"action\":\"open\",\"details\":{\"x\":"
                              "\"canary-7391\"},\"purpose\":\"audience\"}";
    static const char other[] = "{\"action\":\"open\",\"details\":{},"
                                "\"purpose\":\"product\"}";
    const struct fragment f[2] = {piece(old), piece(other)};
    const struct fragment young = piece(full);
    struct sqlite_sink *s = NULL;
    uint64_t rows = 0;
    int64_t oldest = 0;
    bool pending = false;
    char wal[160];

    snprintf(wal, sizeof(wal), "%s-wal", p->path);
    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_OK);
    assert_int_equal(sqlite_sink_write(s, KEY, 1, 2, f, 2, 1000), ST_OK);
    assert_int_equal(sqlite_sink_write(s, KEY, 2, 1, &young, 1, 5000), ST_OK);
    assert_true(file_holds(wal, CANARY, strlen(CANARY)));
    /* a reader holds the log: done only when it has gone */
    run(p, "BEGIN; SELECT * FROM user_actions;");
    assert_int_equal(
        sqlite_sink_expire(s, "audience", 5000, &rows, &oldest, &pending),
        ST_OK);
    assert_int_equal(rows, 1);
    assert_int_equal(oldest, 5000);
    assert_true(pending);
    run(p, "COMMIT");
    assert_int_equal(
        sqlite_sink_expire(s, "audience", 5000, &rows, &oldest, &pending),
        ST_OK);
    assert_int_equal(rows, 0);
    assert_false(pending);
    assert_false(file_holds(wal, CANARY, strlen(CANARY)));
    assert_false(file_holds(p->path, CANARY, strlen(CANARY)));
    expect(p, "SELECT count(*) FROM user_actions", "2");
    sqlite_sink_close(s);
}

static void refused_places(void **state)
{
    struct place *p = *state;
    struct sqlite_sink *s = NULL;

    assert_int_equal(symlink("/tmp/elsewhere.db", p->path), 0);
    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_DENIED);
    assert_int_equal(unlink(p->path), 0);
    p->conf.group = "no-such-group-anywhere";
    assert_int_equal(sqlite_sink_open(&p->conf, &s), ST_DENIED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(columns_come_from_the_body),
        T(position_and_rows_are_one),
        T(a_retried_event_is_one_row),
        T(the_apps_old_table_gets_the_columns),
        T(a_constraint_of_the_app_fails_loudly),
        T(another_writer_makes_us_wait),
        T(retention_leaves_no_bytes),
        T(refused_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
