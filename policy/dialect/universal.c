/* Google's Universal Analytics (analytics.js, protocol version 1): /collect
 * with one hit, /batch with one a line. A dialect in only: its servers are
 * gone, its libraries are not. */
#include "family.h"
#include "lethe/policy/form.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/consent_hear.h"
#include "params.h"

enum { VARIANT_ONE, VARIANT_LINES };

/* ---- one hit ------------------------------------------------------------ */

static const struct dialect_context_row contexts[] = {
    {SLICE_INIT("uip"), CTX_IP},      {SLICE_INIT("ua"), CTX_USER_AGENT},
    {SLICE_INIT("ul"), CTX_LANGUAGE}, {SLICE_INIT("sr"), CTX_SCREEN},
    {SLICE_INIT("dr"), CTX_REFERRER}, {SLICE_INIT("dt"), CTX_TITLE},
    {SLICE_INIT("cn"), CTX_CAMPAIGN},
};

#define CONTEXTS (sizeof(contexts) / sizeof(contexts[0]))

static const struct slice known[] = {
    SLICE_INIT("v"),
    SLICE_INIT("tid"),
    SLICE_INIT("cid"),
    SLICE_INIT("uid"),
    SLICE_INIT("t"),
    SLICE_INIT("dl"),
    SLICE_INIT("dp"),
    SLICE_INIT("ea"),
    SLICE_INIT("npa"),
    SLICE_INIT("gdpr"),
    SLICE_INIT("gdpr_consent"),
};

static struct slice field_name(struct slice name)
{
    return params_is_one_of(name, known, sizeof(known) / sizeof(known[0]),
                            contexts, CONTEXTS)
               ? SLICE_NONE
               : name;
}

/* An event is called by its action; pages and screens are page views. */
static struct slice hit_name(const struct params *p)
{
    struct slice type = params_get(p, SLICE("t"));

    if (slice_eq(type, SLICE("pageview")) ||
        slice_eq(type, SLICE("screenview")))
        return SLICE("page_view");
    return slice_eq(type, SLICE("event")) ? params_get(p, SLICE("ea")) : type;
}

static enum status hit_read(struct slice pairs, const struct beacon *b,
                            struct arena *a, struct hit *out)
{
    struct hit h = {.source = SOURCE_UNIVERSAL};
    struct params p;

    enum status st = params_read(pairs, b->query, a, &p);
    if (st != ST_OK)
        return st;
    h.name = hit_name(&p);
    if (h.name.len == 0)
        return ST_TYPE;
    st = hit_add_identifier(&h, ID_USER, params_get(&p, SLICE("uid")), a);
    if (st == ST_OK)
        st = hit_add_identifier(&h, ID_DEVICE, params_get(&p, SLICE("cid")), a);
    if (st == ST_OK) /* the cookie of a day's visitor */
        st = hit_add_identifier(&h, ID_OTHER, params_get(&p, SLICE("_gid")), a);
    params_context(&p, contexts, CONTEXTS, &h);
    h.context[CTX_URL] = params_get(&p, SLICE("dl"));
    if (h.context[CTX_URL].len == 0)
        h.context[CTX_URL] = params_get(&p, SLICE("dp"));
    dialect_add_headers(b, &h);
    consent_mode_read_npa(params_get(&p, SLICE("npa")), &h.signals.mode);
    consent_mode_read_gcs(params_get(&p, SLICE("gcs")), &h.signals.mode);
    consent_hear_tcf(&h.signals, params_get(&p, SLICE("gdpr_consent")));
    if (st == ST_OK)
        st = params_fields(&p, field_name, a, &h.fields);
    if (st == ST_OK)
        *out = h;
    return st;
}

/* ---- requests ----------------------------------------------------------- */

/* The next hit's pairs. */
static bool next_hit(const struct dialect_call *c, struct slice *rest,
                     struct slice *out)
{
    if (c->route->variant == VARIANT_LINES)
        return form_line(rest, out);
    *out = *rest;
    *rest = SLICE_NONE;
    return out->len > 0;
}

static enum status add_key(struct dialect_call *c, struct slice pairs)
{
    struct slice key;

    enum status st = form_find(pairs, SLICE("tid"), c->arena, &key);
    return st == ST_OK ? dialect_add_key(c, key) : st;
}

static enum status universal_read(struct dialect_call *c)
{
    struct slice rest = dialect_body(c), pairs;
    enum status st = add_key(c, c->beacon->query);

    while (st == ST_OK && next_hit(c, &rest, &pairs))
        st = add_key(c, pairs);
    return st;
}

static enum status take(struct dialect_call *c, struct slice pairs,
                        hit_sink *sink, void *ctx)
{
    struct hit *h = arena_alloc(c->arena, sizeof(*h));

    if (h == NULL)
        return ST_NOMEM;
    return dialect_take(c, hit_read(pairs, c->beacon, c->arena, h), h, sink,
                        ctx);
}

static enum status universal_decode(struct dialect_call *c, hit_sink *sink,
                                    void *ctx)
{
    struct slice rest = dialect_body(c), pairs;
    enum status st = ST_OK;

    if (rest.len == 0)
        st = take(c, SLICE_NONE, sink, ctx);
    while (st == ST_OK && next_hit(c, &rest, &pairs))
        st = take(c, pairs, sink, ctx);
    return dialect_end(c, st);
}

/* One transparent pixel, 35 bytes. */
static void universal_reply(struct dialect_call *c, struct reply *out)
{
    static const char pixel[] =
        "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

    (void)c;
    *out = (struct reply){.status = 200,
                          .content_type = SLICE("image/gif"),
                          .body = {pixel, sizeof(pixel) - 1}};
}

static const struct dialect_route universal_routes[] = {
    {SLICE_INIT("/collect"), METHOD_GET | METHOD_POST, VARIANT_ONE,
     &dialect_universal},
    {SLICE_INIT("/batch"), METHOD_POST, VARIANT_LINES, &dialect_universal},
};

const struct dialect dialect_universal = {
    .name = "universal",
    .source = SOURCE_UNIVERSAL,
    .routes = universal_routes,
    .route_count = sizeof(universal_routes) / sizeof(universal_routes[0]),
    .read = universal_read,
    .decode = universal_decode,
    .reply = universal_reply,
};
