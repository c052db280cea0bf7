/* log_batch.c - rows become counts, and counts a batch record. */
#include "log_internal.h"

#include "lethe/audit_codes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define US_PER_MS 1000
#define ROWS_KEEP (256u << 10) /* bytes a closed site's buffer may keep */
#define ROWS_CAP  ((AUDIT_BATCH_ROWS + 1u) * ROW_BYTES * 2u)
#define RUN_MAX   64u /* rows of one event; a site has 16 destinations */

struct audit_site *site_find(struct audit_log *l, uint64_t number)
{
    for (unsigned i = 0; i < l->site_count; i++)
        if (l->sites[i]->number == number)
            return l->sites[i];
    return NULL;
}

struct audit_site *site_add(struct audit_log *l, uint64_t number)
{
    struct audit_site *s = site_find(l, number);

    if (s != NULL || l->site_count == AUDIT_SITES_MAX)
        return s;
    void *more = reallocarray(l->sites, l->site_count + 1, sizeof(l->sites[0]));
    if (more == NULL)
        return NULL;
    l->sites = more;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->number = number;
    s->t1 = l->heartbeat_t1;
    buf_init(&s->rows, ROWS_CAP);
    l->sites[l->site_count++] = s;
    return s;
}

static bool policy_hash(struct slice d, char out[POLICY_HEX + 1])
{
    static const struct slice key = SLICE_INIT("\"pol\":\"");

    for (size_t i = 0; i + key.len + POLICY_HEX <= d.len; i++) {
        if (!slice_starts(slice_skip(d, i), key))
            continue;
        memcpy(out, d.at + i + key.len, POLICY_HEX);
        out[POLICY_HEX] = '\0';
        return strspn(out, "0123456789abcdef") == POLICY_HEX;
    }
    return false;
}

bool policy_has_hash(struct slice d)
{
    char hex[POLICY_HEX + 1];

    return policy_hash(d, hex);
}

bool policy_is_known(const struct audit_log *l, uint64_t index)
{
    for (unsigned i = l->policy_count; i > 0; i--)
        if (l->policies[i - 1].index == index)
            return true;
    return false;
}

enum status policy_note(struct audit_log *l, uint64_t index, struct slice d)
{
    struct audit_policy p = {.index = index};

    if (!policy_hash(d, p.hex))
        return ST_CORRUPT;
    if (l->policy_count == AUDIT_POLICIES_MAX)
        return ST_LIMIT;
    void *more =
        realloc(l->policies, (l->policy_count + 1) * sizeof(*l->policies));
    if (more == NULL)
        return ST_NOMEM;
    l->policies = more;
    l->policies[l->policy_count++] = p;
    l->last_policy = index;
    return ST_OK;
}

static uint32_t tally_key(unsigned act, unsigned rule, unsigned reason)
{
    return (uint32_t)act << 28 | (uint32_t)rule << 8 | reason;
}

/* True when this kind was not counted before. */
static bool tally_count(struct tally *t, uint32_t key)
{
    uint32_t at = (key * UINT32_C(2654435761)) >> 22;

    while (t->counts[at] != 0 && t->keys[at] != key)
        at = (at + 1) % TALLY_SLOTS;
    t->keys[at] = key;
    return t->counts[at]++ == 0;
}

/* Write down which id a label stands for before the log uses it: recovery
 * compares the journal, which knows ids, with records, which know labels. The
 * gap is of rows that a damaged journal lost: no record will ever count them.
 */
static enum status name_write(struct audit_log *l, struct audit_site *s)
{
    char line[128];
    int n = snprintf(line, sizeof(line),
                     "%" PRIu64 " %016" PRIx64 " %s %" PRIu64 "\n",
                     l->next_index, s->number, s->label, s->gap);

    ssize_t put = pwrite(l->names.fd, line, (size_t)n, (off_t)l->names.size);
    if (put != n && (put >= 0 || errno == ENOSPC)) {
        reserve_release(l);
        put = pwrite(l->names.fd, line, (size_t)n, (off_t)l->names.size);
    }
    if (put != n || fdatasync(l->names.fd) != 0)
        return ST_IO;
    l->names.size += (uint64_t)n;
    s->gap = 0;
    return ST_OK;
}

static void label_of(struct audit_log *l, uint64_t number, char out[NAME_BYTES])
{
    const char *name = l->site_label(l->label_ctx, number);

    if (name != NULL && strnlen(name, NAME_BYTES) < NAME_BYTES &&
        name[0] != '\0')
        memcpy(out, name, strnlen(name, NAME_BYTES) + 1);
    else
        (void)snprintf(out, NAME_BYTES, "site-%016" PRIx64, number);
}

