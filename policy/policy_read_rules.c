#include "policy_inside.h"

#include <string.h>

/* Kinds as the language writes them, in the order of the reference. */
enum written {
    W_DROP,
    W_BOOL,
    W_NUMBER,
    W_ENUM,
    W_EXTENSION,
    W_URL,
    W_HOST,
    W_TEXT,
    W_TIME,
    W_PSEUDONYM,
    W_PLACE,
    W_CLASS,
    W_CONSTANT,
    W_COUNT
};
static const char *const written_names[W_COUNT + 1] = {
    "drop", "bool", "number",    "enum",  "extension", "url",      "host",
    "text", "time", "pseudonym", "place", "class",     "constant", NULL};

#define BIT(w)  (1u << (w))
#define CHOSEN  (BIT(W_DROP) | BIT(W_ENUM) | BIT(W_CONSTANT))
#define ADDRESS (BIT(W_DROP) | BIT(W_URL) | BIT(W_HOST) | BIT(W_CONSTANT))

/* What a context value may become. The address and the place have no word
 * that lets any of them through (R1, R3). */
static const unsigned context_kinds[CTX_COUNT] = {
    [CTX_IP] = BIT(W_DROP),
    [CTX_PLACE] = BIT(W_DROP) | BIT(W_PLACE),
    [CTX_USER_AGENT] = CHOSEN | BIT(W_CLASS),
    [CTX_LANGUAGE] = CHOSEN,
    [CTX_SCREEN] = CHOSEN,
    [CTX_URL] = ADDRESS,
    [CTX_REFERRER] = ADDRESS,
    [CTX_CAMPAIGN] = CHOSEN,
    [CTX_TITLE] = CHOSEN,
    [CTX_TIME] = BIT(W_DROP) | BIT(W_TIME),
};
#define FIELD_KINDS                                                            \
    (BIT(W_DROP) | BIT(W_BOOL) | BIT(W_NUMBER) | BIT(W_ENUM) |                 \
     BIT(W_EXTENSION) | BIT(W_URL) | BIT(W_HOST) | BIT(W_TEXT) |               \
     BIT(W_PSEUDONYM) | BIT(W_CONSTANT))

static unsigned allowed_kinds(const struct rule_spot *spot)
{
    switch (spot->place) {
    case PLACE_IDENTIFIER:
        return BIT(W_DROP) | BIT(W_PSEUDONYM);
    case PLACE_CONTEXT:
        return context_kinds[spot->context];
    case PLACE_FIELD:
        break;
    }
    return spot->wildcard ? BIT(W_DROP) : FIELD_KINDS;
}

static int kind_of_word(struct slice s)
{
    for (int w = 0; w < W_COUNT; w++)
        if (slice_eq(s, slice_of(written_names[w])))
            return w;
    return -1;
}

static void say_unknown(struct load *l, const struct at *at, struct slice s)
{
    if (slice_eq(s, SLICE("keep")))
        problem(l, at,
                "there is no \"keep\"; say what becomes of the value: enum, "
                "number, bool, extension, url, host, pseudonym ... or drop");
    else
        problem(l, at,
                "\"%.*s\" is no kind of rule; write one of drop, bool, "
                "number, enum, extension, url, host, time, pseudonym, place, "
                "class, constant",
                SLICE_ARG(slice_head(s, 64)));
}

/* A rule that is one word. */
static int kind_from_text(struct load *l, const struct at *at)
{
    struct slice s = json_string(at->v);
    int w = kind_of_word(s);

    if (w < 0) {
        say_unknown(l, at, s);
        return -1;
    }
    unsigned words = BIT(W_DROP) | BIT(W_BOOL) | BIT(W_CLASS) | BIT(W_HOST) |
                     BIT(W_PSEUDONYM);
    if ((words & BIT(w)) == 0) {
        if (w == W_TEXT)
            return w; /* refused with its own words */
        problem(l, at, "\"%s\" alone says too little; write {\"%s\": ...}",
                written_names[w], written_names[w]);
        return -1;
    }
    return w;
}

static bool is_modifier(struct slice key)
{
    static const char *const keys[] = {"as",    "from",  "for",
                                       "label", "names", NULL};

    for (const char *const *k = keys; *k != NULL; k++)
        if (slice_eq(key, slice_of(*k)))
            return true;
    return false;
}

static bool is_enum_part(struct slice key)
{
    return slice_eq(key, SLICE("fold")) || slice_eq(key, SLICE("map")) ||
           slice_eq(key, SLICE("other"));
}

/* A rule that is an object: exactly one kind, the rest modifiers. */
static int kind_from_object(struct load *l, const struct at *at,
                            struct at *out_kind)
{
    int found = -1;

