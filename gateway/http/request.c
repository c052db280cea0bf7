#include "conn.h"

#include "lethe/gateway/http/inflate.h"

#include <string.h>

#define ARENA_FREE 65536u /* bytes of an arena that are free of charge */

struct slice http_header(const struct http_request *r, struct slice name)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (slice_eq_fold(r->headers[i].name, name))
            return r->headers[i].value;
    return SLICE_NONE;
}

/* Our own proxy says how the client came to it; the last word is its. */
static bool came_secure(const struct conn *c)
{
    struct slice last = SLICE_NONE;

    if (c->tls != NULL)
        return true;
    for (unsigned i = 0; c->proxied && i < c->x.request.header_count; i++)
        if (slice_eq_fold(c->x.request.headers[i].name,
                          SLICE("X-Forwarded-Proto")))
            last = c->x.request.headers[i].value;
    return slice_eq_fold(last, SLICE("https"));
}

void request_take_head(struct conn *c)
{
    struct http_request *r = &c->x.request;
    const struct http_parser *p = &c->parser;
    const char *data = c->in.data;

    r->method = http_span_of(data, p->method);
    r->target = http_span_of(data, p->target);
    r->path = p->path.len > 0 ? http_span_of(data, p->path) : SLICE("/");
    r->query = p->has_query ? http_span_of(data, p->query) : SLICE_NONE;
    r->host = p->host.len > 0 ? http_span_of(data, p->host) : SLICE_NONE;
    r->authority =
        p->host.len > 0 ? http_span_of(data, p->authority) : SLICE_NONE;
    r->header_count = p->header_count;
    for (unsigned i = 0; i < p->header_count; i++)
        r->headers[i] =
            (struct beacon_header){http_span_of(data, p->headers[i].name),
                                   http_span_of(data, p->headers[i].value)};
    r->body = NULL;
    r->body_len = 0;
    c->head_only = slice_eq(r->method, SLICE("HEAD"));
}

static int decode_path(struct http_exchange *x)
{
    struct http_request *r = &x->request;
    size_t len;

    if (slice_find(r->path, '%') == r->path.len)
        return 0;
    char *path = arena_alloc(x->arena, r->path.len);
    if (path == NULL)
        return 503;
    if (http_decode_path(r->path, path, &len) != ST_OK)
        return 400;
    r->path = (struct slice){path, len};
    return 0;
}

/* What Content-Encoding asks for: 0 nothing, 1 gzip, -1 not read here. */
static int coding_of(const struct http_request *r)
{
    int coding = 0;

    for (unsigned i = 0; i < r->header_count; i++) {
        struct slice value = r->headers[i].value;
        if (!slice_eq_fold(r->headers[i].name, SLICE("Content-Encoding")) ||
            value.len == 0 || slice_eq_fold(value, SLICE("identity")))
            continue;
        if (coding != 0 || !(slice_eq_fold(value, SLICE("gzip")) ||
                             slice_eq_fold(value, SLICE("x-gzip"))))
            return -1;
        coding = 1;
    }
    return coding;
}

static int inflate_body(struct conn *c)
{
    struct http_request *r = &c->x.request;
    struct wire_budget *budget = &c->server->budget;
    struct slice body = {r->body, r->body_len};
    int coding = coding_of(r);
    size_t left = budget->max - budget->held;
    size_t cap = (size_t)c->server->limits.inflated;

    if (coding < 0)
        return 415;
    if (body.len == 0 || (coding == 0 && !body_is_gzip(body)))
        return 0;
    enum status st = inflate_gzip(body, cap < left ? cap : left, &c->inflated,
                                  &c->inflated_len);
    if (st == ST_LIMIT)
        return cap <= left ? 413 : 503;
    if (st != ST_OK)
        return st == ST_SYNTAX ? 400 : 503;
    budget->held += c->inflated_len;
    r->body = c->inflated;
    r->body_len = c->inflated_len;
    return 0;
}

/* A body of some KiB may have become many MiB of values, which stay until the
 * answer: they count as bodies do. It is too late to refuse this request, so
 * the next ones are. */
static void charge_arena(struct conn *c)
{
    struct wire_budget *budget = &c->server->budget;
    size_t used = arena_used(c->x.arena), left = budget->max - budget->held;

    if (used <= ARENA_FREE)
        return;
    c->arena_held = used < left ? used : left;
    budget->held += c->arena_held;
}

int request_dispatch(struct conn *c)
{
    struct http_server *s = c->server;
    struct http_exchange *x = &c->x;

    x->arena = server_take_arena(s);
    if (x->arena == NULL)
        return 503;
    request_take_head(c);
    x->request.body = c->in.data + c->parser.body_at;
    x->request.body_len = c->parser.body_len;
    c->keep_alive = c->parser.keep_alive;
    int status = decode_path(x);
    if (status == 0)
        status = inflate_body(c);
    if (status != 0)
        return status;
    struct address client = address_client(
        s->listen, &c->peer, x->request.headers, x->request.header_count);
    address_format(&client, x->request.address);
    x->request.secure = came_secure(c);
    x->user = NULL;
    x->next = NULL;
    c->requests++;
    c->state = CONN_WAITING;
    c->deadline_ms = NEVER_MS;
    s->handlers.on_request(s->handlers.ctx, x);
    if (c->state == CONN_WAITING)
        charge_arena(c);
    return 0;
}

void request_clear(struct conn *c)
{
    if (c->inflated != NULL) {
        c->server->budget.held -= c->inflated_len;
        inflate_free(c->inflated, c->inflated_len);
        c->inflated = NULL;
        c->inflated_len = 0;
    }
    c->server->budget.held -= c->arena_held;
    c->arena_held = 0;
    if (c->x.arena != NULL)
        server_give_arena(c->server, c->x.arena);
    c->x.arena = NULL;
    explicit_bzero(c->x.request.address, sizeof(c->x.request.address));
    c->x.request.header_count = 0;
}
