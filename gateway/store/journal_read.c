#include "journal_private.h"

#include "lethe/gateway/store/fileio.h"

#include <stdlib.h>

enum status journal_group_load(int fd, uint64_t offset, uint64_t pages,
                               bool whole, struct journal_header *out_header,
                               uint8_t **out_bytes)
{
    struct journal_header h;
    uint8_t *bytes = malloc(JOURNAL_PAGE);
    enum status st;

    if (bytes == NULL)
        return ST_NOMEM;
    st = file_read_at(fd, bytes, JOURNAL_PAGE, offset);
    if (st != ST_OK)
        goto fail;
    st = journal_header_decode(bytes, pages * JOURNAL_PAGE, &h);
    if (st != ST_OK)
        goto fail;
    size_t want =
        whole ? (size_t)journal_padded(h.length) : journal_head_bytes(&h);
    if (want > JOURNAL_PAGE) {
        uint8_t *more = realloc(bytes, want);
        st = ST_NOMEM;
        if (more == NULL)
            goto fail;
        bytes = more;
        st = file_read_at(fd, bytes + JOURNAL_PAGE, want - JOURNAL_PAGE,
                          offset + JOURNAL_PAGE);
        if (st != ST_OK)
            goto fail;
    }
    st = ST_CORRUPT;
    if (!(whole ? journal_group_sum_ok(&h, bytes)
                : journal_head_sum_ok(&h, bytes)) ||
        !journal_head_in_bounds(&h, bytes))
        goto fail;
    *out_header = h;
    *out_bytes = bytes;
    return ST_OK;

fail:
    free(bytes);
    return st == ST_NOMEM || st == ST_IO ? st : ST_CORRUPT;
}

struct found { /* where a group lies, and in which life of its segment */
    const struct segment *segment;
    uint64_t generation;
    struct group_at at;
};

/* First group of `s` at or after `sequence`; there is one. */
static const struct group_at *group_from(const struct segment *s,
                                         uint64_t sequence)
{
    unsigned low = 0, high = s->group_count - 1;

    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (s->groups[mid].sequence < sequence)
            low = mid + 1;
        else
            high = mid;
    }
    return &s->groups[low];
}

/* The first group at or after `sequence` that may hold something of the
 * destination. Lock held. */
static bool find_group(const struct journal *j, uint64_t sequence,
                       uint64_t destination, struct found *out)
{
    const struct destination *d = journal_destination_find(j, destination);

    if (d == NULL)
        return false;
    unsigned index = (unsigned)(d - j->destinations);
    for (const struct segment *s = j->oldest; s != NULL; s = s->next) {
        if (index >= s->share_size || !s->shares[index].present ||
            s->shares[index].last_sequence < sequence)
            continue;
        uint64_t first = s->shares[index].first_sequence;
        const struct group_at *g =
            group_from(s, sequence > first ? sequence : first);
        *out = (struct found){s, s->generation, *g};
        return true;
    }
    return false;
}

static bool still_there(struct journal *j, const struct found *f)
{
    (void)pthread_mutex_lock(&j->lock);
    bool same = f->segment->generation == f->generation;
    (void)pthread_mutex_unlock(&j->lock);
    return same;
}

static enum status blob_load(const struct found *f, const struct blob_entry *e,
                             struct buf *sealed)
{
    buf_reset(sealed);
    if (!buf_reserve(sealed, e->len + 1))
        return ST_NOMEM;
    enum status st =
        file_read_at(f->segment->fd, sealed->data, (size_t)e->len,
                     (uint64_t)f->at.page * JOURNAL_PAGE + e->offset);
    if (st == ST_OK)
        sealed->len = (size_t)e->len;
    return st == ST_END ? ST_IO : st;
}

/* The next blob of the destination in group `f`, from directory entry
 * at->offset on. ST_END: there is none. */
static enum status read_in_group(const struct found *f, uint64_t destination,
                                 struct journal_cursor *at,
                                 struct journal_blob *out, struct buf *sealed)
{
    struct journal_header h;
    struct blob_entry e;
    uint8_t *head;
    uint64_t i;

    enum status st =
        journal_group_load(f->segment->fd, (uint64_t)f->at.page * JOURNAL_PAGE,
                           f->at.pages, false, &h, &head);
    if (st != ST_OK)
        return st;
    st = ST_END;
    for (i = at->offset; i < h.blobs; i++) {
        journal_blob_entry_at(head, (uint32_t)i, &e);
        if (e.destination == destination)
            break;
    }
    if (i < h.blobs)
        st = blob_load(f, &e, sealed);
    free(head);
    if (st != ST_OK)
        return st;
    at->offset = i + 1;
    *out = (struct journal_blob){.sequence = h.sequence,
                                 .first_fragment = e.first_fragment,
                                 .slot = e.slot,
                                 .use = e.use,
                                 .count = e.count,
                                 .accepted_ms = h.accepted_ms,
                                 .optout_seen = e.optout_seen,
                                 .expires_min_ms = e.expires_min_ms};
    return ST_OK;
}

enum status journal_read(struct journal *j, struct journal_cursor *at,
                         uint64_t destination, struct journal_blob *out,
                         struct buf *sealed)
{
    for (;;) {
        struct found f;
        struct journal_blob blob;

        (void)pthread_mutex_lock(&j->lock);
        bool found = find_group(j, at->sequence, destination, &f);
        (void)pthread_mutex_unlock(&j->lock);
        if (!found)
            return ST_END;
        if (f.at.sequence != at->sequence)
            *at = (struct journal_cursor){.sequence = f.at.sequence};
        struct journal_cursor next = *at;
        enum status st = read_in_group(&f, destination, &next, &blob, sealed);
        /* One that nobody waits for may be recycled under our hands. */
        if (!still_there(j, &f))
            continue;
        if (st == ST_OK) {
            *at = next;
            *out = blob;
            return ST_OK;
        }
        if (st == ST_END || st == ST_CORRUPT)
            *at = (struct journal_cursor){.sequence = f.at.sequence + 1};
        if (st != ST_END)
            return st;
    }
}

static enum status replay_group(const struct journal_header *h,
                                const uint8_t *group, journal_rows_fn *each,
                                void *ctx)
{
    for (uint32_t i = 0; i < h->sections; i++) {
        struct group_rows site;
        uint64_t before;
        journal_rows_entry_at(h, group, i, &site, &before);
        enum status st = each(ctx, &site, before, group + site.offset);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum status journal_replay_rows(struct journal *j, journal_rows_fn *each,
                                void *ctx)
{
    /* No lock: before the first append nobody changes the list. */
    for (const struct segment *s = j->oldest; s != NULL; s = s->next) {
        for (unsigned i = 0; i < s->group_count; i++) {
            struct journal_header h;
            uint8_t *group;
            enum status st = journal_group_load(
                s->fd, (uint64_t)s->groups[i].page * JOURNAL_PAGE,
                s->groups[i].pages, true, &h, &group);
            if (st != ST_OK)
                return st;
            st = replay_group(&h, group, each, ctx);
            free(group);
            if (st != ST_OK)
                return st;
        }
    }
    return ST_OK;
}
