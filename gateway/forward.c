/* One pass of a destination; start and stop of the forwarders. */
#include "lethe/gateway/forward_inner.h"

#include <stdlib.h>

/* ---- one pass ---- */

void purge_end(struct destination *d)
{
    struct forward_thread *t = d->thread;
    struct call *c = t->purge;

    d->purging = false;
    if (c == NULL || c->dest != d)
        return;
    t->purge = NULL;
    c->count = d->purge_count;
    call_done(t->f, c, ST_OK);
}

static bool is_old_in_use(const struct destination *d, const struct net_sink *s)
{
    for (const struct batch *b = d->running; b != NULL; b = b->next)
        if (b->sink == s)
            return true;
    return false;
}

static void close_old(struct destination *d)
{
    struct old_sink **at = &d->old;

    while (*at != NULL) {
        struct old_sink *o = *at;
        if (is_old_in_use(d, o->sink)) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        net_sink_close(o->sink);
        free(o);
    }
}

int64_t destination_run(struct destination *d)
{
    settle_rows(d);
    settle_mark(d);
    close_old(d);
    move_expire(d);
    if (!d->purging)
        move_if_long(d);
    if (d->purging || (!d->paused && !d->moving && !d->thread->ending))
        read_fill(d);
    send_all(d);
    settle_mark(d);
    settle_rows(d);
    if (move_purge_over(d))
        purge_end(d);
    retention_run(d);
    settle_facts(d);
    if (d->purging && !settle_rows_pending(d))
        return 0;
    return send_wait_ms(d);
}

/* ---- start and stop ---- */

enum status forward_start(const struct forward_parts *parts,
                          struct forward **out)
{
    struct forward *f = calloc(1, sizeof(*f));
    pthread_condattr_t attr;
    enum status r = ST_OK;
    unsigned want = parts->threads == 0 ? 1 : parts->threads;

    if (f == NULL)
        return ST_NOMEM;
    f->parts = *parts;
    f->watch = calloc(KEY_WATCH_MAX, sizeof(*f->watch));
    (void)pthread_mutex_init(&f->config, NULL);
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&f->call_end, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (f->watch == NULL)
        r = ST_NOMEM;
    if (want > FORWARD_THREADS_MAX)
        want = FORWARD_THREADS_MAX;
    for (; r == ST_OK && f->net_count < want; f->net_count += r == ST_OK)
        r = thread_new(f, true, &f->net[f->net_count]);
    if (r != ST_OK) {
        forward_stop(f, 0);
        forward_free(f);
        return r;
    }
    *out = f;
    return ST_OK;
}

void forward_stop(struct forward *f, int64_t drain_ms)
{
    pthread_mutex_lock(&f->lock);
    struct destination **dests = f->dests;
    unsigned count = f->dest_count, nets = f->net_count;
    f->dests = NULL;
    f->dest_count = f->net_count = 0; /* nobody pokes them any more */
    pthread_mutex_unlock(&f->lock);
    for (unsigned i = 0; i < count; i++)
        if (!destination_is_network(dests[i]->type))
            thread_end(dests[i]->thread, drain_ms);
    for (unsigned i = 0; i < nets; i++)
        thread_end(f->net[i], drain_ms);
    free(dests);
}

void forward_free(struct forward *f)
{
    if (f == NULL)
        return;
    free(f->watch);
    pthread_mutex_destroy(&f->config);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->call_end);
    free(f);
}
