/* pseudonym.c - the constructions of design.md section 6, and nothing else:
 * no state, no randomness, no choice of algorithm. */
#include "lethe/policy/pseudonym.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PERSONAL_BYTES crypto_generichash_blake2b_PERSONALBYTES
#define DIGEST_BYTES   32u
#define WIDE_BYTES     16u /* what a shape is filled from */

static_assert(KEY_BYTES == crypto_generichash_blake2b_KEYBYTES, "key size");
static_assert(TAG_BYTES >= crypto_generichash_blake2b_BYTES_MIN, "tag size");

typedef crypto_generichash_blake2b_state hash_state;

/* Zero-padded to the 16 bytes that BLAKE2b takes. */
static const uint8_t PSEUDONYM_V1[PERSONAL_BYTES] = "lethe.pseud.v1";
static const uint8_t SHAPE_V1[PERSONAL_BYTES] = "lethe.shape.v1";
static const uint8_t EVENT_V1[PERSONAL_BYTES] = "lethe.event.v1";
static const uint8_t SUBJECT_V1[PERSONAL_BYTES] = "audit.subject.v1";

/* libsodium's hash calls fail only for sizes out of range, and all of ours
 * are constants: a failure is our own bug, and going on would hand out
 * whatever lay on the stack. */
static void must(int result)
{
    if (result != 0)
        abort();
}

static void start(hash_state *s, const uint8_t *key, size_t key_len,
                  const uint8_t *personal, size_t out_len)
{
    must(crypto_generichash_blake2b_init_salt_personal(s, key, key_len, out_len,
                                                       NULL, personal));
}

static void add(hash_state *s, const void *bytes, size_t len)
{
    must(crypto_generichash_blake2b_update(s, bytes, len));
}

static void put_u32(uint8_t out[4], size_t v)
{
    assert(v <= UINT32_MAX);
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

/* LP(x): so that ("ab","c") and ("a","bc") are two messages (R24). */
static void add_lp(hash_state *s, struct slice x)
{
    uint8_t length[4];

    put_u32(length, x.len);
    add(s, length, sizeof length);
    if (x.len > 0)
        add(s, x.at, x.len);
}

static void finish(hash_state *s, uint8_t *out, size_t len)
{
    must(crypto_generichash_blake2b_final(s, out, len));
    sodium_memzero(s, sizeof *s);
}

void epoch_key_make(const uint8_t master[KEY_BYTES],
                    const uint8_t secret[KEY_BYTES], uint8_t out[KEY_BYTES])
{
    hash_state s;

    start(&s, master, KEY_BYTES, NULL, KEY_BYTES);
    add(&s, "epoch", 5);
    add(&s, secret, KEY_BYTES);
    finish(&s, out, KEY_BYTES);
}

/* RFC 4648 base32 in lower case without padding; returns the length. */
static size_t base32(const uint8_t *bytes, size_t len, char *out)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t held = 0;
    unsigned bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        held = held << 8 | bytes[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            out[n++] = letters[held >> bits & 31];
        }
    }
    if (bits > 0)
        out[n++] = letters[held << (5 - bits) & 31];
    return n;
}

/* The first `bits` bits of the digest, the rest of the last byte zero. */
static struct slice cut(uint8_t *digest, unsigned bits)
{
    size_t bytes = (bits + 7) / 8;
    unsigned spare = (unsigned)(bytes * 8) - bits;

    digest[bytes - 1] &= (uint8_t)(0xffu << spare);
    return (struct slice){(const char *)digest, bytes};
}

size_t pseudonym_make(const uint8_t epoch_key[KEY_BYTES],
                      const struct pseudonym_scope *scope, enum id_kind kind,
                      struct slice identifier, unsigned bits,
                      enum pseudonym_shape shape, char out[PSEUDONYM_TEXT_MAX])
{
    uint8_t digest[DIGEST_BYTES];
    uint8_t wide[WIDE_BYTES];
    hash_state s;

    assert(bits >= 8 && bits <= 128);
    assert(shape == SHAPE_BASE32);
    (void)shape;
    start(&s, epoch_key, KEY_BYTES, PSEUDONYM_V1, sizeof digest);
    add_lp(&s, scope->site);
    add_lp(&s, scope->destination);
    add_lp(&s, scope->purpose);
    add_lp(&s, slice_of(id_kind_name(kind)));
    add_lp(&s, identifier);
    finish(&s, digest, sizeof digest);

