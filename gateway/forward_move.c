/* What does not leave now: long waits and dead letters go to outage.db, still
 * sealed; expired ones and what the operator purges go for good. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/log.h"

#include <stdlib.h>

#define SEALED_CAP      (32u << 20)
#define MOVE_AT_ONCE    16u /* blobs a pass: others on the thread get turns */
#define LIMITS_EVERY_MS INT64_C(1000)
#define EXPIRE_EVERY_MS INT64_C(10000)
#define EXPIRE_LOOK_MAX 16u /* rows looked at that have not expired */

/* Seal `count` fragments again, under the key they came from. */
static enum status seal_items(struct destination *d, const struct block *b,
                              struct item *const *items, uint32_t count,
                              struct buf *out)
{
    struct spool_key key;
    struct buf plain;
    enum status r =
        spool_keys_at(d->thread->f->parts.keys, b->slot, b->use, &key);

    if (r != ST_OK)
        return r;
    buf_init(&plain, SEALED_CAP);
    for (uint32_t i = 0; i < count; i++)
        fragment_copy(&plain, &items[i]->f);
    buf_reset(out);
    r = plain.failed
            ? ST_NOMEM
            : blob_seal(&d->sealer, &key, count, buf_slice(&plain), out);
    buf_wipe(&plain);
    buf_free(&plain);
    return r;
}

/* A refused fragment, alone. Where dead letters are not kept it is refused
 * for good. */
enum status move_dead(struct destination *d, struct item *i, int status)
{
    const struct duration keep = d->now.policy->keep_dead;
    const struct block *b = i->block;
    int64_t now = forward_wall(d);

    if (keep.months == 0 && keep.ms == 0) {
        item_except(d, i, ITEM_REFUSED, REASON_RECIPIENT_REFUSED);
        return i->state == ITEM_LEAVING ? ST_OK : ST_NOMEM;
    }
    i->f.expires_ms = duration_after(now, keep);
    struct outage_row row = {.kind = OUTAGE_DEAD,
                             .destination = d->now.key,
                             .slot = b->slot,
                             .use = b->use,
                             .count = 1,
                             .accepted_ms = b->accepted_ms,
                             .optout_seen = i->f.optout_seen,
                             .expires_ms = i->f.expires_ms,
                             .cause = REASON_RECIPIENT_REFUSED,
                             .status = status};
    enum status r = seal_items(d, b, &i, 1, &d->again_sealed);
    if (r == ST_OK)
        r = outage_put(d->thread->f->parts.outage, &row,
                       buf_slice(&d->again_sealed));
    if (r != ST_OK) {
        log_error(LOG_FORWARD, "a dead letter cannot be kept",
                  LOG_NAME("why", status_name(r)));
        return r;
    }
    item_except(d, i, ITEM_DEAD, REASON_RECIPIENT_REFUSED);
    return i->state == ITEM_LEAVING ? ST_OK : ST_NOMEM;
}

/* ---- long waits ---- */

static bool waits_too_long(struct destination *d)
{
    const struct forward_parts *p = &d->thread->f->parts;
    int64_t now = forward_mono(d), oldest = 0;
    int64_t wait = duration_rough_ms(d->now.policy->keep_spool);
    uint64_t bytes = 0, cleared = 0;

    if (now < d->next_limits)
        return false;
    d->next_limits = now + LIMITS_EVERY_MS;
    journal_backlog(p->journal, d->now.key, &bytes, &oldest, &cleared);
    wait = p->journal_wait_ms < wait ? p->journal_wait_ms : wait;
    return oldest > 0 &&
           (bytes > p->journal_bytes || forward_wall(d) - oldest > wait);
}

static enum status put_waiting(struct destination *d, const struct block *b,
                               uint32_t count, int64_t expires_ms,
                               struct slice sealed)
{
    struct outage_row row = {.kind = OUTAGE_WAITING,
                             .destination = d->now.key,
                             .slot = b->slot,
                             .use = b->use,
                             .count = count,
                             .accepted_ms = b->accepted_ms,
                             .expires_ms = expires_ms};
    enum status r = outage_put(d->thread->f->parts.outage, &row, sealed);

    if (r == ST_OK)
        d->outage_waits = true;
    else
        log_error(LOG_FORWARD, "what waits cannot be moved",
                  LOG_NAME("why", status_name(r)));
    return r;
}

