/* Forwarders to files and databases: exactly once where the sink can tell,
 * retention on their own threads. */
#include "forward_world.h"

#include <sqlite3.h>
#include <sys/stat.h>

static char place[128];

static unsigned rows_in_database(const char *where)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    char sql[256];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM user_actions %s", where);
    assert_int_equal(sqlite3_open(place, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, WAIT_MS);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    unsigned n = (unsigned)sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

/* The file of `purpose` and of the day that the clock shows, as text. */
static char *read_lines(const char *purpose)
{
    char day[DAY_TEXT_MAX], name[256];
    char *text = calloc(1, 1u << 20);

    day_format(fake_wall(NULL), day);
    snprintf(name, sizeof(name), "%s/out.%s.%s.jsonl", w.folder, purpose, day);
    FILE *f = fopen(name, "r");
    if (f != NULL) {
        size_t n = fread(text, 1, (1u << 20) - 1, f);
        text[n] = '\0';
        fclose(f);
    }
    return text;
}

static unsigned lines_with(const char *purpose, const char *word)
{
    char *text = read_lines(purpose);
    unsigned n = count_in(text, word);

    free(text);
    return n;
}

static void a_database_takes_each_once_though_the_mark_is_lost(void **state)
{
    struct mark before, after;

    (void)state;
    add_destination(DESTINATION_SQLITE, file_path("events.db", place));
    w.conf[0].batch = 50;
    put((struct put){.count = 120});
    journal_get_mark(w.journal, w.dest[0].key, &before);
    before.destination = w.dest[0].key;
    start();
    put((struct put){.from = 120, .count = 30});
    expect((struct wanted){.accepted = 150});
    stop();
    /* as after a crash: rows are committed, the mark never got to disk */
    journal_set_mark(w.journal, &before);
    start();
    put((struct put){.from = 150, .count = 10});
    expect((struct wanted){.accepted = 160});
    assert_int_equal(rows_in_database(""), 160); /* they carry no event ids */
    journal_get_mark(w.journal, w.dest[0].key, &after);
    assert_int_equal(after.accepted, 160);
}

static void a_database_of_another_state_skips_nothing(void **state)
{
    const struct conf_destination c = {.path = file_path("events.db", place),
                                       .mode = 0600};
    struct sqlite_sink *s = NULL;

    (void)state;
    assert_int_equal(sqlite_sink_open(&c, &s), ST_OK);
    assert_int_equal(sqlite_sink_write(s, 100, 1u << 30, 7, NULL, 0, 1), ST_OK);
    sqlite_sink_close(s);
    add_destination(DESTINATION_SQLITE, place);
    put((struct put){.count = 5});
    start();
    expect((struct wanted){.accepted = 5});
    assert_int_equal(rows_in_database(""), 5);
}

static void an_exception_before_a_batch_has_its_row_first(void **state)
{
    static const uint8_t tag[TAG_BYTES] = {4};

    (void)state;
    add_destination(DESTINATION_SQLITE, file_path("events.db", place));
    put((struct put){.count = 3, .tag = tag, .tagged = 1});
    put((struct put){.from = 3, .count = 1, .expires_ms = -1});
    assert_int_equal(sweep_add(w.sweep, w.keys, 5, tag), ST_OK);
    start();
    expect((struct wanted){.accepted = 2, .swept = 1, .expired = 1});
    assert_int_equal(rows_in_database(""), 2);
    expect_rows(ACT_SWEPT, REASON_OPTED_OUT_THEN, 1);
    expect_rows(ACT_EXPIRED, REASON_EXPIRED_WAITING, 1);
    expect_mark_past(0);
}

static bool is_failing(void *ctx)
{
    (void)ctx;
    return facts(0).failing;
}

static void run_sql(const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(place, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, WAIT_MS);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Shuffled rows come out of order: the position that commits with them must
 * not pass one that is still to come. */
static void a_shuffled_database_loses_nothing_in_a_crash(void **state)
{
    (void)state;
    w.policy.destinations[0].release_boundary = true;
    w.policy.destinations[0].time_round_ms = 10 * MS_PER_MIN;
    add_destination(DESTINATION_SQLITE, file_path("events.db", place));
    w.conf[0].batch = 5;
    put((struct put){.count = 30, .id = true});
    put((struct put){.from = 30, .count = 10, .id = true});
    start();
    run_sql("CREATE TRIGGER half BEFORE INSERT ON user_actions"
            " WHEN (SELECT count(*) FROM user_actions) >= 20"
            " BEGIN SELECT RAISE(ABORT, 'half'); END");
    jump(10 * MS_PER_MIN); /* not yet so long that it moves */
    assert_true(reached(is_failing, NULL));
    assert_int_equal(rows_in_database(""), 20);
    stop(); /* its mark is before the first that is not written */
    run_sql("DROP TRIGGER half");
    start();
    expect((struct wanted){.accepted = 40});
    assert_int_equal(rows_in_database(""), 40);
}

static void a_busy_database_is_tried_again(void **state)
{
    sqlite3 *db = NULL;

    (void)state;
    add_destination(DESTINATION_SQLITE, file_path("events.db", place));
    start();
    assert_int_equal(sqlite3_open(place, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, WAIT_MS);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    put((struct put){.count = 5});
    assert_true(reached(is_failing, NULL));
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    jump(5 * MS_PER_MIN);
    expect((struct wanted){.accepted = 5});
    assert_int_equal(rows_in_database(""), 5);
}

static void a_file_is_cut_to_the_mark(void **state)
{
    struct mark middle;
    char name[256], day[DAY_TEXT_MAX];

    (void)state;
    add_destination(DESTINATION_JSONL, file_path("out.jsonl", place));
    w.conf[0].batch = 10;
    start();
    put((struct put){.count = 20});
    expect((struct wanted){.accepted = 20});
    assert_int_equal(lines_with("audience", "\n"), 20);
    journal_get_mark(w.journal, w.dest[0].key, &middle);
    assert_true(middle.file_length > 0);
    put((struct put){.from = 20, .count = 20});
    expect((struct wanted){.accepted = 40});
    stop();
    /* as after a crash: twenty lines and a torn one lie behind the mark */
    day_format(fake_wall(NULL), day);
    snprintf(name, sizeof(name), "%s/out.audience.%s.jsonl", w.folder, day);
    FILE *f = fopen(name, "a");
    assert_non_null(f);
    fputs("{\"n\":20,\"wo", f);
    fclose(f);
    journal_set_mark(w.journal, &middle);
    start();
    expect((struct wanted){.accepted = 40});
    assert_int_equal(lines_with("audience", "\n"), 40);
    assert_int_equal(lines_with("audience", "{\"n\":20,"), 1);
}

static void a_file_each_purpose(void **state)
{
    (void)state;
    w.policy.destinations[0].purpose_count = 2;
    w.policy.destinations[0].purpose_order[1] = 1;
    add_destination(DESTINATION_JSONL, file_path("out.jsonl", place));
    put((struct put){.count = 3, .group = "audience"});
    put((struct put){.from = 3, .count = 4, .group = "product"});
    put((struct put){.from = 7, .count = 2, .group = "gone"});
    start();
    expect((struct wanted){.accepted = 7, .purged = 2});
    assert_int_equal(lines_with("audience", "\n"), 3);
    assert_int_equal(lines_with("product", "\n"), 4);
    expect_rows(ACT_PURGED, REASON_POLICY_CHANGED, 2);
}

static void from_the_outage_store_lines_survive_a_restart(void **state)
{
    (void)state;
    add_destination(DESTINATION_JSONL, file_path("out.jsonl", place));
    start();
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, true), ST_OK);
    put((struct put){.count = 30});
    jump(16 * MS_PER_MIN); /* too long: it moves */
    expect_mark_past(0);
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, false), ST_OK);
    expect((struct wanted){.accepted = 30});
    stop();
    start();
    put((struct put){.from = 30, .count = 1});
    expect((struct wanted){.accepted = 31});
    assert_int_equal(lines_with("audience", "\n"), 31);
}

