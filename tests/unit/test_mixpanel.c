/* Mixpanel's requests in every form, and who and what they are about. */
#include "sdk_fixture.h"

#include "lethe/audit_codes.h"

/* One event with these properties, as a JSON body. */
static const struct hit *event(struct fixture *f, const char *properties)
{
    char body[2048];

    snprintf(body, sizeof(body), "{\"event\":\"x\",\"properties\":{%s}}",
             properties);
    enum status st = send_text(f, "POST", "/track", "", body);
    if (st != ST_OK || f->hit_count != 1)
        fail_msg("%s: %s, %u hits", body, status_name(st), f->hit_count);
    return &f->hits[0];
}

/* "u:a d:b(canonical)": kind and exact text of every identifier. */
static void assert_people(const struct hit *h, const char *want)
{
    char got[512] = "";

    for (unsigned i = 0; i < h->identifier_count; i++) {
        const struct identifier *id = &h->identifiers[i];
        size_t len = strlen(got);
        snprintf(got + len, sizeof(got) - len, "%s%c:%.*s", i > 0 ? " " : "",
                 "udsgo"[id->kind], SLICE_ARG(id->exact));
        len = strlen(got);
        if (!slice_eq(id->exact, id->canonical))
            snprintf(got + len, sizeof(got) - len, "(%.*s)",
                     SLICE_ARG(id->canonical));
    }
    if (strcmp(got, want) != 0)
        fail_msg("got  %s\nwant %s", got, want);
}

/* ---- forms -------------------------------------------------------------- */

#define EVENT  "{\"event\":\"a?>b\",\"properties\":{\"token\":\"T1\"}}"
#define BASE64 "eyJldmVudCI6ImE/PmIiLCJwcm9wZXJ0aWVzIjp7InRva2VuIjoiVDEifX0="
#define PERCENT                                                                \
    "%7B%22event%22%3A%22a%3F%3Eb%22%2C%22properties%22%3A%7B%22token%22%3A"   \
    "%22T1%22%7D%7D"

static void every_form_is_one_event(void **state)
{
    static const struct {
        const char *query, *body;
    } rows[] = {
        {"data=" BASE64, ""},
        {"ip=0&data=eyJldmVudCI6ImE%2FPmIiLCJwcm9wZXJ0aWVzIjp7InRva2VuIjoiVDEi"
         "fX0%3D&verbose=0",
         ""},
        {"data=" PERCENT, ""},
        {"", "data=" BASE64},
        {"", "ip=1&data=" BASE64 "&verbose=1"},
        {"", "data=" PERCENT "&verbose=1&ip=0"},
        {"", EVENT},
        {"", "  [" EVENT "]\n"},
        {"", "data=[" EVENT "]"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum status st =
            send_text(f, "POST", "/track/", rows[i].query, rows[i].body);
        if (st != ST_OK || f->hit_count != 1)
            fail_msg("%s %s: %s", rows[i].query, rows[i].body, status_name(st));
        assert_text(f->hits[0].name, "a?>b");
        assert_int_equal(f->hits[0].source, SOURCE_MIXPANEL);
        assert_int_equal(f->call.key_count, 1);
        assert_text(f->call.keys[0], "T1");
    }
}

/* Some libraries leave base64's plus as it is; a form makes a space of it. */
static void a_plus_in_base64_survives_the_form(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        send_text(f, "POST", "/track", "", "data=eyJldmVudCI6Inh+fn5+In0="),
        ST_OK);
    assert_text(f->hits[0].name, "x~~~~");
}

static void what_is_no_event_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "data=",
        "data=!!!",
        "data=eyJ",
        "x=1",
        "{}",
        "[]x",
        "data=bnVsbA==",
        "{\"event\":1}",
        "{\"event\":\"\"}",
        "{\"event\":\"x\",\"properties\":[]}",
        "{\"event\":\"x\",\"properties\":{\"distinct_id\":{}}}",
        "{\"event\":\"x\",\"properties\":{\"$device_id\":true}}",
        "{\"event\":\"x\",\"properties\":{\"session_id\":[]}}",
        "{\"event\":\"x\",\"properties\":{\"$distinct_ids\":{}}}",
        "{\"event\":\"x\",\"properties\":{\"$distinct_ids\":[\"a\",[]]}}",
        "{\"event\":\"x\",\"properties\":{\"time\":\"soon\"}}",
        "{\"event\":\"x\",\"properties\":{\"time\":-1}}",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (send_text(f, "POST", "/track", "", bad[i]) != ST_SYNTAX)
            fail_msg("%s", bad[i]);
    assert_int_equal(
        send_text(f, "POST", "/track", "", "[{},{\"event\":\"x\"},1]"), ST_OK);
    assert_int_equal(f->call.decoded.received, 3);
    assert_int_equal(f->call.decoded.understood, 1);
}