static uint32_t list_waiting(struct block *b, struct item **out,
                             int64_t *out_expires_ms, uint64_t *out_seen)
{
    uint32_t n = 0;

    for (uint32_t i = b->passed; i < b->count; i++) {
        struct item *item = &b->items[i];
        if (item->state != ITEM_READY && item->state != ITEM_SENDING)
            continue;
        if (n == 0 || item->f.expires_ms < *out_expires_ms)
            *out_expires_ms = item->f.expires_ms;
        if (n == 0 || item->f.optout_seen < *out_seen)
            *out_seen = item->f.optout_seen;
        out[n++] = item;
    }
    return n;
}

static enum status move_block(struct destination *d, struct block *b)
{
    struct item **items = calloc(b->count, sizeof(struct item *));
    int64_t expires = 0;
    uint64_t seen = 0;
    enum status r = ST_OK;

    if (items == NULL)
        return ST_NOMEM;
    uint32_t n = list_waiting(b, items, &expires, &seen);
    if (n > 0)
        r = seal_items(d, b, items, n, &d->again_sealed);
    if (n > 0 && r == ST_OK)
        r = put_waiting(d, b, n, expires, buf_slice(&d->again_sealed));
    for (uint32_t i = 0; i < n && r == ST_UNKNOWN; i++)
        item_except(d, items[i], ITEM_EXPIRED, REASON_KEY_GONE);
    for (uint32_t i = 0; i < n && r == ST_OK; i++)
        item_done(d, items[i], ITEM_NONE);
    free(items);
    return r == ST_UNKNOWN ? ST_OK : r;
}

/* Batches that wait for another try go back to being items. */
static void drop_again(struct destination *d)
{
    while (d->again != NULL) {
        struct batch *b = d->again;
        d->again = b->next;
        for (unsigned i = 0; i < b->count; i++)
            if (b->items[i]->state == ITEM_SENDING)
                b->items[i]->state = ITEM_READY;
        batch_free(b);
    }
}

/* All that is ready, in reading order. */
static bool requeue(struct destination *d)
{
    bool fine = true;

    d->head = d->tail = 0;
    for (struct block *b = d->first; b != NULL && fine; b = b->next)
        if (b != d->held)
            fine = queue_add(d, b);
    if (d->boundary_ms > 0)
        queue_shuffle(d);
    return fine;
}

static enum status move_memory(struct destination *d)
{
    enum status r = ST_OK;

    drop_again(d);
    for (struct block *b = d->first; b != NULL && r == ST_OK; b = b->next)
        if (!b->from_outage)
            r = move_block(d, b);
    if (d->held != NULL && !d->held->from_outage)
        d->held = NULL; /* it has gone to outage.db */
    if (!requeue(d))
        r = ST_NOMEM;
    return r;
}

/* One blob from the journal, sealed as it is. */
static enum status move_one(struct destination *d)
{
    struct journal_blob j;
    enum status r = read_after_mark(d, &j);

    if (r != ST_OK)
        return r;
    const struct block like = {
        .slot = j.slot, .use = j.use, .accepted_ms = j.accepted_ms};
    r = put_waiting(d, &like, j.count, j.expires_min_ms, buf_slice(&d->sealed));
    if (r != ST_OK) { /* read it again */
        d->cursor = (struct journal_cursor){0};
        return r;
    }
    d->mark.sequence = j.sequence;
    d->mark.fragment = j.first_fragment + j.count;
    d->mark_moved = true;
    return ST_OK;
}

static bool journal_in_memory(const struct destination *d)
{
    for (const struct block *b = d->first; b != NULL; b = b->next)
        if (!b->from_outage)
            return true;
    return false;
}

/* Its rest of the journal goes to outage.db, step by step. */
void move_if_long(struct destination *d)
{
    enum status r = ST_OK;

    if (!d->moving && !waits_too_long(d))
        return;
    d->moving = true;
    if (d->in_flight > 0)
        return; /* they end by themselves */
    if (journal_in_memory(d)) {
        r = move_memory(d);
        if (r != ST_OK)
            d->moving = false;
        return; /* first the mark has to pass them */
    }
    for (unsigned i = 0; i < MOVE_AT_ONCE && r == ST_OK; i++)
        r = move_one(d);
    if (r != ST_OK)
        d->moving = false;
}

/* ---- expiry of what lies in outage.db ---- */

static enum status load_row(struct destination *d, const struct outage_row *row,
                            struct block **out)
{
    const struct block like = {.from_outage = true,
                               .dead = row->kind == OUTAGE_DEAD,
                               .row_id = row->id,
                               .slot = row->slot,
                               .use = row->use,
                               .accepted_ms = row->accepted_ms,
                               .count = row->count,
                               .passed = row->done};
    enum status r = read_open(d, &like, buf_slice(&d->again_sealed), out);

