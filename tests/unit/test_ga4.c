/* GA4's tags and Measurement Protocol, and Universal Analytics. */
#include "sdk_fixture.h"

#include "lethe/audit_codes.h"

static const struct hit *one(struct fixture *f, const char *path,
                             const char *query, const char *body)
{
    enum status st = send_text(f, "POST", path, query, body);

    if (st != ST_OK || f->hit_count != 1)
        fail_msg("%s: %s, %u hits", query, status_name(st), f->hit_count);
    return &f->hits[0];
}

static void assert_field(const struct hit *h, const char *name,
                         const char *want)
{
    const struct json_node *n = json_member(h->fields, slice_of(name));

    if (want == NULL) {
        assert_null(n);
        return;
    }
    assert_non_null(n);
    assert_text(n->text, want);
}

static void assert_id(const struct hit *h, unsigned i, enum id_kind kind,
                      const char *exact, const char *canonical)
{
    assert_true(i < h->identifier_count);
    assert_int_equal(h->identifiers[i].kind, kind);
    assert_text(h->identifiers[i].exact, exact);
    assert_text(h->identifiers[i].canonical, canonical);
}

/* ---- tags --------------------------------------------------------------- */

static void a_tag_says_all_in_its_query(void **state)
{
    struct fixture *f = *state;
    const struct hit *h =
        one(f, "/g/collect",
            "v=2&tid=G-X&_p=77&_s=3&cid=12.34&sid=1700000000&uid=user-1&"
            "en=file_uploaded&ep.file_name=My%20Demo.wav&epn.file_size=48&"
            "ep.session_id=sess_7&dl=https%3A%2F%2Fm.example%2Fa%3Fb&"
            "dr=https%3A%2F%2Fr&dt=Title+two&ul=de-de&sr=1280x800&"
            "_uip=203.0.113.77&up.email=j%40e.x&seg=1",
            "");

    assert_text(h->name, "file_uploaded");
    assert_int_equal(h->source, SOURCE_GA4);
    assert_int_equal(h->identifier_count, 4);
    assert_id(h, 0, ID_USER, "user-1", "user-1");
    assert_id(h, 1, ID_DEVICE, "12.34", "12.34");
    assert_id(h, 2, ID_SESSION, "12.34.1700000000", "1700000000");
    assert_id(h, 3, ID_OTHER, "sess_7", "sess_7");
    assert_text(h->context[CTX_URL], "https://m.example/a?b");
    assert_text(h->context[CTX_REFERRER], "https://r");
    assert_text(h->context[CTX_TITLE], "Title two");
    assert_text(h->context[CTX_LANGUAGE], "de-de");
    assert_text(h->context[CTX_SCREEN], "1280x800");
    assert_text(h->context[CTX_IP], "203.0.113.77");
    assert_text(h->context[CTX_USER_AGENT], "agent/1");
    assert_false(h->has_time);
    assert_field(h, "file_name", "My Demo.wav");
    assert_field(h, "file_size", "48");
    assert_field(h, "seg", "1");
    assert_field(h, "up.email", "j@e.x"); /* no path of a policy names it */
    assert_field(h, "cid", NULL);
    assert_field(h, "dl", NULL);
    assert_int_equal(f->call.key_count, 1);
    assert_text(f->call.keys[0], "G-X");
}

static void lines_share_the_query_and_come_first(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(send_text(f, "POST", "/g/collect",
                               "v=2&tid=G-X&cid=1.2&_p=9&_s=4&dt=shared&ep.a=q",
                               "en=page_view&dt=own\r\n\nen=scroll&epn.a=7\n"
                               "ep.none=1\nen=x&tid=G-Y"),
                     ST_OK);
    assert_int_equal(f->call.decoded.received, 4);
    assert_int_equal(f->call.decoded.understood, 3);
    assert_int_equal(f->call.decoded.bad[0], 2);
    assert_text(f->hits[0].name, "page_view");
    assert_text(f->hits[0].context[CTX_TITLE], "own");
    assert_text(f->hits[1].context[CTX_TITLE], "shared");
    assert_field(&f->hits[0], "a", "q");
    assert_field(&f->hits[1], "a", "7"); /* the line's own comes first */
    assert_int_equal(f->call.key_count, 2);
    /* three events of one page and counter are three ids, and each is the
     * same when the beacon comes again */
    assert_text(f->hits[0].client_id, "9 0 4 1.2");
    assert_text(f->hits[1].client_id, "9 1 4 1.2");
    assert_text(f->hits[2].client_id, "9 3 4 1.2");
}

