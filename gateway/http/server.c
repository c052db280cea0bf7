#include "conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct arena *server_take_arena(struct http_server *s)
{
    if (s->arena_count == 0)
        return arena_new(HTTP_ARENA_MAX);
    struct arena *a = s->arenas[--s->arena_count];
    s->large_arenas -= arena_is_large(a);
    return a;
}

/* Large ones are rare and few are kept, so that a thousand connections that
 * once sent a batch do not hold its memory for ever. */
void server_give_arena(struct http_server *s, struct arena *a)
{
    if (s->arena_count == ARENAS_KEPT_MAX) {
        arena_free(a);
        return;
    }
    if (s->large_arenas < LARGE_ARENAS_KEPT)
        arena_reset(a);
    else
        arena_trim(a);
    s->large_arenas += arena_is_large(a);
    s->arenas[s->arena_count++] = a;
}

/* --- accepting --------------------------------------------------------- */

/* How many there are with this one. The place is taken first and judged then,
 * so that two workers never both take the last one. */
static unsigned take_place(struct http_server *s)
{
    unsigned open = atomic_fetch_add(s->open, 1) + 1;

    if (s->open != &s->count)
        s->count++;
    return open;
}

void server_leave_place(struct http_server *s)
{
    if (s->open != &s->count)
        s->count--;
    atomic_fetch_sub(s->open, 1);
}

/* Over the limit: an answer while that is cheap, else just the door. */
static void take_client(struct http_server *s, int fd,
                        const struct sockaddr_storage *from)
{
    struct address peer;
    int on = 1;
    unsigned open = take_place(s);
    bool over = open > s->limits.connections;

    if (address_of((const struct sockaddr *)from, &peer) != ST_OK ||
        (over &&
         (s->tls != NULL || open > s->limits.connections + REFUSED_MAX))) {
        if (over && s->handlers.on_refused != NULL)
            s->handlers.on_refused(s->handlers.ctx, 503, NULL, NULL);
        server_leave_place(s);
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn_open(s, fd, &peer, over);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    struct http_server *s = arg;

    (void)what;
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int fd = accept4(listener, (struct sockaddr *)&from, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_client(s, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
            errno == ENOMEM) {
            /* It would fire at once again: wait for the next sweep. */
            (void)event_del(&s->accept_ev);
            s->accept_paused = true;
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

static enum status open_listener(const struct conf_listen *l, bool reuse_port,
                                 int *out_fd)
{
    int on = 1, family = l->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return ST_IO;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (reuse_port &&
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        (family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, (const struct sockaddr *)&l->address, l->address_len) != 0 ||
        listen(fd, SOMAXCONN) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return ST_IO;
    }
    *out_fd = fd;
    return ST_OK;
}

/* --- the turn's end and the clock --------------------------------------- */

void http_server_flush(struct http_server *s)
{
    if (s->flush_planned) {
        (void)event_del(&s->flush_ev); /* or the next turn would not wait */
        s->flush_planned = false;
    }
    while (s->dirty != NULL)
        conn_send(s->dirty);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    http_server_flush(arg);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    int64_t now = conn_now_ms();
    struct conn *next;

    (void)fd;
    (void)what;
    for (struct conn *c = s->conns; c != NULL; c = next) {
        next = c->next;
        conn_check_time(c, now);
    }
    if (s->accept_paused && s->fd >= 0 && event_add(&s->accept_ev, NULL) == 0)
        s->accept_paused = false;
}

static enum status start_events(struct http_server *s)
{
    int64_t ms = s->limits.request_ms / 4;
    struct timeval every;

    ms = ms > SWEEP_MS_MAX ? SWEEP_MS_MAX : ms < 5 ? 5 : ms;
    every = (struct timeval){ms / 1000, ms % 1000 * 1000};
    (void)event_assign(&s->accept_ev, s->base, s->fd, EV_READ | EV_PERSIST,
                       on_accept, s);
    (void)event_assign(&s->sweep_ev, s->base, -1, EV_PERSIST, on_sweep, s);
    (void)event_assign(&s->flush_ev, s->base, -1, 0, on_flush, s);
    s->started = true;
    if (event_add(&s->accept_ev, NULL) != 0 ||
        event_add(&s->sweep_ev, &every) != 0)
        return ST_NOMEM;
    return ST_OK;
}

/* --- the server --------------------------------------------------------- */

enum status http_server_open(struct event_base *base,
                             const struct conf_listen *l, bool reuse_port,
                             const struct http_limits *limits,
                             const struct http_handlers *handlers,
                             struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof(*s));
    enum status st = ST_OK;

    if (s == NULL)
        return ST_NOMEM;
    *s = (struct http_server){.base = base,
                              .listen = l,
                              .limits = *limits,
                              .handlers = *handlers,
                              .fd = -1};
    s->open = limits->open != NULL ? limits->open : &s->count;
    if (s->limits.idle_ms == 0)
        s->limits.idle_ms = HTTP_IDLE_MS;
    s->budget.max =
        limits->memory != 0 ? (size_t)limits->memory : (size_t)HTTP_MEMORY_MAX;
    s->body_cap = http_parser_buffer_max(limits->body);
    if (l->tls.certificate != NULL)
        st = tls_context_new(&l->tls, &s->tls);
    if (st == ST_OK)
        st = open_listener(l, reuse_port, &s->fd);
    if (st == ST_OK)
        st = start_events(s);
    if (st != ST_OK) {
        int why = errno;
        http_server_close(s);
        errno = why;
        return st;
    }
    *out = s;
    return ST_OK;
}

unsigned http_server_port(const struct http_server *s)
{
    struct sockaddr_storage at = {0};
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    socklen_t len = sizeof(at);

    if (s->fd < 0 || getsockname(s->fd, (struct sockaddr *)&at, &len) != 0)
        return 0;
    if (at.ss_family == AF_INET6) {
        memcpy(&six, &at, sizeof(six));
        return ntohs(six.sin6_port);
    }
    memcpy(&four, &at, sizeof(four));
    return ntohs(four.sin_port);
}

void http_server_use_tls(struct http_server *s, struct tls_context *tls)
{
    assert(s->tls != NULL);
    struct tls_context *old = s->tls;

    s->tls = tls_context_ref(tls);
    tls_context_free(old);
}

static void stop_listening(struct http_server *s)
{
    if (s->fd < 0)
        return;
    (void)event_del(&s->accept_ev);
    (void)close(s->fd);
    s->fd = -1;
}

void http_server_drain(struct http_server *s)
{
    struct conn *next;

    s->draining = true;
    stop_listening(s);
    for (struct conn *c = s->conns; c != NULL; c = next) {
        next = c->next;
        if (c->state == CONN_HANDSHAKE ||
            (c->state == CONN_READING && !c->begun && c->out.len == 0))
            conn_close(c);
    }
}

unsigned http_server_connections(const struct http_server *s)
{
    return s->count;
}

void http_server_close(struct http_server *s)
{
    if (s == NULL)
        return;
    if (s->started) {
        (void)event_del(&s->accept_ev);
        (void)event_del(&s->sweep_ev);
        (void)event_del(&s->flush_ev);
    }
    if (s->fd >= 0)
        (void)close(s->fd);
    while (s->conns != NULL)
        conn_free(s->conns);
    while (s->arena_count > 0)
        arena_free(s->arenas[--s->arena_count]);
    tls_context_free(s->tls);
    free(s);
}
