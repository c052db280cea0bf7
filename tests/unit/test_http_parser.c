/* The HTTP parser: what it takes, what it refuses, at each limit and one
 * beyond, however the bytes were cut. */
#include "lethe/gateway/http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BODY_MAX 64u
#define ROOM     65536u

/* Feed `text` in pieces of `step` bytes (0 = at once), from a fresh block a
 * call, so that a pointer kept by the parser would be caught. */
static enum http_progress feed(struct http_parser *p, struct slice text,
                               size_t step, char **out_data)
{
    enum http_progress got = HTTP_MORE;
    char *data = NULL;
    size_t len = 0;

    http_parser_init(p, BODY_MAX);
    do {
        size_t more =
            step == 0 || text.len - len < step ? text.len - len : step;
        char *next = malloc(len + more + 1);
        assert_non_null(next);
        if (len > 0)
            memcpy(next, data, len);
        memcpy(next + len, text.at + len, more);
        free(data);
        data = next;
        len += more;
        got = http_parser_feed(p, data, len);
    } while (got == HTTP_MORE && len < text.len);
    if (out_data != NULL)
        *out_data = data;
    else
        free(data);
    return got;
}

#define HOST "Host: a.example\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST /v1/events HTTP/1.1\r\n" HOST

struct case_row {
    int status; /* 0 = complete, -1 = needs more */
    const char *text;
};

