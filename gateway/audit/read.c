/* read.c - `audit search`: records, or single decisions, that match. */
#include "read_internal.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_CAP (3u * READ_LINE_MAX) /* CSV doubles quotes */

struct search {
    const struct audit_query *q;
    audit_line_fn *line;
    void *ctx;
    uint64_t found;
    bool stopped;
    bool headed; /* CSV: the heading is out */
    struct buf text;
    struct batch_view batch;
};

static bool in_time(const struct audit_query *q, int64_t t)
{
    return (q->from_ms == 0 || t >= q->from_ms) &&
           (q->to_ms == 0 || t <= q->to_ms);
}

static bool send_line(struct search *s)
{
    if (s->text.failed || !s->line(s->ctx, buf_slice(&s->text)))
        s->stopped = true;
    return !s->stopped;
}

/* A hit: hand the line over, with a heading before the first one of CSV. */
static void emit(struct search *s, struct slice heading)
{
    if (s->q->csv && !s->headed) {
        s->headed = true;
        if (!s->line(s->ctx, heading))
            s->stopped = true;
    }
    if (s->stopped || !send_line(s))
        return;
    s->found++;
    if (s->q->limit > 0 && s->found >= s->q->limit)
        s->stopped = true;
}

static bool has_entry(const struct search *s, const struct read_entry *e,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((s->q->rule < 0 || e[i].rule == (unsigned)s->q->rule) &&
            (s->q->reason < 0 || e[i].reason == (unsigned)s->q->reason))
            return true;
    return false;
}

static bool site_matches(const struct search *s)
{
    return s->q->site == NULL || slice_eq(s->batch.site, slice_of(s->q->site));
}

/* Rule, reason and site are asked of batches; other records have none. */
static bool record_matches(struct search *s, const struct record_view *r)
{
    const struct audit_query *q = s->q;
    bool of_batch = q->rule >= 0 || q->reason >= 0 || q->site != NULL;

    if (!in_time(q, r->t_ms) || q->ev != 0 ||
        (q->act != NULL && !slice_eq(r->act, slice_of(q->act))))
        return false;
    if (!of_batch)
        return true;
    if (!slice_eq(r->act, SLICE("batch")) || !batch_read(r->d, &s->batch) ||
        !site_matches(s))
        return false;
    return (q->rule < 0 && q->reason < 0) ||
           has_entry(s, s->batch.by, s->batch.by_count) ||
           has_entry(s, s->batch.ex, s->batch.ex_count);
}

static void put_csv_quoted(struct buf *b, struct slice s)
{
    buf_put_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '"')
            buf_put_char(b, '"');
        buf_put_char(b, s.at[i]);
    }
    buf_put_char(b, '"');
}

static void emit_record(struct search *s, const struct record_view *r,
                        struct slice line)
{
    char t[TIME_TEXT_MAX];
    const struct slice parts[] = {r->act, r->who, r->why, r->out};

    buf_reset(&s->text);
    if (!s->q->csv) {
        buf_put(&s->text, line);
    } else {
        (void)time_format(r->t_ms, true, t);
        buf_printf(&s->text, "%" PRIu64 ",%s,", r->i, t);
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            buf_put(&s->text, parts[i]);
            buf_put_char(&s->text, ',');
        }
        put_csv_quoted(&s->text, r->d);
    }
    emit(s, SLICE("i,t,act,who,why,out,d"));
}

static bool row_matches(const struct search *s, const struct audit_row *r,
                        int64_t t)
{
    const struct audit_query *q = s->q;

    return in_time(q, t) &&
           (q->act == NULL || strcmp(audit_act_name(r->act), q->act) == 0) &&
           (q->rule < 0 || r->rule == q->rule) &&
           (q->reason < 0 || r->reason == q->reason) &&
           (q->ev == 0 || r->ev == q->ev);
}

static void put_classes(struct buf *b, uint32_t classes, const char *quote,
                        char between)
{
    bool any = false;

    for (unsigned bit = 0; bit < 32; bit++) {
        if ((classes >> bit & 1) == 0)
            continue;
        if (any)
            buf_put_char(b, between);
        buf_printf(b, "%s%s%s", quote, audit_class_name(bit), quote);
        any = true;
    }
}

