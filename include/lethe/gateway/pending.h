/* pending.h - what commands did to the state while no gateway ran, for the
 * audit log. Only a running gateway writes the log; a command that read it, or
 * worked on the state under its lock, notes that in state_dir/audit-pending,
 * and the next start writes the records before it takes a request. */
#ifndef LETHE_GATEWAY_PENDING_H
#define LETHE_GATEWAY_PENDING_H

#include "lethe/gateway/audit/log.h"
#include "lethe/policy/base/status.h"

#define PENDING_BYTES_MAX (16u << 20) /* of the file */
#define PENDING_LINE_MAX  1024u       /* of one note */

/* Note one act, synced. The caller holds the state's lock. `members` are those
 * of the record's d, without braces; the time is added as "at". Errors:
 * ST_LIMIT (too long, or the file is full: a gateway must start first),
 * ST_IO. */
enum status pending_add(const char *state_dir, enum audit_record_act act,
                        const char *why, const char *members,
                        int64_t now_ms) MUST_CHECK;

/* Hand every note to `record` in its order, then remove the file; a crash in
 * between writes some of them twice. A line that is no note is handed over
 * with act RECORD_ACT_COUNT and nothing else: somebody meddled with the file.
 * Errors: those of `record`, which ends it, and ST_IO; the file stays. */
typedef enum status pending_fn(void *ctx, enum audit_record_act act,
                               const char *why, struct slice d);
enum status pending_take(const char *state_dir, pending_fn *record,
                         void *ctx) MUST_CHECK;

#endif
