/* prune_internal.h - what the prune*.c files share. */
#ifndef GATEWAY_AUDIT_PRUNE_INTERNAL_H
#define GATEWAY_AUDIT_PRUNE_INTERNAL_H

#include "orders.h"

#include "lethe/policy/base/buf.h"

#define PRUNE_PATH_MAX 4200u
#define GOING          ".pruning" /* behind the name of a file that goes */

/* "<folder>/<part>/<12 digits><suffix><more>" */
void prune_path(const char *folder, enum prune_layer layer, uint64_t first,
                const char *more, char out[PRUNE_PATH_MAX]);
const char *prune_part(enum prune_layer layer);   /* "rows", "seg" */
const char *prune_suffix(enum prune_layer layer); /* ".rows", ".jsonl" */

/* prune.c */
struct audit_log *pruner_log(struct pruner *p);
uint64_t pruner_signed(const struct pruner *p);
void pruner_pause(struct pruner *p); /* until nothing is being deleted */
void pruner_go_on(struct pruner *p);

/* prune_plan.c. Times of a segment's first and last record.
 * Errors: ST_IO, ST_END (it has none). */
enum status prune_span(const char *folder, uint64_t first, int64_t *out_from,
                       int64_t *out_to) MUST_CHECK;
/* Does a hold stand that touches this segment? */
bool prune_is_held(const struct audit_orders *o, uint64_t signed_size,
                   int64_t from_ms, int64_t to_ms);
enum status prune_make_plan(const char *folder, const struct audit_orders *o,
                            uint64_t signed_size, int64_t now_ms,
                            enum prune_layer layer,
                            struct prune_plan *out) MUST_CHECK;

/* prune_totals.c. Totals of the log before record `to`, from those before
 * `from`; the files between are read. For records the file `totals` then says
 * how many rows each site had before each file up to `to`: start-up compares
 * the journal with that. Errors: ST_IO, ST_CORRUPT, ST_NOMEM, ST_LIMIT. */
enum status prune_count(const char *folder, uint64_t from, uint64_t to,
                        const struct audit_counts *cum0,
                        struct audit_counts *out_cum1) MUST_CHECK;
enum status prune_write_totals(const char *folder, uint64_t to) MUST_CHECK;
/* What it says of the records before `first`: calls `add` for each site. */
enum status prune_read_totals(const char *folder, uint64_t first,
                              enum status (*add)(void *ctx, uint64_t site,
                                                 uint64_t rows),
                              void *ctx) MUST_CHECK;

/* prune_carry.c */
struct prune_done {
    uint64_t files;
    bool held;    /* a hold keeps some of what was ordered */
    bool waiting; /* the order is not signed yet */
};
/* Delete what the newest order of this layer names, if a checkpoint covers the
 * order. The same again does the rest. Errors: ST_IO, prune_write_totals()'s.
 */
enum status prune_carry_out(const char *folder, const struct audit_orders *o,
                            uint64_t signed_size, enum prune_layer layer,
                            struct prune_done *out) MUST_CHECK;

#endif
