#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t conn_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void conn_want_read(struct conn *c, bool on)
{
    if (on == c->reading)
        return;
    if ((on ? event_add(&c->read_ev, NULL) : event_del(&c->read_ev)) == 0)
        c->reading = on;
}

static void conn_want_write(struct conn *c, bool on)
{
    if (on == c->writing)
        return;
    if ((on ? event_add(&c->write_ev, NULL) : event_del(&c->write_ev)) == 0)
        c->writing = on;
}

/* Call back in this turn or the next, as if there were something to read. */
void conn_resume_soon(struct conn *c)
{
    event_active(&c->read_ev, EV_TIMEOUT, 0);
}

static ssize_t io_result(struct conn *c, ssize_t n)
{
    if (n >= 0)
        return n;
    if (c->tls == NULL)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
                   ? CONN_IO_AGAIN
                   : CONN_IO_FAILED;
    if (n == TLS_WANT_WRITE)
        conn_want_write(c, true);
    return n == TLS_WANT_READ || n == TLS_WANT_WRITE ? CONN_IO_AGAIN
                                                     : CONN_IO_FAILED;
}

ssize_t conn_recv(struct conn *c, char *out, size_t len)
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
    server_leave_place(s);
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
    conn_want_read(c, true);
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

bool conn_is_backlogged(const struct conn *c)
{
    return c->out.len - c->out_sent >= HTTP_BACKLOG_MAX;
}

static void all_sent(struct conn *c)
{
    wire_drop(&c->out, c->out.len, NULL);
    c->out_sent = 0;
    c->out_deadline_ms = NEVER_MS;
    conn_want_write(c, false);
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
        if (n == CONN_IO_AGAIN) {
            conn_want_write(c, true);
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

static void shake_hands(struct conn *c)
{
    conn_want_write(c, false);
    ssize_t n = io_result(c, tls_handshake(c->tls));
    if (n == CONN_IO_AGAIN)
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    c->state = CONN_READING;
    c->deadline_ms = conn_now_ms() + c->server->limits.request_ms;
    conn_on_readable(c, true);
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
        conn_on_readable(c, (what & EV_READ) != 0);
        break;
    case CONN_WAITING:
        conn_look_while_waiting(c);
        break;
    case CONN_LINGER:
        throw_away(c);
        break;
    case CONN_CLOSING:
    case CONN_GONE:
        conn_want_read(c, false);
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
    if (c->state == CONN_READING && (conn_is_backlogged(c) || c->tls != NULL)) {
        /* parsing may have waited for room, decrypting for the socket */
        if (!c->eof)
            conn_want_read(c, true);
        conn_resume_soon(c);
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

void conn_open(struct http_server *s, int fd, const struct address *peer,
               bool over)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        server_leave_place(s);
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
    if (s->tls != NULL)
        c->tls = tls_session_new(s->tls, fd);
    conn_want_read(c, true);
    if (!c->reading || (s->tls != NULL && c->tls == NULL))
        conn_free(c);
    else if (over)
        conn_refuse(c, 503);
}
