/* cookies.c - the identifiers that SDKs of our dialects keep in a browser's
 * cookies: read only when a person asks to be forgotten by them. */
#include "family.h"
#include "lethe/policy/form.h"
#include "lethe/policy/json_reader.h"

#include <string.h>

struct found {
    struct slice *out;
    unsigned max, count;
    bool left;
};

static enum status add(struct found *f, struct slice exact, struct arena *a)
{
    struct slice canonical;

    if (exact.len == 0)
        return ST_OK;
    enum status st = dialect_canonical(exact, a, &canonical);
    if (st != ST_OK)
        return st;
    for (unsigned i = 0; i < f->count; i++)
        if (slice_eq(f->out[i], canonical))
            return ST_OK;
    if (f->count == f->max)
        f->left = true;
    else
        f->out[f->count++] = canonical;
    return ST_OK;
}

/* mixpanel-browser: mp_<token>_mixpanel, an object in percent-encoding. What
 * cannot be read names nobody. */
static enum status read_mixpanel(struct found *f, struct slice value,
                                 struct arena *a)
{
    static const struct slice names[] = {SLICE_INIT("distinct_id"),
                                         SLICE_INIT("$device_id"),
                                         SLICE_INIT("$user_id")};
    const struct json_node *root;
    struct slice text;
    enum status st = form_decode(value, a, &text);

    if (st != ST_OK)
        return st;
    char *copy = arena_alloc(a, text.len + 1);
    if (copy == NULL)
        return ST_NOMEM;
    memcpy(copy, text.at, text.len);
    st = json_read(a, copy, text.len, &root, NULL);
    if (st != ST_OK || root->type != JSON_OBJECT)
        return st == ST_NOMEM ? st : ST_OK;
    for (size_t i = 0; st == ST_OK && i < sizeof(names) / sizeof(names[0]);
         i++) {
        const struct json_node *v = json_member(root, names[i]);
        if (v != NULL && (v->type == JSON_STRING || v->type == JSON_NUMBER))
            st = add(f, v->text, a);
    }
    return st;
}

/* Not _ga_<id>, whose session number is a second of the clock: other people's
 * visits began in it, too. */
static enum status read_cookie(struct found *f, struct slice name,
                               struct slice value, struct arena *a)
{
    if (slice_eq(name, SLICE("_ga")) && slice_starts(value, SLICE("GA1.")))
        return add(f, value, a);
    if (slice_starts(name, SLICE("mp_")) &&
        slice_ends(name, SLICE("_mixpanel")))
        return read_mixpanel(f, value, a);
    return ST_OK;
}

enum status dialect_cookie_ids(const struct beacon_header *headers,
                               unsigned header_count, struct arena *a,
                               struct slice *out, unsigned max,
                               unsigned *out_count, bool *out_left)
{
    struct found f = {.out = out, .max = max};
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < header_count; i++) {
        struct slice rest = headers[i].value;
        if (!slice_eq_fold(headers[i].name, SLICE("cookie")))
            continue;
        while (st == ST_OK && rest.len > 0) {
            size_t end = slice_find(rest, ';');
            struct slice one = slice_trim(slice_head(rest, end));
            size_t equals = slice_find(one, '=');
            rest = slice_skip(rest, end + 1);
            st = read_cookie(&f, slice_head(one, equals),
                             slice_skip(one, equals + 1), a);
        }
    }
    *out_count = f.count;
    *out_left = f.left;
    return st;
}
