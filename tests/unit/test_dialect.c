/* Plain events: framing, fields, keys, limits, answers. */
#include "lethe/policy/dialect.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/hit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HITS_MAX 64

struct fixture {
    struct arena *arena;
    const struct dialect_route *plain;
    struct dialect_call call;
    struct beacon beacon;
    char *body;
    struct hit hits[HITS_MAX];
    unsigned hit_count;
    unsigned stop_at; /* the sink refuses this hit, from 1; 0 = none */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    bool ok;

    f->arena = arena_new(256u << 20);
    f->plain = dialect_find(SLICE("POST"), SLICE("/v1/events"), &ok);
    f->beacon.method = SLICE("POST");
    f->beacon.path = SLICE("/v1/events");
    f->beacon.content_type = SLICE("application/json");
    f->beacon.address = SLICE("192.0.2.7");
    f->beacon.user_agent = SLICE("agent/1");
    f->beacon.language = SLICE("de-AT,de;q=0.9");
    f->beacon.referrer = SLICE("https://app.example/secret");
    *state = f;
    return f->arena == NULL || f->plain == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_free(f->arena);
    free(f->body);
    free(f);
    return 0;
}

static enum status keep(void *ctx, struct hit *h)
{
    struct fixture *f = ctx;

    if (f->hit_count + 1 == f->stop_at)
        return ST_FULL;
    f->hits[f->hit_count % HITS_MAX] = *h;
    f->hit_count++;
    return ST_OK;
}

static enum status decode_bytes(struct fixture *f, const char *text, size_t len)
{
    arena_reset(f->arena);
    free(f->body);
    f->body = malloc(len > 0 ? len : 1);
    memcpy(f->body, text, len);
    f->beacon.body = f->body;
    f->beacon.body_len = len;
    f->hit_count = 0;
    dialect_begin(&f->call, f->plain, &f->beacon, f->arena);
    memset(&f->call.decoded, 0xFF, sizeof(f->call.decoded));
    enum status st = dialect_read(&f->call);
    return st == ST_OK ? dialect_decode(&f->call, keep, f) : st;
}

static enum status decode(struct fixture *f, const char *text)
{
    return decode_bytes(f, text, strlen(text));
}

static const struct hit *decode_one(struct fixture *f, const char *text)
{
    enum status st = decode(f, text);

    if (st != ST_OK || f->hit_count != 1)
        fail_msg("%s: %s, %u hits", text, status_name(st), f->hit_count);
    assert_int_equal(f->call.decoded.received, 1);
    assert_int_equal(f->call.decoded.understood, 1);
    return &f->hits[0];
}

static void assert_bad(struct fixture *f, const char *text)
{
    enum status st = decode(f, text);

    if (st != ST_SYNTAX)
        fail_msg("%s: %s", text, status_name(st));
    assert_int_equal(f->hit_count, 0);
    assert_int_equal(f->call.decoded.understood, 0);
}

static void assert_text(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.at, want, got.len);
}

static void assert_reply(struct fixture *f, const char *want)
{
    struct reply r;

    dialect_reply(&f->call, &r);
    assert_int_equal(r.status, 200);
    assert_text(r.content_type, "application/json");
    assert_text(r.body, want);
}

static void is_found_by_path_and_method(void **state)
{
    struct fixture *f = *state;
    bool ok = false;

    assert_non_null(f->plain);
    assert_string_equal(dialect_name(f->plain), "plain");
    assert_int_equal(dialect_source(f->plain), SOURCE_PLAIN);
    assert_null(dialect_find(SLICE("GET"), SLICE("/v1/events"), &ok));
    assert_false(ok);
    assert_null(dialect_find(SLICE("POST"), SLICE("/v1/event"), &ok));
    assert_true(ok);
    assert_null(dialect_find(SLICE("POST"), SLICE("/v1/events/"), &ok));
    assert_true(ok);
}

