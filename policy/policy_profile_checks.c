/* policy_profile_checks.c - what each R-number asks of the resolved rules of
 * one destination. Words like "user_id" below are how the common SDKs call
 * what R10, R11, R12, R14 and R17 name. */
#include "policy_profile.h"

/* The strictest-first part of the bits a pseudonym may keep: above it no two
 * visitors ever share one, against the CNIL's second criterion. */
#define SHARED_BITS_MAX 32u

/* Without events nothing leaves, whatever the rules say. */
static const struct rule nothing = {.kind = RULE_DROP};

static const struct rule *context_rule(const struct view *v,
                                       enum context_key key)
{
    const struct policy *p = v->l->p;

    return p->event_count > 0 ? p->events[0].to[v->d].context[key] : &nothing;
}

static const struct rule *identifier_rule(const struct view *v,
                                          enum id_kind kind)
{
    const struct policy *p = v->l->p;

    return p->event_count > 0 ? p->events[0].to[v->d].identifiers[kind]
                              : &nothing;
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

bool r7_referrer(const struct view *v, struct finding *out)
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

bool r10_campaign(const struct view *v, struct finding *out)
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

/* A list of languages holds primary tags alone. */
static bool is_primary_tags(const struct view *v, const struct rule *r)
{
    (void)v;
    if (r->kind != RULE_ENUM)
        return closed(r);
    for (unsigned i = 0; i < r->as.words.count; i++)
        if (r->as.words.words[i].out.len > 3)
            return false;
    return true;
}

bool r11_device(const struct view *v, struct finding *out)
{
    static const char *const agents[] = {
        "uaa",        "uab",       "uafvl",      "uam", "uamb",
        "uap",        "uapv",      "uaw",        "ua",  "user_agent",
        "user-agent", "userAgent", "sec-ch-ua*", NULL};
    static const char *const languages[] = {
        "ul", "language", "locale", "accept_language", "accept-language", NULL};
    const struct rule *ua = context_rule(v, CTX_USER_AGENT);
    const struct rule *language = context_rule(v, CTX_LANGUAGE);
    const char *tags = "a language may leave as its primary tag only, such as "
                       "\"fr\"";

    if (!closed(ua) && ua->kind != RULE_CLASS)
        return fail(out, ua->number,
                    "the browser must be dropped or made a \"class\"");
    if (!is_primary_tags(v, language))
        return fail(out, language->number, tags);
    return fields_called(v, agents, is_closed, out,
                         "what the browser says of itself must be dropped; "
                         "its \"class\" is in the context") &&
           fields_called(v, languages, is_primary_tags, out, tags);
}

bool r12_lasting(const struct view *v, struct finding *out)
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

bool r14_time(const struct view *v, struct finding *out)
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

bool r17_title(const struct view *v, struct finding *out)
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

bool r25_shared(const struct view *v, struct finding *out)
{
    if (v->dest->bits <= SHARED_BITS_MAX)
        return true;
    return fail(out, 0,
                "pseudonyms of more than 32 bits are never shared by "
                "two visitors; set \"bits\" to 32 or less");
}

bool r39_storage(const struct view *v, struct finding *out)
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

/* The key that two publishers use would join their visitors. */
static bool has_joint(const struct view *v)
{
    const struct json_value *c =
        json_get(json_tree_root(v->l->tree), "controller");
    const struct json_value *joint = json_get(c, "joint");

    return joint != NULL && json_kind_of(joint) != JSON_KIND_NULL &&
           json_child(joint) != NULL;
}

static bool has_text(const struct view *v, struct slice purpose)
{
    const struct json_value *all =
        json_get(json_tree_root(v->l->tree), "purposes");

    for (const struct json_value *x = json_child(all); x != NULL;
         x = json_sibling(x))
        if (slice_eq(json_name(x), purpose)) {
            const struct json_value *text = json_get(x, "text");
            return text != NULL && json_child(text) != NULL;
        }
    return false;
}

bool r75_exempt(const struct view *v, struct finding *out)
{
    const struct policy *p = v->l->p;
    static const char *const all[] = {"*", NULL};

    if (!own(v))
        return fail(out, 0,
                    "only the controller's own store may go without consent: "
                    "role \"controller\" and recipient \"ourselves\"");
    if (has_joint(v))
        return fail(out, 0,
                    "more than one publisher: \"controller.joint\" must be "
                    "empty");
    for (unsigned i = 0; i < p->purpose_count; i++) {
        if ((v->dest->purposes & (1u << i)) == 0)
            continue;
        if (!p->purposes[i].exempt)
            return fail(out, 0, "a purpose it serves is not \"exempt\"");
        if (v->sheet && !has_text(v, p->purposes[i].name))
            return fail(out, 0,
                        "a purpose it serves has no \"text\" for visitors, "
                        "who must be told");
    }
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

bool r49_gpc(const struct view *v, struct finding *out)
{
    if (v->l->p->gpc != SIGNAL_IGNORE)
        return true;
    return fail(out, 0, "signals.gpc is \"ignore\"");
}

bool r64_dnt(const struct view *v, struct finding *out)
{
    if (v->l->p->dnt != SIGNAL_IGNORE)
        return true;
    return fail(out, 0, "signals.dnt is \"ignore\"");
}
