/* What others ask of running forwarders: poke, sweep, the operator's calls,
 * and facts. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/audit_codes.h"

#include <stdlib.h>
#include <time.h>

#define PURGE_WAIT_MS (5 * MS_PER_MIN)
#define FILE_SWEEP_MS 2000 /* one write to a file or database, at most */

/* Each network thread, then the thread of each file or database. */
static unsigned list_threads(const struct forward *f,
                             struct forward_thread **out, unsigned max)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->net_count && n < max; i++)
        out[n++] = f->net[i];
    for (unsigned i = 0; i < f->dest_count && n < max; i++)
        if (!destination_is_network(f->dests[i]->type))
            out[n++] = f->dests[i]->thread;
    return n;
}

void forward_poke(struct forward *f)
{
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->dest_count; i++)
        if (!destination_is_network(f->dests[i]->type))
            thread_wake(f->dests[i]->thread);
    for (unsigned i = 0; i < f->net_count; i++)
        thread_wake(f->net[i]);
    pthread_mutex_unlock(&f->lock);
}

/* ---- sweep ---- */

static void run_sweep(struct forward_thread *t, struct call *c)
{
    for (struct destination *d = t->dests; d != NULL; d = d->next)
        send_sweep(d, &c->count);
}

static int64_t real_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A network thread that does not answer in time hands nothing on either: curl
 * writes only on that thread, and its mailbox comes before its sockets. A file
 * or database cannot be cut: what it is just being given was asked before the
 * opt-out, so the answer waits until that write is over. */
enum status forward_sweep(struct forward *f, int64_t wait_ms,
                          uint64_t *out_sent)
{
    enum status r = ST_OK;
    uint64_t sent = 0;
    unsigned n = 0;
    int64_t end = real_ms() + wait_ms;

    pthread_mutex_lock(&f->lock);
    unsigned max = f->net_count + f->dest_count;
    struct forward_thread **threads = calloc(max + 1, sizeof(void *));
    struct call **calls = calloc(max + 1, sizeof(void *));
    if (threads != NULL && calls != NULL)
        n = list_threads(f, threads, max);
    else
        r = ST_NOMEM;
    /* Posted under the lock: the threads cannot go meanwhile. */
    for (unsigned i = 0; i < n; i++) {
        calls[i] = call_new(run_sweep, NULL, NULL);
        if (calls[i] == NULL)
            r = ST_NOMEM;
        else
            call_post(threads[i], calls[i]);
    }
    pthread_mutex_unlock(&f->lock);
    for (unsigned i = 0; i < n; i++) {
        int64_t left = end - real_ms();
        if (calls[i] == NULL)
            continue;
        if (i >= f->net_count && left < FILE_SWEEP_MS)
            left = FILE_SWEEP_MS;
        if (call_wait(f, calls[i], left < 0 ? 0 : left))
            sent += calls[i]->count;
        else if (r == ST_OK)
            r = ST_TIMEOUT;
        call_unref(calls[i]);
    }
    free(threads);
    free(calls);
    *out_sent = sent;
    return r;
}

/* ---- the operator ---- */

static void run_pause(struct forward_thread *t, struct call *c)
{
    (void)t;
    c->dest->paused = c->number != 0;
}

static void run_replay(struct forward_thread *t, struct call *c)
{
    struct destination *d = c->dest;
    int64_t expires =
        duration_after(forward_wall(d), d->now.policy->keep_spool);

    c->result =
        outage_revive(t->f->parts.outage, d->now.key, expires, &c->count);
    if (c->result != ST_OK || c->count == 0)
        return;
    d->mark.dead -= c->count < d->mark.dead ? c->count : d->mark.dead;
    d->mark_moved = true;
    d->outage_waits = true;
    d->outage_last = 0; /* their ids are old ones */
}

static void run_purge(struct forward_thread *t, struct call *c)
{
    if (t->purge != NULL) {
        c->result = ST_BUSY;
        return;
    }
    t->purge = c;
    c->later = true;
    move_purge_start(c->dest, REASON_OPERATOR);
}

static void run_purge_dead(struct forward_thread *t, struct call *c)
{
    (void)t;
    c->result = move_purge_dead(c->dest, &c->count);
    if (c->result == ST_END)
        c->result = ST_OK;
}

