/* The HTTP server over real sockets, on one event base in this thread. Time
 * limits are short ones; nothing sleeps, everything waits for its outcome. */
#include "lethe/gateway/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

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
};

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Says what was understood, so that the client's side can check it. */
static void answer(struct rig *r, struct http_exchange *x)
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

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct later *l = arg;

    (void)fd;
    (void)what;
    answer(l->rig, l->x);
    free(l);
}

static void on_request(void *ctx, struct http_exchange *x)
{
    struct rig *r = ctx;
    struct timeval soon = {0, 1000};

    r->requests++;
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

static void answer_held(struct rig *r)
{
    while (r->held != NULL) {
        struct http_exchange *x = r->held;
        r->held = x->next;
        r->held_count--;
        answer(r, x);
    }
}

static void on_refused(void *ctx, int status)
{
    struct rig *r = ctx;

    r->refused++;
    r->last_refused = status;
}

static void open_server(struct rig *r)
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

static int setup(void **state)
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

static int teardown(void **state)
{
    struct rig *r = *state;

    http_server_close(r->server);
    event_base_free(r->base);
    free(r);
    return 0;
}

static void turn(struct rig *r)
{
    (void)event_base_loop(r->base, EVLOOP_NONBLOCK);
    http_server_flush(r->server);
}

static int dial(struct rig *r)
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

/* All of it, turning the server's loop while the socket is full. A server
 * that closes stops it. */
static void say_bytes(struct rig *r, int fd, const char *bytes, size_t len)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
        turn(r);
        assert_true(now_ms() < end);
    }
}

static void say(struct rig *r, int fd, const char *text)
{
    say_bytes(r, fd, text, strlen(text));
}

struct heard {
    char text[1 << 17];
    size_t len;
    bool end;
};

/* Until `want` is there, or (NULL) until the server has closed. */
static void hear(struct rig *r, int fd, const char *want, struct heard *h)
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
            fail_msg("waited for %s; heard: %s", want, h->text);
    }
}

static void turn_until(struct rig *r, const unsigned *what, unsigned count)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    while (*what != count) {
        turn(r);
        assert_true(now_ms() < end);
    }
}

static void turn_until_connections(struct rig *r, unsigned count)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    while (http_server_connections(r->server) != count) {
        turn(r);
        assert_true(now_ms() < end);
    }
}

static void expect(struct rig *r, const char *request, const char *want)
{
    struct heard h = {.len = 0};
    int fd = dial(r);

    say(r, fd, request);
    hear(r, fd, want, &h);
    (void)close(fd);
}

#define HOST "Host: a.example\r\n"
#define GET  "GET /a%20b?q HTTP/1.1\r\n" HOST "\r\n"

static void the_answer_byte_for_byte(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};

    open_server(r);
    int fd = dial(r);
    say(r, fd, GET);
    hear(r, fd, "/a b", &h);
    assert_string_equal(h.text,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                        "Content-Length: 25\r\nCache-Control: no-store\r\n\r\n"
                        "GET /a b q 0 127.0.0.1 0 ");
    (void)close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct rig *r = *state;
    char text[128 * 64] = "", want[32];

    open_server(r);
    for (int mode = NOW; mode <= LATER; mode++) {
        struct heard h = {.len = 0};
        size_t len = 0;
        r->mode = (enum mode)mode;
        int fd = dial(r);
        for (int i = 0; i < 128; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len,
                                    "GET /n%03d HTTP/1.1\r\n" HOST "\r\n", i);
        say(r, fd, text);
        hear(r, fd, "/n127", &h);
        const char *at = h.text;
        for (int i = 0; i < 128; i++) {
            (void)snprintf(want, sizeof(want), "/n%03d", i);
            at = strstr(at, want);
            assert_non_null(at);
        }
        (void)close(fd);
    }
    assert_int_equal(r->requests, 256);
}

static void byte_by_byte(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};
    const char *text =
        "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
        "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";

    open_server(r);
    int fd = dial(r);
    for (const char *at = text; *at != '\0'; at++) {
        assert_int_equal(r->requests, 0);
        assert_int_equal(send(fd, at, 1, 0), 1);
        turn(r);
    }
    hear(r, fd, "POST /x  5 127.0.0.1 0 abcde", &h);
    (void)close(fd);
}

