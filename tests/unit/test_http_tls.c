/* TLS: versions, keep-alive, large bodies both ways, stuck handshakes, and a
 * reload that keeps the old certificate when the new one is bad. Client and
 * server take turns in this thread; certificates are made by the test. */
#include "lethe/gateway/http/server.h"
#include "lethe/gateway/http/tls_context.h"

#include "certificate.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
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

#define WAIT_MS_MAX 10000

struct rig {
    struct event_base *base;
    struct http_server *server;
    struct conf_listen listen;
    struct http_limits limits;
    char folder[64];
    char certificate[96], key[96], other[96];
    char *big;
    size_t big_len;
};

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_request(void *ctx, struct http_exchange *x)
{
    struct rig *r = ctx;
    char *text = arena_alloc(x->arena, 64);
    int len = snprintf(text, 64, "secure %d body %zu.", x->request.secure,
                       x->request.body_len);
    struct http_answer a = {.status = 200, .body = {text, (size_t)len}};

    if (r->big_len > 0)
        a.body = (struct slice){r->big, r->big_len};
    http_answer(x, &a);
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct sockaddr_in at = {.sin_family = AF_INET};

    assert_non_null(r);
    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/lethe_tls_XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->certificate, sizeof(r->certificate), "%s/c", r->folder);
    (void)snprintf(r->key, sizeof(r->key), "%s/k", r->folder);
    (void)snprintf(r->other, sizeof(r->other), "%s/o", r->folder);
    make_certificate(r->certificate, r->other, 2);
    make_certificate(r->certificate, r->key, 1);
    r->base = event_base_new();
    r->limits = (struct http_limits){.connections = 10,
                                     .body = 2u << 20,
                                     .inflated = 4u << 20,
                                     .request_ms = 5000};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&r->listen.address, &at, sizeof(at));
    r->listen.address_len = sizeof(at);
    r->listen.tls = (struct conf_tls){r->certificate, r->key, 12};
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    http_server_close(r->server);
    event_base_free(r->base);
    (void)unlink(r->certificate);
    (void)unlink(r->key);
    (void)unlink(r->other);
    (void)rmdir(r->folder);
    free(r);
    return 0;
}

static enum status try_open(struct rig *r)
{
    struct http_handlers handlers = {on_request, NULL, r};

    return http_server_open(r->base, &r->listen, false, &r->limits, &handlers,
                            &r->server);
}