/* Post to the destination's thread and wait. `config` keeps it alive. */
static enum status ask(struct forward *f, struct destination *d, call_fn *run,
                       int64_t number, uint64_t *out_count)
{
    struct call *c = call_new(run, d, NULL);
    enum status r = ST_TIMEOUT;

    if (c == NULL)
        return ST_NOMEM;
    c->number = number;
    call_post(d->thread, c);
    if (call_wait(f, c, PURGE_WAIT_MS)) {
        r = c->result;
        *out_count += c->count;
    }
    call_unref(c);
    return r;
}

static enum status ask_each(struct forward *f, uint64_t key, call_fn *run,
                            int64_t number, uint64_t *out_count)
{
    enum status r = ST_OK;
    uint64_t count = 0;
    bool found = false;

    pthread_mutex_lock(&f->config);
    for (unsigned i = 0; i < f->dest_count && r == ST_OK; i++)
        if (key == 0 || f->dests[i]->now.key == key) {
            found = true;
            r = ask(f, f->dests[i], run, number, &count);
        }
    pthread_mutex_unlock(&f->config);
    if (!found && key != 0)
        return ST_UNKNOWN;
    if (r == ST_OK)
        *out_count = count;
    return r;
}

enum status forward_pause(struct forward *f, uint64_t destination, bool paused)
{
    uint64_t none = 0;

    return ask_each(f, destination, run_pause, paused, &none);
}

enum status forward_replay(struct forward *f, uint64_t destination,
                           uint64_t *out_count)
{
    return ask_each(f, destination, run_replay, 0, out_count);
}

enum status forward_purge(struct forward *f, uint64_t destination, bool dead,
                          uint64_t *out_count)
{
    return ask_each(f, destination, dead ? run_purge_dead : run_purge, 0,
                    out_count);
}

/* ---- facts ---- */

/* What the journal has taken is asked now, not when the destination ran last:
 * what a client was told is durable is never missing from what waits. Read
 * after what is done, so that no total is larger than what it is part of. */
static void add_backlog(struct journal *j, struct forward_facts *x)
{
    int64_t oldest_row = x->oldest_ms;

    journal_backlog(j, x->key, &x->waiting_bytes, &x->oldest_ms, &x->cleared);
    if (oldest_row != 0 && (x->oldest_ms == 0 || oldest_row < x->oldest_ms))
        x->oldest_ms = oldest_row;
    uint64_t gone =
        x->accepted + x->refused + x->swept + x->expired + x->purged + x->dead;
    x->waiting = x->cleared > gone ? x->cleared - gone : 0;
}

unsigned forward_list(struct forward *f, struct forward_facts *out,
                      unsigned max)
{
    unsigned n = 0;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->dest_count && n < max; i++) {
        pthread_mutex_lock(&f->dests[i]->lock);
        out[n] = f->dests[i]->facts;
        pthread_mutex_unlock(&f->dests[i]->lock);
        add_backlog(f->parts.journal, &out[n++]);
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

unsigned forward_take_news(struct forward *f, struct forward_news *out,
                           unsigned max)
{
    unsigned n = 0;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->dest_count; i++) {
        struct destination *d = f->dests[i];
        pthread_mutex_lock(&d->lock);
        for (unsigned k = 0; k < POLICY_PURPOSES_MAX && n < max; k++) {
            struct forward_news *x = &d->news[k];
            if (x->removed_files + x->removed_rows + x->tls_failures == 0)
                continue;
            x->site_index = d->facts.site_index;
            x->destination_index = d->facts.destination_index;
            out[n++] = *x;
            *x = (struct forward_news){0};
        }
        pthread_mutex_unlock(&d->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void run_retention(struct forward_thread *t, struct call *c)
{
    (void)c;
    for (struct destination *d = t->dests; d != NULL; d = d->next)
        d->retention_wanted = true;
}

void forward_retention_run(struct forward *f)
{
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->dest_count; i++) {
        if (destination_is_network(f->dests[i]->type))
            continue;
        struct call *c = call_new(run_retention, NULL, NULL);
        if (c == NULL)
            break; /* the hourly run comes anyway */
        call_post(f->dests[i]->thread, c);
        call_unref(c);
    }
    pthread_mutex_unlock(&f->lock);
}

unsigned forward_retention_list(struct forward *f, struct retention_facts *out,
                                unsigned max)
{
    unsigned n = 0;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->dest_count; i++) {
        struct destination *d = f->dests[i];
        pthread_mutex_lock(&d->lock);
        for (unsigned k = 0; k < d->retention_count && n < max; k++)
            out[n++] = d->retention[k];
        pthread_mutex_unlock(&d->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}