static void a_slow_client_gets_408(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};

    r->limits.request_ms = 40;
    open_server(r);
    int fd = dial(r);
    say(r, fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
    hear(r, fd, NULL, &h);
    assert_non_null(strstr(h.text, "HTTP/1.1 408 "));
    assert_non_null(strstr(h.text, "\"error\":\"timeout\""));
    assert_int_equal(r->last_refused, 408);
    (void)close(fd);
    turn_until_connections(r, 0);
}

/* A drop now and then does not renew the time. */
static void slowloris_is_cut(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};

    r->limits.request_ms = 60;
    open_server(r);
    int fd = dial(r);
    int64_t end = now_ms() + WAIT_MS_MAX;
    say(r, fd, "GET / HTTP/1.1\r\n");
    while (r->refused == 0) {
        (void)send(fd, "X: y\r\n", 6, MSG_NOSIGNAL);
        (void)poll(NULL, 0, 5);
        turn(r);
        assert_true(now_ms() < end);
    }
    assert_int_equal(r->last_refused, 408);
    hear(r, fd, NULL, &h);
    (void)close(fd);
}

static void idle_connections_are_closed_without_a_word(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0}, h2 = {.len = 0};

    r->limits.request_ms = 40;
    r->limits.idle_ms = 40;
    open_server(r);
    int silent = dial(r), once = dial(r);
    say(r, once, GET);
    hear(r, once, "/a b", &h);
    size_t len = h.len;
    hear(r, once, NULL, &h);
    assert_int_equal(h.len, len);
    hear(r, silent, NULL, &h2);
    assert_int_equal(h2.len, 0);
    assert_int_equal(r->refused, 0);
    (void)close(once);
    (void)close(silent);
}

static void many_connections_answered_late(void **state)
{
    struct rig *r = *state;
    static int fds[256];

    r->mode = HOLD;
    open_server(r);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 256; i++) {
            if (round == 0)
                fds[i] = dial(r);
            say(r, fds[i], GET);
        }
        turn_until(r, &r->held_count, 256);
        assert_int_equal(http_server_connections(r->server), 256);
        answer_held(r);
        for (int i = 0; i < 256; i++) {
            struct heard h = {.len = 0};
            hear(r, fds[i], "/a b", &h);
        }
    }
    for (int i = 0; i < 256; i++)
        (void)close(fds[i]);
    turn_until_connections(r, 0);
}

/* The exchange stays good after its client was reset; the answer is dropped.
 * (Address sanitizer watches.) */
static void a_client_gone_before_the_answer(void **state)
{
    struct rig *r = *state;
    struct linger hard = {1, 0};

    r->mode = HOLD;
    open_server(r);
    int fd = dial(r);
    say(r, fd, GET);
    turn_until(r, &r->held_count, 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)),
                     0);
    (void)close(fd);
    for (int i = 0; i < 50; i++)
        turn(r);
    assert_true(slice_eq(r->held->request.path, SLICE("/a b")));
    assert_int_equal(http_server_connections(r->server), 1);
    answer_held(r);
    turn_until_connections(r, 0);
}

static void a_client_that_only_stopped_sending_is_answered(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};

    r->mode = HOLD;
    open_server(r);
    int fd = dial(r);
    say(r, fd, GET GET);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    turn_until(r, &r->held_count, 1);
    for (int i = 0; i < 20; i++)
        turn(r);
    answer_held(r);
    turn_until(r, &r->held_count, 1);
    answer_held(r);
    hear(r, fd, NULL, &h);
    const char *first = strstr(h.text, "/a b");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "/a b"));
    (void)close(fd);
    turn_until_connections(r, 0);
}

static void closing_the_server_frees_what_is_held(void **state)
{
    struct rig *r = *state;

    r->mode = HOLD;
    open_server(r);
    int fd = dial(r);
    say(r, fd, GET);
    turn_until(r, &r->held_count, 1);
    http_server_close(r->server);
    r->server = NULL;
    (void)close(fd);
}

static void one_connection_too_many(void **state)
{
    struct rig *r = *state;
    struct heard a = {.len = 0}, b = {.len = 0}, c = {.len = 0};

    r->limits.connections = 2;
    open_server(r);
    int one = dial(r), two = dial(r);
    say(r, one, GET);
    hear(r, one, "/a b", &a);
    say(r, two, GET);
    hear(r, two, "/a b", &b);
    int three = dial(r);
    hear(r, three, NULL, &c);
    assert_non_null(strstr(c.text, "HTTP/1.1 503 "));
    assert_non_null(strstr(c.text, "Retry-After: 5\r\n"));
    assert_non_null(strstr(c.text, "Connection: close\r\n"));
    (void)close(three);
    (void)close(two);
    turn_until_connections(r, 1);
    expect(r, GET, "/a b");
    (void)close(one);
}