    if (r == ST_OK)
        block_append(d, *out);
    return r;
}

/* A row whose shortest expiry has come: what of it still lives is queued. */
static enum status expire_row(struct destination *d,
                              const struct outage_row *row, int64_t now)
{
    struct block *b;
    enum status r = load_row(d, row, &b);

    if (r != ST_OK)
        return r;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->items[i].state == ITEM_READY &&
            (b->dead || b->items[i].f.expires_ms <= now))
            item_except(d, &b->items[i], ITEM_EXPIRED, REASON_EXPIRED_WAITING);
    return b->dead || queue_add(d, b) ? ST_OK : ST_NOMEM;
}

static void expire_kind(struct destination *d, enum outage_kind kind)
{
    struct outage_row row = {0};
    int64_t now = forward_wall(d), after = 0;

    for (unsigned left = EXPIRE_LOOK_MAX;
         left > 0 && d->bytes < FORWARD_MEMORY_MAX;) {
        if (outage_next(d->thread->f->parts.outage, kind, d->now.key, after,
                        &row, &d->again_sealed) != ST_OK)
            return;
        after = row.id;
        if (row.expires_ms > now)
            left--;
        else if (!block_is_loaded(d, row.id) &&
                 expire_row(d, &row, now) != ST_OK)
            return;
    }
}

static void expire_memory(struct destination *d)
{
    int64_t now = forward_wall(d);

    for (struct block *b = d->first; b != NULL; b = b->next)
        for (uint32_t i = b->passed; i < b->count; i++)
            if (b->items[i].state == ITEM_READY &&
                b->items[i].f.expires_ms <= now)
                item_except(d, &b->items[i], ITEM_EXPIRED,
                            REASON_EXPIRED_WAITING);
    queue_compact(d);
    for (struct batch *b = d->again; b != NULL; b = b->next)
        for (unsigned i = 0; i < b->count; i++)
            if (b->items[i]->state == ITEM_SENDING &&
                b->items[i]->f.expires_ms <= now)
                item_except(d, b->items[i], ITEM_EXPIRED,
                            REASON_EXPIRED_WAITING);
    send_compact(d);
}

void move_expire(struct destination *d)
{
    int64_t now = forward_mono(d);

    if (now < d->next_expire)
        return;
    d->next_expire = now + EXPIRE_EVERY_MS;
    expire_memory(d);
    expire_kind(d, OUTAGE_WAITING);
    expire_kind(d, OUTAGE_DEAD);
}

/* ---- purge ---- */

void move_purge_start(struct destination *d, uint8_t reason)
{
    send_cut_all(d);
    drop_again(d);
    d->purging = true;
    d->purge_reason = reason;
    d->purge_count = 0;
    d->purge_until = journal_next_sequence(d->thread->f->parts.journal);
    d->outage_waits = true;
    d->outage_last = 0;
    move_purge_memory(d);
}

void move_purge_memory(struct destination *d)
{
    d->held = NULL;
    for (struct block *b = d->first; b != NULL; b = b->next)
        for (uint32_t i = b->passed; i < b->count; i++)
            if (b->items[i].state == ITEM_READY) {
                item_except(d, &b->items[i], ITEM_PURGED, d->purge_reason);
                d->purge_count += b->items[i].state == ITEM_LEAVING;
            }
    queue_compact(d);
}

bool move_purge_over(const struct destination *d)
{
    return d->purging && !d->outage_waits &&
           (d->journal_ended || d->mark.sequence >= d->purge_until ||
            (d->first != NULL && !d->first->from_outage &&
             d->first->sequence >= d->purge_until)) &&
           (d->first == NULL ||
            (!d->first->from_outage && d->first->sequence >= d->purge_until));
}

enum status move_purge_dead(struct destination *d, uint64_t *out_count)
{
    struct outage_row row = {0};
    int64_t after = 0;
    enum status r = ST_OK;

    while (d->bytes < FORWARD_MEMORY_MAX) {
        struct block *b;
        do {
            r = outage_next(d->thread->f->parts.outage, OUTAGE_DEAD, d->now.key,
                            after, &row, &d->again_sealed);
            after = r == ST_OK ? row.id : after;
        } while (r == ST_OK && block_is_loaded(d, row.id));
        if (r == ST_OK)
            r = load_row(d, &row, &b);
        if (r != ST_OK)
            return r;
        for (uint32_t i = 0; i < b->count; i++)
            if (b->items[i].state == ITEM_READY) {
                item_except(d, &b->items[i], ITEM_PURGED, REASON_OPERATOR);
                *out_count += 1;
            }
    }
    return ST_OK;
}
