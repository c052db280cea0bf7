/* From the cursor to items that may be sent: outage rows first, then the
 * journal. A blob is opened once, its fragments stay in memory until the mark
 * has passed them; at most FORWARD_MEMORY_MAX bytes a destination. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES_MAX (4u << 20)
#define PICK_SCAN_MAX   4096u /* items looked at for one batch's group */
#define SEALED_CAP      (32u << 20)

/* ---- rules in force ---- */

static uint64_t hash_of(const uint8_t decides[8])
{
    uint64_t v;

    memcpy(&v, decides, sizeof(v));
    return v == 0 ? 1 : v; /* 0 marks an empty slot */
}

static bool decides_has(const struct decide_set *s, const uint8_t decides[8])
{
    uint64_t v = hash_of(decides);

    for (uint32_t i = (uint32_t)v & s->mask; s->slots[i] != 0;
         i = (i + 1) & s->mask)
        if (s->slots[i] == v)
            return true;
    return false;
}

enum status decides_build(const struct forward_destination *d,
                          struct decide_set *out)
{
    const struct policy *p = d->policy;
    struct decide_set s = {.mask = 15};

    while (s.mask < p->event_count * 2)
        s.mask = s.mask * 2 + 1;
    s.slots = calloc((size_t)s.mask + 1, sizeof(*s.slots));
    if (s.slots == NULL)
        return ST_NOMEM;
    for (unsigned e = 0; e < p->event_count; e++) {
        const uint8_t *decides = p->events[e].to[d->plan].decides;
        uint64_t v = hash_of(decides);
        uint32_t i = (uint32_t)v & s.mask;
        if (decides_has(&s, decides))
            continue;
        while (s.slots[i] != 0)
            i = (i + 1) & s.mask;
        s.slots[i] = v;
    }
    *out = s;
    return ST_OK;
}

enum item_outcome item_check(const struct destination *d, const struct item *i,
                             int64_t now_ms, uint8_t *out_reason)
{
    const struct block *b = i->block;

    if (i->f.expires_ms <= now_ms) {
        *out_reason = REASON_EXPIRED_WAITING;
        return ITEM_EXPIRED;
    }
    if (!decides_has(&d->decides, i->f.decides) || !files_know(d, i->f.group)) {
        *out_reason = REASON_POLICY_CHANGED;
        return ITEM_PURGED;
    }
    if (sweep_hits(d->thread->f->parts.sweep, b->slot, b->use, &i->f)) {
        *out_reason = REASON_OPTED_OUT_THEN;
        return ITEM_SWEPT;
    }
    return ITEM_NONE;
}

/* ---- blocks ---- */

void block_append(struct destination *d, struct block *b)
{
    if (d->last == NULL)
        d->first = b;
    else
        d->last->next = b;
    d->last = b;
    d->bytes += b->bytes;
}

void block_free(struct destination *d, struct block *b)
{
    if (d != NULL)
        d->bytes -= b->bytes;
    buf_wipe(&b->plain);
    buf_free(&b->plain);
    free(b->items);
    free(b);
}

static enum status decode_items(struct block *b)
{
    struct slice rest = buf_slice(&b->plain);

    for (uint32_t i = 0; i < b->count; i++) {
        enum status r = fragment_next(&rest, &b->items[i].f);
        if (r != ST_OK)
            return r == ST_END ? ST_CORRUPT : r;
    }
    return ST_OK;
}

static enum status open_sealed(struct destination *d, struct block *b,
                               struct slice sealed)
{
    struct spool_key key;
    enum status r =
        spool_keys_at(d->thread->f->parts.keys, b->slot, b->use, &key);

    if (r == ST_OK)
        r = blob_open(&key, b->count, sealed, &b->plain);
    return r == ST_OK ? decode_items(b) : r;
}

/* A blob that cannot be opened any more is counted out, fragment by fragment.
 */
static void count_out(struct destination *d, struct block *b, enum status why)
{
    if (why != ST_UNKNOWN)
        log_error(LOG_FORWARD, "a blob cannot be opened",
                  LOG_NAME("why", status_name(why)),
                  LOG_NUM("fragments", b->count));
    for (uint32_t i = 0; i < b->count; i++) {
        b->items[i].f = (struct fragment){0};
        if (b->items[i].state == ITEM_READY)
            item_except(d, &b->items[i], ITEM_EXPIRED,
                        why == ST_UNKNOWN ? REASON_KEY_GONE : REASON_INTERNAL);
    }
}

enum status read_open(struct destination *d, const struct block *like,
                      struct slice sealed, struct block **out)
{
    struct block *b = malloc(sizeof(*b));

