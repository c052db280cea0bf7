#include "lethe/gateway/sink/sink.h"
#include "lethe/policy/base/clock.h"

#include "folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY  20779 /* 2026-11-22 */
#define NOON ((int64_t)DAY * MS_PER_DAY + 12 * MS_PER_H)

struct place {
    char folder[64];
    char path[128];
    struct conf_destination conf;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    snprintf(p->folder, sizeof(p->folder), "/tmp/lethe-jsonl-XXXXXX");
    if (mkdtemp(p->folder) == NULL)
        return -1;
    snprintf(p->path, sizeof(p->path), "%s/user_analytics.jsonl", p->folder);
    p->conf = (struct conf_destination){
        .type = DESTINATION_JSONL, .path = p->path, .mode = 0640};
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    int rc = folder_remove(p->folder);
    free(p);
    return rc;
}

static void name_of(const struct place *p, const char *tail, char out[256])
{
    snprintf(out, 256, "%s/user_analytics.%s", p->folder, tail);
}

static void read_all(const struct place *p, const char *tail, char out[4096])
{
    char name[256];

    name_of(p, tail, name);
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, 4095, f);
    out[n] = '\0';
    fclose(f);
}

static void put(const struct place *p, const char *tail, const char *text)
{
    char name[256];

    name_of(p, tail, name);
    FILE *f = fopen(name, "a");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static struct fragment piece(const char *body)
{
    return (struct fragment){.body = slice_of(body)};
}

static void a_line_a_fragment_in_the_file_of_purpose_and_day(void **state)
{
    struct place *p = *state;
    const struct fragment f[2] = {piece("{\"a\":1}"), piece("{\"b\":2}")};
    struct mark mark = {0};
    struct file_sink *s = NULL;
    uint64_t length = 0;
    uint32_t day = 0;
    char text[4096], name[256];
    struct stat st;

    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_OK);
    assert_int_equal(jsonl_write(s, f, 2, NOON, &length, &day), ST_OK);
    read_all(p, "audience.2026-11-22.jsonl", text);
    assert_string_equal(text, "{\"a\":1}\n{\"b\":2}\n");
    assert_int_equal(length, 16);
    assert_int_equal(day, DAY);
    name_of(p, "audience.2026-11-22.jsonl", name);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    /* the next day is another file; a clock that steps back is not */
    assert_int_equal(jsonl_write(s, f, 1, NOON + MS_PER_DAY, &length, &day),
                     ST_OK);
    assert_int_equal(length, 8);
    assert_int_equal(day, DAY + 1);
    assert_int_equal(jsonl_write(s, f, 1, NOON, &length, &day), ST_OK);
    assert_int_equal(length, 16);
    assert_int_equal(day, DAY + 1);
    jsonl_close(s);
}

static void start_cuts_what_lies_behind_the_mark(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece("{\"n\":3}");
    struct mark mark = {.file_day = DAY, .file_length = 8};
    struct file_sink *s = NULL;
    uint64_t length;
    uint32_t day;
    char text[4096];

    put(p, "audience.2026-11-22.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\"");
    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_OK);
    assert_int_equal(jsonl_write(s, &f, 1, NOON, &length, &day), ST_OK);
    read_all(p, "audience.2026-11-22.jsonl", text);
    assert_string_equal(text, "{\"n\":1}\n{\"n\":3}\n");
    jsonl_close(s);
}

static void without_a_length_only_a_torn_line_is_cut(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece("{\"n\":3}");
    struct mark mark = {0};
    struct file_sink *s = NULL;
    uint64_t length;
    uint32_t day;
    char text[4096];

    put(p, "audience.2026-11-22.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\"");
    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_OK);
    assert_int_equal(jsonl_write(s, &f, 1, NOON, &length, &day), ST_OK);
    read_all(p, "audience.2026-11-22.jsonl", text);
    assert_string_equal(text, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    jsonl_close(s);
}

