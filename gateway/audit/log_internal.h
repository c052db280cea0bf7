/* log_internal.h - what the writer's files share; nobody else includes it.
 *
 * Who touches what: `queue` and what is under `lock` belong to everybody; all
 * else belongs to the audit thread once it runs, and to the caller of
 * audit_open .. audit_start before. */
#ifndef GATEWAY_AUDIT_LOG_INTERNAL_H
#define GATEWAY_AUDIT_LOG_INTERNAL_H

#include "orders.h"

#include "lethe/gateway/audit/fork.h"
#include "lethe/gateway/audit/log.h"
#include "lethe/gateway/audit/merkle.h"

#include <pthread.h>
#include <stdatomic.h>

#define BATCH_MS           INT64_C(1000)
#define HEARTBEAT_MS       INT64_C(60000)
#define TICK_MS            100  /* how late a batch may close */
#define QUEUE_WAKE_GROUPS  64u  /* groups that wake the thread at once */
#define SEGMENT_ALIGN      256u /* indexes; audit-format.md 3.1 */
#define SEGMENT_BYTES      (UINT64_C(64) << 20)
#define RESERVE_BYTES      (16 << 20)
#define AUDIT_SITES_MAX    4096u /* ever named in one log */
#define AUDIT_POLICIES_MAX 65536u
#define TALLY_SLOTS        1024u
#define RECORD_FRAME       100u  /* bytes of a record around its texts */
#define BATCH_FRAME        1024u /* bytes of a batch record without by, ex */
#define BY_BYTES           18u   /* "[65535,255,65536]," */
#define EX_BYTES           22u
#define PATH_BYTES         4200u
#define POLICY_HEX         16u
#define POLICY_NONE        UINT64_MAX

/* Counts by (act, rule, reason); act 0 = `by`. Open addressing; BATCH_FRAME
 * and AUDIT_RECORD_MAX keep it under half full. */
struct tally {
    uint32_t keys[TALLY_SLOTS];
    uint32_t counts[TALLY_SLOTS]; /* 0 = free slot */
};

struct audit_site {
    uint64_t number;
    char label[NAME_BYTES]; /* "" until the first batch */
    int64_t t1;             /* of its last batch, or of a later heartbeat */
    uint64_t total;         /* rows ever, in records */
    uint64_t found;         /* rows from the journal, not yet in records */
    uint64_t gap;           /* rows lost, to be written down */
    bool open;
    int64_t t0, opened_mono;
    uint64_t first_sequence;
    uint64_t policy;
    char tag[24];
    struct audit_counts counts;
    uint64_t exceptions; /* rows beside the event rows */
    unsigned by_kinds, ex_kinds;
    uint32_t refused[5];
    uint32_t last_us;
    struct tally tally;
    struct buf rows;
};

struct audit_policy {
    uint64_t index;
    char hex[POLICY_HEX + 1];
};

struct audit_waiter {
    bool done;
    enum status st;
    uint64_t index;
};

struct audit_item {
    struct audit_item *next;
    struct group *group; /* rows, or NULL: an entry */
    uint64_t sequence;
    int64_t mono_ms;
    enum audit_record_act act;
    enum audit_outcome out;
    struct audit_waiter *waiter; /* borrowed from the caller's stack */
    size_t who_len, why_len, d_len;
    char text[]; /* who, why, d */
};

/* Rows found in the journal, kept until audit_start knows the labels. */
struct audit_found_rows {
    struct audit_found_rows *next;
    struct group_rows head;
    uint8_t rows[];
};

struct audit_file {
    int fd;
    uint64_t size; /* synced bytes */
    char path[PATH_BYTES];
};

struct audit_log {
    struct audit_config config;
    char *folder, *node, *origin;
    const char *(*site_label)(void *ctx, uint64_t site);
    void *label_ctx;

    /* The log's end. */
    uint64_t first_index; /* of the first record that was not pruned */
    uint64_t next_index, segment_first;
    int64_t segment_day; /* days since 1970 of its first record */
    int64_t last_t;
    int64_t heartbeat_t1; /* or the first gate.start's t */
    bool has_base;        /* heartbeat_t1 is set */
    struct audit_counts cum;
    uint64_t last_policy; /* index; UINT64_MAX none */
    char last_tag[24];
    struct audit_site **sites;
    unsigned site_count;
    struct audit_policy *policies;
    unsigned policy_count;
    uint32_t refused_nowhere[5]; /* requests that named no site */
    bool has_refused;
    int64_t refused_mono;

    /* What waits to be written. */
    struct audit_file seg, rows, names;
    struct buf seg_out, rows_out, d;
    int reserve_fd;
    bool reserved;
    int64_t blocked_mono;

    int64_t heartbeat_mono, clock_offset;
    uint64_t seen_sequence; /* newest whose rows are in batches */
    bool has_sequence;
    uint64_t rows_rebuilt, rows_lost;
    struct audit_found_rows *found_first, *found_last;

    pthread_mutex_t orders_lock;
    struct audit_orders orders; /* under orders_lock */

    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    pthread_t thread;
    bool running;
    bool stopping;                   /* under lock */
    bool hurry;                      /* under lock: do not wait */
    struct audit_item *first, *last; /* under lock */
    unsigned queued;                 /* under lock */
    _Atomic int64_t oldest_mono;     /* 0 = no row waits */
    _Atomic bool broken, blocked;
    _Atomic uint64_t row_bytes, record_bytes;
    _Atomic uint64_t synced; /* records on disk */
    bool has_fork; /* this log goes on for another; until the first start */
    struct audit_fork fork;
    struct publisher *publisher; /* log_publish.c; NULL: nothing is signed */
};

