/* Consent as truth tables: every signal by every kind of purpose. */
#include "lethe/policy/base/arena.h"
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

/* Mixbot's two purposes and three more kinds. */
enum { AUDIENCE, PRODUCT, ASSERTED, PLAIN_INTEREST, EXEMPT_CONSENT, COUNT };

static const struct slice product_names[] = {SLICE_INIT("product"),
                                             SLICE_INIT("analytics")};
static const struct slice exempt_names[] = {SLICE_INIT("own")};

static struct policy sample(void)
{
    struct policy p = {
        .purpose_count = COUNT, .gpc = SIGNAL_DENY_CONSENT, .dnt = SIGNAL_DENY};

    p.purposes[AUDIENCE] =
        (struct purpose_plan){.name = SLICE("audience"),
                              .basis = BASIS_LEGITIMATE_INTEREST,
                              .exempt = true};
    p.purposes[PRODUCT] = (struct purpose_plan){.name = SLICE("improve"),
                                                .basis = BASIS_CONSENT,
                                                .app = product_names,
                                                .app_count = 2};
    p.purposes[ASSERTED] = (struct purpose_plan){
        .name = SLICE("asserted"), .basis = BASIS_CONSENT, .asserted = true};
    p.purposes[PLAIN_INTEREST] = (struct purpose_plan){
        .name = SLICE("interest"), .basis = BASIS_LEGITIMATE_INTEREST};
    p.purposes[EXEMPT_CONSENT] = (struct purpose_plan){.name = SLICE("own"),
                                                       .basis = BASIS_CONSENT,
                                                       .exempt = true,
                                                       .app = exempt_names,
                                                       .app_count = 1};
    return p;
}

static struct consent ask(const struct policy *p, struct consent_signals s,
                          enum optout_state optout)
{
    struct consent out;

    memset(&out, 0xa5, sizeof out);
    consent_decide(p, &s, 0, optout, &out);
    for (unsigned i = 0; i < p->purpose_count; i++)
        assert_int_equal((out.allowed >> i & 1) != 0, out.reason[i] == 0);
    assert_int_equal(out.allowed >> p->purpose_count, 0);
    return out;
}

/* One member of a consent object: hand-made nodes, no reader needed. */
struct app {
    struct json_node nodes[5];
};

static struct app *app_add(struct app *a, struct slice key, enum json_type type)
{
    a->nodes[0].type = JSON_OBJECT;
    a->nodes[0].count++;
    a->nodes[0].span = a->nodes[0].count + 1;
    a->nodes[a->nodes[0].count] =
        (struct json_node){.key = key, .span = 1, .type = type};
    return a;
}

static struct consent ask_app(struct app *a)
{
    struct policy p = sample();

    return ask(&p, (struct consent_signals){.app = a->nodes}, OPTOUT_NONE);
}

static void without_signals_only_a_yes_is_missing(void **state)
{
    struct policy p = sample();
    struct consent c = ask(&p, (struct consent_signals){0}, OPTOUT_NONE);

    (void)state;
    assert_int_equal(c.allowed,
                     1u << AUDIENCE | 1u << ASSERTED | 1u << PLAIN_INTEREST);
    assert_int_equal(c.reason[PRODUCT], REASON_NO_CONSENT);
    assert_int_equal(c.reason[EXEMPT_CONSENT], REASON_NO_CONSENT);
}

static void r60_every_optout_denies_everything(void **state)
{
    static const struct {
        enum optout_state state;
        enum audit_reason reason;
    } rows[] = {{OPTOUT_LISTED, REASON_OPTED_OUT},
                {OPTOUT_THEN, REASON_OPTED_OUT_THEN},
                {OPTOUT_BY_COOKIE, REASON_OPTOUT_COOKIE},
                {OPTOUT_CANNOT_TELL, REASON_OPTOUT_UNREADABLE},
                {(enum optout_state)99, REASON_OPTOUT_UNREADABLE}};
    struct policy p = sample();
    struct app yes = {0};

    (void)state;
    app_add(&yes, SLICE("product"), JSON_TRUE);
    p.gpc = p.dnt = SIGNAL_IGNORE;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct consent c =
            ask(&p, (struct consent_signals){.app = yes.nodes}, rows[i].state);
        assert_int_equal(c.allowed, 0);
        for (unsigned k = 0; k < COUNT; k++)
            assert_int_equal(c.reason[k], rows[i].reason);
    }
}

