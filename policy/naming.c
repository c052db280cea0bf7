#include "lethe/policy/naming.h"

#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

/* The value at a dotted path of objects, or NULL. */
static const struct json_node *at_path(const struct json_node *object,
                                       struct slice path)
{
    while (object != NULL && path.len > 0) {
        size_t dot = slice_find(path, '.');
        object = json_member(object, slice_head(path, dot));
        path = slice_skip(path, dot + 1);
    }
    return object;
}

static enum status add(struct hit *h, struct slice text, struct arena *a)
{
    for (unsigned i = 0; i < h->identifier_count; i++)
        if (h->identifiers[i].exact.at == text.at)
            return ST_OK; /* the same place, named twice by the policy */
    if (h->identifier_count == HIT_IDENTIFIERS_MAX)
        return ST_LIMIT;
    struct identifier *id = &h->identifiers[h->identifier_count++];
    id->kind = ID_OTHER;
    id->exact = text;
    return dialect_canonical(text, a, &id->canonical);
}

static enum status add_listed(const struct policy *p, struct hit *h,
                              struct arena *a)
{
    enum status st = ST_OK;

    for (unsigned i = 0; i < p->optout_identifier_count && st == ST_OK; i++) {
        const struct json_node *v =
            at_path(h->fields, p->optout_identifiers[i]);
        if (v != NULL && v->text.len > 0 &&
            (v->type == JSON_STRING || v->type == JSON_NUMBER))
            st = add(h, v->text, a);
    }
    return st;
}

enum status hit_add_named(const struct policy *p, struct hit *h,
                          struct hit_view *scratch, struct arena *a)
{
    const struct event_plan *e = policy_find_event(p, h->name);
    enum status st = add_listed(p, h, a);

    if (h->too_many_identifiers)
        return ST_LIMIT;
    if (st != ST_OK || e == NULL || e->naming_count == 0)
        return st;
    hit_view_make(e, h, scratch);
    for (unsigned i = 0; i < e->naming_count && st == ST_OK; i++) {
        struct slice texts[HIT_IDENTIFIERS_MAX];
        unsigned n;
        bool more = hit_view_texts(e, scratch, e->naming[i], texts,
                                   HIT_IDENTIFIERS_MAX, &n);
        for (unsigned k = 0; k < n && st == ST_OK; k++)
            st = add(h, texts[k], a);
        if (more && st == ST_OK)
            st = ST_LIMIT;
    }
    return st;
}
