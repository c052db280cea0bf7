#include "journal_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_COUNT (JOURNAL_DESTINATIONS_MAX * 2u) /* power of two */

/* Keys are hashes already (destination_key). */
static uint32_t *slot_of(const struct journal *j, uint64_t key)
{
    uint32_t at = (uint32_t)key & (SLOT_COUNT - 1);

    while (j->slots[at] != 0 &&
           j->destinations[j->slots[at] - 1].mark.destination != key)
        at = (at + 1) & (SLOT_COUNT - 1);
    return &j->slots[at];
}

struct destination *journal_destination_find(const struct journal *j,
                                             uint64_t key)
{
    if (j->slots == NULL)
        return NULL;
    uint32_t number = *slot_of(j, key);
    return number == 0 ? NULL : &j->destinations[number - 1];
}

static bool destinations_grow(struct journal *j)
{
    unsigned size = j->destination_size == 0 ? 16 : j->destination_size * 2;

    if (j->slots == NULL)
        j->slots = calloc(SLOT_COUNT, sizeof(*j->slots));
    if (j->slots == NULL || j->destination_count == JOURNAL_DESTINATIONS_MAX)
        return false;
    if (j->destination_count < j->destination_size)
        return true;
    void *more = realloc(j->destinations, size * sizeof(*j->destinations));
    if (more == NULL)
        return false;
    j->destinations = more;
    j->destination_size = size;
    return true;
}

struct destination *journal_destination_add(struct journal *j, uint64_t key)
{
    struct destination *d = journal_destination_find(j, key);

    if (d != NULL)
        return d;
    if (!destinations_grow(j))
        return NULL;
    assert(j->destinations != NULL);
    d = &j->destinations[j->destination_count++];
    *d = (struct destination){.mark = {.destination = key}};
    *slot_of(j, key) = j->destination_count;
    return d;
}

struct site_entry *journal_site_add(struct journal *j, uint64_t site)
{
    for (unsigned i = 0; i < j->site_count; i++)
        if (j->sites[i].site == site)
            return &j->sites[i];
    if (j->site_count == JOURNAL_SITES_MAX)
        return NULL;
    if (j->site_count == j->site_size) {
        unsigned size = j->site_size == 0 ? 16 : j->site_size * 2;
        void *more = realloc(j->sites, size * sizeof(*j->sites));
        if (more == NULL)
            return NULL;
        j->sites = more;
        j->site_size = size;
    }
    j->sites[j->site_count] = (struct site_entry){.site = site};
    return &j->sites[j->site_count++];
}

enum status journal_destination_share(struct journal *j, struct segment *s,
                                      unsigned index, struct share **out)
{
    if (index >= s->share_size) {
        unsigned size = j->destination_size;
        struct share *more = realloc(s->shares, size * sizeof(*more));
        if (more == NULL)
            return ST_NOMEM;
        memset(more + s->share_size, 0, (size - s->share_size) * sizeof(*more));
        s->shares = more;
        s->share_size = size;
    }
    *out = &s->shares[index];
    return ST_OK;
}

static bool mark_is_past(const struct mark *m, uint64_t sequence, uint64_t end)
{
    return m->sequence > sequence ||
           (m->sequence == sequence && m->fragment >= end);
}

/* Group `h` of segment `s` holds `end` fragments of this destination. The
 * share was made by journal_destination_share() before. */
void journal_destination_note(struct journal *j, struct segment *s,
                              unsigned index, const struct journal_header *h,
                              uint32_t end)
{
    struct destination *d = &j->destinations[index];
    struct share *share = &s->shares[index];

    if (!share->present)
        *share = (struct share){.present = true, .first_sequence = h->sequence};
    share->last_sequence = h->sequence;
    share->last_end = end;
    share->last_ms = h->accepted_ms;
    d->last_sequence = h->sequence;
    d->last_end = end;
    if (!d->waits && !mark_is_past(&d->mark, h->sequence, end)) {
        d->waits = true;
        d->waits_since_ms = h->accepted_ms;
    }
}

static bool needs_segment(const struct destination *d, unsigned index,
                          const struct segment *s)
{
    if (index >= s->share_size || !s->shares[index].present)
        return false;
    const struct share *share = &s->shares[index];
    return !mark_is_past(&d->mark, share->last_sequence, share->last_end);
}

bool journal_segment_is_needed(const struct journal *j, const struct segment *s)
{
    if (!j->readers_known)
        return true; /* the forwarders are not there yet */
    if (s->rows_last != 0 && s->rows_last >= j->rows_safe)
        return true;
    for (unsigned i = 0; i < j->destination_count; i++)
        if (j->destinations[i].reads &&
            needs_segment(&j->destinations[i], i, s))
            return true;
    return false;
}

/* Only from the oldest on: what is kept has no holes, so that a hole is
 * damage and nothing else. */
void journal_recycle(struct journal *j)
{
    while (j->oldest != NULL && j->oldest != j->active &&
           !journal_segment_is_needed(j, j->oldest)) {
        struct segment *s = j->oldest;
        j->oldest = s->next;
        s->next = NULL;
        s->state = SEG_FREED;
        s->dirty = true;
        j->oldest_moved = true;
    }
}

uint64_t journal_oldest_sequence(const struct journal *j)
{
    for (const struct segment *s = j->oldest; s != NULL; s = s->next)
        if (s->group_count > 0)
            return s->groups[0].sequence;
    return j->next_sequence;
}

