/* GA4 and Universal Analytics: the first byte picks the route, the first line
 * is the query, the rest the body. Counts add up, every identifier can be
 * looked up, and the fields are one well-formed object. */
#include "fuzz.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_fields(const struct json_node *fields)
{
    uint32_t members = 0;

    check(fields->type == JSON_OBJECT);
    for (const struct json_node *n = json_first(fields); n != NULL;
         n = json_next(fields, n)) {
        members++;
        check(json_member(fields, n->key) == n); /* no name twice */
    }
    check(members == fields->count);
}

static enum status look(void *ctx, struct hit *h)
{
    unsigned *hits = ctx;

    (*hits)++;
    check(h->name.len > 0);
    check(h->identifier_count <= HIT_IDENTIFIERS_MAX);
    for (unsigned i = 0; i < h->identifier_count; i++)
        check(h->identifiers[i].exact.len > 0 &&
              h->identifiers[i].canonical.len > 0);
    if (h->fields != NULL)
        check_fields(h->fields);
    for (unsigned i = 0; i < CONSENT_TYPE_COUNT; i++)
        check(h->signals.mode.said[i] <= CONSENT_DENIED);
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/g/collect", "/mp/collect", "/collect",
                                        "/batch"};
    struct arena *a = arena_new(64u << 20);
    struct beacon b = {.method = SLICE("POST")};
    struct dialect_call call;
    unsigned hits = 0;
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
        st = dialect_decode(&call, look, &hits);
    check(call.decoded.understood == hits &&
          call.decoded.received >= call.decoded.understood);
    if (st == ST_OK) {
        struct reply r;
        dialect_reply(&call, &r);
        check(r.status == 200 || r.status == 204);
    }
    free(b.body);
    arena_free(a);
    return 0;
}
