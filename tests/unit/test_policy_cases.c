/* Walks tests/policy: each folder holds policy.json and either `error` (every
 * problem, a line each, as policy_load says it) or `expected` (the effective
 * policy, then warnings). LETHE_WRITE_EXPECTED=1 writes the files anew: read
 * the difference before it is committed. */
#include "lethe/policy/policy_text.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants the four above first */
#include <cmocka.h>

#define TEXT_MAX (1u << 20)
#define ROOT     "tests/policy"

static struct policy_problems problems;

static bool read_file(const char *name, const char *file, struct buf *out)
{
    char path[512], chunk[4096];
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/%s/%s", ROOT, name, file);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_put_bytes(out, chunk, n);
    (void)fclose(f);
    return true;
}

static void write_file(const char *name, const char *file, struct slice s)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s/%s", ROOT, name, file);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s.at, 1, s.len, f), s.len);
    assert_int_equal(fclose(f), 0);
}

static void put_problems(bool warnings, struct buf *out)
{
    for (unsigned i = 0; i < problems.count; i++) {
        const struct policy_problem *one = &problems.list[i];
        if (one->warning == warnings)
            buf_printf(out, "%s:%u:%u: %s%s\n", one->file, one->place.line,
                       one->place.column, warnings ? "warning: " : "",
                       one->text);
    }
}

/* What loading says now; `file` is where it should stand. */
static const char *outcome(const char *name, struct buf *out)
{
    struct policy *p = NULL;
    struct buf text;

    buf_init(&text, TEXT_MAX);
    assert_true(read_file(name, "policy.json", &text));
    enum status st = policy_load(buf_slice(&text), "policy.json",
                                 policy_shipped, NULL, &p, &problems);
    buf_free(&text);
    if (st != ST_OK) {
        assert_true(st == ST_SYNTAX || st == ST_TYPE || st == ST_LIMIT);
        assert_true(problems.errors > 0);
        put_problems(false, out);
        return "error";
    }
    assert_int_equal(policy_show_effective(p, out), ST_OK);
    put_problems(true, out);
    policy_unref(p);
    return "expected";
}

static bool one_case(const char *name)
{
    struct buf is, should;

    buf_init(&is, TEXT_MAX);
    buf_init(&should, TEXT_MAX);
    const char *file = outcome(name, &is);
    if (getenv("LETHE_WRITE_EXPECTED") != NULL)
        write_file(name, file, buf_slice(&is));
    bool same = read_file(name, file, &should) &&
                slice_eq(buf_slice(&is), buf_slice(&should));
    if (!same)
        print_message("%s: %s differs; now:\n%.*s\n", name, file,
                      SLICE_ARG(buf_slice(&is)));
    buf_free(&is);
    buf_free(&should);
    return same;
}

static void every_case_ends_as_written(void **state)
{
    struct dirent **names = NULL;
    int count = scandir(ROOT, &names, NULL, alphasort);
    unsigned bad = 0, refusals = 0;

    (void)state;
    assert_true(count > 2);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            bad += one_case(names[i]->d_name) ? 0u : 1u;
            refusals += problems.errors > 0 ? 1u : 0u;
        }
        free(names[i]);
    }
    free(names);
    assert_int_equal(bad, 0);
    assert_true(refusals >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_ends_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
