#include "journal_private.h"

#include "lethe/gateway/store/fileio.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST (256u << 10)

struct append { /* one journal group on its way */
    struct group *const *groups;
    unsigned count;
    struct journal_header h;
    struct segment *segment;
    uint64_t offset; /* in the segment */
    bool full_marks; /* a segment's first group carries all of them */
    bool marks_due;
};

void journal_segment_begin(struct journal *j, struct segment *s)
{
    struct segment **tail = &j->oldest;

    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = s;
    if (j->active != NULL)
        j->active->state = SEG_FULL;
    s->state = SEG_ACTIVE;
    s->next = NULL;
    s->generation = j->next_generation++;
    s->group_count = 0;
    s->used = 0;
    s->rows_last = 0;
    s->dirty = true;
    if (s->share_size > 0)
        memset(s->shares, 0, s->share_size * sizeof(*s->shares));
    j->active = s;
    j->roll = false;
    journal_recycle(j); /* the former one may be done already */
    (void)pthread_cond_broadcast(&j->changed); /* the maker: a spare is gone */
}

/* --- planning, with the lock held */

static bool mark_goes_along(const struct append *a, const struct destination *d)
{
    return a->full_marks || (a->marks_due && d->version != d->written);
}

static void plan_lengths(const struct journal *j, struct append *a)
{
    struct journal_header *h = &a->h;
    uint64_t body = 0, rows = 0, blobs = 0, sections = 0, marks = 0;

    for (unsigned i = 0; i < a->count; i++) {
        blobs += a->groups[i]->blob_count;
        sections += a->groups[i]->site_count;
        body += a->groups[i]->sealed.len;
        rows += a->groups[i]->rows.len / ROW_BYTES;
    }
    for (unsigned i = 0; i < j->destination_count; i++)
        marks += mark_goes_along(a, &j->destinations[i]);
    h->blobs = (uint32_t)blobs;
    h->sections = (uint32_t)sections;
    h->marks = (uint32_t)marks;
    h->sites = a->full_marks ? j->site_count : 0;
    h->body = body;
    h->rows = rows;
    h->length = journal_head_bytes(h) + body + rows * ROW_BYTES;
}

static bool plan_fits(const struct journal *j, struct append *a)
{
    if (j->active == NULL || (j->roll && j->active->group_count > 0))
        return false;
    a->full_marks = j->active->group_count == 0;
    plan_lengths(j, a);
    return journal_padded(a->h.length) <= j->segment_bytes - j->active->used;
}

/* Find room: in the active segment or in a new one. */
static enum status plan_place(struct journal *j, struct append *a)
{
    struct segment *s;

    a->full_marks = true;
    plan_lengths(j, a);
    if (a->h.length > JOURNAL_GROUP_MAX ||
        journal_padded(a->h.length) > j->segment_bytes)
        return ST_LIMIT;
    if (!plan_fits(j, a)) {
        enum status st = journal_segment_await(j, &s);
        if (st != ST_OK)
            return st;
        journal_segment_begin(j, s);
        if (!plan_fits(j, a)) /* marks that came while we waited */
            return ST_LIMIT;
    }
    a->segment = j->active;
    a->offset = j->active->used;
    return ST_OK;
}

/* Make sure that nothing has to be allocated after the write. */
static enum status plan_destinations(struct journal *j, const struct append *a)
{
    for (unsigned i = 0; i < a->count; i++) {
        const struct group *g = a->groups[i];
        for (unsigned k = 0; k < g->blob_count; k++)
            if (journal_destination_add(j, g->blobs[k].destination) == NULL)
                return ST_FULL;
        for (unsigned k = 0; k < g->site_count; k++)
            if (journal_site_add(j, g->sites[k].site) == NULL)
                return ST_FULL;
    }
    return ST_OK;
}

static enum status plan_shares(struct journal *j, const struct append *a)
{
    struct share *share;

    for (unsigned i = 0; i < a->count; i++) {
        const struct group *g = a->groups[i];
        for (unsigned k = 0; k < g->blob_count; k++) {
            const struct destination *d =
                journal_destination_find(j, g->blobs[k].destination);
            unsigned index = (unsigned)(d - j->destinations);
            if (journal_destination_share(j, a->segment, index, &share) !=
                ST_OK)
                return ST_FULL;
        }
    }
    return journal_segment_reserve(a->segment) == ST_OK ? ST_OK : ST_FULL;
}

static bool carries_blobs(const struct append *a)
{
    for (unsigned i = 0; i < a->count; i++)
        if (a->groups[i]->blob_count > 0)
            return true;
    return false;
}

static bool free_space_is_low(struct journal *j)
{
    int64_t now = journal_mono_us();

    /* While it is low every call asks, so that it ends at once. */
    if (j->statfs_low || j->statfs_us == 0 ||
        now - j->statfs_us >= JOURNAL_STATFS_US) {
        j->statfs_low = journal_disk_is_low(j, 0, j->limits.disk_free);
        j->statfs_us = now;
    }
    return j->statfs_low;
}

