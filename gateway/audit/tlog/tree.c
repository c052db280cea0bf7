/* tree.c - making and checking proofs by the recursion of RFC 6962, each step
 * as the RFC writes it. Depth is at most 64. */
#include "lethe/gateway/audit/tlog/tree.h"

#include <stdbool.h>
#include <string.h>

/* The largest power of two below `n`; n >= 2. */
static uint64_t split(uint64_t n)
{
    return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* Root of the leaves [from, to). `from` is a multiple of a power of two that
 * is at least their number, as in every split of a tree. */
static enum status range_root(const struct tree_source *s, uint64_t from,
                              uint64_t to, uint8_t out[HASH_BYTES])
{
    uint8_t left[HASH_BYTES], right[HASH_BYTES];
    uint64_t n = to - from;
    enum status st;

    if ((n & (n - 1)) == 0) {
        unsigned level = (unsigned)__builtin_ctzll(n);
        return s->hash(s->ctx, level, from >> level, out);
    }
    uint64_t k = split(n);
    st = range_root(s, from, from + k, left);
    if (st == ST_OK)
        st = range_root(s, from + k, to, right);
    if (st == ST_OK)
        merkle_node(left, right, out);
    return st;
}

enum status tree_root(const struct tree_source *source, uint64_t size,
                      uint8_t out[HASH_BYTES])
{
    if (size > 0)
        return range_root(source, 0, size, out);
    sha256(NULL, 0, out);
    return ST_OK;
}

/* The root of [from, to) as the proof's next hash. */
static enum status put_range(const struct tree_source *s, uint64_t from,
                             uint64_t to, struct tree_proof *out)
{
    enum status st = range_root(s, from, to, out->hashes[out->count]);

    out->count += st == ST_OK;
    return st;
}

static enum status include(const struct tree_source *s, uint64_t index,
                           uint64_t from, uint64_t to, struct tree_proof *out)
{
    enum status st;

    if (to - from == 1)
        return ST_OK;
    uint64_t middle = from + split(to - from);
    bool left = index < middle;
    st = left ? include(s, index, from, middle, out)
              : include(s, index, middle, to, out);
    if (st != ST_OK)
        return st;
    return left ? put_range(s, middle, to, out)
                : put_range(s, from, middle, out);
}

enum status tree_inclusion(const struct tree_source *source, uint64_t index,
                           uint64_t size, struct tree_proof *out)
{
    struct tree_proof proof = {.count = 0};
    enum status st;

    if (index >= size)
        return ST_LIMIT;
    st = include(source, index, 0, size, &proof);
    if (st == ST_OK)
        *out = proof;
    return st;
}

/* SUBPROOF of the RFC; `known`: the old root is what the checker has. */
static enum status subproof(const struct tree_source *s, uint64_t old,
                            uint64_t from, uint64_t to, bool known,
                            struct tree_proof *out)
{
    enum status st;

    if (old == to)
        return known ? ST_OK : put_range(s, from, to, out);
    uint64_t middle = from + split(to - from);
    if (old <= middle) {
        st = subproof(s, old, from, middle, known, out);
        return st == ST_OK ? put_range(s, middle, to, out) : st;
    }
    st = subproof(s, old, middle, to, false, out);
    return st == ST_OK ? put_range(s, from, middle, out) : st;
}

enum status tree_consistency(const struct tree_source *source, uint64_t old,
                             uint64_t size, struct tree_proof *out)
{
    struct tree_proof proof = {.count = 0};
    enum status st = ST_OK;

    if (old > size)
        return ST_LIMIT;
    if (old > 0 && old < size)
        st = subproof(source, old, 0, size, true, &proof);
    if (st == ST_OK)
        *out = proof;
    return st;
}

/* The last hash not yet used; false: the proof is too short. */
static bool take_hash(const struct tree_proof *p, unsigned *left,
                      const uint8_t **out)
{
    if (*left == 0)
        return false;
    *out = p->hashes[--*left];
    return true;
}

static bool lead(const struct tree_proof *p, unsigned *left, uint64_t index,
                 uint64_t n, const uint8_t leaf[HASH_BYTES],
                 uint8_t out[HASH_BYTES])
{
    const uint8_t *beside;

    if (n == 1) {
        memcpy(out, leaf, HASH_BYTES);
        return true;
    }
    uint64_t k = split(n);
    if (!take_hash(p, left, &beside))
        return false;
    if (index < k) {
        if (!lead(p, left, index, k, leaf, out))
            return false;
        merkle_node(out, beside, out);
        return true;
    }
    if (!lead(p, left, index - k, n - k, leaf, out))
        return false;
    merkle_node(beside, out, out);
    return true;
}

enum status tree_check_inclusion(const struct tree_proof *proof, uint64_t index,
                                 uint64_t size, const uint8_t leaf[HASH_BYTES],
                                 const uint8_t root[HASH_BYTES])
{
    uint8_t got[HASH_BYTES];
    unsigned left = proof->count;

    if (index >= size || left > TREE_PROOF_MAX ||
        !lead(proof, &left, index, size, leaf, got) || left != 0 ||
        memcmp(got, root, HASH_BYTES) != 0)
        return ST_MISMATCH;
    return ST_OK;
}

struct both {
    uint8_t old[HASH_BYTES], now[HASH_BYTES];
};

static bool lead_both(const struct tree_proof *p, unsigned *left, uint64_t old,
                      uint64_t n, const uint8_t *known, struct both *out)
{
    const uint8_t *beside;

    if (old == n) {
        if (known == NULL && !take_hash(p, left, &known))
            return false;
        memcpy(out->old, known, HASH_BYTES);
        memcpy(out->now, known, HASH_BYTES);
        return true;
    }
    uint64_t k = split(n);
    if (!take_hash(p, left, &beside))
        return false;
    if (old <= k) {
        if (!lead_both(p, left, old, k, known, out))
            return false;
        merkle_node(out->now, beside, out->now);
        return true;
    }
    if (!lead_both(p, left, old - k, n - k, NULL, out))
        return false;
    merkle_node(beside, out->old, out->old);
    merkle_node(beside, out->now, out->now);
    return true;
}

static bool is_empty_root(const uint8_t root[HASH_BYTES])
{
    uint8_t empty[HASH_BYTES];

    sha256(NULL, 0, empty);
    return memcmp(root, empty, HASH_BYTES) == 0;
}

enum status tree_check_consistency(const struct tree_proof *proof, uint64_t old,
                                   const uint8_t old_root[HASH_BYTES],
                                   uint64_t size,
                                   const uint8_t root[HASH_BYTES])
{
    struct both got;
    unsigned left = proof->count;

    if (old > size || left > TREE_PROOF_MAX)
        return ST_MISMATCH;
    if (old == 0)
        return left == 0 && is_empty_root(old_root) &&
                       (size > 0 || is_empty_root(root))
                   ? ST_OK
                   : ST_MISMATCH;
    if (!lead_both(proof, &left, old, size, old_root, &got) || left != 0 ||
        memcmp(got.old, old_root, HASH_BYTES) != 0 ||
        memcmp(got.now, root, HASH_BYTES) != 0)
        return ST_MISMATCH;
    return ST_OK;
}
