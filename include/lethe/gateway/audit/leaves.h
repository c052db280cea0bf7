/* leaves.h - records of a log's folder by their number, for those who serve or
 * export them. Reads seg/ while the writer appends to it and pruning takes
 * files away; a last line without its end is not there yet.
 *
 * Remembers where in the segment read last each 256th record begins, so that
 * who reads on finds the place at once; who jumps makes it read a segment's
 * lines up to there, at most about 64 MiB. One thread. */
#ifndef LETHE_GATEWAY_AUDIT_LEAVES_H
#define LETHE_GATEWAY_AUDIT_LEAVES_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

#define LEAF_BYTES_MAX 8192u /* of a record: AUDIT_RECORD_MAX */

struct leaves;

/* `folder` is state_dir/audit; nothing is read yet.
 * Errors: ST_NOMEM, ST_LIMIT (path too long). */
enum status leaves_open(const char *folder, struct leaves **out) MUST_CHECK;
void leaves_close(struct leaves *l); /* NULL is allowed */
/* Close the segment that is open: a file that pruning took away stays on the
 * disk as long as somebody holds it. */
void leaves_rest(struct leaves *l);

/* Call `take` for the records [from, from + count) in their order, each
 * without its newline, borrowed for the call; ends at its first error.
 * Errors: ST_END (one of them is not in seg/), ST_CORRUPT (a line longer than
 * LEAF_BYTES_MAX), ST_IO, ST_NOMEM, those of `take`. */
typedef enum status leaf_fn(void *ctx, struct slice line);
enum status leaves_each(struct leaves *l, uint64_t from, uint64_t count,
                        leaf_fn *take, void *ctx) MUST_CHECK;

#endif
