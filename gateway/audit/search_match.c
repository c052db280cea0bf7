/* search_match.c - does a record, a batch, a row match? */
#include "search_run.h"

#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/log.h"

#include <string.h>

static int record_act_code(const char *name)
{
    for (int i = 0; i < RECORD_ACT_COUNT; i++)
        if (strcmp(audit_record_act_name((enum audit_record_act)i), name) == 0)
            return i;
    return ACT_CODE_OTHER;
}

static int row_act_code(const char *name)
{
    for (int i = 1; i < ACT_COUNT; i++)
        if (strcmp(audit_act_name((unsigned)i), name) == 0)
            return i;
    return 0;
}

/* Rows are compared as they lie in the file, so that scanning hundreds of
 * megabytes is a few instructions a row. */
void search_prepare(struct search *s)
{
    const struct audit_query *q = s->q;
    struct audit_row want = {0}, mask = {0};
    uint8_t bytes[ROW_BYTES];

    if (q->act != NULL) {
        s->record_act = record_act_code(q->act);
        s->row_act = row_act_code(q->act);
        want.act = (uint8_t)s->row_act;
        mask.act = UINT8_MAX;
    }
    if (q->rule >= 0) {
        want.rule = (uint16_t)q->rule;
        mask.rule = UINT16_MAX;
    }
    if (q->reason >= 0) {
        want.reason = (uint8_t)q->reason;
        mask.reason = UINT8_MAX;
    }
    if (q->ev != 0) {
        want.ev = q->ev;
        mask.ev = UINT64_MAX;
    }
    row_encode(&want, bytes);
    memcpy(s->shape.want, bytes, ROW_BYTES);
    row_encode(&mask, bytes);
    memcpy(s->shape.mask, bytes, ROW_BYTES);
}

static bool in_time(const struct audit_query *q, int64_t t)
{
    return (q->from_ms == 0 || t >= q->from_ms) &&
           (q->to_ms == 0 || t < q->to_ms);
}

/* ---- records ---------------------------------------------------------------
 */

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

static bool outcome_matches(const struct audit_query *q,
                            const struct index_entry *e)
{
    static const char *const names[] = {"ok", "denied", "failed"};

    return q->outcome == NULL ||
           (e->out < 3 && strcmp(names[e->out], q->outcome) == 0);
}

/* What the index alone tells: false is final. */
static bool entry_may_match(const struct search *s, const struct index_entry *e)
{
    const struct audit_query *q = s->q;
    bool batch = e->act == ACT_CODE_BATCH;

    return in_time(q, e->t_ms) && outcome_matches(q, e) &&
           (q->act == NULL || e->act == s->record_act ||
            e->act == ACT_CODE_OTHER) &&
           !(batch && q->destination != NULL) &&
           !(batch && q->site != NULL &&
             (e->site == 0 || e->site != s->site_number));
}

/* Is there anything that the index does not tell? */
static bool needs_line(const struct search *s, const struct index_entry *e)
{
    const struct audit_query *q = s->q;

    return search_wants_text(s) || q->who != NULL || q->destination != NULL ||
           (q->act != NULL && e->act == ACT_CODE_OTHER) ||
           (q->site != NULL && e->act != ACT_CODE_BATCH);
}

static bool line_matches(const struct audit_query *q,
                         const struct record_view *r)
{
    return (q->act == NULL || slice_eq(r->act, slice_of(q->act))) &&
           (q->who == NULL || slice_eq(r->who, slice_of(q->who))) &&
           (q->site == NULL || d_says(r->d, "site", q->site)) &&
           (q->destination == NULL || d_says(r->d, "dst", q->destination) ||
            d_says(r->d, "destination", q->destination));
}

enum status search_record(struct search *s, const struct index_entry *e,
                          uint64_t index)
{
    struct record_view r;

    if (search_passed(s, index, 0) || !entry_may_match(s, e))
        return ST_OK;
    if (needs_line(s, e)) {
        const uint8_t *at =
            window_get(&s->lines, e->line_at, e->line_len, s->q->newest_first);
        struct slice line = {(const char *)at, e->line_len};
        /* What the index says of the place is never taken for the record. */
        if (at == NULL || !record_read(line, &r) || r.i != index)
            return ST_CORRUPT;
        if (!line_matches(s->q, &r))
            return ST_OK;
        if (search_wants_text(s))
            put_record(&s->text, s->q->format, &r, line);
    }
    return search_hit(s, index, 0);
}

/* ---- decisions -------------------------------------------------------------
 */

/* Everything of one batch that its rows are compared with. */
struct batch_hunt {
    const struct index_entry *e;
    uint64_t index;
    const struct known_policy *policy;
    unsigned destinations; /* bits that do; 0: not asked for */
    uint64_t subs[AUDIT_PERSON_IDS];
    unsigned sub_count;
};

static const char *name_of(const struct search *s, uint16_t number)
{
    return number == 0 ? "" : s->index.names[number - 1].text;
}

static bool batch_in_time(const struct audit_query *q,
                          const struct index_entry *e)
{
    return (q->from_ms == 0 || e->t_ms >= q->from_ms) &&
           (q->to_ms == 0 || e->t0_ms < q->to_ms);
}

