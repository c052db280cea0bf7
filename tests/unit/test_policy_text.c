#include "policy_case.h"

/* policy_diff_words: what is more, what is less. */
struct change {
    const char *from, *to, *line;
    bool loosens;
};

static void try_changes(const struct change *list, size_t count)
{
    struct policy *a = load(shipped_mixbot());

    for (size_t i = 0; i < count; i++) {
        struct policy *b = mixbot_with(list[i].from, list[i].to);
        struct buf out;
        bool loosens = !list[i].loosens;
        buf_init(&out, TEXT_MAX);
        assert_int_equal(policy_diff_words(a, b, &out, &loosens), ST_OK);
        buf_put_char(&out, '\0');
        if (strstr(out.data, list[i].line) == NULL ||
            loosens != list[i].loosens)
            fail_msg("%s -> %s: %d\n%s", list[i].from, list[i].to, loosens,
                     out.data);
        buf_free(&out);
        policy_unref(b);
    }
    policy_unref(a);
}

static void diff_tells_loosening_from_tightening(void **state)
{
    static const struct change data_set[] = {
        {"\"version\": \"1\"", "\"version\": \"2\"",
         "Nothing changes for people", false},
        {"\"dnt\": \"deny\"", "\"dnt\": \"deny-consent\"",
         "more:   Do Not Track", true},
        {"\"gpc\": \"deny-consent\"", "\"gpc\": \"deny\"",
         "less:   Global Privacy Control", false},
        {"\"success\": \"bool\"", "\"success\": \"drop\"",
         "less:   any gets analysis_completion.success dropped", false},
        {"\"success\": \"bool\"", "\"success\": \"bool\", \"x\": \"bool\"",
         "more:   any gets analysis_completion.x yes or no", true},
        {"\"language\": \"drop\"", "\"language\": {\"enum\": [\"fr\"]}",
         "more:   store gets language one of: fr", true},
        {"\"device\": \"pseudonym\"", "\"device\": \"drop\"",
         "less:   store gets device dropped", false},
        {"\"bits\": 24", "\"bits\": 20", "keep 20 bits, were 24", false},
        {"\"bits\": 24", "\"bits\": 32", "keep 32 bits, were 24", true},
        {"\"rotate\": \"P1D\"", "\"rotate\": \"P7D\"",
         "pseudonyms live for store: 7 days instead of 1 day", true},
        {"\"release\": \"boundary\"", "\"release\": \"live\"",
         "change: ga: visitor", true},
        {"[\"File Uploaded\", ", "[\"File Uploaded\", \"up\", ",
         "events called \"up\" count as file_upload", true},
        {"[\"File Uploaded\", \"file_uploaded\"]", "[]", "Nothing", false},
        {"\"session\": \"pseudonym\"",
         "\"session\": {\"pseudonym\": {}, \"from\": [\"distinct_id\"]}",
         "change: where the session identifier is also read from: "
         "distinct_id",
         true},
        {"\"unidentified\": \"allow\"", "\"unidentified\": \"deny\"",
         "less:   events without an identifier are dropped", false},
        {"\"exempt\": true, ", "\"exempt\": true, \"consent\": null, ",
         "Nothing", false},
        {"\"audit_rows\": \"P14D\"", "\"audit_rows\": \"P7D\"",
         "less:   audit rows are kept", false},
        {"\"dead\": \"P7D\"", "\"dead\": \"P8D\"",
         "more:   the gateway keeps undeliverable events", true},
        {"\"optout_identifiers\": []", "\"optout_identifiers\": [\"a.b\"]",
         "less:   opt-outs are also looked up by a.b", false},
        {"\"app\": [\"product\", \"analytics\"]", "\"app\": [\"product\"]",
         "change: what counts as a yes", true},
        {"\"purposes\": [\"product\"]},\n    \"mp\"",
         "\"purposes\": [\"product\", \"audience\"]},\n    \"mp\"",
         "gets for a further purpose the event page_view", true},
        {"\"round\": 0.1, \"min\": 0, \"max\": 1}",
         "\"round\": 0.01, \"min\": 0, \"max\": 1}",
         "change: any gets genre_detection.confidence", true},
    };

    (void)state;
    try_changes(data_set, sizeof(data_set) / sizeof(data_set[0]));
}

static void diff_tells_changes_of_signals(void **state)
{
    static const struct change data_set[] = {
        {"\"tcf\": \"enforce\"}",
         "\"tcf\": \"enforce\", \"headers\": {\"A\": {\"then\": \"deny\"}}}",
         "change: which headers or fields of your own say no", true},
        {"\"tcf\": \"enforce\"}",
         "\"tcf\": \"enforce\", \"from_properties\": {\"consent\": \"a\"}}",
         "change: where the app passes on GPC, DNT or consent", true},
        {"\"tcf\": \"enforce\"}", "\"tcf\": {\"max_age\": \"P1M\"}}",
         "less:   a TC string counts for ", false},
        {"\"tcf\": \"enforce\"}", "\"tcf\": {\"require_disclosed\": false}}",
         "more:   TC strings count without a list of vendors shown", true},
        {"\"tcf\": [1, 8]",
         "\"tcf\": {\"purposes\": [1, 8], \"legitimate_interest\": [8]}",
         "change: what counts as a yes", true},
    };

    (void)state;
    try_changes(data_set, sizeof(data_set) / sizeof(data_set[0]));
}

