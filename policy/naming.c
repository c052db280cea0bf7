#include "lethe/policy/naming.h"

#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

/* Adds a text as ID_OTHER, unless the same place was added already (the policy
 * may name it twice). */
static enum status add(struct hit *h, struct slice text, struct arena *a)
{
    for (unsigned i = 0; i < h->identifier_count; i++)
        if (h->identifiers[i].exact.at == text.at)
            return ST_OK;
    return hit_add_identifier(h, ID_OTHER, text, a);
}

/* The text at a path: a string or a number's own text, else SLICE_NONE. */
static struct slice text_at(const struct hit *h, struct slice path)
{
    const struct json_node *n = json_at_path(h->fields, path);

    if (n == NULL || (n->type != JSON_STRING && n->type != JSON_NUMBER))
        return SLICE_NONE;
    return n->text;
}

static bool has_kind(const struct hit *h, enum id_kind kind)
{
    for (unsigned i = 0; i < h->identifier_count; i++)
        if (h->identifiers[i].kind == kind)
            return true;
    return false;
}

/* The first of the policy's other places for this kind that holds something. */
static enum status add_from(const struct policy *p, struct hit *h,
                            enum id_kind kind, struct arena *a)
{
    struct slice text = SLICE_NONE;

    for (unsigned i = 0; text.len == 0 && i < p->identifier_from_count[kind];
         i++)
        text = text_at(h, p->identifier_from[kind][i]);
    return hit_add_identifier(h, kind, text, a);
}

static enum status add_listed(const struct policy *p, struct hit *h,
                              struct arena *a)
{
    enum status st = ST_OK;

    for (unsigned k = 0; st == ST_OK && k < ID_OTHER; k++)
        if (!has_kind(h, (enum id_kind)k))
            st = add_from(p, h, (enum id_kind)k, a);
    for (unsigned i = 0; i < p->optout_identifier_count && st == ST_OK; i++)
        st = add(h, text_at(h, p->optout_identifiers[i]), a);
    return st;
}

enum status hit_add_named(const struct policy *p, struct hit *h,
                          struct hit_view *scratch, struct arena *a)
{
    const struct event_plan *e = policy_find_event(p, h->name);
    enum status st = add_listed(p, h, a);

    if (st != ST_OK || e == NULL || e->naming_count == 0)
        return st;
    hit_view_make(e, h, scratch);
    for (unsigned i = 0; i < e->naming_count && st == ST_OK; i++) {
        struct slice texts[HIT_IDENTIFIERS_MAX];
        unsigned n;
        h->too_many_identifiers |= hit_view_texts(
            e, scratch, e->naming[i], texts, HIT_IDENTIFIERS_MAX, &n);
        for (unsigned k = 0; k < n && st == ST_OK; k++)
            st = add(h, texts[k], a);
    }
    return st;
}
