/* The HTTP server's limits: time, connections, sizes, memory, draining. Time
 * limits are short ones; nothing sleeps, everything waits for its outcome. */
#include "http_rig.h"

#include <zlib.h>

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

/* What a page needs to read an error reaches those too that no handler saw,
 * as far as the head was read. */
static void a_refusal_knows_the_whole_head(void **state)
{
    static const struct {
        const char *request;
        const char *want;
        bool marked;
    } rows[] = {
        {"POST / HTTP/1.1\r\n" HOST "Mark: m\r\nContent-Length: 65537\r\n\r\n",
         "HTTP/1.1 413 ", true},
        {"POST / HTTP/1.1\r\n" HOST "Mark: m\r\nContent-Encoding: br\r\n"
         "Content-Length: 1\r\n\r\nx",
         "HTTP/1.1 415 ", true},
        {"POST / HTTP/1.1\r\n" HOST "Mark: m\r\nContent-Encoding: gzip\r\n"
         "Content-Length: 1\r\n\r\nx",
         "HTTP/1.1 400 ", true},
        {"POST /%zz HTTP/1.1\r\n" HOST "Mark: m\r\n\r\n", "HTTP/1.1 400 ",
         true},
        {"POST / HTTP/1.1\r\n" HOST "Mark: m\r\n"
         "Transfer-Encoding: chunked\r\n\r\nx\r\n",
         "HTTP/1.1 400 ", true},
        {"POST / HTTP/1.1\r\n" HOST "Mark: m\r\nContent-Length: x\r\n\r\n",
         "HTTP/1.1 400 ", false},
    };
    struct rig *r = *state;

    r->limits.body = 65536;
    open_server(r);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct heard h = {.len = 0};
        int fd = dial(r);
        say(r, fd, rows[i].request);
        hear(r, fd, NULL, &h);
        assert_non_null(strstr(h.text, rows[i].want));
        assert_int_equal(strstr(h.text, "\r\nMark: m\r\n") != NULL,
                         rows[i].marked);
        (void)close(fd);
    }
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

/* Answering refusals costs connections too: that has its own limit. */
static void far_too_many_connections_get_the_door(void **state)
{
    struct rig *r = *state;
    static struct heard h;
    int fds[66];

    r->limits.connections = 1;
    open_server(r);
    fds[0] = dial(r);
    turn_until_connections(r, 1);
    for (int i = 1; i <= 64; i++) {
        h.len = 0;
        fds[i] = dial(r);
        hear(r, fds[i], "HTTP/1.1 503 ", &h);
    }
    h.len = 0;
    fds[65] = dial(r);
    hear(r, fds[65], NULL, &h);
    assert_int_equal(h.len, 0);
    assert_int_equal(r->refused, 65);
    for (int i = 0; i < 66; i++)
        (void)close(fds[i]);
    turn_until_connections(r, 0);
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
    assert_true(say_bytes(r, fd, body, sizeof(body))); /* not reset */
    hear(r, fd, "HTTP/1.1 413 ", &h);
    assert_int_equal(r->last_refused, 413);
    (void)close(fd);
    turn_until_connections(r, 0);
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
    (void)say_bytes(r, one, body, sizeof(body));
    turn_until(r, &r->held_count, 1);
    say(r, two, head);
    (void)say_bytes(r, two, body, sizeof(body));
    hear(r, two, "HTTP/1.1 503 ", &h);
    answer_held(r);
    hear(r, one, "POST", &h);
    (void)close(two);
    r->mode = NOW;
    say(r, one, head);
    (void)say_bytes(r, one, body, sizeof(body));
    h.len = 0;
    hear(r, one, "POST /  200000", &h); /* given back */
    (void)close(one);
}

/* Small bodies of many values: what waits for its answer counts, too. */
static void memory_of_waiting_arenas_is_limited(void **state)
{
    struct rig *r = *state;
    static char body[8000];
    const char *head =
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 8000\r\n\r\n";
    struct heard h = {.len = 0};

    r->limits.memory = 300000;
    r->mode = HOLD;
    r->arena = 400000;
    open_server(r);
    int one = dial(r), two = dial(r);
    say(r, one, head);
    (void)say_bytes(r, one, body, sizeof(body));
    turn_until(r, &r->held_count, 1);
    say(r, two, head);
    (void)say_bytes(r, two, body, sizeof(body));
    hear(r, two, "HTTP/1.1 503 ", &h);
    (void)close(two);
    answer_held(r);
    h.len = 0;
    hear(r, one, "POST", &h);
    for (unsigned i = 0; i < 3; i++) { /* given back, each time */
        say(r, one, head);
        (void)say_bytes(r, one, body, sizeof(body));
        turn_until(r, &r->held_count, 1);
        answer_held(r);
        h.len = 0;
        hear(r, one, "POST /  8000", &h);
    }
    (void)close(one);
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
    (void)say_bytes(r, fd, packed, packed_len);
    hear(r, fd, want, &h);
    (void)close(fd);
}

static void gzip_bodies(void **state)
{
    struct rig *r = *state;
    size_t size = (4u << 20) + 1;
    char *zeros = calloc(1, size);

    assert_non_null(zeros);
    r->limits.memory = 10u << 20; /* two and a half of them: given back */
    open_server(r);
    for (int i = 0; i < 3; i++)
        send_gzip(r, "Content-Encoding: gzip\r\n", zeros, size - 1,
                  "HTTP/1.1 200 ");
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

/* Its answer was given before, but has not left yet. */
static void draining_waits_for_a_slow_reader(void **state)
{
    struct rig *r = *state;
    size_t size = 8u << 20, got = 0;
    char *big = calloc(1, size);
    static char waste[65536];
    int64_t end = now_ms() + WAIT_MS_MAX;
    ssize_t n;

    assert_non_null(big);
    r->limits.request_ms = 1000;
    r->big = (struct slice){big, size};
    open_server(r);
    int fd = dial(r);
    say(r, fd, GET);
    turn_until(r, &r->requests, 1);
    http_server_drain(r->server);
    assert_int_equal(http_server_connections(r->server), 1);
    while ((n = recv(fd, waste, sizeof(waste), 0)) != 0) {
        got += n > 0 ? (size_t)n : 0;
        turn(r);
        assert_true(now_ms() < end);
    }
    assert_true(got > size);
    turn_until_connections(r, 0);
    (void)close(fd);
    free(big);
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
        (void)say_bytes(r, fd, many, len);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_slow_client_gets_408),
        ROW(a_refusal_knows_the_whole_head),
        ROW(slowloris_is_cut),
        ROW(idle_connections_are_closed_without_a_word),
        ROW(one_connection_too_many),
        ROW(far_too_many_connections_get_the_door),
        ROW(a_body_too_large_gets_its_413_while_still_sending),
        ROW(memory_of_all_bodies_is_limited),
        ROW(memory_of_waiting_arenas_is_limited),
        ROW(gzip_bodies),
        ROW(a_client_that_does_not_read_is_cut),
        ROW(draining_ends_idle_ones_and_finishes_the_rest),
        ROW(draining_waits_for_a_slow_reader),
        ROW(requests_of_one_connection_are_limited),
        ROW(error_answers_are_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