    if (b == NULL)
        return ST_NOMEM;
    *b = *like;
    b->items = calloc(b->count == 0 ? 1 : b->count, sizeof(*b->items));
    if (b->items == NULL) {
        free(b);
        return ST_NOMEM;
    }
    buf_init(&b->plain, SEALED_CAP);
    for (uint32_t i = 0; i < b->count; i++) {
        b->items[i].block = b;
        if (i < b->passed)
            b->items[i].state = ITEM_DONE;
    }
    enum status r = open_sealed(d, b, sealed);
    if (r == ST_NOMEM) {
        block_free(NULL, b);
        return r;
    }
    b->bytes = sizeof(*b) + b->count * sizeof(*b->items) + b->plain.len;
    if (r != ST_OK)
        count_out(d, b, r);
    *out = b;
    return ST_OK;
}

/* ---- the queue ---- */

static bool queue_room(struct destination *d, unsigned more)
{
    if (d->head == d->tail)
        d->head = d->tail = 0;
    if (d->tail + more <= d->size)
        return true;
    unsigned size = d->size == 0 ? 1024 : d->size;
    while (size < d->tail + more)
        size *= 2;
    struct item **q = realloc(d->queue, size * sizeof(struct item *));
    if (q == NULL)
        return false;
    d->queue = q;
    d->size = size;
    return true;
}

bool queue_add(struct destination *d, struct block *b)
{
    if (!queue_room(d, b->count))
        return false;
    if (d->linger_from == 0)
        d->linger_from = forward_mono(d);
    for (uint32_t i = 0; i < b->count; i++)
        if (b->items[i].state == ITEM_READY)
            d->queue[d->tail++] = &b->items[i];
    return true;
}

/* Forget entries that are no longer ready, before their blocks go. */
void queue_compact(struct destination *d)
{
    unsigned to = 0;

    for (unsigned i = d->head; i < d->tail; i++)
        if (d->queue[i] != NULL && d->queue[i]->state == ITEM_READY)
            d->queue[to++] = d->queue[i];
    d->head = 0;
    d->tail = to;
}

unsigned queue_ready(const struct destination *d)
{
    return d->tail - d->head;
}

/* Fisher-Yates over what waits: order tells no more than the rounded time. */
void queue_shuffle(struct destination *d)
{
    for (unsigned n = d->tail - d->head; n > 1; n--) {
        unsigned k = (unsigned)(random_u64(&d->random) % n);
        struct item *last = d->queue[d->head + n - 1];
        d->queue[d->head + n - 1] = d->queue[d->head + k];
        d->queue[d->head + k] = last;
    }
}

/* ---- reading ---- */

bool block_is_loaded(const struct destination *d, int64_t row_id)
{
    for (const struct block *b = d->first; b != NULL; b = b->next)
        if (b->from_outage && b->row_id == row_id)
            return true;
    return false;
}

static enum status read_outage(struct destination *d, struct block **out)
{
    struct outage_row row;
    enum status r;

    do {
        r = outage_next(d->thread->f->parts.outage, OUTAGE_WAITING, d->now.key,
                        d->outage_last, &row, &d->sealed);
        if (r == ST_END)
            d->outage_waits = false;
        if (r != ST_OK)
            return r;
        d->outage_last = row.id;
    } while (block_is_loaded(d, row.id));
    const struct block like = {.from_outage = true,
                               .row_id = row.id,
                               .slot = row.slot,
                               .use = row.use,
                               .accepted_ms = row.accepted_ms,
                               .count = row.count,
                               .passed = row.done};
    return read_open(d, &like, buf_slice(&d->sealed), out);
}

/* Items before the mark are done; those that a SQLite destination committed
 * beyond it were accepted, only the mark did not reach the disk. */
static void skip_done(struct destination *d, struct block *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t at = b->first + i;
        if (b->items[i].state != ITEM_READY)
            continue;
        if (b->sequence < d->db_sequence ||
            (b->sequence == d->db_sequence && at < d->db_fragment))
            item_done(d, &b->items[i], ITEM_ACCEPTED);
    }
}

/* The next blob that is not wholly before the mark, into d->sealed. */
enum status read_after_mark(struct destination *d, struct journal_blob *out)
{
    struct journal_blob blob;
    enum status r;

    do {
        r = journal_read(d->thread->f->parts.journal, &d->cursor, d->now.key,
                         &blob, &d->sealed);
        if (r != ST_OK)
            return r;
    } while (blob.sequence < d->mark.sequence ||
             (blob.sequence == d->mark.sequence &&
              blob.first_fragment + blob.count <= d->mark.fragment));
    *out = blob;
    return ST_OK;
}

static enum status read_journal(struct destination *d, struct block **out)
{
    struct journal_blob blob;
    enum status r = read_after_mark(d, &blob);

