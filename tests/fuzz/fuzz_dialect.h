/* fuzz_dialect.h - one request of an SDK out of fuzzed bytes: the first byte
 * picks the route, the first line is the query, the rest the body. Each target
 * includes it once. */
#ifndef LETHE_TESTS_FUZZ_DIALECT_H
#define LETHE_TESTS_FUZZ_DIALECT_H

#include "fuzz.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

#include <string.h>

struct fuzz_dialect {
    const char *const *paths;
    unsigned path_count;
    void (*look)(const struct hit *h, struct arena *a);
    void (*answer)(const struct reply *r);
    struct arena *arena; /* of the request at hand */
    unsigned hits;
};

static inline enum status fuzz_take(void *ctx, struct hit *h)
{
    struct fuzz_dialect *f = ctx;

    f->hits++;
    check(h->name.len > 0);
    check(h->identifier_count <= HIT_IDENTIFIERS_MAX);
    for (unsigned i = 0; i < h->identifier_count; i++)
        check(h->identifiers[i].exact.len > 0 &&
              h->identifiers[i].canonical.len > 0);
    check(!h->has_time || h->time_ms >= 0);
    f->look(h, f->arena);
    return ST_OK;
}

/* Counts add up, keys are few, and an understood request is answered. */
static inline int fuzz_dialect_run(struct fuzz_dialect *f, const uint8_t *data,
                                   size_t size)
{
    struct arena *a = arena_new(64u << 20);
    struct beacon b = {.method = SLICE("POST")};
    struct dialect_call call;
    bool ok;

    if (size > 0) {
        struct slice text = {(const char *)data + 1, size - 1};
        b.path = slice_of(f->paths[data[0] % f->path_count]);
        b.query = slice_head(text, slice_find(text, '\n'));
        struct slice rest = slice_skip(text, b.query.len + 1);
        b.body_len = rest.len;
        b.body = malloc(rest.len + 1);
        memcpy(b.body, rest.len > 0 ? rest.at : "", rest.len);
        f->arena = a;
        f->hits = 0;
        dialect_begin(&call, dialect_find(b.method, b.path, &ok), &b, a);
        enum status st = dialect_read(&call);
        check(call.key_count <= DIALECT_KEYS_MAX);
        if (st == ST_OK)
            st = dialect_decode(&call, fuzz_take, f);
        check(call.decoded.understood == f->hits &&
              call.decoded.received >= call.decoded.understood);
        if (st == ST_OK) {
            struct reply r;
            dialect_reply(&call, &r);
            f->answer(&r);
        }
        free(b.body);
    }
    arena_free(a);
    return 0;
}

#endif
