/* The HTTP sink against a recorder of libevent's own, on the same loop. */
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/sink/sink.h"
#include "lethe/policy/base/clock.h"

#include "certificate.h"
#include "folder.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct recorder {
    struct event_base *base;
    struct evhttp *http;
    SSL_CTX *tls;
    int port;
    int answer; /* status; 0 = hang */
    const char *retry_after;
    bool hostile; /* redirect, cookie, long body */
    unsigned requests;
    char uri[256], method_ok, auth[64], agent[64], gpc[8], type[64], cookie[64];
    char expect[16], body[4096];
    unsigned done;
    struct net_outcome outcome;
};

static struct recorder r;
static struct net_loop *loop;
static char folder[64], url[128];

static void copy_header(struct evhttp_request *q, const char *name, char *out,
                        size_t size)
{
    const char *v =
        evhttp_find_header(evhttp_request_get_input_headers(q), name);

    snprintf(out, size, "%s", v == NULL ? "" : v);
}

static void on_request(struct evhttp_request *q, void *ctx)
{
    struct evkeyvalq *out = evhttp_request_get_output_headers(q);
    struct evbuffer *in = evhttp_request_get_input_buffer(q);

    (void)ctx;
    r.requests++;
    snprintf(r.uri, sizeof(r.uri), "%s", evhttp_request_get_uri(q));
    r.method_ok = evhttp_request_get_command(q) == EVHTTP_REQ_POST;
    copy_header(q, "Authorization", r.auth, sizeof(r.auth));
    copy_header(q, "User-Agent", r.agent, sizeof(r.agent));
    copy_header(q, "Sec-GPC", r.gpc, sizeof(r.gpc));
    copy_header(q, "Content-Type", r.type, sizeof(r.type));
    copy_header(q, "Cookie", r.cookie, sizeof(r.cookie));
    copy_header(q, "Expect", r.expect, sizeof(r.expect));
    ev_ssize_t n = evbuffer_copyout(in, r.body, sizeof(r.body) - 1);
    r.body[n < 0 ? 0 : n] = '\0';
    if (r.answer == 0)
        return;
    if (r.retry_after != NULL)
        evhttp_add_header(out, "Retry-After", r.retry_after);
    struct evbuffer *reply = evbuffer_new();
    if (r.hostile) {
        evhttp_add_header(out, "Location", url);
        evhttp_add_header(out, "Set-Cookie", "id=1; Path=/");
        for (int i = 0; i < 20000; i++)
            evbuffer_add(reply, "0123456789", 10);
    }
    evhttp_send_reply(q, r.answer, NULL, reply);
    evbuffer_free(reply);
}

static void on_done(void *ctx, struct net_transfer *t,
                    const struct net_outcome *o)
{
    (void)ctx;
    (void)t;
    r.done++;
    r.outcome = *o;
}

static struct bufferevent *tls_connection(struct event_base *base, void *ctx)
{
    return bufferevent_openssl_socket_new(base, -1, SSL_new(ctx),
                                          BUFFEREVENT_SSL_ACCEPTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

static void listen_on(void)
{
    struct evhttp_bound_socket *s =
        evhttp_bind_socket_with_handle(r.http, "127.0.0.1", 0);
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    assert_non_null(s);
    assert_int_equal(
        getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&a, &len),
        0);
    r.port = ntohs(a.sin_port);
}

static int setup(void **state)
{
    (void)state;
    memset(&r, 0, sizeof(r));
    snprintf(folder, sizeof(folder), "/tmp/lethe-http-XXXXXX");
    if (mkdtemp(folder) == NULL || secrets_init() != ST_OK)
        return -1;
    r.base = event_base_new();
    r.http = evhttp_new(r.base);
    evhttp_set_gencb(r.http, on_request, NULL);
    listen_on();
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/in?x=1", r.port);
    r.answer = 204;
    return net_loop_open(r.base, &loop) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    net_loop_close(loop);
    evhttp_free(r.http);
    event_base_free(r.base);
    SSL_CTX_free(r.tls);
    return folder_remove(folder);
}

static struct conf_destination conf(void)
{
    return (struct conf_destination){
        .type = DESTINATION_HTTP, .url = url, .timeout_ms = 5000};
}

static void on_late(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    *(bool *)ctx = true;
}

/* Turn the loop until `done` transfers ended, at most ten seconds. */
static void turn_until(unsigned done, unsigned requests)
{
    bool late = false;
    struct event *bound = evtimer_new(r.base, on_late, &late);
    const struct timeval ten = {.tv_sec = 10};

    evtimer_add(bound, &ten);
    while (!late && (r.done < done || r.requests < requests))
        event_base_loop(r.base, EVLOOP_ONCE);
    event_free(bound);
    assert_false(late);
}

static const struct fragment two[2] = {{.body = SLICE_INIT("{\"a\":1}")},
                                       {.body = SLICE_INIT("{\"b\":2}")}};

static struct net_sink *open_sink(const struct conf_destination *c)
{
    struct net_sink *s = NULL;