static void a_body_too_large_gets_its_413_while_still_sending(void **state)
{
    struct rig *r = *state;
    static char body[3u << 20];
    struct heard h = {.len = 0};

    r->limits.body = 1000;
    open_server(r);
    int fd = dial(r);
    say(r, fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3145728\r\n\r\n");
    say_bytes(r, fd, body, sizeof(body));
    hear(r, fd, "HTTP/1.1 413 ", &h);
    assert_int_equal(r->last_refused, 413);
    (void)close(fd);
    turn_until_connections(r, 0);
}

static void large_bodies_arrive_whole(void **state)
{
    struct rig *r = *state;
    size_t size = 1u << 20;
    char *body = malloc(size), head[128], want[64];
    struct heard h = {.len = 0};

    assert_non_null(body);
    memset(body, 'x', size);
    open_server(r);
    int fd = dial(r);
    for (size_t len = size; len > 100; len /= 3) {
        (void)snprintf(
            head, sizeof(head),
            "POST /big HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", len);
        (void)snprintf(want, sizeof(want), "POST /big  %zu ", len);
        say(r, fd, head);
        say_bytes(r, fd, body, len);
        hear(r, fd, want, &h);
    }
    (void)close(fd);
    free(body);
}

static void memory_of_all_bodies_is_limited(void **state)
{
    struct rig *r = *state;
    static char body[200000];
    struct heard h = {.len = 0};

    r->limits.memory = 300000;
    r->mode = HOLD;
    open_server(r);
    int one = dial(r), two = dial(r);
    const char *head = "POST / HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n"
                       "\r\n";
    say(r, one, head);
    say_bytes(r, one, body, sizeof(body));
    turn_until(r, &r->held_count, 1);
    say(r, two, head);
    say_bytes(r, two, body, sizeof(body));
    hear(r, two, "HTTP/1.1 503 ", &h);
    answer_held(r);
    hear(r, one, "POST", &h);
    (void)close(two);
    r->mode = NOW;
    say(r, one, head);
    say_bytes(r, one, body, sizeof(body));
    h.len = 0;
    hear(r, one, "POST /  200000", &h); /* given back */
    (void)close(one);
}

static void expect_100_continue(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};

    open_server(r);
    int fd = dial(r);
    say(r, fd,
        "POST /e HTTP/1.1\r\n" HOST
        "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    hear(r, fd, "HTTP/1.1 100 Continue\r\n\r\n", &h);
    say(r, fd, "ab");
    say(r, fd, "cd");
    hear(r, fd, "POST /e  4 127.0.0.1 0 abcd", &h);
    assert_ptr_equal(strstr(h.text, "100 C"), h.text + 9);
    assert_null(strstr(h.text + 14, "100 C"));
    (void)close(fd);
}

static void head_has_no_body(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};

    open_server(r);
    int fd = dial(r);
    say(r, fd,
        "HEAD /h HTTP/1.1\r\n" HOST "\r\nGET /g HTTP/1.1\r\n" HOST
        "Connection: close\r\n\r\n");
    hear(r, fd, NULL, &h);
    assert_null(strstr(h.text, "/h"));
    assert_non_null(strstr(h.text, "Content-Length: 23\r\n"));
    assert_non_null(strstr(h.text, "\r\n\r\nHTTP/1.1 200 OK"));
    assert_non_null(strstr(h.text, "GET /g"));
    (void)close(fd);
}

