/* What TC strings open and close: R66 to R70 on consent_decide() and decide().
 * test_tcf.c has the strings themselves. */
#include "lethe/policy/base/clock.h"
#include "lethe/policy/consent.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/json_reader.h"
#include "tcf_made.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Purposes: an exempt one; one that strings open, by 1 and 9, where legitimate
 * interest for 9 is as good; one that the app alone opens. */
enum { EXEMPT, MAPPED, UNMAPPED, PURPOSES };
enum { OURS, VENDOR, DESTINATIONS };

#define VENDOR_ID     755u
#define GARBAGE_CASES 100000u

static const struct slice app_name[] = {SLICE_INIT("other")};
static const struct slice germany[] = {SLICE_INIT("FR"), SLICE_INIT("DE")};

static struct policy sample(void)
{
    struct policy p = {.purpose_count = PURPOSES,
                       .destination_count = DESTINATIONS,
                       .enforce_tcf = true,
                       .tcf_max_age = {13, 0}};

    p.purposes[EXEMPT] =
        (struct purpose_plan){.name = SLICE("audience"),
                              .basis = BASIS_LEGITIMATE_INTEREST,
                              .exempt = true};
    p.purposes[MAPPED] = (struct purpose_plan){.name = SLICE("product"),
                                               .basis = BASIS_CONSENT,
                                               .tcf = PURPOSE(1) | PURPOSE(9),
                                               .tcf_interest = PURPOSE(9)};
    p.purposes[UNMAPPED] = (struct purpose_plan){.name = SLICE("other"),
                                                 .basis = BASIS_CONSENT,
                                                 .app = app_name,
                                                 .app_count = 1};
    p.destinations[VENDOR].tcf_vendor = VENDOR_ID;
    return p;
}

struct answer {
    unsigned treatment;
    uint32_t consent, interest;
    unsigned vendor_consent, vendor_interest; /* 0: none */
    bool disclosed;
    unsigned disclosed_vendor;
    unsigned restricted; /* purpose, of type `restriction` */
    unsigned restriction;
    bool publisher;
    uint32_t publisher_consent;
};

/* A string that says yes to all. */
static const struct answer all = {.consent = PURPOSE(1) | PURPOSE(9),
                                  .interest = PURPOSE(9),
                                  .vendor_consent = VENDOR_ID,
                                  .vendor_interest = VENDOR_ID,
                                  .disclosed = true,
                                  .disclosed_vendor = VENDOR_ID};

static struct slice string_of(const struct answer *a, struct made *m)
{
    struct core c = good;

    c.consent = a->consent;
    c.interest = a->interest;
    c.treatment = a->treatment;
    *m = (struct made){.len = 0};
    put_head(m, &c);
    put_vendor(m, a->vendor_consent);
    put_vendor(m, a->vendor_interest);
    put(m, a->restricted != 0, 12);
    if (a->restricted != 0)
        put_restriction(m, a->restricted, a->restriction, VENDOR_ID);
    if (a->disclosed) {
        next_segment(m, 1);
        put_vendor(m, a->disclosed_vendor);
    }
    if (a->publisher) {
        next_segment(m, 3);
        put_set(m, a->publisher_consent, 24);
        put(m, 0, 24 + 6);
    }
    return made_text(m);
}

static struct consent ask(const struct policy *p, const struct answer *a)
{
    struct made m;
    struct consent_signals s = {.tcf = string_of(a, &m)};
    struct consent c;

    consent_decide(p, &s, MADE_MS, OPTOUT_NONE, &c);
    return c;
}

static bool opens(const struct policy *p, const struct answer *a, unsigned d)
{
    struct consent c = ask(p, a);
    bool allowed = (c.allowed >> MAPPED & 1u) != 0;

    assert_int_equal(allowed, c.reason[MAPPED] == REASON_NONE);
    if (!allowed)
        assert_int_equal(c.reason[MAPPED], REASON_TCF);
    return allowed && (c.not_to[d] >> MAPPED & 1u) == 0;
}