static void consent_denied_denies_exempt_ones_too(void **state)
{
    struct policy p = sample();
    struct app yes = {0};
    struct consent c;

    (void)state;
    app_add(&yes, SLICE("product"), JSON_TRUE);
    c = ask(&p, (struct consent_signals){.denied = true, .app = yes.nodes},
            OPTOUT_NONE);
    assert_int_equal(c.allowed, 0);
    for (unsigned k = 0; k < COUNT; k++)
        assert_int_equal(c.reason[k], REASON_CONSENT_DENIED);
}

/* signal x policy x purpose, whole. */
static void r61_r64_signals_by_policy_and_purpose(void **state)
{
    static const struct {
        enum signal_policy rule;
        uint16_t allowed; /* of AUDIENCE, ASSERTED and PLAIN_INTEREST */
    } rows[] = {{SIGNAL_DENY, 0},
                {SIGNAL_DENY_CONSENT, 1u << AUDIENCE},
                {SIGNAL_IGNORE,
                 1u << AUDIENCE | 1u << ASSERTED | 1u << PLAIN_INTEREST}};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct policy p = sample();
        struct consent c;

        p.gpc = rows[i].rule;
        p.dnt = SIGNAL_DENY;
        c = ask(&p, (struct consent_signals){.gpc = true}, OPTOUT_NONE);
        assert_int_equal(c.allowed, rows[i].allowed);
        if (p.gpc != SIGNAL_IGNORE)
            assert_int_equal(c.reason[PRODUCT], REASON_GPC);
        p.dnt = rows[i].rule;
        p.gpc = SIGNAL_DENY;
        c = ask(&p, (struct consent_signals){.dnt = true}, OPTOUT_NONE);
        assert_int_equal(c.allowed, rows[i].allowed);
        if (p.dnt != SIGNAL_IGNORE)
            assert_int_equal(c.reason[PRODUCT], REASON_DNT);
    }
}

/* R70: for each pairing of signals the stricter outcome stands. */
static void r70_of_two_signals_the_stricter_wins(void **state)
{
    struct policy p = sample();
    struct app yes = {0}, no = {0};

    (void)state;
    app_add(&yes, SLICE("product"), JSON_TRUE);
    app_add(&no, SLICE("product"), JSON_FALSE);
    const struct consent_signals all[] = {
        {0},
        {.gpc = true},
        {.dnt = true},
        {.denied = true},
        {.app = yes.nodes},
        {.app = no.nodes},
    };
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned k = 0; k < 4; k++) {
            struct consent_signals both = all[i];
            struct consent a = ask(&p, all[i], OPTOUT_NONE);
            struct consent ab;

            both.gpc |= all[k].gpc;
            both.dnt |= all[k].dnt;
            both.denied |= all[k].denied;
            ab = ask(&p, both, OPTOUT_NONE);
            /* adding a refusal never allows more */
            assert_int_equal(ab.allowed & ~a.allowed, 0);
        }
    }
    assert_int_equal(
        ask(&p, (struct consent_signals){.gpc = true, .app = yes.nodes},
            OPTOUT_NONE)
            .reason[PRODUCT],
        REASON_GPC);
    assert_int_equal(
        ask(&p, (struct consent_signals){.denied = true, .app = yes.nodes},
            OPTOUT_LISTED)
            .reason[PRODUCT],
        REASON_OPTED_OUT);
}

