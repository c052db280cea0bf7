/* evidence.h - what the proofs of this log hold beside the inclusion: the
 * record that is proved, and of a batch one row (audit-format.md 3.6). It is
 * the `extra` of a tlog-proof:
 *
 *   audit-decision v1             or   audit-record v1
 *   <the record's line>                <the record's line>
 *   row <j> of <n> <64 hex>
 *   <base64 hash>                 the row's path to the record's root, a hash
 *   ...                           a line
 *
 * Nobody signs `extra`. The record counts because the log's tree holds its
 * leaf hash, the row because the record holds the root over its rows. */
#ifndef LETHE_GATEWAY_AUDIT_EVIDENCE_H
#define LETHE_GATEWAY_AUDIT_EVIDENCE_H

#include "lethe/gateway/audit/row.h"
#include "lethe/gateway/audit/tlog/proof.h"

#define EVIDENCE_RECORD_MAX 8192u
#define EVIDENCE_ROWS_MAX   65536u
#define EVIDENCE_PATH_MAX   16u /* hashes, of so many rows */

struct evidence {
    struct slice record; /* without its newline */
    bool has_row;
    uint64_t at, rows; /* the row is number `at`, from 0, of `rows` */
    uint8_t row[ROW_BYTES];
    struct tree_proof path;
};

/* Grammar only; borrows from `extra`. What is read has one spelling.
 * Errors: ST_SYNTAX (it is no evidence of this log's kind), ST_LIMIT. */
enum status evidence_read(struct slice extra, struct evidence *out) MUST_CHECK;
/* Errors: ST_LIMIT, ST_NOMEM. */
enum status evidence_put(const struct evidence *e, struct buf *out) MUST_CHECK;

/* What it says. Borrows from the evidence's record. */
struct evidence_facts {
    uint64_t index;
    int64_t t_ms;
    struct slice act, who, why, out, d;
    /* Of a row, else empty. */
    struct slice site;
    int64_t when_ms; /* its time, in steps of audit.time_step */
    bool has_policy;
    uint64_t policy; /* index of the policy.load that was in force */
    struct audit_row row;
};
/* Is it consistent in itself? The record is one, has the number `index`, and
 * the row is in the root that it holds. Errors: ST_SYNTAX (no record of this
 * log), ST_MISMATCH (of another number, or the row is not in it), ST_NOMEM. */
enum status evidence_facts(const struct evidence *e, uint64_t index,
                           struct evidence_facts *out) MUST_CHECK;

/* Names of a policy.load's destinations, by their bit in a row's set: entry k
 * of its d.dst. False: it has none of that number. */
bool evidence_destination(struct slice policy_d, unsigned k,
                          struct slice *out) MUST_CHECK;

#endif
