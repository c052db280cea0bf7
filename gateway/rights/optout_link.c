#include "lethe/gateway/rights/optout_link.h"

#include <sodium.h>
#include <string.h>

#define PREFIX      "lk1-"
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN     crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD_BYTES  9u /* expiry in ms, count */
#define PLAIN_MAX   (HEAD_BYTES + OPTOUT_LINK_BYTES_MAX)
#define VARIANT     sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* The opt-out key makes tags; what seals links is a key of its own. */
static void subkey(const uint8_t optout_key[KEY_BYTES], uint8_t out[32])
{
    static const char label[] = "lethe.link.v1";

    (void)crypto_generichash(out, 32, (const uint8_t *)label, sizeof(label) - 1,
                             optout_key, KEY_BYTES);
}

static enum status put_plain(const struct slice *ids, unsigned id_count,
                             int64_t expires_ms, struct buf *out)
{
    if (id_count == 0 || id_count > OPTOUT_LINK_IDS_MAX)
        return ST_LIMIT;
    buf_put_u64(out, (uint64_t)expires_ms);
    buf_put_char(out, (char)id_count);
    for (unsigned i = 0; i < id_count; i++) {
        if (ids[i].len == 0 || ids[i].len > OPTOUT_LINK_ID_MAX)
            return ST_LIMIT;
        buf_put_u16(out, (uint16_t)ids[i].len);
        buf_put(out, ids[i]);
    }
    return out->failed ? ST_LIMIT : ST_OK;
}

static void put_sealed(const uint8_t optout_key[KEY_BYTES], struct slice site,
                       struct slice plain, struct buf *out)
{
    uint8_t sealed[NONCE_BYTES + PLAIN_MAX + TAG_LEN], key[32];
    char text[OPTOUT_LINK_TEXT_MAX];
    unsigned long long len = 0;

    subkey(optout_key, key);
    randombytes_buf(sealed, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed + NONCE_BYTES, &len, (const uint8_t *)plain.at, plain.len,
        (const uint8_t *)site.at, site.len, NULL, sealed, key);
    (void)sodium_bin2base64(text, sizeof(text), sealed,
                            NONCE_BYTES + (size_t)len, VARIANT);
    buf_put(out, SLICE(PREFIX));
    buf_put(out, slice_of(text));
    sodium_memzero(key, sizeof(key));
}

enum status optout_link_make(const uint8_t optout_key[KEY_BYTES],
                             struct slice site_id, const struct slice *ids,
                             unsigned id_count, int64_t expires_ms,
                             struct buf *out)
{
    struct buf plain;

    buf_init(&plain, PLAIN_MAX);
    enum status st = put_plain(ids, id_count, expires_ms, &plain);
    if (st == ST_OK)
        put_sealed(optout_key, site_id, buf_slice(&plain), out);
    buf_wipe(&plain);
    buf_free(&plain);
    return st == ST_OK && out->failed ? ST_NOMEM : st;
}

/* The sealed bytes of the one spelling that a link has. */
static enum status decode(struct slice text, uint8_t *out, size_t max,
                          size_t *out_len)
{
    char again[OPTOUT_LINK_TEXT_MAX];
    const char *end = NULL;

    if (!slice_starts(text, SLICE(PREFIX)) || text.len >= OPTOUT_LINK_TEXT_MAX)
        return ST_SYNTAX;
    text = slice_skip(text, sizeof(PREFIX) - 1);
    if (sodium_base642bin(out, max, text.at, text.len, NULL, out_len, &end,
                          VARIANT) != 0 ||
        end != text.at + text.len)
        return ST_SYNTAX;
    (void)sodium_bin2base64(again, sizeof(again), out, *out_len, VARIANT);
    if (!slice_eq(slice_of(again), text))
        return ST_SYNTAX;
    return *out_len < NONCE_BYTES + TAG_LEN + HEAD_BYTES ? ST_SYNTAX : ST_OK;
}

/* What is sealed under our key was written by put_plain(). */
static enum status take_plain(size_t len, int64_t now_ms,
                              struct optout_link *out)
{
    const uint8_t *p = out->bytes, *end = out->bytes + len;
    uint64_t expires = 0;

    for (unsigned i = 0; i < 8; i++)
        expires = expires << 8 | *p++;
    unsigned count = *p++;
    if ((int64_t)expires <= now_ms)
        return ST_CLOSED;
    out->id_count = 0;
    while (out->id_count < count && end - p >= 2) {
        size_t id_len = (size_t)p[0] << 8 | p[1];
        p += 2;
        if (id_len > (size_t)(end - p) || out->id_count == OPTOUT_LINK_IDS_MAX)
            return ST_CRYPTO;
        out->ids[out->id_count++] = (struct slice){(const char *)p, id_len};
        p += id_len;
    }
    return p == end && out->id_count == count ? ST_OK : ST_CRYPTO;
}

enum status optout_link_open(const uint8_t optout_key[KEY_BYTES],
                             struct slice site_id, struct slice text,
                             int64_t now_ms, struct optout_link *out)
{
    uint8_t sealed[NONCE_BYTES + PLAIN_MAX + TAG_LEN], key[32];
    size_t len = 0;
    unsigned long long plain_len = 0;
    enum status st = decode(text, sealed, sizeof(sealed), &len);

    if (st != ST_OK)
        return st;
    subkey(optout_key, key);
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(
        out->bytes, &plain_len, NULL, sealed + NONCE_BYTES, len - NONCE_BYTES,
        (const uint8_t *)site_id.at, site_id.len, sealed, key);
    sodium_memzero(key, sizeof(key));
    return bad != 0 ? ST_CRYPTO : take_plain((size_t)plain_len, now_ms, out);
}
