/* Profiles are checks: each R-number that rules can show is tested against
 * the resolved rules of a destination. Words like "user_id" below are how the
 * common SDKs call what R10, R12, R14 and R17 name. */
#include "policy_inside.h"

#include <stdio.h>

/* The strictest-first part of the bits a pseudonym may keep: above it no two
 * visitors ever share one, against the CNIL's second criterion. */
#define SHARED_BITS_MAX 32u

struct view {
    const struct load *l;
    const struct at *at; /* the destination in the file */
    unsigned d;
    const struct destination_plan *dest;
    bool pragmatic;
};

struct finding {
    unsigned rule; /* the failing rule's number, 0: the destination itself */
    const char *why;
};

typedef bool profile_check(const struct view *v, struct finding *out);

static const struct rule *context_rule(const struct view *v,
                                       enum context_key key)
{
    const struct policy *p = v->l->p;

    return p->event_count > 0 ? p->events[0].to[v->d].context[key]
                              : &v->l->context[key];
}

static const struct rule *identifier_rule(const struct view *v,
                                          enum id_kind kind)
{
    const struct policy *p = v->l->p;

    return p->event_count > 0 ? p->events[0].to[v->d].identifiers[kind]
                              : &v->l->identifiers[kind];
}

static bool closed(const struct rule *r)
{
    return r->kind == RULE_DROP || r->kind == RULE_CONSTANT;
}

static bool fail(struct finding *out, unsigned rule, const char *why)
{
    *out = (struct finding){rule, why};
    return false;
}

/* The last part of a path: "cart.utm_source" is judged as "utm_source". */
static struct slice last_part(struct slice path)
{
    size_t dot;

    while ((dot = slice_find(path, '.')) < path.len)
        path = slice_skip(path, dot + 1);
    return path;
}

static bool called(struct slice path, const char *const *names)
{
    struct slice name = last_part(path);

    for (; *names != NULL; names++) {
        struct slice n = slice_of(*names);
        if (slice_ends(n, SLICE("*")) &&
            slice_eq_fold(slice_head(name, n.len - 1),
                          slice_head(n, n.len - 1)))
            return true;
        if (slice_eq_fold(name, n))
            return true;
    }
    return false;
}

typedef bool field_test(const struct view *v, const struct rule *r);

/* Every field so called that reaches the destination must pass `test`. */
static bool fields_called(const struct view *v, const char *const *names,
                          field_test *test, struct finding *out,
                          const char *why)
{
    const struct policy *p = v->l->p;

    for (unsigned i = 0; i < p->event_count; i++) {
        const struct event_plan *e = &p->events[i];
        if (e->to[v->d].purposes == 0)
            continue;
        for (unsigned k = 0; k < e->field_count; k++) {
            const struct rule *r = &e->to[v->d].fields[k];
            if (called(e->fields[k].path, names) && !test(v, r))
                return fail(out, r->number, why);
        }
    }
    return true;
}

static bool is_closed(const struct view *v, const struct rule *r)
{
    (void)v;
    return closed(r);
}

static bool is_closed_or_host(const struct view *v, const struct rule *r)
{
    return closed(r) || (v->pragmatic && r->kind == RULE_HOST);
}

static bool is_closed_or_listed(const struct view *v, const struct rule *r)
{
    return closed(r) || (v->pragmatic && r->kind == RULE_ENUM);
}

static bool is_closed_or_hidden(const struct view *v, const struct rule *r)
{
    (void)v;
    return closed(r) || r->kind == RULE_PSEUDONYM;
}

static bool r7_referrer(const struct view *v, struct finding *out)
{
    static const char *const names[] = {
        "dr",       "page_referrer", "$referrer", "$initial_referrer",
        "referrer", "referer",       NULL};
    const struct rule *r = context_rule(v, CTX_REFERRER);
    const char *why = "the page that led here must be dropped (its host alone "
                      "under cnil-pragmatic)";

    if (!is_closed_or_host(v, r))
        return fail(out, r->number, why);
    return fields_called(v, names, is_closed_or_host, out, why);
}

static bool r10_campaign(const struct view *v, struct finding *out)
{
    static const char *const tags[] = {"utm_*", "campaign", NULL};
    static const char *const clicks[] = {
        "gclid",   "dclid",  "wbraid", "gbraid", "fbclid",
        "msclkid", "ttclid", "_gl",    "_ga",    NULL};
    const struct rule *r = context_rule(v, CTX_CAMPAIGN);
    const char *why = "campaign values must be dropped (a closed list of them "
                      "may leave under cnil-pragmatic)";

    if (!is_closed_or_listed(v, r))
        return fail(out, r->number, why);
    return fields_called(v, tags, is_closed_or_listed, out, why) &&
           fields_called(v, clicks, is_closed, out,
                         "click ids of advertisers must be dropped");
}

