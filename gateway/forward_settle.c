/* From outcomes to the mark: exceptions get their audit row on disk first,
 * then the mark passes, then outage rows go. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/gateway/audit/row.h"
#include "lethe/gateway/metrics.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_RETRY_MS   INT64_C(1000)
#define COUNTS_EVERY_MS INT64_C(1000)

static const struct {
    uint8_t act;
    enum metrics_outcome metric;
} outcomes[] = {
    [ITEM_NONE] = {0, OUTCOME_CLEARED},
    [ITEM_ACCEPTED] = {0, OUTCOME_ACCEPTED},
    [ITEM_REFUSED] = {ACT_REFUSED, OUTCOME_REFUSED},
    [ITEM_SWEPT] = {ACT_SWEPT, OUTCOME_SWEPT},
    [ITEM_EXPIRED] = {ACT_EXPIRED, OUTCOME_EXPIRED},
    [ITEM_PURGED] = {ACT_PURGED, OUTCOME_PURGED},
    [ITEM_DEAD] = {ACT_DEAD, OUTCOME_DEAD},
};

static void put_row(struct destination *d, const struct item *i, uint8_t act,
                    uint8_t reason)
{
    uint8_t bytes[ROW_BYTES];
    const struct audit_row row = {
        .act = act,
        .reason = reason,
        .rule = i->f.rule,
        .source = i->f.source,
        .destinations = (uint16_t)(1u << (d->now.destination_index & 15u)),
        .ev = i->f.ev};

    row_encode(&row, bytes);
    buf_put_bytes(&d->rows, bytes, sizeof(bytes));
}

void item_except(struct destination *d, struct item *i,
                 enum item_outcome outcome, uint8_t reason)
{
    put_row(d, i, outcomes[outcome].act, reason);
    if (d->rows.failed) { /* no row, no passing: asked again later */
        i->state = ITEM_READY;
        d->rows.failed = false;
        log_error(LOG_FORWARD, "no memory for audit rows");
        return;
    }
    i->state = ITEM_LEAVING;
    i->outcome = outcome;
    i->ticket = d->ticket_open;
    metrics_event(d->now.site_index, d->now.destination_index,
                  outcomes[outcome].metric, reason, 1);
}

void item_done(struct destination *d, struct item *i, enum item_outcome outcome)
{
    i->state = ITEM_DONE;
    i->outcome = outcome;
    if (outcome == ITEM_ACCEPTED)
        metrics_event(d->now.site_index, d->now.destination_index,
                      OUTCOME_ACCEPTED, REASON_NONE, 1);
}

/* ---- rows to the committer ---- */

static void rows_landed(struct group *g, enum status st)
{
    struct destination *d = g->ctx;

    pthread_mutex_lock(&d->lock);
    d->rows_state = ROWS_LANDED;
    d->rows_result = st;
    thread_wake(d->thread); /* under the lock: then d may go */
    pthread_cond_signal(&d->rows_end);
    pthread_mutex_unlock(&d->lock);
}

static bool fill_group(const struct destination *d, struct group *g)
{
    if (d->flying.len == 0)
        return true; /* only carries the marks */
    struct group_rows *rows = group_add_rows(g);
    if (rows == NULL)
        return false;
    rows->site = d->now.site_number;
    rows->policy_index = d->now.policy_index;
    memcpy(rows->tag, d->day_tag, sizeof(rows->tag));
    rows->time_ms = forward_wall(d);
    rows->count = (uint32_t)(d->flying.len / ROW_BYTES);
    rows->offset = 0;
    buf_put(&g->rows, buf_slice(&d->flying));
    return !g->rows.failed;
}

static void submit(struct destination *d)
{
    struct group *g = group_new();

    if (g == NULL || !fill_group(d, g)) {
        group_unref(g);
        d->rows_retry_at = forward_mono(d) + ROWS_RETRY_MS;
        return;
    }
    g->on_done = rows_landed;
    g->ctx = d;
    pthread_mutex_lock(&d->lock);
    d->rows_state = ROWS_FLYING;
    pthread_mutex_unlock(&d->lock);
    commit_submit(d->thread->f->parts.commit, g);
}

/* True while a group is on its way. */
static bool collect(struct destination *d)
{
    pthread_mutex_lock(&d->lock);
    bool flying = d->rows_state == ROWS_FLYING;
    bool landed = d->rows_state == ROWS_LANDED;
    enum status r = d->rows_result;
    if (landed)
        d->rows_state = ROWS_IDLE;
    pthread_mutex_unlock(&d->lock);
    if (landed && r == ST_OK) {
        d->ticket_done = d->ticket_flying;
        buf_reset(&d->flying);
    } else if (landed) {
        d->rows_retry_at = forward_mono(d) + ROWS_RETRY_MS;
    }
    return flying;
}

void settle_rows(struct destination *d)
{
    if (collect(d))
        return;
    if (d->ticket_flying > d->ticket_done) { /* failed: the same again */
        if (forward_mono(d) >= d->rows_retry_at)
            submit(d);
        return;
    }
    if (d->rows.len == 0 && !d->ticket_wanted)
        return;
    struct buf empty = d->flying;
    d->flying = d->rows;
    d->rows = empty;
    d->ticket_flying = d->ticket_open++;
    d->ticket_wanted = false;
    submit(d);
}

