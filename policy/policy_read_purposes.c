#include "policy_inside.h"

#include <string.h>

static void read_consent_mode(struct load *l, const struct at *at,
                              struct purpose_plan *p)
{
    static const char *const words[] = {"analytics_storage", "ad_storage",
                                        NULL};
    struct slice *list;
    unsigned count;

    if (!want_texts(l, at, true, 2, POLICY_NAME_MAX, &list, &count))
        return;
    for (unsigned i = 0; i < count; i++) {
        if (slice_eq(list[i], slice_of(words[0])))
            p->consent_mode_analytics = true;
        else if (slice_eq(list[i], slice_of(words[1])))
            p->consent_mode_ads = true;
        else
            problem(l, at,
                    "\"%.*s\" is not known; write "
                    "\"analytics_storage\" or \"ad_storage\"",
                    SLICE_ARG(slice_head(list[i], 64)));
    }
}

static void read_tcf_numbers(struct load *l, const struct at *at, uint32_t *out)
{
    if (!want_kind(l, at, JSON_KIND_ARRAY, "a list such as [1, 8]"))
        return;
    for (const struct json_value *v = json_child(at->v); v != NULL;
         v = json_sibling(v)) {
        struct at item = {at, SLICE_NONE, v};
        unsigned n;
        if (want_whole(l, &item, 1, 24, &n))
            *out |= UINT32_C(1) << (n - 1);
    }
    if (json_size(at->v) == 0)
        problem(l, at, "is empty; list TCF purposes such as [1, 8]");
}

static void read_tcf_countries(struct load *l, const struct at *at,
                               struct purpose_plan *p)
{
    struct slice *list;

    if (!want_texts(l, at, true, POLICY_LIST_MAX, POLICY_NAME_MAX, &list,
                    &p->tcf_country_count))
        return;
    p->tcf_countries = list;
    for (unsigned i = 0; i < p->tcf_country_count; i++)
        if (list[i].len != 2 || list[i].at[0] < 'A' || list[i].at[0] > 'Z' ||
            list[i].at[1] < 'A' || list[i].at[1] > 'Z')
            problem(l, at, "\"%.*s\" is no country; write one such as \"DE\"",
                    SLICE_ARG(slice_head(list[i], 64)));
}

/* A list is short for its purposes alone. */
static void read_tcf(struct load *l, const struct at *at,
                     struct purpose_plan *p)
{
    static const char *const keys[] = {"purposes", "legitimate_interest",
                                       "purpose_one_not_asked", NULL};
    const uint32_t never = 0x3d; /* purposes 1 and 3 to 6: TCF forbids it */
    struct at m;

    if (json_kind_of(at->v) == JSON_KIND_ARRAY) {
        read_tcf_numbers(l, at, &p->tcf);
        return;
    }
    if (!want_keys(l, at, keys))
        return;
    if (at_need(l, at, "purposes", "a list such as [1, 8]", &m))
        read_tcf_numbers(l, &m, &p->tcf);
    if (at_get(at, "legitimate_interest", &m)) {
        read_tcf_numbers(l, &m, &p->tcf_interest);
        if ((p->tcf_interest & never) != 0)
            problem(l, &m,
                    "holds 1, 3, 4, 5 or 6, which rest on consent alone; "
                    "remove them");
        else if ((p->tcf_interest & ~p->tcf) != 0)
            problem(l, &m, "holds a purpose that is not in \"purposes\"");
    }
    if (at_get(at, "purpose_one_not_asked", &m))
        read_tcf_countries(l, &m, p);
}

/* The controller's word that the SDK runs only after a yes (design.md 7). */
static void read_asserted(struct load *l, const struct at *at,
                          struct purpose_plan *p)
{
    static const char *const keys[] = {"by", "text_version", "since", NULL};
    struct at m;
    struct slice s;
    char stamp[TIME_TEXT_MAX];
    int64_t when;

    if (!want_keys(l, at, keys))
        return;
    p->asserted = true;
    if (at_need(l, at, "by", "what asks, such as \"banner of example.eu\"", &m))
        (void)want_text(l, &m, POLICY_PROSE_MAX, &s);
    if (at_need(l, at, "text_version", "the version of the words shown", &m))
        (void)want_text(l, &m, POLICY_NAME_MAX, &s);
    if (!at_need(l, at, "since", "a day such as \"2026-11-01\"", &m) ||
        !want_text(l, &m, POLICY_NAME_MAX, &s))
        return;
    bool day = s.len == 10;
    if (day) {
        memcpy(stamp, s.at, 10);
        memcpy(stamp + 10, "T00:00:00Z", 10);
        day = time_parse((struct slice){stamp, 20}, &when) == ST_OK;
    }
    if (!day)
        problem(l, &m, "is no day; write one such as \"2026-11-01\"");
}