static void reads_every_field(void **state)
{
    struct fixture *f = *state;
    const struct hit *h = decode_one(
        f, "{\"timestamp\":\"2026-11-22T10:00:00.250+01:00\","
           "\"session_id\":\"s-1\",\"user_id\":\"Jane@X.test\","
           "\"device_id\":12345678901234567890,\"group_id\":\"G\","
           "\"action\":\"file_upload\",\"details\":{\"size\":1},"
           "\"id\":\"e-1\",\"consent\":{\"analytics\":true},"
           "\"context\":{\"url\":\"https://a/\",\"referrer\":\"https://b/\","
           "\"title\":\"T\",\"user_agent\":\"ua\",\"language\":\"fr\","
           "\"screen\":\"1x2\",\"campaign\":\"c\",\"ip\":\"198.51.100.1\","
           "\"gpc\":true,\"dnt\":1,\"else\":[]},\"else\":{}}");

    assert_text(h->name, "file_upload");
    assert_text(h->client_id, "e-1");
    assert_int_equal(h->identifier_count, 4);
    assert_int_equal(h->identifiers[0].kind, ID_USER);
    assert_text(h->identifiers[0].exact, "Jane@X.test");
    assert_text(h->identifiers[0].canonical, "jane@x.test");
    assert_int_equal(h->identifiers[1].kind, ID_DEVICE);
    assert_text(h->identifiers[1].exact, "12345678901234567890");
    assert_int_equal(h->identifiers[2].kind, ID_SESSION);
    assert_int_equal(h->identifiers[3].kind, ID_GROUP);
    assert_text(h->context[CTX_URL], "https://a/");
    assert_text(h->context[CTX_REFERRER], "https://b/");
    assert_text(h->context[CTX_TITLE], "T");
    assert_text(h->context[CTX_USER_AGENT], "ua");
    assert_text(h->context[CTX_LANGUAGE], "fr");
    assert_text(h->context[CTX_SCREEN], "1x2");
    assert_text(h->context[CTX_CAMPAIGN], "c");
    assert_text(h->context[CTX_IP], "198.51.100.1");
    assert_null(h->context[CTX_PLACE].at);
    assert_true(h->has_time);
    assert_int_equal(h->time_ms, INT64_C(1795338000250));
    assert_int_equal(h->fields->count, 1);
    assert_true(h->signals.gpc);
    assert_true(h->signals.dnt);
    assert_false(h->signals.denied);
    assert_int_equal(h->signals.app->count, 1);
    assert_int_equal(h->source, SOURCE_PLAIN);
    assert_reply(f, "{\"status\":\"ok\",\"received\":1}");
}

static void takes_the_rest_from_the_request(void **state)
{
    const struct hit *h = decode_one(
        *state, "{\"action\":\"a\",\"user_id\":\"\",\"session_id\":null,"
                "\"context\":{\"user_agent\":\"\",\"language\":null,"
                "\"url\":7},\"details\":null,\"timestamp\":null}");

    assert_int_equal(h->identifier_count, 0);
    assert_null(h->client_id.at);
    assert_null(h->fields);
    assert_false(h->has_time);
    assert_text(h->context[CTX_USER_AGENT], "agent/1");
    assert_text(h->context[CTX_LANGUAGE], "de-AT,de;q=0.9");
    assert_text(h->context[CTX_IP], "192.0.2.7");
    assert_null(h->context[CTX_URL].at);
    /* The Referer header is where the page is, not where one came from. */
    assert_null(h->context[CTX_REFERRER].at);
    assert_false(h->signals.gpc);
    assert_false(h->signals.dnt);
    assert_false(h->signals.denied);
    assert_null(h->signals.app);
}

static void identifiers_are_exact_text(void **state)
{
    const struct hit *h =
        decode_one(*state, "{\"action\":\"a\",\"user_id\":1.50e+3,"
                           "\"device_id\":\" x \",\"group_id\":-0}");

    assert_int_equal(h->identifier_count, 3);
    assert_text(h->identifiers[0].exact, "1.50e+3");
    assert_text(h->identifiers[0].canonical, "1.50e+3");
    assert_text(h->identifiers[1].exact, " x ");
    assert_text(h->identifiers[2].exact, "-0");
}

static void law3_wrong_types_refuse_the_event(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"action\":\"\"}",
        "{\"action\":1}",
        "{\"action\":null}",
        "{\"action\":[\"a\"]}",
        "{\"Action\":\"a\"}",
        "{\"action\":\"a\",\"user_id\":true}",
        "{\"action\":\"a\",\"session_id\":{}}",
        "{\"action\":\"a\",\"device_id\":[\"x\"]}",
        "{\"action\":\"a\",\"group_id\":false}",
        "{\"action\":\"a\",\"id\":{}}",
        "{\"action\":\"a\",\"details\":[]}",
        "{\"action\":\"a\",\"details\":\"x\"}",
        "{\"action\":\"a\",\"context\":[]}",
        "{\"action\":\"a\",\"context\":\"x\"}",
        "{\"action\":\"a\",\"timestamp\":true}",
        "{\"action\":\"a\",\"timestamp\":\"yesterday\"}",
        "{\"action\":\"a\",\"timestamp\":-1}",
        "{\"action\":\"a\",\"timestamp\":1e999}",
        "{\"action\":\"a\",\"timestamp\":253402300800000}",
        "{\"action\":\"a\",\"timestamp\":\"2026-11-22\"}",
        "{\"action\":\"a\",\"timestamp\":\"2026-11-22T10:00:00."
        "1234567890123\"}",
        "1",
        "\"a\"",
        "null",
        "[1,null,[]]",
        "",
        " \n ",
        "{\"action\":\"a\"",
        "{\"action\":\"a\"} x",
        "{\"action\":\"a\",\"action\":\"b\"}",
        "action=a",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_bad(*state, texts[i]);
}