    start(&s, epoch_key, KEY_BYTES, SHAPE_V1, sizeof wide);
    add_lp(&s, scope->destination);
    add_lp(&s, cut(digest, bits));
    finish(&s, wide, sizeof wide);
    return base32(wide, sizeof wide, out);
}

void event_key_make(const uint8_t epoch_key[KEY_BYTES],
                    const struct pseudonym_scope *scope,
                    uint8_t out[EVENT_KEY_BYTES])
{
    hash_state s;

    start(&s, epoch_key, KEY_BYTES, EVENT_V1, EVENT_KEY_BYTES);
    add_lp(&s, scope->site);
    add_lp(&s, scope->destination);
    add_lp(&s, scope->purpose);
    finish(&s, out, EVENT_KEY_BYTES);
}

void event_id_of(const uint8_t event_key[EVENT_KEY_BYTES], struct slice own_id,
                 char out[EVENT_ID_TEXT_BYTES])
{
    uint8_t digest[crypto_shorthash_siphashx24_BYTES];

    static_assert(sizeof digest == WIDE_BYTES &&
                      EVENT_KEY_BYTES == crypto_shorthash_siphashx24_KEYBYTES,
                  "SipHash-128");
    must(crypto_shorthash_siphashx24(digest, (const uint8_t *)own_id.at,
                                     own_id.len, event_key));
    base32(digest, sizeof digest, out);
}

void event_id_make(const uint8_t epoch_key[KEY_BYTES],
                   const struct pseudonym_scope *scope, struct slice own_id,
                   char out[EVENT_ID_TEXT_BYTES])
{
    uint8_t key[EVENT_KEY_BYTES];

    event_key_make(epoch_key, scope, key);
    event_id_of(key, own_id, out);
    wipe(key, sizeof key);
}

void optout_tag_make(const uint8_t optout_key[KEY_BYTES], struct slice site,
                     struct slice canonical, uint8_t out[TAG_BYTES])
{
    hash_state s;

    start(&s, optout_key, KEY_BYTES, NULL, TAG_BYTES);
    add_lp(&s, site);
    add_lp(&s, canonical);
    finish(&s, out, TAG_BYTES);
}

void sweep_tag_make(const uint8_t spool_key[KEY_BYTES],
                    const uint8_t tag[TAG_BYTES], uint8_t out[TAG_BYTES])
{
    must(crypto_generichash_blake2b(out, TAG_BYTES, tag, TAG_BYTES, spool_key,
                                    KEY_BYTES));
}

uint64_t cache_hash(const uint8_t key[16], const void *bytes, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t v = 0;

    static_assert(crypto_shorthash_KEYBYTES == 16, "SipHash key size");
    must(crypto_shorthash(out, bytes, len, key));
    for (unsigned i = 0; i < sizeof out; i++)
        v |= (uint64_t)out[i] << 8 * i; /* SipHash's own byte order */
    return v;
}

/* LP(x), or LP(hash of x) where x is long; returns the bytes written. */
static size_t put_lp(uint8_t *out, struct slice x)
{
    uint8_t digest[DIGEST_BYTES];

    if (x.len > MARK_DIRECT_MAX) {
        plain_hash(x.at, x.len, digest);
        x = (struct slice){(const char *)digest, sizeof digest};
    }
    put_u32(out, x.len);
    if (x.len > 0)
        memcpy(out + 4, x.at, x.len);
    return 4 + x.len;
}

uint64_t subject_mark_make(const uint8_t day_key[16], struct slice site,
                           struct slice canonical)
{
    uint8_t message[2 * (4 + MARK_DIRECT_MAX)];
    uint64_t mark;
    size_t n;

    n = put_lp(message, site);
    n += put_lp(message + n, canonical);
    mark = cache_hash(day_key, message, n);
    sodium_memzero(message, n);
    return mark;
}

void subject_commitment_make(const uint8_t key[16], struct slice identifier,
                             uint8_t out[32])
{
    hash_state s;

    start(&s, key, 16, SUBJECT_V1, 32);
    if (identifier.len > 0)
        add(&s, identifier.at, identifier.len);
    finish(&s, out, 32);
}

void plain_hash(const void *bytes, size_t len, uint8_t out[32])
{
    must(crypto_generichash_blake2b(out, 32, bytes, len, NULL, 0));
}

void sha256_hash(const void *bytes, size_t len, uint8_t out[32])
{
    must(crypto_hash_sha256(out, bytes, len));
}

void wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}