static void r69_64_rows_of_purposes_and_vendors(void **state)
{
    struct policy p = sample();

    (void)state;
    for (unsigned row = 0; row < 64; row++) {
        bool one = row & 1, nine = row & 2, nine_interest = row & 4;
        bool consent = row & 8, interest = row & 16, shown = row & 32;
        struct answer a = {
            .consent = (one ? PURPOSE(1) : 0) | (nine ? PURPOSE(9) : 0),
            .interest = nine_interest ? PURPOSE(9) : 0,
            .vendor_consent = consent ? VENDOR_ID : 0,
            .vendor_interest = interest ? VENDOR_ID : 0,
            .disclosed = true,
            .disclosed_vendor = shown ? VENDOR_ID : 12,
        };
        assert_int_equal(opens(&p, &a, OURS), one && (nine || nine_interest));
        assert_int_equal(opens(&p, &a, VENDOR),
                         shown && one && consent &&
                             (nine || (nine_interest && interest)));
    }
}

static void r69_legitimate_interest_counts_only_where_the_policy_says(void **s)
{
    struct policy p = sample();
    struct answer a = all;

    (void)s;
    a.consent = PURPOSE(1);
    assert_true(opens(&p, &a, VENDOR));
    p.purposes[MAPPED].tcf_interest = 0;
    assert_false(opens(&p, &a, VENDOR));
    assert_false(opens(&p, &a, OURS));
}

static void r69_purpose_one_that_was_not_asked_for(void **state)
{
    struct policy p = sample();
    struct answer a = all;

    (void)state;
    a.treatment = 1;
    assert_false(opens(&p, &a, VENDOR)); /* its bit says nothing then */
    a.consent = PURPOSE(9);
    assert_false(opens(&p, &a, VENDOR));
    p.purposes[MAPPED].tcf_countries = germany;
    p.purposes[MAPPED].tcf_country_count = 1; /* France alone */
    assert_false(opens(&p, &a, VENDOR));
    p.purposes[MAPPED].tcf_country_count = 2;
    assert_true(opens(&p, &a, VENDOR));
    assert_true(opens(&p, &a, OURS));
    a.treatment = 0; /* it was asked for, and refused */
    assert_false(opens(&p, &a, VENDOR));
}

static void r69_what_a_publisher_asks_of_a_vendor_counts(void **state)
{
    static const struct {
        unsigned purpose, type;
        bool by_consent, by_interest;
    } rows[] = {{9, 0, false, false},
                {9, 1, true, false},
                {9, 2, false, true},
                {1, 0, false, false},
                {8, 0, true, true}};
    struct policy p = sample();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a = all;
        a.restricted = rows[i].purpose;
        a.restriction = rows[i].type;
        a.interest = 0;
        assert_int_equal(opens(&p, &a, VENDOR), rows[i].by_consent);
        assert_true(opens(&p, &a, OURS));
        a.interest = PURPOSE(9);
        a.consent = PURPOSE(1);
        assert_int_equal(opens(&p, &a, VENDOR), rows[i].by_interest);
    }
}

static void r69_the_publisher_s_own_segment_counts_for_ourselves(void **state)
{
    struct policy p = sample();
    struct answer a = all;

    (void)state;
    a.publisher = true;
    assert_false(opens(&p, &a, OURS));
    assert_true(opens(&p, &a, VENDOR));
    a.publisher_consent = PURPOSE(1) | PURPOSE(9);
    assert_true(opens(&p, &a, OURS));
}

static void r67_without_disclosed_vendors_it_is_a_no(void **state)
{
    struct policy p = sample();
    struct answer a = all;

    (void)state;
    a.disclosed = false;
    assert_false(opens(&p, &a, OURS));
    assert_false(opens(&p, &a, VENDOR));
    p.tcf_undisclosed_allow = true;
    assert_true(opens(&p, &a, VENDOR));
    a.disclosed = true; /* one that is there counts all the same */
    a.disclosed_vendor = 12;
    assert_false(opens(&p, &a, VENDOR));
}

