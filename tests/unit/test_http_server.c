/* The HTTP server over real sockets: what is answered, when, and to whom. */
#include "http_rig.h"

#include <pthread.h>
#include <stdatomic.h>

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

/* Bytes that must wait are left in the socket, and the loop can sleep. */
static void the_next_request_waits_without_a_spin(void **state)
{
    struct rig *r = *state;
    struct heard h = {.len = 0};

    r->mode = HOLD;
    open_server(r);
    int fd = dial(r);
    say(r, fd, GET);
    turn_until(r, &r->held_count, 1);
    int before = event_base_get_num_events(r->base, EVENT_BASE_COUNT_ADDED);
    say(r, fd, GET);
    for (int i = 0; i < 5; i++)
        turn(r);
    assert_int_equal(event_base_get_num_events(r->base, EVENT_BASE_COUNT_ADDED),
                     before - 1);
    assert_int_equal(r->held_count, 1);
    answer_held(r);
    hear(r, fd, "/a b", &h);
    turn_until(r, &r->held_count, 1);
    answer_held(r);
    h.len = 0;
    hear(r, fd, "/a b", &h);
    (void)close(fd);
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
        (void)say_bytes(r, fd, body, len);
        hear(r, fd, want, &h);
    }
    (void)close(fd);
    free(body);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(the_answer_byte_for_byte),
        ROW(pipelined_requests_are_answered_in_order),
        ROW(byte_by_byte),
        ROW(many_connections_answered_late),
        ROW(a_client_gone_before_the_answer),
        ROW(a_client_that_only_stopped_sending_is_answered),
        ROW(closing_the_server_frees_what_is_held),
        ROW(the_next_request_waits_without_a_spin),
        ROW(large_bodies_arrive_whole),
        ROW(expect_100_continue),
        ROW(head_has_no_body),
        ROW(http_10_and_close),
        ROW(refusals_close_and_are_counted),
        ROW(large_answers_leave_bit_by_bit),
        ROW(the_client_behind_a_trusted_proxy),
        ROW(answers_cannot_be_split),
        ROW(a_taken_port_is_an_error),
        ROW(workers_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