static void http_10_and_close(void **state)
{
    struct rig *r = *state;
    struct heard a = {.len = 0}, b = {.len = 0}, c = {.len = 0};

    open_server(r);
    int fd = dial(r);
    say(r, fd, "GET /0 HTTP/1.0\r\n\r\n");
    hear(r, fd, NULL, &a);
    assert_non_null(strstr(a.text, "Connection: close\r\n"));
    (void)close(fd);
    fd = dial(r);
    say(r, fd, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hear(r, fd, "/1", &b);
    assert_non_null(strstr(b.text, "Connection: keep-alive\r\n"));
    r->close = true;
    say(r, fd, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
    hear(r, fd, NULL, &c);
    assert_non_null(strstr(c.text, "Connection: close\r\n"));
    (void)close(fd);
}

static void refusals_close_and_are_counted(void **state)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"GET /%zz HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"\x16\x03\x01\x02", 400},
        {"GET / HTTP/3.0\r\n" HOST "\r\n", 505},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: br\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\n" HOST
         "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
         415},
        {"POST / HTTP/1.1\r\n" HOST
         "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
         400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\n"
         "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
         415},
    };
    struct rig *r = *state;
    char want[32];

    open_server(r);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct heard h = {.len = 0};
        int fd = dial(r);
        say(r, fd, rows[i].text);
        hear(r, fd, NULL, &h);
        (void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", rows[i].status);
        assert_ptr_equal(strstr(h.text, want), h.text);
        assert_int_equal(r->last_refused, rows[i].status);
        assert_int_equal(r->refused, i + 1);
        assert_int_equal(r->requests, 0);
        (void)close(fd);
    }
    turn_until_connections(r, 0);
}

static size_t gzip(const char *text, size_t len, char *out, size_t room)
{
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, 0), Z_OK);
    z.next_in = (z_const Bytef *)text;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(deflateEnd(&z), Z_OK);
    return room - z.avail_out;
}

static void send_gzip(struct rig *r, const char *header, const char *text,
                      size_t len, const char *want)
{
    static char packed[65536];
    char head[256];
    struct heard h = {.len = 0};
    size_t packed_len = gzip(text, len, packed, sizeof(packed));
    int fd = dial(r);

    (void)snprintf(head, sizeof(head),
                   "POST /z HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n",
                   header, packed_len);
    say(r, fd, head);
    say_bytes(r, fd, packed, packed_len);
    hear(r, fd, want, &h);
    (void)close(fd);
}

static void gzip_bodies(void **state)
{
    struct rig *r = *state;
    size_t size = (4u << 20) + 1;
    char *zeros = calloc(1, size);

    assert_non_null(zeros);
    open_server(r);
    send_gzip(r, "Content-Encoding: gzip\r\n", "{\"a\":1}", 7,
              "POST /z  7 127.0.0.1 0 {\"a\":1}");
    send_gzip(r, "Content-Type: text/plain\r\n", "{\"a\":1}", 7,
              "POST /z  7 127.0.0.1 0 {\"a\":1}");
    send_gzip(r, "Content-Encoding: GZIP\r\n", zeros, size - 1, "4194304");
    assert_int_equal(r->refused, 0);
    send_gzip(r, "Content-Encoding: gzip\r\n", zeros, size, "HTTP/1.1 413 ");
    send_gzip(r, "", zeros, size, "HTTP/1.1 413 ");
    free(zeros);
}

/* It takes what fits into the sockets, then nothing: cut, and nothing of its
 * size is kept. */
static void a_client_that_does_not_read_is_cut(void **state)
{
    struct rig *r = *state;
    size_t size = 16u << 20;
    char *big = calloc(1, size);

    assert_non_null(big);
    r->limits.request_ms = 60;
    r->big = (struct slice){big, size};
    open_server(r);
    int fd = dial(r);
    say(r, fd, GET);
    turn_until(r, &r->requests, 1);
    assert_int_equal(http_server_connections(r->server), 1);
    turn_until_connections(r, 0);
    (void)close(fd);
    free(big);
}

static void large_answers_leave_bit_by_bit(void **state)
{
    struct rig *r = *state;
    size_t size = 8u << 20, got = 0;
    char *big = calloc(1, size);
    static char waste[65536];
    int64_t end = now_ms() + WAIT_MS_MAX;

    assert_non_null(big);
    r->big = (struct slice){big, size};
    open_server(r);
    int fd = dial(r);
    say(r, fd, GET GET); /* the second waits for room */
    while (got < 2 * size) {
        ssize_t n = recv(fd, waste, sizeof(waste), 0);
        got += n > 0 ? (size_t)n : 0;
        turn(r);
        assert_true(n != 0 && now_ms() < end);
    }
    assert_int_equal(r->requests, 2);
    (void)close(fd);
    free(big);
}

