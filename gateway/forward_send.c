/* Items into batches, batches to sinks, outcomes back. One failing transfer
 * makes the whole destination wait; others are other threads' or other
 * structures' business. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/policy/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void batch_free(struct batch *b)
{
    free(b->items);
    free(b);
}

static void push_again(struct destination *d, struct batch *b)
{
    b->transfer = NULL;
    b->sink = NULL;
    b->next = d->again;
    d->again = b;
}

/* Forget items that are no longer to be sent, before their blocks go. */
void send_compact(struct destination *d)
{
    struct batch **at = &d->again;

    while (*at != NULL) {
        struct batch *b = *at;
        unsigned kept = 0;
        for (unsigned i = 0; i < b->count; i++)
            if (b->items[i]->state == ITEM_SENDING)
                b->items[kept++] = b->items[i];
        b->count = kept;
        if (kept > 0) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        batch_free(b);
    }
}

static void remove_running(struct destination *d, struct batch *b)
{
    struct batch **at = &d->running;

    while (*at != b) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = b->next;
    d->in_flight--;
}

void send_back_off(struct destination *d, int status, int64_t retry_after_ms)
{
    int64_t wait = FORWARD_BACKOFF_MAX;

    if (d->failures < 9)
        wait = FORWARD_BACKOFF_MS << d->failures;
    if (wait > FORWARD_BACKOFF_MAX)
        wait = FORWARD_BACKOFF_MAX;
    wait =
        wait / 2 + (int64_t)(random_u64(&d->random) % (uint64_t)(wait / 2 + 1));
    if (retry_after_ms > 0)
        wait = retry_after_ms < FORWARD_RETRY_AFTER_MAX
                   ? retry_after_ms
                   : FORWARD_RETRY_AFTER_MAX;
    d->failures++;
    if (!d->failing)
        log_warn(LOG_FORWARD, "a destination fails",
                 LOG_NUM("site", d->now.site_index),
                 LOG_NUM("destination", d->now.destination_index),
                 LOG_NUM("status", status), LOG_NUM("again_in_ms", wait));
    d->failing = true;
    d->last_status = status;
    d->retry_at = forward_mono(d) + wait;
}

static void went_well(struct destination *d)
{
    if (d->failing)
        log_info(LOG_FORWARD, "a destination works again",
                 LOG_NUM("site", d->now.site_index),
                 LOG_NUM("destination", d->now.destination_index));
    d->failing = false;
    d->failures = 0;
    d->retry_at = 0;
}

static void accepted(struct destination *d, struct batch *b)
{
    for (unsigned i = 0; i < b->count; i++)
        item_done(d, b->items[i], ITEM_ACCEPTED);
    batch_free(b);
    went_well(d);
}

/* Halve until the poison stands alone; then it is a dead letter. */
static void refused(struct destination *d, struct batch *b, int status)
{
    unsigned half = b->count / 2;

    if (b->count == 1) {
        if (move_dead(d, b->items[0], status) == ST_OK) {
            batch_free(b);
            went_well(d);
        } else {
            push_again(d, b);
            send_back_off(d, status, 0);
        }
        return;
    }
    struct batch *rest = calloc(1, sizeof(*rest));
    struct item **items = calloc(b->count - half, sizeof(struct item *));
    if (rest == NULL || items == NULL) {
        free(rest);
        free(items);
        push_again(d, b);
        send_back_off(d, status, 0);
        return;
    }
    memcpy(items, b->items + half, (b->count - half) * sizeof(struct item *));
    *rest = (struct batch){
        .dest = d, .items = items, .count = b->count - half, .gpc = b->gpc};
    b->count = half;
    push_again(d, rest);
    push_again(d, b);
}

/* Some were taken: only the others go again, alone, so that one that is never
 * taken is halved out of them. */
