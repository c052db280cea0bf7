/* What counts as a no, beside opt-outs, and where it is read. */
#include "policy_inside.h"

static void read_property(struct load *l, const struct at *parent,
                          const char *key, struct slice *out)
{
    struct at m;
    bool many, wildcard;

    if (!at_get(parent, key, &m) || !want_text(l, &m, POLICY_PATH_MAX, out))
        return;
    if (!path_check(*out, &many, &wildcard) || many || wildcard)
        problem(l, &m,
                "is no path to one field; write one such as "
                "\"context.gpc\"");
}

static void read_properties(struct load *l, const struct at *all)
{
    static const char *const keys[] = {"gpc", "dnt", "consent", "tcf", NULL};
    struct at m;

    if (!at_get(all, "from_properties", &m) || !want_keys(l, &m, keys))
        return;
    read_property(l, &m, "gpc", &l->p->gpc_property);
    read_property(l, &m, "dnt", &l->p->dnt_property);
    read_property(l, &m, "consent", &l->p->consent_property);
    read_property(l, &m, "tcf", &l->p->tcf_property);
}

/* ---- TC strings --------------------------------------------------------- */

static void read_tcf_object(struct load *l, const struct at *at)
{
    static const char *const keys[] = {"require_disclosed", "max_age", NULL};
    struct at m;
    bool required = true;

    if (!want_keys(l, at, keys))
        return;
    if (at_get(at, "require_disclosed", &m) && want_bool(l, &m, &required) &&
        !required) {
        l->p->tcf_undisclosed_allow = true;
        warning(l, &m,
                "lets TC strings count that do not say which vendors were "
                "shown; TCF 2.3 forbids them");
    }
    if (at_get(at, "max_age", &m))
        (void)want_duration(l, &m, "P1D", "P13M", &l->p->tcf_max_age);
}

static void read_tcf(struct load *l, const struct at *all)
{
    static const char *const words[] = {"enforce", "ignore", NULL};
    struct at m;

    l->p->enforce_tcf = true;
    l->p->tcf_max_age = (struct duration){13, 0};
    if (!at_get(all, "tcf", &m))
        return;
    if (json_kind_of(m.v) == JSON_KIND_OBJECT)
        read_tcf_object(l, &m);
    else
        l->p->enforce_tcf = want_word(l, &m, words) != 1;
}

/* ---- signals of the policy's own ---------------------------------------- */

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return s.len > 0 && s.len <= POLICY_NAME_MAX;
}

/* Headers that have a meaning already, or hold what nobody may look at. */
static bool is_taken(struct slice name)
{
    static const char *const names[] = {
        "Sec-GPC",     "DNT",          "Cookie", "Authorization",
        "X-Write-Key", "SP-Anonymous", NULL};

    for (const char *const *n = names; *n != NULL; n++)
        if (slice_eq_fold(name, slice_of(*n)))
            return true;
    return false;
}

static bool want_header(struct load *l, const struct at *at)
{
    if (!is_token(at->key))
        problem(l, at, "is no header's name; write one such as \"ADPC\"");
    else if (is_taken(at->key))
        problem(l, at,
                "has its own meaning, or is none of the policy's business; "
                "write another header");
    else
        return true;
    return false;
}

static bool want_path(struct load *l, const struct at *at)
{
    bool many, wildcard;

    if (at->key.len <= POLICY_PATH_MAX &&
        path_check(at->key, &many, &wildcard) && !many && !wildcard)
        return true;
    problem(l, at,
            "is no path to one field; write one such as \"env.opt_out\"");
    return false;
}

static void read_one(struct load *l, const struct at *at,
                     struct signal_rule *out)
{
    static const char *const keys[] = {"is", "then", NULL};
    static const char *const words[] = {"deny", "deny-consent", NULL};
    struct slice *list;
    struct at m;

    out->name = load_copy(l, at->key);
    if (!want_keys(l, at, keys))
        return;
    if (at_get(at, "is", &m) &&
        want_texts(l, &m, true, POLICY_NAMES_MAX, POLICY_WORD_MAX, &list,
                   &out->is_count)) {
        out->is = list;
        if (out->is_count == 0)
            problem(l, &m, "is empty; list the values that say no");
    }
    if (at_need(l, at, "then", "\"deny\" or \"deny-consent\"", &m)) {
        int w = want_word(l, &m, words);
        out->then = w > 0 ? (enum signal_policy)w : SIGNAL_DENY;
    }
}

static void read_own(struct load *l, const struct at *all, const char *key,
                     bool (*want_name)(struct load *l, const struct at *at),
                     const struct signal_rule **out, unsigned *out_count)
{
    struct at m;

    if (!at_get(all, key, &m) ||
        !want_kind(l, &m, JSON_KIND_OBJECT,
                   "an object such as {\"X-Refuse\": {\"then\": "
                   "\"deny\"}}"))
        return;
    if (json_size(m.v) > POLICY_SIGNALS_MAX) {
        problem(l, &m, "has %zu signals; at most %u are allowed",
                json_size(m.v), POLICY_SIGNALS_MAX);
        return;
    }
    struct signal_rule *list = load_alloc(l, json_size(m.v) + 1, sizeof(*list));
    /* By name: two files with one hash decide alike. */
    unsigned count;
    const struct member *sorted = members_sorted(l, m.v, &count);
    if (list == NULL)
        return;
    for (unsigned i = 0; i < count; i++) {
        struct at one = at_child(&m, sorted[i].v);
        if (json_kind_of(sorted[i].v) == JSON_KIND_NULL || !want_name(l, &one))
            continue;
        list[*out_count] = (struct signal_rule){.is = NULL};
        read_one(l, &one, &list[(*out_count)++]);
    }
    *out = list;
}

void read_signals(struct load *l, const struct at *root)
{
    static const char *const keys[] = {
        "gpc",    "dnt", "consent_mode", "tcf", "from_properties", "headers",
        "fields", NULL};
    static const char *const deny[] = {"deny", "deny-consent", "ignore", NULL};
    static const char *const enforce[] = {"enforce", "ignore", NULL};
    struct at all = {root, SLICE("signals"), NULL}, m;

    l->p->gpc = l->p->dnt = SIGNAL_DENY;
    l->p->enforce_consent_mode = true;
    bool there = at_get(root, "signals", &all) && want_keys(l, &all, keys);
    read_tcf(l, &all);
    if (!there)
        return;
    if (at_get(&all, "gpc", &m)) {
        int w = want_word(l, &m, deny);
        l->p->gpc = w > 0 ? (enum signal_policy)w : SIGNAL_DENY;
    }
    if (at_get(&all, "dnt", &m)) {
        int w = want_word(l, &m, deny);
        l->p->dnt = w > 0 ? (enum signal_policy)w : SIGNAL_DENY;
    }
    if (at_get(&all, "consent_mode", &m))
        l->p->enforce_consent_mode = want_word(l, &m, enforce) != 1;
    read_properties(l, &all);
    read_own(l, &all, "headers", want_header, &l->p->header_signals,
             &l->p->header_signal_count);
    read_own(l, &all, "fields", want_path, &l->p->field_signals,
             &l->p->field_signal_count);
}