static void draining_ends_idle_ones_and_finishes_the_rest(void **state)
{
    struct rig *r = *state;
    struct heard a = {.len = 0}, b = {.len = 0}, c = {.len = 0};

    r->mode = HOLD;
    open_server(r);
    int idle = dial(r), busy = dial(r), half = dial(r);
    say(r, busy, GET);
    say(r, half, "GET /half HTTP/1.1\r\n");
    turn_until(r, &r->held_count, 1);
    turn_until_connections(r, 3);
    http_server_drain(r->server);
    hear(r, idle, NULL, &a);
    answer_held(r);
    hear(r, busy, NULL, &b);
    assert_non_null(strstr(b.text, "Connection: close\r\n"));
    r->mode = NOW;
    say(r, half, HOST "\r\n");
    hear(r, half, NULL, &c);
    assert_non_null(strstr(c.text, "GET /half"));
    turn_until_connections(r, 0);
    (void)close(idle);
    (void)close(busy);
    (void)close(half);
}

static void the_client_behind_a_trusted_proxy(void **state)
{
    struct rig *r = *state;

    r->listen.proxies[0] = (struct conf_network){AF_INET, {127, 0, 0, 0}, 8};
    open_server(r);
    expect(r,
           "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.1.1.1, 203.0.113.7\r\n"
           "X-Forwarded-Proto: https\r\n\r\n",
           "GET /  0 127.0.0.1 0 ");
    r->listen.proxy_count = 1;
    expect(r,
           "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.1.1.1, 203.0.113.7\r\n"
           "X-Forwarded-Proto: https\r\n\r\n",
           "GET /  0 203.0.113.7 1 ");
    expect(r,
           "GET / HTTP/1.1\r\n" HOST "X-Forwarded-Proto: https\r\n"
           "X-Forwarded-Proto: http\r\n\r\n",
           "GET /  0 127.0.0.1 0 ");
}

static void requests_of_one_connection_are_limited(void **state)
{
    struct rig *r = *state;
    const char *one = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    static char many[64 * 64];
    static struct heard h;
    size_t len = 0;

    open_server(r);
    for (int i = 0; i < 64; i++)
        len += (size_t)snprintf(many + len, sizeof(many) - len, "%s", one);
    int fd = dial(r);
    while (r->requests < HTTP_REQUESTS_MAX) {
        unsigned goal = r->requests + 64;
        goal = goal < HTTP_REQUESTS_MAX ? goal : HTTP_REQUESTS_MAX;
        say_bytes(r, fd, many, len);
        turn_until(r, &r->requests, goal);
        if (goal < HTTP_REQUESTS_MAX) {
            while (recv(fd, h.text, sizeof(h.text), 0) > 0)
                turn(r);
        }
    }
    h.len = 0;
    hear(r, fd, NULL, &h);
    assert_non_null(strstr(h.text, "Connection: close\r\n"));
    assert_int_equal(r->requests, HTTP_REQUESTS_MAX);
    (void)close(fd);
}

static void split_header(void *ctx, struct http_exchange *x)
{
    struct http_answer a = {.status = 204, .header_count = 3};

    (void)ctx;
    a.headers[0] = (struct beacon_header){SLICE("X-Good"), SLICE("1")};
    a.headers[1] = (struct beacon_header){SLICE("X-Bad"), SLICE("1\r\nX: 2")};
    a.headers[2] =
        (struct beacon_header){SLICE("Cache-Control"), SLICE("max-age=1")};
    http_answer(x, &a);
}

static void answers_cannot_be_split(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};
    struct http_handlers handlers = {split_header, NULL, NULL};
    struct sockaddr_in at = {.sin_family = AF_INET};

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&r->listen.address, &at, sizeof(at));
    r->listen.address_len = sizeof(at);
    assert_int_equal(http_server_open(r->base, &r->listen, true, &r->limits,
                                      &handlers, &r->server),
                     ST_OK);
    int fd = dial(r);
    say(r, fd, GET);
    hear(r, fd, "\r\n\r\n", &h);
    assert_string_equal(h.text, "HTTP/1.1 204 No Content\r\nX-Good: 1\r\n"
                                "Cache-Control: max-age=1\r\n\r\n");
    (void)close(fd);
}