/* `sub` stays out: who may look for a person asks `subject find`. */
static void put_row(struct buf *b, uint64_t index, struct slice site,
                    const char *t, const struct audit_row *r, bool csv)
{
    const char *form =
        csv ? "%" PRIu64 ",%s,%.*s,%s,%u,%s,%s,%u,%016" PRIx64 ","
            : "{\"i\":%" PRIu64
              ",\"t\":\"%s\",\"site\":\"%.*s\",\"act\":\"%s\","
              "\"rule\":%u,\"reason\":\"%s\",\"source\":\"%s\","
              "\"destinations\":%u,\"ev\":\"%016" PRIx64 "\",\"classes\":[";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    buf_printf(b, form, index, t, SLICE_ARG(site), audit_act_name(r->act),
               r->rule, audit_reason_name(r->reason),
               audit_source_name(r->source), r->destinations, r->ev);
#pragma GCC diagnostic pop
    put_classes(b, r->classes, csv ? "" : "\"", csv ? ' ' : ',');
    if (!csv)
        buf_put(b, SLICE("]}"));
}

/* Rows lie back to back in the order of their records: those of a batch that
 * does not match are passed over. */
static enum status search_rows(struct search *s, struct segments *files,
                               const struct record_view *rec)
{
    uint8_t bytes[ROW_BYTES];
    char t[TIME_TEXT_MAX];
    bool wanted = site_matches(s);

    for (uint64_t k = 0; k < s->batch.n && !s->stopped; k++) {
        struct audit_row r;
        if (files->rows == NULL || fread(bytes, ROW_BYTES, 1, files->rows) != 1)
            return ST_CORRUPT;
        row_decode(bytes, &r);
        int64_t when = s->batch.t0_ms + r.t_us / 1000;
        if (!wanted || !row_matches(s, &r, when))
            continue;
        (void)time_format(when, true, t);
        buf_reset(&s->text);
        put_row(&s->text, rec->i, s->batch.site, t, &r, s->q->csv);
        emit(s, SLICE("i,t,site,act,rule,reason,source,destinations,ev,"
                      "classes"));
    }
    return ST_OK;
}

static enum status search_line(struct search *s, struct segments *files,
                               struct slice line)
{
    struct record_view r;

    if (!record_read(line, &r))
        return ST_CORRUPT;
    if (!s->q->rows) {
        if (record_matches(s, &r))
            emit_record(s, &r, line);
        return ST_OK;
    }
    if (!slice_eq(r.act, SLICE("batch")))
        return ST_OK;
    if (!batch_read(r.d, &s->batch))
        return ST_CORRUPT;
    return search_rows(s, files, &r);
}

static enum status search_segment(struct search *s, struct segments *files)
{
    struct slice line;
    bool whole;
    enum status st = ST_OK;

    while (!s->stopped && st == ST_OK &&
           (st = segments_line(files, &line, &whole)) == ST_OK) {
        if (!whole && files->at == files->count)
            return ST_OK; /* being written */
        st = search_line(s, files, line);
    }
    return st == ST_END ? ST_OK : st;
}

enum status audit_search(const char *folder, const struct audit_query *q,
                         audit_line_fn *line, void *ctx, uint64_t *out_found)
{
    struct search *s = calloc(1, sizeof(*s));
    struct segments files;
    enum status st;

    if (s == NULL)
        return ST_NOMEM;
    s->q = q;
    s->line = line;
    s->ctx = ctx;
    buf_init(&s->text, LINE_CAP);
    st = segments_open(folder, &files);
    if (st != ST_OK)
        goto done;
    while (!s->stopped && st == ST_OK) {
        st = segments_next(&files);
        if (st == ST_OK)
            st = search_segment(s, &files);
    }
    st = st == ST_END ? ST_OK : st;
    if (st == ST_OK)
        *out_found = s->found;
    segments_close(&files);
done:
    buf_free(&s->text);
    free(s);
    return st;
}