static enum audit_reason reason_of(struct slice tcf, int64_t now_ms,
                                   unsigned purpose, bool app)
{
    struct policy p = sample();
    struct json_node yes[2] = {
        {.type = JSON_OBJECT, .count = 1, .span = 2},
        {.key = SLICE("other"), .type = JSON_TRUE, .span = 1}};
    struct consent_signals s = {.tcf = tcf, .app = app ? yes : NULL};
    struct consent c;

    consent_decide(&p, &s, now_ms, OPTOUT_NONE, &c);
    return (enum audit_reason)c.reason[purpose];
}

static void r67_a_string_that_cannot_count_closes_what_needs_a_yes(void **state)
{
    static const char *const bad[] = {"nonsense", "C",
                                      "CQuFeUAQuFeUAAKADBFRB4E"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct slice text = slice_of(bad[i]);
        assert_int_equal(reason_of(text, MADE_MS, MAPPED, false), REASON_TCF);
        assert_int_equal(reason_of(text, MADE_MS, UNMAPPED, true), REASON_TCF);
        assert_int_equal(reason_of(text, MADE_MS, EXEMPT, false), REASON_NONE);
    }
    assert_int_equal(reason_of(SLICE_NONE, MADE_MS, UNMAPPED, true),
                     REASON_NONE);
    assert_int_equal(reason_of(SLICE_NONE, MADE_MS, MAPPED, true),
                     REASON_NO_CONSENT);
}

/* R68: 2023-11-14 and 13 months are 2024-12-14, all day. */
static void r68_a_string_ends_after_13_months(void **state)
{
    const int64_t last = INT64_C(1734220799999); /* 2024-12-14T23:59:59.999Z */
    struct made m;
    struct slice text = string_of(&all, &m);

    (void)state;
    assert_int_equal(reason_of(text, last, MAPPED, false), REASON_NONE);
    assert_int_equal(reason_of(text, last + 1, MAPPED, false), REASON_TCF);
    /* from tomorrow at most: clocks differ, but nothing lasts for ever */
    assert_int_equal(reason_of(text, MADE_MS - MS_PER_DAY, MAPPED, false),
                     REASON_NONE);
    assert_int_equal(reason_of(text, MADE_MS - MS_PER_DAY - 1, MAPPED, false),
                     REASON_TCF);
}

static void a_purpose_that_strings_do_not_open_is_closed_by_a_refusal(void **s)
{
    struct answer a = all;
    struct made m;

    (void)s;
    assert_int_equal(reason_of(string_of(&a, &m), MADE_MS, UNMAPPED, true),
                     REASON_NONE);
    assert_int_equal(reason_of(string_of(&a, &m), MADE_MS, UNMAPPED, false),
                     REASON_NO_CONSENT);
    a.consent = PURPOSE(9);
    assert_int_equal(reason_of(string_of(&a, &m), MADE_MS, UNMAPPED, true),
                     REASON_TCF);
    a.treatment = 1;
    assert_int_equal(reason_of(string_of(&a, &m), MADE_MS, UNMAPPED, true),
                     REASON_NONE);
}

static void a_vendor_that_was_refused_gets_nothing_that_needs_a_yes(void **s)
{
    struct policy p = sample();
    struct answer a = all;
    struct consent c = ask(&p, &a);

    (void)s;
    assert_int_equal(c.not_to[VENDOR] | c.not_to[OURS], 0);
    p.purposes[UNMAPPED].asserted = true;
    a.vendor_consent = a.vendor_interest = 0;
    c = ask(&p, &a);
    assert_int_equal(c.not_to[VENDOR], 1u << MAPPED | 1u << UNMAPPED);
    assert_int_equal(c.not_to[OURS], 0);
}

