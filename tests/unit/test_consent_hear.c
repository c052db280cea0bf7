/* Where signals stand and how each is heard: hearing only ever tightens, but
 * for what the policy lists. */
#include "lethe/policy/base/arena.h"
#include "lethe/policy/beacon.h"
#include "lethe/policy/consent.h"
#include "lethe/policy/consent_hear.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/json_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct slice names[] = {SLICE_INIT("Analytics"),
                                     SLICE_INIT("C0002")};

/* One purpose that rests on consent, and an exempt one. */
static struct policy sample(void)
{
    struct policy p = {.purpose_count = 2};

    p.purposes[0] = (struct purpose_plan){.name = SLICE("product"),
                                          .basis = BASIS_CONSENT,
                                          .app = names,
                                          .app_count = 2};
    p.purposes[1] = (struct purpose_plan){.name = SLICE("audience"),
                                          .basis = BASIS_LEGITIMATE_INTEREST,
                                          .exempt = true};
    return p;
}

static const struct json_node *parse(struct arena *a, const char *text)
{
    struct slice copy = arena_copy(a, slice_of(text));
    const struct json_node *root = NULL;

    assert_int_equal(
        json_read(a, (char *)(uintptr_t)copy.at, copy.len, &root, NULL), ST_OK);
    return root;
}

typedef void hear(struct consent_signals *io, const struct json_node *n);

static void via_consent(struct consent_signals *io, const struct json_node *n)
{
    consent_hear_consent(io, json_member(n, SLICE("consent")));
}

static void via_property(struct consent_signals *io, const struct json_node *n)
{
    consent_hear_property(io, json_member(n, SLICE("consent")));
}

static enum audit_reason reason_of(hear *by, const char *text, unsigned purpose)
{
    struct policy p = sample();
    struct arena *a = arena_new(1u << 16);
    struct consent_signals s = {.gpc = false};
    struct consent c;

    p.enforce_tcf = true;
    by(&s, parse(a, text));
    consent_decide(&p, &s, 0, OPTOUT_NONE, &c);
    arena_free(a);
    return (enum audit_reason)c.reason[purpose];
}

struct row {
    const char *text;
    enum audit_reason product, audience;
};

static void try_rows(hear *by, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum audit_reason product = reason_of(by, rows[i].text, 0);
        enum audit_reason audience = reason_of(by, rows[i].text, 1);
        if (product != rows[i].product || audience != rows[i].audience)
            fail_msg("%s: %s, %s", rows[i].text, audit_reason_name(product),
                     audit_reason_name(audience));
    }
}
#define TRY(by, rows) try_rows(by, rows, sizeof(rows) / sizeof((rows)[0]))

static void r41_segment_s_categories(void **state)
{
    static const struct row rows[] = {
        {"{\"consent\":{\"categoryPreferences\":{\"Analytics\":true}}}",
         REASON_NONE, REASON_NONE},
        {"{\"consent\":{\"categoryPreferences\":{\"Analytics\":false}}}",
         REASON_APP_DENIED, REASON_NONE},
        {"{\"consent\":{\"categoryPreferences\":{\"C0002\":true,"
         "\"Analytics\":false}}}",
         REASON_APP_DENIED, REASON_NONE},
        {"{\"consent\":{\"categoryPreferences\":{\"product\":true}}}",
         REASON_NO_CONSENT, REASON_NONE},
        {"{\"consent\":{\"categoryPreferences\":{\"audience\":false}}}",
         REASON_NO_CONSENT, REASON_APP_DENIED},
        {"{\"consent\":{\"categoryPreferences\":{\"analytics\":true}}}",
         REASON_NO_CONSENT, REASON_NONE},
        {"{\"consent\":{\"categoryPreferences\":{\"Analytics\":\"yes\"}}}",
         REASON_APP_DENIED, REASON_NONE},
        {"{\"consent\":{\"categoryPreferences\":[\"Analytics\"]}}",
         REASON_CONSENT_DENIED, REASON_CONSENT_DENIED},
        {"{\"consent\":\"Analytics\"}", REASON_CONSENT_DENIED,
         REASON_CONSENT_DENIED},
        {"{\"consent\":{}}", REASON_NO_CONSENT, REASON_NONE},
        {"{\"consent\":null}", REASON_NO_CONSENT, REASON_NONE},
    };

    (void)state;
    TRY(consent_hear_context, rows);
}