/* What the record consent.summary counts: R41, R70. */
static void r41_r70_what_was_heard_and_whether_it_opened_something(void **state)
{
    struct app yes = {0};
    struct policy p = sample();

    (void)state;
    p.purposes[ASSERTED].asserted = false;
    app_add(&yes, SLICE("product"), JSON_TRUE);
    const struct {
        struct consent_signals s;
        enum optout_state optout;
        unsigned heard;
        bool opened;
    } rows[] = {
        {{.gpc = false}, OPTOUT_NONE, 0, false},
        {{.app = yes.nodes}, OPTOUT_NONE, 1, true},
        {{.allowed_ids = yes.nodes}, OPTOUT_NONE, 1, false},
        {{.denied_ids = yes.nodes}, OPTOUT_NONE, 1, false},
        {{.categories = yes.nodes}, OPTOUT_NONE, 1, true},
        {{.mode = {.cookieless = true}}, OPTOUT_NONE, 2, false},
        {{.mode = {.said = {CONSENT_GRANTED}}}, OPTOUT_NONE, 2, false},
        {{.tcf = SLICE("C")}, OPTOUT_NONE, 4, false},
        {{.tcf_unclear = true}, OPTOUT_NONE, 4, false},
        {{.denied = true, .app = yes.nodes}, OPTOUT_NONE, 9, false},
        {{.gpc = true, .app = yes.nodes}, OPTOUT_NONE, 17, false},
        {{.dnt = true}, OPTOUT_NONE, 32, false},
        {{.other = true}, OPTOUT_NONE, 64, false},
        {{.other_own = true}, OPTOUT_NONE, 64, false},
        {{.app = yes.nodes}, OPTOUT_LISTED, 129, false},
        {{.gpc = false}, OPTOUT_CANNOT_TELL, 128, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct consent c = ask(&p, rows[i].s, rows[i].optout);
        assert_int_equal(c.heard, rows[i].heard);
        assert_int_equal(c.opened, rows[i].opened);
    }
}

static void a_listed_yes_opens_its_purpose_alone(void **state)
{
    struct app a = {0}, b = {0};

    (void)state;
    assert_int_equal(
        ask_app(app_add(&a, SLICE("analytics"), JSON_TRUE)).reason[PRODUCT],
        REASON_NONE);
    assert_int_equal(ask_app(app_add(&b, SLICE("product"), JSON_TRUE))
                         .reason[EXEMPT_CONSENT],
                     REASON_NO_CONSENT);
}

/* Law 9: a client cannot name a purpose the policy did not list, */
static void a_yes_by_the_purpose_s_own_name_opens_nothing(void **state)
{
    struct app a = {0}, b = {0};

    (void)state;
    assert_int_equal(
        ask_app(app_add(&a, SLICE("improve"), JSON_TRUE)).reason[PRODUCT],
        REASON_NO_CONSENT);
    assert_int_equal(
        ask_app(app_add(&b, SLICE("Product"), JSON_TRUE)).reason[PRODUCT],
        REASON_NO_CONSENT);
}

/* but a no is a no by any of its names. */
static void a_no_by_the_purpose_s_own_name_denies(void **state)
{
    struct app a = {0};
    struct consent c = ask_app(app_add(&a, SLICE("audience"), JSON_FALSE));

    (void)state;
    assert_int_equal(c.reason[AUDIENCE], REASON_APP_DENIED);
    assert_int_equal(c.reason[PLAIN_INTEREST], REASON_NONE);
}

static void one_no_beats_every_yes_in_either_order(void **state)
{
    struct app a = {0}, b = {0};

    (void)state;
    app_add(app_add(&a, SLICE("product"), JSON_TRUE), SLICE("analytics"),
            JSON_FALSE);
    app_add(app_add(&b, SLICE("analytics"), JSON_FALSE), SLICE("product"),
            JSON_TRUE);
    assert_int_equal(ask_app(&a).reason[PRODUCT], REASON_APP_DENIED);
    assert_int_equal(ask_app(&b).reason[PRODUCT], REASON_APP_DENIED);
}

static void malformed_answers_are_no_yes(void **state)
{
    static const enum json_type types[] = {JSON_NUMBER, JSON_STRING, JSON_ARRAY,
                                           JSON_OBJECT};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct app a = {0}, b = {0};

        assert_int_equal(
            ask_app(app_add(&a, SLICE("product"), types[i])).reason[PRODUCT],
            REASON_APP_DENIED);
        assert_int_equal(
            ask_app(app_add(&b, SLICE("asserted"), types[i])).reason[ASSERTED],
            REASON_APP_DENIED);
    }
    struct app null = {0};
    assert_int_equal(
        ask_app(app_add(&null, SLICE("product"), JSON_NULL)).reason[PRODUCT],
        REASON_NO_CONSENT);
}

