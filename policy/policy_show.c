#include "lethe/policy/policy_text.h"

#include "policy_inside.h"

#define NAME_WIDTH 48

static void put_source(const struct policy *p, const struct json_value *v,
                       struct buf *out)
{
    if (v == NULL) {
        buf_put(out, SLICE("  (default)\n"));
        return;
    }
    struct json_place place = json_place_of(p->listing->tree, v);
    if (place.line > 0)
        buf_printf(out, "  (%.*s:%u:%u)\n", SLICE_ARG(p->file), place.line,
                   place.column);
    else
        buf_printf(out, "  (%.*s)\n", SLICE_ARG(p->extends));
}

static void put_name(struct slice name, struct buf *out)
{
    buf_put(out, name);
    for (size_t i = name.len; i < NAME_WIDTH; i++)
        buf_put_char(out, ' ');
    buf_put_char(out, ' ');
}

/* An event's line: its purposes and names; its fields have their own. */
static enum status put_event(const struct json_value *v, struct buf *out)
{
    static const char *const keys[] = {"purpose", "names", "as"};
    enum status st = ST_OK;

    for (unsigned i = 0; i < 3 && st == ST_OK; i++) {
        const struct json_value *m = json_get(v, keys[i]);
        if (m == NULL)
            continue;
        buf_printf(out, "%s ", keys[i]);
        st = json_canonical(m, out);
        buf_put_char(out, ' ');
    }
    return st;
}

static enum status put_rules(const struct policy *p, struct buf *out)
{
    enum status st = ST_OK;

    buf_put(out, SLICE("\nRules, by the number that audit rows carry\n"));
    for (unsigned i = 0; i < p->listing->count && st == ST_OK; i++) {
        const struct listed *one = &p->listing->rules[i];
        buf_printf(out, "%5u  ", i + 1);
        put_name(one->name, out);
        if (one->rule == NULL)
            st = put_event(one->v, out);
        else if (one->v != NULL)
            st = json_canonical(one->v, out);
        else
            buf_put(out, SLICE("\"drop\""));
        put_source(p, one->v, out);
    }
    return st;
}

struct path {
    const struct path *up;
    struct slice name;
};

static void put_path(const struct path *path, struct buf *out)
{
    if (path->up != NULL && path->up->name.len > 0) {
        put_path(path->up, out);
        buf_put_char(out, '.');
    }
    buf_put(out, path->name);
}

/* Rules have been listed by then. */
static bool is_rules(const struct path *path)
{
    static const char *const top[] = {"identifiers", "context", "events"};
    bool at_top = path->up != NULL && path->up->up == NULL;

    for (unsigned i = 0; at_top && i < 3; i++)
        if (slice_eq(path->name, slice_of(top[i])))
            return true;
    return !at_top && slice_eq(path->name, SLICE("rules"));
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static enum status put_settings(const struct policy *p,
                                const struct json_value *v,
                                const struct path *path, struct buf *out)
{
    enum status st = ST_OK;

    if (path->up != NULL && is_rules(path))
        return ST_OK;
    if (json_kind_of(v) == JSON_KIND_OBJECT && json_size(v) > 0) {
        for (const struct json_value *m = json_child(v);
             m != NULL && st == ST_OK; m = json_sibling(m)) {
            struct path inside = {path, json_name(m)};
            st = put_settings(p, m, &inside, out);
        }
        return st;
    }
    size_t before = out->len;
    buf_put(out, SLICE("       "));
    put_path(path, out);
    do
        buf_put_char(out, ' ');
    while (out->len - before < NAME_WIDTH + 8);
    st = json_canonical(v, out);
    put_source(p, v, out);
    return st;
}

/* What holds where the policy is silent. */
static void put_defaults(const struct policy *p, struct buf *out)
{
    static const struct {
        const char *object, *key, *value;
    } defaults[] = {
        {"signals", "gpc", "deny"},
        {"signals", "dnt", "deny"},
        {"signals", "consent_mode", "enforce"},
        {"signals", "tcf", "enforce"},
        {NULL, "unidentified", "deny"},
        {"pseudonyms", "rotate", "P1D"},
        {"pseudonyms", "at", "00:00Z"},
        {"pseudonyms", "bits", "24"},
    };

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        const struct json_value *v = json_tree_root(p->listing->tree);
        if (defaults[i].object != NULL)
            v = json_get(v, defaults[i].object);
        if (v != NULL && json_get(v, defaults[i].key) != NULL)
            continue;
        buf_printf(out, "       %s%s%s = %s  (default)\n",
                   defaults[i].object != NULL ? defaults[i].object : "",
                   defaults[i].object != NULL ? "." : "", defaults[i].key,
                   defaults[i].value);
    }
}

enum status policy_show_effective(const struct policy *p, struct buf *out)
{
    struct path root = {NULL, SLICE("")};

    buf_printf(out, "policy %.*s, version %.*s, SHA-256 %s\n",
               SLICE_ARG(p->name), SLICE_ARG(p->version), p->hash_text);
    enum status st = put_rules(p, out);
    if (st != ST_OK)
        return st;
    buf_put(out, SLICE("\nSettings\n"));
    st = put_settings(p, json_tree_root(p->listing->tree), &root, out);
    put_defaults(p, out);
    if (st == ST_OK && out->failed)
        st = ST_LIMIT;
    return st;
}
