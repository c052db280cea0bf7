/* prune.h - the retention of the audit log itself (audit-format.md section 5):
 * rows and records go by whole files, oldest first, when they are older than
 * the policies in the log say, unless an officer holds them.
 *
 * Nothing is deleted before the log orders it: an audit.prune record is
 * appended, a signed checkpoint covers it, then the files go. What a crash
 * leaves undone, the next run finishes. One thread of its own, off the path of
 * events. */
#ifndef LETHE_GATEWAY_AUDIT_PRUNE_H
#define LETHE_GATEWAY_AUDIT_PRUNE_H

#include "lethe/gateway/audit/log.h"
#include "lethe/policy/base/clock.h"

#define PRUNE_EVERY_MS  MS_PER_H
#define PRUNE_KEEP_MAX  32u /* bytes of a duration, with its NUL */
#define AUDIT_HOLDS_MAX 64u /* in force at a time */
#define HOLD_ID_MAX     9u  /* 8 hex digits and a NUL */
#define HOLD_WHY_MAX    48u
#define HOLD_OPEN       INT64_MAX

enum prune_layer { PRUNE_ROWS, PRUNE_RECORDS, PRUNE_LAYERS };
const char *prune_layer_name(enum prune_layer layer); /* "rows", "records" */

/* Nothing that lies in [from, to] is deleted while it stands. */
struct audit_hold {
    char id[HOLD_ID_MAX];
    char why[HOLD_WHY_MAX];
    int64_t from_ms, to_ms; /* HOLD_OPEN: no end */
    int64_t set_ms;
    uint64_t set_index;    /* its audit.hold record */
    uint64_t lifted_index; /* UINT64_MAX: it stands */
};

/* What a run would order now. */
struct prune_plan {
    uint64_t from, to; /* records [from, to); equal: nothing is due */
    unsigned files;
    int64_t cutoff_ms;
    char keep[PRUNE_KEEP_MAX]; /* "" : no policy in the log says how long */
    uint64_t policy;           /* index of the policy.load that says so */
    bool held;                 /* a hold keeps what would be due */
    bool by_policy;            /* the policy.load in force stands in the way */
    int64_t oldest_ms;         /* of what is there; 0 = nothing */
    int64_t due_ms; /* newest time in the first file that is due; 0 = none */
};

struct pruner;
struct prune_parts {
    const char *folder; /* the log's; copied */
    const struct clock *clock;
    struct audit_log *log;
    /* Leaves that the newest published checkpoint covers; NULL: nothing is
     * signed here, and a record on disk is order enough. Any thread. */
    uint64_t (*signed_size)(void *ctx);
    void *ctx;
};

struct prune_facts {     /* of one layer */
    int64_t last_run_ms; /* 0 = never */
    uint64_t removed;    /* files, in that run */
    int64_t oldest_ms;   /* of what is left; 0 = nothing */
    int64_t overdue_ms;  /* how long the oldest should have been gone */
    bool held;           /* by a hold */
    bool waiting;        /* for the order's signature */
};

/* Errors: ST_NOMEM. */
enum status pruner_new(const struct prune_parts *parts,
                       struct pruner **out) MUST_CHECK;
/* Its thread; without it, pruner_run() is the caller's. Errors: ST_NOMEM. */
enum status pruner_start(struct pruner *p) MUST_CHECK;
/* Ends the thread, frees; NULL is allowed. Before audit_stop(). */
void pruner_stop(struct pruner *p);
/* Once a second, from anywhere: wakes the thread where something is to do. */
void pruner_tick(struct pruner *p);
/* Look at it now, not only in an hour. */
void pruner_ask(struct pruner *p);
/* One look: carry out what is ordered and signed, order what is due. Errors:
 * those of the files and of audit_append(). */
enum status pruner_run(struct pruner *p) MUST_CHECK;
void pruner_facts(struct pruner *p, enum prune_layer layer,
                  struct prune_facts *out);
/* Has a policy.load in force kept records from going since the last call? Then
 * the policies are to be loaded again, so that it no longer is. */
bool pruner_wants_policies(struct pruner *p);

/* What a run would order. Errors: ST_IO, ST_NOMEM. */
enum status pruner_plan(struct pruner *p, enum prune_layer layer,
                        struct prune_plan *out) MUST_CHECK;

/* Holds, in the order they were set; returns how many. */
unsigned pruner_holds(struct pruner *p, struct audit_hold out[AUDIT_HOLDS_MAX]);
/* In force when this returns ST_OK; fills out_id. Errors: ST_LIMIT, ST_SYNTAX
 * (times, why), those of audit_append(). */
enum status pruner_hold(struct pruner *p, const char *who, const char *why,
                        int64_t from_ms, int64_t to_ms,
                        char out_id[HOLD_ID_MAX]) MUST_CHECK;
/* Written when this returns ST_OK, at *out_index; the hold stands until that
 * record is signed. Errors: ST_UNKNOWN (no such hold), as pruner_hold(). */
enum status pruner_lift(struct pruner *p, const char *who, const char *why,
                        const char *id, uint64_t *out_index) MUST_CHECK;

/* Without a gateway, from the files alone; the caller holds the lock.
 * Errors: ST_IO, ST_CORRUPT, ST_NOMEM. */
struct prune_offline {
    struct prune_plan plans[PRUNE_LAYERS];
    struct audit_hold holds[AUDIT_HOLDS_MAX];
    unsigned hold_count;
};
enum status prune_look(const char *folder, int64_t now_ms,
                       struct prune_offline *out) MUST_CHECK;

#endif
