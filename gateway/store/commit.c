#include "lethe/gateway/store/commit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commit_private.h"

#define SYNC_RING 1024u
#define BATCH_MAX 4096u /* groups in one journal group */

struct commit {
    struct journal *journal;
    struct clock clock;
    struct commit_hooks hooks;
    int64_t idle_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* queue and stopping */
    pthread_cond_t poke;
    struct group *first, **last; /* queue, oldest first */
    bool stopping;
    bool full;                      /* atomic */
    bool broken;                    /* the thread's own */
    int64_t ring[SYNC_RING];        /* atomic items, microseconds */
    uint64_t syncs;                 /* atomic */
    struct group *batch[BATCH_MAX]; /* the thread's own */
};

static void done(struct group *g, enum status st)
{
    if (g->on_done != NULL)
        g->on_done(g, st);
}

static void note_sync(struct commit *c)
{
    uint64_t n = __atomic_load_n(&c->syncs, __ATOMIC_RELAXED);

    __atomic_store_n(&c->ring[n % SYNC_RING], journal_sync_us(c->journal),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&c->syncs, n + 1, __ATOMIC_RELEASE);
}

static enum status append(struct commit *c, unsigned count)
{
    enum status st;

    if (c->broken)
        return ST_IO;
    st = journal_append(c->journal, c->batch, count,
                        c->clock.wall_ms(c->clock.ctx));
    if (st == ST_OK)
        note_sync(c);
    /* A group that no journal group can hold is as good as a full disk. */
    return st == ST_LIMIT ? ST_FULL : st;
}

/* What has happened to the journal, for workers and for the process. */
static void note_result(struct commit *c, enum status st)
{
    if (st == ST_FULL) {
        __atomic_store_n(&c->full, true, __ATOMIC_RELEASE);
    } else if (st == ST_OK && commit_is_full(c)) {
        /* Rows alone get through while events do not: ask. */
        if (journal_has_room(c->journal, JOURNAL_PAGE))
            __atomic_store_n(&c->full, false, __ATOMIC_RELEASE);
    } else if (st == ST_IO && !c->broken) {
        c->broken = true;
        if (c->hooks.on_broken != NULL)
            c->hooks.on_broken(c->hooks.ctx);
    }
}

static void finish_batch(struct commit *c, unsigned count, uint64_t sequence,
                         enum status st)
{
    for (unsigned i = 0; i < count; i++)
        done(c->batch[i], st);
    if (st == ST_OK && c->hooks.on_synced != NULL)
        c->hooks.on_synced(c->hooks.ctx, c->batch, count, sequence,
                           c->clock.wall_ms(c->clock.ctx));
    for (unsigned i = 0; i < count; i++)
        group_unref(c->batch[i]);
}

/* Take groups off the list as long as one journal group can hold them. */
static unsigned fill_batch(struct commit *c, struct group **list)
{
    uint64_t room = journal_group_limit(c->journal);
    unsigned count = 0;

    while (*list != NULL && count < BATCH_MAX) {
        struct group *g = *list;
        uint64_t bytes = journal_group_bytes(g);
        if (count > 0 && bytes > room)
            break;
        room -= bytes < room ? bytes : room;
        *list = g->next;
        g->next = NULL;
        c->batch[count++] = g;
    }
    return count;
}

static void commit_list(struct commit *c, struct group *list)
{
    while (list != NULL) {
        unsigned count = fill_batch(c, &list);
        uint64_t sequence = journal_next_sequence(c->journal);
        enum status st = append(c, count);
        note_result(c, st);
        finish_batch(c, count, sequence, st);
    }
}

/* Nothing came for a while: marks must not wait for the next event, and a
 * full journal must notice that it is not any more. */
static void on_idle(struct commit *c)
{
    if (!commit_is_full(c) && !journal_marks_pending(c->journal))
        return;
    note_result(c, append(c, 0));
}

