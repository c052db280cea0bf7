/* Tokens: shown once, kept hashed, limited, revocable. */
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/tokens.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW INT64_C(1795305600000)

static char folder[] = "/tmp/lethe-tokens-XXXXXX";
static char path[64], text[TOKEN_TEXT_MAX], id[13];
static struct tokens *t;

static void reopen(void)
{
    tokens_close(t);
    t = NULL;
    assert_int_equal(tokens_open(path, &t), ST_OK);
}

static enum status check(const char *token, int64_t now,
                         struct token_facts *out)
{
    return tokens_check(t, slice_of(token), now, out);
}

static void a_token_is_known_by_its_text_only(void **state)
{
    static const char *const sites[] = {"9f2c41d07a6be835", "0011223344556677"};
    struct token_facts f;
    char file[4096] = {0};

    (void)state;
    assert_int_equal(
        tokens_add(t, ROLE_APP, sites, 2, "the \"shop\" app", 0, NOW, text, id),
        ST_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(check(text, NOW, &f), ST_OK);
        assert_string_equal(f.id, id);
        assert_string_equal(f.label, "the \"shop\" app");
        assert_int_equal(f.role, ROLE_APP);
        assert_int_equal(f.site_count, 2);
        assert_string_equal(f.sites[1], sites[1]);
        assert_true(token_covers(&f, sites[1]));
        assert_false(token_covers(&f, "0011223344556678"));
        assert_false(token_covers(&f, ""));
        assert_int_equal(f.made_ms, NOW);
        reopen();
    }
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, file, sizeof(file) - 1) > 0);
    (void)close(fd);
    assert_null(strstr(file, text));
    assert_null(strstr(file, text + 4));
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) { /* no other text */
        char c = text[i];
        text[i] = c == 'x' ? 'y' : 'x';
        assert_int_equal(check(text, NOW, &f), ST_UNKNOWN);
        text[i] = c;
        assert_int_equal(tokens_check(t, (struct slice){text, i}, NOW, &f),
                         ST_UNKNOWN);
    }
    assert_int_equal(check(id, NOW, &f), ST_UNKNOWN);
}

static void a_token_expires_and_is_revoked(void **state)
{
    struct token_facts f;
    char other[TOKEN_TEXT_MAX], other_id[13];

    (void)state;
    assert_int_equal(
        tokens_add(t, ROLE_OFFICER, NULL, 0, "", NOW + 10, NOW, text, id),
        ST_OK);
    assert_int_equal(
        tokens_add(t, ROLE_OWNER, NULL, 0, "x", 0, NOW, other, other_id),
        ST_OK);
    assert_string_not_equal(text, other);
    assert_int_equal(check(text, NOW + 9, &f), ST_OK);
    assert_int_equal(check(text, NOW + 10, &f), ST_UNKNOWN);
    assert_int_equal(tokens_revoke(t, id), ST_OK);
    assert_int_equal(tokens_revoke(t, id), ST_UNKNOWN);
    assert_int_equal(check(text, NOW, &f), ST_UNKNOWN);
    reopen();
    assert_int_equal(check(text, NOW, &f), ST_UNKNOWN);
    assert_int_equal(check(other, NOW, &f), ST_OK);
    assert_int_equal(tokens_list(t, &f, 1), 1);
    assert_string_equal(f.id, other_id);
    assert_true(token_covers(&f, "any"));
}

static void limits(void **state)
{
    const char *many[TOKEN_SITES_MAX + 1];
    char label[66];
    struct token_facts *list = calloc(TOKENS_MAX + 1, sizeof(*list));

    (void)state;
    for (unsigned i = 0; i <= TOKEN_SITES_MAX; i++)
        many[i] = "9f2c41d07a6be835";
    memset(label, 'a', sizeof(label));
    label[65] = '\0';
    assert_int_equal(tokens_add(t, ROLE_APP, NULL, 0, label, 0, NOW, text, id),
                     ST_TYPE);
    label[64] = '\0';
    assert_int_equal(tokens_add(t, ROLE_APP, many, 17, label, 0, NOW, text, id),
                     ST_LIMIT);
    assert_int_equal(tokens_add(t, ROLE_APP, NULL, 0, "a\nb", 0, NOW, text, id),
                     ST_TYPE);
    assert_int_equal(tokens_add(t, ROLE_LOCAL, NULL, 0, "", 0, NOW, text, id),
                     ST_TYPE);
    assert_int_equal(
        tokens_add(t, ROLE_APP | ROLE_OFFICER, NULL, 0, "", 0, NOW, text, id),
        ST_TYPE);
    for (unsigned i = 0; i < TOKENS_MAX; i++)
        assert_int_equal(
            tokens_add(t, ROLE_APP, many, 16, label, 0, NOW, text, id), ST_OK);
    assert_int_equal(tokens_add(t, ROLE_APP, NULL, 0, "", 0, NOW, text, id),
                     ST_LIMIT);
    reopen();
    assert_int_equal(tokens_list(t, list, TOKENS_MAX + 1), TOKENS_MAX);
    free(list);
}

static void a_file_others_can_touch_is_refused(void **state)
{
    struct tokens *other = NULL;

    (void)state;
    assert_int_equal(tokens_add(t, ROLE_APP, NULL, 0, "", 0, NOW, text, id),
                     ST_OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(tokens_open(path, &other), ST_DENIED);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(tokens_open(path, &other), ST_CORRUPT);
    assert_null(other);
}

static void roles_have_names(void **state)
{
    (void)state;
    for (unsigned role = 1; role < ROLE_LOCAL; role *= 2)
        assert_int_equal(token_role_of(slice_of(token_role_name(role))), role);
    assert_int_equal(token_role_of(SLICE("local")), 0);
    assert_int_equal(token_role_of(SLICE("Officer")), 0);
    assert_int_equal(token_role_of(SLICE_NONE), 0);
}

static int fresh(void **state)
{
    (void)state;
    (void)unlink(path);
    return tokens_open(path, &t) != ST_OK;
}

static int done(void **state)
{
    (void)state;
    tokens_close(t);
    t = NULL;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || secrets_init() != ST_OK)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/tokens.json", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_token_is_known_by_its_text_only),
        CASE(a_token_expires_and_is_revoked),
        CASE(limits),
        CASE(a_file_others_can_touch_is_refused),
        CASE(roles_have_names),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