    for (const struct json_value *v = json_child(at->v); v != NULL;
         v = json_sibling(v)) {
        struct at m = at_child(at, v);
        int w = kind_of_word(m.key);
        if (w < 0 && (is_modifier(m.key) || is_enum_part(m.key)))
            continue;
        if (w < 0) {
            say_unknown(l, &m, m.key);
            return -1;
        }
        if (found >= 0) {
            problem(l, &m, "is a second kind beside \"%s\"; a rule has one",
                    written_names[found]);
            return -1;
        }
        found = w;
        *out_kind = m;
    }
    if (found < 0)
        problem(l, at,
                "names no kind of rule; write \"drop\" or one such as "
                "{\"enum\": [...]}");
    for (const struct json_value *v = json_child(at->v);
         v != NULL && found >= 0 && found != W_ENUM; v = json_sibling(v)) {
        struct at m = at_child(at, v);
        if (is_enum_part(m.key))
            problem(l, &m, "belongs to \"enum\" only; remove it");
    }
    return found;
}

/* {"bool": {}}: nothing stands inside. */
static void want_empty(struct load *l, const struct at *kind)
{
    if (kind->v != NULL &&
        (json_kind_of(kind->v) != JSON_KIND_OBJECT || json_size(kind->v) > 0))
        problem(l, kind, "takes nothing; write {}");
}

static void read_place(struct load *l, const struct at *kind)
{
    static const char *const words[] = {"country", "region", "city", NULL};

    if (want_word(l, kind, words) >= 0)
        problem(l, kind,
                "this build has no list of places to look addresses up in; "
                "write \"drop\"");
}

static void read_kind(struct load *l, const struct at *rule, int w,
                      const struct at *kind, struct rule *out)
{
    switch ((enum written)w) {
    case W_DROP:
    case W_BOOL:
    case W_HOST:
    case W_PSEUDONYM:
    case W_CLASS:
        want_empty(l, kind);
        break;
    case W_NUMBER:
        read_number(l, kind, out);
        break;
    case W_ENUM:
        read_enum(l, rule, kind, out);
        break;
    case W_EXTENSION:
        read_extension(l, kind, out);
        break;
    case W_URL:
        read_url(l, kind, out);
        break;
    case W_TIME:
        read_time(l, kind, out);
        break;
    case W_PLACE:
        read_place(l, kind);
        break;
    case W_CONSTANT:
        (void)want_text(l, kind, POLICY_WORD_MAX, &out->as.constant);
        break;
    case W_TEXT: /* refused before */
    case W_COUNT:
        break;
    }
}

static const enum rule_kind compiled_kind[W_COUNT] = {
    [W_DROP] = RULE_DROP,           [W_BOOL] = RULE_BOOL,
    [W_NUMBER] = RULE_NUMBER,       [W_ENUM] = RULE_ENUM,
    [W_EXTENSION] = RULE_EXTENSION, [W_URL] = RULE_URL,
    [W_HOST] = RULE_HOST,           [W_TEXT] = RULE_DROP,
    [W_TIME] = RULE_TIME,           [W_PSEUDONYM] = RULE_PSEUDONYM,
    [W_PLACE] = RULE_PLACE,         [W_CLASS] = RULE_CLASS,
    [W_CONSTANT] = RULE_CONSTANT,
};

static void say_not_here(struct load *l, const struct at *at,
                         const struct rule_spot *spot, int w)
{
    char all[160];
    size_t used = 0;

    all[0] = '\0';
    for (int k = 0; k < W_COUNT; k++) {
        if ((allowed_kinds(spot) & BIT(k)) == 0 || k == W_TEXT)
            continue;
        size_t len = slice_of(written_names[k]).len;
        memcpy(all + used, written_names[k], len);
        used += len;
        memcpy(all + used, ", ", 3);
        used += 2;
    }
    all[used - 2] = '\0';
    if (spot->wildcard)
        problem(l, at,
                "a name with * may only be \"drop\": a client chose the real "
                "one; name the fields that may leave");
    else
        problem(l, at, "cannot be \"%s\" here; write one of: %s",
                written_names[w], all);
}

static void read_as(struct load *l, const struct at *at,
                    const struct rule_spot *spot, struct rule *out)
{
    struct at m;
    struct slice name;

    out->out_name =
        spot->base != NULL ? spot->base->out_name : spot->default_name;
    if (!at_get(at, "as", &m))
        return;
    if (spot->place == PLACE_IDENTIFIER)
        problem(l, &m,
                "identifiers leave under the destination's own names; "
                "remove \"as\"");
    else if (spot->wildcard)
        problem(l, &m,
                "has no meaning on a name with *, which is dropped; "
                "remove it");
    else if (want_text(l, &m, POLICY_NAME_MAX, &name)) {
        if (name_leaves(name))
            out->out_name = name;
        else
            problem(l, &m,
                    "cannot be a name that leaves; use letters, digits, _ . $ "
                    "- and spaces");
    }
}

static void read_for(struct load *l, const struct at *at,
                     const struct rule_spot *spot, struct rule *out)
{
    struct at m;

    out->purposes =
        spot->base != NULL ? spot->base->purposes : POLICY_ALL_PURPOSES;
    if (at_get(at, "for", &m))
        (void)read_purpose_list(l, &m, &out->purposes, NULL, NULL);
}

/* Whether the value at `path` may feed what the spot describes. */
static bool feeds(const struct rule_spot *spot, struct slice path)
{
    bool many, wildcard;

    return path_check(path, &many, &wildcard) && !wildcard &&
           !(many && spot->place == PLACE_IDENTIFIER);
}