static void read_consent(struct load *l, const struct at *at,
                         struct purpose_plan *p)
{
    static const char *const keys[] = {"app", "consent_mode", "tcf", "asserted",
                                       NULL};
    struct slice *app;
    struct at m;

    if (!want_keys(l, at, keys))
        return;
    if (p->basis != BASIS_CONSENT) {
        problem(l, at,
                "stands on a purpose whose basis is \"%s\"; remove it "
                "or write \"basis\": \"consent\"",
                basis_name(p->basis));
        return;
    }
    if (at_get(at, "app", &m) &&
        want_texts(l, &m, false, POLICY_NAMES_MAX, POLICY_NAME_MAX, &app,
                   &p->app_count))
        p->app = app;
    if (at_get(at, "consent_mode", &m))
        read_consent_mode(l, &m, p);
    if (at_get(at, "tcf", &m))
        read_tcf(l, &m, p);
    if (at_get(at, "asserted", &m))
        read_asserted(l, &m, p);
}

static void read_words(struct load *l, const struct at *at)
{
    if (!want_kind(l, at, JSON_KIND_OBJECT, "{\"en\": \"...\"}"))
        return;
    for (const struct json_value *v = json_child(at->v); v != NULL;
         v = json_sibling(v)) {
        struct at m = at_child(at, v);
        struct slice s;
        if (m.key.len < 2 || !name_plain(m.key))
            problem(l, &m, "is no language; write one such as \"en\"");
        (void)want_text(l, &m, POLICY_PROSE_MAX, &s);
    }
}

static void read_purpose(struct load *l, const struct at *at,
                         struct purpose_plan *p)
{
    static const char *const keys[] = {"basis",   "exempt", "retention",
                                       "consent", "text",   NULL};
    static const char *const bases[] = {
        "consent",     "legitimate-interest", "contract", "legal-obligation",
        "public-task", "vital-interests",     NULL};
    struct at m;
    int w = -1;

    p->name = load_copy(l, at->key);
    if (!name_plain(at->key))
        problem(l, at, "is no name; use letters, digits, _ and -");
    if (!want_keys(l, at, keys))
        return;
    if (at_need(l, at, "basis", "\"consent\" or another legal basis", &m)) {
        w = want_word(l, &m, bases);
        p->basis = w > 0 ? (enum basis)w : BASIS_CONSENT;
    }
    if (at_get(at, "exempt", &m) && want_bool(l, &m, &p->exempt) && p->exempt &&
        w == BASIS_CONSENT) {
        problem(l, &m,
                "cannot be true where the basis is \"consent\"; remove "
                "it or change the basis");
        p->exempt = false;
    }
    if (at_need(l, at, "retention", "a duration such as \"P13M\"", &m))
        (void)want_duration(l, &m, "PT1S", "P10Y", &p->retention);
    if (at_get(at, "consent", &m))
        read_consent(l, &m, p);
    if (at_get(at, "text", &m))
        read_words(l, &m);
}

void read_purposes(struct load *l, const struct at *root)
{
    struct at all;

    if (!at_need(l, root, "purposes", "{\"audience\": {\"basis\": ...}}",
                 &all) ||
        !want_kind(l, &all, JSON_KIND_OBJECT, "an object, purpose by purpose"))
        return;
    if (json_size(all.v) > POLICY_PURPOSES_MAX) {
        problem(l, &all, "has %zu purposes; at most %u are allowed",
                json_size(all.v), POLICY_PURPOSES_MAX);
        return;
    }
    for (const struct json_value *v = json_child(all.v); v != NULL;
         v = json_sibling(v)) {
        struct at m = at_child(&all, v);
        read_purpose(l, &m, &l->p->purposes[l->p->purpose_count++]);
    }
    if (l->p->purpose_count == 0)
        problem(l, &all,
                "is empty; without a purpose nothing may be "
                "collected");
}

bool read_purpose_list(struct load *l, const struct at *at, uint16_t *out,
                       uint8_t *order, unsigned *out_count)
{
    struct slice *list;
    unsigned count;
    uint16_t bits = 0;

    *out = 0;
    if (!want_texts(l, at, true, POLICY_PURPOSES_MAX, POLICY_NAME_MAX, &list,
                    &count))
        return false;
    for (unsigned i = 0; i < count; i++) {
        unsigned k = 0;
        while (k < l->p->purpose_count &&
               !slice_eq(l->p->purposes[k].name, list[i]))
            k++;
        if (k == l->p->purpose_count) {
            problem(l, at,
                    "\"%.*s\" is not in \"purposes\"; write one that "
                    "is, or add it there",
                    SLICE_ARG(list[i]));
            return false;
        }
        bits |= (uint16_t)(1u << k);
        if (order != NULL)
            order[i] = (uint8_t)k;
    }
    if (count == 0) {
        problem(l, at, "is empty; name at least one purpose");
        return false;
    }
    if (out_count != NULL)
        *out_count = count;
    *out = bits;
    return true;
}