    if (r != ST_OK)
        return r;
    struct block like = {.sequence = blob.sequence,
                         .first = blob.first_fragment,
                         .slot = blob.slot,
                         .use = blob.use,
                         .accepted_ms = blob.accepted_ms,
                         .count = blob.count};
    if (blob.sequence == d->mark.sequence &&
        d->mark.fragment > blob.first_fragment)
        like.passed = d->mark.fragment - blob.first_fragment;
    r = read_open(d, &like, buf_slice(&d->sealed), out);
    if (r == ST_OK)
        skip_done(d, *out);
    return r;
}

static enum status read_next(struct destination *d, struct block **out)
{
    enum status r = ST_END;

    if (d->outage_waits)
        r = read_outage(d, out);
    if (r != ST_END)
        return r;
    return read_journal(d, out);
}

static bool is_released(const struct destination *d, const struct block *b)
{
    if (d->boundary_ms <= 0 || d->purging)
        return true;
    return (b->accepted_ms / d->boundary_ms + 1) * d->boundary_ms <=
           forward_wall(d);
}

static void except_all(struct destination *d, struct block *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (b->items[i].state == ITEM_READY) {
            item_except(d, &b->items[i], ITEM_PURGED, d->purge_reason);
            d->purge_count++;
        }
}

static bool any_ready(const struct block *b)
{
    for (uint32_t i = b->passed; i < b->count; i++)
        if (b->items[i].state == ITEM_READY)
            return true;
    return false;
}

/* A block enters the queue, or waits for its boundary, or is purged. */
static bool admit(struct destination *d, struct block *b)
{
    if (!any_ready(b))
        return true;
    if (d->purging && (b->from_outage || b->sequence < d->purge_until)) {
        except_all(d, b);
        return true;
    }
    return is_released(d, b) && queue_add(d, b);
}

static bool has_room(const struct destination *d)
{
    return d->bytes < FORWARD_MEMORY_MAX && queue_ready(d) < FORWARD_WINDOW_MAX;
}

void read_fill(struct destination *d)
{
    struct block *b;
    bool was_empty = queue_ready(d) == 0 && d->again == NULL;
    enum status r = ST_OK;

    /* A shuffled window leaves whole before the next is read. */
    if (d->boundary_ms > 0 && !was_empty && !d->purging)
        return;
    if (d->held != NULL) {
        b = d->held;
        d->held = NULL;
        if (!admit(d, b)) {
            d->held = b;
            return;
        }
    }
    d->journal_ended = false;
    while (r == ST_OK && has_room(d)) {
        r = read_next(d, &b);
        if (r != ST_OK)
            break;
        block_append(d, b);
        if (!admit(d, b)) {
            d->held = b;
            break;
        }
    }
    d->journal_ended = r == ST_END;
    if (r != ST_OK && r != ST_END) {
        log_error(LOG_FORWARD, "cannot read what waits",
                  LOG_NAME("why", status_name(r)));
        send_back_off(d, 0, 0);
    }
    if (d->boundary_ms > 0)
        queue_shuffle(d);
}

/* ---- batches ---- */

static bool same_group(const struct destination *d, const struct item *a,
                       const struct item *b)
{
    if (d->type == DESTINATION_SQLITE)
        return true;
    if (d->type == DESTINATION_JSONL)
        return d->out.count <= 1 || slice_eq(a->f.group, b->f.group);
    return a->f.gpc == b->f.gpc && slice_eq(a->f.group, b->f.group);
}

static void skip_taken(struct destination *d)
{
    while (d->head < d->tail && d->queue[d->head] == NULL)
        d->head++;
    if (d->head == d->tail)
        d->linger_from = 0;
}

struct batch *read_pick(struct destination *d)
{
    size_t bytes = 0;

    skip_taken(d);
    if (d->head == d->tail)
        return NULL;
    struct batch *b = calloc(1, sizeof(*b));
    struct item **items = calloc(d->batch_max, sizeof(struct item *));
    if (b == NULL || items == NULL) {
        free(b);
        free(items);
        return NULL;
    }
    const struct item *like = d->queue[d->head];
    *b = (struct batch){.dest = d, .items = items, .gpc = like->f.gpc};
    for (unsigned i = d->head;
         i < d->tail && b->count < d->batch_max && i - d->head < PICK_SCAN_MAX;
         i++) {
        struct item *item = d->queue[i];
        if (item == NULL || !same_group(d, like, item))
            continue;
        bytes += item->f.body.len;
        if (b->count > 0 && bytes > BATCH_BYTES_MAX)
            break;
        item->state = ITEM_SENDING;
        b->items[b->count++] = item;
        d->queue[i] = NULL;
    }
    skip_taken(d);
    return b;
}