bool settle_rows_pending(const struct destination *d)
{
    return d->rows.len > 0 || d->ticket_wanted ||
           d->ticket_flying > d->ticket_done;
}

static void wait_landing(struct destination *d)
{
    pthread_mutex_lock(&d->lock);
    while (d->rows_state == ROWS_FLYING)
        pthread_cond_wait(&d->rows_end, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

bool settle_land(struct destination *d)
{
    settle_rows(d);
    wait_landing(d);
    (void)collect(d);
    settle_mark(d);
    return d->ticket_flying <= d->ticket_done;
}

/* The last rows; a failure leaves the mark before them, so that the next
 * start finds the same fragments. */
void settle_wait(struct destination *d)
{
    for (unsigned round = 0; round < 4 && settle_rows_pending(d); round++) {
        settle_rows(d);
        wait_landing(d);
        (void)collect(d);
        if (d->ticket_flying > d->ticket_done)
            break;
        settle_mark(d);
    }
    for (struct block *b = d->first; b != NULL; b = b->next)
        if (b->from_outage && !b->dead && b->passed > 0 &&
            outage_set_done(d->thread->f->parts.outage, b->row_id, b->passed) !=
                ST_OK)
            log_warn(LOG_FORWARD, "progress of a blob could not be kept");
    if (d->type == DESTINATION_JSONL) { /* a clean end needs no cut */
        d->mark.file_day = 0;
        d->mark.file_length = 0;
        d->mark_moved = true;
    }
}

/* ---- the mark ---- */

static bool is_settled(const struct destination *d, const struct item *i)
{
    return i->state == ITEM_DONE ||
           (i->state == ITEM_LEAVING && i->ticket <= d->ticket_done);
}

static void take_down(uint64_t *total)
{
    if (*total > 0)
        (*total)--;
}

static void count_item(struct mark *m, const struct item *i)
{
    if (i->block->dead && i->outcome != ITEM_NONE)
        take_down(&m->dead);
    switch (i->outcome) {
    case ITEM_NONE:
        break;
    case ITEM_ACCEPTED:
        m->accepted++;
        break;
    case ITEM_REFUSED:
        m->refused++;
        break;
    case ITEM_SWEPT:
        m->swept++;
        break;
    case ITEM_EXPIRED:
        m->expired++;
        break;
    case ITEM_PURGED:
        m->purged++;
        break;
    case ITEM_DEAD:
        m->dead++;
        break;
    }
}

static void settle_items(struct destination *d, struct block *b)
{
    uint32_t before = b->passed;

    while (b->passed < b->count && is_settled(d, &b->items[b->passed]))
        count_item(&d->mark, &b->items[b->passed++]);
    if (b->passed == before)
        return;
    d->mark_moved = true;
    if (b->from_outage)
        return;
    d->mark.sequence = b->sequence;
    d->mark.fragment = b->first + b->passed;
}

/* An outage row goes when totals and file length that count it are on disk. */
static bool row_gone(struct destination *d, struct block *b)
{
    if (b->ticket == 0) {
        b->ticket = d->ticket_open;
        d->ticket_wanted = true;
    }
    if (b->ticket > d->ticket_done)
        return false;
    enum status r = outage_delete(d->thread->f->parts.outage, b->row_id);
    if (r != ST_OK)
        log_error(LOG_FORWARD, "a delivered row stays in outage.db",
                  LOG_NAME("why", status_name(r)));
    return r == ST_OK;
}

void settle_mark(struct destination *d)
{
    while (d->first != NULL) {
        struct block *b = d->first;
        settle_items(d, b);
        if (b->passed < b->count || (b->from_outage && !row_gone(d, b)))
            break;
        d->first = b->next;
        if (d->first == NULL)
            d->last = NULL;
        block_free(d, b);
    }
    if (d->mark_moved)
        journal_set_mark(d->thread->f->parts.journal, &d->mark);
    d->mark_moved = false;
}

/* ---- what others may read ---- */

static void ask_outage(struct destination *d)
{
    uint64_t rows = 0, fragments = 0;
    int64_t oldest = 0;

    d->oldest_row_ms = 0;
    if (outage_count(d->thread->f->parts.outage, OUTAGE_WAITING, d->now.key,
                     &rows, &fragments, &oldest) == ST_OK &&
        rows > 0)
        d->oldest_row_ms = oldest;
}

void settle_facts(struct destination *d)
{
    const struct mark *m = &d->mark;
    struct forward_facts x = d->facts;
    int64_t now = forward_mono(d);

    x.key = d->now.key;
    x.site_index = d->now.site_index;
    x.destination_index = d->now.destination_index;
    x.paused = d->paused;
    x.failing = d->failing;
    x.held = sweep_is_held(d->thread->f->parts.sweep, d->now.site_number);
    x.last_status = d->last_status;
    x.accepted = m->accepted;
    x.refused = m->refused;
    x.swept = m->swept;
    x.expired = m->expired;
    x.purged = m->purged;
    x.dead = m->dead;
    if (now >= d->next_counts) { /* asks a database */
        ask_outage(d);
        d->next_counts = now + COUNTS_EVERY_MS;
    }
    x.oldest_ms = d->oldest_row_ms; /* forward_list() asks the journal */
    pthread_mutex_lock(&d->lock);
    d->facts = x;
    pthread_mutex_unlock(&d->lock);
}
