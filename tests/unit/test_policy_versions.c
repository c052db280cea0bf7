/* Which content a version stood for: kept, bounded, never half written. */
#include "lethe/gateway/policy_versions.h"
#include "lethe/policy/policy.h"

#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SITE "9f2c41d07a6be835"

static char folder[] = "/tmp/lethe-versions-XXXXXX";
static char path[64], beside[72];
static struct policy_versions *v;

static const uint8_t A[32] = {0xa}, B[32] = {0xb};

static void reopen(void)
{
    policy_versions_close(v);
    v = NULL;
    assert_int_equal(policy_versions_open(path, &v), ST_OK);
}

static struct policy_version version(const char *site, const char *text,
                                     const uint8_t hash[32])
{
    return (struct policy_version){slice_of(site), slice_of(text), hash};
}

static bool hold(const char *site, const char *text, const uint8_t hash[32])
{
    const struct policy_version p = version(site, text, hash);

    return policy_versions_hold(v, &p);
}

static enum status note(const char *text, const uint8_t hash[32])
{
    const struct policy_version p = version(SITE, text, hash);

    return policy_versions_note(v, &p, 1, 7);
}

static void a_version_means_the_same_for_ever(void **state)
{
    (void)state;
    assert_true(hold(SITE, "1", A));
    assert_int_equal(note("1", A), ST_OK);
    assert_int_equal(note("2 \"b\"\n", B), ST_OK);
    for (int i = 0; i < 2; i++) {
        assert_true(hold(SITE, "1", A));
        assert_false(hold(SITE, "1", B));
        assert_true(hold(SITE, "2 \"b\"\n", B));
        assert_false(hold(SITE, "2 \"b\"\n", A));
        assert_true(hold(SITE, "3", A));
        /* each site has versions of its own */
        assert_true(hold("0011223344556677", "1", B));
        reopen();
    }
}

static int64_t since(const char *text)
{
    const struct policy_version p = version(SITE, text, A);

    return policy_versions_since(v, &p);
}

static enum status note_at(const char *text, int64_t ms)
{
    const struct policy_version p = version(SITE, text, A);

    return policy_versions_note(v, &p, 1, ms);
}

static void r63_the_version_in_force_tells_since_when(void **state)
{
    (void)state;
    assert_int_equal(since("1"), 0);
    assert_int_equal(note_at("1", 1000), ST_OK);
    assert_int_equal(note_at("1", 2000), ST_OK); /* a restart */
    assert_int_equal(since("1"), 1000);
    assert_int_equal(note_at("2", INT64_C(1764094000123)), ST_OK);
    reopen();
    assert_int_equal(since("1"), 0);
    assert_int_equal(since("2"), INT64_C(1764094000123));
    assert_int_equal(note_at("1", 4000), ST_OK); /* and back */
    reopen();
    assert_int_equal(since("2"), 0);
    assert_int_equal(since("1"), 4000);
    assert_false(hold(SITE, "1", B));
    assert_false(hold(SITE, "2", B));
}

static void several_sites_in_one_write(void **state)
{
    const struct policy_version list[] = {
        version(SITE, "1", A), version("0011223344556677", "1", B),
        version(SITE, "1", B) /* known by then: the first one stands */
    };

    (void)state;
    assert_int_equal(policy_versions_note(v, list, 3, 7), ST_OK);
    reopen();
    assert_false(hold(SITE, "1", B));
    assert_false(hold("0011223344556677", "1", A));
}

static void what_cannot_be_written_is_not_noted(void **state)
{
    (void)state;
    assert_int_equal(note("1", A), ST_OK);
    assert_int_equal(mkdir(beside, 0700), 0); /* in the way */
    assert_int_equal(note("2", A), ST_IO);
    assert_true(hold(SITE, "2", B));
    assert_int_equal(note("1", A), ST_OK); /* nothing new: nothing to write */
    assert_int_equal(rmdir(beside), 0);
    assert_int_equal(note("2", B), ST_OK);
    assert_false(hold(SITE, "2", A));
}

static void the_oldest_is_forgotten_beyond_the_limit(void **state)
{
    static struct policy_version list[POLICY_VERSIONS_MAX];
    static char texts[POLICY_VERSIONS_MAX][POLICY_NAME_MAX + 1];
    static char id[65];

    (void)state;
    /* the longest there can be fit the file */
    memset(id, 'f', 64);
    for (unsigned i = 0; i < POLICY_VERSIONS_MAX; i++) {
        memset(texts[i], 1, POLICY_NAME_MAX);
        (void)snprintf(texts[i], sizeof(texts[i]), "%06u", i);
        texts[i][6] = '\x01';
        list[i] = version(id, texts[i], A);
    }
    assert_int_equal(policy_versions_note(v, list, POLICY_VERSIONS_MAX, 7),
                     ST_OK);
    reopen();
    assert_false(hold(id, texts[0], B));
    assert_int_equal(note("one more", A), ST_OK);
    reopen();
    assert_true(hold(id, texts[0], B));
    assert_false(hold(id, texts[1], B));
    assert_false(hold(SITE, "one more", B));
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void a_damaged_file_is_no_empty_list(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"policies\":[{}]}",
        "{\"policies\":[{\"site\":\"a\",\"version\":\"1\",\"hash\":\"00\"}]}",
        "{\"policies\":{\"site\":1}}",
        "{\"policies\":[{\"site\":\"a\",\"version\":\"1\",\"since\":-1,"
        "\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}"
        "]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct policy_versions *other = NULL;
        write_file(bad[i]);
        assert_int_equal(policy_versions_open(path, &other), ST_CORRUPT);
        assert_null(other);
    }
}

static int setup(void **state)
{
    (void)state;
    (void)unlink(path);
    return policy_versions_open(path, &v) != ST_OK;
}

static int teardown(void **state)
{
    (void)state;
    policy_versions_close(v);
    v = NULL;
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    return folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_version_means_the_same_for_ever,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            r63_the_version_in_force_tells_since_when, setup, teardown),
        cmocka_unit_test_setup_teardown(several_sites_in_one_write, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_not_noted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_oldest_is_forgotten_beyond_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_no_empty_list, setup,
                                        teardown),
    };

    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/versions", folder);
    (void)snprintf(beside, sizeof(beside), "%s.new", path);
    return cmocka_run_group_tests(tests, NULL, drop_folder);
}
