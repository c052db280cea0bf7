#include "policy_inside.h"

#include <string.h>

struct event_fields {
    struct field_plan *plans;
    struct rule *rules;
    struct buf keys;   /* struct key_path */
    struct at *places; /* of the fields, for problems with their keys */
    unsigned count;
};

/* The name that leaves without `as`: the path without "[]". */
static struct slice plain_path(struct load *l, struct slice path)
{
    char *out = load_alloc(l, path.len, 1);
    size_t n = 0;

    if (out == NULL)
        return SLICE_NONE;
    for (size_t i = 0; i < path.len; i++)
        if (path.at[i] != '[' && path.at[i] != ']')
            out[n++] = path.at[i];
    return (struct slice){out, n};
}

static bool clash(const struct event_fields *f, unsigned i, unsigned k)
{
    const struct rule *a = &f->rules[i], *b = &f->rules[k];

    return a->kind != RULE_DROP && b->kind != RULE_DROP &&
           slice_eq(a->out_name, b->out_name);
}

static void check_out_name(struct load *l, const struct at *at,
                           const struct event_fields *f, unsigned i)
{
    if (f->rules[i].kind == RULE_DROP)
        return;
    if (!name_leaves(f->rules[i].out_name))
        problem(l, at,
                "cannot leave under its own name; add \"as\" with "
                "letters, digits, _ . $ - and spaces, at most %u",
                POLICY_NAME_MAX);
    for (unsigned k = 0; k < f->count; k++)
        if (k != i && clash(f, i, k)) {
            problem(l, at,
                    "leaves as \"%.*s\", as another field does; give "
                    "one of them another \"as\"",
                    SLICE_ARG(slice_head(f->rules[i].out_name, 64)));
            return;
        }
}

static void add_key(struct load *l, struct event_fields *f, struct slice path,
                    unsigned field, unsigned rank)
{
    struct key_path one = {path, (int)field, rank, &f->places[field]};

    buf_put_bytes(&f->keys, &one, sizeof(one));
    l->nomem |= f->keys.failed;
}

/* Field `i` by name. Those not read yet are drops. */
static void read_field(struct load *l, struct event_fields *f, unsigned i,
                       const struct event_plan *e)
{
    const struct at *at = &f->places[i];
    struct rule_spot spot = {.place = PLACE_FIELD};
    struct field_plan *plan = &f->plans[i];

    plan->path = load_copy(l, at->key);
    if (!path_check(at->key, &plan->many, &spot.wildcard)) {
        problem(l, at,
                "is no path to a field; write names joined by dots, "
                "\"[]\" behind a list, one * only at the end");
        return;
    }
    spot.default_name = plain_path(l, at->key);
    read_rule(l, at, &spot, &f->rules[i]);
    plan->label = spot.label;
    check_out_name(l, at, f, i);
    list_rule(l, at, &f->rules[i], e, -1);
    add_key(l, f, plan->path, i, 0);
    for (unsigned k = 0; k < spot.from_count; k++)
        add_key(l, f, spot.from[k], i, k + 1);
}

static void read_fields(struct load *l, const struct at *at,
                        struct event_plan *e)
{
    size_t count = at->v != NULL ? json_size(at->v) : 0;
    struct event_fields f = {.count = 0};

    buf_init(&f.keys, (size_t)POLICY_FIELDS_MAX * (2 * POLICY_NAMES_MAX + 1) *
                          sizeof(struct key_path));

    if (at->v != NULL &&
        !want_kind(l, at, JSON_KIND_OBJECT, "an object, field by field"))
        return;
    if (count > POLICY_FIELDS_MAX) {
        problem(l, at, "has %zu fields; at most %u are allowed", count,
                POLICY_FIELDS_MAX);
        return;
    }
    f.plans = load_alloc(l, count, sizeof(*f.plans));
    f.rules = load_alloc(l, count, sizeof(*f.rules));
    f.places = load_alloc(l, count, sizeof(*f.places));
    if (l->nomem)
        return;
    unsigned n = 0;
    struct member *m = at->v != NULL ? members_sorted(l, at->v, &n) : NULL;
    f.count = n;
    for (unsigned i = 0; i < n; i++) {
        f.places[i] = at_child(at, m[i].v);
        read_field(l, &f, i, e);
    }
    e->keys = keys_build(l, (const struct key_path *)(void *)f.keys.data,
                         (unsigned)(f.keys.len / sizeof(struct key_path)));
    buf_free(&f.keys);
    e->fields = f.plans;
    e->field_count = f.count;
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++)
        e->to[d].fields = f.rules;
}

static void read_event_name(struct load *l, const struct at *at,
                            struct event_plan *e)
{
    struct slice name = at->key;
    size_t star = slice_find(name, '*');
    struct at m;

