#include "policy_inside.h"

#include <string.h>

/* While it is built a table is a list; then it becomes open addressing. */
struct key_node {
    struct key_node *next;
    struct slice key;
    int field;
    unsigned rank;
    struct key_group *inside;
};
struct key_group {
    struct key_node *first;
    unsigned count;
    bool of_elements;
    int wildcard;
    struct key_node *prefixes;
    unsigned prefix_count;
};

uint32_t policy_key_hash(struct slice key)
{
    uint32_t h = UINT32_C(2166136261);

    for (size_t i = 0; i < key.len; i++) {
        h ^= (unsigned char)key.at[i];
        h *= UINT32_C(16777619);
    }
    return h;
}

/* The next part of a path: up to a dot. *list: it ended in "[]". */
static bool next_part(struct slice *rest, struct slice *out, bool *out_list)
{
    size_t dot = slice_find(*rest, '.');
    struct slice part = slice_head(*rest, dot);

    if (dot < rest->len && dot + 1 == rest->len)
        return false; /* ends in a dot */
    *rest = slice_skip(*rest, dot < rest->len ? dot + 1 : dot);
    *out_list = slice_ends(part, SLICE("[]"));
    if (*out_list)
        part.len -= 2;
    *out = part;
    return part.len > 0 && slice_find(part, '[') == part.len &&
           slice_find(part, ']') == part.len;
}

bool path_check(struct slice path, bool *out_many, bool *out_wildcard)
{
    unsigned parts = 0;

    *out_many = *out_wildcard = false;
    if (path.len == 0 || path.len > POLICY_PATH_MAX)
        return false;
    while (path.len > 0) {
        struct slice part;
        bool list;
        if (++parts > POLICY_PATH_PARTS || !next_part(&path, &part, &list))
            return false;
        *out_many |= list;
        size_t star = slice_find(part, '*');
        if (star == part.len)
            continue;
        if (path.len > 0 || list || star + 1 != part.len)
            return false; /* a star ends the path or stands nowhere */
        *out_wildcard = true;
    }
    return true;
}

static struct key_node *node_find(struct key_node *first, struct slice key)
{
    while (first != NULL && !slice_eq(first->key, key))
        first = first->next;
    return first;
}

static struct key_node *node_add(struct load *l, struct key_node **first,
                                 unsigned *count, struct slice key)
{
    struct key_node *n = load_alloc(l, 1, sizeof(*n));

    if (n == NULL)
        return NULL;
    n->key = key;
    n->field = -1;
    n->next = *first;
    *first = n;
    (*count)++;
    return n;
}

static struct key_group *group_new(struct load *l, bool of_elements)
{
    struct key_group *g = load_alloc(l, 1, sizeof(*g));

    if (g != NULL) {
        g->wildcard = -1;
        g->of_elements = of_elements;
    }
    return g;
}

static void say_taken(struct load *l, const struct key_path *p)
{
    problem(l, p->at,
            "\"%.*s\" is read by another field of this event too; "
            "each place feeds one field",
            SLICE_ARG(slice_head(p->path, 128)));
}

static void insert_star(struct load *l, struct key_group *g,
                        const struct key_path *p, struct slice prefix)
{
    if (prefix.len == 0) {
        if (g->wildcard >= 0)
            say_taken(l, p);
        g->wildcard = p->field;
        return;
    }
    if (node_find(g->prefixes, prefix) != NULL) {
        say_taken(l, p);
        return;
    }
    struct key_node *n = node_add(l, &g->prefixes, &g->prefix_count, prefix);
    if (n != NULL)
        n->field = p->field;
}

/* The table behind `n`, of the wanted sort; NULL after a problem. */
static struct key_group *step_inside(struct load *l, const struct key_path *p,
                                     struct key_node *n, bool list)
{
    if (n->field >= 0) {
        problem(l, p->at,
                "\"%.*s\" is read whole by another field; read it "
                "whole or by its parts, not both",
                SLICE_ARG(slice_head(n->key, 128)));
        return NULL;
    }
    if (n->inside == NULL)
        n->inside = group_new(l, list);
    else if (n->inside->of_elements != list) {
        problem(l, p->at,
                "\"%.*s\" is read as a list here and as an object "
                "elsewhere; choose one",
                SLICE_ARG(slice_head(n->key, 128)));
        return NULL;
    }
    return n->inside;
}

static void insert(struct load *l, struct key_group *g,
                   const struct key_path *p)
{
    struct slice rest = p->path, part;
    bool list;

    while (g != NULL && next_part(&rest, &part, &list)) {
        size_t star = slice_find(part, '*');
        if (star < part.len) {
            insert_star(l, g, p, slice_head(part, star));
            return;
        }
        struct key_node *n = node_find(g->first, part);
        if (n == NULL)
            n = node_add(l, &g->first, &g->count, part);
        if (n == NULL)
            return;
        if (rest.len > 0) {
            g = step_inside(l, p, n, list);
            continue;
        }
        if (n->field >= 0 || n->inside != NULL) {
            say_taken(l, p);
            return;
        }
        n->field = p->field;
        n->rank = p->rank;
        return;
    }
}

static struct key_table *finish(struct load *l, const struct key_group *g)
{
    struct key_table *t = load_alloc(l, 1, sizeof(*t));
    uint32_t size = 2;

    while (size < g->count * 2)
        size *= 2;
    struct key_slot *slots = load_alloc(l, size, sizeof(*slots));
    struct key_prefix *prefixes =
        load_alloc(l, g->prefix_count, sizeof(*prefixes));
    if (t == NULL || slots == NULL || prefixes == NULL)
        return NULL;
    for (const struct key_node *n = g->first; n != NULL; n = n->next) {
        uint32_t i = policy_key_hash(n->key) & (size - 1);
        while (slots[i].key.at != NULL)
            i = (i + 1) & (size - 1);
        slots[i] = (struct key_slot){n->key, n->field, n->rank, NULL};
        if (n->inside != NULL)
            slots[i].inside = finish(l, n->inside);
    }
    /* Longest first, so that the first that fits is the right one. */
    unsigned used = 0;
    for (const struct key_node *n = g->prefixes; n != NULL; n = n->next) {
        unsigned i = used++;
        for (; i > 0 && prefixes[i - 1].prefix.len < n->key.len; i--)
            prefixes[i] = prefixes[i - 1];
        prefixes[i] = (struct key_prefix){n->key, n->field};
    }
    *t = (struct key_table){.slots = slots,
                            .mask = size - 1,
                            .of_elements = g->of_elements,
                            .wildcard = g->wildcard,
                            .prefixes = prefixes,
                            .prefix_count = g->prefix_count};
    return t;
}

struct key_table *keys_build(struct load *l, const struct key_path *paths,
                             unsigned count)
{
    struct key_group *root = group_new(l, false);

    if (root == NULL)
        return NULL;
    for (unsigned i = 0; i < count; i++)
        insert(l, root, &paths[i]);
    if (l->nomem || l->problems->errors > 0)
        return NULL;
    return finish(l, root);
}
