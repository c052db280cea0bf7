/* tree.h - proofs in an RFC 6962 tree (sections 2.1.1 and 2.1.2). Free of the
 * gateway: whoever holds the hashes hands them in.
 *
 * A perfect subtree is named by (level, number): its leaves are
 * [number << level, (number + 1) << level). Level 0 are the leaves. */
#ifndef LETHE_GATEWAY_AUDIT_TLOG_TREE_H
#define LETHE_GATEWAY_AUDIT_TLOG_TREE_H

#include "lethe/gateway/audit/merkle.h"
#include "lethe/policy/base/status.h"

#define TREE_PROOF_MAX 64u /* hashes of one proof, for any 64-bit size */

/* The hash of a perfect subtree that the tree holds whole. Called for no
 * other. */
typedef enum status tree_hash_fn(void *ctx, unsigned level, uint64_t number,
                                 uint8_t out[HASH_BYTES]);
struct tree_source {
    tree_hash_fn *hash;
    void *ctx;
};

struct tree_proof {
    uint8_t hashes[TREE_PROOF_MAX][HASH_BYTES]; /* as RFC 6962 lists them */
    unsigned count;
};

/* Root of the first `size` leaves; SHA-256 of nothing for none.
 * Errors: those of `source`. */
enum status tree_root(const struct tree_source *source, uint64_t size,
                      uint8_t out[HASH_BYTES]) MUST_CHECK;

/* That leaf `index` is in the tree of `size`. Errors: ST_LIMIT (it is not),
 * those of `source`. */
enum status tree_inclusion(const struct tree_source *source, uint64_t index,
                           uint64_t size, struct tree_proof *out) MUST_CHECK;
/* That the tree of `size` begins with the tree of `old`; empty for old = 0 or
 * old = size. Errors: ST_LIMIT (old > size), those of `source`. */
enum status tree_consistency(const struct tree_source *source, uint64_t old,
                             uint64_t size, struct tree_proof *out) MUST_CHECK;

/* Does the proof lead from the leaf's hash to the root? Errors: ST_MISMATCH. */
enum status tree_check_inclusion(const struct tree_proof *proof, uint64_t index,
                                 uint64_t size, const uint8_t leaf[HASH_BYTES],
                                 const uint8_t root[HASH_BYTES]) MUST_CHECK;
/* Does it lead to both roots? An old size of 0 needs no proof, and its root
 * must be that of no leaves. Errors: ST_MISMATCH. */
enum status tree_check_consistency(const struct tree_proof *proof, uint64_t old,
                                   const uint8_t old_root[HASH_BYTES],
                                   uint64_t size,
                                   const uint8_t root[HASH_BYTES]) MUST_CHECK;

#endif
