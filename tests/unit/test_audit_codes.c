/* docs/audit.md holds the same tables as audit_codes.h, both ways. */
#include "lethe/audit_codes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DOCUMENT "docs/audit.md"

struct code {
    unsigned number;
    const char *text;
};

#define X(n, id, text) {n, text},
static const struct code acts[] = {AUDIT_ACTS(X)};
static const struct code reasons[] = {AUDIT_REASONS(X)};
static const struct code refusals[] = {AUDIT_REFUSALS(X)};
static const struct code sources[] = {AUDIT_SOURCES(X)};
static const struct code classes[] = {AUDIT_CLASSES(X)};
#undef X

#define COUNT(list) (sizeof(list) / sizeof(list[0]))

/* Lines "| 12 | late |" between the heading and the next one. */
static unsigned check_table(const char *heading, const struct code *codes,
                            size_t count)
{
    bool inside = false;
    unsigned rows = 0;
    char *line = NULL;
    size_t size = 0;
    FILE *f = fopen(DOCUMENT, "re");

    assert_non_null(f);
    while (getline(&line, &size, f) > 0) {
        unsigned number;
        char text[64];
        if (line[0] == '#')
            inside = strstr(line, heading) != NULL;
        if (!inside || sscanf(line, "| %u | %63s |", &number, text) != 2)
            continue;
        assert_true(rows < count); /* the document has more */
        assert_int_equal(number, codes[rows].number);
        assert_string_equal(text, codes[rows].text);
        rows++;
    }
    free(line);
    (void)fclose(f);
    return rows;
}

static void docs_and_code_have_the_same_tables(void **state)
{
    (void)state;
    assert_int_equal(check_table("Row acts", acts, COUNT(acts)), COUNT(acts));
    assert_int_equal(check_table("Reasons", reasons, COUNT(reasons)),
                     COUNT(reasons));
    assert_int_equal(check_table("Refusals", refusals, COUNT(refusals)),
                     COUNT(refusals));
    assert_int_equal(check_table("Sources", sources, COUNT(sources)),
                     COUNT(sources));
    assert_int_equal(check_table("Field classes", classes, COUNT(classes)),
                     COUNT(classes));
}

static void codes_fit_their_bytes_and_rise(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reasons); i++)
        assert_true(reasons[i].number == i && reasons[i].number < 256);
    for (size_t i = 0; i < COUNT(acts); i++)
        assert_true(acts[i].number == i + 1);
    for (size_t i = 0; i < COUNT(classes); i++)
        assert_true(classes[i].number == i && classes[i].number < 32);
    assert_string_equal(audit_reason_name(9), "gpc");
    assert_string_equal(audit_reason_name(250), "unknown");
    assert_string_equal(audit_act_name(0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docs_and_code_have_the_same_tables),
        cmocka_unit_test(codes_fit_their_bytes_and_rise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
