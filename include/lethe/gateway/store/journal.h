/* journal.h - the spool and the first home of audit rows (storage.md 2).
 *
 * 64 MiB segments, preallocated and zeroed outside the hot path, recycled.
 * A journal group = header (magic, generation, sequence, length, checksum,
 * newest opt-out number, accept time, marks) + directory + sealed blobs +
 * rows, page-aligned and zero-padded. One writer (the committer). Any thread
 * may read synced groups through a cursor. */
#ifndef LETHE_GATEWAY_STORE_JOURNAL_H
#define LETHE_GATEWAY_STORE_JOURNAL_H

#include "lethe/gateway/store/group.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_PAGE          4096u
#define JOURNAL_SEGMENT_BYTES (64u << 20)
#define JOURNAL_GROUP_MAX     (32u << 20) /* bytes of one journal group */

struct journal;

/* What of a destination is done: everything before (sequence, fragment),
 * fragments counted within that destination's share of that journal group.
 * Fragments that cannot be delivered now move to outage.db and count as
 * past, so nothing done lies beyond the mark but transfers under way; a crash
 * sends those again with the same event id. Totals are of fragments since the
 * destination's first. Carried in journal groups; newest wins. */
struct mark {
    uint64_t destination;
    uint64_t sequence;
    uint32_t fragment;
    uint64_t file_length; /* jsonl: bytes of the file of `file_day` */
    uint32_t file_day;    /* jsonl: days since 1970 */
    uint64_t cleared;     /* fragments up to and including this group */
    uint64_t accepted, refused, swept, expired, purged, dead;
};

struct journal_limits {
    uint64_t spool_bytes; /* journal and outage.db together */
    uint64_t disk_free;   /* bytes to leave free on the file system */
};

/* What recovery found; for gate.recovered. */
struct journal_recovery {
    uint64_t groups;                   /* valid ones read */
    uint64_t torn_bytes;               /* of the newest, unfinished group */
    uint64_t damaged;                  /* groups lost between valid ones */
    uint64_t damaged_from, damaged_to; /* their sequences */
    uint64_t next_sequence;
    uint64_t optout_seen; /* smallest of its blobs; UINT64_MAX: no blob */
};

/* Open or create the folder; find the newest valid group and the newest
 * marks. Sequences only grow, by one a group, with a jump at each open, and
 * start from the wall clock: a sink that kept a position of a journal that is
 * gone never takes a new group for an old one. Nothing is recycled before
 * journal_set_readers() and journal_rows_safe() have been called.
 * Errors: ST_IO, ST_FULL, ST_CORRUPT (a segment file that is too long),
 * ST_NOMEM. */
enum status journal_open(const char *folder,
                         const struct journal_limits *limits,
                         struct journal **out,
                         struct journal_recovery *out_found) MUST_CHECK;

/* Call `each` for the rows of every valid group from the oldest kept, in
 * order, before the first append: the audit rebuilds its tail from them.
 * `rows_before`: rows of that site in all groups before this one, since the
 * site's first. */
typedef enum status journal_rows_fn(void *ctx, const struct group_rows *site,
                                    uint64_t rows_before, const uint8_t *rows);
enum status journal_replay_rows(struct journal *j, journal_rows_fn *each,
                                void *ctx) MUST_CHECK;

/* Write `count` groups (0: marks only) as one journal group and fdatasync.
 * On ST_OK it is on disk and visible to cursors. The limits hold for groups
 * with blobs only: rows and marks are what makes room again.
 * Errors: ST_FULL (nothing visible; try later), ST_LIMIT (more bytes than
 * journal_group_limit(); nothing written), ST_IO (broken: every later append
 * fails; the process must stop). */
enum status journal_append(struct journal *j, struct group *const *groups,
                           unsigned count, int64_t now_ms) MUST_CHECK;

/* Remember a destination's mark; the next append carries it (an empty one
 * follows by itself through commit.c when idle). Any thread. */
void journal_set_mark(struct journal *j, const struct mark *m);
/* The newest mark (from disk at first; zeroed with .destination set where
 * there was none). Any thread. */
void journal_get_mark(struct journal *j, uint64_t destination,
                      struct mark *out);
bool journal_marks_pending(const struct journal *j);

/* Audit rows of groups before `sequence` are in synced batch records. */
void journal_rows_safe(struct journal *j, uint64_t sequence);
/* The sequence that the next append gets. Any thread. */
uint64_t journal_next_sequence(const struct journal *j);

struct journal_cursor { /* zero = oldest kept; only .sequence set = at it */
    uint64_t sequence;
    unsigned segment; /* not used */
    uint64_t offset;  /* entry of that group's directory to go on from */
};

/* One sealed blob of a destination, in order. `sealed` is filled. */
struct journal_blob {
    uint64_t sequence;
    uint32_t first_fragment; /* index of its first within this destination's
                                share of the journal group */
    uint32_t slot, use, count;
    int64_t accepted_ms; /* wall clock of the commit */
    uint64_t optout_seen;
    int64_t expires_min_ms;
};

/* The next blob of `destination` at or after the cursor; moves the cursor
 * behind it. Errors: ST_END (nothing synced yet: wait for a poke), ST_IO,
 * ST_CORRUPT (that journal group cannot be read any more; the cursor has
 * moved behind it), ST_NOMEM (or `sealed` has too low a cap). Any thread;
 * each cursor has one owner. */
enum status journal_read(struct journal *j, struct journal_cursor *at,
                         uint64_t destination, struct journal_blob *out,
                         struct buf *sealed) MUST_CHECK;

/* Declare which destinations read: segments are recycled when all of these
 * are past them and their rows are safe. Replaces the former list. */
void journal_set_readers(struct journal *j, const uint64_t *destinations,
                         unsigned count);

struct journal_facts {
    uint64_t bytes_used; /* in segments that hold something needed */
    uint64_t segments;
    int64_t oldest_ms; /* accept time of the oldest group needed; 0 none */
};
void journal_facts(struct journal *j, struct journal_facts *out);
/* Of one destination: bytes of segments it still needs, oldest accept time
 * (0 = none waits), fragments cleared in all since its first. */
void journal_backlog(struct journal *j, uint64_t destination,
                     uint64_t *out_bytes, int64_t *out_oldest_ms,
                     uint64_t *out_cleared);

/* Overwrite idle segments with zeros (a helper thread calls it; also at the
 * longest keep_spool). Errors: ST_IO. */
enum status journal_zero_idle(struct journal *j) MUST_CHECK;

/* --- further calls of the committer and the supervisor */

/* Bytes that a group adds to a journal group, at most; and the most that one
 * journal group may hold. Any thread. */
uint64_t journal_group_bytes(const struct group *g);
uint64_t journal_group_limit(const struct journal *j);
/* Limits would let `bytes` of events in now. Any thread. */
bool journal_has_room(struct journal *j, uint64_t bytes);
/* Bytes that outage.db holds: they count into limits.spool. Any thread. */
void journal_set_other_bytes(struct journal *j, uint64_t bytes);
/* Limits after a reload. Any thread. */
void journal_set_limits(struct journal *j, const struct journal_limits *limits);
/* Microseconds that the last write and sync took. Any thread. */
int64_t journal_sync_us(const struct journal *j);
/* The next append begins a segment, so that the present one can be recycled
 * and zeroed: the supervisor asks once every longest retention.spool, for a
 * quiet gateway would keep old rows in it for long. Any thread. */
void journal_roll(struct journal *j);

void journal_close(struct journal *j);

#endif
