/* sdk_fixture.h - one request of an SDK through its dialect, and the hits that
 * came of it. Each test program includes it once. */
#ifndef LETHE_TESTS_SDK_FIXTURE_H
#define LETHE_TESTS_SDK_FIXTURE_H

#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HITS_MAX 64

struct fixture {
    struct arena *arena;
    struct dialect_call call;
    struct beacon beacon;
    char *body;
    struct hit hits[HITS_MAX]; /* the newest ones */
    unsigned hit_count;
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->arena = arena_new(256u << 20);
    f->beacon.address = SLICE("192.0.2.7");
    f->beacon.user_agent = SLICE("agent/1");
    f->beacon.language = SLICE("de-AT,de;q=0.9");
    *state = f;
    return f->arena == NULL;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_free(f->arena);
    free(f->body);
    free(f);
    return 0;
}

static inline enum status keep_hit(void *ctx, struct hit *h)
{
    struct fixture *f = ctx;

    f->hits[f->hit_count++ % HITS_MAX] = *h;
    return ST_OK;
}

static inline enum status send_bytes(struct fixture *f, const char *method,
                                     const char *path, const char *query,
                                     const char *body, size_t len)
{
    bool ok;
    const struct dialect_route *route =
        dialect_find(slice_of(method), slice_of(path), &ok);

    assert_non_null(route);
    arena_reset(f->arena);
    free(f->body);
    f->body = malloc(len > 0 ? len : 1);
    memcpy(f->body, body, len);
    f->beacon.method = slice_of(method);
    f->beacon.query = slice_of(query);
    f->beacon.body = f->body;
    f->beacon.body_len = len;
    f->hit_count = 0;
    dialect_begin(&f->call, route, &f->beacon, f->arena);
    enum status st = dialect_read(&f->call);
    return st == ST_OK ? dialect_decode(&f->call, keep_hit, f) : st;
}

static inline enum status send_text(struct fixture *f, const char *method,
                                    const char *path, const char *query,
                                    const char *body)
{
    return send_bytes(f, method, path, query, body, strlen(body));
}

static inline void assert_text(struct slice got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.at, want, got.len) != 0)
        fail_msg("got %.*s, want %s", SLICE_ARG(got), want);
}

#endif