static void turn(struct rig *r)
{
    (void)event_base_loop(r->base, EVLOOP_NONBLOCK);
    http_server_flush(r->server);
}

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static int dial(struct rig *r)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)http_server_port(r->server));
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* False: the server did not want to. */
static bool shake(struct rig *r, struct client *c, int max_version)
{
    int64_t end = now_ms() + WAIT_MS_MAX;
    int rc;

    c->ctx = SSL_CTX_new(TLS_client_method());
    (void)SSL_CTX_set_max_proto_version(c->ctx, max_version);
    (void)SSL_CTX_set_alpn_protos(
        c->ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    SSL_CTX_set_security_level(c->ctx, 0);
    c->fd = dial(r);
    c->ssl = SSL_new(c->ctx);
    assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
    while ((rc = SSL_connect(c->ssl)) != 1) {
        int why = SSL_get_error(c->ssl, rc);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return false;
        turn(r);
        assert_true(now_ms() < end);
    }
    return true;
}

static void hang_up(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    (void)close(c->fd);
}

static void say(struct rig *r, struct client *c, const char *text, size_t len)
{
    int64_t end = now_ms() + WAIT_MS_MAX;

    while (len > 0) {
        int n = SSL_write(c->ssl, text, len < 16384 ? (int)len : 16384);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
        turn(r);
        assert_true(now_ms() < end);
    }
}

/* Reads until `want` has come; returns the bytes read. */
static size_t hear(struct rig *r, struct client *c, const char *want)
{
    static char text[1 << 17];
    int64_t end = now_ms() + WAIT_MS_MAX;
    size_t len = 0, all = 0;

    text[0] = '\0';
    while (strstr(text, want) == NULL) {
        turn(r);
        int n = SSL_read(c->ssl, text + len, (int)(sizeof(text) - 1 - len));
        if (n > 0) {
            all += (size_t)n;
            len += (size_t)n;
            text[len] = '\0';
            if (len > sizeof(text) / 2) { /* keep the end */
                memmove(text, text + len - 64, 65);
                len = 64;
            }
        }
        assert_true(now_ms() < end);
    }
    return all;
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static void both_versions_keep_alive(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct rig *r = *state;

    assert_int_equal(try_open(r), ST_OK);
    for (int i = 0; i < 2; i++) {
        struct client c;
        const unsigned char *alpn;
        unsigned alpn_len;
        assert_true(shake(r, &c, versions[i]));
        assert_int_equal(SSL_version(c.ssl), versions[i]);
        SSL_get0_alpn_selected(c.ssl, &alpn, &alpn_len);
        assert_int_equal(alpn_len, 8);
        assert_memory_equal(alpn, "http/1.1", 8);
        say(r, &c, GET, sizeof(GET) - 1);
        (void)hear(r, &c, "secure 1 body 0.");
        say(r, &c, GET GET, 2 * (sizeof(GET) - 1));
        (void)hear(r, &c, "secure 1 body 0.");
        assert_false(SSL_SESSION_is_resumable(SSL_get_session(c.ssl)) &&
                     SSL_SESSION_has_ticket(SSL_get_session(c.ssl)));
        hang_up(&c);
    }
}

static void old_versions_are_refused(void **state)
{
    struct rig *r = *state;
    struct client c;

    assert_int_equal(try_open(r), ST_OK);
    assert_false(shake(r, &c, TLS1_1_VERSION));
    hang_up(&c);
    http_server_close(r->server);
    r->server = NULL;
    r->listen.tls.min_version = 13;
    assert_int_equal(try_open(r), ST_OK);
    assert_false(shake(r, &c, TLS1_2_VERSION));
    hang_up(&c);
    assert_true(shake(r, &c, TLS1_3_VERSION));
    hang_up(&c);
}

static void large_bodies_both_ways(void **state)
{
    struct rig *r = *state;
    struct client c;
    size_t size = 2u << 20;
    char *body = malloc(size), head[128];

    assert_non_null(body);
    memset(body, 'x', size);
    assert_int_equal(try_open(r), ST_OK);
    assert_true(shake(r, &c, TLS1_3_VERSION));
    int len = snprintf(head, sizeof(head),
                       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n"
                       "\r\n",
                       size);
    say(r, &c, head, (size_t)len);
    say(r, &c, body, size);
    (void)hear(r, &c, "secure 1 body 2097152.");
    r->big = body;
    r->big_len = size;
    body[size - 1] = '!';
    say(r, &c, GET, sizeof(GET) - 1);
    assert_true(hear(r, &c, "x!") > size);
    hang_up(&c);
    free(body);
}

/* What TLS has decrypted is looked at again and again: still one "100". */
static void expect_100_continue_once(void **state)
{
    struct rig *r = *state;
    struct client c;
    const char *head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                       "Expect: 100-continue\r\n\r\n";

    assert_int_equal(try_open(r), ST_OK);
    assert_true(shake(r, &c, TLS1_3_VERSION));
    say(r, &c, head, strlen(head));
    size_t one = sizeof("HTTP/1.1 100 Continue\r\n\r\n") - 1;
    for (int i = 0; i < 20; i++)
        turn(r);
    assert_int_equal(hear(r, &c, "Continue\r\n\r\n"), one);
    say(r, &c, "ab", 2);
    (void)hear(r, &c, "secure 1 body 2.");
    hang_up(&c);
}

static void a_stuck_handshake_is_cut(void **state)
{
    struct rig *r = *state;
    int64_t end = now_ms() + WAIT_MS_MAX;

    r->limits.request_ms = 40;
    assert_int_equal(try_open(r), ST_OK);
    int fd = dial(r);
    assert_int_equal(send(fd, "\x16\x03\x01", 3, 0), 3);
    do {
        turn(r);
        assert_true(now_ms() < end);
    } while (http_server_connections(r->server) == 0);
    while (http_server_connections(r->server) > 0) {
        turn(r);
        assert_true(now_ms() < end);
    }
    (void)close(fd);
}

static void plain_text_is_no_handshake(void **state)
{
    struct rig *r = *state;
    int64_t end = now_ms() + WAIT_MS_MAX;
    char byte;

    assert_int_equal(try_open(r), ST_OK);
    int fd = dial(r);
    assert_true(send(fd, GET, sizeof(GET) - 1, 0) > 0);
    while (recv(fd, &byte, 1, 0) < 0 && now_ms() < end)
        turn(r);
    while (http_server_connections(r->server) > 0) {
        turn(r);
        assert_true(now_ms() < end);
    }
    (void)close(fd);
}

static long serial_seen(struct rig *r)
{
    struct client c;

    assert_true(shake(r, &c, TLS1_3_VERSION));
    X509 *x = SSL_get1_peer_certificate(c.ssl);
    long serial = ASN1_INTEGER_get(X509_get_serialNumber(x));
    X509_free(x);
    hang_up(&c);
    return serial;
}

static void reload_takes_the_new_or_keeps_the_old(void **state)
{
    struct rig *r = *state;
    struct client before;
    struct conf_tls bad = r->listen.tls;
    struct tls_context *fresh = NULL;

    assert_int_equal(try_open(r), ST_OK);
    assert_true(shake(r, &before, TLS1_3_VERSION));
    assert_int_equal(serial_seen(r), 1);
    bad.key = r->other; /* of another certificate */
    assert_int_equal(tls_context_new(&bad, &fresh), ST_CRYPTO);
    assert_int_equal(serial_seen(r), 1);
    make_certificate(r->certificate, r->key, 3);
    assert_int_equal(serial_seen(r), 1); /* not before it is told */
    assert_int_equal(tls_context_new(&r->listen.tls, &fresh), ST_OK);
    assert_int_equal(serial_seen(r), 1); /* nor before it is put to use */
    http_server_use_tls(r->server, fresh);
    tls_context_free(fresh); /* the server holds it */
    assert_int_equal(serial_seen(r), 3);
    say(r, &before, GET, sizeof(GET) - 1); /* old connections live on */
    (void)hear(r, &before, "secure 1");
    hang_up(&before);
}

static void bad_files_are_an_error(void **state)
{
    struct rig *r = *state;
    char missing[] = "/nonexistent/lethe.pem";

    r->listen.tls.key = r->other;
    assert_int_equal(try_open(r), ST_CRYPTO);
    r->listen.tls.key = missing;
    assert_int_equal(try_open(r), ST_CRYPTO);
    r->listen.tls.key = r->key;
    r->listen.tls.certificate = missing;
    assert_int_equal(try_open(r), ST_CRYPTO);
    assert_null(r->server);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(both_versions_keep_alive),
        ROW(old_versions_are_refused),
        ROW(large_bodies_both_ways),
        ROW(expect_100_continue_once),
        ROW(a_stuck_handshake_is_cut),
        ROW(plain_text_is_no_handshake),
        ROW(reload_takes_the_new_or_keeps_the_old),
        ROW(bad_files_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
