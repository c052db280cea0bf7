/* merkle.h - RFC 6962 hashing, and the one door to OpenSSL's low-level
 * SHA-256 (design.md section 4). Free of the gateway. */
#ifndef LETHE_GATEWAY_AUDIT_MERKLE_H
#define LETHE_GATEWAY_AUDIT_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 32u

/* SHA-256(0x00 || data), SHA-256(0x01 || left || right). */
void merkle_leaf(const void *data, size_t len, uint8_t out[HASH_BYTES]);
void merkle_node(const uint8_t left[HASH_BYTES],
                 const uint8_t right[HASH_BYTES], uint8_t out[HASH_BYTES]);

/* A growing tree's root in log(n) memory. Zeroed = empty. */
struct merkle_stack {
    uint8_t hashes[64][HASH_BYTES]; /* one a bit of size */
    uint64_t size;
};
void merkle_add(struct merkle_stack *m, const uint8_t leaf[HASH_BYTES]);
/* MTH of what was added; SHA-256 of nothing when empty. */
void merkle_root(const struct merkle_stack *m, uint8_t out[HASH_BYTES]);

void sha256(const void *data, size_t len, uint8_t out[HASH_BYTES]);

#endif
