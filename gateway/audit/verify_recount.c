/* verify_recount.c - a batch's rows against what its record says of them. */
#include "verify_internal.h"

#include "lethe/audit_codes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_MS 1000

/* RFC 6962 by its definition, not by the writer's stack: hash the leaves into
 * a list, then join neighbours, the odd one moving up. */
static void hash_leaf(const uint8_t row[ROW_BYTES], uint8_t out[HASH_BYTES])
{
    uint8_t bytes[1 + ROW_BYTES];

    bytes[0] = 0x00;
    memcpy(bytes + 1, row, ROW_BYTES);
    sha256(bytes, sizeof(bytes), out);
}

static void join_level(uint8_t (*hashes)[HASH_BYTES], size_t count)
{
    uint8_t bytes[1 + 2 * HASH_BYTES];

    bytes[0] = 0x01;
    for (size_t i = 0; i + 1 < count; i += 2) {
        memcpy(bytes + 1, hashes[i], HASH_BYTES);
        memcpy(bytes + 1 + HASH_BYTES, hashes[i + 1], HASH_BYTES);
        sha256(bytes, sizeof(bytes), hashes[i / 2]);
    }
    if (count % 2 == 1)
        memmove(hashes[count / 2], hashes[count - 1], HASH_BYTES);
}

void root_text(const uint8_t hash[HASH_BYTES], char out[45])
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                "qrstuvwxyz0123456789+/";
    uint8_t padded[HASH_BYTES + 1] = {0};

    memcpy(padded, hash, HASH_BYTES);
    for (size_t i = 0; i < 11; i++) {
        uint32_t v = (uint32_t)padded[3 * i] << 16 |
                     (uint32_t)padded[3 * i + 1] << 8 | padded[3 * i + 2];
        out[4 * i] = digit[v >> 18];
        out[4 * i + 1] = digit[v >> 12 & 63];
        out[4 * i + 2] = digit[v >> 6 & 63];
        out[4 * i + 3] = digit[v & 63];
    }
    out[43] = '=';
    out[44] = '\0';
}

static struct read_entry *find_entry(struct read_entry *list, size_t count,
                                     const struct read_entry *want)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].act == want->act && list[i].rule == want->rule &&
            list[i].reason == want->reason)
            return &list[i];
    return NULL;
}

/* Count one row against by or ex. With rows=dropped a further denial of a
 * cleared event stands alone, so both lists are one there. */
static bool count_row(struct verify *v, const struct audit_row *r, bool further)
{
    struct batch_view *b = &v->batch;
    bool event = r->act <= ACT_DROPPED && !further;
    struct read_entry want = {event ? 0 : r->act, r->rule, r->reason, 0};
    struct read_entry *e = event ? find_entry(b->by, b->by_count, &want)
                                 : find_entry(b->ex, b->ex_count, &want);

    if (v->mode == MODE_DROPPED && event &&
        (e == NULL || v->seen[0][e - b->by] == e->count)) {
        event = false;
        want.act = r->act;
        e = find_entry(b->ex, b->ex_count, &want);
    }
    if (e == NULL)
        return false;
    v->seen[!event][event ? e - b->by : e - b->ex]++;
    return true;
}

static bool rows_counted(const struct verify *v)
{
    const struct batch_view *b = &v->batch;

    for (size_t i = 0; i < b->by_count && v->mode == MODE_ALL; i++)
        if (v->seen[0][i] != b->by[i].count)
            return false;
    for (size_t i = 0; i < b->ex_count && v->mode == MODE_ALL; i++)
        if (v->seen[1][i] != b->ex[i].count)
            return false;
    return true;
}

static bool acts_counted(const struct verify *v, const uint64_t acts[ACT_COUNT])
{
    const struct read_counts *c = &v->batch.counts;

    if (v->mode == MODE_DROPPED)
        return acts[ACT_CLEARED] + acts[ACT_MINIMISED] == 0;
    return acts[ACT_CLEARED] == c->fwd && acts[ACT_MINIMISED] == c->mod &&
           acts[ACT_DROPPED] == c->drop;
}

static bool recount(struct verify *v, uint64_t i, const uint8_t *rows)
{
    const struct batch_view *b = &v->batch;
    int64_t longest = (b->t1_ms - b->t0_ms) * US_PER_MS;
    uint64_t acts[ACT_COUNT] = {0};
    struct audit_row r, last = {.t_us = 0};

    memset(v->seen, 0, sizeof(v->seen));
    for (uint64_t k = 0; k < b->n; k++, last = r) {
        row_decode(rows + k * ROW_BYTES, &r);
        if (r.act < ACT_CLEARED || r.act >= ACT_COUNT)
            return fault(v, i, "has a row %" PRIu64 " of no known act", k);
        if (r.t_us < last.t_us || (int64_t)r.t_us > longest)
            return fault(v, i, "has a row %" PRIu64 " out of its time", k);
        bool further = k > 0 && r.act == ACT_DROPPED && r.ev == last.ev &&
                       last.act <= ACT_DROPPED;
        if (!count_row(v, &r, further))
            return fault(v, i, "has a row %" PRIu64 " it does not count", k);
        acts[r.act] += !further;
    }
    if (!rows_counted(v) || !acts_counted(v, acts))
        return fault(v, i, "counts other than its rows");
    return true;
}

static bool check_root(struct verify *v, uint64_t i, const uint8_t *rows)
{
    const struct batch_view *b = &v->batch;
    uint8_t(*hashes)[HASH_BYTES] = malloc(b->n * HASH_BYTES);
    char text[45];

    if (hashes == NULL)
        return fault(v, i, "could not be checked: out of memory");
    for (uint64_t k = 0; k < b->n; k++)
        hash_leaf(rows + k * ROW_BYTES, hashes[k]);
    for (size_t count = b->n; count > 1; count = (count + 1) / 2)
        join_level(hashes, count);
    root_text(hashes[0], text);
    free(hashes);
    if (!slice_eq(b->root, (struct slice){text, 44}))
        return fault(v, i, "has a root that is not its rows'");
    return true;
}

bool check_rows(struct verify *v, uint64_t i)
{
    const struct batch_view *b = &v->batch;
    bool ok;

    if ((b->n == 0) != (b->root.at == NULL))
        return fault(v, i, "has a root without rows, or rows without a root");
    if (b->n == 0)
        return true;
    if (b->n > READ_ROWS_MAX)
        return fault(v, i, "claims more rows than a batch can hold");
    uint8_t *rows = malloc(b->n * ROW_BYTES);
    if (rows == NULL)
        return fault(v, i, "could not be checked: out of memory");
    if (v->files.rows == NULL ||
        fread(rows, ROW_BYTES, b->n, v->files.rows) != b->n)
        ok = fault(v, i, "lacks rows: the rows file is short or missing");
    else
        ok = check_root(v, i, rows) && recount(v, i, rows);
    free(rows);
    v->report->rows += ok ? b->n : 0;
    return ok;
}
