#include "journal_private.h"

#include "lethe/gateway/store/fileio.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct seen { /* one valid group somewhere on disk */
    struct segment *segment;
    uint64_t offset;
    struct journal_header h;
};

struct scan {
    struct seen *list;
    size_t count, size;
    uint8_t *bytes;                     /* one segment */
    uint64_t torn_sequence, torn_bytes; /* of what claims to be the newest */
};

static enum status scan_add(struct scan *c, struct segment *s, uint64_t offset,
                            const struct journal_header *h)
{
    if (c->count == c->size) {
        size_t size = c->size == 0 ? 256 : c->size * 2;
        void *more = realloc(c->list, size * sizeof(*c->list));
        if (more == NULL)
            return ST_NOMEM;
        c->list = more;
        c->size = size;
    }
    c->list[c->count++] = (struct seen){s, offset, *h};
    return ST_OK;
}

/* Something that begins like a group but is none: perhaps the newest one,
 * whose write was cut. */
static void scan_torn(struct scan *c, const struct journal_header *h)
{
    if (h->sequence > c->torn_sequence) {
        c->torn_sequence = h->sequence;
        c->torn_bytes = journal_padded(h->length);
    }
}

static enum status scan_pages(struct scan *c, struct segment *s, uint64_t room)
{
    uint64_t at = 0;

    while (at < room) {
        struct journal_header h;
        const uint8_t *group = c->bytes + at;
        uint64_t step = JOURNAL_PAGE;
        if (journal_header_decode(group, room - at, &h) == ST_OK) {
            if (journal_group_sum_ok(&h, group) &&
                journal_head_in_bounds(&h, group)) {
                enum status st = scan_add(c, s, at, &h);
                if (st != ST_OK)
                    return st;
                step = journal_padded(h.length);
            } else {
                scan_torn(c, &h);
            }
        }
        at += step;
    }
    return ST_OK;
}

static enum status scan_segment(struct scan *c, struct segment *s,
                                uint64_t bytes)
{
    enum status st = file_read_at(s->fd, c->bytes, (size_t)bytes, 0);

    if (st != ST_OK)
        return ST_IO;
    s->dirty = c->bytes[0] != 0 ||
               memcmp(c->bytes, c->bytes + 1, (size_t)bytes - 1) != 0;
    if (!s->dirty)
        return ST_OK;
    /* What a killed process wrote may be in the page cache alone; it is about
     * to be taken for durable. */
    st = file_sync(s->fd);
    return st == ST_OK ? scan_pages(c, s, bytes) : ST_IO;
}

static int by_sequence(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    if (x->h.sequence != y->h.sequence)
        return x->h.sequence < y->h.sequence ? -1 : 1;
    if (x->h.generation != y->h.generation)
        return x->h.generation < y->h.generation ? -1 : 1;
    return 0;
}

/* Of a segment only its newest life counts, of the whole only what the
 * newest group still calls kept. */
static void drop_stale(struct scan *c)
{
    uint64_t oldest = c->list[c->count - 1].h.oldest;
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i++) {
        struct segment *s = c->list[i].segment;
        if (c->list[i].h.generation > s->generation)
            s->generation = c->list[i].h.generation;
    }
    for (size_t i = 0; i < c->count; i++) {
        const struct seen *g = &c->list[i];
        if (g->h.sequence < oldest || g->h.generation != g->segment->generation)
            continue;
        if (kept > 0 && c->list[kept - 1].h.sequence == g->h.sequence)
            kept--; /* written twice; the later life wins */
        c->list[kept++] = *g;
    }
    c->count = kept;
}

/* Ordinals number the groups without a hole. */
static void find_damage(const struct scan *c, struct journal_recovery *out)
{
    for (size_t i = 1; i < c->count; i++) {
        const struct journal_header *a = &c->list[i - 1].h;
        const struct journal_header *b = &c->list[i].h;
        if (b->ordinal <= a->ordinal + 1)
            continue;
        if (out->damaged == 0)
            out->damaged_from = a->sequence + 1;
        out->damaged += b->ordinal - a->ordinal - 1;
        out->damaged_to = b->sequence - 1;
    }
    if (c->count > 0 &&
        c->list[0].h.sequence > c->list[c->count - 1].h.oldest) {
        /* The first ones kept are gone: at least one group. */
        if (out->damaged == 0)
            out->damaged_to = c->list[0].h.sequence - 1;
        out->damaged_from = c->list[c->count - 1].h.oldest;
        out->damaged++;
    }
}

static enum status take_blobs(struct journal *j, struct segment *s,
                              const struct journal_header *h,
                              const uint8_t *group, uint64_t *io_seen)
{
    struct blob_entry e;
    struct share *share;

    for (uint32_t i = 0; i < h->blobs; i++) {
        journal_blob_entry_at(group, i, &e);
        struct destination *d = journal_destination_add(j, e.destination);
        if (d == NULL)
            return ST_NOMEM;
        unsigned index = (unsigned)(d - j->destinations);
        enum status st = journal_destination_share(j, s, index, &share);
        if (st != ST_OK)
            return st;
        d->cleared += e.count;
        if (e.optout_seen < *io_seen)
            *io_seen = e.optout_seen;
        journal_destination_note(j, s, index, h, e.first_fragment + e.count);
    }
    return ST_OK;
}

