/* Pairs of queries and form bodies, percent escapes, base64. */
#include "lethe/policy/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = arena_new(1u << 20);
    return *state == NULL;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

static void assert_text(struct slice got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.at, want, got.len) != 0)
        fail_msg("got %zu bytes, want \"%s\"", got.len, want);
}

static void pairs_come_in_order_and_empty_ones_do_not(void **state)
{
    struct slice rest = SLICE("&a=1&&b&=c&d=e=f&"), name, value;

    (void)state;
    assert_true(form_next(&rest, &name, &value));
    assert_text(name, "a");
    assert_text(value, "1");
    assert_true(form_next(&rest, &name, &value));
    assert_text(name, "b");
    assert_text(value, "");
    assert_true(form_next(&rest, &name, &value));
    assert_text(name, "");
    assert_text(value, "c");
    assert_true(form_next(&rest, &name, &value));
    assert_text(name, "d");
    assert_text(value, "e=f");
    assert_false(form_next(&rest, &name, &value));
    assert_int_equal(rest.len, 0);
}

static void escapes_are_undone_and_broken_ones_stay(void **state)
{
    static const struct {
        const char *raw, *want;
    } rows[] = {
        {"plain", "plain"}, {"a+b", "a b"},   {"%41%6a", "Aj"},
        {"%2B", "+"},       {"100%", "100%"}, {"%4", "%4"},
        {"%zz%41", "%zzA"}, {"%%41", "%A"},   {"%e2%82%AC", "\xE2\x82\xAC"},
        {"", ""},
    };
    struct slice out;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(form_decode(slice_of(rows[i].raw), *state, &out),
                         ST_OK);
        assert_text(out, rows[i].want);
    }
    assert_int_equal(form_decode(SLICE("a%00b"), *state, &out), ST_OK);
    assert_int_equal(out.len, 3);
    assert_int_equal(out.at[1], 0);
}

static void find_gives_the_first_value_of_a_name(void **state)
{
    struct slice out;
    struct slice form = SLICE("xdata=0&data=a%20b&data=c&empty=");

    assert_int_equal(form_find(form, SLICE("data"), *state, &out), ST_OK);
    assert_text(out, "a b");
    assert_int_equal(form_find(form, SLICE("none"), *state, &out), ST_OK);
    assert_null(out.at);
    assert_int_equal(form_find(form, SLICE("empty"), *state, &out), ST_OK);
    assert_non_null(out.at);
    assert_int_equal(out.len, 0);
}

static void assert_base64(struct arena *a, const char *text, const char *want)
{
    char *bytes;
    size_t len;

    assert_int_equal(base64_decode(slice_of(text), a, &bytes, &len), ST_OK);
    assert_text((struct slice){bytes, len}, want);
}

static void base64_of_both_alphabets_padded_or_not(void **state)
{
    static const char *const bad[] = {
        "A", "AAAAA", "AA=A", "A===", "====", "AA!A", "AA\nA"};
    char *bytes;
    size_t len;

    assert_base64(*state, "", "");
    assert_base64(*state, "Zg==", "f");
    assert_base64(*state, "Zg", "f");
    assert_base64(*state, "Zm8=", "fo");
    assert_base64(*state, "Zm9v", "foo");
    assert_base64(*state, "Zm9vYmFy", "foobar");
    assert_base64(*state, "fn5+fn9/", "~~~~\x7f\x7f");
    assert_base64(*state, "fn5 fn9_", "~~~~\x7f\x7f");
    assert_base64(*state, "fn5-fn9_", "~~~~\x7f\x7f");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (base64_decode(slice_of(bad[i]), *state, &bytes, &len) != ST_SYNTAX)
            fail_msg("%s", bad[i]);
}

static void a_full_arena_is_no_memory(void **state)
{
    struct arena *small = arena_new(16);
    struct slice out;
    char *bytes, text[70000];
    size_t len;

    (void)state;
    memset(text, 'A', sizeof(text));
    while (arena_alloc(small, 4096) != NULL)
        continue;
    assert_int_equal(
        base64_decode((struct slice){text, 68000}, small, &bytes, &len),
        ST_NOMEM);
    text[0] = '+';
    assert_int_equal(
        form_decode((struct slice){text, sizeof(text)}, small, &out), ST_NOMEM);
    arena_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_in_order_and_empty_ones_do_not),
        cmocka_unit_test(escapes_are_undone_and_broken_ones_stay),
        cmocka_unit_test(find_gives_the_first_value_of_a_name),
        cmocka_unit_test(base64_of_both_alphabets_padded_or_not),
        cmocka_unit_test(a_full_arena_is_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
