/* Three ways by size: a few members are compared pair by pair; more go
 * through a hash table; and if a client has picked keys that collide there,
 * sorting settles it. The hash needs no secret because of the last. */
#include "json_keys.h"

#include <assert.h>
#include <string.h>

#define PAIRWISE_MAX 8u
#define PROBES_EACH  8u /* a member, on average, before we sort */
#define SLOTS_MAX    (2u * JSON_MEMBERS_MAX)

/* slice_eq() without a call for nearly all pairs: this is a hot loop. */
static inline bool same(struct slice a, struct slice b)
{
    return a.len == b.len &&
           (a.len == 0 ||
            (a.at[0] == b.at[0] && a.at[a.len - 1] == b.at[a.len - 1] &&
             memcmp(a.at, b.at, a.len) == 0));
}

static const struct json_node *repeated_pairwise(const struct json_node *object)
{
    const struct json_node *end = object + object->span;

    for (const struct json_node *a = object + 1; a < end; a += a->span)
        for (const struct json_node *b = object + 1; b < a; b += b->span)
            if (same(a->key, b->key))
                return a;
    return NULL;
}

static uint64_t load(const char *at, size_t len)
{
    uint64_t v = 0;

    if (len >= 8) {
        memcpy(&v, at, 8);
    } else if (len >= 4) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + len - 4, 4);
        v = (uint64_t)high << 32 | low;
    } else if (len > 0) {
        v = (uint64_t)(unsigned char)at[0] << 16 |
            (uint64_t)(unsigned char)at[len / 2] << 8 |
            (unsigned char)at[len - 1];
    }
    return v;
}

static uint32_t hash(struct slice key)
{
    uint64_t h = load(key.at, key.len) + key.len;

    h *= UINT64_C(0x9E3779B97F4A7C15);
    if (key.len > 8)
        h = (h ^ h >> 29 ^ load(key.at + key.len - 8, 8)) *
            UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)(h >> 32);
}

static int compare_keys(const void *left, const void *right)
{
    const struct json_node *a = *(const struct json_node *const *)left;
    const struct json_node *b = *(const struct json_node *const *)right;

    if (a->key.len != b->key.len)
        return a->key.len < b->key.len ? -1 : 1;
    return a->key.len == 0 ? 0 : memcmp(a->key.at, b->key.at, a->key.len);
}

/* Heap sort: in place and n log n at worst, which qsort() does not promise. */
static void sift(const struct json_node **heap, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count &&
            compare_keys(&heap[child], &heap[child + 1]) < 0)
            child++;
        if (compare_keys(&heap[root], &heap[child]) >= 0)
            return;
        const struct json_node *swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

static void sort_keys(const struct json_node **members, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sift(members, root, count);
    for (size_t last = count - 1; last > 0; last--) {
        const struct json_node *swap = members[0];
        members[0] = members[last];
        members[last] = swap;
        sift(members, 0, last);
    }
}

static const struct json_node *repeated_sorted(const struct json_node *object)
{
    const struct json_node *members[JSON_MEMBERS_MAX];
    const struct json_node *end = object + object->span;
    size_t count = 0;

    for (const struct json_node *n = object + 1; n < end; n += n->span)
        members[count++] = n;
    sort_keys(members, count);
    for (size_t i = 1; i < count; i++)
        if (same(members[i - 1]->key, members[i]->key))
            return members[i];
    return NULL;
}

const struct json_node *json_repeated_key(const struct json_node *object)
{
    uint32_t slots[SLOTS_MAX]; /* 0 is free; else the member's distance */
    uint32_t size = 4 * PAIRWISE_MAX;
    const struct json_node *end = object + object->span;

    assert(object->count <= JSON_MEMBERS_MAX);
    if (object->count <= PAIRWISE_MAX)
        return repeated_pairwise(object);
    while (size < 2 * object->count)
        size *= 2;
    memset(slots, 0, size * sizeof(slots[0]));

    size_t probes = PROBES_EACH * (size_t)object->count;
    for (const struct json_node *n = object + 1; n < end; n += n->span) {
        uint32_t at = hash(n->key) & (size - 1);
        for (; slots[at] != 0; at = (at + 1) & (size - 1)) {
            if (same(object[slots[at]].key, n->key))
                return n;
            if (probes-- == 0)
                return repeated_sorted(object);
        }
        slots[at] = (uint32_t)(n - object);
    }
    return NULL;
}
