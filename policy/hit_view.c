/* hit_view.c - find the hit's fields by the event's key table: one hash
 * lookup a key, whatever the client nests in what. */
#include "lethe/policy/hit.h"
#include "lethe/policy/minimise.h"

#include <assert.h>

#define RANK_NONE 255u

/* Where in the hit we are: inside a list, or not. */
struct walk {
    struct hit_view *view;
    const struct json_node *list;   /* the outermost list around us, or NULL */
    const struct key_table *inside; /* the table of its elements */
    hit_unknown_fn *tell;           /* NULL on the hot path */
    void *ctx;
};

static const struct key_slot *find_slot(const struct key_table *t,
                                        struct slice key)
{
    for (uint32_t i = policy_key_hash(key) & t->mask;; i = (i + 1) & t->mask) {
        if (t->slots[i].key.at == NULL)
            return NULL;
        if (slice_eq(t->slots[i].key, key))
            return &t->slots[i];
    }
}

static int wildcard_field(const struct key_table *t, struct slice key)
{
    for (unsigned i = 0; i < t->prefix_count; i++) {
        if (slice_starts(key, t->prefixes[i].prefix))
            return t->prefixes[i].field;
    }
    return t->wildcard;
}

static void unknown(struct walk *w, enum audit_class class, struct slice key)
{
    if (w->tell != NULL)
        w->tell(w->ctx, key);
    w->view->unknown_fields++;
    w->view->classes |= UINT32_C(1) << class;
}

static void found(struct walk *w, int field, unsigned rank,
                  const struct json_node *n)
{
    struct hit_view *view = w->view;

    assert((unsigned)field < POLICY_FIELDS_MAX);
    if (n->type == JSON_NULL)
        return;
    if (rank >= RANK_NONE)
        rank = RANK_NONE - 1;
    if (rank >= view->ranks[field])
        return;
    view->ranks[field] = (uint8_t)rank;
    view->values[field] = w->list != NULL ? w->list : n;
    view->lists[field] = w->inside;
}

static void walk_object(struct walk *w, const struct key_table *t,
                        const struct json_node *object);

static void walk_elements(struct walk *w, const struct key_table *t,
                          const struct json_node *list)
{
    struct walk deeper = *w;

    if (w->list == NULL) {
        deeper.list = list;
        deeper.inside = t;
    }
    for (const struct json_node *n = json_first(list); n != NULL;
         n = json_next(list, n)) {
        if (n->type == JSON_OBJECT)
            walk_object(&deeper, t, n);
        else
            unknown(w, CLASS_WRONG_TYPE, list->key);
    }
}

static void walk_inside(struct walk *w, const struct key_table *t,
                        const struct json_node *n)
{
    if (t->of_elements && n->type == JSON_ARRAY)
        walk_elements(w, t, n);
    else if (!t->of_elements && n->type == JSON_OBJECT)
        walk_object(w, t, n);
    else if (n->type != JSON_NULL)
        unknown(w, CLASS_WRONG_TYPE, n->key);
}

/* Recursion ends with the policy's tables, which are no deeper than a path
 * has parts. */
static void walk_object(struct walk *w, const struct key_table *t,
                        const struct json_node *object)
{
    for (const struct json_node *n = json_first(object); n != NULL;
         n = json_next(object, n)) {
        const struct key_slot *slot = find_slot(t, n->key);
        int field = slot != NULL ? slot->field : wildcard_field(t, n->key);

        if (slot != NULL && slot->inside != NULL)
            walk_inside(w, slot->inside, n);
        else if (field >= 0)
            found(w, field, slot != NULL ? slot->rank : RANK_NONE - 1, n);
        else
            unknown(w, CLASS_UNKNOWN_FIELD, n->key);
    }
}

/* What no destination ever gets as it was. */
static uint32_t always_stripped(const struct hit *h)
{
    uint32_t classes = 0;

    if (h->identifier_count > 0)
        classes |= UINT32_C(1) << CLASS_IDENTIFIER;
    if (h->context[CTX_IP].len > 0)
        classes |= UINT32_C(1) << CLASS_ADDRESS;
    if (h->client_id.len > 0)
        classes |= UINT32_C(1) << CLASS_EVENT_ID;
    if (h->unknown_keys > 0)
        classes |= UINT32_C(1) << CLASS_UNKNOWN_FIELD;
    return classes;
}

static void look_up(struct walk *w, const struct event_plan *event,
                    const struct hit *h)
{
    struct hit_view *view = w->view;

    assert(event->field_count <= POLICY_FIELDS_MAX);
    for (unsigned i = 0; i < event->field_count; i++) {
        view->values[i] = NULL;
        view->lists[i] = NULL;
        view->ranks[i] = RANK_NONE;
    }
    view->unknown_fields = h->unknown_keys;
    view->classes = always_stripped(h);
    if (h->fields != NULL && h->fields->type == JSON_OBJECT &&
        event->keys != NULL)
        walk_object(w, event->keys, h->fields);
    else if (h->fields != NULL && h->fields->count > 0)
        unknown(w, CLASS_UNKNOWN_FIELD, h->fields->key);
}

void hit_view_make(const struct event_plan *event, const struct hit *h,
                   struct hit_view *out)
{
    look_up(&(struct walk){.view = out}, event, h);
}

void hit_view_unknown(const struct event_plan *event, const struct hit *h,
                      hit_unknown_fn *fn, void *ctx)
{
    struct hit_view view;

    look_up(&(struct walk){.view = &view, .tell = fn, .ctx = ctx}, event, h);
}