static void limits_at_and_beyond(void **state)
{
    struct fixture *f = *state;
    size_t n = DIALECT_EVENTS_MAX, len = 14 * (n + 1) + 1;
    char *body = malloc(len + 1);

    body[0] = '[';
    for (size_t i = 0; i <= n; i++)
        memcpy(body + 1 + i * 14, "{\"event\":\"x\"},", 14);
    body[14 * n] = ']';
    assert_int_equal(send_bytes(f, "POST", "/import", "", body, 14 * n + 1),
                     ST_OK);
    assert_int_equal(f->hit_count, n);
    body[14 * n] = ',';
    body[len - 1] = ']';
    assert_int_equal(send_bytes(f, "POST", "/import", "", body, len), ST_LIMIT);
    free(body);
}

static void every_token_is_a_key(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        send_text(f, "POST", "/track", "",
                  "[{\"event\":\"x\",\"properties\":{\"token\":\"A\"}},"
                  "{\"event\":\"x\"},"
                  "{\"event\":\"x\",\"properties\":{\"token\":\"B\"}}]"),
        ST_OK);
    assert_int_equal(f->call.key_count, 2);
    assert_int_equal(send_text(f, "POST", "/engage/", "",
                               "{\"$token\":\"C\",\"$distinct_id\":\"u\"}"),
                     ST_OK);
    assert_text(f->call.keys[0], "C");
    /* Two in one event are two hints: they may not lead to two sites. */
    assert_int_equal(send_text(f, "POST", "/track", "",
                               "{\"event\":\"x\",\"$token\":\"A\","
                               "\"properties\":{\"token\":\"B\"}}"),
                     ST_OK);
    assert_int_equal(f->call.key_count, 2);
    assert_text(f->call.keys[1], "B");
}

/* ---- who ---------------------------------------------------------------- */

