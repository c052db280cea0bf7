/* Trees of files that people wrote: comments, places, merging, RFC 8785. */
#include "lethe/policy/json_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct json_tree *read_good(const char *text)
{
    struct json_tree *t = NULL;
    struct json_complaint why;

    if (json_tree_read(slice_of(text), true, &t, &why) != ST_OK)
        fail_msg("%s: %u:%u: %s", text, why.place.line, why.place.column,
                 why.text);
    return t;
}

static void assert_refused(const char *text, bool comments, unsigned line,
                           unsigned column, const char *word)
{
    struct json_tree *t = NULL;
    struct json_complaint why;
    enum status st = json_tree_read(slice_of(text), comments, &t, &why);

    assert_true(st == ST_SYNTAX || st == ST_LIMIT);
    assert_null(t);
    if (why.place.line != line || why.place.column != column ||
        strstr(why.text, word) == NULL)
        fail_msg("%s: %u:%u: %s", text, why.place.line, why.place.column,
                 why.text);
}

static void assert_canonical(const char *text, const char *want)
{
    struct json_tree *t = read_good(text);
    struct buf b;

    buf_init(&b, 1u << 20);
    assert_int_equal(json_canonical(json_tree_root(t), &b), ST_OK);
    buf_put_char(&b, '\0');
    assert_string_equal(b.data, want);
    buf_free(&b);
    json_tree_free(t);
}

static void assert_place(const struct json_tree *t, const struct json_value *v,
                         unsigned line, unsigned column)
{
    struct json_place p = json_place_of(t, v);

    assert_non_null(v);
    assert_int_equal(p.line, line);
    assert_int_equal(p.column, column);
}

static void walks_values_of_every_kind(void **state)
{
    struct json_tree *t =
        read_good("{\"n\":-2.5,\"s\":\"\\u00e9\",\"b\":true,\"z\":null,"
                  "\"a\":[1,2],\"o\":{},\"S\":\"upper\"}");
    const struct json_value *root = json_tree_root(t);

    (void)state;
    assert_int_equal(json_kind_of(root), JSON_KIND_OBJECT);
    assert_int_equal(json_size(root), 7);
    assert_true(json_number(json_get(root, "n")) == -2.5);
    assert_true(slice_eq(json_string(json_get(root, "s")), SLICE("\xC3\xA9")));
    assert_true(slice_eq(json_string(json_get(root, "S")), SLICE("upper")));
    assert_true(json_bool(json_get(root, "b")));
    assert_int_equal(json_kind_of(json_get(root, "z")), JSON_KIND_NULL);
    assert_int_equal(json_size(json_get(root, "a")), 2);
    assert_null(json_child(json_get(root, "o")));
    assert_null(json_get(root, "N"));
    assert_null(json_get(json_get(root, "a"), "n"));

    const struct json_value *first = json_child(root);
    assert_true(slice_eq(json_name(first), SLICE("n")));
    assert_true(slice_eq(json_name(json_sibling(first)), SLICE("s")));
    assert_null(json_name(root).at);
    /* Asked as what they are not: neutral values. */
    assert_false(json_bool(json_get(root, "n")));
    assert_true(json_number(json_get(root, "s")) == 0);
    assert_null(json_string(json_get(root, "n")).at);
    json_tree_free(t);
    json_tree_free(NULL);
}

static void comments_leave_places_alone(void **state)
{
    struct json_tree *t =
        read_good("// one\n"
                  "{ /* two\n lines */ \"a\": 1, // \"x\": {\n"
                  "  \"b//c\": \"/* kept */\",\n"
                  "  \"d\\\"//\": [true, /**/ null]\n"
                  "}\n// end");
    const struct json_value *root = json_tree_root(t);

    (void)state;
    assert_int_equal(json_size(root), 3);
    assert_place(t, root, 2, 1);
    assert_place(t, json_get(root, "a"), 3, 16);
    assert_place(t, json_get(root, "b//c"), 4, 11);
    assert_true(
        slice_eq(json_string(json_get(root, "b//c")), SLICE("/* kept */")));
    assert_place(t, json_get(root, "d\"//"), 5, 12);
    assert_place(t, json_sibling(json_child(json_get(root, "d\"//"))), 5, 24);
    json_tree_free(t);
}