static void strings_are_ignored_where_the_policy_says_so(void **state)
{
    struct policy p = sample();
    struct consent c;

    (void)state;
    p.enforce_tcf = false;
    c = ask(&p, &all);
    assert_int_equal(c.reason[MAPPED], REASON_NO_CONSENT);
    assert_int_equal(c.not_to[VENDOR], 0);
}

/* R70: the stricter signal decides, and is the one that is named. */
static void r70_every_other_no_beats_a_string_that_says_yes(void **state)
{
    static const struct {
        struct consent_signals s;
        enum optout_state optout;
        enum audit_reason reason;
    } rows[] = {
        {{.gpc = false}, OPTOUT_NONE, REASON_NONE},
        {{.gpc = true}, OPTOUT_NONE, REASON_GPC},
        {{.dnt = true}, OPTOUT_NONE, REASON_DNT},
        {{.denied = true}, OPTOUT_NONE, REASON_CONSENT_DENIED},
        {{.other = true}, OPTOUT_NONE, REASON_SIGNAL},
        {{.other_own = true}, OPTOUT_NONE, REASON_SIGNAL},
        {{.mode = {.cookieless = true}}, OPTOUT_NONE, REASON_CONSENT_MODE},
        {{.tcf_unclear = true}, OPTOUT_NONE, REASON_TCF},
        {{.gpc = false}, OPTOUT_LISTED, REASON_OPTED_OUT},
        {{.gpc = true}, OPTOUT_THEN, REASON_OPTED_OUT_THEN},
        {{.gpc = false}, OPTOUT_BY_COOKIE, REASON_OPTOUT_COOKIE},
        {{.dnt = true}, OPTOUT_CANNOT_TELL, REASON_OPTOUT_UNREADABLE},
    };
    struct policy p = sample();
    struct made m;

    (void)state;
    p.enforce_consent_mode = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct consent_signals s = rows[i].s;
        struct consent c;
        s.tcf = string_of(&all, &m);
        consent_decide(&p, &s, MADE_MS, rows[i].optout, &c);
        assert_int_equal(c.reason[MAPPED], rows[i].reason);
    }
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void r67_100000_strings_of_garbage_open_nothing(void **state)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    unsigned seed = 67;

    (void)state;
    for (unsigned i = 0; i < GARBAGE_CASES; i++) {
        char text[96];
        size_t len = 1 + next_random(&seed) % sizeof(text);
        for (size_t k = 0; k < len; k++)
            text[k] = letters[next_random(&seed) % (sizeof(letters) - 1)];
        if (i % 2 == 0)
            text[0] = 'C'; /* version 2 */
        assert_int_equal(
            reason_of((struct slice){text, len}, MADE_MS, MAPPED, false),
            REASON_TCF);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(r69_64_rows_of_purposes_and_vendors),
        cmocka_unit_test(
            r69_legitimate_interest_counts_only_where_the_policy_says),
        cmocka_unit_test(r69_purpose_one_that_was_not_asked_for),
        cmocka_unit_test(r69_what_a_publisher_asks_of_a_vendor_counts),
        cmocka_unit_test(r69_the_publisher_s_own_segment_counts_for_ourselves),
        cmocka_unit_test(r67_without_disclosed_vendors_it_is_a_no),
        cmocka_unit_test(
            r67_a_string_that_cannot_count_closes_what_needs_a_yes),
        cmocka_unit_test(r68_a_string_ends_after_13_months),
        cmocka_unit_test(
            a_purpose_that_strings_do_not_open_is_closed_by_a_refusal),
        cmocka_unit_test(
            a_vendor_that_was_refused_gets_nothing_that_needs_a_yes),
        cmocka_unit_test(strings_are_ignored_where_the_policy_says_so),
        cmocka_unit_test(r70_every_other_no_beats_a_string_that_says_yes),
        cmocka_unit_test(r67_100000_strings_of_garbage_open_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