static void partly(struct destination *d, struct batch *b,
                   const struct net_outcome *o)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < b->count; i++)
        if (kept < o->failed_count && o->failed[kept] == i)
            b->items[kept++] = b->items[i];
        else
            item_done(d, b->items[i], ITEM_ACCEPTED);
    b->count = kept;
    push_again(d, b);
    went_well(d);
}

static void on_sent(void *ctx, struct net_transfer *t,
                    const struct net_outcome *outcome)
{
    struct batch *b = ctx;
    struct destination *d = b->dest;

    (void)t;
    remove_running(d, b);
    switch (outcome->result) {
    case NET_ACCEPTED:
        accepted(d, b);
        break;
    case NET_PARTIAL:
        partly(d, b, outcome);
        break;
    case NET_REFUSED:
        refused(d, b, outcome->status);
        break;
    case NET_TLS_FAILED:
        pthread_mutex_lock(&d->lock);
        d->news[0].tls_failures++;
        d->facts.tls_failures++;
        pthread_mutex_unlock(&d->lock);
        push_again(d, b);
        send_back_off(d, 0, 0);
        break;
    case NET_RETRY:
        push_again(d, b);
        send_back_off(d, outcome->status, outcome->retry_after_ms);
        break;
    }
    thread_wake(d->thread); /* curl is not done with the transfer yet */
}

enum check { CHECK_FINE, CHECK_EMPTY, CHECK_LATER };

/* Take out what may not go (any more). CHECK_LATER: a row could not be made,
 * so nothing of the batch may go now. */
static enum check check_batch(struct destination *d, struct batch *b)
{
    int64_t now = forward_wall(d);
    unsigned kept = 0;
    bool later = false;

    for (unsigned i = 0; i < b->count; i++) {
        struct item *item = b->items[i];
        uint8_t reason = 0;
        if (item->state != ITEM_SENDING)
            continue;
        enum item_outcome o = item_check(d, item, now, &reason);
        if (o != ITEM_NONE)
            item_except(d, item, o, reason);
        if (item->state == ITEM_LEAVING)
            continue;
        later = later || o != ITEM_NONE;
        item->state = ITEM_SENDING;
        b->items[kept++] = item;
    }
    b->count = kept;
    return later ? CHECK_LATER : kept > 0 ? CHECK_FINE : CHECK_EMPTY;
}

static void copy_out(struct destination *d, const struct batch *b)
{
    for (unsigned i = 0; i < b->count; i++)
        d->scratch[i] = b->items[i]->f;
}

static bool start_net(struct destination *d, struct batch *b)
{
    b->sink = d->net;
    enum status r = net_send(d->net, d->scratch, b->count, b->gpc, on_sent, b,
                             &b->transfer);
    if (r != ST_OK) {
        log_error(LOG_FORWARD, "cannot start a transfer",
                  LOG_NAME("why", status_name(r)));
        push_again(d, b);
        send_back_off(d, 0, 0);
        return false;
    }
    b->next = d->running;
    d->running = b;
    d->in_flight++;
    return true;
}

/* Nothing to wait for. */
static bool swallow(struct destination *d, struct batch *b)
{
    const struct builtin_sink *sink = d->now.builtin;

    for (unsigned i = 0; i < b->count; i++)
        sink->take(sink->ctx, d->now.plan, &d->scratch[i]);
    accepted(d, b);
    return true;
}

static bool start(struct destination *d, struct batch *b)
{
    return d->now.builtin != NULL ? swallow(d, b) : start_net(d, b);
}

/* One write a pass, so that a sweep waits for one write at most. */
static bool write_file(struct destination *d, struct batch *b)
{
    errno = 0;
    enum status r = files_write(d, b, d->scratch);
    int why = errno;

    if (r == ST_OK) {
        accepted(d, b);
    } else {
        push_again(d, b);
        send_back_off(d, why, 0);
    }
    return false;
}

static bool may_linger(const struct destination *d)
{
    return queue_ready(d) < d->batch_max && d->boundary_ms == 0 &&
           forward_mono(d) < d->linger_from + FORWARD_LINGER_MS;
}

