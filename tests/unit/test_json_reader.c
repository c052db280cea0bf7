/* The strict reader: every limit at and one beyond, every fault, and
 * agreement with cJSON on documents that cJSON reads rightly. */
#include "lethe/policy/json_reader.h"

#include "lethe/policy/base/buf.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARENA_BYTES (256u << 20)

struct fixture {
    struct arena *arena;
    char *bytes; /* exactly sized, so that ASan sees one byte too many */
    const struct json_node *root;
    struct json_error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->arena = arena_new(ARENA_BYTES);
    *state = f;
    return f->arena == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_free(f->arena);
    free(f->bytes);
    free(f);
    return 0;
}

static enum status read_bytes(struct fixture *f, const char *text, size_t len)
{
    arena_reset(f->arena);
    free(f->bytes);
    f->bytes = malloc(len > 0 ? len : 1);
    memcpy(f->bytes, text, len);
    f->root = NULL;
    f->error = (struct json_error){JSON_FAULT_NONE, 0};
    return json_read(f->arena, f->bytes, len, &f->root, &f->error);
}

static enum status read_text(struct fixture *f, const char *text)
{
    return read_bytes(f, text, strlen(text));
}

static void assert_fault(struct fixture *f, const char *text,
                         enum json_fault fault)
{
    enum status st = read_text(f, text);

    if (st == ST_OK || f->error.fault != fault)
        fail_msg("%s: got %s, want %s", text, json_fault_name(f->error.fault),
                 json_fault_name(fault));
    assert_null(f->root); /* outputs are untouched on failure */
}

static void assert_string(struct fixture *f, const char *json,
                          struct slice want)
{
    if (read_text(f, json) != ST_OK)
        fail_msg("%s: %s", json, json_fault_name(f->error.fault));
    assert_int_equal(f->root->type, JSON_STRING);
    assert_int_equal(f->root->text.len, want.len);
    assert_memory_equal(f->root->text.at, want.at, want.len);
}

static void reads_every_type_in_one_run_of_nodes(void **state)
{
    struct fixture *f = *state;
    const struct json_node *n;

    assert_int_equal(read_text(f, " {\"a\":[1,-2.5e3,[]],\"b\":{\"c\":null},"
                                  "\"d\":true,\"e\":false,\"f\":\"x\"}\r\n\t"),
                     ST_OK);
    assert_int_equal(f->root->type, JSON_OBJECT);
    assert_int_equal(f->root->count, 5);
    assert_int_equal(f->root->span, 10);
    assert_null(f->root->key.at);

    n = json_first(f->root);
    assert_int_equal(n->type, JSON_ARRAY);
    assert_true(slice_eq(n->key, SLICE("a")));
    assert_int_equal(n->count, 3);
    assert_int_equal(n->span, 4);
    assert_int_equal(n->offset, 6);
    const struct json_node *item = json_first(n);
    assert_true(slice_eq(item->text, SLICE("1")));
    item = json_next(n, item);
    assert_true(slice_eq(item->text, SLICE("-2.5e3")));
    item = json_next(n, item);
    assert_int_equal(item->type, JSON_ARRAY);
    assert_null(json_first(item));
    assert_null(json_next(n, item));

    n = json_next(f->root, n);
    assert_int_equal(n->type, JSON_OBJECT);
    assert_int_equal(json_member(n, SLICE("c"))->type, JSON_NULL);
    n = json_next(f->root, n);
    assert_int_equal(n->type, JSON_TRUE);
    n = json_next(f->root, n);
    assert_int_equal(n->type, JSON_FALSE);
    n = json_next(f->root, n);
    assert_int_equal(n->type, JSON_STRING);
    assert_null(json_next(f->root, n));
}

static void member_is_exact_and_only_of_objects(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_text(f, "{\"Key\":1,\"\":2}"), ST_OK);
    assert_non_null(json_member(f->root, SLICE("Key")));
    assert_null(json_member(f->root, SLICE("key"))); /* cJSON would fold */
    assert_non_null(json_member(f->root, SLICE("")));
    assert_int_equal(read_text(f, "[1]"), ST_OK);
    assert_null(json_member(f->root, SLICE("")));
}

