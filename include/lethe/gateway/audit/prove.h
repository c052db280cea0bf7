/* prove.h - making proofs from a log's folder (docs/audit.md, "Proofs"): of
 * decisions by their receipt, and of whole records. Reads only; the log may be
 * written meanwhile, and pruned before. */
#ifndef LETHE_GATEWAY_AUDIT_PROVE_H
#define LETHE_GATEWAY_AUDIT_PROVE_H

#include "lethe/gateway/audit/evidence.h"

#include <stdbool.h>

struct prover;

/* `folder` is state_dir/audit. Proofs lead to the newest checkpoint of now.
 * Errors: ST_UNKNOWN (no checkpoint was signed yet), ST_CORRUPT, ST_IO,
 * ST_LIMIT, ST_NOMEM. */
enum status prover_open(const char *folder, struct prover **out) MUST_CHECK;
void prover_close(struct prover *p); /* NULL is allowed */
/* Records that the checkpoint covers. */
uint64_t prover_size(const struct prover *p);

/* The proof of record `index`, into a buffer with room for PROOF_BYTES_MAX.
 * Errors: ST_BUSY (the checkpoint does not cover it yet), ST_CLOSED (it was
 * deleted by pruning, or what its path is made of was), ST_CORRUPT (a file
 * does not fit the checkpoint), ST_IO, ST_NOMEM. */
enum status prover_record(struct prover *p, uint64_t index,
                          struct buf *out) MUST_CHECK;

/* The same evidence under the checkpoint of now: of a record whose number is
 * `index`, that somebody else has kept. Only hashes are asked of the log.
 * Errors: as prover_record(); ST_CORRUPT also where the log holds another. */
enum status prover_again(struct prover *p, uint64_t index,
                         const struct evidence *e, struct buf *out) MUST_CHECK;

/* One row with receipt `ev`. `proof` is borrowed for the call. */
struct proved_row {
    uint64_t index; /* of its record */
    struct audit_row row;
    bool has_policy;
    uint64_t policy; /* index of the policy.load in force */
    struct slice proof;
};
typedef enum status proved_fn(void *ctx, const struct proved_row *row);
/* Proofs of all rows with receipt `ev` (0: of all events) in batch record
 * `index`, in their order. Errors: as prover_record(); ST_CLOSED also where the
 * rows were deleted; ST_TYPE (no batch); those of `each`. */
enum status prover_rows(struct prover *p, uint64_t index, uint64_t ev,
                        proved_fn *each, void *ctx) MUST_CHECK;

#endif