static void complaints_name_the_place(void **state)
{
    (void)state;
    assert_refused("{\"a\":1}\n// no", false, 2, 1, "end of the document");
    assert_refused("{ /* never\n\n closed }", true, 1, 3, "no end");
    assert_refused("{ /*/ }", true, 1, 3, "no end");
    assert_refused("{\n  \"a\": 1,\n  \"a\": 2\n}", true, 3, 3,
                   "\"a\" appears");
    assert_refused("{\"x\\\"y\":1,\n\"x\\\"y\" /* c */ :\n2}", true, 2, 1,
                   "x\\\"y");
    assert_refused("{\"\\\\\":1, \"\\\\\":2}", true, 1, 10, "\"\\\\\"");
    assert_refused("{\"a\":\n [1,\n  2,]}", true, 3, 5, "comma");
    assert_refused("{\"a\": [1, 2\n", true, 2, 1, "too early");
    assert_refused("", true, 1, 1, "too early");
    assert_refused("{\"a\": \"\xFF\"}", true, 1, 8, "UTF-8");
    assert_refused("{\"a\": \"\\u0000\"}", true, 1, 8, "U+0000");
    assert_refused("[\"\\ud800\"]", true, 1, 3, "surrogate");
    assert_refused("\xEF\xBB\xBF{}", true, 1, 1, "not JSON");
    assert_refused("/", true, 1, 1, "not JSON");
}

static void limits_at_and_beyond(void **state)
{
    struct json_tree *t = NULL;
    struct json_complaint why;
    char *text = malloc(JSON_FILE_MAX + 1);
    struct slice s = {text, JSON_FILE_MAX};

    (void)state;
    memset(text, ' ', JSON_FILE_MAX + 1);
    text[5] = '7';
    assert_int_equal(json_tree_read(s, true, &t, &why), ST_OK);
    assert_true(json_number(json_tree_root(t)) == 7);
    json_tree_free(t);
    t = NULL;
    s.len++;
    assert_int_equal(json_tree_read(s, true, &t, &why), ST_LIMIT);
    assert_null(t);
    assert_non_null(strstr(why.text, "larger than 4194304 bytes"));

    /* cJSON's own limit on a number's text. */
    memset(text, '1', 64);
    s.len = 63;
    assert_int_equal(json_tree_read(s, true, &t, &why), ST_OK);
    json_tree_free(t);
    t = NULL;
    s.len = 64;
    assert_int_equal(json_tree_read(s, true, &t, &why), ST_LIMIT);
    assert_int_equal(why.place.column, 1);
    free(text);
}

static void deep_trees_are_refused(void **state)
{
    char text[] = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                  "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";

    (void)state;
    assert_refused(text, true, 1, 33, "too deep");
}

static void reads_files(void **state)
{
    char path[] = "/tmp/lethe-json-XXXXXX";
    struct json_tree *t = NULL;
    struct json_complaint why;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "// c\n{\"a\":1}", 12), 12);
    assert_int_equal(close(fd), 0);
    assert_int_equal(json_tree_load(path, true, &t, &why), ST_OK);
    assert_place(t, json_get(json_tree_root(t), "a"), 2, 6);
    json_tree_free(t);
    t = NULL;
    assert_int_equal(json_tree_load(path, false, &t, &why), ST_SYNTAX);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(json_tree_load(path, true, &t, &why), ST_IO);
    assert_int_equal(json_tree_load("/tmp", true, &t, &why), ST_IO);
    assert_non_null(strstr(why.text, "cannot be read"));
    assert_null(t);
}