static void r41_rudder_s_lists(void **state)
{
    static const struct row rows[] = {
        {"{\"consentManagement\":{\"allowedConsentIds\":[\"x\",\"C0002\"]}}",
         REASON_NONE, REASON_NONE},
        {"{\"consentManagement\":{\"allowedConsentIds\":[\"C0002\"],"
         "\"deniedConsentIds\":[\"Analytics\"]}}",
         REASON_APP_DENIED, REASON_NONE},
        {"{\"consentManagement\":{\"deniedConsentIds\":[\"audience\"]}}",
         REASON_NO_CONSENT, REASON_APP_DENIED},
        {"{\"consentManagement\":{\"allowedConsentIds\":[\"product\"]}}",
         REASON_NO_CONSENT, REASON_NONE},
        {"{\"consentManagement\":{\"allowedConsentIds\":[],"
         "\"deniedConsentIds\":[]}}",
         REASON_NO_CONSENT, REASON_NONE},
        {"{\"consentManagement\":{\"allowedConsentIds\":{\"C0002\":1}}}",
         REASON_CONSENT_DENIED, REASON_CONSENT_DENIED},
        {"{\"consentManagement\":{\"deniedConsentIds\":[7]}}",
         REASON_CONSENT_DENIED, REASON_CONSENT_DENIED},
        {"{\"consentManagement\":[]}", REASON_CONSENT_DENIED,
         REASON_CONSENT_DENIED},
    };

    (void)state;
    TRY(consent_hear_context, rows);
}

static void the_plain_member_refuses_whatever_it_does_not_understand(void **s)
{
    static const struct row rows[] = {
        {"{\"consent\":{\"Analytics\":true}}", REASON_NONE, REASON_NONE},
        {"{\"consent\":{\"Analytics\":true,\"tcf\":\"garbage\"}}", REASON_TCF,
         REASON_NONE},
        {"{\"consent\":{\"Analytics\":true,\"tcf\":[]}}", REASON_TCF,
         REASON_NONE},
        {"{\"consent\":{\"Analytics\":true,\"tcf\":\"\"}}", REASON_NONE,
         REASON_NONE},
        {"{\"consent\":{\"Analytics\":true,\"tcf\":true}}", REASON_NONE,
         REASON_NONE},
        {"{\"consent\":\"denied\"}", REASON_CONSENT_DENIED,
         REASON_CONSENT_DENIED},
        {"{\"consent\":\"granted\"}", REASON_CONSENT_DENIED,
         REASON_CONSENT_DENIED},
        {"{\"consent\":null}", REASON_CONSENT_DENIED, REASON_CONSENT_DENIED},
        {"{}", REASON_NO_CONSENT, REASON_NONE},
    };

    (void)s;
    TRY(via_consent, rows);
}

/* Among an SDK's properties the name may be the app's own. */
static void a_property_refuses_by_the_word_alone(void **state)
{
    static const struct row rows[] = {
        {"{\"consent\":\"denied\"}", REASON_CONSENT_DENIED,
         REASON_CONSENT_DENIED},
        {"{\"consent\":\"Denied\"}", REASON_CONSENT_DENIED,
         REASON_CONSENT_DENIED},
        {"{\"consent\":false}", REASON_CONSENT_DENIED, REASON_CONSENT_DENIED},
        {"{\"consent\":{\"Analytics\":true}}", REASON_NONE, REASON_NONE},
        {"{\"consent\":{\"Analytics\":false}}", REASON_APP_DENIED, REASON_NONE},
        {"{\"consent\":true}", REASON_NO_CONSENT, REASON_NONE},
        {"{\"consent\":\"granted\"}", REASON_NO_CONSENT, REASON_NONE},
        {"{\"consent\":3}", REASON_NO_CONSENT, REASON_NONE},
        {"{}", REASON_NO_CONSENT, REASON_NONE},
    };

    (void)state;
    TRY(via_property, rows);
}

static void two_strings_that_differ_are_unclear(void **state)
{
    struct consent_signals s = {.gpc = false}, more = {.tcf = SLICE("B")};

    (void)state;
    consent_hear_tcf(&s, SLICE_NONE);
    assert_int_equal(s.tcf.len, 0);
    consent_hear_tcf(&s, SLICE("A"));
    consent_hear_tcf(&s, SLICE("A"));
    consent_hear_tcf(&s, SLICE_NONE);
    assert_false(s.tcf_unclear);
    assert_true(slice_eq(s.tcf, SLICE("A")));
    consent_hear_all(&s, &more);
    assert_true(s.tcf_unclear);
}

/* R71: a header or a field, by the policy alone. */
static const struct slice withdraw[] = {SLICE_INIT("withdraw=*"),
                                        SLICE_INIT("off")};
static const struct signal_rule headers[] = {
    {SLICE_INIT("ADPC"), withdraw, 2, SIGNAL_DENY},
    {SLICE_INIT("X-Any"), NULL, 0, SIGNAL_DENY_CONSENT},
};