static void times_are_read_in_all_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"\"2026-11-22T09:00:00Z\"", INT64_C(1795338000000)},
        {"\"2026-11-22 09:00:00Z\"", INT64_C(1795338000000)},
        {"\"2026-11-22T09:00:00.123456\"", INT64_C(1795338000123)},
        {"\"2026-11-22T09:00:00.123456789\"", INT64_C(1795338000123)},
        {"\"2026-11-22T09:00:00\"", INT64_C(1795338000000)},
        {"\"2026-11-22T04:00:00-05:00\"", INT64_C(1795338000000)},
        {"1795338000", INT64_C(1795338000000)},
        {"1795338000.5", INT64_C(1795338000500)},
        {"1795338000000", INT64_C(1795338000000)},
        {"1.795338e12", INT64_C(1795338000000)},
        {"99999999999", INT64_C(99999999999000)},
        {"100000000000", INT64_C(100000000000)},
        {"253402300799999", INT64_C(253402300799999)},
        {"0", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text),
                       "{\"action\":\"a\",\"timestamp\":%s}", rows[i].text);
        const struct hit *h = decode_one(*state, text);
        assert_true(h->has_time);
        assert_int_equal(h->time_ms, rows[i].ms);
    }
}

static void law3_consent_of_a_wrong_type_is_a_refusal(void **state)
{
    static const char *const denied[] = {
        "\"denied\"", "\"granted\"", "true",           "false", "1",
        "null",       "[]",          "[{\"a\":true}]", "\"\""};
    char text[128];

    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
        (void)snprintf(text, sizeof(text), "{\"action\":\"a\",\"consent\":%s}",
                       denied[i]);
        const struct hit *h = decode_one(*state, text);
        assert_true(h->signals.denied);
        assert_null(h->signals.app);
    }
    const struct hit *h =
        decode_one(*state, "{\"action\":\"a\",\"consent\":{}}");
    assert_false(h->signals.denied);
    assert_int_equal(h->signals.app->count, 0);
}

static void r61_r64_context_signals_only_tighten(void **state)
{
    static const struct {
        const char *value;
        bool yes;
    } rows[] = {{"true", true},   {"\"1\"", true},  {"1", true},
                {"false", false}, {"\"0\"", false}, {"0", false},
                {"null", false},  {"{}", false},    {"\"true\"", false},
                {"\" 1\"", false}};
    struct fixture *f = *state;
    char text[128];

    for (unsigned header = 0; header < 2; header++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            (void)snprintf(text, sizeof(text),
                           "{\"action\":\"a\",\"context\":{\"gpc\":%s}}",
                           rows[i].value);
            f->beacon.gpc = header == 1;
            const struct hit *h = decode_one(f, text);
            assert_int_equal(h->signals.gpc, rows[i].yes || header == 1);
            assert_false(h->signals.dnt);
            f->beacon.gpc = false;
            (void)snprintf(text, sizeof(text),
                           "{\"action\":\"a\",\"context\":{\"dnt\":%s}}",
                           rows[i].value);
            f->beacon.dnt = header == 1;
            h = decode_one(f, text);
            assert_int_equal(h->signals.dnt, rows[i].yes || header == 1);
            assert_false(h->signals.gpc);
            f->beacon.dnt = false;
        }
}

static void arrays_name_their_bad_events(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode(f, " [{\"action\":\"a\"},{},{\"action\":\"b\"},7,"
                               "{\"action\":\"c\"}] "),
                     ST_OK);
    assert_int_equal(f->hit_count, 3);
    assert_text(f->hits[1].name, "b");
    assert_int_equal(f->call.decoded.received, 5);
    assert_int_equal(f->call.decoded.understood, 3);
    assert_reply(f, "{\"status\":\"partial\",\"received\":5,\"understood\":3,"
                    "\"bad\":[1,3]}");
}

static void an_empty_array_holds_nothing_bad(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(decode(f, "[]"), ST_OK);
    assert_reply(f, "{\"status\":\"ok\",\"received\":0}");
}