/* Limits are for events. Rows of what left the queue, and marks, are what
 * makes room again: they may use what is allocated. */
static bool over_limits(struct journal *j, uint64_t bytes)
{
    return bytes > j->limits.spool_bytes || free_space_is_low(j) ||
           j->other_bytes > j->limits.spool_bytes - bytes ||
           journal_needed_bytes(j) >
               j->limits.spool_bytes - bytes - j->other_bytes;
}

bool journal_has_room(struct journal *j, uint64_t bytes)
{
    (void)pthread_mutex_lock(&j->lock);
    bool has = !over_limits(j, journal_padded(bytes));
    (void)pthread_mutex_unlock(&j->lock);
    return has;
}

static enum status buffer_reserve(struct journal *j, uint64_t bytes)
{
    size_t size = j->buffer_size == 0 ? BUFFER_FIRST : j->buffer_size;

    if (bytes <= j->buffer_size)
        return ST_OK;
    while (size < bytes)
        size *= 2;
    void *more = aligned_alloc(JOURNAL_PAGE, size);
    if (more == NULL)
        return ST_FULL;
    free(j->buffer);
    j->buffer = more;
    j->buffer_size = size;
    return ST_OK;
}

static enum status plan(struct journal *j, struct append *a, int64_t now_ms)
{
    int64_t since = now_ms - j->marks_ms;

    if (j->broken)
        return ST_IO;
    /* A group that lets go of a segment carries the marks that are past it:
     * after a crash an older mark would point at what is overwritten, and a
     * file would be cut at it. */
    a->marks_due = a->count == 0 || j->oldest_moved || since < 0 ||
                   since >= JOURNAL_MARKS_MS;
    enum status st = plan_destinations(j, a);
    if (st == ST_OK)
        st = plan_place(j, a);
    if (st == ST_OK && carries_blobs(a) &&
        over_limits(j, journal_padded(a->h.length)))
        st = ST_FULL;
    if (st == ST_OK)
        st = plan_shares(j, a);
    if (st == ST_OK)
        st = buffer_reserve(j, journal_padded(a->h.length));
    if (st != ST_OK)
        return st;
    a->h.generation = a->segment->generation;
    a->h.sequence = j->next_sequence;
    a->h.ordinal = j->next_ordinal;
    a->h.oldest = journal_oldest_sequence(j);
    a->h.accepted_ms = now_ms;
    a->h.optout_seen = a->count == 0 ? 0 : a->groups[0]->optout_seen;
    for (unsigned i = 1; i < a->count; i++)
        if (a->groups[i]->optout_seen < a->h.optout_seen)
            a->h.optout_seen = a->groups[i]->optout_seen;
    return ST_OK;
}

/* --- the bytes, with the lock held: numbers of others go in */

static uint8_t *put_blobs(struct journal *j, const struct append *a,
                          uint8_t *at)
{
    uint64_t base = journal_head_bytes(&a->h);

    for (unsigned i = 0; i < a->count; i++) {
        const struct group *g = a->groups[i];
        for (unsigned k = 0; k < g->blob_count; k++) {
            const struct group_blob *b = &g->blobs[k];
            struct destination *d = journal_destination_find(j, b->destination);
            assert(b->offset <= g->sealed.len &&
                   b->len <= g->sealed.len - b->offset);
            struct blob_entry e = {.destination = b->destination,
                                   .slot = b->slot,
                                   .use = b->use,
                                   .count = b->count,
                                   .first_fragment = d->in_group,
                                   .offset = base + b->offset,
                                   .len = b->len,
                                   .expires_min_ms = b->expires_min_ms,
                                   .optout_seen = g->optout_seen};
            d->in_group += b->count;
            journal_blob_entry_encode(&e, at);
            at += BLOB_ENTRY_BYTES;
        }
        base += g->sealed.len;
    }
    return at;
}

static uint8_t *put_sections(struct journal *j, const struct append *a,
                             uint8_t *at)
{
    uint64_t base = journal_head_bytes(&a->h) + a->h.body;

    for (unsigned i = 0; i < a->count; i++) {
        const struct group *g = a->groups[i];
        for (unsigned k = 0; k < g->site_count; k++) {
            const struct group_rows *r = &g->sites[k];
            struct site_entry *site = journal_site_add(j, r->site);
            assert(r->offset <= g->rows.len &&
                   r->count <= (g->rows.len - r->offset) / ROW_BYTES);
            journal_rows_entry_encode(r, base + r->offset, site->rows, at);
            site->rows += r->count;
            at += ROWS_ENTRY_BYTES;
        }
        base += g->rows.len / ROW_BYTES * ROW_BYTES;
    }
    return at;
}

static void put_marks(struct journal *j, const struct append *a, uint8_t *at)
{
    for (unsigned i = 0; i < j->destination_count; i++) {
        struct destination *d = &j->destinations[i];
        d->carried = d->written;
        if (!mark_goes_along(a, d))
            continue;
        struct mark m = d->mark;
        m.cleared = d->cleared + d->in_group;
        d->carried = d->version;
        journal_mark_entry_encode(&m, at);
        at += MARK_ENTRY_BYTES;
    }
    for (uint32_t i = 0; i < a->h.sites; i++) {
        journal_site_entry_encode(&j->sites[i], at);
        at += SITE_ENTRY_BYTES;
    }
}