    e->name = e->out_name = load_copy(l, name);
    e->match = MATCH_EXACT;
    if (star < name.len) {
        e->match = name.len == 1 ? MATCH_ANY : MATCH_PREFIX;
        if (star + 1 != name.len)
            problem(l, at,
                    "has * before its end; write it at the end, or "
                    "name the event");
    }
    if (name.len == 0 || name.len > POLICY_PATH_MAX)
        problem(l, at, "has %zu bytes; write a name of 1 to %u", name.len,
                POLICY_PATH_MAX);
    if (at_get(at, "as", &m)) {
        if (want_text(l, &m, POLICY_NAME_MAX, &e->out_name) &&
            !name_leaves(e->out_name))
            problem(l, &m,
                    "cannot be a name that leaves; use letters, "
                    "digits, _ . $ - and spaces");
    } else if (e->match != MATCH_EXACT) {
        problem(l, at,
                "needs \"as\": a client chose the name that * stands "
                "for, so the policy must give the one that leaves");
    } else if (!name_leaves(e->name)) {
        problem(l, at,
                "cannot leave under its own name; add \"as\" with "
                "letters, digits, _ . $ - and spaces, at most %u",
                POLICY_NAME_MAX);
    }
}

static void read_aliases(struct load *l, const struct at *at, unsigned index)
{
    struct slice *list;
    struct at m;
    unsigned count;

    if (!at_get(at, "names", &m) || !want_texts(l, &m, true, POLICY_NAMES_MAX,
                                                POLICY_PATH_MAX, &list, &count))
        return;
    for (unsigned i = 0; i < count; i++)
        if (slice_find(list[i], '*') < list[i].len)
            problem(l, &m,
                    "\"%.*s\" holds *; names are exact: make it an "
                    "event of its own with \"as\"",
                    SLICE_ARG(slice_head(list[i], 64)));
    memcpy(&l->event_names[(size_t)index * POLICY_NAMES_MAX], list,
           count * sizeof(*list));
    l->event_name_counts[index] = count;
}

static void read_event(struct load *l, const struct at *at, unsigned index)
{
    static const char *const keys[] = {"names", "purpose", "label",
                                       "as",    "fields",  NULL};
    struct event_plan *e = &l->p->events[index];
    struct at m;

    read_event_name(l, at, e);
    list_event(l, at, e);
    if (!want_keys(l, at, keys))
        return;
    read_aliases(l, at, index);
    if (at_need(l, at, "purpose", "the purposes it serves", &m))
        (void)read_purpose_list(l, &m, &e->purposes, NULL, NULL);
    if (at_get(at, "label", &m))
        (void)want_text(l, &m, POLICY_PROSE_MAX, &e->label);
    (void)at_get(at, "fields", &m);
    read_fields(l, &m, e);
}

void read_events(struct load *l, const struct at *root)
{
    struct at all;

    if (!at_need(l, root, "events", "an object, event by event", &all) ||
        !want_kind(l, &all, JSON_KIND_OBJECT, "an object, event by event"))
        return;
    size_t count = json_size(all.v);
    if (count > POLICY_EVENTS_MAX) {
        problem(l, &all, "has %zu events; at most %u are allowed", count,
                POLICY_EVENTS_MAX);
        return;
    }
    l->p->events = load_alloc(l, count, sizeof(*l->p->events));
    l->event_names =
        load_alloc(l, count * POLICY_NAMES_MAX, sizeof(*l->event_names));
    l->event_name_counts = load_alloc(l, count, sizeof(*l->event_name_counts));
    if (l->nomem)
        return;
    unsigned n;
    struct member *m = members_sorted(l, all.v, &n);
    l->p->event_count = (unsigned)count;
    for (unsigned i = 0; i < n; i++) {
        struct at one = at_child(&all, m[i].v);
        read_event(l, &one, m[i].index);
    }
    if (n < count)
        return;
    index_build(l, &all);
}

static bool is_naming(const struct load *l, const struct event_plan *e,
                      unsigned field)
{
    for (unsigned d = 0; d < l->p->destination_count; d++)
        if (e->to[d].fields[field].kind == RULE_PSEUDONYM)
            return true;
    return false;
}

void naming_make(struct load *l)
{
    for (unsigned i = 0; i < l->p->event_count; i++) {
        struct event_plan *e = &l->p->events[i];
        uint16_t list[POLICY_FIELDS_MAX];
        unsigned n = 0;
        for (unsigned k = 0; k < e->field_count; k++)
            if (is_naming(l, e, k))
                list[n++] = (uint16_t)k;
        uint16_t *naming = load_alloc(l, n, sizeof(*naming));
        if (naming == NULL)
            return;
        memcpy(naming, list, n * sizeof(*naming));
        e->naming = naming;
        e->naming_count = n;
    }
}
