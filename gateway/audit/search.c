/* search.c - the walk over segments and their records, in either direction.
 *
 * Two passes: the first counts, keeping the lines as far as they fit; then the
 * reading is recorded; then the lines are shown, found again where they did
 * not fit. */
#include "search_run.h"

#include "lethe/policy/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES_MAX (8u << 20)
#define LINE_CAP       (3u * READ_LINE_MAX) /* CSV doubles quotes */
/* A row is older than its record: its u32 of microseconds is 72 minutes. */
#define ROW_AGE_MS INT64_C(7200000)

void search_gap(struct search *s, enum audit_gap_kind kind, uint64_t count,
                int64_t from_ms, int64_t to_ms)
{
    struct audit_gap *g = &s->found.gaps[kind];

    if (g->count == 0 || from_ms < g->from_ms)
        g->from_ms = from_ms;
    if (g->count == 0 || to_ms > g->to_ms)
        g->to_ms = to_ms;
    g->count += count;
}

static void put_line(struct search *s, struct slice line)
{
    if (s->pass == PASS_SHOW) {
        if (!s->to->line(s->to->ctx, line))
            s->stopped = true;
    } else if (!s->overflowed) {
        buf_put(&s->kept, line);
        buf_put_char(&s->kept, '\n');
        s->overflowed = s->kept.failed;
    }
}

bool search_wants_text(const struct search *s)
{
    return !s->q->count_only && (s->pass == PASS_SHOW || !s->overflowed);
}

enum status search_hit(struct search *s, uint64_t index, uint32_t row)
{
    if (search_wants_text(s)) {
        if (s->text.failed)
            return ST_NOMEM;
        put_line(s, buf_slice(&s->text));
        buf_reset(&s->text);
    }
    s->found.count++;
    s->found.last = index;
    s->found.last_row = row;
    if (s->q->limit > 0 && s->found.count >= s->q->limit)
        s->stopped = s->found.stopped = true;
    return ST_OK;
}

bool search_passed(const struct search *s, uint64_t index, uint32_t row)
{
    const struct audit_query *q = s->q;
    bool later = index > q->after || (index == q->after && row > q->after_row);
    bool same = index == q->after && row == q->after_row;

    return q->has_after && (q->newest_first ? later || same : !later);
}

/* ---- one segment -----------------------------------------------------------
 */

static void segment_path(const struct search *s, const char *folder,
                         const char *end, size_t k, char out[READ_PATH_MAX])
{
    (void)snprintf(out, READ_PATH_MAX, "%s/%s/%012" PRIu64 ".%s",
                   s->files.folder, folder, s->files.first[k], end);
}

static enum status read_index(struct search *s, size_t k)
{
    struct index_source of = {.fd = s->lines.fd, .first = s->files.first[k]};
    bool closed = k + 1 < s->files.count;
    char path[READ_PATH_MAX];

    if (s->indexed && s->indexed_at == k)
        return ST_OK;
    audit_index_free(&s->index);
    s->indexed = false;
    if (fstat(of.fd, &of.about) != 0)
        return ST_IO;
    enum status st = closed && !s->q->no_index
                         ? audit_index_load(s->files.folder, &of, &s->index)
                         : ST_CORRUPT;
    if (st == ST_CORRUPT) {
        segment_path(s, "seg", "jsonl", k, path);
        st = audit_index_build(
            path, of.first, closed ? (uint64_t)of.about.st_size : s->last_size,
            closed, s->batch, &s->index);
        if (st == ST_OK && closed && !s->q->no_index)
            (void)audit_index_keep(s->files.folder, &of, &s->index);
    }
    s->indexed = st == ST_OK;
    s->indexed_at = k;
    return st;
}

/* Records that should stand between this segment and the next. */
static enum status check_end(struct search *s, size_t k)
{
    uint64_t end = s->files.first[k] + s->index.count;

    if (k + 1 == s->files.count || end == s->files.first[k + 1])
        return ST_OK;
    if (end > s->files.first[k + 1])
        return ST_CORRUPT;
    int64_t last =
        s->index.count > 0 ? s->index.entries[s->index.count - 1].t_ms : 0;
    search_gap(s, AUDIT_GAP_RECORDS, s->files.first[k + 1] - end, last,
               s->begins[k + 1]);
    return ST_OK;
}

static enum status walk_entries(struct search *s, size_t k)
{
    size_t n = s->index.count;
    enum status st = check_end(s, k);

    s->site_number = s->q->site == NULL
                         ? 0
                         : audit_index_name(&s->index, slice_of(s->q->site));
    for (size_t i = 0; st == ST_OK && !s->stopped && i < n; i++) {
        size_t at = s->q->newest_first ? n - 1 - i : i;
        uint64_t index = s->files.first[k] + at;
        st = s->q->rows ? search_batch(s, &s->index.entries[at], index)
                        : search_record(s, &s->index.entries[at], index);
    }
    return st;
}

/* Nothing of the segment can be asked for. Times never go back in a log. */
static bool is_elsewhere(const struct search *s, size_t k)
{
    const struct audit_query *q = s->q;
    int64_t early = q->rows ? ROW_AGE_MS : 0;
    bool last = k + 1 == s->files.count;

    if (q->has_after &&
        (q->newest_first ? s->files.first[k] > q->after
                         : !last && s->files.first[k + 1] <= q->after))
        return true;
    return (q->to_ms != 0 && s->begins[k] - early >= q->to_ms) ||
           (q->from_ms != 0 && !last && s->begins[k + 1] != 0 &&
            s->begins[k + 1] < q->from_ms);
}

