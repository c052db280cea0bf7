/* forward_state.h - what the forward*.c files keep: items, blocks, batches,
 * destinations, threads. Only they include it, through forward_inner.h, which
 * declares what they call of each other. */
#ifndef LETHE_GATEWAY_FORWARD_STATE_H
#define LETHE_GATEWAY_FORWARD_STATE_H

#include "lethe/gateway/forward.h"
#include "lethe/gateway/random.h"
#include "lethe/gateway/sink/sink.h"

#include <pthread.h>

#define FORWARD_MEMORY_MAX      (4u << 20) /* bytes in memory, a destination */
#define FORWARD_WINDOW_MAX      65536u     /* items shuffled at once */
#define FORWARD_LINGER_MS       10
#define FORWARD_BACKOFF_MS      INT64_C(1000)
#define FORWARD_BACKOFF_MAX     (5 * MS_PER_MIN)
#define FORWARD_RETRY_AFTER_MAX MS_PER_H
#define FORWARD_TICK_MS         INT64_C(1000)
#define FORWARD_RETENTION_MS    MS_PER_H
#define FORWARD_THREADS_MAX     64u

struct event;
struct event_base;
struct forward_thread;

enum item_state {
    ITEM_READY,   /* may be picked */
    ITEM_SENDING, /* in a batch, also one that waits for its next try */
    ITEM_LEAVING, /* its audit row is on the way to disk */
    ITEM_DONE
};

enum item_outcome {
    ITEM_NONE, /* moved to outage.db: still waiting */
    ITEM_ACCEPTED,
    ITEM_REFUSED,
    ITEM_SWEPT,
    ITEM_EXPIRED,
    ITEM_PURGED,
    ITEM_DEAD
};

struct item {
    struct fragment f; /* its slices point into the block's plain bytes */
    struct block *block;
    enum item_state state;
    enum item_outcome outcome;
    uint64_t ticket; /* of its row, when ITEM_LEAVING */
};

/* One opened blob. Blocks stand in the order in which they were read. */
struct block {
    struct block *next;
    bool from_outage, dead; /* dead: a dead letter that expires or is purged */
    int64_t row_id;         /* outage.db */
    uint64_t sequence;      /* journal */
    uint32_t first;         /* journal: index of items[0] in its group */
    uint32_t slot, use;
    int64_t accepted_ms;
    uint64_t ticket; /* outage: delete the row after this one */
    uint32_t count, passed;
    size_t bytes; /* counted against FORWARD_MEMORY_MAX */
    struct buf plain;
    struct item *items;
};

struct batch {
    struct batch *next;
    struct destination *dest;
    struct item **items;
    unsigned count;
    bool gpc;
    struct net_transfer *transfer; /* NULL: waits for its next try */
    struct net_sink *sink;
};

/* A sink of before the last reload, until its transfers have ended. */
struct old_sink {
    struct old_sink *next;
    struct net_sink *sink;
};

struct decide_set { /* open addressing; the hashes present rules have */
    uint64_t *slots;
    uint32_t mask;
};

/* The sinks of a file or database. */
struct file_sinks {
    char *path, *group;
    unsigned mode;
    struct file_sink *files[POLICY_PURPOSES_MAX];
    char purposes[POLICY_PURPOSES_MAX][POLICY_NAME_MAX + 1];
    struct duration keep[POLICY_PURPOSES_MAX];
    unsigned count; /* purposes; files of them for jsonl */
    struct sqlite_sink *db;
};

struct destination {
    struct destination *next; /* on its thread */
    struct forward_thread *thread;
    struct forward_destination now; /* policy: a reference of ours */
    char day_tag[24];
    enum destination_type type;
    unsigned batch_max, concurrency;
    int64_t boundary_ms; /* release: boundary; 0 = live */
    struct decide_set decides;
    struct random_source random;
    struct sealer sealer;

    struct file_sinks out;
    struct net_sink *net;
    struct old_sink *old;
    uint64_t db_sequence; /* sqlite: where its newest transaction ends */
    uint32_t db_fragment;

    struct journal_cursor cursor;
    bool outage_waits;   /* outage.db may hold rows for it */
    int64_t outage_last; /* id read last */
    struct block *first, *last;
    struct block *held; /* read, its boundary is yet to come */
    size_t bytes;
    struct buf sealed, again_sealed;
    struct item **queue; /* queue[head..tail) are ready, NULL = taken */
    unsigned head, tail, size;
    int64_t linger_from; /* monotonic; 0 = nothing lingers */

    struct batch *again, *running;
    unsigned in_flight;
    struct fragment *scratch; /* room for the largest batch ever */
    unsigned scratch_size;
    bool paused, failing, moving, journal_ended;
    int last_status;
    unsigned failures;
    int64_t retry_at;                              /* monotonic; 0 = now */
    int64_t next_expire, next_limits, next_counts; /* monotonic */
    int64_t oldest_row_ms; /* of what waits in outage.db; 0 none */

    bool purging;
    uint8_t purge_reason;
    uint64_t purge_until, purge_count; /* sequence; fragments */

    struct mark mark;
    bool mark_moved;
    struct buf rows; /* of ticket_open */
    uint64_t ticket_open, ticket_flying, ticket_done;
    bool ticket_wanted; /* outage rows wait for a group, rows or not */
    int64_t rows_retry_at;
    struct buf flying;
    pthread_mutex_t lock; /* rows_state, facts, retention, news */
    pthread_cond_t rows_end;
    enum { ROWS_IDLE, ROWS_FLYING, ROWS_LANDED } rows_state;
    enum status rows_result;
    struct forward_facts facts;
    struct retention_facts retention[POLICY_PURPOSES_MAX];
    unsigned retention_count;
    struct forward_news news[POLICY_PURPOSES_MAX]; /* not yet told */
    int64_t next_retention;                        /* wall clock */
    bool retention_wanted;
};

struct call;
typedef void call_fn(struct forward_thread *t, struct call *c);
struct call {
    struct call *next;
    unsigned refs;
    call_fn *run;
    struct destination *dest;
    void *arg;
    int64_t number;
    uint64_t count;
    enum status result;
    bool later; /* run() left it open; call_done() ends it */
    bool done;
};

struct forward_thread {
    struct forward *f;
    pthread_t id;
    bool started, ending, broken_off;
    int64_t end_at;
    struct event_base *base;
    struct net_loop *loop;
    int wake_fd;
    struct event *wake, *timer;
    pthread_mutex_t lock; /* calls */
    struct call *calls, **calls_end;
    struct destination *dests;
    struct call *purge; /* open purge call; one at a time */
};

#define KEY_WATCH_MAX SPOOL_KEYS_MAX
struct key_watch {
    uint32_t slot, use;
    int64_t since; /* monotonic: first seen not live */
};

struct forward {
    struct forward_parts parts;
    pthread_mutex_t config; /* one configure, purge, stop at a time */
    pthread_mutex_t lock;   /* dests, calls' ends */
    pthread_cond_t call_end;
    struct forward_thread *net[FORWARD_THREADS_MAX];
    unsigned net_count, net_next;
    struct destination **dests;
    unsigned dest_count;
    struct key_watch *watch;
    unsigned watch_count;
};

#endif