static struct batch *next_batch(struct destination *d)
{
    struct batch *b = d->again;

    if (b != NULL) {
        d->again = b->next;
        b->next = NULL;
        return b;
    }
    if (queue_ready(d) == 0 || may_linger(d))
        return NULL;
    return read_pick(d);
}

static bool may_send(const struct destination *d)
{
    return !d->paused && !d->moving && !d->thread->ending &&
           !sweep_is_held(d->thread->f->parts.sweep, d->now.site_number) &&
           forward_mono(d) >= d->retry_at;
}

void send_all(struct destination *d)
{
    bool more = may_send(d);

    while (more && d->in_flight < (d->failing ? 1 : d->concurrency)) {
        struct batch *b = next_batch(d);
        if (b == NULL)
            return;
        enum check c = check_batch(d, b);
        if (c == CHECK_EMPTY) {
            batch_free(b);
            continue;
        }
        if (c == CHECK_LATER) {
            push_again(d, b);
            send_back_off(d, 0, 0);
            return;
        }
        /* A file's position may not run ahead of rows not yet on disk. */
        if (!destination_is_network(d->type) && settle_rows_pending(d)) {
            push_again(d, b);
            return;
        }
        copy_out(d, b);
        more = destination_is_network(d->type) ? start(d, b) : write_file(d, b);
    }
}

static void cut(struct destination *d, struct batch *b)
{
    bool sent = false;

    remove_running(d, b);
    net_cut(b->transfer, &sent);
    push_again(d, b);
}

void send_cut_all(struct destination *d)
{
    while (d->running != NULL)
        cut(d, d->running);
}

static unsigned hits_in(const struct destination *d, const struct batch *b)
{
    const struct sweep *s = d->thread->f->parts.sweep;
    unsigned hits = 0;

    for (unsigned i = 0; i < b->count; i++) {
        const struct item *item = b->items[i];
        if (sweep_hits(s, item->block->slot, item->block->use, &item->f))
            hits++;
    }
    return hits;
}

void send_sweep(struct destination *d, uint64_t *out_sent)
{
    bool held = sweep_is_held(d->thread->f->parts.sweep, d->now.site_number);
    struct batch *next;

    for (struct batch *b = d->running; b != NULL; b = next) {
        next = b->next;
        unsigned hits = hits_in(d, b);
        if (hits > 0 && net_is_sent(b->transfer))
            *out_sent += hits;
        else if (hits > 0 || held)
            cut(d, b);
    }
}

void send_recheck(struct destination *d)
{
    int64_t now = forward_wall(d);
    struct batch *next;
    uint8_t reason;

    for (struct batch *b = d->running; b != NULL; b = next) {
        bool bad = false;
        next = b->next;
        for (unsigned i = 0; i < b->count && !bad; i++)
            bad = item_check(d, b->items[i], now, &reason) != ITEM_NONE;
        if (bad && !net_is_sent(b->transfer))
            cut(d, b);
    }
}

static int64_t until(int64_t at, int64_t now)
{
    return at <= now ? 0 : at - now;
}

int64_t send_wait_ms(const struct destination *d)
{
    int64_t now = forward_mono(d), wait = FORWARD_TICK_MS;
    bool something = d->again != NULL || queue_ready(d) > 0;

    if (!something || d->paused || d->moving || d->in_flight >= d->concurrency)
        return d->moving ? 0 : wait;
    if (d->retry_at > now)
        return until(d->retry_at, now) < wait ? until(d->retry_at, now) : wait;
    if (sweep_is_held(d->thread->f->parts.sweep, d->now.site_number) ||
        settle_rows_pending(d))
        return wait; /* the landing wakes us */
    if (d->failing && d->in_flight > 0)
        return wait;
    if (d->again == NULL && may_linger(d))
        return until(d->linger_from + FORWARD_LINGER_MS, now);
    return 0;
}
