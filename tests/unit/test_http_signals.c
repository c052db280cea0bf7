/* Browser signals, through the real header parser: exact forms only. Also the
 * constants of CORS. */
#include "lethe/gateway/http/cors.h"
#include "lethe/gateway/http/parser.h"
#include "lethe/gateway/http/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct http_signals read_signals(const char *lines)
{
    char text[1024];
    struct http_parser p;
    struct beacon_header headers[HTTP_HEADERS_MAX];
    struct http_signals out;
    int len = snprintf(text, sizeof(text),
                       "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", lines);

    http_parser_init(&p, 0);
    assert_int_equal(http_parser_feed(&p, text, (size_t)len), HTTP_COMPLETE);
    for (unsigned i = 0; i < p.header_count; i++)
        headers[i] =
            (struct beacon_header){http_span_of(text, p.headers[i].name),
                                   http_span_of(text, p.headers[i].value)};
    signals_read(headers, p.header_count, &out);
    return out;
}

struct row {
    const char *lines;
    bool want;
};

static void r61_sec_gpc_only_exact_one(void **state)
{
    static const struct row rows[] = {
        {"Sec-GPC: 1", true},
        {"sec-gpc:1", true},
        {"SEC-GPC: \t1 ", true},
        {"Sec-GPC: 1\r\nSec-GPC: 0", true},
        {"Sec-GPC: 0\r\nSec-GPC: 1", true},
        {"Sec-GPC: true\r\nX: y\r\nSec-GPC: 1", true},
        {"Sec-GPC: 1\r\nSec-GPC: 1", true},
        {"Sec-GPC: 0", false},
        {"Sec-GPC: true", false},
        {"Sec-GPC: 1,0", false},
        {"Sec-GPC: 0, 1", false},
        {"Sec-GPC: 1, 1", false},
        {"Sec-GPC: 1;x", false},
        {"Sec-GPC: \"1\"", false},
        {"Sec-GPC: 01", false},
        {"Sec-GPC: 11", false},
        {"Sec-GPC: ?1", false},
        {"Sec-GPC: +1", false},
        {"Sec-GPC:", false},
        {"Sec-GPC-X: 1", false},
        {"X-Sec-GPC: 1", false},
        {"X: 1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (read_signals(rows[i].lines).gpc != rows[i].want)
            fail_msg("%s", rows[i].lines);
}

static void r64_dnt_only_exact_one(void **state)
{
    static const struct row rows[] = {
        {"DNT: 1", true},  {"dnt:1", true},     {"DNT: 0\r\nDNT: 1", true},
        {"DNT: 0", false}, {"DNT: yes", false}, {"DNT: 1abc", false},
        {"DNT:", false},   {"X-DNT: 1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (read_signals(rows[i].lines).dnt != rows[i].want)
            fail_msg("%s", rows[i].lines);
}

static void r56_the_cookie_only_as_a_whole(void **state)
{
    static const struct row rows[] = {
        {"Cookie: lethe_optout=1", true},
        {"cookie: a=b; lethe_optout=1", true},
        {"Cookie: lethe_optout=1; a=b", true},
        {"Cookie: a=b;lethe_optout=1;c", true},
        {"Cookie: a=b\r\nCookie: lethe_optout=1", true},
        {"Cookie: lethe_optout=0; lethe_optout=1", true},
        {"Cookie: lethe_optout=0", false},
        {"Cookie: lethe_optout=", false},
        {"Cookie: lethe_optout", false},
        {"Cookie: lethe_optout=11", false},
        {"Cookie: lethe_optout=1x", false},
        {"Cookie: xlethe_optout=1", false},
        {"Cookie: x=lethe_optout=1", false},
        {"Cookie: LETHE_OPTOUT=1", false},
        {"Cookie: lethe_optout = 1", false},
        {"Cookie: a=b, lethe_optout=1", false},
        {"Cookie: lethe_optout=\"1\"", false},
        {"Cookie:", false},
        {"X: lethe_optout=1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (read_signals(rows[i].lines).optout_cookie != rows[i].want)
            fail_msg("%s", rows[i].lines);
}

static struct slice answer_header(const struct http_answer *a, const char *name)
{
    for (unsigned i = 0; i < a->header_count; i++)
        if (slice_eq(a->headers[i].name, slice_of(name)))
            return a->headers[i].value;
    return SLICE_NONE;
}

static void cors_answers_are_constants(void **state)
{
    static const char *const asked[] = {"content-type",
                                        "content-encoding",
                                        "authorization",
                                        "anonymousid",
                                        "sentat",
                                        "x-retry-count",
                                        "rsa-retry-attempt",
                                        "rsa-retry-reason",
                                        "rsa-since-first-attempt",
                                        "rsa-since-last-attempt",
                                        "x-write-key",
                                        "x-ip-policy",
                                        "x-umami-cache",
                                        "sp-anonymous",
                                        "traceparent"};
    struct http_answer a;
    char padded[1024], want[64];

    (void)state;
    cors_preflight(&a, SLICE("https://a.example"));
    assert_int_equal(a.status, 204);
    assert_true(slice_eq(answer_header(&a, "Access-Control-Allow-Origin"),
                         SLICE("https://a.example")));
    assert_true(slice_eq(answer_header(&a, "Access-Control-Allow-Credentials"),
                         SLICE("true")));
    struct slice list = answer_header(&a, "Access-Control-Allow-Headers");
    (void)snprintf(padded, sizeof(padded), " %.*s,", (int)list.len, list.at);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        (void)snprintf(want, sizeof(want), " %s,", asked[i]);
        assert_non_null(strstr(padded, want));
    }
    assert_true(slice_eq(answer_header(&a, "Vary"), SLICE("Origin")));
    assert_non_null(answer_header(&a, "Access-Control-Max-Age").at);
}

static void cors_gives_a_foreign_origin_nothing(void **state)
{
    struct http_answer a;

    (void)state;
    cors_preflight(&a, SLICE_NONE);
    assert_int_equal(a.status, 204);
    assert_int_equal(a.header_count, 1); /* Vary */
    a = (struct http_answer){.status = 200};
    cors_add(&a, SLICE_NONE);
    assert_int_equal(a.header_count, 1);
    cors_add(&a, SLICE("https://a.example"));
    assert_int_equal(a.header_count, 1 + CORS_ANSWER_HEADERS);
    assert_true(slice_eq(answer_header(&a, "Access-Control-Expose-Headers"),
                         SLICE("Retry-After")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r61_sec_gpc_only_exact_one),
        cmocka_unit_test(r64_dnt_only_exact_one),
        cmocka_unit_test(r56_the_cookie_only_as_a_whole),
        cmocka_unit_test(cors_answers_are_constants),
        cmocka_unit_test(cors_gives_a_foreign_origin_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