static void put_head(struct journal *j, const struct append *a)
{
    journal_header_encode(&a->h, j->buffer);
    uint8_t *at = put_blobs(j, a, j->buffer + HEADER_BYTES);
    at = put_sections(j, a, at);
    put_marks(j, a, at);
}

/* Running counts go back if the group does not get to the disk. */
static void counts_undo(struct journal *j, const struct append *a)
{
    for (unsigned i = 0; i < a->count; i++) {
        const struct group *g = a->groups[i];
        for (unsigned k = 0; k < g->blob_count; k++)
            journal_destination_find(j, g->blobs[k].destination)->in_group = 0;
        for (unsigned k = 0; k < g->site_count; k++)
            journal_site_add(j, g->sites[k].site)->rows -= g->sites[k].count;
    }
}

/* --- without the lock */

static void put_bodies(struct journal *j, const struct append *a)
{
    uint8_t *at = j->buffer + journal_head_bytes(&a->h);
    uint64_t whole = journal_padded(a->h.length);

    for (unsigned i = 0; i < a->count; i++) {
        const struct buf *sealed = &a->groups[i]->sealed;
        if (sealed->len > 0)
            memcpy(at, sealed->data, sealed->len);
        at += sealed->len;
    }
    for (unsigned i = 0; i < a->count; i++) {
        size_t len = a->groups[i]->rows.len / ROW_BYTES * ROW_BYTES;
        if (len > 0)
            memcpy(at, a->groups[i]->rows.data, len);
        at += len;
    }
    memset(at, 0, (size_t)(whole - a->h.length));
    journal_group_set_sums(&a->h, j->buffer);
}

static enum status write_and_sync(struct journal *j, const struct append *a)
{
    put_bodies(j, a);
    int64_t start = journal_mono_us();
    enum status st =
        file_write_at(a->segment->fd, j->buffer,
                      (size_t)journal_padded(a->h.length), a->offset);
    if (st == ST_OK)
        st = file_sync(a->segment->fd);
    __atomic_store_n(&j->sync_us, journal_mono_us() - start, __ATOMIC_RELAXED);
    return st;
}

/* --- afterwards, with the lock held */

static void note_blobs(struct journal *j, const struct append *a)
{
    for (unsigned i = 0; i < a->count; i++) {
        const struct group *g = a->groups[i];
        for (unsigned k = 0; k < g->blob_count; k++) {
            struct destination *d =
                journal_destination_find(j, g->blobs[k].destination);
            if (d->in_group == 0)
                continue; /* done with its first blob here */
            d->cleared += d->in_group;
            journal_destination_note(j, a->segment,
                                     (unsigned)(d - j->destinations), &a->h,
                                     d->in_group);
            d->in_group = 0;
        }
    }
}

/* What a synced group called past may be overwritten now. */
static void release_freed(struct journal *j, uint64_t oldest)
{
    j->oldest_moved = false;
    for (unsigned i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        if (s->state != SEG_FREED)
            continue;
        if (journal_segment_last_sequence(s) < oldest)
            s->state = SEG_SPARE;
        else
            j->oldest_moved = true;
    }
}

static void publish(struct journal *j, const struct append *a)
{
    note_blobs(j, a);
    for (unsigned i = 0; i < j->destination_count; i++)
        j->destinations[i].written = j->destinations[i].carried;
    if (a->h.rows > 0 || a->h.sections > 0)
        a->segment->rows_last = a->h.sequence;
    if (a->h.marks > 0)
        j->marks_ms = a->h.accepted_ms;
    j->next_ordinal++;
    release_freed(j, a->h.oldest);
}

enum status journal_append(struct journal *j, struct group *const *groups,
                           unsigned count, int64_t now_ms)
{
    struct append a = {.groups = groups, .count = count};

    (void)pthread_mutex_lock(&j->lock);
    enum status st = plan(j, &a, now_ms);
    if (st != ST_OK)
        goto done;
    put_head(j, &a);
    (void)pthread_mutex_unlock(&j->lock);
    st = write_and_sync(j, &a);
    (void)pthread_mutex_lock(&j->lock);
    /* Whatever became of this number, it is not given twice. */
    __atomic_store_n(&j->next_sequence, a.h.sequence + 1, __ATOMIC_RELEASE);
    if (st == ST_OK) {
        journal_segment_add_group(a.segment, &a.h, a.offset);
        publish(j, &a);
        goto done;
    }
    counts_undo(j, &a);
    /* After a failed sync the kernel may have dropped dirty pages; a second
     * try could report success for bytes that never reached the disk. A full
     * disk is another matter: the same place is written again. */
    if (st != ST_FULL)
        j->broken = true;

done:
    (void)pthread_mutex_unlock(&j->lock);
    return st;
}