static void many_more(char *text)
{
    memcpy(text + strlen(text), "&k=1", 5);
}

static void what_is_no_event_is_refused(void **state)
{
    struct fixture *f = *state;
    char many[9000] = "en=x";

    assert_int_equal(send_text(f, "GET", "/g/collect", "v=2&tid=G-X", ""),
                     ST_SYNTAX);
    assert_int_equal(send_text(f, "GET", "/g/collect", "", ""), ST_SYNTAX);
    assert_int_equal(send_text(f, "GET", "/g/collect", "en=x&a=%ff", ""),
                     ST_SYNTAX);
    assert_int_equal(send_text(f, "GET", "/g/collect", "en=x&a=%00", ""),
                     ST_SYNTAX);
    for (unsigned i = 1; i < 512; i++)
        many_more(many);
    assert_int_equal(send_text(f, "GET", "/g/collect", many, ""), ST_OK);
    many_more(many);
    assert_int_equal(send_text(f, "GET", "/g/collect", many, ""), ST_SYNTAX);
}

static void as_many_lines_as_events_may_come(void **state)
{
    struct fixture *f = *state;
    size_t len = 5 * (DIALECT_EVENTS_MAX + 1);
    char *lines = malloc(len);

    for (size_t i = 0; i < len; i += 5)
        memcpy(lines + i, "en=x\n", 5);
    assert_int_equal(
        send_bytes(f, "POST", "/g/collect", "tid=G", lines, len - 5), ST_OK);
    assert_int_equal(f->call.decoded.understood, DIALECT_EVENTS_MAX);
    assert_int_equal(send_bytes(f, "POST", "/g/collect", "tid=G", lines, len),
                     ST_LIMIT);
    free(lines);
}

static void consent_of_a_tag_is_heard(void **state)
{
    struct fixture *f = *state;
    const struct hit *h =
        one(f, "/g/collect", "en=x&gcs=G110&gcd=11t1t1t1t5&_npa=1", "");

    assert_int_equal(h->signals.mode.said[CONSENT_ANALYTICS_STORAGE],
                     CONSENT_DENIED);
    assert_int_equal(h->signals.mode.said[CONSENT_AD_STORAGE], CONSENT_GRANTED);
    assert_int_equal(h->signals.mode.said[CONSENT_AD_PERSONALIZATION],
                     CONSENT_DENIED);
    f->beacon.gpc = true;
    assert_true(one(f, "/g/collect", "en=x&gcs=G100", "")->signals.gpc);
    assert_true(f->hits[0].signals.mode.cookieless);
}

/* ---- Measurement Protocol ----------------------------------------------- */

static void the_protocol_is_json(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        send_text(f, "POST", "/mp/collect", "measurement_id=G-X&api_secret=s3",
                  "{\"client_id\":\"1.2\",\"user_id\":7,"
                  "\"timestamp_micros\":\"1795340580123456\","
                  "\"user_properties\":{\"a\":{\"value\":1}},"
                  "\"consent\":{\"ad_user_data\":\"DENIED\"},"
                  "\"events\":[{\"name\":\"page_view\",\"params\":{"
                  "\"session_id\":170,\"page_location\":\"https://m/x\","
                  "\"page_title\":\"T\",\"event_id\":\"e-1\"}},"
                  "{\"name\":\"b\",\"timestamp_micros\":1795340581000000},"
                  "{\"name\":\"c\",\"params\":{\"session_id\":{}}},{}]}"),
        ST_OK);
    assert_int_equal(f->call.key_count, 1);
    assert_text(f->call.keys[0], "G-X");
    assert_int_equal(f->call.decoded.received, 4);
    assert_int_equal(f->call.decoded.understood, 2);
    const struct hit *h = &f->hits[0];
    assert_id(h, 0, ID_USER, "7", "7");
    assert_id(h, 1, ID_DEVICE, "1.2", "1.2");
    assert_id(h, 2, ID_SESSION, "1.2.170", "170");
    assert_true(h->has_time && h->time_ms == INT64_C(1795340580123));
    assert_text(h->client_id, "e-1");
    assert_text(h->context[CTX_URL], "https://m/x");
    assert_text(h->context[CTX_TITLE], "T");
    assert_int_equal(h->signals.mode.said[CONSENT_AD_USER_DATA],
                     CONSENT_DENIED);
    assert_true(f->hits[1].time_ms == INT64_C(1795340581000));
}