/* rows=dropped leaves out events that were cleared, rows=none all. */
static void note_unwritten(struct search *s, const struct index_entry *e)
{
    bool cleared_asked = s->row_act == 0 || s->row_act == ACT_CLEARED ||
                         s->row_act == ACT_MINIMISED;

    if (e->unwritten > 0 && (e->rows == 0 || cleared_asked))
        search_gap(s, AUDIT_GAP_UNWRITTEN, e->unwritten, e->t0_ms, e->t_ms);
}

/* False: nobody can say any more who is in this batch. */
static bool find_subs(struct search *s, struct batch_hunt *h)
{
    const char *tag = name_of(s, h->e->tag);

    h->sub_count = 0;
    for (unsigned i = 0; i < s->q->mark_count; i++)
        if (strcmp(s->q->marks[i].tag, tag) == 0 && s->q->marks[i].sub != 0 &&
            h->sub_count < AUDIT_PERSON_IDS)
            h->subs[h->sub_count++] = s->q->marks[i].sub;
    return h->sub_count > 0;
}

static bool may_hold(const struct search *s, const struct index_entry *e)
{
    const struct audit_query *q = s->q;

    return (q->rule < 0 || (e->rules >> (q->rule % 64) & 1) != 0) &&
           (q->reason < 0 || (e->reasons >> (q->reason % 32) & 1) != 0) &&
           (q->act == NULL || (e->row_acts >> (s->row_act % 8) & 1) != 0);
}

/* A row of the shape asked for, `at`: the words of the file. */
static bool has_shape(const struct row_shape *shape, const uint8_t *at)
{
    uint64_t w[3];

    memcpy(w, at, sizeof(w));
    return (((w[0] ^ shape->want[0]) & shape->mask[0]) |
            ((w[2] ^ shape->want[2]) & shape->mask[2])) == 0;
}

static bool is_person(const struct batch_hunt *h, const struct audit_row *r)
{
    for (unsigned i = 0; i < h->sub_count; i++)
        if (h->subs[i] == r->sub)
            return true;
    return false;
}

static enum status judge_row(struct search *s, const struct batch_hunt *h,
                             const uint8_t *at, uint32_t k)
{
    struct audit_row r;

    row_decode(at, &r);
    int64_t when = h->e->t0_ms + r.t_us / 1000;
    if (!in_time(s->q, when) || (s->q->person && !is_person(h, &r)) ||
        (h->destinations != 0 && (r.destinations & h->destinations) == 0) ||
        search_passed(s, h->index, k))
        return ST_OK;
    if (search_wants_text(s))
        put_row(&s->text, s->q->format,
                &(struct row_place){h->index, k, when, name_of(s, h->e->site),
                                    h->policy},
                &r);
    return search_hit(s, h->index, k);
}

static enum status hunt(struct search *s, const struct batch_hunt *h)
{
    uint32_t n = h->e->rows;
    enum status st = ST_OK;
    const uint8_t *rows = window_get(&s->row_bytes, h->e->first_row * ROW_BYTES,
                                     (size_t)n * ROW_BYTES, s->q->newest_first);

    if (rows == NULL)
        return ST_CORRUPT;
    for (uint32_t i = 0; st == ST_OK && !s->stopped && i < n; i++) {
        uint32_t k = s->q->newest_first ? n - 1 - i : i;
        const uint8_t *at = rows + (size_t)k * ROW_BYTES;
        if (has_shape(&s->shape, at))
            st = judge_row(s, h, at, k);
    }
    return st;
}

/* Which destination is which: false, nothing to hunt for. */
static enum status find_policy(struct search *s, struct batch_hunt *h,
                               bool *out_go_on)
{
    const struct index_entry *e = h->e;
    bool asked = s->q->destination != NULL;
    enum status st = ST_OK;

    *out_go_on = true;
    if (e->policy != NO_POLICY && (asked || s->q->format == AUDIT_TEXT))
        st = policy_find(&s->policies, &s->files, e->policy, &h->policy);
    if (st != ST_OK || !asked)
        return st;
    if (h->policy != NULL)
        h->destinations = policy_bit(h->policy, s->q->destination);
    else if (e->policy != NO_POLICY)
        search_gap(s, AUDIT_GAP_POLICY, e->rows, e->t0_ms, e->t_ms);
    *out_go_on = h->destinations != 0;
    return ST_OK;
}

enum status search_batch(struct search *s, const struct index_entry *e,
                         uint64_t index)
{
    const struct audit_query *q = s->q;
    struct batch_hunt h = {.e = e, .index = index};
    bool go_on;

    if (e->act != ACT_CODE_BATCH || !batch_in_time(q, e) ||
        (q->site != NULL && (e->site == 0 || e->site != s->site_number)) ||
        search_passed(s, index, q->newest_first ? 0 : UINT32_MAX))
        return ST_OK;
    note_unwritten(s, e);
    if (e->rows == 0)
        return ST_OK;
    if (s->row_bytes.fd < 0) {
        search_gap(s, AUDIT_GAP_ROWS, e->rows, e->t0_ms, e->t_ms);
        return ST_OK;
    }
    if (q->person && !find_subs(s, &h)) {
        search_gap(s, AUDIT_GAP_IDENTITY, e->rows, e->t0_ms, e->t_ms);
        return ST_OK;
    }
    if ((q->act != NULL && s->row_act == 0) || !may_hold(s, e))
        return ST_OK;
    enum status st = find_policy(s, &h, &go_on);
    return st == ST_OK && go_on ? hunt(s, &h) : st;
}