static void a_short_write_leaves_nothing(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece("{\"n\":1}");
    const struct rlimit small = {.rlim_cur = 12, .rlim_max = RLIM_INFINITY};
    struct rlimit former;
    struct mark mark = {0};
    struct file_sink *s = NULL;
    uint64_t length = 77;
    uint32_t day = 77;
    char text[4096];

    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_OK);
    assert_int_equal(jsonl_write(s, &f, 1, NOON, &length, &day), ST_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &former), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum status r = jsonl_write(s, &f, 1, NOON, &length, &day);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &former), 0);
    assert_int_equal(r, ST_FULL);
    assert_int_equal(length, 8);
    read_all(p, "audience.2026-11-22.jsonl", text);
    assert_string_equal(text, "{\"n\":1}\n");
    assert_int_equal(jsonl_write(s, &f, 1, NOON, &length, &day), ST_OK);
    read_all(p, "audience.2026-11-22.jsonl", text);
    assert_string_equal(text, "{\"n\":1}\n{\"n\":1}\n");
    jsonl_close(s);
}

static void a_removed_file_is_started_anew(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece("{\"n\":1}");
    struct mark mark = {0};
    struct file_sink *s = NULL;
    uint64_t length;
    uint32_t day;
    char name[256], text[4096];

    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_OK);
    assert_int_equal(jsonl_write(s, &f, 1, NOON, &length, &day), ST_OK);
    name_of(p, "audience.2026-11-22.jsonl", name);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(jsonl_write(s, &f, 1, NOON, &length, &day), ST_OK);
    read_all(p, "audience.2026-11-22.jsonl", text);
    assert_string_equal(text, "{\"n\":1}\n");
    jsonl_close(s);
}

static void refused_places(void **state)
{
    struct place *p = *state;
    const struct fragment f = piece("{}");
    struct mark mark = {0};
    struct file_sink *s = NULL;
    uint64_t length;
    uint32_t day;
    char name[256];

    assert_int_equal(jsonl_open(&p->conf, "../x", &mark, &s), ST_SYNTAX);
    p->conf.group = "no-such-group-anywhere";
    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_DENIED);
    p->conf.group = NULL;
    p->conf.path = "/nonexistent/x.jsonl";
    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_IO);
    p->conf.path = p->path;
    /* a symbolic link in place of the file */
    name_of(p, "audience.2026-11-22.jsonl", name);
    assert_int_equal(symlink("/tmp/elsewhere", name), 0);
    assert_int_equal(jsonl_open(&p->conf, "audience", &mark, &s), ST_OK);
    assert_int_equal(jsonl_write(s, &f, 1, NOON, &length, &day), ST_DENIED);
    jsonl_close(s);
}

static void retention_removes_whole_days_of_its_purpose(void **state)
{
    struct place *p = *state;
    uint64_t files = 0, bytes = 0;
    int64_t oldest = 0;
    char text[4096];

    put(p, "audience.2026-11-20.jsonl", "x\n");
    put(p, "audience.2026-11-21.jsonl", "yy\n");
    put(p, "audience.2026-11-22.jsonl", "z\n");
    put(p, "product.2026-11-20.jsonl", "other purpose\n");
    put(p, "audience.2026-11-20.jsonl.bak", "not ours\n");
    put(p, "audience.2026-99-20.jsonl", "no day\n");
    /* the 21st ends at the 22nd's first moment: that is not before it */
    assert_int_equal(jsonl_expire(p->path, "audience",
                                  (int64_t)DAY * MS_PER_DAY - 1, &files, &bytes,
                                  &oldest),
                     ST_OK);
    assert_int_equal(files, 1);
    assert_int_equal(bytes, 2);
    assert_int_equal(oldest, (int64_t)(DAY - 1) * MS_PER_DAY);
    assert_int_equal(jsonl_expire(p->path, "audience",
                                  (int64_t)DAY * MS_PER_DAY, &files, &bytes,
                                  &oldest),
                     ST_OK);
    assert_int_equal(files, 1);
    assert_int_equal(oldest, (int64_t)DAY * MS_PER_DAY);
    read_all(p, "audience.2026-11-22.jsonl", text);
    read_all(p, "product.2026-11-20.jsonl", text);
    read_all(p, "audience.2026-11-20.jsonl.bak", text);
    read_all(p, "audience.2026-99-20.jsonl", text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_line_a_fragment_in_the_file_of_purpose_and_day),
        T(start_cuts_what_lies_behind_the_mark),
        T(without_a_length_only_a_torn_line_is_cut),
        T(a_short_write_leaves_nothing),
        T(a_removed_file_is_started_anew),
        T(refused_places),
        T(retention_removes_whole_days_of_its_purpose),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