static void json_lines_by_shape_or_by_type(void **state)
{
    static const char *const types[] = {
        "application/x-ndjson", "application/ndjson; charset=utf-8",
        "Application/JSONL",    "application/json",
        "text/plain",           ""};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        f->beacon.content_type = slice_of(types[i]);
        assert_int_equal(
            decode(f, "\r\n{\"action\":\"a\\u0041\"}\r\n\n {\"action\":\"b\"} "
                      "\n{\"action\":\n{\"action\":\"c\\n\"}"),
            ST_OK);
        assert_int_equal(f->hit_count, 3);
        assert_text(f->hits[0].name, "aA");
        assert_text(f->hits[2].name, "c\n");
        assert_reply(f, "{\"status\":\"partial\",\"received\":4,"
                        "\"understood\":3,\"bad\":[2]}");
    }
    /* One line, and a bad first line, need the type. */
    f->beacon.content_type = SLICE("application/x-ndjson");
    (void)decode_one(f, "{\"action\":\"a\"}\n");
    assert_int_equal(decode(f, "{oops\n{\"action\":\"a\"}"), ST_OK);
    assert_reply(f, "{\"status\":\"partial\",\"received\":2,"
                    "\"understood\":1,\"bad\":[0]}");
    assert_bad(f, "{}\n[{\"action\":\"a\"}]\n");
    /* An array on many lines stays an array, an object an object. */
    f->beacon.content_type = SLICE_NONE;
    (void)decode_one(f, "[\n{\"action\":\n\"a\"}\n]\n");
    (void)decode_one(f, "{\n\"details\": {\"x\": {}\n},\n\"action\": \"a\"\n}");
}

static void at_most_20_positions_are_named(void **state)
{
    struct fixture *f = *state;
    char text[256] = "[{\"action\":\"a\"}";

    for (unsigned i = 0; i < DIALECT_BAD_MAX + 1; i++)
        memcpy(text + strlen(text), ",0", 3);
    memcpy(text + strlen(text), "]", 2);
    assert_int_equal(decode(f, text), ST_OK);
    assert_int_equal(f->call.decoded.bad_count, DIALECT_BAD_MAX);
    assert_reply(f, "{\"status\":\"partial\",\"received\":22,\"understood\":1,"
                    "\"bad\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,"
                    "19,20]}");
}

static char *many(unsigned count, const char *between, bool array)
{
    static const char event[] = "{\"action\":\"a\"}";
    size_t each = sizeof(event) - 1 + strlen(between), len = 0;
    char *text = malloc(count * each + 3);

    if (array)
        text[len++] = '[';
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, each + 1, "%s%s",
                                i > 0 ? between : "", event);
    if (array)
        text[len++] = ']';
    text[len] = '\0';
    return text;
}

static void events_limit(void **state)
{
    struct fixture *f = *state;

    for (unsigned lines = 0; lines < 2; lines++) {
        const char *between = lines ? "\n" : ",";
        char *text = many(DIALECT_EVENTS_MAX, between, !lines);
        assert_int_equal(decode(f, text), ST_OK);
        assert_int_equal(f->call.decoded.understood, DIALECT_EVENTS_MAX);
        free(text);
        text = many(DIALECT_EVENTS_MAX + 1, between, !lines);
        assert_int_equal(decode(f, text), ST_LIMIT);
        free(text);
    }
}

static void the_sinks_refusal_stops_all(void **state)
{
    struct fixture *f = *state;

    f->stop_at = 2;
    assert_int_equal(decode(f, "[{\"action\":\"a\"},{\"action\":\"b\"},"
                               "{\"action\":\"c\"}]"),
                     ST_FULL);
    assert_int_equal(f->hit_count, 1);
    assert_int_equal(f->call.decoded.understood, 1);
    assert_int_equal(decode(f, "{\"action\":\"a\"}\n{\"action\":\"b\"}"),
                     ST_FULL);
}

static void a_document_too_deep_is_a_limit(void **state)
{
    struct fixture *f = *state;
    char text[200] = "{\"action\":\"a\",\"details\":{\"x\":";
    size_t len = strlen(text);

    memset(text + len, '[', JSON_DEPTH_MAX);
    assert_int_equal(decode(f, text), ST_LIMIT);
}

/* The keys of f->beacon, in order; "" where there is none. */
static void assert_keys(struct fixture *f, const char *one, const char *two)
{
    unsigned count = (unsigned)(one[0] != 0) + (unsigned)(two[0] != 0);

    dialect_begin(&f->call, f->plain, &f->beacon, f->arena);
    assert_int_equal(dialect_read(&f->call), ST_OK);
    assert_int_equal(f->call.key_count, count);
    if (count > 0)
        assert_text(f->call.keys[0], one);
    if (count > 1)
        assert_text(f->call.keys[1], two);
}

