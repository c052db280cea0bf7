#include "params.h"

#include "../json_scan.h"
#include "lethe/policy/form.h"

static size_t pairs_bound(struct slice form)
{
    size_t n = form.len > 0;

    for (size_t i = 0; i < form.len; i++)
        n += form.at[i] == '&';
    return n;
}

static enum status add_all(struct params *p, struct slice form, struct arena *a)
{
    struct slice name, value;
    enum status st = ST_OK;

    while (st == ST_OK && form_next(&form, &name, &value)) {
        struct param *q = &p->at[p->count];
        st = form_decode(name, a, &q->name);
        if (st == ST_OK)
            st = form_decode(value, a, &q->value);
        if (st == ST_OK &&
            !(json_scan_is_text(q->name) && json_scan_is_text(q->value)))
            st = ST_TYPE;
        p->count++;
    }
    return st;
}

enum status params_read(struct slice own, struct slice shared, struct arena *a,
                        struct params *out)
{
    size_t most = pairs_bound(own) + pairs_bound(shared);

    if (most > PARAMS_MAX)
        return ST_TYPE;
    *out = (struct params){.at = arena_alloc(a, (most + 1) * sizeof(*out->at))};
    if (out->at == NULL)
        return ST_NOMEM;
    enum status st = add_all(out, own, a);
    return st == ST_OK ? add_all(out, shared, a) : st;
}

struct slice params_get(const struct params *p, struct slice name)
{
    for (unsigned i = 0; i < p->count; i++)
        if (slice_eq(p->at[i].name, name))
            return p->at[i].value;
    return SLICE_NONE;
}

void params_context(const struct params *p,
                    const struct dialect_context_row *rows, size_t row_count,
                    struct hit *h)
{
    for (size_t i = 0; i < row_count; i++)
        h->context[rows[i].key] = params_get(p, rows[i].name);
}

bool params_is_one_of(struct slice name, const struct slice *known,
                      size_t known_count,
                      const struct dialect_context_row *rows, size_t row_count)
{
    for (size_t i = 0; i < known_count; i++)
        if (slice_eq(name, known[i]))
            return true;
    for (size_t i = 0; i < row_count; i++)
        if (slice_eq(name, rows[i].name))
            return true;
    return false;
}

static bool has_key(const struct json_node *object, struct slice key)
{
    return json_member(object, key) != NULL;
}

enum status params_fields(const struct params *p, params_name *name,
                          struct arena *a, const struct json_node **out)
{
    struct json_node *nodes = arena_alloc(a, (p->count + 1) * sizeof(*nodes));

    if (nodes == NULL)
        return ST_NOMEM;
    nodes[0] = (struct json_node){.type = JSON_OBJECT, .span = 1};
    for (unsigned i = 0; i < p->count; i++) {
        struct slice key = name(p->at[i].name);
        if (key.at == NULL || has_key(nodes, key))
            continue;
        nodes[++nodes[0].count] = (struct json_node){
            .key = key, .text = p->at[i].value, .span = 1, .type = JSON_STRING};
        nodes[0].span++;
    }
    *out = nodes;
    return ST_OK;
}