static void merges_key_by_key(void **state)
{
    struct json_tree *base =
        read_good("{\"a\":{\"x\":1,\"y\":[1,2]},\"b\":true,"
                  "\"c\":{\"d\":{\"e\":1}},\"f\":5}");
    struct json_tree *over =
        read_good("{\"a\":{\"y\":[3],\"z\":{\"n\":null,\"k\":2}},\n"
                  "\"b\":null,\"c\":{\"d\":7},\"f\":{\"g\":null},\"h\":0,"
                  "\"i\":null}");
    struct json_tree *t = NULL;
    struct buf b;

    (void)state;
    assert_int_equal(json_merge(base, over, &t), ST_OK);
    buf_init(&b, 4096);
    assert_int_equal(json_canonical(json_tree_root(t), &b), ST_OK);
    assert_true(slice_eq(buf_slice(&b),
                         SLICE("{\"a\":{\"x\":1,\"y\":[3],\"z\":{\"k\":2}},"
                               "\"c\":{\"d\":7},\"f\":{},\"h\":0}")));
    /* Places: of the upper file only. */
    const struct json_value *root = json_tree_root(t);
    assert_place(t, root, 1, 1);
    assert_place(t, json_get(json_get(root, "a"), "x"), 0, 0);
    assert_place(t, json_get(json_get(root, "a"), "y"), 1, 11);
    assert_place(t, json_child(json_get(json_get(root, "a"), "y")), 1, 12);
    assert_place(t, json_get(json_get(root, "c"), "d"), 2, 19);

    /* The result stands alone, and may be merged again. */
    json_tree_free(base);
    json_tree_free(over);
    struct json_tree *more = read_good("[1]"), *again = NULL;
    assert_int_equal(json_merge(t, more, &again), ST_OK);
    assert_int_equal(json_kind_of(json_tree_root(again)), JSON_KIND_ARRAY);
    json_tree_free(again);
    assert_int_equal(json_merge(more, t, &again), ST_OK);
    assert_place(again, json_get(json_get(json_tree_root(again), "c"), "d"), 2,
                 19);
    json_tree_free(again);
    json_tree_free(more);
    json_tree_free(t);
    buf_free(&b);
}

/* RFC 8785 appendix B, by IEEE 754 bits. */
static void canonical_numbers_are_ecmascripts(void **state)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } rows[] = {
        {UINT64_C(0x0000000000000000), "0"},
        {UINT64_C(0x8000000000000000), "0"},
        {UINT64_C(0x0000000000000001), "5e-324"},
        {UINT64_C(0x8000000000000001), "-5e-324"},
        {UINT64_C(0x7fefffffffffffff), "1.7976931348623157e+308"},
        {UINT64_C(0xffefffffffffffff), "-1.7976931348623157e+308"},
        {UINT64_C(0x4340000000000000), "9007199254740992"},
        {UINT64_C(0xc340000000000000), "-9007199254740992"},
        {UINT64_C(0x4430000000000000), "295147905179352830000"},
        {UINT64_C(0x44b52d02c7e14af5), "9.999999999999997e+22"},
        {UINT64_C(0x44b52d02c7e14af6), "1e+23"},
        {UINT64_C(0x44b52d02c7e14af7), "1.0000000000000001e+23"},
        {UINT64_C(0x444b1ae4d6e2ef4e), "999999999999999700000"},
        {UINT64_C(0x444b1ae4d6e2ef4f), "999999999999999900000"},
        {UINT64_C(0x444b1ae4d6e2ef50), "1e+21"},
        {UINT64_C(0x3eb0c6f7a0b5ed8c), "9.999999999999997e-7"},
        {UINT64_C(0x3eb0c6f7a0b5ed8d), "0.000001"},
        {UINT64_C(0x41b3de4355555553), "333333333.3333332"},
        {UINT64_C(0x41b3de4355555554), "333333333.33333325"},
        {UINT64_C(0x41b3de4355555555), "333333333.3333333"},
        {UINT64_C(0x41b3de4355555556), "333333333.3333334"},
        {UINT64_C(0x41b3de4355555557), "333333333.33333343"},
        {UINT64_C(0xbecbf647612f3696), "-0.0000033333333333333333"},
        {UINT64_C(0x43143ff3c1cb0959), "1424953923781206.2"},
        /* Not the RFC's: powers of two whose shortest form is not nearest. */
        {UINT64_C(0x0060000000000000), "7.120236347223045e-307"},
        {UINT64_C(0x0100000000000000), "7.291122019556398e-304"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];
        double v;
        memcpy(&v, &rows[i].bits, sizeof(v));
        (void)snprintf(text, sizeof(text), "%.17g", v);
        assert_canonical(text, rows[i].text);
    }
    assert_canonical("[1.0,10,1e2,0.1,-0.0,1E-7,123456.789]",
                     "[1,10,100,0.1,0,1e-7,123456.789]");
}

