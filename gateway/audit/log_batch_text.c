/* log_batch_text.c - the words of a batch record (audit-format.md 3.2). */
#include "log_internal.h"

#include "lethe/audit_codes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *policy_hex(const struct audit_log *l, uint64_t index)
{
    for (unsigned i = l->policy_count; i > 0; i--)
        if (l->policies[i - 1].index == index)
            return l->policies[i - 1].hex;
    return "none";
}

static int compare_entries(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The kinds counted, ordered by (act, rule, reason): `by` when !exceptions. */
static size_t tally_sorted(const struct tally *t, bool exceptions,
                           uint64_t out[TALLY_SLOTS])
{
    size_t n = 0;

    for (size_t i = 0; i < TALLY_SLOTS; i++)
        if (t->counts[i] != 0 && (t->keys[i] >> 28 != 0) == exceptions)
            out[n++] = (uint64_t)t->keys[i] << 32 | t->counts[i];
    qsort(out, n, sizeof(out[0]), compare_entries);
    return n;
}

static void put_tally(struct buf *b, const struct tally *t, bool exceptions)
{
    uint64_t sorted[TALLY_SLOTS];
    size_t n = tally_sorted(t, exceptions, sorted);

    for (size_t i = 0; i < n; i++) {
        uint32_t key = (uint32_t)(sorted[i] >> 32);
        buf_put(b, i == 0 ? SLICE("[") : SLICE(",["));
        if (exceptions)
            buf_printf(b, "%u,", key >> 28);
        buf_printf(b, "%u,%u,%u]", key >> 8 & 0xFFFF, key & 0xFF,
                   (unsigned)sorted[i]);
    }
}

static void put_counts(struct buf *b, const struct audit_counts *c)
{
    buf_printf(b,
               "\"in\":%" PRIu64 ",\"fwd\":%" PRIu64 ",\"mod\":%" PRIu64
               ",\"drop\":%" PRIu64,
               c->in, c->fwd, c->mod, c->drop);
}

static void put_refused(struct buf *b, const uint32_t refused[5])
{
    static const int status[5] = {REFUSAL_BAD_REQUEST, REFUSAL_NO_SITE,
                                  REFUSAL_TOO_LARGE_REQUEST, REFUSAL_RATE,
                                  REFUSAL_OVERLOAD};
    const char *comma = "";

    for (unsigned i = 0; i < 5; i++) {
        if (refused[i] == 0)
            continue;
        buf_printf(b, "%s[%d,%" PRIu32 "]", comma, status[i], refused[i]);
        comma = ",";
    }
}

static void put_root(struct buf *b, struct slice rows)
{
    struct merkle_stack m = {.size = 0};
    uint8_t hash[HASH_BYTES];

    if (rows.len == 0) {
        buf_put(b, SLICE("null"));
        return;
    }
    for (size_t at = 0; at < rows.len; at += ROW_BYTES) {
        merkle_leaf(rows.at + at, ROW_BYTES, hash);
        merkle_add(&m, hash);
    }
    merkle_root(&m, hash);
    buf_put_char(b, '"');
    put_base64(b, hash, sizeof(hash));
    buf_put_char(b, '"');
}

static void put_optouts(struct audit_log *l, struct buf *b)
{
    uint64_t number = 0;
    uint8_t hash[HASH_BYTES] = {0};

    if (l->config.optouts != NULL)
        l->config.optouts(l->config.ctx, &number, hash);
    buf_printf(b, ",\"oo\":%" PRIu64 ",\"ooh\":\"", number);
    put_base64(b, hash, sizeof(hash));
    buf_put_char(b, '"');
}

static void put_batch(struct audit_log *l, const struct batch_text *t)
{
    struct buf *b = &l->d;
    char t0[TIME_TEXT_MAX], t1[TIME_TEXT_MAX];

    buf_reset(b);
    (void)time_format(t->t0, true, t0);
    (void)time_format(t->t1, true, t1);
    if (t->policy == POLICY_NONE)
        buf_put(b, SLICE("{\"pol\":null"));
    else
        buf_printf(b, "{\"pol\":%" PRIu64, t->policy);
    if (t->site != NULL)
        buf_printf(b, ",\"site\":\"%s\"", t->site);
    buf_printf(b, ",\"t0\":\"%s\",\"t1\":\"%s\",", t0, t1);
    put_counts(b, &t->counts);
    buf_put(b, SLICE(",\"by\":["));
    put_tally(b, t->tally, false);
    buf_printf(b, "],\"n\":%zu,\"root\":", t->rows.len / ROW_BYTES);
    put_root(b, t->rows);
    if (t->tag[0] == '\0')
        buf_put(b, SLICE(",\"tag\":null"));
    else
        buf_printf(b, ",\"tag\":\"%s\"", t->tag);
    buf_put(b, SLICE(",\"cum\":{"));
    put_counts(b, &l->cum);
    buf_put(b, SLICE("},\"ref\":["));
    put_refused(b, t->refused);
    buf_put_char(b, ']');
    put_optouts(l, b);
    buf_put(b, SLICE(",\"ex\":["));
    put_tally(b, t->tally, true);
    buf_put(b, SLICE("]}"));
}

enum status batch_put(struct audit_log *l, struct batch_text *t)
{
    char why[POLICY_HEX + 8];
    enum status st = segment_roll(l, t->t1);

    if (st != ST_OK)
        return st;
    l->cum.in += t->counts.in;
    l->cum.fwd += t->counts.fwd;
    l->cum.mod += t->counts.mod;
    l->cum.drop += t->counts.drop;
    put_batch(l, t);
    buf_put(&l->rows_out, t->rows);
    if (l->d.failed || l->rows_out.failed)
        return ST_NOMEM;
    int n = snprintf(why, sizeof(why), "pol:%s", policy_hex(l, t->policy));
    record_put(l,
               &(struct record_head){.act = RECORD_BATCH,
                                     .why = {why, (size_t)n},
                                     .out = AUDIT_OK,
                                     .t_ms = t->t1},
               buf_slice(&l->d));
    return ST_OK;
}
