#include "lethe/gateway/store/fragment.h"

#include "lethe/gateway/store/bytes.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* A fragment: fixed head, sweep tags, grouping key, body. Big-endian.
 *  0 flags (bit 0: GPC)   1 number of tags   2 length of the grouping key
 *  3 rule    5 source    7 length of the body
 * 11 ev     19 expires_ms    27 optout_seen    35 decides */
#define HEAD_BYTES 43u
#define FLAG_GPC   0x01u
#define AAD_BYTES  20u

_Static_assert(BLOB_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
               "nonce size");
_Static_assert(BLOB_OVERHEAD ==
                   BLOB_NONCE_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "sealing overhead");
_Static_assert(KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
               "key size");

static void head_encode(const struct fragment *f, uint8_t head[HEAD_BYTES])
{
    head[0] = f->gpc ? FLAG_GPC : 0;
    head[1] = (uint8_t)f->tag_count;
    head[2] = (uint8_t)f->group.len;
    be_put16(head + 3, f->rule);
    be_put16(head + 5, f->source);
    be_put32(head + 7, (uint32_t)f->body.len);
    be_put64(head + 11, f->ev);
    be_put64(head + 19, (uint64_t)f->expires_ms);
    be_put64(head + 27, f->optout_seen);
    memcpy(head + 35, f->decides, sizeof(f->decides));
}

void fragment_copy(struct buf *blob, const struct fragment *f)
{
    uint8_t head[HEAD_BYTES];

    if (f->tag_count > FRAGMENT_TAGS_MAX || f->group.len > FRAGMENT_GROUP_MAX ||
        f->body.len > FRAGMENT_BODY_MAX) {
        blob->failed = true;
        return;
    }
    size_t tags = f->tag_count * (size_t)TAG_BYTES;
    if (!buf_reserve(blob, HEAD_BYTES + tags + f->group.len + f->body.len))
        return;
    head_encode(f, head);
    buf_put_bytes(blob, head, sizeof(head));
    buf_put_bytes(blob, f->tags, tags);
    buf_put(blob, f->group);
    buf_put(blob, f->body);
}

void fragment_put(struct buf *blob, const struct clean_hit *clean,
                  const struct fragment *f)
{
    /* Only minimise.c makes a clean hit: holding one is the permission. */
    assert(clean != NULL);
    (void)clean;
    fragment_copy(blob, f);
}

static enum status head_decode(const uint8_t *head, struct fragment *f)
{
    *f = (struct fragment){.gpc = (head[0] & FLAG_GPC) != 0,
                           .tag_count = head[1],
                           .rule = be_get16(head + 3),
                           .source = be_get16(head + 5),
                           .ev = be_get64(head + 11),
                           .expires_ms = (int64_t)be_get64(head + 19),
                           .optout_seen = be_get64(head + 27)};
    f->group.len = head[2];
    f->body.len = be_get32(head + 7);
    memcpy(f->decides, head + 35, sizeof(f->decides));
    if ((head[0] & ~FLAG_GPC) != 0 || f->tag_count > FRAGMENT_TAGS_MAX ||
        f->group.len > FRAGMENT_GROUP_MAX || f->body.len > FRAGMENT_BODY_MAX)
        return ST_CORRUPT;
    return ST_OK;
}

enum status fragment_next(struct slice *rest, struct fragment *out)
{
    struct fragment f;

    if (rest->len == 0)
        return ST_END;
    if (rest->len < HEAD_BYTES ||
        head_decode((const uint8_t *)rest->at, &f) != ST_OK)
        return ST_CORRUPT;
    const char *at = rest->at + HEAD_BYTES;
    size_t tags = f.tag_count * (size_t)TAG_BYTES;
    size_t need = tags + f.group.len + f.body.len; /* small: no overflow */
    if (need > rest->len - HEAD_BYTES)
        return ST_CORRUPT;
    memcpy(f.tags, at, tags);
    f.group.at = at + tags;
    f.body.at = f.group.at + f.group.len;
    *rest = slice_skip(*rest, HEAD_BYTES + need);
    *out = f;
    return ST_OK;
}

void sealer_init(struct sealer *s)
{
    int ready = sodium_init();

    assert(ready >= 0);
    (void)ready;
    randombytes_buf(s->prefix, sizeof(s->prefix));
    s->counter = 0;
}

/* Moved to another destination, slot or life of a slot, a blob must not
 * open. */
static void aad_make(const struct spool_key *key, uint32_t count,
                     uint8_t out[AAD_BYTES])
{
    be_put64(out, key->destination);
    be_put32(out + 8, key->slot);
    be_put32(out + 12, key->use);
    be_put32(out + 16, count);
}

enum status blob_seal(struct sealer *s, const struct spool_key *key,
                      uint32_t count, struct slice plain, struct buf *out)
{
    uint8_t aad[AAD_BYTES];

    if (s->counter == UINT64_MAX || plain.len > SIZE_MAX - BLOB_OVERHEAD ||
        plain.len + BLOB_OVERHEAD > out->cap - out->len)
        return ST_LIMIT;
    if (!buf_reserve(out, plain.len + BLOB_OVERHEAD))
        return ST_NOMEM;
    uint8_t *nonce = (uint8_t *)out->data + out->len;
    memcpy(nonce, s->prefix, sizeof(s->prefix));
    be_put64(nonce + sizeof(s->prefix), s->counter++);
    aad_make(key, count, aad);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        nonce + BLOB_NONCE_BYTES, NULL, (const uint8_t *)plain.at, plain.len,
        aad, sizeof(aad), NULL, nonce, key->key);
    out->len += plain.len + BLOB_OVERHEAD;
    return ST_OK;
}

enum status blob_open(const struct spool_key *key, uint32_t count,
                      struct slice sealed, struct buf *out)
{
    uint8_t aad[AAD_BYTES];

    buf_reset(out);
    if (sealed.len < BLOB_OVERHEAD)
        return ST_CRYPTO;
    size_t len = sealed.len - BLOB_OVERHEAD;
    if (!buf_reserve(out, len + 1)) /* +1: never a NULL target */
        return ST_NOMEM;
    const uint8_t *nonce = (const uint8_t *)sealed.at;
    aad_make(key, count, aad);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (uint8_t *)out->data, NULL, NULL, nonce + BLOB_NONCE_BYTES,
            sealed.len - BLOB_NONCE_BYTES, aad, sizeof(aad), nonce,
            key->key) != 0)
        return ST_CRYPTO;
    out->len = len;
    return ST_OK;
}
