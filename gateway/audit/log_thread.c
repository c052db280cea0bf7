/* log_thread.c - the audit's thread: take what is queued, close what is due,
 * write, sync, tell. */
#include "log_internal.h"

#include "lethe/policy/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLOCK_STEP_MS 1000

static int64_t mono_now(const struct audit_log *l)
{
    return l->config.clock->mono_ms(l->config.clock->ctx);
}

static enum status take_rows(struct audit_log *l, const struct audit_item *it)
{
    const struct group *g = it->group;

    for (unsigned i = 0; i < g->site_count; i++) {
        const struct group_rows *s = &g->sites[i];
        const uint8_t *rows = (const uint8_t *)g->rows.data + s->offset;
        enum status st = batch_add(l, s, rows, it->mono_ms, it->sequence);
        if (st != ST_OK)
            return st;
    }
    l->seen_sequence = it->sequence;
    l->has_sequence = true;
    return ST_OK;
}

void log_orders(struct audit_log *l, uint64_t index, int64_t t_ms,
                struct slice act, struct slice why, struct slice d)
{
    pthread_mutex_lock(&l->orders_lock);
    orders_take(&l->orders, index, t_ms, act, why, d);
    pthread_mutex_unlock(&l->orders_lock);
}

void audit_orders_copy(struct audit_log *l, struct audit_orders *out)
{
    pthread_mutex_lock(&l->orders_lock);
    *out = l->orders;
    pthread_mutex_unlock(&l->orders_lock);
}

static enum status take_entry(struct audit_log *l, struct audit_item *it)
{
    struct slice who = {it->text, it->who_len};
    struct slice why = {it->text + it->who_len, it->why_len};
    struct slice d = {why.at + why.len, it->d_len};
    enum status st = it->act == RECORD_POLICY_LOAD || it->act == RECORD_TAG_NEW
                         ? batch_close_all(l)
                         : batch_close_due(l, mono_now(l));
    int64_t t = record_time(l);

    if (st == ST_OK)
        st = segment_roll(l, t);
    if (st == ST_OK && it->act == RECORD_POLICY_LOAD)
        st = policy_note(l, l->next_index, d);
    if (st != ST_OK)
        return st;
    if (it->waiter != NULL)
        it->waiter->index = l->next_index;
    log_orders(l, l->next_index, t, slice_of(audit_record_act_name(it->act)),
               why, d);
    record_put(
        l,
        &(struct record_head){
            .act = it->act, .who = who, .why = why, .out = it->out, .t_ms = t},
        d);
    return ST_OK;
}

/* A clock that jumps is said so: times in the log are otherwise a riddle. */
static enum status watch_clock(struct audit_log *l)
{
    char d[128], was[TIME_TEXT_MAX], now[TIME_TEXT_MAX];
    int64_t before = mono_now(l);
    int64_t wall = l->config.clock->wall_ms(l->config.clock->ctx);
    int64_t offset = wall - before, step = offset - l->clock_offset;

    /* Held up between two looks: no measure; the next tick looks again. */
    if (mono_now(l) - before > TICK_MS)
        return ST_OK;
    l->clock_offset = offset;
    if (step <= CLOCK_STEP_MS && step >= -CLOCK_STEP_MS)
        return ST_OK;
    (void)time_format(wall - step, true, was);
    (void)time_format(wall, true, now);
    int n = snprintf(d, sizeof(d), "{\"was\":\"%s\",\"now\":\"%s\"}", was, now);
    int64_t t = record_time(l);
    enum status st = segment_roll(l, t);
    if (st != ST_OK)
        return st;
    log_warn(LOG_AUDIT, "the clock was stepped", LOG_NUM("ms", step));
    record_put(l,
               &(struct record_head){.act = RECORD_CLOCK_STEP,
                                     .why = SLICE("timer"),
                                     .out = AUDIT_OK,
                                     .t_ms = t},
               (struct slice){d, (size_t)n});
    return ST_OK;
}

static enum status do_timers(struct audit_log *l, bool last)
{
    int64_t mono = mono_now(l);
    enum status st = last ? batch_close_all(l) : batch_close_due(l, mono);