static struct consent_signals properties(char *json, size_t len, bool gpc)
{
    struct policy p = {.gpc_property = SLICE("env.gpc"),
                       .dnt_property = SLICE("dnt")};
    struct consent_signals s = {.gpc = gpc};
    struct arena *a = arena_new(1u << 16);
    const struct json_node *root = NULL;

    assert_int_equal(json_read(a, json, len, &root, NULL), ST_OK);
    consent_hear_fields(&p, root, &s);
    arena_free(a);
    return s;
}

#define PROPERTIES(text, gpc) properties((char[]){text}, sizeof(text) - 1, gpc)

static void properties_set_signals_and_clear_none(void **state)
{
    (void)state;
    assert_true(PROPERTIES("{\"env\":{\"gpc\":true}}", false).gpc);
    assert_true(PROPERTIES("{\"env\":{\"gpc\":1}}", false).gpc);
    assert_true(PROPERTIES("{\"env\":{\"gpc\":\"1\"}}", false).gpc);
    assert_true(PROPERTIES("{\"dnt\":\"true\"}", false).dnt);
    assert_false(PROPERTIES("{\"env\":{\"gpc\":0},\"dnt\":\"no\"}", false).gpc);
    assert_false(PROPERTIES("{\"env\":true,\"env.gpc\":true}", false).gpc);
    assert_false(PROPERTIES("{\"gpc\":true,\"dnt\":null}", false).dnt);
    assert_false(PROPERTIES("[1]", false).gpc);
    assert_true(PROPERTIES("{\"env\":{\"gpc\":false}}", true).gpc);

    struct policy none = {0};
    struct consent_signals s = {0};
    struct json_node yes = {.type = JSON_TRUE, .span = 1};
    consent_hear_fields(&none, &yes, &s);
    consent_hear_fields(&none, NULL, &s);
    assert_false(s.gpc || s.dnt);
}

static void sixteen_purposes_fill_the_mask(void **state)
{
    struct policy p = {.purpose_count = POLICY_PURPOSES_MAX};
    struct consent c;

    (void)state;
    for (unsigned i = 0; i < POLICY_PURPOSES_MAX; i++)
        p.purposes[i].basis = BASIS_CONTRACT;
    c = ask(&p, (struct consent_signals){0}, OPTOUT_NONE);
    assert_int_equal(c.allowed, 0xffff);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_signals_only_a_yes_is_missing),
        cmocka_unit_test(r60_every_optout_denies_everything),
        cmocka_unit_test(consent_denied_denies_exempt_ones_too),
        cmocka_unit_test(r61_r64_signals_by_policy_and_purpose),
        cmocka_unit_test(r70_of_two_signals_the_stricter_wins),
        cmocka_unit_test(
            r41_r70_what_was_heard_and_whether_it_opened_something),
        cmocka_unit_test(a_listed_yes_opens_its_purpose_alone),
        cmocka_unit_test(a_yes_by_the_purpose_s_own_name_opens_nothing),
        cmocka_unit_test(a_no_by_the_purpose_s_own_name_denies),
        cmocka_unit_test(one_no_beats_every_yes_in_either_order),
        cmocka_unit_test(malformed_answers_are_no_yes),
        cmocka_unit_test(properties_set_signals_and_clear_none),
        cmocka_unit_test(sixteen_purposes_fill_the_mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
