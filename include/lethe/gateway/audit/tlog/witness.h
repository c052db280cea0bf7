/* witness.h - what is said to a witness and what it says (C2SP tlog-witness and
 * tlog-cosignature), without how it gets there. Free of the gateway. */
#ifndef LETHE_GATEWAY_AUDIT_TLOG_WITNESS_H
#define LETHE_GATEWAY_AUDIT_TLOG_WITNESS_H

#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/audit/tlog/tree.h"

#define WITNESS_PATH      "/add-checkpoint" /* below its URL prefix */
#define WITNESS_PROOF_MAX 63u               /* lines of a proof it takes */
#define WITNESS_SIZE_TYPE "text/x.tlog.size"

/* Append the body of a request: that the log, which had `old` leaves when the
 * witness signed last (0: never), is now as `note` says, signed by it. */
void witness_put(uint64_t old, const struct tree_proof *proof,
                 struct slice note, struct buf *out);

/* The body of a 409: how many leaves it signed for last. Errors: ST_SYNTAX. */
enum status witness_read_size(struct slice body, uint64_t *out) MUST_CHECK;

/* Of the lines of a 200, append the one that is `key`'s cosignature of the
 * checkpoint `text`. *out_time: seconds since 1970, by the witness. Errors:
 * ST_UNKNOWN (no line of that key), ST_CRYPTO (it is not its cosignature, or of
 * no time), ST_SYNTAX, ST_LIMIT, ST_NOMEM. */
enum status witness_take_line(struct slice body, struct slice text,
                              const struct note_key *key, uint64_t *out_time,
                              struct buf *out) MUST_CHECK;

#endif
