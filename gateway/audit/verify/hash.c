/* hash.c - RFC 6962 trees over SHA-256, and base64 in its one spelling. */
#include "parts.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

/* OpenSSL 3 calls its low-level SHA-256 deprecated; what replaces it costs
 * several times as much for 33 bytes, which is what a row is. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

void v_hash_bytes(const void *data, size_t len, uint8_t out[HASH])
{
    SHA256_CTX c;

    SHA256_Init(&c);
    SHA256_Update(&c, data, len);
    SHA256_Final(out, &c);
}

void v_hash_leaf(const void *data, size_t len, uint8_t out[HASH])
{
    uint8_t bytes[1 + LINE_BYTES];

    bytes[0] = 0x00;
    memcpy(bytes + 1, data, len);
    v_hash_bytes(bytes, 1 + len, out);
}

static void hash_node(const uint8_t left[HASH], const uint8_t right[HASH],
                      uint8_t out[HASH])
{
    uint8_t bytes[1 + 2 * HASH];

    bytes[0] = 0x01;
    memcpy(bytes + 1, left, HASH);
    memcpy(bytes + 1 + HASH, right, HASH);
    v_hash_bytes(bytes, sizeof(bytes), out);
}

void v_tree_add(struct tree *t, unsigned level, const uint8_t hash[HASH])
{
    uint64_t leaves = UINT64_C(1) << level;
    uint8_t carry[HASH];

    memcpy(carry, hash, HASH);
    for (; (t->size >> level & 1) != 0; level++)
        hash_node(t->peak[level], carry, carry);
    memcpy(t->peak[level], carry, HASH);
    t->size += leaves;
}

void v_tree_root(const struct tree *t, uint8_t out[HASH])
{
    bool any = false;

    v_hash_bytes("", 0, out);
    for (unsigned level = 0; level < 64; level++) {
        if ((t->size >> level & 1) == 0)
            continue;
        if (any)
            hash_node(t->peak[level], out, out);
        else
            memcpy(out, t->peak[level], HASH);
        any = true;
    }
}

bool v_base64_take(struct text s, uint8_t *out, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                 "qrstuvwxyz0123456789+/";
    size_t pad = (3 - len % 3) % 3, n = 0;
    unsigned v = 0, bits = 0;

    if (s.len != (len + 2) / 3 * 4 ||
        memcmp(s.at + s.len - pad, "==", pad) != 0)
        return false;
    for (size_t i = 0; i < s.len - pad; i++) {
        const char *digit = s.at[i] == '\0' ? NULL : strchr(digits, s.at[i]);
        if (digit == NULL)
            return false;
        v = v << 6 | (unsigned)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(v >> bits);
            v &= (1u << bits) - 1;
        }
    }
    return v == 0; /* the last digit's unused bits */
}

void v_base64_put(const uint8_t hash[HASH], char out[45])
{
    (void)sodium_bin2base64(out, 45, hash, HASH,
                            sodium_base64_VARIANT_ORIGINAL);
}
