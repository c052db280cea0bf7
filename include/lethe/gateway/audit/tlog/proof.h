/* proof.h - proofs to take away (C2SP tlog-proof, files "*.tlog-proof"): that
 * an entry is in a log, with the checkpoint that says so. Free of the gateway.
 *
 * What `extra` holds nobody has signed: it counts only as far as the entry,
 * or what the entry holds a hash of, is made of it again. */
#ifndef LETHE_GATEWAY_AUDIT_TLOG_PROOF_H
#define LETHE_GATEWAY_AUDIT_TLOG_PROOF_H

#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/audit/tlog/tree.h"

#define PROOF_EXTRA_MAX 16384u
#define PROOF_BYTES_MAX 98304u /* extra, 64 hashes and the largest note */

struct tlog_proof {
    struct slice extra; /* decoded; empty: there is none */
    uint64_t index;     /* of the entry, from 0 */
    struct tree_proof path;
    struct slice checkpoint; /* a note, verbatim */
};

/* Parsed, nothing checked: the checkpoint is any text. Borrows from `bytes`,
 * and for `extra` from the caller's buffer of at least PROOF_EXTRA_MAX bytes.
 * What is read has one spelling. Errors: ST_SYNTAX, ST_LIMIT. */
enum status proof_read(struct slice bytes, uint8_t *extra,
                       struct tlog_proof *out) MUST_CHECK;
/* Into a buffer with room for PROOF_BYTES_MAX.
 * Errors: ST_LIMIT (extra or hashes), ST_NOMEM. */
enum status proof_put(const struct tlog_proof *p, struct buf *out) MUST_CHECK;

/* Is the entry with this leaf hash in the log of `key`, by a checkpoint that
 * `key` signed? Then *note and *c are the checkpoint's, for cosignatures.
 * `key` NULL: whoever signed it, if anybody did.
 * Errors: ST_SYNTAX, ST_LIMIT (the checkpoint cannot be read), ST_UNKNOWN
 * (`key` has not signed it, or it is another log's), ST_CRYPTO (a false
 * signature), ST_MISMATCH (the entry is not there), ST_NOMEM. */
enum status proof_check(const struct tlog_proof *p,
                        const uint8_t leaf[HASH_BYTES],
                        const struct note_key *key, struct note *note,
                        struct checkpoint *c) MUST_CHECK;

#endif
