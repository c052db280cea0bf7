/* Notes for the log that commands leave while no gateway runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lethe/gateway/pending.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT INT64_C(1795338000000)

static char folder[] = "/tmp/lethe-pending-XXXXXX";
static char path[64];

struct taken {
    unsigned count, strange;
    char last[200];
    enum status answer;
};

static enum status take(void *ctx, enum audit_record_act act, const char *why,
                        struct slice d)
{
    struct taken *t = ctx;

    t->count++;
    if (act == RECORD_ACT_COUNT)
        t->strange++;
    else
        (void)snprintf(t->last, sizeof(t->last), "%s %s %.*s",
                       audit_record_act_name(act), why, SLICE_ARG(d));
    return t->answer;
}

static void write_file(const char *text, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void notes_are_taken_once_and_in_order(void **state)
{
    struct taken t = {.answer = ST_OK};
    struct stat about;

    (void)state;
    assert_int_equal(pending_take(folder, take, &t), ST_OK); /* no file */
    assert_int_equal(t.count, 0);
    assert_int_equal(
        pending_add(folder, RECORD_OPTOUT_SET, "art:21", "\"sent\":0", AT),
        ST_OK);
    assert_int_equal(
        pending_add(folder, RECORD_AUDIT_READ, "ticket:search", "", AT), ST_OK);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(pending_take(folder, take, &t), ST_OK);
    assert_int_equal(t.count, 2);
    assert_string_equal(t.last, "audit.read ticket:search "
                                "{\"at\":\"2026-11-22T09:00:00.000Z\"}");
    assert_int_equal(access(path, F_OK), -1);
}

/* What could not be recorded stays for the next start. */
static void notes_stay_until_they_are_recorded(void **state)
{
    struct taken t = {.answer = ST_IO};

    (void)state;
    assert_int_equal(
        pending_add(folder, RECORD_SUBJECT_READ, "art:15", "\"ids\":1", AT),
        ST_OK);
    assert_int_equal(pending_take(folder, take, &t), ST_IO);
    assert_int_equal(access(path, F_OK), 0);
    t.answer = ST_OK;
    assert_int_equal(pending_take(folder, take, &t), ST_OK);
    assert_int_equal(t.count, 2);
    assert_string_equal(t.last,
                        "subject.read art:15 "
                        "{\"at\":\"2026-11-22T09:00:00.000Z\",\"ids\":1}");
}

/* Only what commands do gets into the log this way. */
static void strange_lines_are_told(void **state)
{
    static const char *const lines[] = {
        "policy.load pol:x {}\n", "batch timer {}\n", "audit.read\n",
        "audit.read \n",          " art:21 {}\n",     "\n",
        "audit.read  {}\n",       "optout.set art:21"};
    struct taken t = {.answer = ST_OK};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        t = (struct taken){.answer = ST_OK};
        write_file(lines[i], strlen(lines[i]));
        assert_int_equal(pending_take(folder, take, &t), ST_OK);
        assert_int_equal(t.count, 1);
        assert_int_equal(t.strange, 1);
    }
}

/* A command that died in the middle of its line spoils no other's. */
static void an_unfinished_line_stands_alone(void **state)
{
    struct taken t = {.answer = ST_OK};

    (void)state;
    write_file("audit.re", 8);
    assert_int_equal(
        pending_add(folder, RECORD_AUDIT_READ, "ticket:search", "", AT), ST_OK);
    assert_int_equal(pending_take(folder, take, &t), ST_OK);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.strange, 1);
    assert_non_null(strstr(t.last, "audit.read"));
}

static void limits_hold_at_and_one_beyond(void **state)
{
    struct taken t = {.answer = ST_OK};
    char members[PENDING_LINE_MAX];
    const int around =
        snprintf(members, sizeof(members), "%s %s {%s,}\n", "audit.read",
                 "ticket:search", "\"at\":\"2026-11-22T09:00:00.000Z\"");
    size_t room = PENDING_LINE_MAX - 1 - (size_t)around;

    (void)state;
    memset(members, 'x', sizeof(members));
    members[room + 1] = '\0';
    assert_int_equal(
        pending_add(folder, RECORD_AUDIT_READ, "ticket:search", members, AT),
        ST_LIMIT);
    members[room] = '\0';
    assert_int_equal(
        pending_add(folder, RECORD_AUDIT_READ, "ticket:search", members, AT),
        ST_OK);
    assert_int_equal(pending_take(folder, take, &t), ST_OK);
    assert_int_equal(t.count, 1);

    size_t line = (size_t)around - 1 + 1; /* no members: no comma; one spare
                                             for a line that is unfinished */
    write_file("", 0);
    assert_int_equal(truncate(path, (off_t)(PENDING_BYTES_MAX - line)), 0);
    assert_int_equal(
        pending_add(folder, RECORD_AUDIT_READ, "ticket:search", "", AT), ST_OK);
    assert_int_equal(truncate(path, (off_t)(PENDING_BYTES_MAX - line + 1)), 0);
    assert_int_equal(
        pending_add(folder, RECORD_AUDIT_READ, "ticket:search", "", AT),
        ST_LIMIT);
    assert_int_equal(unlink(path), 0);
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(
        pending_add(folder, RECORD_AUDIT_READ, "ticket:search", "", AT), ST_IO);
    assert_int_equal(unlink(path), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/audit-pending", folder);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_are_taken_once_and_in_order),
        cmocka_unit_test(notes_stay_until_they_are_recorded),
        cmocka_unit_test(strange_lines_are_told),
        cmocka_unit_test(an_unfinished_line_stands_alone),
        cmocka_unit_test(limits_hold_at_and_one_beyond),
        cmocka_unit_test(a_link_is_not_followed),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
