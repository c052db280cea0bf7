/* The page for people: what it says, in each language, and that nothing of a
 * policy can become markup. */
#include "lethe/policy/privacy_page.h"

#include "../../policy/privacy/page.h"
#include "policy_case.h"

#include <sodium.h>

static char *render(const struct privacy_view *v)
{
    struct buf out;

    buf_init(&out, PRIVACY_PAGE_MAX);
    assert_int_equal(privacy_page(v, &out), ST_OK);
    buf_put_char(&out, '\0');
    assert_false(out.failed);
    return out.data;
}

static struct privacy_view view_of(const struct policy *p)
{
    return (struct privacy_view){
        .policy = p, .present = 0xffff, .action = SLICE("/privacy")};
}

static void assert_has(const char *page, const char *text)
{
    if (strstr(page, text) == NULL)
        fail_msg("\"%s\" is not on the page", text);
}

static void assert_lacks(const char *page, const char *text)
{
    if (strstr(page, text) != NULL)
        fail_msg("\"%s\" is on the page", text);
}

static void the_policy_header_lets_just_this_style_through(void **state)
{
    uint8_t hash[32];
    char text[64], want[80];

    (void)state;
    assert_int_equal(crypto_hash_sha256(hash, (const uint8_t *)privacy_style,
                                        strlen(privacy_style)),
                     0);
    sodium_bin2base64(text, sizeof(text), hash, sizeof(hash),
                      sodium_base64_VARIANT_ORIGINAL);
    (void)snprintf(want, sizeof(want), "'sha256-%s'", text);
    assert_has(PRIVACY_CSP, want);
    assert_has(PRIVACY_CSP, "default-src 'none'");
    assert_lacks(PRIVACY_CSP, "unsafe");
}

/* A text that one language lacks, or a hole that it leaves out, would be a
 * fact that its readers are not told. */
static void every_language_says_everything(void **state)
{
    const struct privacy_words *all[] = {&privacy_words_en, &privacy_words_fr,
                                         &privacy_words_de};

    (void)state;
    for (unsigned l = 0; l < PRIVACY_LANGUAGES; l++) {
        for (unsigned t = 0; t < TEXT_COUNT; t++) {
            assert_non_null(all[l]->text[t]);
            for (const char *hole = "{0}"; hole != NULL;
                 hole = strcmp(hole, "{0}") == 0 ? "{1}" : NULL)
                if ((strstr(all[0]->text[t], hole) != NULL) !=
                    (strstr(all[l]->text[t], hole) != NULL))
                    fail_msg("text %u in %s: %s", t, all[l]->code, hole);
        }
        for (unsigned i = 0; i < BASIS_COUNT; i++)
            assert_non_null(all[l]->basis[i]);
        for (unsigned i = 0; i < CTX_COUNT; i++)
            assert_non_null(all[l]->context[i]);
        for (unsigned i = 0; i < ID_OTHER; i++)
            assert_non_null(all[l]->id[i]);
        for (unsigned i = 0; i <= PRIVACY_JOINT; i++)
            assert_non_null(all[l]->role[i]);
        for (unsigned i = 0; i <= UNIT_SECOND; i++) {
            assert_non_null(all[l]->unit[i][0]);
            assert_non_null(all[l]->unit[i][1]);
        }
    }
}

static void r45_r46_what_why_how_long_to_whom_and_who_to_complain_to(
    void **state)
{
    struct policy *p = load(shipped_mixbot());
    struct privacy_view v = view_of(p);
    char *page = render(&v);

    (void)state;
    assert_has(page, "<html lang=\"en\">");
    assert_has(page, "Your privacy at Mixbot SARL, 1 rue Exemple, Lyon");
    assert_has(page, "A mix was uploaded: ");
    assert_has(page, "Ending of the name, never the name");
    assert_has(page, "Count visits, uploads and downloads for ourselves");
    assert_has(page, "our legitimate interest (Art. 6(1)(f) GDPR); exempt from "
                     "consent; kept for 13 months");
    assert_has(page, "Google Ireland Ltd");
    assert_has(page, "basis of the transfer: DPF");
    assert_has(page, "They change every 1 day");
    assert_has(page, "Several visitors share one pseudonym"); /* 24 bits */
    assert_has(page, "at most 3 days, sealed");
    assert_has(page, "privacy@mixbot.example");
    assert_has(page, "Complaints: CNIL");
    assert_has(page, "Your IP address is never stored or passed on.");
    assert_has(page, "This browser is not opted out.");
    assert_has(page, "<button name=\"choice\" value=\"out\">");
    assert_lacks(page, "<script");
    free(page);
    v.language = PRIVACY_FR;
    page = render(&v);
    assert_has(page, "<html lang=\"fr\">");
    assert_has(page, "Compter nos visites, envois et téléchargements");
    assert_has(page, "conservé 13 mois");
    free(page);
    v.language = PRIVACY_DE; /* the policy has no German words: English */
    page = render(&v);
    assert_has(page, "Count visits, uploads and downloads for ourselves");
    assert_has(page, "aufbewahrt: 13 Monate");
    free(page);
    policy_unref(p);
}

