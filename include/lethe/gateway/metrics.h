/* metrics.h - counters and their Prometheus text (design.md section 5). No
 * label ever holds client text: sites and destinations are the operator's
 * names, the rest are enums. Opt-out and no-consent drops share the reason
 * label "no-permission". Thread-safe, relaxed atomics. */
#ifndef LETHE_GATEWAY_METRICS_H
#define LETHE_GATEWAY_METRICS_H

#include "lethe/audit_codes.h"
#include "lethe/policy/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define METRICS_SITES_MAX        256u
#define METRICS_DESTINATIONS_MAX 16u
/* As a site index: counted nowhere. Canaries are nobody's events. */
#define METRICS_UNCOUNTED UINT32_MAX

enum metrics_outcome {
    OUTCOME_CLEARED,
    OUTCOME_DROPPED,
    OUTCOME_ACCEPTED, /* by transport; never "ingested" (R20) */
    OUTCOME_REFUSED,
    OUTCOME_SWEPT,
    OUTCOME_EXPIRED,
    OUTCOME_PURGED,
    OUTCOME_DEAD,
    OUTCOME_COUNT
};
const char *metrics_outcome_name(enum metrics_outcome outcome);

/* Site `site` (its index in the config) and destination (index in its
 * policy; METRICS_DESTINATIONS_MAX = none of them, the event itself). */
void metrics_event(unsigned site, unsigned destination,
                   enum metrics_outcome outcome, unsigned reason,
                   uint64_t count);
/* What metrics_event() has counted under these since the start. */
uint64_t metrics_event_count(unsigned site, unsigned destination,
                             enum metrics_outcome outcome, unsigned reason);
/* A request answered: site index or METRICS_SITES_MAX for none; source =
 * dialect number; HTTP status. */
void metrics_request(unsigned site, unsigned source, int status);
void metrics_unknown_fields(unsigned site, uint64_t count); /* R9 */
/* An event by what was heard of consent with it (enum consent_heard), and
 * whether that opened a purpose. Not among what is printed: see
 * consent_summary.c, which takes the counts, and leaves zeros. */
void metrics_consent(unsigned site, unsigned heard, bool opened);
uint64_t metrics_take_consent(unsigned site, unsigned heard, bool opened);

/* What only others know, asked for when metrics are printed. */
struct metrics_gauge {
    const char *name; /* "lethe_spool_bytes" */
    const char *help;
    char labels[128]; /* site="x",destination="y", or empty */
    double value;
};
typedef unsigned metrics_gauges_fn(void *ctx, struct metrics_gauge *out,
                                   unsigned max);

/* Append the text form. `site_name(ctx, i)` and `destination_name(ctx, i, d)`
 * give labels, NULL to leave out. */
struct metrics_names {
    const char *(*site)(void *ctx, unsigned site);
    const char *(*destination)(void *ctx, unsigned site, unsigned destination);
    metrics_gauges_fn *gauges;
    void *ctx;
};
void metrics_print(const struct metrics_names *names, struct buf *out);

/* Sum over all labels, for status and tests. */
uint64_t metrics_total(enum metrics_outcome outcome);
void metrics_clear(void); /* tests only */

#endif
