/* forward.h - from the journal to the destinations, on the forwarders' own
 * time (design.md section 2, storage.md section 2).
 *
 * Each destination reads the journal through its own cursor, so one slow
 * backend never blocks another nor intake. Network destinations share
 * `forwarders` threads; each file or database has its own. Before any byte is
 * handed on: fragment not expired, its rules still in force, sweep set asked.
 * What is swept, expired, refused, dead or purged gets an audit row (through
 * the committer, like all rows) before the mark moves past it. */
#ifndef LETHE_GATEWAY_FORWARD_H
#define LETHE_GATEWAY_FORWARD_H

#include "lethe/gateway/audit/log.h"
#include "lethe/gateway/rights/sweep.h"
#include "lethe/gateway/sink/subject.h"
#include "lethe/gateway/store/commit.h"
#include "lethe/gateway/store/journal.h"
#include "lethe/gateway/store/outage.h"
#include "lethe/gateway/store/spool_keys.h"
#include "lethe/policy/policy.h"

struct forward;

struct forward_parts {
    struct journal *journal;
    struct commit *commit;
    struct outage *outage;
    struct spool_keys *keys;
    struct sweep *sweep;
    const struct clock *clock;
    unsigned threads;        /* for network destinations */
    uint64_t journal_bytes;  /* limits.journal: then its rest moves out */
    int64_t journal_wait_ms; /* 15 minutes */
};

/* A sink that is a function: everything counts as accepted at once, and goes
 * nowhere else. `take` is called on forwarders' threads. */
struct fragment;
struct builtin_sink {
    void (*take)(void *ctx, unsigned plan, const struct fragment *f);
    void *ctx;
};

/* One destination as it is configured now. The policy is referenced. */
struct forward_destination {
    uint64_t key;                           /* destination_key() */
    unsigned site_index, destination_index; /* for metrics and rows */
    uint64_t site_number;
    uint64_t policy_index; /* policy.load record in force, for rows */
    const struct conf_destination *conf;
    struct policy *policy;
    unsigned plan; /* index in policy->destinations */
    /* In place of whatever `conf` names (canary.h); NULL: what it names. */
    const struct builtin_sink *builtin;
};

enum status forward_start(const struct forward_parts *parts,
                          struct forward **out) MUST_CHECK;

/* Take this list in place of the former: new ones start at their mark, gone
 * ones stop; fragments whose deciding hash no present rule has are purged
 * (REASON_POLICY_CHANGED). `conf` and policies stay valid until the next
 * call returns. `day_tag` is the tag for rows of exceptions.
 * Errors: ST_NOMEM, ST_IO, ST_DENIED (a sink cannot be opened; the former
 * list stays). */
enum status forward_configure(struct forward *f,
                              const struct forward_destination *list,
                              unsigned count, const char *day_tag) MUST_CHECK;

/* New groups are synced. Any thread; cheap. */
void forward_poke(struct forward *f);

/* An opt-out entered the sweep sets: every transfer that holds a fragment it
 * hits is cut and rebuilt without it. Returns when every forwarder has cut or
 * confirmed; ST_TIMEOUT after `wait_ms`: then such connections are closed for
 * it. A file or database that is being written to is given 2 s. *out_sent:
 * fragments that were wholly written already. Any thread but the forwarders'
 * own. */
enum status forward_sweep(struct forward *f, int64_t wait_ms,
                          uint64_t *out_sent) MUST_CHECK;

/* Operator's pause and resume of a destination, by key. ST_UNKNOWN. */
enum status forward_pause(struct forward *f, uint64_t destination,
                          bool paused) MUST_CHECK;
/* Dead letters (0 = of all) become waiting; rules, expiry and opt-outs are
 * asked again. Counts fragments. */
enum status forward_replay(struct forward *f, uint64_t destination,
                           uint64_t *out_count) MUST_CHECK;
/* Purge what waits (or the dead letters) of a destination; counts. */
enum status forward_purge(struct forward *f, uint64_t destination, bool dead,
                          uint64_t *out_count) MUST_CHECK;

/* What a file or database destination holds of one person: found, exported
 * (`each`, on the destination's thread), erased. Waits until it is done; a
 * destination that is busy finishes its batch first. Errors: ST_UNKNOWN,
 * ST_TYPE (a network destination), and those of sink/subject.h. */
struct subject_wish {
    struct subject_names names;
    bool erase;
    subject_line_fn *each; /* NULL: only count */
    void *ctx;
};
struct subject_result {
    uint64_t rows;
    bool pending; /* a reader still holds the database's log */
};
enum status forward_subject(struct forward *f, uint64_t destination,
                            const struct subject_wish *wish,
                            struct subject_result *out) MUST_CHECK;

struct forward_facts {
    uint64_t key;
    unsigned site_index, destination_index;
    bool paused, failing, held; /* held: opt-out store is unsound */
    int last_status;            /* HTTP status or errno of the last failure */
    uint64_t cleared, accepted, refused, swept, expired, purged, dead, waiting;
    uint64_t waiting_bytes;
    uint64_t tls_failures; /* transfers ended by certificate or name */
    int64_t oldest_ms;     /* accept time of what waits longest; 0 none */
};
/* Facts of every destination, for status, metrics and delivery records. What
 * is done is as of the destination's last pass, what was taken as of now: so
 * `waiting` never leaves out what a client was told is durable. */
unsigned forward_list(struct forward *f, struct forward_facts *out,
                      unsigned max);

/* Ask retention of file and database destinations to run now on their own
 * threads, or what the last run found. */
struct retention_facts {
    uint64_t key;
    unsigned site_index, destination_index;
    char purpose[POLICY_NAME_MAX + 1];
    int64_t last_run_ms, oldest_ms, overdue_ms; /* overdue 0 = in time */
    uint64_t removed; /* rows or files, by the last run */
    bool pending;     /* a reader holds the write-ahead log */
};
void forward_retention_run(struct forward *f);
unsigned forward_retention_list(struct forward *f, struct retention_facts *out,
                                unsigned max);

/* What has to be written down: each is told once. Of one purpose of a file or
 * database what retention removed, or of a network destination how many
 * transfers its certificate or name ended. */
struct forward_news {
    unsigned site_index, destination_index;
    char purpose[POLICY_NAME_MAX + 1];
    uint64_t removed_files, removed_rows, tls_failures;
};
unsigned forward_take_news(struct forward *f, struct forward_news *out,
                           unsigned max);

/* Spool keys that nothing needs any more are destroyed (supervisor's tick);
 * returns how many.
 * `live`: epochs in force, as (destination, epoch id) pairs. */
struct live_epoch {
    uint64_t destination, epoch;
};
unsigned forward_collect_keys(struct forward *f, const struct live_epoch *live,
                              unsigned count);

/* Finish running transfers within `drain_ms`, set marks, end threads. The
 * committer may still poke: forward_free() comes when it has ended, too. */
void forward_stop(struct forward *f, int64_t drain_ms);
void forward_free(struct forward *f);

#endif
