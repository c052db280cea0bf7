#include "lethe/gateway/random.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void random_init(struct random_source *r)
{
    int ready = sodium_init();

    assert(ready >= 0); /* without randomness nothing here is safe */
    (void)ready;
    memset(r->pool, 0, sizeof(r->pool));
    r->used = RANDOM_POOL_BYTES;
}

/* Bytes that were handed out must not be found here later. */
static size_t take_from_pool(struct random_source *r, uint8_t *out, size_t len)
{
    size_t left = RANDOM_POOL_BYTES - r->used;
    size_t part = len < left ? len : left;

    memcpy(out, r->pool + r->used, part);
    sodium_memzero(r->pool + r->used, part);
    r->used += part;
    return part;
}

void random_take(struct random_source *r, void *out, size_t len)
{
    uint8_t *at = out;

    assert(r->used <= RANDOM_POOL_BYTES);
    if (len >= RANDOM_POOL_BYTES) {
        randombytes_buf(at, len);
        return;
    }
    while (len > 0) {
        if (r->used == RANDOM_POOL_BYTES) {
            randombytes_buf(r->pool, RANDOM_POOL_BYTES);
            r->used = 0;
        }
        size_t part = take_from_pool(r, at, len);
        at += part;
        len -= part;
    }
}

uint64_t random_u64(struct random_source *r)
{
    uint64_t v;

    random_take(r, &v, sizeof(v));
    return v;
}

void random_wipe(struct random_source *r)
{
    sodium_memzero(r->pool, sizeof(r->pool));
    r->used = RANDOM_POOL_BYTES;
}
