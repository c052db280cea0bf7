#include "conn.h"

#include <errno.h>
#include <sys/socket.h>

#define WHOLE_AT_ONCE 65536u /* bytes that a length alone may take */

static void start_closing(struct conn *c)
{
    c->state = CONN_CLOSING;
    c->deadline_ms = NEVER_MS;
    conn_want_read(c, false);
    conn_mark_dirty(c);
}

void conn_end_request(struct conn *c, bool close)
{
    request_clear(c);
    wire_drop(&c->in, c->parser.end, &c->server->budget);
    http_parser_init(&c->parser, c->server->limits.body);
    c->begun = false;
    c->continued = false;
    c->head_only = false;
    c->state = CONN_READING;
    c->deadline_ms = conn_now_ms() + c->server->limits.idle_ms;
    conn_mark_dirty(c);
    if (close) {
        c->linger = c->linger || c->in.len > 0;
        wire_drop(&c->in, c->in.len, &c->server->budget);
        start_closing(c);
        return;
    }
    if (!c->eof)
        conn_want_read(c, true);
    if (!c->advancing && (c->in.len > 0 || c->eof || c->tls != NULL))
        conn_resume_soon(c);
}

void conn_refuse(struct conn *c, int status)
{
    const struct http_handlers *h = &c->server->handlers;
    struct http_answer a;

    http_error_answer(status, &a);
    if (c->parser.head_done && c->x.arena == NULL)
        request_take_head(c);
    if (h->on_refused != NULL)
        h->on_refused(h->ctx, status,
                      c->parser.head_done ? &c->x.request : NULL, &a);
    c->linger = answer_write(c, &a, true);
    request_clear(c);
    wire_drop(&c->in, c->in.len, &c->server->budget);
    start_closing(c);
}

/* The request is not all there. */
static void await_more(struct conn *c)
{
    if (!c->begun) {
        c->begun = true;
        c->deadline_ms = conn_now_ms() + c->server->limits.request_ms;
    }
    if (c->parser.head_done && c->parser.expect_continue && !c->continued &&
        c->in.len == c->parser.body_at) {
        c->continued = true;
        struct slice go = SLICE("HTTP/1.1 100 Continue\r\n\r\n");
        if (wire_reserve(&c->out, c->out.len + go.len, NULL) != ST_OK)
            return;
        wire_put(&c->out, go);
        conn_mark_dirty(c);
    }
}

/* Parse and hand over what is there, request by request. */
static void advance(struct conn *c)
{
    bool more = false;
    int status = 0;

    c->advancing = true;
    for (unsigned i = 0; i < HTTP_PIPELINE_MAX && !more; i++) {
        if (c->state != CONN_READING || c->in.len == 0 || conn_is_backlogged(c))
            break;
        switch (http_parser_feed(&c->parser, c->in.data, c->in.len)) {
        case HTTP_MORE:
            await_more(c);
            more = true;
            break;
        case HTTP_REFUSED:
            conn_refuse(c, c->parser.refused);
            break;
        case HTTP_COMPLETE:
            status = request_dispatch(c);
            if (status != 0)
                conn_refuse(c, status);
            break;
        }
    }
    c->advancing = false;
    c->stalled = !more && c->in.len > 0;
    if (c->state != CONN_READING || conn_is_backlogged(c))
        return;
    if (c->stalled)
        conn_resume_soon(c);
    else if (c->eof)
        start_closing(c);
}

/* How large the input buffer should be now. With a known length it is grown
 * towards that in few steps, but never far beyond what has really come: a
 * length alone costs a client nothing. */
static size_t size_wanted(const struct conn *c)
{
    size_t whole = http_parser_whole(&c->parser);
    size_t size = c->in.size > 0 ? c->in.size * 4 : WIRE_FIRST;

    if (c->in.len < c->in.size)
        return c->in.size;
    if (whole > c->in.len && (whole < size || whole <= WHOLE_AT_ONCE))
        size = whole;
    return size < c->server->body_cap ? size : c->server->body_cap;
}

enum fill { FILL_SOME, FILL_NONE, FILL_OVER /* `c` may be freed */ };

/* One read into the buffer. */
static enum fill fill(struct conn *c)
{
    enum status st = wire_reserve(&c->in, size_wanted(c), &c->server->budget);

    if (st != ST_OK || c->in.len == c->in.size) {
        conn_refuse(c, st == ST_OK ? 413 : 503);
        return FILL_OVER;
    }
    ssize_t n = conn_recv(c, c->in.data + c->in.len, c->in.size - c->in.len);
    if (n > 0) {
        c->in.len += (size_t)n;
        return FILL_SOME;
    }
    if (n == CONN_IO_FAILED) {
        conn_close(c);
        return FILL_OVER;
    }
    if (n == CONN_IO_END) {
        c->eof = true;
        conn_want_read(c, false);
    }
    return FILL_NONE;
}

/* A handler has the exchange: take nothing, but notice that the client left.
 * A client that has only stopped sending still gets its answer. */
void conn_look_while_waiting(struct conn *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* Level-triggered: it would fire again and again. */
    conn_want_read(c, false);
    if (n < 0)
        conn_close(c);
    else if (n == 0)
        c->eof = true;
}

/* Unread bytes stay in the socket while parsed ones wait for their turn. */
static bool may_read(const struct conn *c, bool fresh)
{
    return (fresh || c->tls != NULL) && c->state == CONN_READING && !c->eof &&
           !c->stalled && !conn_is_backlogged(c);
}

void conn_on_readable(struct conn *c, bool fresh)
{
    enum fill got;

    do {
        got = may_read(c, fresh) ? fill(c) : FILL_NONE;
        if (got == FILL_OVER)
            return;
        advance(c);
        /* Plain sockets give others their turn, epoll tells again; what TLS
         * has decrypted already nobody would tell of. */
    } while (got == FILL_SOME && c->tls != NULL);
    if (c->state == CONN_READING && conn_is_backlogged(c))
        conn_want_read(c, false);
}
