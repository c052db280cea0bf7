/* rate.h - so many requests a minute and client, without keeping addresses.
 *
 * The table knows hashes of addresses under a random key, and counts. Each
 * minute the key and the table are replaced, so nothing links a client's
 * minutes. One object serves all workers: it is locked. An IPv6 client is its
 * /64, which one subscriber owns as a whole. */
#ifndef LETHE_GATEWAY_HTTP_RATE_H
#define LETHE_GATEWAY_HTTP_RATE_H

#include "lethe/policy/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_CLIENTS_MAX                                                       \
    16384u /* a minute; then the quietest are forgotten                        \
            */

struct rate;

/* cache_hash() of policy/pseudonym.h. */
typedef uint64_t rate_hash(const uint8_t key[16], const void *bytes,
                           size_t len);
/* Fill `out` with `len` random bytes. */
typedef void rate_random(void *ctx, void *out, size_t len);

/* `per_minute` requests a client; 0 = no limit. NULL when out of memory. The
 * caller owns it: rate_free(). */
struct rate *rate_new(unsigned per_minute, rate_hash *hash, rate_random *random,
                      void *random_ctx);

/* Count one request of `address` (text) at `mono_ms`; false if it is one too
 * many. Where the table is full the client with the fewest requests near its
 * place is forgotten: a flood of addresses cannot shut others out, and those
 * who ask most stay known. */
bool rate_take(struct rate *r, struct slice address, int64_t mono_ms);

/* Wipe and free. NULL is allowed. */
void rate_free(struct rate *r);

#endif
