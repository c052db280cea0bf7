#include "journal_private.h"

#include "lethe/gateway/store/bytes.h"

#include <string.h>

/* Header, big-endian:
 *   0 magic       8 version    12 head bytes   16 sum of the head
 *  24 sum of all 32 generation 40 sequence     48 ordinal
 *  56 oldest     64 length     72 body         80 optout_seen
 *  88 accepted   96 blobs     100 sections    104 marks  108 sites
 * 112 rows      120 reserved (0)
 * then blob entries, row sections, marks, sites' running counts; then the
 * sealed blobs; then the rows. */
#define MAGIC       UINT64_C(0x4c455448454a4731) /* LETHEJG1 */
#define VERSION     1u
#define AT_HEAD_SUM 16u
#define AT_SUM      24u
#define SUM_BYTES   8u

uint64_t journal_padded(uint64_t length)
{
    return (length + JOURNAL_PAGE - 1) / JOURNAL_PAGE * JOURNAL_PAGE;
}

size_t journal_head_bytes(const struct journal_header *h)
{
    return HEADER_BYTES + (size_t)h->blobs * BLOB_ENTRY_BYTES +
           (size_t)h->sections * ROWS_ENTRY_BYTES +
           (size_t)h->marks * MARK_ENTRY_BYTES +
           (size_t)h->sites * SITE_ENTRY_BYTES;
}

void journal_header_encode(const struct journal_header *h, uint8_t *at)
{
    memset(at, 0, HEADER_BYTES);
    be_put64(at, MAGIC);
    be_put32(at + 8, VERSION);
    be_put32(at + 12, (uint32_t)journal_head_bytes(h));
    be_put64(at + 32, h->generation);
    be_put64(at + 40, h->sequence);
    be_put64(at + 48, h->ordinal);
    be_put64(at + 56, h->oldest);
    be_put64(at + 64, h->length);
    be_put64(at + 72, h->body);
    be_put64(at + 80, h->optout_seen);
    be_put64(at + 88, (uint64_t)h->accepted_ms);
    be_put32(at + 96, h->blobs);
    be_put32(at + 100, h->sections);
    be_put32(at + 104, h->marks);
    be_put32(at + 108, h->sites);
    be_put64(at + 112, h->rows);
}

enum status journal_header_decode(const uint8_t *at, uint64_t room,
                                  struct journal_header *out)
{
    if (be_get64(at) != MAGIC || be_get32(at + 8) != VERSION)
        return ST_UNKNOWN;
    struct journal_header h = {
        .generation = be_get64(at + 32),
        .sequence = be_get64(at + 40),
        .ordinal = be_get64(at + 48),
        .oldest = be_get64(at + 56),
        .length = be_get64(at + 64),
        .body = be_get64(at + 72),
        .optout_seen = be_get64(at + 80),
        .accepted_ms = (int64_t)be_get64(at + 88),
        .blobs = be_get32(at + 96),
        .sections = be_get32(at + 100),
        .marks = be_get32(at + 104),
        .sites = be_get32(at + 108),
        .rows = be_get64(at + 112),
    };
    if (h.length > JOURNAL_GROUP_MAX || h.length > room || h.body > h.length ||
        h.rows > h.length / ROW_BYTES || h.sequence == 0 ||
        h.sequence >= JOURNAL_SEQUENCE_MAX || h.generation == 0 ||
        h.generation >= JOURNAL_SEQUENCE_MAX)
        return ST_CORRUPT;
    /* 32-bit counts times small sizes: no overflow in 64 bits. */
    size_t head = journal_head_bytes(&h);
    if (head != be_get32(at + 12) || head > h.length ||
        head + h.body + h.rows * ROW_BYTES != h.length)
        return ST_CORRUPT;
    *out = h;
    return ST_OK;
}

void journal_blob_entry_encode(const struct blob_entry *e, uint8_t *at)
{
    be_put64(at, e->destination);
    be_put32(at + 8, e->slot);
    be_put32(at + 12, e->use);
    be_put32(at + 16, e->count);
    be_put32(at + 20, e->first_fragment);
    /* A group is at most 32 MiB: 32 bits do. */
    be_put32(at + 24, (uint32_t)e->offset);
    be_put32(at + 28, (uint32_t)e->len);
    be_put64(at + 32, (uint64_t)e->expires_min_ms);
    be_put64(at + 40, e->optout_seen);
    be_put64(at + 48, 0);
}

void journal_blob_entry_at(const uint8_t *group, uint32_t index,
                           struct blob_entry *out)
{
    const uint8_t *at = group + HEADER_BYTES + (size_t)index * BLOB_ENTRY_BYTES;

    *out = (struct blob_entry){
        .destination = be_get64(at),
        .slot = be_get32(at + 8),
        .use = be_get32(at + 12),
        .count = be_get32(at + 16),
        .first_fragment = be_get32(at + 20),
        .offset = be_get32(at + 24),
        .len = be_get32(at + 28),
        .expires_min_ms = (int64_t)be_get64(at + 32),
        .optout_seen = be_get64(at + 40),
    };
}

void journal_rows_entry_encode(const struct group_rows *r, uint64_t offset,
                               uint64_t rows_before, uint8_t *at)
{
    be_put64(at, r->site);
    be_put64(at + 8, r->policy_index);
    memcpy(at + 16, r->tag, sizeof(r->tag));
    be_put64(at + 40, (uint64_t)r->time_ms);
    be_put32(at + 48, r->count);
    for (unsigned i = 0; i < 5; i++)
        be_put32(at + 52 + (size_t)i * 4, r->refused[i]);
    be_put64(at + 72, offset);
    be_put64(at + 80, rows_before);
}

