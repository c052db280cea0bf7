#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IO_END        0
#define IO_AGAIN      -1
#define IO_FAILED     -2

#define WHOLE_AT_ONCE 65536u /* bytes that a length alone may take */

int64_t conn_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void want_read(struct conn *c, bool on)
{
    if (on == c->reading)
        return;
    if ((on ? event_add(&c->read_ev, NULL) : event_del(&c->read_ev)) == 0)
        c->reading = on;
}

static void want_write(struct conn *c, bool on)
{
    if (on == c->writing)
        return;
    if ((on ? event_add(&c->write_ev, NULL) : event_del(&c->write_ev)) == 0)
        c->writing = on;
}

/* Call back in this turn or the next, as if there were something to read. */
static void resume_soon(struct conn *c)
{
    event_active(&c->read_ev, EV_TIMEOUT, 0);
}

static ssize_t io_result(struct conn *c, ssize_t n)
{
    if (n >= 0)
        return n;
    if (c->tls == NULL)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
                   ? IO_AGAIN
                   : IO_FAILED;
    if (n == TLS_WANT_WRITE)
        want_write(c, true);
    return n == TLS_WANT_READ || n == TLS_WANT_WRITE ? IO_AGAIN : IO_FAILED;
}

static ssize_t io_recv(struct conn *c, char *out, size_t len)
{
    if (c->tls != NULL)
        return io_result(c, tls_read(c->tls, out, len));
    return io_result(c, recv(c->fd, out, len, 0));
}

static ssize_t io_send(struct conn *c, const char *bytes, size_t len)
{
    if (c->tls != NULL)
        return io_result(c, tls_write(c->tls, bytes, len));
    return io_result(c, send(c->fd, bytes, len, MSG_NOSIGNAL));
}

/* --- the dirty list ---------------------------------------------------- */

void conn_mark_dirty(struct conn *c)
{
    struct http_server *s = c->server;

    if (c->dirty)
        return;
    c->dirty = true; /* first answered, first sent */
    c->dirty_prev = s->dirty_last;
    c->dirty_next = NULL;
    if (s->dirty_last != NULL)
        s->dirty_last->dirty_next = c;
    else
        s->dirty = c;
    s->dirty_last = c;
    if (!s->flush_planned) {
        s->flush_planned = true;
        event_active(&s->flush_ev, EV_TIMEOUT, 0);
    }
}

void conn_unmark_dirty(struct conn *c)
{
    if (!c->dirty)
        return;
    if (c->dirty_prev != NULL)
        c->dirty_prev->dirty_next = c->dirty_next;
    else
        c->server->dirty = c->dirty_next;
    if (c->dirty_next != NULL)
        c->dirty_next->dirty_prev = c->dirty_prev;
    else
        c->server->dirty_last = c->dirty_prev;
    c->dirty = false;
}

/* --- the end ----------------------------------------------------------- */

static void let_go_of_socket(struct conn *c)
{
    if (c->fd < 0)
        return;
    conn_unmark_dirty(c);
    (void)event_del(&c->read_ev);
    (void)event_del(&c->write_ev);
    tls_session_free(c->tls);
    c->tls = NULL;
    (void)close(c->fd);
    c->fd = -1;
}

void conn_free(struct conn *c)
{
    struct http_server *s = c->server;

    let_go_of_socket(c);
    request_clear(c);
    wire_free(&c->in, &s->budget);
    wire_free(&c->out, NULL);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    s->count--;
    explicit_bzero(c, sizeof(*c));
    free(c);
}

void conn_close(struct conn *c)
{
    if (c->state != CONN_WAITING) {
        conn_free(c);
        return;
    }
    let_go_of_socket(c);
    c->state = CONN_GONE; /* the exchange is the handler's until its answer */
}

/* All was sent. A client that may still be sending would see a reset instead
 * of its answer if the socket were closed now. */
static void finish(struct conn *c)
{
    if (c->tls != NULL)
        tls_goodbye(c->tls);
    if (!c->linger || c->eof) {
        conn_free(c);
        return;
    }
    (void)shutdown(c->fd, SHUT_WR);
    c->state = CONN_LINGER;
    c->deadline_ms = conn_now_ms() + HTTP_LINGER_MS;
    want_read(c, true);
}

static void throw_away(struct conn *c)
{
    char waste[16384];
    ssize_t n = recv(c->fd, waste, sizeof(waste), 0);

    if (n > 0)
        explicit_bzero(waste, (size_t)n);
    if (n > 0 && (c->lingered += (size_t)n) < HTTP_LINGER_MAX)
        return;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    conn_free(c);
}

/* --- sending ----------------------------------------------------------- */

static bool is_backlogged(const struct conn *c)
{
    return c->out.len - c->out_sent >= HTTP_BACKLOG_MAX;
}

static void all_sent(struct conn *c)
{
    wire_drop(&c->out, c->out.len, NULL);
    c->out_sent = 0;
    c->out_deadline_ms = NEVER_MS;
    want_write(c, false);
    if (c->state == CONN_CLOSING)
        finish(c);
}

/* A client has request_ms for each run of bytes that HTTP_READ_RATE makes of
 * that time: one that reads nothing, or by the drop, is cut. */
static void watch_reader(struct conn *c)
{
    int64_t ms = c->server->limits.request_ms;

    if (c->out_deadline_ms != NEVER_MS &&
        (int64_t)(c->out_sent - c->out_mark) < ms * HTTP_READ_RATE)
        return;
    c->out_deadline_ms = conn_now_ms() + ms;
    c->out_mark = c->out_sent;
}

