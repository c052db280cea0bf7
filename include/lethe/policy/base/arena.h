/* arena.h - memory that is given back all at once, and wiped then.
 *
 * One arena serves one request at a time. It may hold raw personal data, so
 * its pages stay out of core dumps and arena_reset() overwrites what was
 * used. Not thread-safe: one owner. */
#ifndef LETHE_POLICY_BASE_ARENA_H
#define LETHE_POLICY_BASE_ARENA_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct arena; /* opaque: arena_new() makes it, arena_free() frees it */

/* A new arena that will hold at most `cap` bytes in all (rounded up to whole
 * blocks). The caller owns it. Returns NULL when out of memory. */
struct arena *arena_new(size_t cap);

/* `size` bytes, aligned to 16, not zeroed, valid until the next reset.
 * Returns NULL when the cap or the memory is reached: treat as ST_NOMEM. */
void *arena_alloc(struct arena *a, size_t size);

/* As arena_alloc, zeroed, for `count` items of `size`; NULL on overflow. */
void *arena_zalloc(struct arena *a, size_t count, size_t size);

/* A copy of `s` in the arena; at == NULL only when out of memory (an empty
 * slice gives a non-NULL pointer). */
struct slice arena_copy(struct arena *a, struct slice s);

/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *a);

/* Overwrite with zeros what was handed out and start again. Keeps the memory:
 * giving it back stops every thread of the process for a moment. */
void arena_reset(struct arena *a);

/* As arena_reset, and give back all but the first block. */
void arena_trim(struct arena *a);

/* It holds more than its first block. */
bool arena_is_large(const struct arena *a);

/* Wipe and free. NULL is allowed. */
void arena_free(struct arena *a);

#endif