static bool r11_device(const struct view *v, struct finding *out)
{
    const struct rule *ua = context_rule(v, CTX_USER_AGENT);
    const struct rule *language = context_rule(v, CTX_LANGUAGE);

    if (!closed(ua) && ua->kind != RULE_CLASS)
        return fail(out, ua->number,
                    "the browser must be dropped or made a \"class\"");
    for (unsigned i = 0;
         language->kind == RULE_ENUM && i < language->as.words.count; i++)
        if (language->as.words.words[i].out.len > 3)
            return fail(out, language->number,
                        "a language may leave as its primary tag only, such "
                        "as \"fr\"");
    return true;
}

static bool r12_lasting(const struct view *v, struct finding *out)
{
    static const char *const names[] = {
        "uid",         "user_id",    "userid",
        "_fid",        "ecid",       "auid",
        "up.*",        "user_data*", "transaction_id",
        "_fplc",       "gdid",       "$user_id",
        "$email",      "$phone",     "$name",
        "email",       "e-mail",     "em",
        "phone",       "first_name", "last_name",
        "customer_id", "account_id", NULL};
    struct duration month = {0, 31 * MS_PER_DAY};

    for (unsigned k = 0; k < ID_OTHER; k++) {
        const struct rule *r = identifier_rule(v, (enum id_kind)k);
        bool lasting = k == ID_USER || k == ID_GROUP;
        if (lasting && r->kind == RULE_PSEUDONYM &&
            duration_compare(v->dest->rotate, month) > 0)
            return fail(out, r->number,
                        "an account's pseudonym must change at least once in "
                        "31 days, or be dropped");
    }
    return fields_called(v, names, is_closed_or_hidden, out,
                         "what names a person must be dropped or made a "
                         "\"pseudonym\"");
}

static bool r14_time(const struct view *v, struct finding *out)
{
    static const char *const names[] = {
        "_p", "sid", "sct", "_s", "_et", "timestamp_micros", NULL};
    const struct rule *r = context_rule(v, CTX_TIME);

    if (r->kind == RULE_TIME && r->as.time.round_ms < MS_PER_MIN)
        return fail(out, r->number,
                    "times must be rounded to a minute or more");
    return fields_called(v, names, is_closed, out,
                         "a counter of the SDK tells visitors apart and must "
                         "be dropped");
}

static bool r17_title(const struct view *v, struct finding *out)
{
    static const char *const names[] = {"dt",          "page_title",   "title",
                                        "q",           "query",        "search",
                                        "search_term", "search_query", NULL};
    const struct rule *r = context_rule(v, CTX_TITLE);
    const char *why = "titles and search words must be dropped (a closed list "
                      "of them may leave under cnil-pragmatic)";

    if (!is_closed_or_listed(v, r))
        return fail(out, r->number, why);
    return fields_called(v, names, is_closed_or_listed, out, why);
}

static bool r25_shared(const struct view *v, struct finding *out)
{
    if (v->dest->bits <= SHARED_BITS_MAX)
        return true;
    return fail(out, 0,
                "pseudonyms of more than 32 bits are never shared by "
                "two visitors; set \"bits\" to 32 or less");
}

static bool r39_storage(const struct view *v, struct finding *out)
{
    struct duration most = {25, 0};

    for (unsigned i = 0; i < v->l->p->purpose_count; i++)
        if ((v->dest->purposes & (1u << i)) != 0 &&
            duration_compare(v->l->p->purposes[i].retention, most) > 0)
            return fail(out, 0,
                        "a purpose it serves keeps data longer than 25 "
                        "months");
    return true;
}

static bool own(const struct view *v)
{
    const struct json_value *c =
        json_get(json_tree_root(v->l->tree), "controller");

    return slice_eq(v->dest->role, SLICE("controller")) &&
           (slice_eq(v->dest->recipient, SLICE("ourselves")) ||
            slice_eq(v->dest->recipient, json_string(json_get(c, "name"))));
}

static bool r75_exempt(const struct view *v, struct finding *out)
{
    const struct policy *p = v->l->p;
    static const char *const all[] = {"*", NULL};

    if (!own(v))
        return fail(out, 0,
                    "only the controller's own store may go without consent: "
                    "role \"controller\" and recipient \"ourselves\"");
    for (unsigned i = 0; i < p->purpose_count; i++)
        if ((v->dest->purposes & (1u << i)) != 0 && !p->purposes[i].exempt)
            return fail(out, 0, "a purpose it serves is not \"exempt\"");
    for (unsigned k = 0; k < ID_OTHER; k++) {
        const struct rule *r = identifier_rule(v, (enum id_kind)k);
        if ((k == ID_USER || k == ID_GROUP) && r->kind != RULE_DROP)
            return fail(out, r->number,
                        "accounts and groups must be dropped: they link to "
                        "other files");
    }
    for (unsigned i = 0; i < p->event_count; i++)
        for (unsigned k = 0; k < p->events[i].field_count; k++) {
            const struct rule *r = &p->events[i].to[v->d].fields[k];
            if (p->events[i].to[v->d].purposes != 0 &&
                called(p->events[i].fields[k].path, all) &&
                r->kind == RULE_PSEUDONYM)
                return fail(out, r->number,
                            "further identifiers must be dropped: they link "
                            "to other files");
        }
    return true;
}

