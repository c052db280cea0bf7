/* commit.h - the committer: one thread, natural groups, one write and one
 * sync at a time (design.md section 2 "Commit"). */
#ifndef LETHE_GATEWAY_STORE_COMMIT_H
#define LETHE_GATEWAY_STORE_COMMIT_H

#include "lethe/gateway/store/group.h"
#include "lethe/gateway/store/journal.h"
#include "lethe/policy/base/clock.h"

struct commit;

struct commit_hooks {
    /* After a journal group is on disk, on the committer's thread, after all
     * on_done: hash its rows (audit) and wake forwarders. */
    void (*on_synced)(void *ctx, struct group *const *groups, unsigned count,
                      uint64_t sequence, int64_t now_ms);
    /* The disk failed: nothing will be accepted any more. */
    void (*on_broken)(void *ctx);
    void *ctx;
};

/* Start the thread. `j` outlives it. Errors: ST_NOMEM, ST_IO. */
enum status commit_start(struct journal *j, const struct clock *clock,
                         const struct commit_hooks *hooks,
                         struct commit **out) MUST_CHECK;

/* Hand a group over (the caller's reference goes with it). Never blocks.
 * Once commit_stop has begun: on_done(ST_CLOSED) at once. Any thread. */
void commit_submit(struct commit *c, struct group *g);

/* The last append failed with ST_FULL and none has succeeded since: workers
 * answer 503 before reading events. Any thread; cheap. */
bool commit_is_full(const struct commit *c);

/* Flush sync latencies for status and bench: median of the last 1,024. */
int64_t commit_sync_p50_us(const struct commit *c);

/* Write what is queued and the marks, end the thread, free. Who submits while
 * it runs gets ST_CLOSED; nobody may once it has returned. */
void commit_stop(struct commit *c);

#endif
