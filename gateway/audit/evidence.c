#include "lethe/gateway/audit/evidence.h"

#include "read_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DECISION "audit-decision v1\n"
#define RECORD   "audit-record v1\n"

_Static_assert(PROOF_EXTRA_MAX >= sizeof(DECISION) + EVIDENCE_RECORD_MAX + 100 +
                                      EVIDENCE_PATH_MAX * 45,
               "evidence fits into a proof");
_Static_assert(EVIDENCE_RECORD_MAX == READ_LINE_MAX &&
                   EVIDENCE_ROWS_MAX == READ_ROWS_MAX,
               "one limit");

/* ---- its text ------------------------------------------------------------ */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

static bool take_row(struct slice *s, uint8_t out[ROW_BYTES])
{
    if (s->len < 2u * ROW_BYTES)
        return false;
    for (size_t i = 0; i < ROW_BYTES; i++) {
        int high = hex_digit(s->at[2 * i]), low = hex_digit(s->at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    *s = slice_skip(*s, 2u * ROW_BYTES);
    return true;
}

/* Everything behind the record's line. */
static enum status read_row(struct slice s, struct evidence *e)
{
    if (!take_text(&s, SLICE("row ")) || !take_uint(&s, &e->at) ||
        !take_text(&s, SLICE(" of ")) || !take_uint(&s, &e->rows) ||
        !take_text(&s, SLICE(" ")) || !take_row(&s, e->row) ||
        !take_text(&s, SLICE("\n")))
        return ST_SYNTAX;
    if (e->rows > EVIDENCE_ROWS_MAX)
        return ST_LIMIT;
    while (s.len > 0 && e->path.count < EVIDENCE_PATH_MAX &&
           hash_line_take(&s, e->path.hashes[e->path.count]))
        e->path.count++;
    return s.len == 0 && e->at < e->rows ? ST_OK : ST_SYNTAX;
}

enum status evidence_read(struct slice extra, struct evidence *out)
{
    struct evidence e = {.at = 0};

    e.has_row = take_text(&extra, SLICE(DECISION));
    if (!e.has_row && !take_text(&extra, SLICE(RECORD)))
        return ST_SYNTAX;
    size_t end = slice_find(extra, '\n');
    if (end == extra.len)
        return ST_SYNTAX;
    if (end > EVIDENCE_RECORD_MAX)
        return ST_LIMIT;
    e.record = slice_head(extra, end);
    extra = slice_skip(extra, end + 1);
    enum status st = e.has_row        ? read_row(extra, &e)
                     : extra.len == 0 ? ST_OK
                                      : ST_SYNTAX;
    if (st == ST_OK)
        *out = e;
    return st;
}

enum status evidence_put(const struct evidence *e, struct buf *out)
{
    if (e->record.len > EVIDENCE_RECORD_MAX || e->rows > EVIDENCE_ROWS_MAX ||
        e->path.count > EVIDENCE_PATH_MAX)
        return ST_LIMIT;
    buf_put(out, e->has_row ? SLICE(DECISION) : SLICE(RECORD));
    buf_put(out, e->record);
    buf_put_char(out, '\n');
    if (e->has_row) {
        buf_printf(out, "row %" PRIu64 " of %" PRIu64 " ", e->at, e->rows);
        for (size_t i = 0; i < ROW_BYTES; i++)
            buf_printf(out, "%02x", e->row[i]);
        buf_put_char(out, '\n');
        for (unsigned i = 0; i < e->path.count; i++)
            hash_line_put(e->path.hashes[i], out);
    }
    return out->failed ? ST_NOMEM : ST_OK;
}

/* ---- what it says -------------------------------------------------------- */

static bool read_root(struct slice text, uint8_t out[HASH_BYTES])
{
    char line[64];

    if (text.at == NULL || text.len + 1 > sizeof(line))
        return false;
    memcpy(line, text.at, text.len);
    line[text.len] = '\n';
    struct slice s = {line, text.len + 1};
    return hash_line_take(&s, out) && s.len == 0;
}

/* Is the row under the root that its record holds? */
static enum status add_row(const struct evidence *e, struct evidence_facts *out)
{
    uint8_t root[HASH_BYTES], leaf[HASH_BYTES];
    struct batch_view *b = malloc(sizeof(*b)); /* large for a stack */
    enum status st = ST_OK;

    if (b == NULL)
        return ST_NOMEM;
    if (!slice_eq(out->act, SLICE("batch")) || !batch_read(out->d, b)) {
        free(b);
        return ST_SYNTAX;
    }
    merkle_leaf(e->row, ROW_BYTES, leaf);
    if (b->n != e->rows || !read_root(b->root, root))
        st = ST_MISMATCH;
    else
        st = tree_check_inclusion(&e->path, e->at, e->rows, leaf, root);
    row_decode(e->row, &out->row);
    out->site = b->site;
    out->when_ms = b->t0_ms + out->row.t_us / 1000;
    out->has_policy = b->has_policy;
    out->policy = b->policy;
    free(b);
    return st;
}

enum status evidence_facts(const struct evidence *e, uint64_t index,
                           struct evidence_facts *out)
{
    struct evidence_facts f = {.index = index};
    struct record_view r;

    if (!record_read(e->record, &r))
        return ST_SYNTAX;
    if (r.i != index)
        return ST_MISMATCH;
    f.t_ms = r.t_ms;
    f.act = r.act;
    f.who = r.who;
    f.why = r.why;
    f.out = r.out;
    f.d = r.d;
    enum status st = e->has_row ? add_row(e, &f) : ST_OK;
    if (st == ST_OK)
        *out = f;
    return st;
}

bool evidence_destination(struct slice policy_d, unsigned k, struct slice *out)
{
    const struct slice mark = SLICE("\"dst\":[");
    struct slice rest = policy_d;

    while (rest.len > 0 && !slice_starts(rest, mark))
        rest = slice_skip(rest, 1);
    rest = slice_skip(rest, mark.len);
    for (unsigned i = 0; take_string(&rest, out); i++) {
        if (i == k)
            return true;
        if (!take_text(&rest, SLICE(",")))
            break;
    }
    return false;
}
