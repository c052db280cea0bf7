#include "conn.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HEAD_ROOM 256u /* status line and the fixed headers */

struct reason {
    int status;
    struct slice phrase;
    struct slice body; /* of an error */
};

#define ERROR(name, text)                                                      \
    SLICE_INIT("{\"error\":\"" name "\",\"message\":\"" text "\"}")

static const struct reason reasons[] = {
    {200, SLICE_INIT("OK"), {NULL, 0}},
    {201, SLICE_INIT("Created"), {NULL, 0}},
    {202, SLICE_INIT("Accepted"), {NULL, 0}},
    {204, SLICE_INIT("No Content"), {NULL, 0}},
    {206, SLICE_INIT("Partial Content"), {NULL, 0}},
    {303, SLICE_INIT("See Other"), {NULL, 0}},
    {304, SLICE_INIT("Not Modified"), {NULL, 0}},
    {400, SLICE_INIT("Bad Request"),
     ERROR("bad_request", "The request cannot be understood.")},
    {401, SLICE_INIT("Unauthorized"),
     ERROR("unauthorized", "A valid token is needed.")},
    {403, SLICE_INIT("Forbidden"), ERROR("forbidden", "This is not allowed.")},
    {404, SLICE_INIT("Not Found"),
     ERROR("not_found", "There is no such thing.")},
    {405, SLICE_INIT("Method Not Allowed"),
     ERROR("method_not_allowed", "This path has no such method.")},
    {408, SLICE_INIT("Request Timeout"),
     ERROR("timeout", "The request took too long to arrive.")},
    {409, SLICE_INIT("Conflict"),
     ERROR("conflict", "The present state does not allow this.")},
    {410, SLICE_INIT("Gone"), ERROR("gone", "This was deleted.")},
    {411, SLICE_INIT("Length Required"),
     ERROR("length_required", "A length is needed.")},
    {413, SLICE_INIT("Content Too Large"),
     ERROR("too_large", "The body is too large.")},
    {414, SLICE_INIT("URI Too Long"),
     ERROR("target_too_long", "The address is too long.")},
    {415, SLICE_INIT("Unsupported Media Type"),
     ERROR("unsupported_type", "The body has a form that is not read here.")},
    {417, SLICE_INIT("Expectation Failed"),
     ERROR("expectation_failed", "The expectation cannot be met.")},
    {421, SLICE_INIT("Misdirected Request"),
     ERROR("misdirected", "This host is not served here.")},
    {422, SLICE_INIT("Unprocessable Content"),
     ERROR("unprocessable", "The content cannot be used.")},
    {429, SLICE_INIT("Too Many Requests"),
     ERROR("too_many_requests", "Too many requests. Try again later.")},
    {431, SLICE_INIT("Request Header Fields Too Large"),
     ERROR("headers_too_large", "The headers are too large.")},
    {500, SLICE_INIT("Internal Server Error"),
     ERROR("internal", "Something failed here.")},
    {501, SLICE_INIT("Not Implemented"),
     ERROR("not_implemented", "This transfer coding is not read here.")},
    {503, SLICE_INIT("Service Unavailable"),
     ERROR("unavailable", "Not possible at present. Try again later.")},
    {505, SLICE_INIT("HTTP Version Not Supported"),
     ERROR("version", "Only HTTP/1.0 and HTTP/1.1 are spoken here.")},
};

static const struct reason *find_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return &reasons[i];
    return NULL;
}

void http_error_answer(int status, struct http_answer *out)
{
    const struct reason *r = find_reason(status);

    if (r == NULL || r->body.len == 0)
        r = find_reason(500);
    *out = (struct http_answer){.status = r->status,
                                .content_type = SLICE("application/json"),
                                .body = r->body};
    if (status == 503 || status == 429)
        out->headers[out->header_count++] = (struct beacon_header){
            SLICE("Retry-After"), status == 503 ? SLICE("5") : SLICE("30")};
}

/* No header may end its line early: that would split the answer. */
static bool is_clean(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t') ||
            s.at[i] == 0x7f)
            return false;
    return true;
}

static size_t room_needed(const struct http_answer *a)
{
    size_t room = HEAD_ROOM + a->content_type.len + a->body.len;

    for (unsigned i = 0; i < a->header_count; i++)
        room += a->headers[i].name.len + a->headers[i].value.len + 4;
    return room;
}

static void put_header(struct wire *out, struct slice name, struct slice value)
{
    if (name.len == 0 || !is_clean(name) || !is_clean(value))
        return;
    wire_put(out, name);
    wire_put(out, SLICE(": "));
    wire_put(out, value);
    wire_put(out, SLICE("\r\n"));
}

static void put_status(struct wire *out, int status)
{
    const struct reason *r = find_reason(status);
    char code[16];
    int len = snprintf(code, sizeof(code), "%03d ", status);

    wire_put(out, SLICE("HTTP/1.1 "));
    wire_put(out, (struct slice){code, (size_t)len});
    wire_put(out, r != NULL ? r->phrase : SLICE("-"));
    wire_put(out, SLICE("\r\n"));
}

/* 204 and 304 have no body and say no length. */
static bool has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void put_length(struct wire *out, size_t len)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%zu", len);

    put_header(out, SLICE("Content-Length"), (struct slice){text, (size_t)n});
}

static void put_headers(struct wire *out, const struct http_answer *a)
{
    bool cache = false;

    for (unsigned i = 0; i < a->header_count; i++)
        cache =
            cache || slice_eq_fold(a->headers[i].name, SLICE("Cache-Control"));
    if (!cache)
        put_header(out, SLICE("Cache-Control"), SLICE("no-store"));
    for (unsigned i = 0; i < a->header_count; i++)
        put_header(out, a->headers[i].name, a->headers[i].value);
}

/* Always the same order; no Server, no Date: they tell only about us. */
bool answer_write(struct conn *c, const struct http_answer *a, bool close)
{
    struct wire *out = &c->out;
    bool body = has_body(a->status);
    size_t need = out->len + room_needed(a);

    if (need > out->size && need < 2 * out->size)
        need = 2 * out->size;
    if (wire_reserve(out, need, NULL) != ST_OK)
        return false;
    put_status(out, a->status);
    if (body && a->content_type.len > 0)
        put_header(out, SLICE("Content-Type"), a->content_type);
    if (body)
        put_length(out, a->body.len);
    put_headers(out, a);
    if (close)
        put_header(out, SLICE("Connection"), SLICE("close"));
    else if (c->parser.minor == 0)
        put_header(out, SLICE("Connection"), SLICE("keep-alive"));
    wire_put(out, SLICE("\r\n"));
    if (body && !c->head_only)
        wire_put(out, a->body);
    return true;
}

void http_answer(struct http_exchange *x, const struct http_answer *answer)
{
    struct conn *c = (struct conn *)x;

    assert(c->state == CONN_WAITING || c->state == CONN_GONE);

    if (c->state == CONN_GONE) {
        conn_free(c);
        return;
    }
    bool close = answer->close || !c->keep_alive || c->server->draining ||
                 c->requests >= HTTP_REQUESTS_MAX;
    if (!answer_write(c, answer, close)) {
        close = true; /* without an answer: the client will try again */
        c->linger = false;
    }
    conn_end_request(c, close);
}
