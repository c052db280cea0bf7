/* Any way of cutting a request gives the same outcome, the same parts and the
 * same body; and a complete request lies within what was fed. */
#include "fuzz.h"
#include "lethe/gateway/http/parser.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX 4096u

struct result {
    struct http_parser p;
    enum http_progress got;
    char *data;
    size_t len; /* fed until the outcome was there */
};

static struct result run(const uint8_t *bytes, size_t size, unsigned seed)
{
    struct result r = {.got = HTTP_MORE};

    http_parser_init(&r.p, BODY_MAX);
    r.data = calloc(1, size + 1);
    if (r.data == NULL)
        abort();
    do {
        size_t more = seed == 0 ? size - r.len : 1 + seed % 7;
        seed = seed * 1103515245u + 12345u * (seed != 0);
        more = more < size - r.len ? more : size - r.len;
        if (more > 0)
            memcpy(r.data + r.len, bytes + r.len, more);
        r.len += more;
        r.got = http_parser_feed(&r.p, r.data, r.len);
    } while (r.got == HTTP_MORE && r.len < size);
    return r;
}

static void check_spans(const struct result *r)
{
    check(r->p.end <= r->len && r->p.body_at <= r->p.end);
    check(r->p.body_len <= BODY_MAX);
    check(r->p.header_count <= HTTP_HEADERS_MAX);
    check(!(r->p.chunked && r->p.lengths > 0));
    for (unsigned i = 0; i < r->p.header_count; i++) {
        struct slice v = http_span_of(r->data, r->p.headers[i].value);
        check(r->p.headers[i].value.at + v.len <= r->p.body_at);
        check(v.len == 0 || (memchr(v.at, '\r', v.len) == NULL &&
                             memchr(v.at, '\n', v.len) == NULL &&
                             memchr(v.at, '\0', v.len) == NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct result a = run(data + 1, size - 1, 0);
    struct result b = run(data + 1, size - 1, 1u + data[0]);

    check(a.got == b.got && a.p.refused == b.p.refused);
    if (a.got == HTTP_COMPLETE) {
        check_spans(&a);
        check_spans(&b);
        check(a.p.end == b.p.end && a.p.body_len == b.p.body_len);
        check(memcmp(a.data + a.p.body_at, b.data + b.p.body_at,
                     a.p.body_len) == 0);
        check(a.p.header_count == b.p.header_count);
        check(memcmp(a.p.headers, b.p.headers,
                     a.p.header_count * sizeof(a.p.headers[0])) == 0);
        check(memcmp(&a.p.host, &b.p.host, sizeof(a.p.host)) == 0);
    }
    free(a.data);
    free(b.data);
    return 0;
}