/* log_file.c */
enum status file_append_open(struct audit_file *f) MUST_CHECK;
void file_close(struct audit_file *f);
enum status folder_sync(const struct audit_log *l) MUST_CHECK;
enum status segment_open(struct audit_log *l, uint64_t first) MUST_CHECK;
/* Before a record is put: begins a new segment where one is due. */
enum status segment_roll(struct audit_log *l, int64_t t_ms) MUST_CHECK;
/* Write and sync rows, then records. ST_FULL: all is kept, try again. */
enum status log_flush(struct audit_log *l) MUST_CHECK;
bool reserve_make(struct audit_log *l);
void reserve_release(struct audit_log *l);
void log_break(struct audit_log *l, enum status st);

/* log_record.c */
bool record_who_ok(struct slice s);
bool record_why_ok(struct slice s);
bool record_d_ok(struct slice s);
int64_t record_time(struct audit_log *l);
struct record_head {
    enum audit_record_act act;
    struct slice who, why; /* who.len 0 = this gateway */
    enum audit_outcome out;
    int64_t t_ms; /* from record_time */
};
/* Put a checked record into seg_out; its index is next_index before. */
void record_put(struct audit_log *l, const struct record_head *h,
                struct slice d);
void put_base64(struct buf *b, const uint8_t *bytes, size_t len);
const char *rows_mode_name(enum conf_rows rows);

/* log_batch.c */
enum status batch_add(struct audit_log *l, const struct group_rows *head,
                      const uint8_t *rows, int64_t mono_ms,
                      uint64_t sequence) MUST_CHECK;
enum status batch_close_due(struct audit_log *l, int64_t mono_ms) MUST_CHECK;
enum status batch_close_all(struct audit_log *l) MUST_CHECK;
enum status heartbeat_put(struct audit_log *l) MUST_CHECK;
struct audit_site *site_find(struct audit_log *l, uint64_t number);
struct audit_site *site_add(struct audit_log *l, uint64_t number);
bool policy_has_hash(struct slice d);
bool policy_is_known(const struct audit_log *l, uint64_t index);
/* Remember a policy.load at `index`, whose d is `d`. */
enum status policy_note(struct audit_log *l, uint64_t index,
                        struct slice d) MUST_CHECK;

/* What one batch record says; heartbeats have no site and no rows. */
struct batch_text {
    const char *site;
    uint64_t policy;
    int64_t t0, t1;
    struct audit_counts counts;
    const struct tally *tally;
    struct slice rows;
    const char *tag;
    const uint32_t *refused;
};

enum status batch_put(struct audit_log *l, struct batch_text *t) MUST_CHECK;

/* log_rows.c: which rows of a segment a record counted, and whether these are
 * they. Of the newest, the last ROWS_CHECKED_MAX are looked at. */
#define ROWS_CHECKED_MAX (UINT64_C(1) << 21)
struct row_batch {
    uint64_t index, first, count; /* record; rows of its segment */
    char root[44];                /* base64 */
};
struct row_batches {
    struct row_batch *list;
    size_t count, room;
    uint64_t rows;
};
enum status rows_note(struct row_batches *b, uint64_t index, uint64_t count,
                      struct slice root) MUST_CHECK;
void rows_forget(struct row_batches *b);
/* Errors: ST_CORRUPT (they are not; the record is named in the log), ST_IO. */
enum status rows_check(const struct row_batches *b, int fd) MUST_CHECK;

/* log_recover.c */
enum status recover_read(struct audit_log *l,
                         struct audit_recovery *out) MUST_CHECK;

/* log_fork.c: a fork that `lethe audit fork` noted. */
enum status fork_find(struct audit_log *l,
                      struct audit_recovery *found) MUST_CHECK;
void fork_put_prev(const struct audit_log *l, struct buf *out);
enum status fork_put_record(struct audit_log *l) MUST_CHECK;
/* It is in the log. */
void fork_done(struct audit_log *l);

/* log_publish.c. Before publish_start(): the tree goes on at `first` (where
 * records were pruned), then gets each line found, without its newline.
 * Errors: as log_tree_resume(), log_tree_add(). */
enum status publish_new(struct audit_log *l) MUST_CHECK;
void publish_free(struct audit_log *l);
enum status publish_resume(struct audit_log *l, uint64_t first) MUST_CHECK;
enum status publish_found(struct audit_log *l, struct slice line) MUST_CHECK;
/* Lines that are on disk now, each with its newline. */
void publish_lines(struct audit_log *l, struct slice lines);
/* Hold the tree against what was signed. Errors: as audit_start(). */
enum status publish_begin(struct audit_log *l) MUST_CHECK;
enum status publish_start(struct audit_log *l) MUST_CHECK;
/* After the audit's thread has ended: the rest is signed. */
void publish_stop(struct audit_log *l);

/* log.c. Under `lock`; false: the log is closing, `it` stays the caller's. */
bool log_push(struct audit_log *l, struct audit_item *it, bool hurry);

/* log_thread.c. Take a record into account that orders something. */
void log_orders(struct audit_log *l, uint64_t index, int64_t t_ms,
                struct slice act, struct slice why, struct slice d);
/* What the records up to now order. */
void audit_orders_copy(struct audit_log *l, struct audit_orders *out);
void *log_thread(void *log);

#endif
