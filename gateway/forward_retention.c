/* Retention of files and databases, on the destination's own thread: each
 * hour of the wall clock and on request, a purpose at a time. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/policy/base/log.h"

#include <string.h>

struct found {
    uint64_t removed;
    int64_t oldest_ms;
    bool pending;
};

static enum status expire_purpose(struct destination *d, unsigned at,
                                  int64_t before_ms, struct found *out)
{
    uint64_t bytes;

    if (d->type == DESTINATION_JSONL)
        return jsonl_expire(d->out.path, d->out.purposes[at], before_ms,
                            &out->removed, &bytes, &out->oldest_ms);
    return sqlite_sink_expire(d->out.db, d->out.purposes[at], before_ms,
                              &out->removed, &out->oldest_ms, &out->pending);
}

/* How long the oldest that is left should have been gone. A file goes when
 * its whole day has passed. */
static int64_t overdue(const struct destination *d, int64_t oldest_ms,
                       int64_t before_ms)
{
    int64_t end = oldest_ms + (d->type == DESTINATION_JSONL ? MS_PER_DAY : 0);

    return oldest_ms > 0 && end < before_ms ? before_ms - end : 0;
}

static void publish(struct destination *d, unsigned at, const struct found *f,
                    int64_t before_ms)
{
    struct retention_facts *x = &d->retention[at];

    pthread_mutex_lock(&d->lock);
    memset(x, 0, sizeof(*x));
    x->key = d->now.key;
    x->site_index = d->now.site_index;
    x->destination_index = d->now.destination_index;
    memcpy(x->purpose, d->out.purposes[at], sizeof(x->purpose));
    x->last_run_ms = forward_wall(d);
    x->oldest_ms = f->oldest_ms;
    x->overdue_ms = overdue(d, f->oldest_ms, before_ms);
    x->removed = f->removed;
    x->pending = f->pending;
    d->retention_count = d->out.count;
    pthread_mutex_unlock(&d->lock);
}

static void tell(struct destination *d, unsigned at, uint64_t removed)
{
    struct forward_news *news = &d->news[at];

    pthread_mutex_lock(&d->lock);
    if (removed > 0)
        memcpy(news->purpose, d->out.purposes[at], sizeof(news->purpose));
    if (d->type == DESTINATION_JSONL)
        news->removed_files += removed;
    else
        news->removed_rows += removed;
    pthread_mutex_unlock(&d->lock);
}

/* A run that failed keeps the facts of the last good one: what is overdue
 * goes on growing, and shows. */
static void still_overdue(struct destination *d, unsigned at, int64_t before_ms)
{
    struct retention_facts *x = &d->retention[at];

    pthread_mutex_lock(&d->lock);
    x->overdue_ms = overdue(d, x->oldest_ms, before_ms);
    pthread_mutex_unlock(&d->lock);
}

/* By the wall clock, as ages are: whoever moves it moves what is due. One
 * that was put back must not make the next run wait for its return. */
static bool is_due(const struct destination *d, int64_t now)
{
    return d->retention_wanted || now >= d->next_retention ||
           d->next_retention - now > FORWARD_RETENTION_MS;
}

void retention_run(struct destination *d)
{
    int64_t now = forward_wall(d);

    if (destination_is_network(d->type) || !is_due(d, now))
        return;
    d->next_retention = now + FORWARD_RETENTION_MS;
    d->retention_wanted = false;
    for (unsigned i = 0; i < d->out.count; i++) {
        struct found f = {0};
        int64_t before = duration_before(now, d->out.keep[i]);
        enum status r = expire_purpose(d, i, before, &f);
        tell(d, i, f.removed);
        if (r == ST_OK) {
            publish(d, i, &f, before);
            if (f.pending) /* a reader holds the log: soon again */
                d->next_retention = now + MS_PER_MIN;
            continue;
        }
        still_overdue(d, i, before);
        d->next_retention = now + MS_PER_MIN;
        log_error(LOG_RETENTION, "what is too old cannot be removed",
                  LOG_NUM("site", d->now.site_index),
                  LOG_NUM("destination", d->now.destination_index),
                  LOG_NAME("why", status_name(r)));
    }
}
