#include "lethe/gateway/http/cors.h"

#include <assert.h>

static void add(struct http_answer *a, struct slice name, struct slice value)
{
    assert(a->header_count < HTTP_ANSWER_HEADERS_MAX);
    a->headers[a->header_count++] = (struct beacon_header){name, value};
}

void cors_add(struct http_answer *a, struct slice origin)
{
    add(a, SLICE("Vary"), SLICE("Origin"));
    if (origin.len == 0)
        return;
    add(a, SLICE("Access-Control-Allow-Origin"), origin);
    add(a, SLICE("Access-Control-Allow-Credentials"), SLICE("true"));
    add(a, SLICE("Access-Control-Expose-Headers"), SLICE("Retry-After"));
}

void cors_preflight(struct http_answer *a, struct slice origin)
{
    *a = (struct http_answer){.status = 204};
    add(a, SLICE("Vary"), SLICE("Origin"));
    if (origin.len == 0)
        return;
    add(a, SLICE("Access-Control-Allow-Origin"), origin);
    add(a, SLICE("Access-Control-Allow-Credentials"), SLICE("true"));
    add(a, SLICE("Access-Control-Allow-Methods"), SLICE("GET, POST, OPTIONS"));
    add(a, SLICE("Access-Control-Allow-Headers"), SLICE(CORS_REQUEST_HEADERS));
    add(a, SLICE("Access-Control-Max-Age"), SLICE(CORS_MAX_AGE));
}