void journal_set_mark(struct journal *j, const struct mark *m)
{
    (void)pthread_mutex_lock(&j->lock);
    struct destination *d = journal_destination_add(j, m->destination);
    if (d != NULL) {
        d->mark = *m;
        d->version++;
        if (mark_is_past(m, d->last_sequence, d->last_end))
            d->waits = false;
        journal_recycle(j);
    }
    (void)pthread_mutex_unlock(&j->lock);
}

void journal_get_mark(struct journal *j, uint64_t destination, struct mark *out)
{
    (void)pthread_mutex_lock(&j->lock);
    const struct destination *d = journal_destination_find(j, destination);
    *out = (struct mark){.destination = destination};
    if (d != NULL) {
        *out = d->mark;
        out->cleared = d->cleared;
    }
    (void)pthread_mutex_unlock(&j->lock);
}

bool journal_marks_pending(const struct journal *j)
{
    struct journal *owner = (struct journal *)(uintptr_t)j; /* for its lock */
    bool pending;

    (void)pthread_mutex_lock(&owner->lock);
    pending = j->oldest_moved;
    for (unsigned i = 0; i < j->destination_count && !pending; i++)
        pending = j->destinations[i].version != j->destinations[i].written;
    (void)pthread_mutex_unlock(&owner->lock);
    return pending;
}

void journal_rows_safe(struct journal *j, uint64_t sequence)
{
    (void)pthread_mutex_lock(&j->lock);
    if (sequence > j->rows_safe)
        j->rows_safe = sequence;
    journal_recycle(j);
    (void)pthread_mutex_unlock(&j->lock);
}

void journal_set_readers(struct journal *j, const uint64_t *destinations,
                         unsigned count)
{
    (void)pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < j->destination_count; i++)
        j->destinations[i].reads = false;
    bool all = true;
    for (unsigned i = 0; i < count; i++) {
        struct destination *d = journal_destination_add(j, destinations[i]);
        if (d != NULL)
            d->reads = true;
        else
            all = false;
    }
    /* One that we cannot remember must not lose its segments. */
    j->readers_known = all;
    journal_recycle(j);
    (void)pthread_mutex_unlock(&j->lock);
}

/* Accept time of the first group at or after `sequence`; 0 none. */
static int64_t accepted_at(const struct journal *j, uint64_t sequence)
{
    for (const struct segment *s = j->oldest; s != NULL; s = s->next) {
        if (journal_segment_last_sequence(s) < sequence || s->group_count == 0)
            continue;
        unsigned low = 0, high = s->group_count - 1;
        while (low < high) {
            unsigned mid = low + (high - low) / 2;
            if (s->groups[mid].sequence < sequence)
                low = mid + 1;
            else
                high = mid;
        }
        return s->groups[low].accepted_ms;
    }
    return 0;
}

/* What waits was accepted when it began to wait, or since the mark's group,
 * whichever is later. */
static int64_t oldest_waiting(const struct journal *j,
                              const struct destination *d)
{
    if (!d->waits)
        return 0;
    int64_t at_mark = accepted_at(j, d->mark.sequence);
    return at_mark > d->waits_since_ms ? at_mark : d->waits_since_ms;
}

static uint64_t held_bytes(const struct journal *j, const struct segment *s)
{
    return s == j->active ? s->used : j->segment_bytes;
}

/* Bytes of the segments that hold something needed. */
uint64_t journal_needed_bytes(const struct journal *j)
{
    uint64_t bytes = 0;

    for (const struct segment *s = j->oldest; s != NULL; s = s->next)
        if (journal_segment_is_needed(j, s))
            bytes += held_bytes(j, s);
    return bytes;
}

void journal_backlog(struct journal *j, uint64_t destination,
                     uint64_t *out_bytes, int64_t *out_oldest_ms,
                     uint64_t *out_cleared)
{
    uint64_t bytes = 0;

    (void)pthread_mutex_lock(&j->lock);
    const struct destination *d = journal_destination_find(j, destination);
    if (d != NULL) {
        unsigned index = (unsigned)(d - j->destinations);
        for (const struct segment *s = j->oldest; s != NULL; s = s->next)
            if (needs_segment(d, index, s))
                bytes += held_bytes(j, s);
    }
    *out_bytes = bytes;
    *out_oldest_ms = d == NULL ? 0 : oldest_waiting(j, d);
    *out_cleared = d == NULL ? 0 : d->cleared;
    (void)pthread_mutex_unlock(&j->lock);
}

void journal_facts(struct journal *j, struct journal_facts *out)
{
    struct journal_facts f = {0};

    (void)pthread_mutex_lock(&j->lock);
    f.segments = j->segment_count;
    f.bytes_used = journal_needed_bytes(j);
    for (const struct segment *s = j->oldest; s != NULL; s = s->next)
        if (f.oldest_ms == 0 && s->rows_last != 0 &&
            s->rows_last >= j->rows_safe)
            f.oldest_ms = accepted_at(j, j->rows_safe);
    for (unsigned i = 0; i < j->destination_count; i++) {
        const struct destination *d = &j->destinations[i];
        int64_t since = d->reads ? oldest_waiting(j, d) : 0;
        if (since != 0 && (f.oldest_ms == 0 || since < f.oldest_ms))
            f.oldest_ms = since;
    }
    *out = f;
    (void)pthread_mutex_unlock(&j->lock);
}
