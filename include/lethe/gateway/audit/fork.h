/* fork.h - a new log after one that can not go on: what was signed is lost or
 * changed (audit-format.md section 4). The old files are kept in
 * audit/old/<n>/; the new log begins at record 0 under a new name and says at
 * its start, in `gate.start.prev` and `audit.fork`, what the old one had signed
 * last. Never a second history under one name.
 *
 * Offline, under the state folder's lock. What was begun and cut off by a crash
 * is finished by doing it again; the old log stays what it is until the signer
 * has taken the new name. */
#ifndef LETHE_GATEWAY_AUDIT_FORK_H
#define LETHE_GATEWAY_AUDIT_FORK_H

#include "lethe/gateway/audit/signer.h"
#include "lethe/policy/base/clock.h"

#define AUDIT_FORK_FILE                                                        \
    "forked"               /* in the audit folder, till the next start         \
                            */
#define AUDIT_FORK_WHY 40u /* "ticket:" and 32 characters, and the NUL */

struct audit_fork {
    char old[NOTE_NAME_MAX + 1]; /* the old log's name */
    uint64_t size;               /* what of it was signed last */
    uint8_t root[HASH_BYTES];
    char why[AUDIT_FORK_WHY];
    uint64_t optout; /* number and hash of the opt-out list that it knew */
    uint8_t optout_hash[HASH_BYTES];
};

/* Put the files of `folder` (state_dir/audit) aside and note `f`; `origin` is
 * the config's. f->optout is taken from the old records where they can be read:
 * then *out_readable is set, and rows that they count are not counted again.
 * Errors: ST_SYNTAX (why), ST_IO, ST_FULL, ST_LIMIT, ST_NOMEM. */
enum status audit_fork_files(const char *folder, struct slice origin,
                             const struct clock *clock, struct audit_fork *f,
                             bool *out_readable) MUST_CHECK;

/* The name of the log that follows `old`: "<origin>/2" after "<origin>", and so
 * on. Errors: ST_LIMIT, ST_SYNTAX (`old` is not of `origin`). */
enum status audit_fork_name(struct slice old, struct slice origin,
                            char out[NOTE_NAME_MAX + 1]) MUST_CHECK;

/* 1 for the origin itself, n for "<origin>/n". */
uint64_t audit_fork_number(struct slice name, struct slice origin);
/* Is it a reason of the log's grammar? */
bool audit_fork_why_ok(const char *why);

/* The noted fork, for the writer. Errors: ST_UNKNOWN (none), ST_CORRUPT. */
enum status audit_fork_read(const char *folder,
                            struct audit_fork *out) MUST_CHECK;

#endif
