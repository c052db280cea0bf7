/* fragment.h - what waits in the spool: wire-ready bytes of one clean hit
 * with what delivery must know, packed into blobs and sealed (storage.md
 * sections 2-4). Blob = XChaCha20-Poly1305 under K_spool; nonce = 16 random
 * bytes of the sealer (per process and thread) and a counter, never
 * repeated; associated data = destination, slot, use, count. */
#ifndef LETHE_GATEWAY_STORE_FRAGMENT_H
#define LETHE_GATEWAY_STORE_FRAGMENT_H

#include "lethe/gateway/store/spool_keys.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/clean_hit.h"
#include "lethe/policy/wire.h"

#define FRAGMENT_BODY_MAX  262144u        /* wire-ready bytes of one event */
#define FRAGMENT_TAGS_MAX  8u             /* HIT_IDENTIFIERS_MAX */
#define FRAGMENT_GROUP_MAX WIRE_GROUP_MAX /* grouping key: a client id ... */
#define BLOB_NONCE_BYTES   24u
#define BLOB_OVERHEAD      (BLOB_NONCE_BYTES + 16u)

struct fragment {
    uint64_t ev;          /* receipt number, for later audit rows */
    int64_t expires_ms;   /* wall clock */
    uint64_t optout_seen; /* newest opt-out number its lookup saw */
    uint16_t rule;        /* that cleared it */
    uint16_t source;      /* dialect */
    bool gpc;             /* forwarded under GPC: grouped apart (R62) */
    uint8_t decides[8];   /* delivery_plan.decides */
    unsigned tag_count;
    uint8_t tags[FRAGMENT_TAGS_MAX][TAG_BYTES]; /* sweep tags */
    struct slice group;                         /* grouping key or empty */
    struct slice body;                          /* wire-ready bytes */
};

/* Append one fragment to a plain (unsealed) blob. `clean` is asked for only
 * so that nothing but minimised data can get here: body is its encoding.
 * Sets blob->failed when it does not fit. */
void fragment_put(struct buf *blob, const struct clean_hit *clean,
                  const struct fragment *f);

/* As fragment_put for a fragment that was read from a blob (dead letters). */
void fragment_copy(struct buf *blob, const struct fragment *f);

/* Next fragment of an opened blob; *rest moves on. ST_END at its end,
 * ST_CORRUPT if the bytes are not whole. */
enum status fragment_next(struct slice *rest, struct fragment *out) MUST_CHECK;

struct sealer { /* one a thread */
    uint8_t prefix[16];
    uint64_t counter;
};
void sealer_init(struct sealer *s);

/* Append nonce || ciphertext to `out`. Errors: ST_NOMEM, ST_LIMIT. */
enum status blob_seal(struct sealer *s, const struct spool_key *key,
                      uint32_t count, struct slice plain,
                      struct buf *out) MUST_CHECK;

/* Open into `out` (reset first). Errors: ST_CRYPTO, ST_NOMEM. */
enum status blob_open(const struct spool_key *key, uint32_t count,
                      struct slice sealed, struct buf *out) MUST_CHECK;

#endif