/* Only what this gateway really sends is told. */
static void destinations_that_are_not_set_up_are_not_named(void **state)
{
    struct policy *p = load(shipped_mixbot());
    struct privacy_view v = view_of(p);

    (void)state;
    v.present = (uint16_t)(1u << policy_find_destination(p, SLICE("store")));
    char *page = render(&v);
    assert_lacks(page, "Google Ireland Ltd");
    assert_has(page, "ourselves");
    free(page);
    v.present = 0;
    page = render(&v);
    assert_has(page, "Nothing is passed on at present.");
    assert_has(page, "Nobody at present.");
    free(page);
    policy_unref(p);
}

static void r46_single_people_are_found_only_by_long_pseudonyms(void **state)
{
    struct policy *p = load(shipped_mixbot());

    p->destinations[0].bits = 64;
    struct privacy_view v = view_of(p);
    char *page = render(&v);

    (void)state;
    assert_lacks(page, "Several visitors share one pseudonym");
    assert_has(page, "can be found by the identifier");
    free(page);
    policy_unref(p);
}

static void words_of_a_policy_are_never_markup(void **state)
{
    struct policy *p =
        mixbot_with("\"name\": \"Mixbot SARL, 1 rue Exemple, Lyon\"",
                    "\"name\": \"<script>alert(1)</script>&'\\\"\"");
    struct privacy_view v = view_of(p);
    const struct slice origin = SLICE("https://a.example\"><b>");
    const char *back = "https://a.example/?x=\"><script>";

    (void)state;
    v.foreign = &origin;
    v.foreign_count = 1;
    v.returns = &back;
    v.return_count = 1;
    v.receipt = SLICE("lo1-<i>");
    v.step = PRIVACY_OUT;
    v.action = SLICE("/s/\"><u>/privacy");
    char *page = render(&v);
    assert_lacks(page, "<script");
    assert_lacks(page, "<b>");
    assert_lacks(page, "<i>");
    assert_lacks(page, "<u>");
    assert_has(page, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;&quot;");
    free(page);
    policy_unref(p);
}

/* The button must not be there where it would do nothing. */
static void no_promise_for_pages_of_another_site(void **state)
{
    struct policy *p = load(shipped_mixbot());
    struct privacy_view v = view_of(p);
    const struct slice foreign = SLICE("https://app.example");
    const struct slice near = SLICE("https://www.mixbot.example");
    const char *back = "https://app.example/settings";

    (void)state;
    v.foreign = &foreign;
    v.foreign_count = 1;
    char *page = render(&v);
    assert_lacks(page, "<button");
    assert_lacks(page, "This browser is");
    assert_has(page, "The page offers no way back from here");
    assert_has(page, "Global Privacy Control");
    free(page);
    v.returns = &back;
    v.return_count = 1;
    page = render(&v);
    assert_has(page, "href=\"https://app.example/settings#lethe-optout=1\"");
    assert_lacks(page, "The page offers no way back from here");
    free(page);
    v.foreign_count = 0; /* the SDKs of a page of this site may send without
                            cookies: its own page reaches those, too */
    page = render(&v);
    assert_has(page, "<button name=\"choice\" value=\"out\">");
    assert_has(page, "Some tools keep their identifier");
    assert_has(page, "href=\"https://app.example/settings#lethe-optout=1\"");
    free(page);
    v.foreign_count = 1;
    v.near = &near;
    v.near_count = 1;
    page = render(&v);
    assert_has(page, "<button name=\"choice\" value=\"out\">");
    assert_has(page, "<li>https://www.mixbot.example</li>");
    assert_has(page, "<li>https://app.example</li>");
    free(page);
    policy_unref(p);
}

static void each_step_says_what_has_happened(void **state)
{
    struct policy *p = load(shipped_mixbot());
    struct privacy_view v = view_of(p);
    static const struct {
        enum privacy_step step;
        const char *text;
        bool focused;
    } steps[] = {
        {PRIVACY_OUT, "Done: you said no.", true},
        {PRIVACY_BACK, "flag is gone", true},
        {PRIVACY_FAILED, "cannot be written to disk", true},
        {PRIVACY_LINK, "Nothing has happened yet", true},
        {PRIVACY_ACCOUNT_OUT, "your account is opted out", true},
        {PRIVACY_LINK_OVER, "not valid", true},
        {PRIVACY_SHOW, "not opted out", false},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        v.step = steps[i].step;
        v.link = SLICE("lk1-abc");
        char *page = render(&v);
        assert_has(page, steps[i].text);
        if ((strstr(page, "role=\"status\"") != NULL) != steps[i].focused)
            fail_msg("step %u: what happened is not announced", i);
        free(page);
    }
    v.step = PRIVACY_LINK;
    char *page = render(&v);
    assert_has(page, "<input type=\"hidden\" name=\"link\" value=\"lk1-abc\">");
    assert_has(page, "?lang=fr&amp;link=lk1-abc");
    assert_lacks(page, "value=\"out\"");
    free(page);
    v.step = PRIVACY_OUT;
    v.flag = true;
    v.receipt = SLICE("lo1-xyz");
    v.ids = 2;
    page = render(&v);
    assert_has(page, "2 identifiers of analytics tools");
    assert_has(page, "<code id=\"receipt\">lo1-xyz</code>");
    assert_has(page, "value=\"in\"");
    assert_lacks(page, "There were more");
    free(page);
    v.ids_left = true;
    v.ids = 0;
    page = render(&v);
    assert_has(page, "No identifier of an analytics tool");
    assert_has(page, "There were more identifiers");
    free(page);
    policy_unref(p);
}

static void signals_are_told_as_the_policy_takes_them(void **state)
{
    struct policy *p = load(shipped_mixbot()); /* deny-consent and deny */
    struct privacy_view v = view_of(p);
    char *page = render(&v);

    (void)state;
    assert_lacks(page, "Your browser sends");
    free(page);
    v.gpc = v.dnt = true;
    page = render(&v);
    assert_has(page, "sends Global Privacy Control. It counts as a no to every "
                     "purpose below that is not marked as exempt.");
    assert_has(page, "sends Do Not Track. It counts as a no to every purpose "
                     "below.");
    free(page);
    policy_unref(p);
}

static void languages_by_wish_then_by_weight(void **state)
{
    static const struct {
        const char *wanted, *accept;
        enum privacy_language want;
    } rows[] = {
        {"", "", PRIVACY_EN},
        {"de", "fr", PRIVACY_DE},
        {"xx", "fr", PRIVACY_FR},
        {"DE", "", PRIVACY_EN}, /* our own links are lower case */
        {"", "fr-CH, en;q=0.9, de;q=0.7", PRIVACY_FR},
        {"", "en;q=0.3,DE-at;q=0.8", PRIVACY_DE},
        {"", "es,it;q=0.9,de;q=0.001", PRIVACY_DE},
        {"", "fr;q=0,de;q=0.1", PRIVACY_DE},
        {"", "fr;q=0", PRIVACY_EN},
        {"", "de;q=1.000,fr", PRIVACY_DE},
        {"", "fr;q=garbage,de;q=0.5", PRIVACY_DE},
        {"", "french, dedede", PRIVACY_EN},
        {"", ";;;,,,q=1", PRIVACY_EN},
        {"", "*", PRIVACY_EN},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (privacy_language_choose(slice_of(rows[i].wanted),
                                    slice_of(rows[i].accept)) != rows[i].want)
            fail_msg("row %u", i);
    assert_string_equal(privacy_language_code(PRIVACY_DE), "de");
}

static void a_page_that_does_not_fit_is_refused(void **state)
{
    struct policy *p = load(shipped_mixbot());
    struct privacy_view v = view_of(p);
    struct buf out;

    (void)state;
    buf_init(&out, 4000);
    assert_int_equal(privacy_page(&v, &out), ST_LIMIT);
    buf_free(&out);
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_header_lets_just_this_style_through),
        cmocka_unit_test(every_language_says_everything),
        cmocka_unit_test(
            r45_r46_what_why_how_long_to_whom_and_who_to_complain_to),
        cmocka_unit_test(destinations_that_are_not_set_up_are_not_named),
        cmocka_unit_test(r46_single_people_are_found_only_by_long_pseudonyms),
        cmocka_unit_test(words_of_a_policy_are_never_markup),
        cmocka_unit_test(no_promise_for_pages_of_another_site),
        cmocka_unit_test(each_step_says_what_has_happened),
        cmocka_unit_test(signals_are_told_as_the_policy_takes_them),
        cmocka_unit_test(languages_by_wish_then_by_weight),
        cmocka_unit_test(a_page_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