static bool r49_gpc(const struct view *v, struct finding *out)
{
    if (v->l->p->gpc != SIGNAL_IGNORE)
        return true;
    return fail(out, 0, "signals.gpc is \"ignore\"");
}

static bool r64_dnt(const struct view *v, struct finding *out)
{
    if (v->l->p->dnt != SIGNAL_IGNORE)
        return true;
    return fail(out, 0, "signals.dnt is \"ignore\"");
}

/* What no rule can break: the language has no word for it, or the gateway's
 * own code and its tests hold it. NULL stands for that. */
#define STRICT 1u
#define EXEMPT 2u
#define ALWAYS 4u
static const struct {
    unsigned number;
    unsigned in;
    profile_check *check;
} table[] = {
    {1, ALWAYS, NULL},        {2, ALWAYS, NULL},
    {3, ALWAYS, NULL},        {4, ALWAYS, NULL},
    {5, ALWAYS, NULL},        {6, ALWAYS, NULL},
    {7, STRICT, r7_referrer}, {8, STRICT, NULL},
    {9, STRICT, NULL},        {10, STRICT, r10_campaign},
    {11, STRICT, r11_device}, {12, STRICT, r12_lasting},
    {13, ALWAYS, NULL},       {14, STRICT, r14_time},
    {15, ALWAYS, NULL},       {16, STRICT, NULL},
    {17, STRICT, r17_title},  {18, STRICT, NULL},
    {19, ALWAYS, NULL},       {21, STRICT, NULL},
    {22, STRICT, NULL},       {23, STRICT, NULL},
    {24, STRICT, NULL},       {25, STRICT, r25_shared},
    {26, STRICT, NULL},       {27, STRICT, NULL},
    {28, STRICT, NULL},       {39, EXEMPT, r39_storage},
    {49, STRICT, r49_gpc},    {51, ALWAYS, NULL},
    {64, STRICT, r64_dnt},    {72, STRICT, NULL},
    {75, EXEMPT, r75_exempt},
};

static bool applies(unsigned in, enum profile profile)
{
    if (profile == PROFILE_NONE)
        return (in & ALWAYS) != 0;
    return (in & EXEMPT) == 0 || profile == PROFILE_CNIL_EXEMPT;
}

static void say(struct load *l, const struct view *v, unsigned number,
                const struct finding *f)
{
    struct at where = *v->at;
    struct slice rule = policy_rule_name(l->p, f->rule);

    if (f->rule > 0 && l->p->listing->rules[f->rule - 1].v != NULL)
        where =
            (struct at){NULL, SLICE_NONE, l->p->listing->rules[f->rule - 1].v};
    problem(l, &where,
            "%.*s%sdestination %.*s breaks R%u of %s: %s; or give a reason in "
            "its \"deviations\": {\"R%u\": \"why\"}",
            SLICE_ARG(rule), f->rule > 0 && where.up == NULL ? ": " : "",
            SLICE_ARG(v->dest->name), number, profile_name(v->dest->profile),
            f->why, number);
}

/* A deviation must be from something that could be broken and is. */
static void check_deviations(struct load *l, const struct view *v,
                             const struct at *all)
{
    for (const struct json_value *x = json_child(all->v); x != NULL;
         x = json_sibling(x)) {
        struct at m = at_child(all, x);
        unsigned long long n = 0;
        unsigned i = 0;
        struct finding f;
        (void)slice_to_u64(slice_skip(m.key, 1), &n);
        while (i < sizeof(table) / sizeof(table[0]) && table[i].number != n)
            i++;
        bool known = i < sizeof(table) / sizeof(table[0]) &&
                     applies(table[i].in, v->dest->profile);
        if (!known)
            warning(l, &m, "profile %s does not ask for this; remove it",
                    profile_name(v->dest->profile));
        else if (table[i].check == NULL)
            problem(l, &m,
                    "cannot be deviated from: the gateway holds it "
                    "whatever a policy says; remove it");
        else if (table[i].check(v, &f))
            warning(l, &m, "is met, so no deviation is needed; remove it");
    }
}

static void check_destination(struct load *l, const struct view *v)
{
    struct at deviations;
    struct finding f;

    bool any = at_get(v->at, "deviations", &deviations);
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char key[8];
        struct at m;
        if (table[i].check == NULL || !applies(table[i].in, v->dest->profile) ||
            table[i].check(v, &f))
            continue;
        (void)snprintf(key, sizeof(key), "R%u", table[i].number);
        if (!any || !at_get(&deviations, key, &m))
            say(l, v, table[i].number, &f);
    }
    if (any)
        check_deviations(l, v, &deviations);
}

void profiles_check(struct load *l, const struct at *root)
{
    struct at all;
    unsigned d = 0;

    if (!at_get(root, "destinations", &all))
        return;
    for (const struct json_value *x = json_child(all.v); x != NULL;
         x = json_sibling(x), d++) {
        struct at m = at_child(&all, x);
        const struct destination_plan *dest = &l->p->destinations[d];
        struct view v = {l, &m, d, dest,
                         dest->profile == PROFILE_CNIL_PRAGMATIC};
        check_destination(l, &v);
    }
}