/* An event taken away may fall to a wildcard that sends more. */
static void diff_sees_events_fall_to_a_wildcard(void **state)
{
    static const char star[] =
        "\"*\": {\"purpose\": \"audience\", \"as\": \"rest\"}, \"page_view\":";
    struct buf out;
    bool loosens = false;

    (void)state;
    struct policy *a = mixbot_with("\"page_view\":", star);
    struct policy *b = mixbot_with(
        "\"page_view\": {\"purpose\": [\"audience\", \"product\"]",
        "\"*\": {\"purpose\": \"audience\", \"as\": \"rest\"}, \"q\": "
        "{\"purpose\": [\"audience\", \"product\"]");
    buf_init(&out, TEXT_MAX);
    assert_int_equal(policy_diff_words(a, b, &out, &loosens), ST_OK);
    buf_put_char(&out, '\0');
    assert_non_null(
        strstr(out.data, "events called \"page_view\" count as *, were"));
    assert_true(loosens);
    buf_free(&out);
    policy_unref(a);
    policy_unref(b);
}

static void diff_tells_recipients(void **state)
{
    struct buf out;
    bool loosens = true;

    (void)state;
    struct policy *a = load(shipped_mixbot());
    struct policy *b = mixbot_with("\"mp\":    {", "\"mixpanel\": {");
    buf_init(&out, TEXT_MAX);
    assert_int_equal(policy_diff_words(a, b, &out, &loosens), ST_OK);
    buf_put_char(&out, '\0');
    assert_true(loosens);
    assert_non_null(strstr(out.data, "a new recipient: Mixpanel, Inc. in US"));
    assert_non_null(strstr(out.data, "Mixpanel, Inc. gets nothing any more"));
    buf_free(&out);
    policy_unref(a);
    policy_unref(b);
}

static void words_tell_the_officer(void **state)
{
    static const char *const told[] = {
        "Mixbot SARL, 1 rue Exemple, Lyon is responsible",
        "product: basis consent; kept for 13 months; an event without a yes",
        "ga: Google Ireland Ltd in US, as processor, transfer by DPF",
        "Pseudonyms change every 1 day, at 04:00 UTC",
        "of 10,000 visitors in one period about 0.06 % share one, of a "
        "million 5.8 %",
        "as one of the ranges <10485760, 10485760-52428800, >=52428800",
        "anything else becomes \"Other\"",
        "waiting for delivery: 3 days",
    };
    struct buf out;

    (void)state;
    struct policy *p = load(shipped_mixbot());
    buf_init(&out, TEXT_MAX);
    assert_int_equal(policy_show_words(p, &out), ST_OK);
    buf_put_char(&out, '\0');
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
        if (strstr(out.data, told[i]) == NULL)
            fail_msg("not said: %s\n%s", told[i], out.data);
    buf_free(&out);
    policy_unref(p);
}

/* A draft loads, lists what was seen, lets nothing through, quotes no value. */
static void draft_lets_nothing_through(void **state)
{
    static const char sample[] =
        "{\"action\": \"Sign Up\", \"details\": {\"plan\": \"gold-canary\", "
        "\"age\": 33, \"ok\": true, \"page\": \"https://canary.example/\", "
        "\"cart\": {\"items\": [{\"price\": 1}]}, \"a.b\": 1, \"*\": 2}}\n"
        "not json\n"
        "\n"
        "[{\"action\": \"caf\xc3\xa9\"}, {\"details\": {}}]\n"
        "{\"action\": \"Sign Up\", \"details\": {\"cart\": 1}}\n";
    struct buf out;
    unsigned skipped = 0;

    (void)state;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(policy_draft(slice_of(sample), &out, &skipped), ST_OK);
    assert_int_equal(skipped, 2);
    struct policy *p = load(buf_slice(&out));
    assert_int_equal(p->event_count, 2);
    assert_int_equal(event(p, "Sign Up")->field_count, 5);
    assert_slice(event(p, "caf\xc3\xa9")->out_name, "caf__");
    buf_put_char(&out, '\0');
    assert_null(strstr(out.data, "canary"));
    assert_non_null(strstr(out.data, "\"cart.items[].price\": \"drop\""));
    assert_non_null(strstr(out.data, "\"ok\": \"drop\", // \"bool\""));
    for (unsigned i = 0; i < p->event_count; i++)
        for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++)
            for (unsigned k = 0; k < p->events[i].field_count; k++)
                assert_int_equal(p->events[i].to[d].fields[k].kind, RULE_DROP);
    policy_unref(p);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diff_tells_loosening_from_tightening),
        cmocka_unit_test(diff_tells_changes_of_signals),
        cmocka_unit_test(diff_sees_events_fall_to_a_wildcard),
        cmocka_unit_test(diff_tells_recipients),
        cmocka_unit_test(words_tell_the_officer),
        cmocka_unit_test(draft_lets_nothing_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