static enum status take_counts(struct journal *j,
                               const struct journal_header *h,
                               const uint8_t *group)
{
    for (uint32_t i = 0; i < h->sections; i++) {
        struct group_rows r;
        uint64_t before;
        journal_rows_entry_at(h, group, i, &r, &before);
        struct site_entry *site = journal_site_add(j, r.site);
        if (site == NULL)
            return ST_NOMEM;
        site->rows = before + r.count;
    }
    for (uint32_t i = 0; i < h->sites; i++) {
        struct site_entry stored;
        journal_site_entry_at(h, group, i, &stored);
        struct site_entry *site = journal_site_add(j, stored.site);
        if (site == NULL)
            return ST_NOMEM;
        site->rows = stored.rows;
    }
    for (uint32_t i = 0; i < h->marks; i++) {
        struct mark m;
        journal_mark_entry_at(h, group, i, &m);
        struct destination *d = journal_destination_add(j, m.destination);
        if (d == NULL)
            return ST_NOMEM;
        d->cleared = m.cleared;
        d->mark = m;
    }
    return ST_OK;
}

/* Groups come in the order of their sequences: the newest marks win. */
static enum status take_group(struct journal *j, const struct seen *g,
                              struct journal_recovery *out)
{
    struct segment *s = g->segment;
    struct journal_header h;
    uint8_t *head;

    enum status st = journal_group_load(
        s->fd, g->offset, journal_padded(g->h.length) / JOURNAL_PAGE, false, &h,
        &head);
    if (st == ST_OK)
        st = journal_segment_reserve(s);
    else
        return st;
    if (st == ST_OK) {
        journal_segment_add_group(s, &h, g->offset);
        if (h.sections > 0)
            s->rows_last = h.sequence;
        st = take_blobs(j, s, &h, head, &out->optout_seen);
    }
    if (st == ST_OK)
        st = take_counts(j, &h, head);
    free(head);
    return st;
}

static enum status take_all(struct journal *j, const struct scan *c,
                            struct journal_recovery *out)
{
    struct segment **tail = &j->oldest;

    for (size_t i = 0; i < c->count; i++) {
        const struct seen *g = &c->list[i];
        struct segment *s = g->segment;
        if (s != j->active && s->state != SEG_SPARE)
            continue; /* out of order: not ours to explain */
        if (s != j->active) {
            if (j->active != NULL)
                j->active->state = SEG_FULL;
            s->state = SEG_ACTIVE;
            *tail = s;
            tail = &s->next;
            j->active = s;
        }
        if (g->offset < s->used)
            continue;
        enum status st = take_group(j, g, out);
        if (st != ST_OK)
            return st;
        out->groups++;
    }
    return ST_OK;
}

static void take_numbers(struct journal *j, const struct scan *c)
{
    struct timespec now;

    /* Microseconds: no journal writes a group each, so that a new journal
     * begins behind all that a lost one has used. */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    j->next_sequence =
        (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (now.tv_sec <= 0)
        j->next_sequence = 1;
    j->next_generation = 1;
    for (size_t i = 0; i < c->count; i++) {
        const struct journal_header *h = &c->list[i].h;
        if (h->sequence + 1 + JOURNAL_SEQUENCE_JUMP > j->next_sequence)
            j->next_sequence = h->sequence + 1 + JOURNAL_SEQUENCE_JUMP;
        if (h->generation >= j->next_generation)
            j->next_generation = h->generation + 1;
    }
    if (c->count > 0)
        j->next_ordinal = c->list[c->count - 1].h.ordinal + 1;
}

/* What waits is known only when all marks are. */
static void settle_waits(struct journal *j)
{
    for (unsigned i = 0; i < j->destination_count; i++) {
        struct destination *d = &j->destinations[i];
        const struct mark *m = &d->mark;
        if (m->sequence > d->last_sequence ||
            (m->sequence == d->last_sequence && m->fragment >= d->last_end))
            d->waits = false;
    }
}

static enum status scan_all(struct journal *j, struct scan *c)
{
    enum status st = ST_OK;

    c->bytes = malloc((size_t)j->segment_bytes);
    if (c->bytes == NULL)
        return ST_NOMEM;
    for (unsigned i = 0; i < j->segment_count && st == ST_OK; i++)
        st = scan_segment(c, j->segments[i], j->segment_bytes);
    free(c->bytes);
    c->bytes = NULL;
    return st;
}

enum status journal_recover(struct journal *j, struct journal_recovery *out)
{
    struct scan c = {0};
    struct journal_recovery found = {.optout_seen = UINT64_MAX};
    enum status st = scan_all(j, &c);

    if (st != ST_OK)
        goto done;
    if (c.count > 0) {
        qsort(c.list, c.count, sizeof(*c.list), by_sequence);
        take_numbers(j, &c);
        if (c.torn_sequence > c.list[c.count - 1].h.sequence)
            found.torn_bytes = c.torn_bytes;
        drop_stale(&c);
        find_damage(&c, &found);
        st = take_all(j, &c, &found);
        settle_waits(j);
    } else {
        take_numbers(j, &c);
        found.torn_bytes = c.torn_bytes;
    }
    found.next_sequence = j->next_sequence;
    if (st == ST_OK)
        *out = found;

done:
    free(c.list);
    return st;
}