    assert_int_equal(net_sink_open(loop, c, false, &s), ST_OK);
    return s;
}

static void send_two(struct net_sink *s, bool gpc)
{
    struct net_transfer *t = NULL;
    unsigned before = r.done;

    assert_int_equal(net_send(s, two, 2, gpc, on_done, NULL, &t), ST_OK);
    turn_until(before + 1, 0);
}

static void write_secret(char path[128], const char *text, mode_t mode)
{
    snprintf(path, 128, "%s/token", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void a_batch_is_one_array(void **state)
{
    struct conf_destination c = conf();

    (void)state;
    struct net_sink *s = open_sink(&c);
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_ACCEPTED);
    assert_int_equal(r.outcome.status, 204);
    assert_string_equal(r.body, "[{\"a\":1},{\"b\":2}]");
    assert_string_equal(r.uri, "/in?x=1");
    assert_true(r.method_ok);
    assert_string_equal(r.type, "application/json");
    assert_string_equal(r.auth, "");
    assert_string_equal(r.expect, "");
    assert_int_equal(strncmp(r.agent, "lethe/", 6), 0);
    net_sink_close(s);
}

static void template_type_and_bearer(void **state)
{
    struct conf_destination c = conf();
    char path[128];

    (void)state;
    write_secret(path, "s3cret\n", 0600);
    c.body = "{\"batch\":[{events}],\"v\":1}";
    c.content_type = "application/x-test";
    c.secret_file = path;
    struct net_sink *s = open_sink(&c);
    send_two(s, true);
    assert_string_equal(r.body, "{\"batch\":[{\"a\":1},{\"b\":2}],\"v\":1}");
    assert_string_equal(r.type, "application/x-test");
    assert_string_equal(r.auth, "Bearer s3cret");
    assert_string_equal(r.gpc, "1");
    net_sink_close(s);
    c.body = "{}"; /* no place for the events */
    assert_int_equal(net_sink_open(loop, &c, false, &s), ST_SYNTAX);
    c.body = NULL;
    write_secret(path, "s3cret\n", 0644);
    assert_int_equal(net_sink_open(loop, &c, false, &s), ST_DENIED);
}

static void mixpanel_imports_under_basic_auth(void **state)
{
    struct conf_destination c = conf();
    char path[128], base[64];

    (void)state;
    write_secret(path, "t0ken\n", 0600);
    snprintf(base, sizeof(base), "http://127.0.0.1:%d", r.port);
    c.type = DESTINATION_MIXPANEL;
    c.url = base;
    c.secret_file = path;
    struct net_sink *s = open_sink(&c);
    send_two(s, false);
    assert_string_equal(r.uri, "/import?strict=1&ip=0");
    assert_string_equal(r.auth, "Basic dDBrZW46"); /* "t0ken:" */
    assert_string_equal(r.type, "application/json");
    assert_int_equal(r.outcome.result, NET_ACCEPTED);
    net_sink_close(s);
}

static void r62_sec_gpc_only_on_batches_under_gpc(void **state)
{
    struct conf_destination c = conf();

    (void)state;
    struct net_sink *s = open_sink(&c);
    send_two(s, true);
    assert_string_equal(r.gpc, "1");
    send_two(s, false);
    assert_string_equal(r.gpc, "");
    net_sink_close(s);
}

static void answers_and_what_they_mean(void **state)
{
    static const struct {
        int status;
        enum net_result result;
    } cases[] = {{200, NET_ACCEPTED}, {299, NET_ACCEPTED}, {301, NET_RETRY},
                 {399, NET_RETRY},    {400, NET_REFUSED},  {401, NET_RETRY},
                 {402, NET_REFUSED},  {403, NET_RETRY},    {404, NET_RETRY},
                 {405, NET_RETRY},    {406, NET_REFUSED},  {407, NET_RETRY},
                 {408, NET_RETRY},    {413, NET_REFUSED},  {422, NET_REFUSED},
                 {429, NET_RETRY},    {500, NET_RETRY},    {503, NET_RETRY},
                 {599, NET_RETRY}};
    struct conf_destination c = conf();

    (void)state;
    struct net_sink *s = open_sink(&c);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r.answer = cases[i].status;
        send_two(s, false);
        assert_int_equal(r.outcome.result, cases[i].result);
        assert_int_equal(r.outcome.status, cases[i].status);
    }
    net_sink_close(s);
}

static void retry_after_in_seconds_and_as_a_date(void **state)
{
    struct conf_destination c = conf();
    char date[64];
    time_t then = time(NULL) + 100;
    struct tm tm;

    (void)state;
    struct net_sink *s = open_sink(&c);
    r.answer = 503;
    r.retry_after = "7";
    send_two(s, false);
    assert_int_equal(r.outcome.retry_after_ms, 7000);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT",
             gmtime_r(&then, &tm));
    r.retry_after = date;
    send_two(s, false);
    assert_in_range(r.outcome.retry_after_ms, 90000, 100000);
    r.retry_after = "99999999999999999999999";
    send_two(s, false);
    assert_int_equal(r.outcome.retry_after_ms, 0);
    r.retry_after = "99999999999";
    send_two(s, false);
    assert_int_equal(r.outcome.retry_after_ms, MS_PER_DAY);
    r.retry_after = "soon";
    send_two(s, false);
    assert_int_equal(r.outcome.retry_after_ms, 0);
    net_sink_close(s);
}