static void add_places(struct load *l, const struct at *at, const char *key,
                       struct rule_spot *spot)
{
    struct at m;
    struct slice *list;
    unsigned count;

    if (!at_get(at, key, &m))
        return;
    if (spot->place == PLACE_CONTEXT || spot->base != NULL || spot->wildcard) {
        problem(l, &m,
                "works only where a field or an identifier is first "
                "described; remove it");
        return;
    }
    if (!want_texts(l, &m, true, POLICY_NAMES_MAX, POLICY_PATH_MAX, &list,
                    &count))
        return;
    struct slice *all =
        load_alloc(l, spot->from_count + count + 1, sizeof(*all));
    if (all == NULL)
        return;
    if (spot->from_count > 0)
        memcpy(all, spot->from, spot->from_count * sizeof(*all));
    for (unsigned i = 0; i < count; i++) {
        if (!feeds(spot, list[i]))
            problem(l, &m,
                    "\"%.*s\" is no path to a field; write one such "
                    "as \"cart.total\"",
                    SLICE_ARG(slice_head(list[i], 64)));
        all[spot->from_count++] = list[i];
    }
    spot->from = all;
}

static void read_modifiers(struct load *l, const struct at *at,
                           struct rule_spot *spot, struct rule *out)
{
    struct at m;

    read_as(l, at, spot, out);
    read_for(l, at, spot, out);
    add_places(l, at, "from", spot);
    if (spot->place != PLACE_IDENTIFIER)
        add_places(l, at, "names", spot);
    else if (at_get(at, "names", &m))
        problem(l, &m, "belongs to fields; an identifier has \"from\"");
    if (at_get(at, "label", &m))
        (void)want_text(l, &m, POLICY_PROSE_MAX, &spot->label);
}

void read_rule(struct load *l, const struct at *at, struct rule_spot *spot,
               struct rule *out)
{
    struct at kind = {at, SLICE_NONE, NULL};
    int w = -1;

    *out = (struct rule){.kind = RULE_DROP};
    spot->label = SLICE_NONE;
    spot->from = NULL;
    spot->from_count = 0;
    read_modifiers(l, at, spot, out);
    if (json_kind_of(at->v) == JSON_KIND_STRING)
        w = kind_from_text(l, at);
    else if (json_kind_of(at->v) == JSON_KIND_OBJECT)
        w = kind_from_object(l, at, &kind);
    else
        problem(l, at,
                "is %s; write a rule: \"drop\" or one such as "
                "{\"enum\": [...]}",
                json_kind_name(json_kind_of(at->v)));
    if (w < 0)
        return;
    if ((allowed_kinds(spot) & BIT(w)) == 0) {
        say_not_here(l, at, spot, w);
        return;
    }
    if (w == W_TEXT) {
        problem(l, at,
                "free text needs detectors, and this build has no "
                "detectors yet; write \"drop\" or {\"enum\": [...]}");
        return;
    }
    out->kind = compiled_kind[w];
    read_kind(l, at, w, &kind, out);
}

void read_identifiers(struct load *l, const struct at *root)
{
    static const char *const keys[] = {"user", "device", "session", "group",
                                       NULL};
    struct at all;

    if (at_get(root, "identifiers", &all))
        (void)want_keys(l, &all, keys);
    for (unsigned k = 0; k < ID_COUNT; k++) {
        struct rule *r = &l->identifiers[k];
        struct rule_spot spot = {.place = PLACE_IDENTIFIER};
        struct at m;
        *r = (struct rule){.kind = RULE_DROP, .purposes = POLICY_ALL_PURPOSES};
        if (k == ID_OTHER)
            continue;
        spot.default_name = slice_of(id_kind_name((enum id_kind)k));
        r->out_name = spot.default_name;
        if (at_get(&all, id_kind_name((enum id_kind)k), &m))
            read_rule(l, &m, &spot, r);
        l->p->identifier_from[k] = spot.from;
        l->p->identifier_from_count[k] = spot.from_count;
        list_rule(l, &m, r, NULL, -1);
    }
}

void read_context(struct load *l, const struct at *root)
{
    static const char *const keys[] = {
        "ip",       "place",    "user_agent", "language", "screen", "url",
        "referrer", "campaign", "title",      "time",     NULL};
    struct at all;

    if (at_get(root, "context", &all))
        (void)want_keys(l, &all, keys);
    for (unsigned k = 0; k < CTX_COUNT; k++) {
        struct rule *r = &l->context[k];
        struct rule_spot spot = {.place = PLACE_CONTEXT,
                                 .context = (enum context_key)k};
        struct at m;
        spot.default_name = slice_of(context_key_name((enum context_key)k));
        *r = (struct rule){.kind = RULE_DROP,
                           .purposes = POLICY_ALL_PURPOSES,
                           .out_name = spot.default_name};
        if (at_get(&all, context_key_name((enum context_key)k), &m))
            read_rule(l, &m, &spot, r);
        list_rule(l, &m, r, NULL, -1);
    }
}