static void keys_come_from_three_places(void **state)
{
    struct fixture *f = *state;
    struct beacon_header headers[] = {
        {SLICE_INIT("authorization"), SLICE_INIT("bearer  k-1 ")},
        {SLICE_INIT("X-WRITE-KEY"), SLICE_INIT("k-2")},
    };

    assert_keys(f, "", "");
    f->beacon.headers = headers;
    f->beacon.header_count = 1;
    assert_keys(f, "k-1", "");
    headers[0].value = SLICE("Basic azo=");
    assert_keys(f, "", "");
    headers[0].value = SLICE("Bearer ");
    assert_keys(f, "", "");
    f->beacon.header_count = 2;
    assert_keys(f, "k-2", "");
    f->beacon.query = SLICE("a=b&key=k%2D2&key=other");
    assert_keys(f, "k-2", "other");
    f->beacon.header_count = 0;
    assert_keys(f, "k-2", "other");
    f->beacon.query = SLICE("xkey=1&key=%zz%4&k");
    assert_keys(f, "%zz%4", "");
    f->beacon.query = SLICE("key=&x");
    assert_keys(f, "", "");
}

static void a_header_that_comes_twice_is_two_hints(void **state)
{
    struct fixture *f = *state;
    struct beacon_header headers[] = {
        {SLICE_INIT("X-Write-Key"), SLICE_INIT("k-1")},
        {SLICE_INIT("x-write-key"), SLICE_INIT("k-2")},
    };

    f->beacon.headers = headers;
    f->beacon.header_count = 2;
    assert_keys(f, "k-1", "k-2");
    headers[0].name = headers[1].name = SLICE("Authorization");
    headers[0].value = SLICE("Bearer k-3");
    headers[1].value = SLICE("Bearer k-4");
    assert_keys(f, "k-3", "k-4");
}

static void four_keys_are_hints_and_five_are_refused(void **state)
{
    struct fixture *f = *state;

    f->beacon.query = SLICE("key=1&key=2&key=3&key=4&key=1");
    dialect_begin(&f->call, f->plain, &f->beacon, f->arena);
    assert_int_equal(dialect_read(&f->call), ST_OK);
    assert_int_equal(f->call.key_count, DIALECT_KEYS_MAX);
    f->beacon.query = SLICE("key=1&key=2&key=3&key=4&key=5");
    dialect_begin(&f->call, f->plain, &f->beacon, f->arena);
    assert_int_equal(dialect_read(&f->call), ST_SYNTAX);
}

static void canonical_folds_email_and_nothing_else(void **state)
{
    static const struct {
        const char *exact, *canonical;
    } rows[] = {
        {"Jane.Doe+X@Mail.Example.COM", "jane.doe+x@mail.example.com"},
        {"jane@x.test", "jane@x.test"},
        {"J\xC3\x84NE@X.test", "j\xC3\x84ne@x.test"},
        {"USER-17", "USER-17"},
        {"A@B", "A@B"},
        {"@X.test", "@X.test"},
        {"A@@X.test", "A@@X.test"},
        {"A@.test", "A@.test"},
        {"A@X.", "A@X."},
        {"A B@X.test", "A B@X.test"},
        {"A@", "A@"},
        {"", ""},
    };
    struct fixture *f = *state;
    struct slice out;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            dialect_canonical(slice_of(rows[i].exact), f->arena, &out), ST_OK);
        assert_text(out, rows[i].canonical);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_found_by_path_and_method),
        TEST(reads_every_field),
        TEST(takes_the_rest_from_the_request),
        TEST(identifiers_are_exact_text),
        TEST(law3_wrong_types_refuse_the_event),
        TEST(times_are_read_in_all_forms),
        TEST(law3_consent_of_a_wrong_type_is_a_refusal),
        TEST(r61_r64_context_signals_only_tighten),
        TEST(arrays_name_their_bad_events),
        TEST(an_empty_array_holds_nothing_bad),
        TEST(json_lines_by_shape_or_by_type),
        TEST(at_most_20_positions_are_named),
        TEST(events_limit),
        TEST(the_sinks_refusal_stops_all),
        TEST(a_document_too_deep_is_a_limit),
        TEST(keys_come_from_three_places),
        TEST(a_header_that_comes_twice_is_two_hints),
        TEST(four_keys_are_hints_and_five_are_refused),
        TEST(canonical_folds_email_and_nothing_else),
    };

    return cmocka_run_group_tests_name("dialect", tests, NULL, NULL);
}