static bool has_run(void *ctx)
{
    struct retention_facts list[4];
    unsigned n = forward_retention_list(w.forward, list, 4);

    for (unsigned i = 0; i < n; i++)
        if (list[i].removed == *(uint64_t *)ctx)
            return true;
    return false;
}

static void retention_runs_each_hour_and_when_asked(void **state)
{
    uint64_t three = 3, one = 1;

    (void)state;
    add_destination(DESTINATION_SQLITE, file_path("events.db", place));
    start();
    put((struct put){.count = 3});
    expect((struct wanted){.accepted = 3});
    run_sql("UPDATE user_actions SET purpose = 'audience'");
    jump(10 * MS_PER_DAY + MS_PER_H); /* the hourly run comes by itself */
    assert_true(reached(has_run, &three));
    assert_int_equal(rows_in_database(""), 0);
    put((struct put){.from = 3, .count = 1});
    expect((struct wanted){.accepted = 4});
    run_sql("UPDATE user_actions SET purpose = 'audience', written_ms = 1");
    forward_retention_run(w.forward);
    assert_true(reached(has_run, &one));
    struct retention_facts x;
    assert_int_equal(forward_retention_list(w.forward, &x, 1), 1);
    assert_string_equal(x.purpose, "audience");
    assert_int_equal(x.overdue_ms, 0);
    assert_int_equal(x.oldest_ms, 0);
}

static void a_reload_keeps_what_is_open(void **state)
{
    (void)state;
    add_destination(DESTINATION_JSONL, file_path("out.jsonl", place));
    start();
    put((struct put){.count = 3});
    expect((struct wanted){.accepted = 3});
    configure();
    put((struct put){.from = 3, .count = 3});
    expect((struct wanted){.accepted = 6});
    assert_int_equal(lines_with("audience", "\n"), 6);
    char other[128];
    w.conf[0].path = file_path("other.jsonl", other);
    configure();
    put((struct put){.from = 6, .count = 1});
    expect((struct wanted){.accepted = 7});
    assert_int_equal(lines_with("audience", "\n"), 6);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_database_takes_each_once_though_the_mark_is_lost),
        T(a_database_of_another_state_skips_nothing),
        T(an_exception_before_a_batch_has_its_row_first),
        T(a_shuffled_database_loses_nothing_in_a_crash),
        T(a_busy_database_is_tried_again),
        T(a_file_is_cut_to_the_mark),
        T(a_file_each_purpose),
        T(from_the_outage_store_lines_survive_a_restart),
        T(retention_runs_each_hour_and_when_asked),
        T(a_reload_keeps_what_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