static void canonical_refuses_what_is_not_finite(void **state)
{
    struct json_tree *t = read_good("{\"a\":[1e999]}");
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(json_canonical(json_tree_root(t), &b), ST_TYPE);
    assert_int_equal(json_pretty(json_tree_root(t), &b), ST_TYPE);
    buf_free(&b);
    json_tree_free(t);
}

/* RFC 8785 3.2.3's own example, and prefixes. */
static void canonical_keys_are_in_utf16_order(void **state)
{
    (void)state;
    assert_canonical("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\","
                     "\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\","
                     "\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning "
                     "Face\",\"\\u0080\":\"Control\",\"\\u00f6\":\"Latin "
                     "Small Letter O With Diaeresis\"}",
                     "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":"
                     "\"Control\",\"\xC3\xB6\":\"Latin Small Letter O With "
                     "Diaeresis\",\"\xE2\x82\xAC\":\"Euro Sign\","
                     "\"\xF0\x9F\x98\x80\":\"Emoji: Grinning Face\","
                     "\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}");
    assert_canonical("{\"ab\":1,\"a\":2,\"\":3,\"A\":4}",
                     "{\"\":3,\"A\":4,\"a\":2,\"ab\":1}");
}

static void canonical_strings_escape_the_least(void **state)
{
    (void)state;
    assert_canonical("\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\""
                     "\\/\\b\\f\\t\\u007f\"",
                     "\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\\b\\f\\t"
                     "\x7F\"");
    assert_canonical(" [ true , false , null , { } , [ ] ] ",
                     "[true,false,null,{},[]]");
}

static void canonical_stops_at_the_cap(void **state)
{
    struct json_tree *t = read_good("{\"b\":[1,2],\"a\":\"text\"}");
    struct buf b;

    (void)state;
    buf_init(&b, 22); /* {"a":"text","b":[1,2]} */
    assert_int_equal(json_canonical(json_tree_root(t), &b), ST_OK);
    buf_free(&b);
    buf_init(&b, 21);
    assert_int_equal(json_canonical(json_tree_root(t), &b), ST_LIMIT);
    buf_reset(&b);
    assert_int_equal(json_pretty(json_tree_root(t), &b), ST_LIMIT);
    buf_free(&b);
    json_tree_free(t);
}

static void pretty_reads_well_and_comes_back(void **state)
{
    struct json_tree *t = read_good("{\"b\":[1,{\"c\":[]}],\"a\":{}}");
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(json_pretty(json_tree_root(t), &b), ST_OK);
    buf_put_char(&b, '\0');
    assert_string_equal(b.data,
                        "{\n  \"b\": [\n    1,\n    {\n      \"c\": []\n"
                        "    }\n  ],\n  \"a\": {}\n}");
    assert_canonical(b.data, "{\"a\":{},\"b\":[1,{\"c\":[]}]}");
    buf_free(&b);
    json_tree_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_values_of_every_kind),
        cmocka_unit_test(comments_leave_places_alone),
        cmocka_unit_test(complaints_name_the_place),
        cmocka_unit_test(limits_at_and_beyond),
        cmocka_unit_test(deep_trees_are_refused),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(merges_key_by_key),
        cmocka_unit_test(canonical_numbers_are_ecmascripts),
        cmocka_unit_test(canonical_refuses_what_is_not_finite),
        cmocka_unit_test(canonical_keys_are_in_utf16_order),
        cmocka_unit_test(canonical_strings_escape_the_least),
        cmocka_unit_test(canonical_stops_at_the_cap),
        cmocka_unit_test(pretty_reads_well_and_comes_back),
    };

    return cmocka_run_group_tests_name("json_tree", tests, NULL, NULL);
}
