/* read.c - `audit search`: records, or single decisions, that match. */
#include "read_internal.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_CAP         (3u * READ_LINE_MAX) /* CSV doubles quotes */
#define DESTINATIONS_MAX 16u                  /* bits of a row's set */
#define NAME_MAX_BYTES   32u

/* What a policy.load said: bit k of a row is names[k]. */
struct known_policy {
    uint64_t index;
    unsigned count;
    char names[DESTINATIONS_MAX][NAME_MAX_BYTES + 1];
};

struct search {
    const struct audit_query *q;
    audit_line_fn *line;
    void *ctx;
    uint64_t found;
    bool stopped;
    bool headed; /* CSV: the heading is out */
    struct buf text;
    struct batch_view batch;
    struct known_policy *policies; /* in the order of their index */
    size_t policy_count, policy_room;
};

static bool in_time(const struct audit_query *q, int64_t t)
{
    return (q->from_ms == 0 || t >= q->from_ms) &&
           (q->to_ms == 0 || t < q->to_ms);
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
    if (s->q->format == AUDIT_CSV && !s->headed) {
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

/* Does `d` say "<key>":"<value>" anywhere? Strings of a record hold no quotes
 * and no backslashes, so that nothing else looks like it. */
static bool d_says(struct slice d, const char *key, const char *value)
{
    size_t key_len = strlen(key), value_len = strlen(value);

    for (size_t i = 0; i + key_len + value_len + 5 <= d.len; i++) {
        const char *at = d.at + i;
        if (at[0] == '"' && memcmp(at + 1, key, key_len) == 0 &&
            memcmp(at + 1 + key_len, "\":\"", 3) == 0 &&
            memcmp(at + 4 + key_len, value, value_len) == 0 &&
            at[4 + key_len + value_len] == '"')
            return true;
    }
    return false;
}

/* Rule and reason are asked of batches; other records have none. */
static bool batch_matches(struct search *s, const struct record_view *r)
{
    const struct audit_query *q = s->q;

    if (q->rule < 0 && q->reason < 0)
        return true;
    return slice_eq(r->act, SLICE("batch")) && batch_read(r->d, &s->batch) &&
           (has_entry(s, s->batch.by, s->batch.by_count) ||
            has_entry(s, s->batch.ex, s->batch.ex_count));
}

static bool record_matches(struct search *s, const struct record_view *r)
{
    const struct audit_query *q = s->q;

    return in_time(q, r->t_ms) && q->ev == 0 &&
           (q->act == NULL || slice_eq(r->act, slice_of(q->act))) &&
           (q->site == NULL || d_says(r->d, "site", q->site)) &&
           (q->destination == NULL || d_says(r->d, "dst", q->destination) ||
            d_says(r->d, "destination", q->destination)) &&
           batch_matches(s, r);
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
    const char between = s->q->format == AUDIT_CSV ? ',' : ' ';

    buf_reset(&s->text);
    if (s->q->format == AUDIT_JSONL) {
        buf_put(&s->text, line);
    } else {
        (void)time_format(r->t_ms, true, t);
        buf_printf(&s->text, "%" PRIu64 "%c%s%c", r->i, between, t, between);
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            buf_put(&s->text, parts[i]);
            buf_put_char(&s->text, between);
        }
        if (s->q->format == AUDIT_CSV)
            put_csv_quoted(&s->text, r->d);
        else
            buf_put(&s->text, r->d);
    }
    emit(s, SLICE("i,t,act,who,why,out,d"));
}

/* ---- which bit of a row is which destination ----------------------------- */

static struct known_policy *new_policy(struct search *s)
{
    if (s->policy_count == s->policy_room) {
        size_t room = s->policy_room == 0 ? 8 : 2 * s->policy_room;
        struct known_policy *more =
            reallocarray(s->policies, room, sizeof(*more));
        if (more == NULL)
            return NULL;
        s->policies = more;
        s->policy_room = room;
    }
    struct known_policy *p = &s->policies[s->policy_count++];
    *p = (struct known_policy){0};
    return p;
}

/* "dst":["store","file"] of a policy.load. */
static enum status note_policy(struct search *s, const struct record_view *r)
{
    const struct slice mark = SLICE("\"dst\":[");
    struct known_policy *p = new_policy(s);
    struct slice rest = r->d, name;

    if (p == NULL)
        return ST_NOMEM;
    p->index = r->i;
    while (rest.len > 0 && !slice_starts(rest, mark))
        rest = slice_skip(rest, 1);
    rest = slice_skip(rest, mark.len);
    while (p->count < DESTINATIONS_MAX && take_string(&rest, &name) &&
           name.len <= NAME_MAX_BYTES) {
        memcpy(p->names[p->count++], name.at, name.len);
        if (!take_text(&rest, SLICE(",")))
            break;
    }
    return ST_OK;
}

/* The policy of s->batch; NULL if it names none that was loaded. */
static const struct known_policy *policy_of_batch(const struct search *s)
{
    for (size_t i = s->policy_count; s->batch.has_policy && i > 0; i--)
        if (s->policies[i - 1].index == s->batch.policy)
            return &s->policies[i - 1];
    return NULL;
}

static unsigned wanted_destinations(const struct search *s,
                                    const struct known_policy *p)
{
    if (s->q->destination == NULL)
        return UINT16_MAX;
    for (unsigned k = 0; p != NULL && k < p->count; k++)
        if (strcmp(p->names[k], s->q->destination) == 0)
            return 1u << k;
    return 0;
}

/* ---- rows ---------------------------------------------------------------- */

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

/* For people: names in place of numbers. */
static void put_row_words(struct buf *b, const struct known_policy *p,
                          struct slice site, const char *t,
                          const struct audit_row *r)
{
    buf_printf(b, "%s %.*s %s", t, SLICE_ARG(site), audit_act_name(r->act));
    for (unsigned k = 0; p != NULL && k < p->count; k++)
        if (r->destinations >> k & 1u)
            buf_printf(b, " %s", p->names[k]);
    buf_printf(b, ", rule %u, %s, from %s, receipt %016" PRIx64, r->rule,
               audit_reason_name(r->reason), audit_source_name(r->source),
               r->ev);
    if (r->classes != 0)
        buf_put(b, SLICE(", minimised: "));
    put_classes(b, r->classes, "", ' ');
}

static void emit_row(struct search *s, const struct known_policy *p,
                     uint64_t index, int64_t when, const struct audit_row *r)
{
    char t[TIME_TEXT_MAX];

    (void)time_format(when, true, t);
    buf_reset(&s->text);
    if (s->q->format == AUDIT_TEXT)
        put_row_words(&s->text, p, s->batch.site, t, r);
    else
        put_row(&s->text, index, s->batch.site, t, r,
                s->q->format == AUDIT_CSV);
    emit(s, SLICE("i,t,site,act,rule,reason,source,destinations,ev,"
                  "classes"));
}

/* Rows lie back to back in the order of their records: those of a batch that
 * does not match are passed over. */
static enum status search_rows(struct search *s, struct segments *files,
                               const struct record_view *rec)
{
    const struct known_policy *p = policy_of_batch(s);
    unsigned wanted = site_matches(s) ? wanted_destinations(s, p) : 0;
    bool any = s->q->destination == NULL && wanted != 0;
    uint8_t bytes[ROW_BYTES];

    for (uint64_t k = 0; k < s->batch.n && !s->stopped; k++) {
        struct audit_row r;
        if (files->rows == NULL || fread(bytes, ROW_BYTES, 1, files->rows) != 1)
            return ST_CORRUPT;
        row_decode(bytes, &r);
        int64_t when = s->batch.t0_ms + r.t_us / 1000;
        if ((any || (r.destinations & wanted) != 0) && row_matches(s, &r, when))
            emit_row(s, p, rec->i, when, &r);
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
    if (slice_eq(r.act, SLICE("policy.load")))
        return note_policy(s, &r);
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
    free(s->policies);
    free(s);
    return st;
}
