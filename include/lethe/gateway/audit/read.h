/* read.h - reading the audit log: `audit verify --rows`.
 * Shares no code with the writer but row.h and audit_codes.h. */
#ifndef LETHE_GATEWAY_AUDIT_READ_H
#define LETHE_GATEWAY_AUDIT_READ_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* A checkpoint (C2SP tlog-checkpoint, three lines): which log, how many
 * records, and the root of their RFC 6962 tree. Whoever keeps one elsewhere
 * sees later that none of these records was changed or cut off. */
#define AUDIT_ORIGIN_MAX          255u
#define AUDIT_CHECKPOINT_TEXT_MAX 360u
struct audit_checkpoint {
    char origin[AUDIT_ORIGIN_MAX + 1]; /* never empty in a checkpoint read */
    uint64_t size;                     /* records */
    char root[45];                     /* base64 */
};

/* Exactly three lines, the number and the base64 in their one spelling.
 * Errors: ST_SYNTAX. */
enum status audit_checkpoint_read(struct slice text,
                                  struct audit_checkpoint *out) MUST_CHECK;
/* The three lines, into a buffer with room for AUDIT_CHECKPOINT_TEXT_MAX. */
void audit_checkpoint_put(const struct audit_checkpoint *c, struct buf *out);

enum audit_verdict { AUDIT_SOUND, AUDIT_TAMPERED, AUDIT_INCOMPLETE };
struct audit_report {
    enum audit_verdict verdict; /* exit codes 0, 1, 2 */
    uint64_t records, batches, rows, decisions;
    uint64_t bad_index; /* of the first bad record */
    /* Of all records read. Origin empty: none can be made, since the log says
     * no origin, or its beginning was deleted. */
    struct audit_checkpoint head;
    char text[400]; /* the verdict in one sentence, as an officer reads */
};

/* Check rows and totals: line grammar, i, t order, t0/t1 without holes, in =
 * fwd+mod+drop = sum of by, cum, n = in + sum of ex (rows=all), rows recount
 * to by and ex, their Merkle root. Without signatures the verdict is at best
 * AUDIT_INCOMPLETE, "not signed". `progress` (may be NULL) is called about
 * once a second. Rows after the last batch of a running or killed gateway are
 * no fault. `since` (may be NULL): an older checkpoint that the log must begin
 * with; a log of fewer records, or of others, is tampered. Errors: ST_IO. */
enum status audit_verify_rows(const char *folder,
                              const struct audit_checkpoint *since,
                              void (*progress)(void *ctx, uint64_t records,
                                               uint64_t rows),
                              void *ctx, struct audit_report *out) MUST_CHECK;

#endif