static void refuses_what_is_not_json(void **state)
{
    static const char *const texts[] = {
        "",          " ",         "{",           "[",
        "\"",        "\"a",       "tru",         "nul",
        "True",      "nan",       "[1,]",        "[,1]",
        "{\"a\":}",  "{\"a\"}",   "{a:1}",       "{\"a\":1,}",
        "{'a':1}",   "01",        "-",           "-01",
        "+1",        "1.",        ".5",          "1e",
        "1e+",       "0x1",       "[1 2]",       "[1]]",
        "\"\\x\"",   "\"\\u12\"", "\"\\u12g4\"", "\"\\",
        "\"\t\"",    "\"\n\"",    "[1}",         "{\"a\":1]",
        "// c\n1",   "1 /* c */", "\v1",         "\xEF\xBB\xBF{}",
        "{\"a\" 1}", "[\"a\":1]", "\"\\U0041\"", "-a",
        "{1:2}"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct fixture *f = *state;
        if (read_text(f, texts[i]) != ST_SYNTAX)
            fail_msg("taken: %s", texts[i]);
        assert_true(f->error.fault == JSON_FAULT_SYNTAX ||
                    f->error.fault == JSON_FAULT_TRAILING);
        assert_null(f->root);
    }
}

static void refuses_every_cut_of_a_document(void **state)
{
    static const char text[] =
        "{\"k\\u00e9\":[1.5e+3,\"\xC3\xA9\\ud83d\\ude00\",null],\"b\":true}";

    assert_int_equal(read_bytes(*state, text, sizeof(text) - 1), ST_OK);
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        assert_int_equal(read_bytes(*state, text, len), ST_SYNTAX);
}

static void trailing_bytes_are_named_and_placed(void **state)
{
    struct fixture *f = *state;

    assert_fault(f, "{} x", JSON_FAULT_TRAILING);
    assert_int_equal(f->error.offset, 3);
    assert_fault(f, "{}\n{}", JSON_FAULT_TRAILING);
    assert_int_equal(f->error.offset, 3);
}