static void r18_nothing_of_a_hostile_answer_is_kept_or_followed(void **state)
{
    struct conf_destination c = conf();

    (void)state;
    struct net_sink *s = open_sink(&c);
    r.hostile = true;
    r.answer = 302;
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_RETRY);
    assert_int_equal(r.requests, 1);
    r.answer = 200; /* a body longer than we read: the answer counts */
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_ACCEPTED);
    send_two(s, false);
    assert_string_equal(r.cookie, "");
    net_sink_close(s);
}

static void the_environment_is_not_asked(void **state)
{
    struct conf_destination c = conf();
    char netrc[128];

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    setenv("HOME", folder, 1);
    snprintf(netrc, sizeof(netrc), "%s/.netrc", folder);
    FILE *f = fopen(netrc, "w");
    assert_non_null(f);
    fputs("machine 127.0.0.1 login me password secret\n", f);
    fclose(f);
    struct net_sink *s = open_sink(&c);
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_ACCEPTED);
    assert_string_equal(r.auth, "");
    net_sink_close(s);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

static void urls_that_are_refused(void **state)
{
    static const struct {
        const char *url;
        enum status want;
    } cases[] = {
        {"http://example.com/", ST_DENIED},
        {"http://127.0.0.1.example.com/", ST_DENIED},
        {"http://10.0.0.1/", ST_DENIED},
        {"https://me:secret@example.com/", ST_SYNTAX},
        {"ftp://127.0.0.1/", ST_SYNTAX},
        {"file:///etc/passwd", ST_SYNTAX},
        {"not a url", ST_SYNTAX},
        {"https://example.com/", ST_OK},
        {"http://localhost:9/", ST_OK},
        {"http://[::1]:9/", ST_OK},
    };
    struct conf_destination c = conf();

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net_sink *s = NULL;
        char text[64];
        snprintf(text, sizeof(text), "%s", cases[i].url);
        c.url = text;
        assert_int_equal(net_sink_open(loop, &c, false, &s), cases[i].want);
        net_sink_close(s);
    }
}