static void a_distinct_id_is_a_device_and_then_a_user(void **state)
{
    static const struct {
        const char *properties, *people;
    } rows[] = {
        {"", ""},
        {"\"distinct_id\":\"$device:d1\",\"$device_id\":\"d1\"", "d:d1"},
        {"\"distinct_id\":\"$device:d1\"", "d:d1"},
        {"\"distinct_id\":\"d1\",\"$device_id\":\"d1\"", "d:d1"},
        {"\"distinct_id\":\"u1\",\"$device_id\":\"d1\",\"$user_id\":\"u1\"",
         "u:u1 d:d1"},
        {"\"distinct_id\":\"u1\"", "u:u1"},
        {"\"distinct_id\":7", "u:7"},
        {"\"distinct_id\":\"x\",\"$user_id\":\"u1\"", "u:u1 o:x"},
        {"\"distinct_id\":\"Jane@E.x\",\"session_id\":\"s\"",
         "u:Jane@E.x(jane@e.x) s:s"},
        {"\"distinct_id\":\"u1\",\"$device_id\":\"d1\",\"$user_id\":\"u1\","
         "\"$anon_distinct_id\":\"$device:d1\"",
         "u:u1 d:d1 o:$device:d1(d1)"},
        {"\"alias\":\"a1\",\"distinct_id\":\"u1\",\"$mp_replay_id\":\"r\"",
         "u:u1 o:a1 o:r"},
        {"\"$distinct_ids\":[\"$device:d1\",7,\"\",null]",
         "o:$device:d1(d1) o:7"},
        {"\"$distinct_ids\":\"a\"", "o:a"},
        {"\"$distinct_ids\":null", ""},
        {"\"distinct_id\":\"\",\"$user_id\":null", ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_people(event(f, rows[i].properties), rows[i].people);
}

static void one_identifier_too_many_is_marked(void **state)
{
    struct fixture *f = *state;

    assert_false(event(f, "\"$distinct_ids\":[1,2,3,4,5,6,7,8,8]")
                     ->too_many_identifiers);
    assert_int_equal(f->hits[0].identifier_count, HIT_IDENTIFIERS_MAX);
    assert_true(event(f, "\"$distinct_ids\":[1,2,3,4,5,6,7,8,9]")
                    ->too_many_identifiers);
}

static void forms_of_cookies_have_one_canonical_form(void **state)
{
    static const struct {
        const char *exact, *canonical;
    } rows[] = {
        {"$device:abc", "abc"},
        {"$device:", "$device:"},
        {"GA1.1.315691213.1760240992", "315691213.1760240992"},
        {"GA1.22.1.2", "1.2"},
        {"GA1.1-2.1.2", "1.2"},
        {"GA1.1-.1.2", "GA1.1-.1.2"},
        {"GA1-1.1.1.2", "GA1-1.1.1.2"},
        {"GS1.1.1760240992.5.1.17.0.0.0", "1760240992"},
        {"GS2.1.s1760240992$o5$g1$t17", "1760240992"},
        {"GS1.1.", "GS1.1."},
        {"GS1.1.17", "GS1.1.17"},
        {"GS2.1.s17", "GS2.1.s17"},
        {"GS2.1.x17$o", "GS2.1.x17$o"},
        {"GA1.1.1", "GA1.1.1"},
        {"GA1.1.1.", "GA1.1.1."},
        {"GA1.1.1.2x", "GA1.1.1.2x"},
        {"GA1.1.a.2", "GA1.1.a.2"},
        {"GA.1.1.2", "GA.1.1.2"},
        {"315691213.1760240992", "315691213.1760240992"},
    };
    struct fixture *f = *state;
    struct slice out;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            dialect_canonical(slice_of(rows[i].exact), f->arena, &out), ST_OK);
        assert_text(out, rows[i].canonical);
    }
}

/* ---- what --------------------------------------------------------------- */

static void an_event_is_read_whole(void **state)
{
    struct fixture *f = *state;
    const struct hit *h = event(
        f, "\"time\":1795340564.622,\"$insert_id\":\"i1\","
           "\"distinct_id\":\"u\",\"ip\":\"203.0.113.77\","
           "\"$current_url\":\"https://m/x?y\",\"$referrer\":\"https://r\","
           "\"utm_campaign\":\"spring\",\"current_page_title\":\"T\","
           "\"$screen_width\":1280,\"$screen_height\":800,\"daw\":\"R\"");

    assert_true(h->has_time && h->time_ms == INT64_C(1795340564622));
    assert_text(h->context[CTX_IP], "203.0.113.77");
    assert_text(h->context[CTX_URL], "https://m/x?y");
    assert_text(h->context[CTX_REFERRER], "https://r");
    assert_text(h->context[CTX_CAMPAIGN], "spring");
    assert_text(h->context[CTX_TITLE], "T");
    assert_text(h->context[CTX_SCREEN], "1280x800");
    assert_text(h->context[CTX_USER_AGENT], "agent/1");
    assert_text(json_member(h->fields, SLICE("daw"))->text, "R");
    assert_int_equal(h->client_id.len, 2 + 1 + 1 + 1 + 14 + 1 + 1 + 1);
    assert_memory_equal(h->client_id.at, "i1\0x\0001795340564.622\0u", 21);
    assert_true(event(f, "\"time\":1795340922483")->time_ms ==
                INT64_C(1795340922483));
    assert_true(event(f, "\"time\":\"1795340922\"")->time_ms ==
                INT64_C(1795340922000));
    assert_null(event(f, "")->client_id.at);
}

