#include "lethe/gateway/rights/optout_receipt.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define PREFIX       "lo1-"
#define PREFIX_BYTES 4u
#define CHECK_BYTES  8u
#define BODY_BYTES   (8u + 16u) /* masked number, commitment's key */
#define RAW_BYTES    (BODY_BYTES + CHECK_BYTES)
#define VARIANT      sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* First `len` bytes of a keyed hash under a label of its own. */
static void keyed(const uint8_t key[KEY_BYTES], uint8_t label,
                  const uint8_t *bytes, size_t len, uint8_t out[8])
{
    uint8_t message[1 + 14 + BODY_BYTES] = {0};
    uint8_t hash[16];

    assert(len <= BODY_BYTES);
    message[0] = label;
    memcpy(message + 1, "lethe.receipt.", 14);
    memcpy(message + 15, bytes, len);
    (void)crypto_generichash(hash, sizeof(hash), message, 15 + len, key,
                             KEY_BYTES);
    memcpy(out, hash, 8);
}

/* The number, masked or unmasked (the same step) with the commitment's key. */
static void mask_number(const uint8_t key[KEY_BYTES], uint8_t raw[RAW_BYTES])
{
    uint8_t mask[8];

    keyed(key, 'm', raw + 8, 16, mask);
    for (size_t i = 0; i < 8; i++)
        raw[i] ^= mask[i];
}

void optout_receipt_make(const uint8_t key[KEY_BYTES], uint64_t number,
                         const uint8_t commit_key[16],
                         char out[OPTOUT_RECEIPT_MAX])
{
    uint8_t raw[RAW_BYTES];

    for (size_t i = 0; i < 8; i++)
        raw[i] = (uint8_t)(number >> (56 - 8 * i));
    memcpy(raw + 8, commit_key, 16);
    mask_number(key, raw);
    keyed(key, 'c', raw, BODY_BYTES, raw + BODY_BYTES);
    memcpy(out, PREFIX, PREFIX_BYTES);
    (void)sodium_bin2base64(out + PREFIX_BYTES,
                            OPTOUT_RECEIPT_MAX - PREFIX_BYTES, raw, sizeof(raw),
                            VARIANT);
    sodium_memzero(raw, sizeof(raw));
}

/* libsodium 1.0.18 reads some bytes above 127 as digits: one receipt must have
 * one spelling. */
static bool is_base64url(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

static enum status decode(struct slice text, uint8_t raw[RAW_BYTES])
{
    size_t len = 0;

    return text.len == OPTOUT_RECEIPT_BYTES &&
                   slice_starts(text, SLICE(PREFIX)) && is_base64url(text) &&
                   sodium_base642bin(raw, RAW_BYTES, text.at + PREFIX_BYTES,
                                     text.len - PREFIX_BYTES, NULL, &len, NULL,
                                     VARIANT) == 0 &&
                   len == RAW_BYTES
               ? ST_OK
               : ST_SYNTAX;
}

enum status optout_receipt_open(struct slice text, uint8_t out_commit_key[16])
{
    uint8_t raw[RAW_BYTES];
    enum status st = decode(text, raw);

    if (st == ST_OK)
        memcpy(out_commit_key, raw + 8, 16);
    sodium_memzero(raw, sizeof(raw));
    return st;
}

enum status optout_receipt_read(const uint8_t key[KEY_BYTES], struct slice text,
                                uint64_t *out_number,
                                uint8_t out_commit_key[16])
{
    uint8_t raw[RAW_BYTES], check[CHECK_BYTES];
    uint64_t number = 0;

    if (decode(text, raw) != ST_OK)
        return ST_SYNTAX;
    keyed(key, 'c', raw, BODY_BYTES, check);
    if (sodium_memcmp(check, raw + BODY_BYTES, CHECK_BYTES) != 0)
        return ST_UNKNOWN;
    mask_number(key, raw);
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | raw[i];
    *out_number = number;
    memcpy(out_commit_key, raw + 8, 16);
    sodium_memzero(raw, sizeof(raw));
    return ST_OK;
}

void optout_commitment_text(const uint8_t commitment[32],
                            char out[OPTOUT_COMMITMENT_TEXT])
{
    (void)sodium_bin2base64(out, OPTOUT_COMMITMENT_TEXT, commitment, 32,
                            sodium_base64_VARIANT_ORIGINAL);
}
