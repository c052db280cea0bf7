#include "lethe/gateway/audit/merkle.h"

#include <openssl/sha.h>
#include <string.h>

/* OpenSSL 3 marks its low-level SHA-256 as deprecated; the replacement costs
 * several times as much for 33 bytes, which is what a row is. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

_Static_assert(HASH_BYTES == SHA256_DIGEST_LENGTH, "one size of hash");

static void hash_parts(uint8_t prefix, const void *a, size_t a_len,
                       const void *b, size_t b_len, uint8_t *out)
{
    SHA256_CTX c;

    SHA256_Init(&c);
    SHA256_Update(&c, &prefix, 1);
    if (a_len > 0)
        SHA256_Update(&c, a, a_len);
    if (b_len > 0)
        SHA256_Update(&c, b, b_len);
    SHA256_Final(out, &c);
}

void merkle_leaf(const void *data, size_t len, uint8_t out[HASH_BYTES])
{
    hash_parts(0x00, data, len, NULL, 0, out);
}

void merkle_node(const uint8_t left[HASH_BYTES],
                 const uint8_t right[HASH_BYTES], uint8_t out[HASH_BYTES])
{
    hash_parts(0x01, left, HASH_BYTES, right, HASH_BYTES, out);
}

void merkle_add(struct merkle_stack *m, const uint8_t leaf[HASH_BYTES])
{
    uint8_t carry[HASH_BYTES];
    unsigned level = 0;

    memcpy(carry, leaf, HASH_BYTES);
    for (; (m->size >> level & 1) != 0; level++)
        merkle_node(m->hashes[level], carry, carry);
    memcpy(m->hashes[level], carry, HASH_BYTES);
    m->size++;
}

void merkle_root(const struct merkle_stack *m, uint8_t out[HASH_BYTES])
{
    uint8_t right[HASH_BYTES];
    unsigned level = 0;

    if (m->size == 0) {
        sha256(NULL, 0, out);
        return;
    }
    while ((m->size >> level & 1) == 0)
        level++;
    memcpy(right, m->hashes[level], HASH_BYTES);
    for (level++; level < 64 && m->size >> level != 0; level++)
        if ((m->size >> level & 1) != 0)
            merkle_node(m->hashes[level], right, right);
    memcpy(out, right, HASH_BYTES);
}

void sha256(const void *data, size_t len, uint8_t out[HASH_BYTES])
{
    SHA256_CTX c;

    SHA256_Init(&c);
    if (len > 0)
        SHA256_Update(&c, data, len);
    SHA256_Final(out, &c);
}