static struct consent_signals request(const char *name, const char *value,
                                      const char *query)
{
    struct policy p = {.header_signals = headers, .header_signal_count = 2};
    struct beacon_header h = {slice_of(name), slice_of(value)};
    struct beacon b = {
        .headers = &h, .header_count = 1, .query = slice_of(query)};
    struct consent_signals s = {.gpc = false};
    struct arena *a = arena_new(1u << 12);

    assert_int_equal(consent_hear_request(&p, &b, a, &s), ST_OK);
    s.tcf = SLICE_NONE; /* it may lie in the arena */
    arena_free(a);
    return s;
}

static void r71_headers_of_the_policy(void **state)
{
    static const struct {
        const char *name, *value;
        bool other, own;
    } rows[] = {
        {"ADPC", "withdraw=*", true, false},
        {"adpc", " Withdraw=* ", true, false},
        {"ADPC", "consent=a b, withdraw=*", true, false},
        {"ADPC", "off,consent=x", true, false},
        {"ADPC", "consent=withdraw", false, false},
        {"ADPC", "", false, false},
        {"ADPCX", "withdraw=*", false, false},
        {"X-Any", "", false, true},
        {"X-Any", "whatever", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct consent_signals s = request(rows[i].name, rows[i].value, "");
        if (s.other != rows[i].other || s.other_own != rows[i].own)
            fail_msg("%s: %s", rows[i].name, rows[i].value);
    }
}

static void requests_may_ask_for_no_identifier_and_carry_a_string(void **state)
{
    (void)state;
    assert_true(request("SP-Anonymous", "*", "").anonymous);
    assert_true(request("sp-anonymous", "1", "").anonymous);
    assert_false(request("SP-Anonymous", " ", "").anonymous);
    assert_false(request("X-IP-Policy", "remove", "").anonymous);
    assert_false(request("A", "b", "gdpr=1&gdpr_consent=CQ").tcf_unclear);
    assert_true(
        request("A", "b", "gdpr_consent=CQ&gdpr_consent=CR").tcf_unclear);
}

static const struct slice truth[] = {SLICE_INIT("true")};

static struct consent_signals fields(const char *text)
{
    static const struct signal_rule own[] = {
        {SLICE_INIT("env.opt_out"), NULL, 0, SIGNAL_DENY},
        {SLICE_INIT("mode"), withdraw, 2, SIGNAL_DENY_CONSENT},
        {SLICE_INIT("flag"), truth, 1, SIGNAL_DENY},
    };
    struct policy p = {.field_signals = own,
                       .field_signal_count = 3,
                       .consent_property = SLICE("state.consent"),
                       .tcf_property = SLICE("tc")};
    struct consent_signals s = {.gpc = false};
    struct arena *a = arena_new(1u << 16);

    consent_hear_fields(&p, parse(a, text), &s);
    s.tcf.at = s.tcf.len > 0 ? "" : NULL; /* only whether there is one */
    s.app = NULL;
    arena_free(a);
    return s;
}

static void r71_fields_of_the_policy(void **state)
{
    (void)state;
    assert_true(fields("{\"env\":{\"opt_out\":0}}").other);
    assert_false(fields("{\"env\":{\"opt_out\":null}}").other);
    assert_false(fields("{\"opt_out\":1}").other);
    assert_true(fields("{\"mode\":\"off\"}").other_own);
    assert_false(fields("{\"mode\":\"on\"}").other_own);
    assert_true(fields("{\"mode\":[\"on\"]}").other_own); /* cannot tell */
    assert_true(fields("{\"flag\":true}").other);
    assert_false(fields("{\"flag\":false}").other);
    assert_true(fields("{\"state\":{\"consent\":\"denied\"}}").denied);
    assert_false(fields("{\"state\":{\"consent\":\"granted\"}}").denied);
    assert_int_equal(fields("{\"tc\":\"CQ\"}").tcf.len, 2);
    assert_true(fields("{\"tc\":7}").tcf_unclear);
    assert_false(fields("{\"tc\":null}").tcf_unclear);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(r41_segment_s_categories),
        cmocka_unit_test(r41_rudder_s_lists),
        cmocka_unit_test(
            the_plain_member_refuses_whatever_it_does_not_understand),
        cmocka_unit_test(a_property_refuses_by_the_word_alone),
        cmocka_unit_test(two_strings_that_differ_are_unclear),
        cmocka_unit_test(r71_headers_of_the_policy),
        cmocka_unit_test(requests_may_ask_for_no_identifier_and_carry_a_string),
        cmocka_unit_test(r71_fields_of_the_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
