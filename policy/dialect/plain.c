/* The plain dialect: POST /v1/events with one event, an array of events, or
 * JSON Lines (design.md section 5). */
#include "family.h"

#include "lethe/audit_codes.h"

#include <stdio.h>
#include <string.h>

#define REPLY_MAX 512u /* bytes of the longest answer, 20 positions in it */

/* ---- the write key ------------------------------------------------------ */

static enum status plain_read(struct dialect_call *c)
{
    enum status st =
        dialect_add_header_keys(c, SLICE("Authorization"), SLICE("Bearer "));

    return st == ST_OK ? dialect_read_common_keys(c) : st;
}

/* ---- decoding ----------------------------------------------------------- */

struct decoding {
    struct dialect_call *call;
    hit_sink *sink;
    void *ctx;
};

/* Query keys beside the write key: dropped, and counted with the request's
 * first event (R9). */
static unsigned unknown_query_keys(struct slice query)
{
    unsigned n = 0;

    while (query.len > 0) {
        struct slice part = slice_head(query, slice_find(query, '&'));
        n += part.len > 0 && !slice_starts(part, SLICE("key="));
        query = slice_skip(query, part.len + 1);
    }
    return n;
}

/* `event` NULL: it could not even be read. */
static enum status take(struct decoding *d, const struct json_node *event)
{
    struct dialect_call *c = d->call;
    struct hit *h = arena_alloc(c->arena, sizeof(*h));

    if (h == NULL)
        return ST_NOMEM;
    enum status st = event == NULL
                         ? ST_TYPE
                         : plain_event_read(event, c->beacon, c->arena, h);
    if (st == ST_OK && c->decoded.understood == 0)
        h->unknown_keys += unknown_query_keys(c->beacon->query);
    return dialect_take(c, st, h, d->sink, d->ctx);
}

/* One document: an event, or an array of them. */
static enum status decode_document(struct decoding *d)
{
    struct beacon *b = d->call->beacon;
    const struct json_node *root;

    enum status st =
        json_read(d->call->arena, b->body, b->body_len, &root, NULL);
    if (st != ST_OK)
        return st;
    if (root->type != JSON_ARRAY)
        return take(d, root);
    if (root->count > DIALECT_EVENTS_MAX)
        return ST_LIMIT;
    for (const struct json_node *n = json_first(root); n != NULL && st == ST_OK;
         n = json_next(root, n))
        st = take(d, n);
    return st;
}

static enum status decode_line(struct decoding *d, char *line, size_t len)
{
    const struct json_node *event = NULL;

    if (slice_trim((struct slice){line, len}).len == 0)
        return ST_OK;
    enum status st = json_read(d->call->arena, line, len, &event, NULL);
    if (st == ST_NOMEM)
        return st;
    return take(d, st == ST_OK ? event : NULL);
}

static enum status decode_lines(struct decoding *d)
{
    char *at = d->call->beacon->body, *end = at + d->call->beacon->body_len;
    enum status st = ST_OK;

    while (at < end && st == ST_OK) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        st = decode_line(d, at, (size_t)(stop - at));
        at = stop < end ? stop + 1 : end;
    }
    return st;
}

static bool says_lines(struct slice content_type)
{
    static const struct slice types[] = {
        SLICE_INIT("application/x-ndjson"),
        SLICE_INIT("application/ndjson"),
        SLICE_INIT("application/jsonl"),
        SLICE_INIT("application/x-jsonlines"),
        SLICE_INIT("application/jsonlines"),
    };
    struct slice type =
        slice_trim(slice_head(content_type, slice_find(content_type, ';')));

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (slice_eq_fold(type, types[i]))
            return true;
    return false;
}

/* An object that ends on its line and another one behind it: never within
 * one document, where a comma would stand between them. */
static bool looks_like_lines(struct slice body)
{
    size_t newline = slice_find(body, '\n');
    struct slice first = slice_trim(slice_head(body, newline));
    struct slice rest = slice_trim(slice_skip(body, newline));

    return first.len > 0 && first.at[first.len - 1] == '}' && rest.len > 0 &&
           rest.at[0] == '{';
}

static enum status plain_decode(struct dialect_call *c, hit_sink *sink,
                                void *ctx)
{
    const struct beacon *b = c->beacon;
    struct decoding d = {c, sink, ctx};
    struct slice body = slice_trim((struct slice){b->body, b->body_len});

    if (body.len == 0)
        return ST_SYNTAX;
    if (body.at[0] != '[' &&
        (says_lines(b->content_type) || looks_like_lines(body)))
        return dialect_end(c, decode_lines(&d));
    return dialect_end(c, decode_document(&d));
}

/* ---- the answer --------------------------------------------------------- */

/* Appends like snprintf(); `text` has REPLY_MAX bytes, enough for any. */
static int put_positions(char *text, int len, const struct decoded *what)
{
    for (unsigned i = 0; i < what->bad_count; i++)
        len += snprintf(text + len, REPLY_MAX - (size_t)len, "%s%u",
                        i > 0 ? "," : "", what->bad[i]);
    return len + snprintf(text + len, REPLY_MAX - (size_t)len, "]}");
}

static void plain_reply(struct dialect_call *c, struct reply *out)
{
    const struct decoded *what = &c->decoded;
    char *text = arena_alloc(c->arena, REPLY_MAX);
    int len;

    out->content_type = SLICE("application/json");
    if (text == NULL) {
        out->status = 503;
        out->body = SLICE("{\"error\":\"overload\","
                          "\"message\":\"Try again later.\"}");
        return;
    }
    if (what->understood == what->received) {
        len = snprintf(text, REPLY_MAX, "{\"status\":\"ok\",\"received\":%u}",
                       what->received);
    } else {
        len = snprintf(text, REPLY_MAX,
                       "{\"status\":\"partial\",\"received\":%u,"
                       "\"understood\":%u,\"bad\":[",
                       what->received, what->understood);
        len = put_positions(text, len, what);
    }
    out->status = 200;
    out->body = (struct slice){text, (size_t)len};
}

static const struct dialect_route plain_routes[] = {
    {SLICE_INIT("/v1/events"), METHOD_POST, 0, &dialect_plain},
};

const struct dialect dialect_plain = {
    .name = "plain",
    .source = SOURCE_PLAIN,
    .routes = plain_routes,
    .route_count = sizeof(plain_routes) / sizeof(plain_routes[0]),
    .read = plain_read,
    .decode = plain_decode,
    .reply = plain_reply,
};