static void error_answers_are_constants(void **state)
{
    static const int with_body[] = {400, 401, 403, 404, 405, 408, 409,
                                    411, 413, 414, 415, 417, 421, 422,
                                    429, 431, 500, 501, 503, 505};
    struct http_answer a;

    (void)state;
    for (size_t i = 0; i < sizeof(with_body) / sizeof(with_body[0]); i++) {
        int status = with_body[i];
        http_error_answer(status, &a);
        assert_int_equal(a.status, status);
        assert_true(slice_starts(a.body, SLICE("{\"error\":\"")));
        assert_true(slice_ends(a.body, SLICE(".\"}")));
        assert_int_equal(a.header_count, status == 503 || status == 429);
    }
    http_error_answer(299, &a);
    assert_int_equal(a.status, 500);
}

static void a_taken_port_is_an_error(void **state)
{
    struct rig *r = *state;
    struct http_handlers handlers = {on_request, on_refused, r};
    struct http_server *second = NULL;
    struct sockaddr_in at;

    open_server(r);
    memcpy(&at, &r->listen.address, sizeof(at));
    at.sin_port = htons((uint16_t)http_server_port(r->server));
    memcpy(&r->listen.address, &at, sizeof(at));
    assert_int_equal(http_server_open(r->base, &r->listen, false, &r->limits,
                                      &handlers, &second),
                     ST_IO);
    assert_int_equal(errno, EADDRINUSE);
    assert_null(second);
}

/* Two workers on one port, as the gateway runs them: nothing is shared.
 * (Thread sanitizer watches.) */
static atomic_bool workers_stop;

static void *work(void *arg)
{
    struct rig *r = arg;

    while (!atomic_load(&workers_stop)) {
        (void)event_base_loop(r->base, EVLOOP_ONCE);
        http_server_flush(r->server);
    }
    return NULL;
}

static void workers_share_a_port(void **state)
{
    struct rig *r[2] = {*state, NULL};
    struct rig *second;
    pthread_t threads[2];
    char text[4096];

    assert_int_equal(setup((void **)&second), 0);
    r[1] = second;
    for (int i = 0; i < 2; i++) {
        struct http_handlers handlers = {on_request, on_refused, r[i]};
        struct sockaddr_in at = {.sin_family = AF_INET};
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        at.sin_port =
            i == 0 ? 0 : htons((uint16_t)http_server_port(r[0]->server));
        memcpy(&r[i]->listen.address, &at, sizeof(at));
        r[i]->listen.address_len = sizeof(at);
        r[i]->limits.request_ms = 200; /* sweeps end the waiting */
        r[i]->mode = i == 0 ? NOW : LATER;
        assert_int_equal(http_server_open(r[i]->base, &r[i]->listen, true,
                                          &r[i]->limits, &handlers,
                                          &r[i]->server),
                         ST_OK);
    }
    int fds[32];
    for (int i = 0; i < 32; i++)
        fds[i] = dial(r[0]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, r[i]), 0);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(fcntl(fds[i], F_SETFL, 0), 0);
        assert_int_equal(send(fds[i], GET, sizeof(GET) - 1, 0),
                         sizeof(GET) - 1);
        assert_true(recv(fds[i], text, sizeof(text), 0) > 0);
        (void)close(fds[i]);
    }
    atomic_store(&workers_stop, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(r[0]->requests + r[1]->requests, 32);
    assert_int_equal(teardown((void **)&second), 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(the_answer_byte_for_byte),
        ROW(pipelined_requests_are_answered_in_order),
        ROW(byte_by_byte),
        ROW(a_slow_client_gets_408),
        ROW(slowloris_is_cut),
        ROW(idle_connections_are_closed_without_a_word),
        ROW(many_connections_answered_late),
        ROW(a_client_gone_before_the_answer),
        ROW(a_client_that_only_stopped_sending_is_answered),
        ROW(closing_the_server_frees_what_is_held),
        ROW(one_connection_too_many),
        ROW(a_body_too_large_gets_its_413_while_still_sending),
        ROW(large_bodies_arrive_whole),
        ROW(memory_of_all_bodies_is_limited),
        ROW(expect_100_continue),
        ROW(head_has_no_body),
        ROW(http_10_and_close),
        ROW(refusals_close_and_are_counted),
        ROW(gzip_bodies),
        ROW(a_client_that_does_not_read_is_cut),
        ROW(large_answers_leave_bit_by_bit),
        ROW(draining_ends_idle_ones_and_finishes_the_rest),
        ROW(the_client_behind_a_trusted_proxy),
        ROW(requests_of_one_connection_are_limited),
        ROW(answers_cannot_be_split),
        ROW(error_answers_are_constants),
        ROW(a_taken_port_is_an_error),
        ROW(workers_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
