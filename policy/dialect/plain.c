/* The plain dialect: POST /v1/events with one event, an array of events, or
 * JSON Lines (design.md section 5). */
#include "family.h"

#include "lethe/audit_codes.h"

#include <stdio.h>
#include <string.h>

#define KEY_MAX   256u /* bytes of a write key */
#define REPLY_MAX 512u /* bytes of the longest answer, 20 positions in it */

/* ---- the write key ------------------------------------------------------ */

static struct slice header(const struct beacon *b, struct slice name)
{
    for (unsigned i = 0; i < b->header_count; i++)
        if (slice_eq_fold(b->headers[i].name, name))
            return slice_trim(b->headers[i].value);
    return SLICE_NONE;
}

static struct slice bearer(const struct beacon *b)
{
    struct slice value = header(b, SLICE("Authorization"));

    if (value.len > 7 && slice_eq_fold(slice_head(value, 7), SLICE("Bearer ")))
        return slice_trim(slice_skip(value, 7));
    return SLICE_NONE;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX and '+' undone. What does not decode stays as it is: it will name no
 * site. */
static struct slice decode_query(struct slice raw, struct arena *a)
{
    if (raw.len > KEY_MAX)
        return raw;
    char *text = arena_alloc(a, raw.len);
    size_t len = 0;
    if (text == NULL)
        return raw;
    for (size_t i = 0; i < raw.len; i++) {
        int high = i + 2 < raw.len ? hex_value(raw.at[i + 1]) : -1;
        int low = i + 2 < raw.len ? hex_value(raw.at[i + 2]) : -1;
        if (raw.at[i] == '%' && high >= 0 && low >= 0) {
            text[len++] = (char)(high * 16 + low);
            i += 2;
        } else {
            text[len++] = raw.at[i] == '+' ? ' ' : raw.at[i];
        }
    }
    return (struct slice){text, len};
}

static struct slice query_key(const struct beacon *b, struct arena *a)
{
    struct slice rest = b->query;

    while (rest.len > 0) {
        struct slice part = slice_head(rest, slice_find(rest, '&'));
        if (slice_starts(part, SLICE("key=")))
            return decode_query(slice_skip(part, 4), a);
        rest = slice_skip(rest, part.len + 1);
    }
    return SLICE_NONE;
}

static struct slice plain_key(const struct beacon *b, struct arena *a)
{
    const struct slice places[] = {bearer(b), header(b, SLICE("X-Write-Key")),
                                   query_key(b, a)};
    struct slice key = SLICE_NONE;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (places[i].len == 0)
            continue;
        /* Two keys that differ cannot lead to one site: a key that nobody
         * can configure makes sure of that. */
        if (key.len > 0 && !slice_eq(key, places[i]))
            return SLICE("\n");
        key = places[i];
    }
    return key;
}

/* ---- decoding ----------------------------------------------------------- */

struct decoding {
    struct beacon *beacon;
    struct arena *arena;
    hit_sink *sink;
    void *ctx;
    struct decoded *out;
};

/* Count an event that was not understood. */
static void bad(struct decoding *d)
{
    if (d->out->bad_count < DIALECT_BAD_MAX)
        d->out->bad[d->out->bad_count++] = d->out->received;
    d->out->received++;
}

/* `event` NULL: it could not even be read. */
static enum status take(struct decoding *d, const struct json_node *event)
{
    if (d->out->received == DIALECT_EVENTS_MAX)
        return ST_LIMIT;
    struct hit *h = arena_alloc(d->arena, sizeof(*h));
    if (h == NULL)
        return ST_NOMEM;
    enum status st = event == NULL
                         ? ST_TYPE
                         : plain_event_read(event, d->beacon, d->arena, h);
    if (st == ST_TYPE) {
        bad(d);
        return ST_OK;
    }
    if (st == ST_OK)
        st = d->sink(d->ctx, h);
    if (st == ST_OK) {
        d->out->received++;
        d->out->understood++;
    }
    return st;
}

/* One document: an event, or an array of them. */
static enum status decode_document(struct decoding *d)
{
    const struct json_node *root;

    enum status st =
        json_read(d->arena, d->beacon->body, d->beacon->body_len, &root, NULL);
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
    enum status st = json_read(d->arena, line, len, &event, NULL);
    if (st == ST_NOMEM)
        return st;
    return take(d, st == ST_OK ? event : NULL);
}

static enum status decode_lines(struct decoding *d)
{
    char *at = d->beacon->body, *end = at + d->beacon->body_len;
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

static enum status plain_decode(struct beacon *b, struct arena *a,
                                hit_sink *sink, void *ctx, struct decoded *out)
{
    struct decoding d = {b, a, sink, ctx, out};
    struct slice body = slice_trim((struct slice){b->body, b->body_len});
    enum status st;

    if (body.len == 0)
        return ST_SYNTAX;
    if (body.at[0] != '[' &&
        (says_lines(b->content_type) || looks_like_lines(body)))
        st = decode_lines(&d);
    else
        st = decode_document(&d);
    if (st == ST_OK && out->received > 0 && out->understood == 0)
        return ST_SYNTAX;
    return st;
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

static void plain_reply(const struct decoded *what, struct arena *a,
                        struct reply *out)
{
    char *text = arena_alloc(a, REPLY_MAX);
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

const struct dialect dialect_plain = {
    .name = "plain",
    .source = SOURCE_PLAIN,
    .method = SLICE_INIT("POST"),
    .path = SLICE_INIT("/v1/events"),
    .key = plain_key,
    .decode = plain_decode,
    .reply = plain_reply,
};