static void unescapes_in_place(void **state)
{
    assert_string(*state, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                  SLICE("\"\\/\b\f\n\r\t"));
    assert_string(*state, "\"\\u0041\\u00e9\\u20AC\\uD83D\\ude00\"",
                  SLICE("A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
    assert_string(*state, "\"\\uFFFF\\uDBFF\\uDFFF\\u0001\\u007f\"",
                  SLICE("\xEF\xBF\xBF\xF4\x8F\xBF\xBF\x01\x7F"));
    assert_string(*state,
                  "\"a long run of plain text, \\u0041 and on and on"
                  " for more than sixteen bytes\\n\"",
                  SLICE("a long run of plain text, A and on and on"
                        " for more than sixteen bytes\n"));
    assert_string(*state, "\"\"", SLICE(""));
}

/* A stop byte at every position of the 16-byte steps and their rests. */
static void finds_the_end_at_every_alignment(void **state)
{
    struct fixture *f = *state;
    char text[80];

    for (size_t len = 0; len < 50; len++) {
        text[0] = '"';
        memset(text + 1, 'a', len);
        memcpy(text + 1 + len, "\\n\"", 4);
        assert_int_equal(read_text(f, text), ST_OK);
        assert_int_equal(f->root->text.len, len + 1);
        assert_int_equal(f->root->text.at[len], '\n');
        text[1 + len] = '\x1F';
        text[2 + len] = '"';
        text[3 + len] = '\0';
        assert_int_equal(read_text(f, text), ST_SYNTAX);
        assert_int_equal(f->error.offset, len + 1);
    }
}

static void surrogates_come_in_pairs(void **state)
{
    assert_fault(*state, "\"\\ud800\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "\"\\udc00\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "\"\\udfff\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "\"\\ud800x\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "\"\\ud800\\n\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "\"\\ud800\\ud800\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "\"\\ud800\\u0041\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "\"\\ude00\\ud83d\"", JSON_FAULT_SURROGATE);
    assert_fault(*state, "{\"\\ud800\":1}", JSON_FAULT_SURROGATE);
}

static void no_nul_raw_or_escaped(void **state)
{
    struct fixture *f = *state;

    assert_fault(f, "\"a\\u0000b\"", JSON_FAULT_NUL);
    assert_fault(f, "{\"\\u0000\":1}", JSON_FAULT_NUL);
    assert_int_equal(read_bytes(f, "\"a\0b\"", 5), ST_SYNTAX);
    assert_int_equal(f->error.fault, JSON_FAULT_NUL);
    assert_int_equal(read_bytes(f, "1\0", 2), ST_SYNTAX);
}

static void utf8_is_checked_to_the_last_table_row(void **state)
{
    static const struct {
        const char *bytes;
        bool good;
    } rows[] = {{"\xC2\x80", true},
                {"\xDF\xBF", true},
                {"\xE0\xA0\x80", true},
                {"\xED\x9F\xBF", true},
                {"\xEE\x80\x80", true},
                {"\xEF\xBF\xBF", true},
                {"\xF0\x90\x80\x80", true},
                {"\xF4\x8F\xBF\xBF", true},
                {"\xF1\x80\x80\x80", true},
                {"\x7F", true},
                {"\x80", false},
                {"\xBF", false},
                {"\xC0\x80", false},
                {"\xC1\xBF", false},
                {"\xC2", false},
                {"\xC2\x7F", false},
                {"\xC2\xC0", false},
                {"\xE0\x9F\xBF", false},
                {"\xE0\xA0", false},
                {"\xE0\xA0\x7F", false},
                {"\xED\xA0\x80", false},
                {"\xED\xBF\xBF", false},
                {"\xF0\x8F\xBF\xBF", false},
                {"\xF0\x90\x80", false},
                {"\xF4\x90\x80\x80", false},
                {"\xF5\x80\x80\x80", false},
                {"\xF8\x88\x80\x80", false},
                {"\xFF", false},
                {"\xFE", false},
                {"\xF1\x80\x80\xC0", false}};
    char text[40];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture *f = *state;
        (void)snprintf(text, sizeof(text), "[\"ab%sz\"]", rows[i].bytes);
        enum status st = read_text(f, text);
        if ((st == ST_OK) != rows[i].good)
            fail_msg("row %zu", i);
        if (!rows[i].good)
            assert_int_equal(f->error.fault, JSON_FAULT_UTF8);
    }
}

static void numbers_keep_their_text(void **state)
{
    static const char *const texts[] = {
        "0",    "-0",       "-0.0", "12345678901234567890123", "1e999",
        "1E-5", "1.0e+400", "0.1",  "9007199254740993"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct fixture *f = *state;
        assert_int_equal(read_text(f, texts[i]), ST_OK);
        assert_int_equal(f->root->type, JSON_NUMBER);
        assert_true(slice_eq(f->root->text, slice_of(texts[i])));
    }
}

static void number_limit(void **state)
{
    struct fixture *f = *state;
    char text[JSON_NUMBER_MAX + 2];

    memset(text, '7', sizeof(text));
    assert_int_equal(read_bytes(f, text, JSON_NUMBER_MAX), ST_OK);
    assert_int_equal(f->root->text.len, JSON_NUMBER_MAX);
    assert_int_equal(read_bytes(f, text, JSON_NUMBER_MAX + 1), ST_LIMIT);
    assert_int_equal(f->error.fault, JSON_FAULT_SIZE);
}

static void depth_limit(void **state)
{
    struct fixture *f = *state;
    char text[2 * JSON_DEPTH_MAX + 3];

    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_int_equal(read_bytes(f, text + 1, 2 * JSON_DEPTH_MAX), ST_OK);
    assert_int_equal(read_bytes(f, text, 2 * JSON_DEPTH_MAX + 2), ST_LIMIT);
    assert_int_equal(f->error.fault, JSON_FAULT_DEPTH);
    assert_int_equal(f->error.offset, JSON_DEPTH_MAX);
    /* Siblings do not add up. */
    assert_int_equal(read_text(f, "[[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
                                  "[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
                                  "[],[],[],[],[],[]]"),
                     ST_OK);
}

static void put_object(struct buf *b, unsigned members)
{
    buf_put_char(b, '{');
    for (unsigned i = 0; i < members; i++)
        buf_printf(b, "%s\"k%u\":%u", i == 0 ? "" : ",", i, i);
    buf_put_char(b, '}');
}

static void members_limit(void **state)
{
    struct fixture *f = *state;
    struct buf b;

    buf_init(&b, 1u << 20);
    put_object(&b, JSON_MEMBERS_MAX);
    assert_int_equal(read_bytes(f, b.data, b.len), ST_OK);
    assert_int_equal(f->root->count, JSON_MEMBERS_MAX);
    buf_reset(&b);
    put_object(&b, JSON_MEMBERS_MAX + 1);
    assert_int_equal(read_bytes(f, b.data, b.len), ST_LIMIT);
    assert_int_equal(f->error.fault, JSON_FAULT_SIZE);
    buf_free(&b);
}

static void nodes_limit(void **state)
{
    struct fixture *f = *state;
    size_t items = JSON_NODES_MAX - 1; /* and the array itself */
    char *text = malloc(2 * items + 3);

    text[0] = '[';
    for (size_t i = 0; i < items + 1; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    text[2 * items] = ']';
    assert_int_equal(read_bytes(f, text, 2 * items + 1), ST_OK);
    assert_int_equal(f->root->count, items);
    assert_int_equal(f->root->span, JSON_NODES_MAX);
    text[2 * items] = ',';
    text[2 * items + 2] = ']';
    assert_int_equal(read_bytes(f, text, 2 * items + 3), ST_LIMIT);
    assert_int_equal(f->error.fault, JSON_FAULT_SIZE);
    free(text);
}

static void arena_cap_is_nomem(void **state)
{
    struct fixture *f = *state;
    struct arena *small = arena_new(65536);
    char *text = malloc(20001);

    for (size_t i = 0; i < 10000; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    text[0] = '[';
    text[20000] = ']';
    assert_int_equal(json_read(small, text, 20001, &f->root, &f->error),
                     ST_NOMEM);
    assert_null(f->root);
    assert_int_equal(json_read(small, text, 20001, &f->root, NULL), ST_NOMEM);
    arena_free(small);
    free(text);
}

/* Commas and brackets inside strings only make the first guess larger. */
static void nodes_are_counted_right_at_every_length(void **state)
{
    struct fixture *f = *state;
    char text[12000];

    for (size_t items = 1; items < 5000; items += items < 70 ? 1 : 517) {
        size_t len = 0;
        text[len++] = '[';
        for (size_t i = 0; i < items; i++)
            len += (size_t)snprintf(text + len, 3, "%c,", '0' + (int)(i % 10));
        text[len - 1] = ']';
        assert_int_equal(read_bytes(f, text, len), ST_OK);
        assert_int_equal(f->root->count, items);
        assert_int_equal(f->root->span, items + 1);
    }
    assert_int_equal(read_text(f, "[[[{},{}],[],[[]]],\"[{,,,\"]"), ST_OK);
    assert_int_equal(f->root->span, 9);
}

static void repeated_keys_in_every_spelling(void **state)
{
    struct fixture *f = *state;

    assert_fault(f, "{\"a\":1,\"a\":1}", JSON_FAULT_REPEATED_KEY);
    assert_int_equal(f->error.offset, 11);
    assert_fault(f, "{\"a\":1,\"\\u0061\":2}", JSON_FAULT_REPEATED_KEY);
    assert_fault(f, "{\"\":1,\"b\":3,\"\":2}", JSON_FAULT_REPEATED_KEY);
    assert_fault(f, "[{\"x\":{\"/\":1,\"\\/\":2}}]", JSON_FAULT_REPEATED_KEY);
    assert_fault(f, "{\"\xC3\xA9\":1,\"\\u00E9\":2}", JSON_FAULT_REPEATED_KEY);
    /* The same key in different objects is fine. */
    assert_int_equal(read_text(f, "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}"),
                     ST_OK);
    assert_int_equal(read_text(f, "{\"a\":1,\"A\":2,\"a \":3}"), ST_OK);
}

/* One key twice, at every pair of places, in objects of every way. */
static void repeated_keys_in_objects_of_all_sizes(void **state)
{
    static const unsigned sizes[] = {2, 7, 8, 9, 10, 33, 100};
    struct fixture *f = *state;
    struct buf b;

    buf_init(&b, 1u << 20);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (unsigned twice = 1; twice < sizes[s]; twice++) {
            unsigned of = (twice * 31 + (unsigned)s) % twice;
            buf_reset(&b);
            buf_put_char(&b, '{');
            for (unsigned i = 0; i < sizes[s]; i++)
                buf_printf(&b, "%s\"key%u\":{\"a\":[1]}", i == 0 ? "" : ",",
                           i == twice ? of : i);
            buf_put_char(&b, '}');
            assert_int_equal(read_bytes(f, b.data, b.len), ST_SYNTAX);
            assert_int_equal(f->error.fault, JSON_FAULT_REPEATED_KEY);
        }
    buf_free(&b);
}

/* Keys that agree in length and in all bytes that the hash looks at: the
 * table gives up and sorting decides. */
static void put_colliding(struct buf *b, unsigned members, unsigned twice)
{
    buf_put_char(b, '{');
    for (unsigned i = 0; i < members; i++)
        buf_printf(b, "%s\"prefix--%06u--suffix\":0", i == 0 ? "" : ",",
                   i == twice ? 1 : i);
    buf_put_char(b, '}');
}

/* memcmp() is wrapped: the comparisons of whole keys are counted, so that
 * growth is tested without a clock. */
int __real_memcmp(const void *a, const void *b, size_t len);
int __wrap_memcmp(const void *a, const void *b, size_t len);

static unsigned long compared;

int __wrap_memcmp(const void *a, const void *b, size_t len)
{
    compared++;
    return __real_memcmp(a, b, len);
}

static void hostile_keys_cost_n_log_n(void **state)
{
    const unsigned long most = 40ul * JSON_MEMBERS_MAX; /* n*n/2 is 2048 n */
    struct fixture *f = *state;
    struct buf b;

    buf_init(&b, 1u << 20);
    put_colliding(&b, JSON_MEMBERS_MAX, 0xFFFFFF);
    compared = 0;
    assert_int_equal(read_bytes(f, b.data, b.len), ST_OK);
    assert_in_range(compared, JSON_MEMBERS_MAX, most);
    buf_reset(&b);
    put_object(&b, JSON_MEMBERS_MAX);
    compared = 0;
    assert_int_equal(read_bytes(f, b.data, b.len), ST_OK);
    assert_in_range(compared, 0, most);
    buf_free(&b);
}

static void colliding_keys_are_told_apart_and_found(void **state)
{
    struct fixture *f = *state;
    struct buf b;

    buf_init(&b, 1u << 20);
    put_colliding(&b, JSON_MEMBERS_MAX, 0xFFFFFF);
    assert_int_equal(read_bytes(f, b.data, b.len), ST_OK);
    buf_reset(&b);
    put_colliding(&b, JSON_MEMBERS_MAX, JSON_MEMBERS_MAX - 1);
    assert_int_equal(read_bytes(f, b.data, b.len), ST_SYNTAX);
    assert_int_equal(f->error.fault, JSON_FAULT_REPEATED_KEY);
    buf_free(&b);
}

/* Seeded documents: both readers must see the same thing. */
static uint64_t seed;

static unsigned pick(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % below;
}

static void make_string(struct buf *b)
{
    static const char *const parts[] = {"a",
                                        "Key",
                                        "\\n",
                                        "\\\"",
                                        "\\\\",
                                        "\\u00e9",
                                        "\xC3\xA9",
                                        "\\ud83d\\ude00",
                                        "a run of more than sixteen bytes",
                                        " ",
                                        "\xE2\x82\xAC",
                                        "\\/"};

    buf_put_char(b, '"');
    for (unsigned n = pick(5); n > 0; n--)
        buf_put(b, slice_of(parts[pick(sizeof(parts) / sizeof(parts[0]))]));
    buf_put_char(b, '"');
}

static void make_value(struct buf *b, unsigned depth)
{
    static const char *const words[] = {"true", "false", "null", "0",
                                        "-1.5", "1e3",   "[]",   "{}"};
    unsigned kind = pick(depth == 0 ? 2 : 4);

    if (kind == 0) {
        buf_put(b, slice_of(words[pick(8)]));
    } else if (kind == 1) {
        make_string(b);
    } else {
        buf_put_char(b, kind == 2 ? '[' : '{');
        for (unsigned i = 0, n = pick(12); i < n; i++) {
            buf_put(b, i == 0 ? SLICE("") : SLICE(" ,\n"));
            if (kind == 3)
                buf_printf(b, "\"k%u\" : ", i);
            make_value(b, depth - 1);
        }
        buf_put_char(b, kind == 2 ? ']' : '}');
    }
}

static void assert_same(const struct json_node *n, const cJSON *c)
{
    if (n->key.at != NULL) {
        assert_int_equal(strlen(c->string), n->key.len);
        assert_memory_equal(c->string, n->key.at, n->key.len);
    }
    if (cJSON_IsString(c)) {
        assert_int_equal(n->type, JSON_STRING);
        assert_int_equal(strlen(c->valuestring), n->text.len);
        assert_memory_equal(c->valuestring, n->text.at, n->text.len);
    } else if (cJSON_IsNumber(c)) {
        char text[JSON_NUMBER_MAX + 1] = {0};
        assert_int_equal(n->type, JSON_NUMBER);
        memcpy(text, n->text.at, n->text.len);
        assert_true(strtod(text, NULL) == c->valuedouble);
    } else if (cJSON_IsArray(c) || cJSON_IsObject(c)) {
        assert_int_equal(n->type, cJSON_IsArray(c) ? JSON_ARRAY : JSON_OBJECT);
        const struct json_node *child = json_first(n);
        for (const cJSON *i = c->child; i != NULL; i = i->next) {
            assert_non_null(child);
            assert_same(child, i);
            child = json_next(n, child);
        }
        assert_null(child);
    } else {
        assert_int_equal(n->type, cJSON_IsTrue(c)    ? JSON_TRUE
                                  : cJSON_IsFalse(c) ? JSON_FALSE
                                                     : JSON_NULL);
    }
}

static void agrees_with_cjson(void **state)
{
    struct fixture *f = *state;
    struct buf b;

    seed = 20261122;
    buf_init(&b, 4u << 20);
    for (unsigned i = 0; i < 2000; i++) {
        buf_reset(&b);
        make_value(&b, 1 + i % 5);
        assert_false(b.failed);
        assert_int_equal(read_bytes(f, b.data, b.len), ST_OK);
        cJSON *c = cJSON_ParseWithLength(b.data, b.len);
        assert_non_null(c);
        assert_same(f->root, c);
        cJSON_Delete(c);
    }
    buf_free(&b);
}

static void every_fault_has_a_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < JSON_FAULT_COUNT; i++)
        assert_non_null(json_fault_name((enum json_fault)i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_every_type_in_one_run_of_nodes),
        TEST(member_is_exact_and_only_of_objects),
        TEST(refuses_what_is_not_json),
        TEST(refuses_every_cut_of_a_document),
        TEST(trailing_bytes_are_named_and_placed),
        TEST(unescapes_in_place),
        TEST(finds_the_end_at_every_alignment),
        TEST(surrogates_come_in_pairs),
        TEST(no_nul_raw_or_escaped),
        TEST(utf8_is_checked_to_the_last_table_row),
        TEST(numbers_keep_their_text),
        TEST(number_limit),
        TEST(depth_limit),
        TEST(members_limit),
        TEST(nodes_limit),
        TEST(arena_cap_is_nomem),
        TEST(nodes_are_counted_right_at_every_length),
        TEST(repeated_keys_in_every_spelling),
        TEST(repeated_keys_in_objects_of_all_sizes),
        TEST(colliding_keys_are_told_apart_and_found),
        TEST(hostile_keys_cost_n_log_n),
        TEST(agrees_with_cjson),
        TEST(every_fault_has_a_name),
    };

    return cmocka_run_group_tests_name("json_reader", tests, NULL, NULL);
}