static void deadline(int64_t ms, struct timespec *out)
{
    (void)clock_gettime(CLOCK_MONOTONIC, out);
    out->tv_sec += ms / 1000;
    out->tv_nsec += (long)(ms % 1000) * 1000000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_sec++;
        out->tv_nsec -= 1000000000;
    }
}

/* All that is queued; NULL after idle_ms or when stopping. */
static struct group *wait_for_groups(struct commit *c, bool *out_stopping)
{
    struct timespec until;

    deadline(c->idle_ms, &until);
    (void)pthread_mutex_lock(&c->lock);
    while (c->first == NULL && !c->stopping &&
           pthread_cond_timedwait(&c->poke, &c->lock, &until) != ETIMEDOUT)
        ;
    struct group *list = c->first;
    c->first = NULL;
    c->last = &c->first;
    *out_stopping = c->stopping;
    (void)pthread_mutex_unlock(&c->lock);
    return list;
}

static void *commit_run(void *ctx)
{
    struct commit *c = ctx;
    bool stopping = false;
    int64_t idle_since = c->clock.mono_ms(c->clock.ctx);

    while (!stopping) {
        struct group *list = wait_for_groups(c, &stopping);
        int64_t now = c->clock.mono_ms(c->clock.ctx);
        /* Groups that are all refused do not put off the probe. */
        bool probe = commit_is_full(c) && now - idle_since >= c->idle_ms;
        if (list != NULL)
            commit_list(c, list);
        if (list == NULL || probe) {
            on_idle(c);
            idle_since = now;
        }
    }
    on_idle(c);
    return NULL;
}

static struct commit *commit_new(struct journal *j, const struct clock *clock,
                                 const struct commit_hooks *hooks,
                                 int64_t idle_ms)
{
    struct commit *c = calloc(1, sizeof(*c));
    pthread_condattr_t attr;

    if (c == NULL)
        return NULL;
    c->journal = j;
    c->clock = *clock;
    c->hooks = *hooks;
    c->idle_ms = idle_ms;
    c->last = &c->first;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->poke, &attr);
    (void)pthread_condattr_destroy(&attr);
    return c;
}

static void commit_free(struct commit *c)
{
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_cond_destroy(&c->poke);
    free(c);
}

enum status commit_start_tuned(struct journal *j, const struct clock *clock,
                               const struct commit_hooks *hooks,
                               int64_t idle_ms, struct commit **out)
{
    struct commit *c = commit_new(j, clock, hooks, idle_ms);

    if (c == NULL)
        return ST_NOMEM;
    if (pthread_create(&c->thread, NULL, commit_run, c) != 0) {
        commit_free(c);
        return ST_IO;
    }
    *out = c;
    return ST_OK;
}

enum status commit_start(struct journal *j, const struct clock *clock,
                         const struct commit_hooks *hooks, struct commit **out)
{
    return commit_start_tuned(j, clock, hooks, COMMIT_IDLE_MS, out);
}

void commit_submit(struct commit *c, struct group *g)
{
    g->next = NULL;
    (void)pthread_mutex_lock(&c->lock);
    bool taken = !c->stopping;
    if (taken) {
        *c->last = g;
        c->last = &g->next;
        (void)pthread_cond_signal(&c->poke);
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (taken)
        return;
    done(g, ST_CLOSED);
    group_unref(g);
}

bool commit_is_full(const struct commit *c)
{
    return __atomic_load_n(&c->full, __ATOMIC_ACQUIRE);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int64_t commit_sync_p50_us(const struct commit *c)
{
    int64_t copy[SYNC_RING];
    uint64_t n = __atomic_load_n(&c->syncs, __ATOMIC_ACQUIRE);
    size_t count = n < SYNC_RING ? (size_t)n : SYNC_RING;

    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        copy[i] = __atomic_load_n(&c->ring[i], __ATOMIC_RELAXED);
    qsort(copy, count, sizeof(copy[0]), by_value);
    return copy[count / 2];
}

void commit_stop(struct commit *c)
{
    if (c == NULL)
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_signal(&c->poke);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL);
    commit_free(c);
}