static void no_answer_is_tried_again(void **state)
{
    struct conf_destination c = conf();
    char dead[64];

    (void)state;
    c.timeout_ms = 50;
    r.answer = 0;
    struct net_sink *s = open_sink(&c);
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_RETRY);
    assert_int_equal(r.outcome.status, 0);
    net_sink_close(s);
    snprintf(dead, sizeof(dead), "http://127.0.0.1:1/");
    c.url = dead;
    s = open_sink(&c);
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_RETRY);
    net_sink_close(s);
}

static void a_cut_transfer_is_not_told_and_says_what_was_sent(void **state)
{
    struct conf_destination c = conf();
    struct net_transfer *t = NULL, *kept = NULL;
    bool sent = true;

    (void)state;
    r.answer = 0;
    struct net_sink *s = open_sink(&c);
    assert_int_equal(net_send(s, two, 2, false, on_done, NULL, &t), ST_OK);
    assert_false(net_is_sent(t));
    net_cut(t, &sent);
    assert_false(sent);
    assert_int_equal(net_send(s, two, 2, false, on_done, NULL, &t), ST_OK);
    turn_until(0, 1); /* it lies with the recorder, which does not answer */
    net_cut(t, &sent);
    assert_true(sent);
    assert_int_equal(net_send(s, two, 2, false, on_done, NULL, &kept), ST_OK);
    net_sink_close(s); /* cuts what runs */
    assert_int_equal(r.done, 0);
}

static void tls_listen(void)
{
    char certificate[128], key[128];

    snprintf(certificate, sizeof(certificate), "%s/c.pem", folder);
    snprintf(key, sizeof(key), "%s/k.pem", folder);
    make_certificate(certificate, key, 1);
    r.tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(
        SSL_CTX_use_certificate_file(r.tls, certificate, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(r.tls, key, SSL_FILETYPE_PEM),
                     1);
    evhttp_free(r.http);
    r.http = evhttp_new(r.base);
    evhttp_set_gencb(r.http, on_request, NULL);
    evhttp_set_bevcb(r.http, tls_connection, r.tls);
    listen_on();
}

static void r53_tls_is_verified(void **state)
{
    struct conf_destination c = conf();
    char text[64], ca[128];

    (void)state;
    tls_listen();
    snprintf(ca, sizeof(ca), "%s/c.pem", folder);
    snprintf(text, sizeof(text), "https://localhost:%d/", r.port);
    c.url = text;
    struct net_sink *s = open_sink(&c); /* an authority nobody knows */
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_TLS_FAILED);
    net_sink_close(s);
    c.ca = ca;
    s = open_sink(&c);
    SSL_CTX_set_security_level(r.tls, 0);
    SSL_CTX_set_max_proto_version(r.tls, TLS1_1_VERSION);
    send_two(s, false); /* too old a version */
    assert_int_equal(r.outcome.result, NET_TLS_FAILED);
    SSL_CTX_set_max_proto_version(r.tls, 0);
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_ACCEPTED);
    assert_int_equal(r.requests, 1);
    net_sink_close(s);
    snprintf(text, sizeof(text), "https://127.0.0.1:%d/", r.port);
    s = open_sink(&c); /* the right authority, another name */
    send_two(s, false);
    assert_int_equal(r.outcome.result, NET_TLS_FAILED);
    net_sink_close(s);
    assert_int_equal(r.requests, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_batch_is_one_array),
        T(template_type_and_bearer),
        T(mixpanel_imports_under_basic_auth),
        T(r62_sec_gpc_only_on_batches_under_gpc),
        T(answers_and_what_they_mean),
        T(retry_after_in_seconds_and_as_a_date),
        T(r18_nothing_of_a_hostile_answer_is_kept_or_followed),
        T(the_environment_is_not_asked),
        T(urls_that_are_refused),
        T(no_answer_is_tried_again),
        T(a_cut_transfer_is_not_told_and_says_what_was_sent),
        T(r53_tls_is_verified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
