/* random.h - the process's random bytes, buffered: refilled 4 KiB at a time
 * and wiped as they are taken (storage.md section 2). One source a thread. */
#ifndef LETHE_GATEWAY_RANDOM_H
#define LETHE_GATEWAY_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#define RANDOM_POOL_BYTES 4096u

struct random_source {
    uint8_t pool[RANDOM_POOL_BYTES];
    size_t used; /* bytes already taken; start with RANDOM_POOL_BYTES */
};

void random_init(struct random_source *r);
/* Fill `out` with `len` bytes (any length). */
void random_take(struct random_source *r, void *out, size_t len);
uint64_t random_u64(struct random_source *r);
void random_wipe(struct random_source *r);

#endif