    if (st == ST_OK &&
        (mono - l->heartbeat_mono >= HEARTBEAT_MS ||
         (l->has_refused && (last || mono - l->refused_mono >= BATCH_MS))))
        st = heartbeat_put(l);
    return st;
}

static enum status put_stop(struct audit_log *l)
{
    int64_t t = record_time(l);
    enum status st = segment_roll(l, t);

    if (st == ST_OK)
        record_put(l,
                   &(struct record_head){.act = RECORD_GATE_STOP,
                                         .why = SLICE("boot"),
                                         .out = AUDIT_OK,
                                         .t_ms = t},
                   SLICE("{}"));
    return st;
}

static enum status work(struct audit_log *l, struct audit_item *items,
                        bool last)
{
    enum status st = watch_clock(l);

    for (struct audit_item *it = items; it != NULL && st == ST_OK;
         it = it->next)
        if (it->group != NULL)
            st = take_rows(l, it);
        else if (it->act != RECORD_ACT_COUNT) /* else audit_settle() */
            st = take_entry(l, it);
    if (st == ST_OK)
        st = do_timers(l, last);
    if (st == ST_OK && last)
        st = put_stop(l);
    if (st == ST_OK && (l->seg_out.len > 0 || l->blocked))
        st = log_flush(l);
    return st;
}

static bool any_open(const struct audit_log *l, int64_t *out_oldest,
                     uint64_t *out_sequence)
{
    bool any = false;

    for (unsigned i = 0; i < l->site_count; i++) {
        const struct audit_site *s = l->sites[i];
        if (!s->open)
            continue;
        if (!any || s->opened_mono < *out_oldest)
            *out_oldest = s->opened_mono;
        if (!any || s->first_sequence < *out_sequence)
            *out_sequence = s->first_sequence;
        any = true;
    }
    return any;
}

static void tell_safe(struct audit_log *l)
{
    int64_t oldest = 0;
    uint64_t sequence = 0;
    bool open = any_open(l, &oldest, &sequence);

    if (!l->has_sequence || l->config.rows_safe == NULL)
        return;
    if (!open)
        l->config.rows_safe(l->config.ctx, l->seen_sequence);
    else if (sequence > 0)
        l->config.rows_safe(l->config.ctx, sequence - 1);
}

static void finish(struct audit_log *l, struct audit_item *items,
                   enum status st)
{
    int64_t oldest = 0;
    uint64_t sequence = 0;
    bool open = any_open(l, &oldest, &sequence);

    pthread_mutex_lock(&l->lock);
    while (items != NULL) {
        struct audit_item *it = items;
        items = it->next;
        if (it->waiter != NULL) {
            it->waiter->st = st == ST_OK ? ST_OK : ST_IO;
            it->waiter->done = true;
        }
        group_unref(it->group);
        free(it);
    }
    for (struct audit_item *it = l->first; it != NULL && !open; it = it->next)
        if (it->group != NULL) {
            oldest = it->mono_ms;
            open = true;
        }
    /* While nothing can be written, the age that is there goes on. */
    if (st == ST_OK)
        l->oldest_mono = open ? oldest : 0;
    pthread_cond_broadcast(&l->done);
    pthread_mutex_unlock(&l->lock);
}

/* Wait for work or the tick; true when this is the last pass. */
static bool take_queue(struct audit_log *l, struct audit_item **out)
{
    struct timespec until;
    bool last;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_mutex_lock(&l->lock);
    while (!l->stopping && !l->hurry &&
           pthread_cond_timedwait(&l->wake, &l->lock, &until) == 0)
        ;
    *out = l->first;
    l->first = l->last = NULL;
    l->queued = 0;
    l->hurry = false;
    last = l->stopping;
    pthread_mutex_unlock(&l->lock);
    return last;
}

void *log_thread(void *log)
{
    struct audit_log *l = log;
    bool last;

    do {
        struct audit_item *items;
        last = take_queue(l, &items);
        enum status st = l->broken ? ST_IO : work(l, items, last);
        if (st == ST_OK && !l->broken && !l->blocked)
            tell_safe(l);
        if (st != ST_OK && st != ST_FULL)
            log_break(l, st);
        finish(l, items, l->broken ? ST_IO : st);
    } while (!last);
    return NULL;
}