void journal_rows_entry_at(const struct journal_header *h, const uint8_t *group,
                           uint32_t index, struct group_rows *out,
                           uint64_t *out_before)
{
    const uint8_t *at = group + HEADER_BYTES +
                        (size_t)h->blobs * BLOB_ENTRY_BYTES +
                        (size_t)index * ROWS_ENTRY_BYTES;

    *out = (struct group_rows){.site = be_get64(at),
                               .policy_index = be_get64(at + 8),
                               .time_ms = (int64_t)be_get64(at + 40),
                               .count = be_get32(at + 48),
                               .offset = be_get64(at + 72)};
    memcpy(out->tag, at + 16, sizeof(out->tag));
    out->tag[sizeof(out->tag) - 1] = '\0';
    for (unsigned i = 0; i < 5; i++)
        out->refused[i] = be_get32(at + 52 + (size_t)i * 4);
    *out_before = be_get64(at + 80);
}

void journal_mark_entry_encode(const struct mark *m, uint8_t *at)
{
    be_put64(at, m->destination);
    be_put64(at + 8, m->sequence);
    be_put32(at + 16, m->fragment);
    be_put32(at + 20, m->file_day);
    be_put64(at + 24, m->file_length);
    be_put64(at + 32, m->cleared);
    be_put64(at + 40, m->accepted);
    be_put64(at + 48, m->refused);
    be_put64(at + 56, m->swept);
    be_put64(at + 64, m->expired);
    be_put64(at + 72, m->purged);
    be_put64(at + 80, m->dead);
}

void journal_mark_entry_at(const struct journal_header *h, const uint8_t *group,
                           uint32_t index, struct mark *out)
{
    const uint8_t *at = group + HEADER_BYTES +
                        (size_t)h->blobs * BLOB_ENTRY_BYTES +
                        (size_t)h->sections * ROWS_ENTRY_BYTES +
                        (size_t)index * MARK_ENTRY_BYTES;

    *out = (struct mark){.destination = be_get64(at),
                         .sequence = be_get64(at + 8),
                         .fragment = be_get32(at + 16),
                         .file_day = be_get32(at + 20),
                         .file_length = be_get64(at + 24),
                         .cleared = be_get64(at + 32),
                         .accepted = be_get64(at + 40),
                         .refused = be_get64(at + 48),
                         .swept = be_get64(at + 56),
                         .expired = be_get64(at + 64),
                         .purged = be_get64(at + 72),
                         .dead = be_get64(at + 80)};
}

void journal_site_entry_encode(const struct site_entry *s, uint8_t *at)
{
    be_put64(at, s->site);
    be_put64(at + 8, s->rows);
}

void journal_site_entry_at(const struct journal_header *h, const uint8_t *group,
                           uint32_t index, struct site_entry *out)
{
    const uint8_t *at = group + journal_head_bytes(h) -
                        (size_t)(h->sites - index) * SITE_ENTRY_BYTES;

    *out = (struct site_entry){be_get64(at), be_get64(at + 8)};
}

/* The head's sum covers the head but the two sums; the sum of all covers
 * everything behind itself and, through the head's sum, all before. */
static uint64_t head_sum(const struct journal_header *h, const uint8_t *group)
{
    return journal_checksum(group, AT_HEAD_SUM) * 3 +
           journal_checksum(group + AT_SUM + SUM_BYTES,
                            journal_head_bytes(h) - AT_SUM - SUM_BYTES);
}

static uint64_t group_sum(const struct journal_header *h, const uint8_t *group)
{
    return be_get64(group + AT_HEAD_SUM) * 3 +
           journal_checksum(group + AT_SUM + SUM_BYTES,
                            journal_padded(h->length) - AT_SUM - SUM_BYTES);
}

void journal_group_set_sums(const struct journal_header *h, uint8_t *group)
{
    be_put64(group + AT_HEAD_SUM, head_sum(h, group));
    be_put64(group + AT_SUM, group_sum(h, group));
}

bool journal_head_sum_ok(const struct journal_header *h, const uint8_t *group)
{
    return be_get64(group + AT_HEAD_SUM) == head_sum(h, group);
}

bool journal_group_sum_ok(const struct journal_header *h, const uint8_t *group)
{
    return journal_head_sum_ok(h, group) &&
           be_get64(group + AT_SUM) == group_sum(h, group);
}

static bool within(uint64_t offset, uint64_t len, uint64_t from, uint64_t to)
{
    return offset >= from && offset <= to && len <= to - offset;
}

bool journal_head_in_bounds(const struct journal_header *h,
                            const uint8_t *group)
{
    uint64_t head = journal_head_bytes(h);

    for (uint32_t i = 0; i < h->blobs; i++) {
        struct blob_entry e;
        journal_blob_entry_at(group, i, &e);
        if (!within(e.offset, e.len, head, head + h->body))
            return false;
    }
    for (uint32_t i = 0; i < h->sections; i++) {
        struct group_rows r;
        uint64_t before;
        journal_rows_entry_at(h, group, i, &r, &before);
        if (!within(r.offset, (uint64_t)r.count * ROW_BYTES, head + h->body,
                    h->length))
            return false;
    }
    return true;
}
