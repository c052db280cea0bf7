/* R65: consent mode's texts, and what they open and close. */
#include "lethe/policy/consent.h"
#include "lethe/policy/hit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One character a type, in the order of enum consent_type: "-" unset,
 * "g" granted, "x" unknown, "d" denied. */
static void assert_said(const char *what, const struct consent_mode *m,
                        const char *want)
{
    char got[CONSENT_TYPE_COUNT + 1] = "";

    for (unsigned i = 0; i < CONSENT_TYPE_COUNT; i++)
        got[i] = "-gxd"[m->said[i]];
    if (strcmp(got, want) != 0)
        fail_msg("%s: got %s, want %s", what, got, want);
}

static void R65_thirty_texts(void **state)
{
    static const struct {
        const char *gcs, *gcd, *said;
        bool cookieless;
    } rows[] = {
        {"", "", "----", false},
        {"G111", "", "gg--", false},
        {"G110", "", "gd--", false},
        {"G101", "", "dg--", false},
        {"G100", "", "dd--", true},
        {"G1--", "", "xx--", false},
        {"G11-", "", "gx--", false},
        {"G112", "", "gx--", false},
        {"g111", "", "xx--", false},
        {"G011", "", "xx--", false},
        {"G11", "", "xx--", false},
        {"G1111", "", "xx--", false},
        {" G111", "", "xx--", false},
        {"", "11p1p1p1p5", "dddd", false},
        {"", "13r3r3r3r5l1", "gggg", false},
        {"", "11t1t1t1t5", "gggg", false},
        {"", "11l1l1l1l5", "----", false},
        {"", "11t1p1l1r5", "gd-g", false},
        {"", "11v1n1v1n5", "gggg", false},
        {"", "11q1m1u1q5", "dddd", false},
        {"", "11t1t1t1x5", "gggx", false},
        {"", "11T1t1t1t5", "xxxx", false},
        {"", "tttt", "gggg", false},
        {"", "11t1t1t5", "gggx", false},
        {"", "11t1t1t1t1p5", "gggg", false},
        {"", "11t1t1t1t 5", "xxxx", false},
        {"", "1", "xxxx", false},
        {"G111", "11p1p1p1p5", "dddd", false},
        {"G111", "11l1l1l1l5", "gg--", false},
        {"G100", "11t1t1t1t5", "ddgg", true},
        {"G111", "zzzz", "xxxx", false},
        {"G110", "zzzz", "xdxx", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct consent_mode m = {0};
        consent_mode_read_gcs(slice_of(rows[i].gcs), &m);
        consent_mode_read_gcd(slice_of(rows[i].gcd), &m);
        assert_said(rows[i].gcd, &m, rows[i].said);
        assert_int_equal(m.cookieless, rows[i].cookieless);
    }
}

static void npa_and_words(void **state)
{
    struct consent_mode m = {0};

    (void)state;
    consent_mode_read_npa(SLICE("0"), &m);
    assert_said("npa 0", &m, "----");
    consent_mode_read_word(CONSENT_AD_USER_DATA, SLICE("granted"), &m);
    consent_mode_read_word(CONSENT_AD_PERSONALIZATION, SLICE("GRANTED"), &m);
    assert_said("granted", &m, "--gg");
    consent_mode_read_npa(SLICE("1"), &m);
    assert_said("npa 1", &m, "--gd");
    consent_mode_read_word(CONSENT_AD_USER_DATA, SLICE("yes"), &m);
    assert_said("a word", &m, "--xd");
}

enum { EXEMPT, ANALYTICS, ADS, BOTH, UNMAPPED, ASSERTED, COUNT };

static struct policy sample(void)
{
    struct policy p = {.purpose_count = COUNT, .enforce_consent_mode = true};

    for (unsigned i = 0; i < COUNT; i++)
        p.purposes[i] = (struct purpose_plan){.basis = BASIS_CONSENT};
    p.purposes[EXEMPT].basis = BASIS_LEGITIMATE_INTEREST;
    p.purposes[EXEMPT].exempt = true;
    p.purposes[ANALYTICS].consent_mode_analytics = true;
    p.purposes[ADS].consent_mode_ads = true;
    p.purposes[BOTH].consent_mode_analytics = true;
    p.purposes[BOTH].consent_mode_ads = true;
    p.purposes[ASSERTED].asserted = true;
    return p;
}

/* Which purposes are allowed, as letters: "EABS" ... in order of the enum. */
static void assert_allowed(const struct policy *p, const char *gcs,
                           const char *gcd, bool npa, const char *want)
{
    static const char letters[] = "EABCUS";
    struct consent_signals s = {0};
    struct consent out;
    char got[COUNT + 1] = "";
    size_t len = 0;

    consent_mode_read_gcs(slice_of(gcs), &s.mode);
    consent_mode_read_gcd(slice_of(gcd), &s.mode);
    if (npa)
        consent_mode_read_npa(SLICE("1"), &s.mode);
    consent_decide(p, &s, 0, OPTOUT_NONE, &out);
    for (unsigned i = 0; i < COUNT; i++)
        if (((unsigned)out.allowed >> i & 1u) != 0)
            got[len++] = letters[i];
    if (strcmp(got, want) != 0)
        fail_msg("%s %s: got %s, want %s", gcs, gcd, got, want);
}

static void R65_what_consent_mode_opens_and_closes(void **state)
{
    struct policy p = sample();

    (void)state;
    assert_allowed(&p, "", "", false, "ES");
    assert_allowed(&p, "G111", "", false, "EABCS");
    assert_allowed(&p, "G111", "", true, "EAS"); /* npa: no advertising */
    assert_allowed(&p, "G101", "", false, "EAS");
    assert_allowed(&p, "G110", "", false, "EB"); /* a no beats asserted */
    assert_allowed(&p, "G100", "", false, "");   /* cookieless: nothing */
    assert_allowed(&p, "", "11t1t1t1t5", false, "EABCS");
    assert_allowed(&p, "", "11t1t1p1t5", false, "EAS");
    assert_allowed(&p, "", "11t1p1t1t5", false, "EB");
    assert_allowed(&p, "", "11l1l1l1l5", false, "ES");
    assert_allowed(&p, "G111", "11p1p1p1p5", false, "E");
    assert_allowed(&p, "G1x1", "", false, "EAS");
    assert_allowed(&p, "nonsense", "", false, "E");
    p.enforce_consent_mode = false; /* "ignore" */
    assert_allowed(&p, "G100", "", false, "ES");
    assert_allowed(&p, "G111", "", false, "ES");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R65_thirty_texts),
        cmocka_unit_test(npa_and_words),
        cmocka_unit_test(R65_what_consent_mode_opens_and_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
