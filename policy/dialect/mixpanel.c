/* Mixpanel: /track, /import, /engage and /groups, in every form in which its
 * libraries send: JSON in base64 or plain, in the query, in a form, under any
 * content type, one object or an array. The key is the project's token, which
 * stands in each event. */
#include "mixpanel.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/form.h"

#include <string.h>

enum { VARIANT_EVENTS, VARIANT_PROFILES };

/* What read() found, for decode() and the answer. */
struct parcel {
    const struct json_node *root; /* an object or an array of them */
    bool verbose;
};

/* ---- reading ------------------------------------------------------------ */

static bool is_json(struct slice text)
{
    return text.len > 0 && (text.at[0] == '{' || text.at[0] == '[');
}

/* `data`: JSON, or base64 of it. The reader writes into what it reads, so it
 * gets bytes of its own. */
static enum status parse(struct slice data, struct arena *a,
                         const struct json_node **out)
{
    char *bytes;
    size_t len;
    enum status st = ST_OK;

    data = slice_trim(data);
    if (data.len == 0)
        return ST_SYNTAX;
    if (is_json(data)) {
        bytes = arena_alloc(a, data.len);
        if (bytes == NULL)
            return ST_NOMEM;
        memcpy(bytes, data.at, data.len);
        len = data.len;
    } else {
        st = base64_decode(data, a, &bytes, &len);
    }
    return st == ST_OK ? json_read(a, bytes, len, out, NULL) : st;
}

static enum status read_verbose(struct slice form, struct arena *a,
                                struct parcel *p)
{
    struct slice value;

    enum status st = form_find(form, SLICE("verbose"), a, &value);
    if (st == ST_OK)
        p->verbose |= slice_eq(value, SLICE("1"));
    return st;
}

/* The data of a form, wherever the form stands. */
static enum status find_data(struct dialect_call *c, struct parcel *p,
                             struct slice *out)
{
    struct slice body = dialect_body(c);

    enum status st = read_verbose(c->beacon->query, c->arena, p);
    if (st == ST_OK && is_json(body)) {
        *out = body;
        return ST_OK;
    }
    if (st == ST_OK)
        st = read_verbose(body, c->arena, p);
    if (st == ST_OK)
        st = form_find(body, SLICE("data"), c->arena, out);
    if (st == ST_OK && out->len == 0)
        st = form_find(c->beacon->query, SLICE("data"), c->arena, out);
    return st;
}

static enum status add_tokens(struct dialect_call *c,
                              const struct json_node *root)
{
    if (root->type != JSON_ARRAY)
        return mixpanel_add_tokens(c, root);
    for (const struct json_node *n = json_first(root); n != NULL;
         n = json_next(root, n)) {
        enum status st = mixpanel_add_tokens(c, n);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum status mixpanel_read(struct dialect_call *c)
{
    struct parcel *p = arena_zalloc(c->arena, 1, sizeof(*p));
    struct slice data = SLICE_NONE;

    if (p == NULL)
        return ST_NOMEM;
    c->state = p;
    enum status st = find_data(c, p, &data);
    if (st == ST_OK)
        st = parse(data, c->arena, &p->root);
    if (st == ST_OK && p->root->type == JSON_ARRAY &&
        p->root->count > DIALECT_EVENTS_MAX)
        st = ST_LIMIT;
    return st == ST_OK ? add_tokens(c, p->root) : st;
}

/* ---- decoding ----------------------------------------------------------- */

static enum status take(struct dialect_call *c, const struct json_node *item,
                        hit_sink *sink, void *ctx)
{
    bool profile = c->route->variant == VARIANT_PROFILES;
    struct hit *h = arena_alloc(c->arena, sizeof(*h));

    if (h == NULL)
        return ST_NOMEM;
    enum status st = profile
                         ? mixpanel_profile_read(item, c->beacon, c->arena, h)
                         : mixpanel_event_read(item, c->beacon, c->arena, h);
    return dialect_take(c, st, h, sink, ctx);
}

static enum status mixpanel_decode(struct dialect_call *c, hit_sink *sink,
                                   void *ctx)
{
    const struct json_node *root = ((const struct parcel *)c->state)->root;
    enum status st = ST_OK;

    if (root->type != JSON_ARRAY)
        return dialect_end(c, take(c, root, sink, ctx));
    for (const struct json_node *n = json_first(root); n != NULL && st == ST_OK;
         n = json_next(root, n))
        st = take(c, n, sink, ctx);
    return dialect_end(c, st);
}

static void mixpanel_reply(struct dialect_call *c, struct reply *out)
{
    const struct parcel *p = c->state;

    *out = (struct reply){
        .status = 200, .content_type = SLICE("text/plain"), .body = SLICE("1")};
    if (p->verbose) {
        out->content_type = SLICE("application/json");
        out->body = SLICE("{\"status\":1,\"error\":null}");
    }
}

#define BOTH (METHOD_GET | METHOD_POST)

static const struct dialect_route mixpanel_routes[] = {
    {SLICE_INIT("/track"), BOTH, VARIANT_EVENTS, &dialect_mixpanel},
    {SLICE_INIT("/track/"), BOTH, VARIANT_EVENTS, &dialect_mixpanel},
    {SLICE_INIT("/import"), BOTH, VARIANT_EVENTS, &dialect_mixpanel},
    {SLICE_INIT("/import/"), BOTH, VARIANT_EVENTS, &dialect_mixpanel},
    {SLICE_INIT("/engage"), BOTH, VARIANT_PROFILES, &dialect_mixpanel},
    {SLICE_INIT("/engage/"), BOTH, VARIANT_PROFILES, &dialect_mixpanel},
    {SLICE_INIT("/groups"), BOTH, VARIANT_PROFILES, &dialect_mixpanel},
    {SLICE_INIT("/groups/"), BOTH, VARIANT_PROFILES, &dialect_mixpanel},
};

const struct dialect dialect_mixpanel = {
    .name = "mixpanel",
    .source = SOURCE_MIXPANEL,
    .routes = mixpanel_routes,
    .route_count = sizeof(mixpanel_routes) / sizeof(mixpanel_routes[0]),
    /* Its Python library reads both members of every answer. */
    .error_member = SLICE_INIT(",\"status\":0"),
    .read = mixpanel_read,
    .decode = mixpanel_decode,
    .reply = mixpanel_reply,
};