/* Deleted since the list was made: pruning goes on beside a search. */
static void note_gone(struct search *s, size_t k)
{
    bool last = k + 1 == s->files.count;

    search_gap(s, AUDIT_GAP_RECORDS,
               last ? 1 : s->files.first[k + 1] - s->files.first[k],
               s->begins[k], last ? s->begins[k] : s->begins[k + 1]);
}

static enum status walk_segment(struct search *s, size_t k)
{
    char path[READ_PATH_MAX];

    if (is_elsewhere(s, k))
        return ST_OK;
    segment_path(s, "seg", "jsonl", k, path);
    enum status st = window_open(&s->lines, path);
    if (st == ST_UNKNOWN) {
        note_gone(s, k);
        return ST_OK;
    }
    segment_path(s, "rows", "rows", k, path);
    if (st == ST_OK && s->q->rows) {
        st = window_open(&s->row_bytes, path);
        if (st == ST_UNKNOWN)
            st = ST_OK; /* each batch says that its rows are gone */
    }
    if (st == ST_OK)
        st = read_index(s, k);
    if (st == ST_OK)
        st = walk_entries(s, k);
    window_close(&s->lines);
    window_close(&s->row_bytes);
    return st;
}

/* ---- the whole log ---------------------------------------------------------
 */

/* 0 where it cannot be told: a segment just begun, or just pruned. */
static int64_t first_time(const struct search *s, size_t k)
{
    char path[READ_PATH_MAX], text[READ_LINE_MAX + 2];
    struct record_view r = {.t_ms = 0};

    segment_path(s, "seg", "jsonl", k, path);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return 0;
    if (fgets(text, sizeof(text), in) == NULL ||
        !record_read(
            slice_head(slice_of(text), slice_find(slice_of(text), '\n')), &r))
        r.t_ms = 0;
    (void)fclose(in);
    return r.t_ms;
}

static enum status begin(struct search *s)
{
    char path[READ_PATH_MAX];
    struct stat about;
    size_t count = s->files.count;

    s->begins = calloc(count + 1, sizeof(*s->begins));
    if (s->begins == NULL)
        return ST_NOMEM;
    for (size_t k = 0; k < count; k++)
        s->begins[k] = first_time(s, k);
    if (count > 0) {
        segment_path(s, "seg", "jsonl", count - 1, path);
        s->last_size = stat(path, &about) == 0 ? (uint64_t)about.st_size : 0;
    }
    return ST_OK;
}

/* A log that does not begin with record 0, asked for what lies before. */
static void note_beginning(struct search *s)
{
    const struct audit_query *q = s->q;
    uint64_t first = s->files.count > 0 ? s->files.first[0] : 0;

    if (first > 0 && !s->found.stopped &&
        (q->from_ms == 0 || q->from_ms < s->begins[0]) &&
        (!q->has_after || q->newest_first || q->after + 1 < first))
        search_gap(s, AUDIT_GAP_RECORDS, first, 0, s->begins[0]);
}

static enum status walk(struct search *s, enum search_pass pass)
{
    size_t count = s->files.count;
    enum status st = ST_OK;

    s->pass = pass;
    s->stopped = false;
    s->found = (struct audit_found){.count = 0};
    if (s->q->format == AUDIT_CSV && !s->q->count_only)
        put_line(s, s->q->rows ? row_heading() : record_heading());
    if (!s->q->newest_first)
        note_beginning(s);
    for (size_t k = 0; st == ST_OK && !s->stopped && k < count; k++)
        st = walk_segment(s, s->q->newest_first ? count - 1 - k : k);
    if (s->q->newest_first)
        note_beginning(s);
    return st;
}

static void show_kept(struct search *s)
{
    struct slice rest = buf_slice(&s->kept);

    while (!s->stopped && rest.len > 0) {
        size_t end = slice_find(rest, '\n');
        put_line(s, slice_head(rest, end));
        rest = slice_skip(rest, end + 1);
    }
}

static enum status run(struct search *s)
{
    enum status st = begin(s);

    if (st == ST_OK)
        st = walk(s, PASS_COUNT);
    if (st != ST_OK)
        return st;
    if (s->to->record != NULL && !s->to->record(s->to->ctx, &s->found))
        return ST_DENIED;
    s->stopped = false;
    s->pass = PASS_SHOW;
    if (s->overflowed)
        return walk(s, PASS_SHOW);
    show_kept(s);
    return ST_OK;
}

enum status audit_search(const char *folder, const struct audit_query *q,
                         const struct audit_reader *to, struct audit_found *out)
{
    struct search *s = calloc(1, sizeof(*s));
    struct batch_view *batch = calloc(1, sizeof(*batch));
    enum status st = s == NULL || batch == NULL ? ST_NOMEM : ST_OK;

    if (st == ST_OK) {
        *s = (struct search){.q = q, .to = to, .batch = batch};
        s->lines.fd = s->row_bytes.fd = -1;
        buf_init(&s->text, LINE_CAP);
        buf_init(&s->kept, KEPT_BYTES_MAX);
        search_prepare(s);
        st = segments_open(folder, &s->files);
        if (st == ST_OK) {
            st = run(s);
            segments_close(&s->files);
        }
        if (st == ST_OK)
            *out = s->found;
        audit_index_free(&s->index);
        window_free(&s->lines);
        window_free(&s->row_bytes);
        buf_free(&s->text);
        buf_free(&s->kept);
        free(s->policies.list);
        free(s->begins);
    }
    free(batch);
    free(s);
    return st;
}
