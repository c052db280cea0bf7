#include "lethe/policy/base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_BYTES 65536u

struct block {
    struct block *next;
    size_t size; /* of the whole mapping */
    size_t used; /* from the start of the mapping, header included */
};

struct arena {
    struct block *first;
    struct block *current;
    size_t cap;    /* bytes of mappings allowed */
    size_t mapped; /* bytes of mappings held */
    size_t used;   /* bytes handed out */
};

#define HEADER_BYTES ((sizeof(struct block) + 15u) & ~(size_t)15u)

static struct block *block_new(size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    (void)madvise(map, size, MADV_DONTDUMP); /* a kernel may lack it */

    struct block *b = map;
    b->next = NULL;
    b->size = size;
    b->used = HEADER_BYTES;
    return b;
}

struct arena *arena_new(size_t cap)
{
    struct arena *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return NULL;
    a->cap = cap < BLOCK_BYTES ? BLOCK_BYTES : cap;
    a->first = block_new(BLOCK_BYTES);
    if (a->first == NULL) {
        free(a);
        return NULL;
    }
    a->current = a->first;
    a->mapped = BLOCK_BYTES;
    return a;
}

/* The next block: one that an earlier request left, if it is large enough, or
 * a new one behind the present. */
static struct block *grow(struct arena *a, size_t size)
{
    size_t want = size + HEADER_BYTES;
    struct block *left = a->current->next;

    if (left != NULL && left->size - left->used >= size) {
        a->current = left;
        return left;
    }

    want = want < BLOCK_BYTES ? BLOCK_BYTES : (want + 4095u) & ~(size_t)4095u;
    if (want < size || want > a->cap || a->mapped > a->cap - want)
        return NULL;
    struct block *b = block_new(want);
    if (b == NULL)
        return NULL;
    b->next = a->current->next;
    a->current->next = b;
    a->current = b;
    a->mapped += want;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    assert(a != NULL);

    if (size > SIZE_MAX - 4096u - HEADER_BYTES)
        return NULL;
    size_t rounded = (size + 15u) & ~(size_t)15u;
    if (rounded == 0)
        rounded = 16;

    struct block *b = a->current;
    if (b->size - b->used < rounded) {
        b = grow(a, rounded);
        if (b == NULL)
            return NULL;
    }
    void *out = (char *)b + b->used;
    b->used += rounded;
    a->used += rounded;
    return out;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *out = arena_alloc(a, count * size);
    if (out != NULL)
        memset(out, 0, count * size);
    return out;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    char *copy = arena_alloc(a, s.len);

    if (copy == NULL)
        return SLICE_NONE;
    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return (struct slice){copy, s.len};
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

static void block_wipe(struct block *b)
{
    explicit_bzero((char *)b + HEADER_BYTES, b->used - HEADER_BYTES);
    b->used = HEADER_BYTES;
}

void arena_reset(struct arena *a)
{
    for (struct block *b = a->first; b != NULL; b = b->next)
        block_wipe(b);
    a->current = a->first;
    a->used = 0;
}

void arena_trim(struct arena *a)
{
    struct block *b = a->first->next;

    arena_reset(a);
    while (b != NULL) {
        struct block *next = b->next;
        a->mapped -= b->size;
        (void)munmap(b, b->size);
        b = next;
    }
    a->first->next = NULL;
}

bool arena_is_large(const struct arena *a)
{
    return a->first->next != NULL;
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    arena_trim(a);
    (void)munmap(a->first, a->first->size);
    free(a);
}
