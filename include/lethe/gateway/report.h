/* report.h - the record of processing activities (GDPR Art. 30, R52): of one
 * site, as JSON by docs/ropa.schema.json, and the same in words. Everything in
 * it is made from the policy in force and from how the gateway runs; nothing is
 * prose of somebody's, and so it cannot fall behind. Pure. */
#ifndef LETHE_GATEWAY_REPORT_H
#define LETHE_GATEWAY_REPORT_H

#include "lethe/gateway/audit/witness.h"
#include "lethe/gateway/world.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/json_tree.h"

#define REPORT_MAX (4u << 20) /* bytes of one report */

/* What a report looks at; all borrowed. */
struct report_view {
    const struct conf *conf;
    const struct world_site *site;
    int64_t now_ms;
    const char *epoch_place; /* where the epochs' secrets really are */
    const char *optout_list; /* how the opt-out list is */
    unsigned spool_keys;     /* alive */
    uint64_t signed_records;
    const struct witness_facts *witnesses;
    unsigned witness_count;
};

/* Append one JSON object. Errors: ST_LIMIT (the buffer's cap), ST_NOMEM. */
enum status report_ropa(const struct report_view *v,
                        struct buf *out) MUST_CHECK;

/* Append the member "security": measures (g) as they are. */
void report_security(const struct report_view *v, struct buf *out);
/* Append the array of settings that protect less than the defaults. */
void report_weaker(const struct report_view *v, struct buf *out);

/* Append what report_ropa() made, in words, by its letters (a) to (g). */
void report_ropa_words(const struct json_value *ropa, struct buf *out);

#endif