void conn_send(struct conn *c)
{
    conn_unmark_dirty(c);
    while (c->out_sent < c->out.len) {
        ssize_t n =
            io_send(c, c->out.data + c->out_sent, c->out.len - c->out_sent);
        if (n == IO_AGAIN) {
            want_write(c, true);
            watch_reader(c);
            return;
        }
        if (n <= 0) {
            conn_close(c);
            return;
        }
        c->out_sent += (size_t)n;
    }
    all_sent(c);
}

/* --- requests ---------------------------------------------------------- */

static void start_closing(struct conn *c)
{
    c->state = CONN_CLOSING;
    c->deadline_ms = NEVER_MS;
    want_read(c, false);
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
        want_read(c, true);
    if (!c->advancing && (c->in.len > 0 || c->eof || c->tls != NULL))
        resume_soon(c);
}

void conn_refuse(struct conn *c, int status)
{
    struct http_answer a;

    if (c->server->handlers.on_refused != NULL)
        c->server->handlers.on_refused(c->server->handlers.ctx, status);
    http_error_answer(status, &a);
    request_clear(c);
    wire_drop(&c->in, c->in.len, &c->server->budget);
    c->linger = answer_write(c, &a, true);
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
        if (c->state != CONN_READING || c->in.len == 0 || is_backlogged(c))
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
    if (c->state != CONN_READING || is_backlogged(c))
        return;
    if (c->stalled)
        resume_soon(c);
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
    ssize_t n = io_recv(c, c->in.data + c->in.len, c->in.size - c->in.len);
    if (n > 0) {
        c->in.len += (size_t)n;
        return FILL_SOME;
    }
    if (n == IO_FAILED) {
        conn_close(c);
        return FILL_OVER;
    }
    if (n == IO_END) {
        c->eof = true;
        want_read(c, false);
    }
    return FILL_NONE;
}

/* A handler has the exchange: take nothing, but notice that the client left.
 * A client that has only stopped sending still gets its answer. */
static void look_while_waiting(struct conn *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    want_read(c, false); /* level-triggered: it would fire again and again */
    if (n < 0)
        conn_close(c);
    else if (n == 0)
        c->eof = true;
}

/* Unread bytes stay in the socket while parsed ones wait for their turn. */
static bool may_read(const struct conn *c, bool fresh)
{
    return (fresh || c->tls != NULL) && c->state == CONN_READING && !c->eof &&
           !c->stalled && !is_backlogged(c);
}

static void on_readable(struct conn *c, bool fresh)
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
    if (c->state == CONN_READING && is_backlogged(c))
        want_read(c, false);
}

static void shake_hands(struct conn *c)
{
    want_write(c, false);
    ssize_t n = io_result(c, tls_handshake(c->tls));
    if (n == IO_AGAIN)
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    c->state = CONN_READING;
    c->deadline_ms = conn_now_ms() + c->server->limits.request_ms;
    on_readable(c, true);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    switch (c->state) {
    case CONN_HANDSHAKE:
        shake_hands(c);
        break;
    case CONN_READING:
        on_readable(c, (what & EV_READ) != 0);
        break;
    case CONN_WAITING:
        look_while_waiting(c);
        break;
    case CONN_LINGER:
        throw_away(c);
        break;
    case CONN_CLOSING:
    case CONN_GONE:
        want_read(c, false);
        break;
    }
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    (void)what;
    if (c->state == CONN_HANDSHAKE) {
        shake_hands(c);
        return;
    }
    if (c->state == CONN_READING && (is_backlogged(c) || c->tls != NULL)) {
        /* parsing may have waited for room, decrypting for the socket */
        if (!c->eof)
            want_read(c, true);
        resume_soon(c);
    }
    conn_send(c);
}

void conn_check_time(struct conn *c, int64_t now)
{
    if (now >= c->out_deadline_ms) {
        conn_close(c);
        return;
    }
    bool idle = c->state == CONN_READING && !c->begun && c->out.len == 0;
    if (now < c->deadline_ms && !(idle && c->server->draining))
        return;
    if (c->state == CONN_READING && c->begun)
        conn_refuse(c, 408);
    else if (c->state != CONN_WAITING && c->state != CONN_GONE)
        conn_close(c);
}

void conn_open(struct http_server *s, int fd, const struct address *peer)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        (void)close(fd);
        return;
    }
    c->server = s;
    c->fd = fd;
    c->peer = *peer;
    c->proxied = address_is_proxy(s->listen, peer);
    c->state = s->tls != NULL ? CONN_HANDSHAKE : CONN_READING;
    c->deadline_ms = conn_now_ms() + s->limits.request_ms;
    c->out_deadline_ms = NEVER_MS;
    http_parser_init(&c->parser, s->limits.body);
    (void)event_assign(&c->read_ev, s->base, fd, EV_READ | EV_PERSIST, on_read,
                       c);
    (void)event_assign(&c->write_ev, s->base, fd, EV_WRITE | EV_PERSIST,
                       on_write, c);
    c->next = s->conns;
    if (s->conns != NULL)
        s->conns->prev = c;
    s->conns = c;
    s->count++;
    if (s->tls != NULL)
        c->tls = tls_session_new(s->tls, fd);
    want_read(c, true);
    if (!c->reading || (s->tls != NULL && c->tls == NULL))
        conn_free(c);
    else if (s->count > s->limits.connections)
        conn_refuse(c, 503);
}