static const struct case_row cases[] = {
    /* plain and good */
    {0, GET "\r\n"},
    {0, "\r\n" GET "\r\n"},
    {0, "GET / HTTP/1.0\r\n\r\n"},
    {0, "GET / HTTP/1.0\r\nHost: x\r\n\r\n"},
    {0, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
    {0, "GET http://b.example/x?y HTTP/1.1\r\n" HOST "\r\n"},
    {0, "GET HTTPS://b.example:8443 HTTP/1.1\r\n" HOST "\r\n"},
    {0, "GET / HTTP/1.1\r\nhOsT:[::1]:80\r\n\r\n"},
    {0, "GET / HTTP/1.1\r\nHost:\t a.example:80 \t\r\n\r\n"},
    {0, "WEIRD-method! /x HTTP/1.1\r\n" HOST "\r\n"},
    {0, GET "X:\r\nY: a\tb \xc3\xa9\r\n\r\n"},
    {0, POST "Content-Length: 0\r\n\r\n"},
    {0, POST "Content-Length: 3\r\n\r\nabc"},
    {0, POST "Content-Length: 003\r\n\r\nabc"},
    {0, POST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
    {0, POST "Transfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n000;x\r\n"
             "X-Trailer: 1\r\n\r\n"},
    {0, POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"},
    {0, "GET / HTTP/1.0\r\nExpect: nonsense\r\n\r\n"},
    /* not all there */
    {-1, ""},
    {-1, "\r"},
    {-1, GET},
    {-1, GET "\r"},
    {-1, POST "Content-Length: 3\r\n\r\nab"},
    {-1, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"},
    /* smuggling: two lengths, two codings, both */
    {400, POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"},
    {400, POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc"},
    {400, POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"},
    {400, POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
    {400, POST "Content-Length: 3, 3\r\n\r\nabc"},
    {400, POST "Content-Length: +3\r\n\r\nabc"},
    {400, POST "Content-Length: -3\r\n\r\nabc"},
    {400, POST "Content-Length: 0x3\r\n\r\nabc"},
    {400, POST "Content-Length: 3 3\r\n\r\nabc"},
    {400, POST "Content-Length: \r\n\r\n"},
    {400, POST "Content-Length: 18446744073709551619\r\n\r\nabc"},
    {400, POST "Content-Length : 3\r\n\r\nabc"},
    {400, POST "Content-Length\t: 3\r\n\r\nabc"},
    {400, POST " Content-Length: 3\r\n\r\nabc"},
    {400, POST "X: 1\r\n folded\r\n\r\n"},
    {400, POST "X: 1\r\n\tfolded\r\n\r\n"},
    {400, POST "\x0b"
               "Transfer-Encoding: chunked\r\n\r\n"},
    {400, POST "Transfer-Encoding: \x0b"
               "chunked\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
               "\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"},
    {400, POST "Transfer-Encoding:\r\n\r\n"},
    {501, POST "Transfer-Encoding: identity\r\n\r\n"},
    {501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {501, POST "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {501, POST "Transfer-Encoding: xchunked\r\n\r\n"},
    {501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"},
    {501, POST "Transfer-Encoding: chunked;q=1\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    /* chunk framing */
    {400, POST "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n;x\r\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n000000003\r\nabc\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n3;\n\r\nabc\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nab\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n y\r\n\r\n"},
    {413, POST "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"},
    /* line ends and control bytes */
    {400, "GET / HTTP/1.1\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\r\n\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"},
    {400, GET "X: a\x01"
              "b\r\n\r\n"},
    {400, GET "X: a\x7f\r\n\r\n"},
    {400, "\n" GET "\r\n"},
    {400, "\r\n\r\n" GET "\r\n"},
    /* request line */
    {400, " GET / HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /  HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
    {400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /\r\n" HOST "\r\n"},
    {400, "GET\r\n\r\n"},
    {400, "GE(T / HTTP/1.1\r\n" HOST "\r\n"},
    {400, "G\xc3\x89T / HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET x HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET * HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /#f HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"},
    {400, "CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET ftp://a.example/ HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET http:///x HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET http://u@a.example/ HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET http://a.example:x/ HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET http://a.example/ HTTP/1.1\r\n\r\n"},
    {400, "GET / http/1.1\r\n" HOST "\r\n"},
    {400, "GET / HTTP/11\r\n" HOST "\r\n"},
    {400, "GET / HTTP/1.1x\r\n" HOST "\r\n"},
    {505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
    {505, "GET / HTTP/1.2\r\n" HOST "\r\n"},
    {505, "GET / HTTP/0.9\r\n" HOST "\r\n"},
    {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    /* Host */
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, GET HOST "\r\n"},
    {400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"},
    {400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n"},
    /* the rest */
    {400, GET "no colon\r\n\r\n"},
    {400, GET ": nameless\r\n\r\n"},
    {400, GET "a b: c\r\n\r\n"},
    {417, GET "Expect: something\r\n\r\n"},
    {413, POST "Content-Length: 65\r\n\r\n"},
    {413, POST "Content-Length: 9223372036854775807\r\n\r\n"},
};

static int outcome(struct slice text, size_t step)
{
    struct http_parser p;

    switch (feed(&p, text, step, NULL)) {
    case HTTP_COMPLETE:
        return 0;
    case HTTP_MORE:
        return -1;
    case HTTP_REFUSED:
        break;
    }
    return p.refused;
}

static void every_case_whole_and_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice text = slice_of(cases[i].text);
        for (size_t step = 0; step < 8; step++) {
            int got = outcome(text, step);
            if (got != cases[i].status)
                fail_msg("case %zu, step %zu: %d, not %d:\n%s", i, step, got,
                         cases[i].status, cases[i].text);
        }
    }
}

static void every_prefix_of_a_good_request_needs_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice text = slice_of(cases[i].text);
        if (cases[i].status != 0)
            continue;
        for (size_t len = 0; len < text.len; len++)
            assert_int_equal(outcome(slice_head(text, len), 0), -1);
    }
}

static void nul_is_refused_wherever_it_stands(void **state)
{
    char text[] = POST "X: y\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3;a\r\nabc\r\n0\r\nT: u\r\n\r\n";
    struct slice all = {text, sizeof(text) - 1};
    const char *data = strstr(text, "abc");

    (void)state;
    assert_int_equal(outcome(all, 0), 0);
    for (size_t i = 0; i < all.len; i++) {
        if (text + i >= data && text + i < data + 3)
            continue; /* a body may hold anything */
        char was = text[i];
        text[i] = '\0';
        assert_int_equal(outcome(all, 0), 400);
        assert_int_equal(outcome(all, 1), 400);
        text[i] = was;
    }
}

static void expect_span(const char *data, struct http_span s, const char *want)
{
    assert_true(slice_eq(http_span_of(data, s), slice_of(want)));
}

static void parts_are_found(void **state)
{
    struct slice text = SLICE("POST /s/a%20b/v1?x=1&y HTTP/1.1\r\nHost: "
                              "[::1]:8080\r\nX-One:  two \r\n"
                              "Content-Length: 5\r\nConnection: x, CLOSE\r\n"
                              "\r\nhelloGET");
    struct http_parser p;
    char *data;

    (void)state;
    for (size_t step = 0; step < 4; step++) {
        assert_int_equal(feed(&p, text, step, &data), HTTP_COMPLETE);
        expect_span(data, p.method, "POST");
        expect_span(data, p.target, "/s/a%20b/v1?x=1&y");
        expect_span(data, p.path, "/s/a%20b/v1");
        expect_span(data, p.query, "x=1&y");
        expect_span(data, p.authority, "[::1]:8080");
        expect_span(data, p.host, "[::1]");
        assert_int_equal(p.header_count, 4);
        expect_span(data, p.headers[1].name, "X-One");
        expect_span(data, p.headers[1].value, "two");
        assert_false(p.keep_alive);
        assert_int_equal(p.body_len, 5);
        assert_memory_equal(data + p.body_at, "hello", 5);
        assert_int_equal(p.end, text.len - 3);
        assert_int_equal(http_parser_whole(&p), text.len - 3);
        free(data);
    }
}

static void absolute_form_gives_the_host(void **state)
{
    struct slice text =
        SLICE("GET http://b.example:81?q HTTP/1.1\r\n" HOST "\r\n");
    struct http_parser p;
    char *data;

    (void)state;
    assert_int_equal(feed(&p, text, 0, &data), HTTP_COMPLETE);
    expect_span(data, p.host, "b.example");
    expect_span(data, p.authority, "b.example:81");
    expect_span(data, p.path, "");
    expect_span(data, p.query, "q");
    free(data);
}

static void chunks_are_joined_and_the_next_request_is_found(void **state)
{
    struct slice text =
        SLICE(POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0a;x=y\r\n"
                   "bcdefghijk\r\n2\r\nlm\r\n0\r\nSec-GPC: 1\r\n\r\nGET / H");
    struct http_parser p;
    char *data;

    (void)state;
    for (size_t step = 0; step < text.len; step++) {
        assert_int_equal(feed(&p, text, step, &data), HTTP_COMPLETE);
        assert_int_equal(p.body_len, 13);
        assert_memory_equal(data + p.body_at, "abcdefghijklm", 13);
        assert_int_equal(p.end, text.len - 7);
        assert_int_equal(p.header_count, 2); /* trailers are no headers */
        assert_int_equal(http_parser_whole(&p), 0);
        free(data);
    }
}

static void connection_rows(void **state)
{
    static const struct {
        const char *text;
        bool keep;
    } rows[] = {
        {GET "\r\n", true},
        {GET "Connection: close\r\n\r\n", false},
        {GET "Connection: keep-alive, close\r\n\r\n", false},
        {GET "Connection: Close\r\nConnection: keep-alive\r\n\r\n", false},
        {GET "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive,close\r\n\r\n", false},
    };
    struct http_parser p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(feed(&p, slice_of(rows[i].text), 0, NULL),
                         HTTP_COMPLETE);
        assert_int_equal(p.keep_alive, rows[i].keep);
    }
}

/* before + n times `fill` + after */
static int repeated(const char *before, const char *fill, size_t n,
                    const char *after)
{
    char *text = calloc(1, ROOM);
    size_t len = 0, fill_len = strlen(fill);

    assert_non_null(text);
    len += (size_t)snprintf(text, ROOM, "%s", before);
    for (size_t i = 0; i < n; i++, len += fill_len)
        memcpy(text + len, fill, fill_len);
    len += (size_t)snprintf(text + len, ROOM - len, "%s", after);
    int whole = outcome((struct slice){text, len}, 0);
    assert_int_equal(outcome((struct slice){text, len}, 997), whole);
    free(text);
    return whole;
}

static void limits_at_and_one_beyond(void **state)
{
    const char *end = " HTTP/1.1\r\n" HOST "\r\n";
    size_t head = sizeof(GET "X: \r\n\r\n") - 1;

    (void)state;
    assert_int_equal(repeated("GET /", "a", HTTP_TARGET_MAX - 1, end), 0);
    assert_int_equal(repeated("GET /", "a", HTTP_TARGET_MAX, end), 414);
    assert_int_equal(repeated("GET /", "a", 20000, ""), 414);
    assert_int_equal(
        repeated("", "M", HTTP_METHOD_MAX, " / HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_int_equal(
        repeated("", "M", HTTP_METHOD_MAX + 1, " / HTTP/1.1\r\n" HOST "\r\n"),
        400);
    assert_int_equal(repeated(GET, "X: y\r\n", HTTP_HEADERS_MAX - 1, "\r\n"),
                     0);
    assert_int_equal(repeated(GET, "X: y\r\n", HTTP_HEADERS_MAX, "\r\n"), 431);
    assert_int_equal(repeated(GET "X: ", "y", HTTP_HEAD_MAX - head, "\r\n\r\n"),
                     0);
    assert_int_equal(
        repeated(GET "X: ", "y", HTTP_HEAD_MAX - head + 1, "\r\n\r\n"), 431);
    assert_int_equal(repeated(GET "X: ", "y", 20000, ""), 431);
    assert_int_equal(
        repeated("GET / HTTP/1.1\r\nHost: ", "h", HTTP_HOST_MAX, "\r\n\r\n"),
        0);
    assert_int_equal(repeated("GET / HTTP/1.1\r\nHost: ", "h",
                              HTTP_HOST_MAX + 1, "\r\n\r\n"),
                     400);
}

static void body_limits_at_and_one_beyond(void **state)
{
    const char *chunked = POST "Transfer-Encoding: chunked\r\n\r\n";
    char before[256];

    (void)state;
    assert_int_equal(
        repeated(POST "Content-Length: 64\r\n\r\n", "x", BODY_MAX, ""), 0);
    assert_int_equal(repeated(POST "Content-Length: 65\r\n\r\n", "x", 65, ""),
                     413);
    /* "3c\r\n" + 60 bytes = 64: framing counts */
    (void)snprintf(before, sizeof(before), "%s3c\r\n", chunked);
    assert_int_equal(repeated(before, "x", 60, "\r\n0\r\n\r\n"), 413);
    (void)snprintf(before, sizeof(before), "%s37\r\n", chunked);
    assert_int_equal(repeated(before, "x", 55, "\r\n0\r\n\r\n"), 0);
    (void)snprintf(before, sizeof(before), "%s38\r\n", chunked);
    assert_int_equal(repeated(before, "x", 56, "\r\n0\r\n\r\n"), 413);
    (void)snprintf(before, sizeof(before), "%s1;", chunked);
    assert_int_equal(
        repeated(before, "e", HTTP_CHUNK_LINE_MAX - 3, "\r\nx\r\n0\r\n\r\n"),
        400);
    (void)snprintf(before, sizeof(before), "%s0\r\nT: ", chunked);
    assert_int_equal(repeated(before, "t", HTTP_TRAILERS_MAX - 7, "\r\n\r\n"),
                     0);
    assert_int_equal(repeated(before, "t", HTTP_TRAILERS_MAX - 6, "\r\n\r\n"),
                     431);
}

/* The chunk line's own limit, with a body limit that does not come first. */
static void chunk_line_limit(void **state)
{
    char text[1024];
    struct http_parser p;

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        int pad = (int)HTTP_CHUNK_LINE_MAX - 4 + extra;
        int len = snprintf(text, sizeof(text),
                           POST "Transfer-Encoding: chunked\r\n\r\n1;%0*d\r\nx"
                                "\r\n0\r\n\r\n",
                           pad, 0);
        http_parser_init(&p, 4096);
        assert_int_equal(http_parser_feed(&p, text, (size_t)len),
                         extra ? HTTP_REFUSED : HTTP_COMPLETE);
        assert_int_equal(p.refused, extra ? 400 : 0);
    }
}

static void paths_are_decoded_once(void **state)
{
    static const struct {
        const char *in, *out; /* NULL = refused */
    } rows[] = {
        {"/a", "/a"},         {"/a%20b", "/a b"},
        {"/%41", "/A"},       {"/%2f", "/%2f"},
        {"/%252f", "/%252f"}, {"/%c3%A9", "/%c3%A9"},
        {"/%2e%2e", "/.."},   {"", ""},
        {"/%", NULL},         {"/%4", NULL},
        {"/%zz", NULL},       {"/%00", NULL},
        {"/%0a", NULL},       {"/%7f", NULL},
        {"/%7E%7e", "/~~"},
    };
    char out[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum status st = http_decode_path(slice_of(rows[i].in), out, &len);
        assert_int_equal(st, rows[i].out == NULL ? ST_SYNTAX : ST_OK);
        if (st == ST_OK)
            assert_true(
                slice_eq((struct slice){out, len}, slice_of(rows[i].out)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_whole_and_in_pieces),
        cmocka_unit_test(every_prefix_of_a_good_request_needs_more),
        cmocka_unit_test(nul_is_refused_wherever_it_stands),
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(absolute_form_gives_the_host),
        cmocka_unit_test(chunks_are_joined_and_the_next_request_is_found),
        cmocka_unit_test(connection_rows),
        cmocka_unit_test(limits_at_and_one_beyond),
        cmocka_unit_test(body_limits_at_and_one_beyond),
        cmocka_unit_test(chunk_line_limit),
        cmocka_unit_test(paths_are_decoded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