static bool label_taken(const struct audit_log *l, const char *label)
{
    for (unsigned i = 0; i < l->site_count; i++)
        if (slice_eq(slice_of(l->sites[i]->label), slice_of(label)))
            return true;
    return false;
}

/* A site under a new name starts where all the log ends: a heartbeat makes
 * that time the same for every name, so that no reader must know the id. */
static enum status site_name(struct audit_log *l, struct audit_site *s)
{
    char label[NAME_BYTES];
    enum status st;

    label_of(l, s->number, label);
    if (slice_eq(slice_of(s->label), slice_of(label)))
        return s->gap == 0 ? ST_OK : name_write(l, s);
    st =
        s->label[0] != '\0' || label_taken(l, label) ? heartbeat_put(l) : ST_OK;
    if (st != ST_OK)
        return st;
    memcpy(s->label, label, NAME_BYTES);
    return name_write(l, s);
}

static enum status batch_open(struct audit_log *l, struct audit_site *s,
                              const struct group_rows *head, int64_t mono_ms,
                              uint64_t sequence)
{
    enum status st = site_name(l, s);

    if (st != ST_OK)
        return st;
    s->open = true;
    s->t0 = s->t1;
    s->opened_mono = mono_ms;
    s->first_sequence = sequence;
    s->policy = head->policy_index;
    memcpy(s->tag, head->tag, sizeof(s->tag));
    s->counts = (struct audit_counts){0};
    s->exceptions = 0;
    s->by_kinds = s->ex_kinds = 0;
    memset(s->refused, 0, sizeof(s->refused));
    s->last_us = 0;
    memset(&s->tally, 0, sizeof(s->tally));
    buf_reset(&s->rows);
    return ST_OK;
}

/* Now, but not before the batch's last row. */
static int64_t batch_end(struct audit_log *l, const struct audit_site *s)
{
    int64_t now = record_time(l), last = s->t0 + s->last_us / US_PER_MS;

    return now > last ? now : last;
}

static enum status batch_close(struct audit_log *l, struct audit_site *s)
{
    struct batch_text t = {.site = s->label,
                           .policy = s->policy,
                           .t0 = s->t0,
                           .t1 = batch_end(l, s),
                           .counts = s->counts,
                           .tally = &s->tally,
                           .rows = buf_slice(&s->rows),
                           .tag = s->tag,
                           .refused = s->refused};
    enum status st = batch_put(l, &t);

    if (st != ST_OK)
        return st;
    s->open = false;
    s->t1 = t.t1;
    s->total += s->counts.in + s->exceptions;
    memcpy(l->last_tag, s->tag, sizeof(l->last_tag));
    if (s->rows.size > ROWS_KEEP)
        buf_free(&s->rows);
    return ST_OK;
}

