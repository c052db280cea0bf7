/* http_rig.h - a server on a free port and its clients, taking turns in one
 * thread, for the tests of the HTTP server. */
#ifndef TESTS_UNIT_HTTP_RIG_H
#define TESTS_UNIT_HTTP_RIG_H

#include "lethe/gateway/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS_MAX 10000 /* a test that takes longer hangs */

enum mode { NOW, LATER, HOLD };

struct rig {
    struct event_base *base;
    struct http_server *server;
    struct conf_listen listen;
    struct http_limits limits;
    enum mode mode;
    struct http_exchange *held; /* newest first */
    unsigned held_count;
    unsigned requests;
    unsigned refused;
    int last_refused;
    struct slice big; /* the body of answers, if set */
    bool close;
    size_t arena; /* bytes that each request's values take */
};

static inline int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Says what was understood, so that the client's side can check it. */
static inline void answer(struct rig *r, struct http_exchange *x)
{
    const struct http_request *q = &x->request;
    char *text = arena_alloc(x->arena, 512);
    int len = snprintf(text, 512, "%.*s %.*s %.*s %zu %s %d %.*s",
                       SLICE_ARG(q->method), SLICE_ARG(q->path),
                       SLICE_ARG(q->query), q->body_len, q->address, q->secure,
                       q->body_len < 64 ? (int)q->body_len : 0, q->body);
    struct http_answer a = {.status = 200,
                            .content_type = SLICE("text/plain"),
                            .body = {text, (size_t)len},
                            .close = r->close};

    if (r->big.len > 0)
        a.body = r->big;
    http_answer(x, &a);
}

struct later {
    struct rig *rig;
    struct http_exchange *x;
};

static inline void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct later *l = arg;

    (void)fd;
    (void)what;
    answer(l->rig, l->x);
    free(l);
}

static inline void on_request(void *ctx, struct http_exchange *x)
{
    struct rig *r = ctx;
    struct timeval soon = {0, 1000};

    r->requests++;
    if (r->arena > 0)
        assert_non_null(arena_alloc(x->arena, r->arena));
    if (r->mode == NOW) {
        answer(r, x);
    } else if (r->mode == HOLD) {
        x->next = r->held;
        r->held = x;
        r->held_count++;
    } else {
        struct later *l = malloc(sizeof(*l));
        assert_non_null(l);
        *l = (struct later){r, x};
        assert_int_equal(
            event_base_once(r->base, -1, EV_TIMEOUT, on_later, l, &soon), 0);
    }
}

static inline void answer_held(struct rig *r)
{
    while (r->held != NULL) {
        struct http_exchange *x = r->held;
        r->held = x->next;
        r->held_count--;
        answer(r, x);
    }
}

/* Puts a header into the answer where the head was read whole. */
static inline void on_refused(void *ctx, int status,
                              const struct http_request *head,
                              struct http_answer *answer)
{
    struct rig *r = ctx;

    r->refused++;
    r->last_refused = status;
    if (head != NULL && answer != NULL && http_header(head, SLICE("Mark")).len)
        answer->headers[answer->header_count++] = (struct beacon_header){
            SLICE("Mark"), http_header(head, SLICE("Mark"))};
}

static inline void open_server(struct rig *r)
{
    struct http_handlers handlers = {on_request, on_refused, r};
    struct sockaddr_in at = {.sin_family = AF_INET};

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&r->listen.address, &at, sizeof(at));
    r->listen.address_len = sizeof(at);
    assert_int_equal(http_server_open(r->base, &r->listen, false, &r->limits,
                                      &handlers, &r->server),
                     ST_OK);
}

static inline int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    r->base = event_base_new();
    r->limits = (struct http_limits){.connections = 1000,
                                     .body = 1u << 20,
                                     .inflated = 4u << 20,
                                     .request_ms = 5000};
    *state = r;
    return 0;
}

static inline int teardown(void **state)
{
    struct rig *r = *state;

    http_server_close(r->server);
    event_base_free(r->base);
    free(r);
    return 0;
}

static inline void turn(struct rig *r)
{
    (void)event_base_loop(r->base, EVLOOP_NONBLOCK);
    http_server_flush(r->server);
}

static inline int dial(struct rig *r)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)http_server_port(r->server));
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* All of it, turning the server's loop while the socket is full. False: the
 * server has closed. */
static inline bool say_bytes(struct rig *r, int fd, const char *bytes,
                             size_t len)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
        turn(r);
        assert_true(now_ms() < end);
    }
    return true;
}

static inline void say(struct rig *r, int fd, const char *text)
{
    (void)say_bytes(r, fd, text, strlen(text));
}

struct heard {
    char text[1 << 17];
    size_t len;
    bool end;
};

/* Until `want` is there, or (NULL) until the server has closed. */
static inline void hear(struct rig *r, int fd, const char *want,
                        struct heard *h)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    h->text[h->len] = '\0';
    while (want == NULL || strstr(h->text, want) == NULL) {
        struct pollfd p = {fd, POLLIN, 0};
        ssize_t n;
        turn(r);
        (void)poll(&p, 1, 1);
        n = recv(fd, h->text + h->len, sizeof(h->text) - 1 - h->len, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            h->end = true;
            if (want == NULL)
                return;
            fail_msg("closed; heard: %s", h->text);
        }
        if (n > 0)
            h->len += (size_t)n;
        h->text[h->len] = '\0';
        if (now_ms() > end)
            fail_msg("waited for %s; heard: %s",
                     want != NULL ? want : "the end", h->text);
    }
}

static inline void turn_until(struct rig *r, const unsigned *what,
                              unsigned count)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    while (*what != count) {
        turn(r);
        assert_true(now_ms() < end);
    }
}

static inline void turn_until_connections(struct rig *r, unsigned count)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    while (http_server_connections(r->server) != count) {
        turn(r);
        assert_true(now_ms() < end);
    }
}

static inline void expect(struct rig *r, const char *request, const char *want)
{
    struct heard h = {.len = 0};
    int fd = dial(r);

    say(r, fd, request);
    hear(r, fd, want, &h);
    (void)close(fd);
}

#define HOST      "Host: a.example\r\n"
#define GET       "GET /a%20b?q HTTP/1.1\r\n" HOST "\r\n"

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