/* Sent again it is the same event; any of Mixpanel's four makes another. */
static void the_event_id_is_all_four(void **state)
{
    static const char *const others[] = {
        "\"$insert_id\":\"i2\",\"time\":1,\"distinct_id\":\"u\"",
        "\"$insert_id\":\"i1\",\"time\":2,\"distinct_id\":\"u\"",
        "\"$insert_id\":\"i1\",\"time\":1,\"distinct_id\":\"v\"",
        "\"$insert_id\":\"i1\",\"time\":1,\"distinct_id\":\"\"",
    };
    struct fixture *f = *state;
    const char *one = "\"$insert_id\":\"i1\",\"time\":1,\"distinct_id\":\"u\"";
    char first[64];

    size_t len = event(f, one)->client_id.len;
    memcpy(first, f->hits[0].client_id.at, len);
    assert_true(slice_eq(event(f, one)->client_id, (struct slice){first, len}));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(slice_eq(event(f, others[i])->client_id,
                              (struct slice){first, len}));
}

static void page_views_and_profiles_have_the_names_of_all_dialects(void **state)
{
    static const struct {
        const char *path, *body, *name, *people;
    } rows[] = {
        {"/track", "{\"event\":\"$mp_web_page_view\"}", "page_view", ""},
        {"/track",
         "{\"event\":\"$identify\",\"properties\":{\"$identified_id\":\"u\","
         "\"$anon_id\":\"d\"}}",
         "profile_update", "o:u o:d"},
        {"/track",
         "{\"event\":\"$create_alias\",\"properties\":{\"distinct_id\":\"u\","
         "\"alias\":\"a\"}}",
         "profile_update", "u:u o:a"},
        {"/engage",
         "{\"$distinct_id\":\"u\",\"$device_id\":\"d\",\"$set\":{\"$name\":"
         "\"J\"},\"$ip\":\"1.2.3.4\"}",
         "profile_update", "d:d u:u"},
        {"/groups/",
         "{\"$group_key\":\"c\",\"$group_id\":\"acme\",\"$set\":{}}",
         "profile_update", "g:acme"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(send_text(f, "POST", rows[i].path, "", rows[i].body),
                         ST_OK);
        assert_text(f->hits[0].name, rows[i].name);
        assert_people(&f->hits[0], rows[i].people);
    }
    assert_int_equal(send_text(f, "POST", "/engage", "", "[1]"), ST_SYNTAX);
    assert_int_equal(send_text(f, "POST", "/engage", "",
                               "{\"$distinct_id\":{\"$oid\":\"x\"}}"),
                     ST_SYNTAX);
}

/* ---- answers ------------------------------------------------------------ */

static void assert_answer(struct fixture *f, const char *query,
                          const char *body, const char *want)
{
    struct reply r;

    assert_int_equal(send_text(f, "POST", "/track", query, body), ST_OK);
    dialect_reply(&f->call, &r);
    assert_int_equal(r.status, 200);
    assert_text(r.body, want);
}

static void answers_are_what_the_libraries_read(void **state)
{
    struct fixture *f = *state;
    const struct dialect_route *r;
    bool ok;

    assert_answer(f, "", EVENT, "1");
    assert_answer(f, "verbose=0", EVENT, "1");
    assert_answer(f, "verbose=1", EVENT, "{\"status\":1,\"error\":null}");
    assert_answer(f, "", "data=" PERCENT "&verbose=1&ip=0",
                  "{\"status\":1,\"error\":null}");
    assert_answer(f, "", "[" EVENT ",{}]", "1");
    r = dialect_find(SLICE("GET"), SLICE("/engage/"), &ok);
    assert_non_null(r);
    assert_text(dialect_error_body(r, SLICE("{\"error\":\"x\"}"), f->arena),
                "{\"error\":\"x\",\"status\":0}");
    r = dialect_find(SLICE("POST"), SLICE("/v1/events"), &ok);
    assert_text(dialect_error_body(r, SLICE("{\"error\":\"x\"}"), f->arena),
                "{\"error\":\"x\"}");
    assert_text(dialect_error_body(NULL, SLICE("{}"), f->arena), "{}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(every_form_is_one_event),
        T(a_plus_in_base64_survives_the_form),
        T(what_is_no_event_is_refused),
        T(limits_at_and_beyond),
        T(every_token_is_a_key),
        T(a_distinct_id_is_a_device_and_then_a_user),
        T(one_identifier_too_many_is_marked),
        T(forms_of_cookies_have_one_canonical_form),
        T(an_event_is_read_whole),
        T(the_event_id_is_all_four),
        T(page_views_and_profiles_have_the_names_of_all_dialects),
        T(answers_are_what_the_libraries_read),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
