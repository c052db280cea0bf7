/* Google Analytics 4: /g/collect, as tags send it, and the Measurement
 * Protocol's /mp/collect. Tags put what all events of a request share into the
 * query, and one event a line into the body; without a body the query is the
 * one event. */
#include "family.h"
#include "lethe/policy/form.h"

#include "ga4.h"
#include "lethe/audit_codes.h"

enum { VARIANT_TAG, VARIANT_PROTOCOL };

/* ---- keys --------------------------------------------------------------- */

static enum status add_form_key(struct dialect_call *c, struct slice form,
                                struct slice name)
{
    struct slice key;

    enum status st = form_find(form, name, c->arena, &key);
    return st == ST_OK ? dialect_add_key(c, key) : st;
}

/* The measurement id is the key; an API secret is nobody's name. */
static enum status ga4_read(struct dialect_call *c)
{
    struct slice rest = dialect_body(c), line;

    if (c->route->variant == VARIANT_PROTOCOL) {
        enum status st =
            add_form_key(c, c->beacon->query, SLICE("firebase_app_id"));
        return st == ST_OK
                   ? add_form_key(c, c->beacon->query, SLICE("measurement_id"))
                   : st;
    }
    enum status st = add_form_key(c, c->beacon->query, SLICE("tid"));
    while (st == ST_OK && form_line(&rest, &line))
        st = add_form_key(c, line, SLICE("tid"));
    return st;
}

/* ---- decoding ----------------------------------------------------------- */

static enum status take_tag_event(struct dialect_call *c, struct slice own,
                                  hit_sink *sink, void *ctx)
{
    struct hit *h = arena_alloc(c->arena, sizeof(*h));

    if (h == NULL)
        return ST_NOMEM;
    enum status st =
        ga4_tag_event_read(own, c->decoded.received, c->beacon, c->arena, h);
    return dialect_take(c, st, h, sink, ctx);
}

static enum status decode_tag(struct dialect_call *c, hit_sink *sink, void *ctx)
{
    struct slice rest = dialect_body(c), line;
    enum status st = ST_OK;

    if (rest.len == 0)
        return take_tag_event(c, SLICE_NONE, sink, ctx);
    while (st == ST_OK && form_line(&rest, &line))
        st = take_tag_event(c, line, sink, ctx);
    return st;
}

static enum status decode_protocol(struct dialect_call *c, hit_sink *sink,
                                   void *ctx)
{
    struct beacon *b = c->beacon;
    const struct json_node *root;

    enum status st = json_read(c->arena, b->body, b->body_len, &root, NULL);
    if (st != ST_OK)
        return st;
    const struct json_node *events = json_member(root, SLICE("events"));
    if (events == NULL || events->type != JSON_ARRAY)
        return ST_SYNTAX;
    if (events->count > DIALECT_EVENTS_MAX)
        return ST_LIMIT;
    for (const struct json_node *e = json_first(events);
         e != NULL && st == ST_OK; e = json_next(events, e)) {
        struct hit *h = arena_alloc(c->arena, sizeof(*h));
        if (h == NULL)
            return ST_NOMEM;
        st = ga4_protocol_event_read(root, e, b, c->arena, h);
        st = dialect_take(c, st, h, sink, ctx);
    }
    return st;
}

static enum status ga4_decode(struct dialect_call *c, hit_sink *sink, void *ctx)
{
    bool tag = c->route->variant == VARIANT_TAG;

    return dialect_end(c, tag ? decode_tag(c, sink, ctx)
                              : decode_protocol(c, sink, ctx));
}

/* Google's own answer: nothing. */
static void ga4_reply(struct dialect_call *c, struct reply *out)
{
    (void)c;
    *out = (struct reply){.status = 204};
}

static const struct dialect_route ga4_routes[] = {
    {SLICE_INIT("/g/collect"), METHOD_GET | METHOD_POST, VARIANT_TAG,
     &dialect_ga4},
    {SLICE_INIT("/mp/collect"), METHOD_POST, VARIANT_PROTOCOL, &dialect_ga4},
};

const struct dialect dialect_ga4 = {
    .name = "ga4",
    .source = SOURCE_GA4,
    .routes = ga4_routes,
    .route_count = sizeof(ga4_routes) / sizeof(ga4_routes[0]),
    .read = ga4_read,
    .decode = ga4_decode,
    .reply = ga4_reply,
};
