#include "policy_inside.h"

static struct name_slot *slot_of(const struct policy_index *x,
                                 struct slice name)
{
    uint32_t i = policy_key_hash(name) & x->mask;

    while (x->slots[i].name.at != NULL && !slice_eq(x->slots[i].name, name))
        i = (i + 1) & x->mask;
    return &x->slots[i];
}

static void add_name(struct load *l, struct policy_index *x,
                     const struct at *at, struct slice name,
                     const struct event_plan *e)
{
    struct name_slot *slot = slot_of(x, name);

    if (slot->name.at != NULL)
        problem(l, at,
                "the name \"%.*s\" stands for two events, %.*s and "
                "%.*s; keep it in one",
                SLICE_ARG(slice_head(name, 64)),
                SLICE_ARG(slice_head(slot->event->name, 64)),
                SLICE_ARG(slice_head(e->name, 64)));
    else
        *slot = (struct name_slot){name, e};
}

/* Longest first, so that the first that fits is the right one. */
static void add_prefix(struct policy_index *x, const struct event_plan *e)
{
    unsigned i = x->prefix_count++;

    for (; i > 0 && x->prefixes[i - 1]->name.len < e->name.len; i--)
        x->prefixes[i] = x->prefixes[i - 1];
    x->prefixes[i] = e;
}

static void add_event(struct load *l, struct policy_index *x,
                      const struct at *events, unsigned index)
{
    const struct event_plan *e = &l->p->events[index];
    const struct json_value *v = json_child(events->v);

    for (unsigned i = 0; i < index; i++)
        v = json_sibling(v);
    struct at at = at_child(events, v);
    switch (e->match) {
    case MATCH_EXACT:
        add_name(l, x, &at, e->name, e);
        break;
    case MATCH_PREFIX:
        add_prefix(x, e);
        break;
    case MATCH_ANY:
        x->any = e;
        break;
    }
    for (unsigned k = 0; k < l->event_name_counts[index]; k++)
        add_name(l, x, &at,
                 l->event_names[(size_t)index * POLICY_NAMES_MAX + k], e);
}

void index_build(struct load *l, const struct at *events)
{
    struct policy_index *x = load_alloc(l, 1, sizeof(*x));
    unsigned names = 0, size = 2;

    for (unsigned i = 0; i < l->p->event_count; i++)
        names += 1 + l->event_name_counts[i];
    while (size < names * 2)
        size *= 2;
    struct name_slot *slots = load_alloc(l, size, sizeof(*slots));
    const struct event_plan **prefixes =
        load_alloc(l, l->p->event_count, sizeof(*prefixes));
    if (x == NULL || slots == NULL || prefixes == NULL)
        return;
    *x = (struct policy_index){
        .slots = slots, .mask = size - 1, .prefixes = prefixes};
    for (unsigned i = 0; i < l->p->event_count; i++)
        add_event(l, x, events, i);
    l->p->index = x;
}

const struct event_plan *policy_find_event(const struct policy *p,
                                           struct slice name)
{
    const struct policy_index *x = p->index;
    const struct name_slot *slot = slot_of(x, name);

    if (slot->name.at != NULL)
        return slot->event;
    for (unsigned i = 0; i < x->prefix_count; i++) {
        struct slice prefix = x->prefixes[i]->name;
        if (slice_starts(name, slice_head(prefix, prefix.len - 1)))
            return x->prefixes[i];
    }
    return x->any;
}

int policy_find_destination(const struct policy *p, struct slice name)
{
    for (unsigned i = 0; i < p->destination_count; i++)
        if (slice_eq(p->destinations[i].name, name))
            return (int)i;
    return -1;
}
