/* Plain events: counts add up, what is handed on is what was understood, and
 * the answer is a JSON document that quotes nothing of the request. The first
 * byte picks the content type. */
#include "fuzz.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    struct arena *arena;
    unsigned hits;
};

static enum status look(void *ctx, struct hit *h)
{
    struct seen *s = ctx;
    struct slice again;

    s->hits++;
    check(h->name.len > 0);
    check(h->identifier_count <= HIT_IDENTIFIERS_MAX);
    check(h->fields == NULL || h->fields->type == JSON_OBJECT);
    check(h->signals.app == NULL || !h->signals.denied);
    for (unsigned i = 0; i < h->identifier_count; i++) {
        const struct identifier *id = &h->identifiers[i];
        check(id->exact.len > 0 && id->canonical.len > 0);
        check(id->canonical.len <= id->exact.len);
        check(dialect_canonical(id->exact, s->arena, &again) == ST_OK);
        check(slice_eq(again, id->canonical));
    }
    return ST_OK;
}

static void check_reply(struct dialect_call *c, struct arena *a)
{
    const struct json_node *root;
    struct reply r;

    dialect_reply(c, &r);
    check(r.status == 200 && r.body.len < 512);
    char *copy = malloc(r.body.len);
    memcpy(copy, r.body.at, r.body.len);
    check(json_read(a, copy, r.body.len, &root, NULL) == ST_OK);
    check(json_member(root, SLICE("status")) != NULL);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice types[] = {SLICE_INIT("application/json"),
                                         SLICE_INIT("application/x-ndjson"),
                                         SLICE_INIT("text/plain")};
    bool ok;
    const struct dialect_route *route =
        dialect_find(SLICE("POST"), SLICE("/v1/events"), &ok);
    struct arena *a = arena_new(64u << 20);
    struct beacon b = {.method = SLICE("POST")};
    struct seen seen = {a, 0};
    struct dialect_call call;

    if (size == 0) {
        arena_free(a);
        return 0;
    }
    b.content_type = types[data[0] % 3];
    b.body_len = size - 1;
    b.body = malloc(size);
    memcpy(b.body, data + 1, size - 1);
    b.query = (struct slice){(const char *)data, size};
    dialect_begin(&call, route, &b, a);
    enum status st = dialect_read(&call);
    if (st == ST_OK)
        st = dialect_decode(&call, look, &seen);
    const struct decoded out = call.decoded;
    check(out.understood == seen.hits && out.received >= out.understood);
    check(out.bad_count <= DIALECT_BAD_MAX);
    check(out.bad_count <= out.received - out.understood);
    for (unsigned i = 0; i < out.bad_count; i++)
        check(out.bad[i] < out.received &&
              (i == 0 || out.bad[i] > out.bad[i - 1]));
    if (st == ST_OK)
        check_reply(&call, a);
    free(b.body);
    arena_free(a);
    return 0;
}