static void the_protocols_nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"events\":{}}",
        "{\"events\":[1]}",
        "{\"client_id\":[],\"events\":[{\"name\":\"a\"}]}",
        "{\"user_id\":true,\"events\":[{\"name\":\"a\"}]}",
        "{\"timestamp_micros\":1.5,\"events\":[{\"name\":\"a\"}]}",
        "{\"timestamp_micros\":9999999999999999999,"
        "\"events\":[{\"name\":\"a\"}]}",
        "{\"events\":[{\"name\":\"\"}]}",
        "{\"events\":[{\"name\":\"a\",\"params\":[]}]}",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (send_text(f, "POST", "/mp/collect", "", bad[i]) != ST_SYNTAX)
            fail_msg("%s", bad[i]);
    /* nothing in it is no event, and nothing wrong either */
    assert_int_equal(send_text(f, "POST", "/mp/collect", "", "{\"events\":[]}"),
                     ST_OK);
}

/* ---- Universal Analytics ------------------------------------------------ */

static void universal_hits(void **state)
{
    struct fixture *f = *state;
    const struct hit *h = one(f, "/collect", "",
                              "v=1&tid=UA-1-1&cid=c-1&uid=u-1&t=pageview&"
                              "dl=https%3A%2F%2Fm%2Fx&dp=%2Fx&dt=T&"
                              "uip=203.0.113.77&cd1=sess_7&_gid=5.6");

    assert_text(h->name, "page_view");
    assert_int_equal(h->source, SOURCE_UNIVERSAL);
    assert_id(h, 0, ID_USER, "u-1", "u-1");
    assert_id(h, 1, ID_DEVICE, "c-1", "c-1");
    assert_id(h, 2, ID_OTHER, "5.6", "5.6");
    assert_text(h->context[CTX_URL], "https://m/x");
    assert_text(h->context[CTX_IP], "203.0.113.77");
    assert_field(h, "cd1", "sess_7");
    assert_text(f->call.keys[0], "UA-1-1");

    assert_int_equal(send_text(f, "POST", "/batch", "",
                               "t=event&ea=File%20Uploaded&ev=48&tid=UA-1-1\n"
                               "t=screenview&dp=/y\nt=event\nt=timing\n"),
                     ST_OK);
    assert_int_equal(f->call.decoded.understood, 3);
    assert_int_equal(f->call.decoded.bad[0], 2);
    assert_text(f->hits[0].name, "File Uploaded");
    assert_field(&f->hits[0], "ev", "48");
    assert_text(f->hits[1].name, "page_view");
    assert_text(f->hits[1].context[CTX_URL], "/y");
    assert_text(f->hits[2].name, "timing");
}

static void answers_are_constants(void **state)
{
    struct fixture *f = *state;
    struct reply r;

    (void)one(f, "/g/collect", "en=x", "");
    dialect_reply(&f->call, &r);
    assert_int_equal(r.status, 204);
    assert_int_equal(r.body.len, 0);
    (void)one(f, "/collect", "", "t=timing");
    dialect_reply(&f->call, &r);
    assert_int_equal(r.status, 200);
    assert_text(r.content_type, "image/gif");
    assert_int_equal(r.body.len, 35);
    assert_memory_equal(r.body.at, "GIF89a", 6);
    assert_int_equal(r.body.at[34], ';');
}

static void methods_and_paths(void **state)
{
    bool ok;

    (void)state;
    assert_non_null(dialect_find(SLICE("GET"), SLICE("/g/collect"), &ok));
    assert_non_null(dialect_find(SLICE("GET"), SLICE("/collect"), &ok));
    assert_null(dialect_find(SLICE("GET"), SLICE("/mp/collect"), &ok));
    assert_false(ok);
    assert_null(dialect_find(SLICE("GET"), SLICE("/batch"), &ok));
    assert_false(ok);
    assert_null(dialect_find(SLICE("POST"), SLICE("/debug/mp/collect"), &ok));
    assert_true(ok);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_tag_says_all_in_its_query),
        T(lines_share_the_query_and_come_first),
        T(what_is_no_event_is_refused),
        T(as_many_lines_as_events_may_come),
        T(consent_of_a_tag_is_heard),
        T(the_protocol_is_json),
        T(the_protocols_nonsense_is_refused),
        T(universal_hits),
        T(answers_are_constants),
        T(methods_and_paths),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
