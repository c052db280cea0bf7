/* services.h - what workers use and do not own: built by serve.c, outliving
 * every worker. */
#ifndef LETHE_GATEWAY_SERVICES_H
#define LETHE_GATEWAY_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

struct services {
    const struct clock *clock;
    struct commit *commit;
    struct optouts *optouts;
    struct rights *rights;
    struct audit_log *audit;
    struct audit_kept *kept; /* the public checkpoint */
    struct tokens *tokens;
    const uint8_t *optout_key; /* KEY_BYTES */
    struct rate *optout_rate;  /* NULL: no limit */
    struct rate *events_rate;
    _Atomic unsigned *connections; /* open on all public listeners */
    /* Taking events is stopped for a reason that clients must wait out
     * (disk full, audit broken or behind): 503 before reading. */
    bool (*must_refuse)(void *ctx);
    /* A worker's world ran out (rotation is due): ask for the next. */
    void (*world_is_over)(void *ctx);
    void *ctx;
};

#endif