enum status batch_close_due(struct audit_log *l, int64_t mono_ms)
{
    for (unsigned i = 0; i < l->site_count; i++) {
        struct audit_site *s = l->sites[i];
        if (!s->open || mono_ms - s->opened_mono < BATCH_MS)
            continue;
        enum status st = batch_close(l, s);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum status batch_close_all(struct audit_log *l)
{
    for (unsigned i = 0; i < l->site_count; i++) {
        enum status st =
            l->sites[i]->open ? batch_close(l, l->sites[i]) : ST_OK;
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum status heartbeat_put(struct audit_log *l)
{
    static const struct tally none;
    enum status st = batch_close_all(l);

    if (st != ST_OK)
        return st;
    struct batch_text t = {.policy = l->last_policy,
                           .t0 = l->heartbeat_t1,
                           .t1 = record_time(l),
                           .tally = &none,
                           .tag = l->last_tag,
                           .refused = l->refused_nowhere};
    st = batch_put(l, &t);
    if (st != ST_OK)
        return st;
    l->heartbeat_t1 = t.t1;
    l->heartbeat_mono = l->config.clock->mono_ms(l->config.clock->ctx);
    memset(l->refused_nowhere, 0, sizeof(l->refused_nowhere));
    l->has_refused = false;
    for (unsigned i = 0; i < l->site_count; i++)
        l->sites[i]->t1 = t.t1;
    return ST_OK;
}

/* Rows of one event that must stay in one batch: its own, then one for each
 * (rule, reason) that denied destinations. */
static uint32_t run_length(const uint8_t *rows, uint32_t count)
{
    struct audit_row first, next;
    uint32_t n = 1;

    row_decode(rows, &first);
    for (; first.act <= ACT_DROPPED && n < count; n++) {
        row_decode(rows + (size_t)n * ROW_BYTES, &next);
        if (next.act != ACT_DROPPED || next.ev != first.ev)
            break;
    }
    return n;
}

static bool run_ok(const uint8_t *rows, uint32_t count)
{
    struct audit_row r;

    row_decode(rows, &r);
    return r.act > 0 && r.act < ACT_COUNT && count <= RUN_MAX;
}

static bool has_room(const struct audit_site *s, uint32_t rows)
{
    return s->counts.in + s->exceptions + rows <= AUDIT_BATCH_ROWS &&
           BATCH_FRAME + (s->by_kinds + 1) * BY_BYTES +
                   (s->ex_kinds + rows) * EX_BYTES <=
               AUDIT_RECORD_MAX;
}

static uint32_t row_time(const struct audit_log *l, struct audit_site *s,
                         int64_t time_ms)
{
    int64_t step = l->config.time_step_ms > 0 ? l->config.time_step_ms : 1;
    int64_t since = time_ms > s->t0 ? time_ms - s->t0 : 0;
    int64_t most = (int64_t)(UINT32_MAX / US_PER_MS);

    since = since > most ? most : since;
    since -= since % step;
    /* Workers' passes overlap: within a batch, time does not fall. */
    if (since * US_PER_MS > s->last_us)
        s->last_us = (uint32_t)(since * US_PER_MS);
    return s->last_us;
}

static void count_row(struct audit_site *s, const struct audit_row *r,
                      bool event)
{
    if (!event) {
        s->exceptions++;
        s->ex_kinds +=
            tally_count(&s->tally, tally_key(r->act, r->rule, r->reason));
        return;
    }
    s->counts.in++;
    s->counts.fwd += r->act == ACT_CLEARED;
    s->counts.mod += r->act == ACT_MINIMISED;
    s->counts.drop += r->act == ACT_DROPPED;
    s->by_kinds += tally_count(&s->tally, tally_key(0, r->rule, r->reason));
}

static void take_run(const struct audit_log *l, struct audit_site *s,
                     const uint8_t *rows, uint32_t count, uint32_t t_us)
{
    for (uint32_t i = 0; i < count; i++) {
        struct audit_row r;
        uint8_t bytes[ROW_BYTES];
        row_decode(rows + (size_t)i * ROW_BYTES, &r);
        count_row(s, &r, i == 0 && r.act <= ACT_DROPPED);
        if (l->config.rows == ROWS_NONE ||
            (l->config.rows == ROWS_DROPPED && r.act < ACT_DROPPED))
            continue;
        r.t_us = t_us;
        row_encode(&r, bytes);
        buf_put_bytes(&s->rows, bytes, sizeof(bytes));
    }
}

static bool same_batch(const struct audit_site *s,
                       const struct group_rows *head)
{
    return s->policy == head->policy_index &&
           memcmp(s->tag, head->tag, sizeof(s->tag)) == 0;
}

static void add_refused(uint32_t to[5], const uint32_t from[5])
{
    for (unsigned i = 0; i < 5; i++)
        to[i] += from[i];
}

static enum status reopen(struct audit_log *l, struct audit_site *s,
                          const struct group_rows *head, int64_t mono_ms,
                          uint64_t sequence)
{
    enum status st = s->open ? batch_close(l, s) : ST_OK;

    return st == ST_OK ? batch_open(l, s, head, mono_ms, sequence) : st;
}

enum status batch_add(struct audit_log *l, const struct group_rows *given,
                      const uint8_t *rows, int64_t mono_ms, uint64_t sequence)
{
    struct group_rows head = *given;
    struct audit_site *s;
    enum status st = ST_OK;

    /* One text, one fill: compared and written as a whole. */
    memset(head.tag, 0, sizeof(head.tag));
    memcpy(head.tag, given->tag, strnlen(given->tag, sizeof(head.tag) - 1));
    if (head.site == 0 && head.count == 0) {
        add_refused(l->refused_nowhere, head.refused);
        l->refused_mono = l->has_refused ? l->refused_mono : mono_ms;
        l->has_refused = true;
        return ST_OK;
    }
    s = site_add(l, head.site);
    if (s == NULL)
        return ST_LIMIT;
    if (!s->open || !same_batch(s, &head))
        st = reopen(l, s, &head, mono_ms, sequence);
    if (st != ST_OK)
        return st;
    add_refused(s->refused, head.refused);
    for (uint32_t at = 0; at < head.count;) {
        const uint8_t *run = rows + (size_t)at * ROW_BYTES;
        uint32_t n = run_length(run, head.count - at);
        if (!run_ok(run, n))
            return ST_CORRUPT;
        if (!has_room(s, n)) {
            st = reopen(l, s, &head, mono_ms, sequence);
            if (st != ST_OK)
                return st;
        }
        take_run(l, s, run, n, row_time(l, s, head.time_ms));
        at += n;
    }
    return s->rows.failed ? ST_NOMEM : ST_OK;
}
