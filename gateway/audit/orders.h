/* orders.h - what the log itself says of how long it is kept: the policies in
 * force, the holds, and what was ordered to go. Made of its records, in their
 * order. */
#ifndef GATEWAY_AUDIT_ORDERS_H
#define GATEWAY_AUDIT_ORDERS_H

#include "log_fields.h"

#include "lethe/gateway/audit/prune.h"

/* Under old and new names, between a reload's policies and its config.load. */
#define KEEPS_MAX  (2u * CONF_SITES_MAX)
#define SIGNED_ALL UINT64_MAX /* nothing is signed: what is written counts */
#define ORDER_NONE UINT64_MAX

struct audit_keep { /* of one site's policy */
    uint64_t index; /* of its policy.load */
    char site[NAME_BYTES];
    bool known; /* both can be read */
    char text[PRUNE_LAYERS][PRUNE_KEEP_MAX];
    struct duration time[PRUNE_LAYERS];
};

struct audit_order {
    uint64_t index; /* of its audit.prune; ORDER_NONE: there is none */
    uint64_t from, to;
    struct audit_counts cum1;
};

struct audit_orders {
    struct audit_keep keeps[KEEPS_MAX];
    unsigned keep_count;
    struct audit_hold holds[AUDIT_HOLDS_MAX];
    unsigned hold_count;
    struct audit_order newest[PRUNE_LAYERS];
};

void orders_init(struct audit_orders *o);
/* Take the next record into account. */
void orders_take(struct audit_orders *o, uint64_t index, int64_t t_ms,
                 struct slice act, struct slice why, struct slice d);
/* The same of a whole record line. */
void orders_take_line(struct audit_orders *o, struct slice line);

/* What is older than *out_cutoff may go, by the longest of all policies in
 * force. NULL: no policy is in force, or one of them does not say. */
const struct audit_keep *orders_cutoff(const struct audit_orders *o,
                                       enum prune_layer layer, int64_t now_ms,
                                       int64_t *out_cutoff);
/* Does a hold touch [from, to]? One that was lifted stands until the
 * checkpoint of `signed_size` leaves covers that. */
bool orders_held(const struct audit_orders *o, uint64_t signed_size,
                 int64_t from_ms, int64_t to_ms);
/* Those that stand; returns how many. */
unsigned orders_holds(const struct audit_orders *o, uint64_t signed_size,
                      struct audit_hold out[AUDIT_HOLDS_MAX]);
/* Records from here on must stay: a policy in force, or a hold, is there. */
uint64_t orders_floor(const struct audit_orders *o, uint64_t signed_size);

#endif
