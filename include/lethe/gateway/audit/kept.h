/* kept.h - checkpoints that stay for others to hold against the log: the one
 * that everybody may read (GET /audit/checkpoint), and one a day for ever
 * (audit/cp/<day>.txt).
 *
 * The public one changes at each full hour, UTC, and at no other time. How many
 * records there are tells what happened: whoever could read the newest number
 * would see in a quiet minute whether what they sent, or somebody's opt-out,
 * was written down. An hour holds enough of everything else, at a gateway that
 * writes two records a minute when nothing happens at all.
 *
 * Both are cosigned by the witnesses where these have signed (audit/cosigned),
 * else signed by the log alone. */
#ifndef LETHE_GATEWAY_AUDIT_KEPT_H
#define LETHE_GATEWAY_AUDIT_KEPT_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

#define AUDIT_SHOWN_EVERY_MS INT64_C(3600000)

struct audit_kept;

/* `folder` is state_dir/audit. What was shown last is shown again.
 * Errors: ST_NOMEM, ST_LIMIT. */
enum status audit_kept_open(const char *folder,
                            struct audit_kept **out) MUST_CHECK;
void audit_kept_close(struct audit_kept *k); /* NULL is allowed */

/* Once a second, on one thread; looks at the disk when something is due, and
 * once a minute while a day's checkpoint is not cosigned yet. */
void audit_kept_tick(struct audit_kept *k, int64_t wall_ms);

/* Append the public checkpoint; false: there is none yet. Any thread. */
bool audit_kept_shown(struct audit_kept *k, struct buf *out);

#endif
