/* Mixpanel: the first byte picks the route, the first line is the query, the
 * rest the body. Counts add up, every identifier can be looked up and its
 * canonical form is its own, and the answer is one of two constants. */
#include "fuzz.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

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
    check(h->fields != NULL && h->fields->type == JSON_OBJECT);
    check(h->identifier_count <= HIT_IDENTIFIERS_MAX);
    for (unsigned i = 0; i < h->identifier_count; i++) {
        const struct identifier *id = &h->identifiers[i];
        check(id->exact.len > 0 && id->canonical.len > 0);
        check(dialect_canonical(id->exact, s->arena, &again) == ST_OK);
        check(slice_eq(again, id->canonical));
    }
    check(!h->has_time || h->time_ms >= 0);
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/track", "/engage/", "/import",
                                        "/groups"};
    struct arena *a = arena_new(64u << 20);
    struct beacon b = {.method = SLICE("POST")};
    struct seen seen = {a, 0};
    struct dialect_call call;
    bool ok;

    if (size == 0) {
        arena_free(a);
        return 0;
    }
    struct slice text = {(const char *)data + 1, size - 1};
    b.path = slice_of(paths[data[0] % 4]);
    b.query = slice_head(text, slice_find(text, '\n'));
    struct slice rest = slice_skip(text, b.query.len + 1);
    b.body_len = rest.len;
    b.body = malloc(rest.len + 1);
    memcpy(b.body, rest.len > 0 ? rest.at : "", rest.len);
    dialect_begin(&call, dialect_find(b.method, b.path, &ok), &b, a);
    enum status st = dialect_read(&call);
    check(call.key_count <= DIALECT_KEYS_MAX);
    if (st == ST_OK)
        st = dialect_decode(&call, look, &seen);
    check(call.decoded.understood == seen.hits &&
          call.decoded.received >= call.decoded.understood);
    if (st == ST_OK) {
        struct reply r;
        dialect_reply(&call, &r);
        check(r.status == 200 &&
              (slice_eq(r.body, SLICE("1")) ||
               slice_eq(r.body, SLICE("{\"status\":1,\"error\":null}"))));
    }
    free(b.body);
    arena_free(a);
    return 0;
}
