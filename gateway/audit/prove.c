#include "lethe/gateway/audit/prove.h"

#include "lethe/gateway/audit/leaves.h"
#include "lethe/gateway/audit/tiles.h"
#include "read_internal.h"

#include <stdlib.h>
#include <string.h>

struct prover {
    char folder[READ_PATH_MAX - 64];
    struct tiles *tiles;
    struct leaves *leaves;
    struct buf note; /* the newest checkpoint */
    struct checkpoint head;
    char record[EVIDENCE_RECORD_MAX]; /* read last */
    size_t record_len;
    uint8_t *rows;   /* of a batch: ROW_BYTES each, */
    uint8_t *hashes; /* and their leaf hashes */
};

enum status prover_open(const char *folder, struct prover **out)
{
    struct prover *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return ST_NOMEM;
    buf_init(&p->note, NOTE_BYTES_MAX);
    enum status st = snprintf(p->folder, sizeof(p->folder), "%s", folder) >=
                             (int)sizeof(p->folder)
                         ? ST_LIMIT
                         : tiles_open(folder, UINT64_MAX, &p->tiles);
    if (st == ST_OK)
        st = leaves_open(folder, &p->leaves);
    if (st == ST_OK)
        st = tiles_checkpoint(p->tiles, &p->note, &p->head);
    if (st != ST_OK) {
        prover_close(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

void prover_close(struct prover *p)
{
    if (p == NULL)
        return;
    tiles_close(p->tiles);
    leaves_close(p->leaves);
    buf_free(&p->note);
    free(p->rows);
    free(p->hashes);
    free(p);
}

uint64_t prover_size(const struct prover *p)
{
    return p->head.size;
}

/* ---- records ------------------------------------------------------------- */

static enum status keep_record(void *ctx, struct slice line)
{
    struct prover *p = ctx;

    memcpy(p->record, line.at, line.len);
    p->record_len = line.len;
    return ST_OK;
}

static struct slice record_of(const struct prover *p)
{
    return (struct slice){p->record, p->record_len};
}

/* Record `index` into p->record. */
static enum status read_record(struct prover *p, uint64_t index)
{
    if (index >= p->head.size)
        return ST_BUSY;
    enum status st = leaves_each(p->leaves, index, 1, keep_record, p);
    return st == ST_END ? ST_CLOSED : st;
}

/* Around the evidence, the path from its record to the checkpoint. It is
 * checked here, too: what nobody can check is no proof. */
static enum status put_proof(struct prover *p, uint64_t index,
                             const struct evidence *e, struct buf *out)
{
    struct tree_source source = tiles_tree(p->tiles);
    struct tlog_proof proof = {.index = index,
                               .checkpoint = buf_slice(&p->note)};
    uint8_t leaf[HASH_BYTES];
    struct buf extra;

    tiles_begin(p->tiles);
    enum status st = tree_inclusion(&source, index, p->head.size, &proof.path);
    if (st != ST_OK)
        return st == ST_END ? ST_CLOSED : st;
    merkle_leaf(e->record.at, e->record.len, leaf);
    if (tree_check_inclusion(&proof.path, index, p->head.size, leaf,
                             p->head.root) != ST_OK)
        return ST_CORRUPT;
    buf_init(&extra, PROOF_EXTRA_MAX);
    st = evidence_put(e, &extra);
    proof.extra = buf_slice(&extra);
    if (st == ST_OK)
        st = proof_put(&proof, out);
    buf_free(&extra);
    return st;
}

enum status prover_record(struct prover *p, uint64_t index, struct buf *out)
{
    enum status st = read_record(p, index);
    const struct evidence e = {.record = record_of(p)};

    return st == ST_OK ? put_proof(p, index, &e, out) : st;
}

enum status prover_again(struct prover *p, uint64_t index,
                         const struct evidence *e, struct buf *out)
{
    return index < p->head.size ? put_proof(p, index, e, out) : ST_BUSY;
}

/* ---- rows ---------------------------------------------------------------- */

/* Rows of one batch, by their leaf hashes: a tree_source. */
static enum status row_hash(void *ctx, unsigned level, uint64_t number,
                            uint8_t out[HASH_BYTES])
{
    const uint8_t *hashes = ctx;
    uint8_t right[HASH_BYTES];

    if (level == 0) {
        memcpy(out, hashes + number * HASH_BYTES, HASH_BYTES);
        return ST_OK;
    }
    enum status st = row_hash(ctx, level - 1, 2 * number, out);
    if (st == ST_OK)
        st = row_hash(ctx, level - 1, 2 * number + 1, right);
    if (st == ST_OK)
        merkle_node(out, right, out);
    return st;
}

/* How many rows lie before those of record `index` in its segment's file,
 * which is open then. */
static enum status rows_before(struct segments *s, uint64_t index,
                               struct batch_view *b, uint64_t *out)
{
    uint64_t before = 0;
    struct record_view r;
    struct slice line;
    bool whole;
    enum status st;

    while (s->at < s->count && s->first[s->at] <= index)
        s->at++;
    if (s->at == 0)
        return ST_CLOSED;
    s->at--;
    st = segments_next(s);
    while (st == ST_OK && (st = segments_line(s, &line, &whole)) == ST_OK) {
        if (!whole || !record_read(line, &r))
            return ST_CORRUPT;
        bool is_batch = slice_eq(r.act, SLICE("batch"));
        if (is_batch && !batch_read(r.d, b))
            return ST_CORRUPT;
        if (r.i == index) {
            *out = before;
            return is_batch ? ST_OK : ST_TYPE;
        }
        before += is_batch ? b->n : 0;
    }
    return st == ST_END ? ST_CLOSED : st;
}

static enum status read_rows(struct prover *p, uint64_t index,
                             struct batch_view *b)
{
    struct segments s;
    uint64_t before = 0;
    enum status st = segments_open(p->folder, &s);

    if (st != ST_OK)
        return st;
    st = rows_before(&s, index, b, &before);
    if (st == ST_OK && b->n > READ_ROWS_MAX)
        st = ST_CORRUPT;
    if (st == ST_OK && s.rows == NULL)
        st = b->n > 0 ? ST_CLOSED : ST_OK;
    if (st == ST_OK && b->n > 0 &&
        (fseeko(s.rows, (off_t)(before * ROW_BYTES), SEEK_SET) != 0 ||
         fread(p->rows, ROW_BYTES, b->n, s.rows) != b->n))
        st = ST_CORRUPT;
    segments_close(&s);
    for (uint64_t i = 0; st == ST_OK && i < b->n; i++)
        merkle_leaf(p->rows + i * ROW_BYTES, ROW_BYTES,
                    p->hashes + i * HASH_BYTES);
    return st;
}

static enum status prove_row(struct prover *p, uint64_t index,
                             const struct batch_view *b, uint64_t at,
                             proved_fn *each, void *ctx)
{
    const struct tree_source source = {row_hash, p->hashes};
    struct evidence e = {
        .record = record_of(p), .has_row = true, .at = at, .rows = b->n};
    struct proved_row row = {
        .index = index, .has_policy = b->has_policy, .policy = b->policy};
    struct evidence_facts facts;
    struct buf text;

    memcpy(e.row, p->rows + at * ROW_BYTES, ROW_BYTES);
    enum status st = tree_inclusion(&source, at, b->n, &e.path);
    if (st == ST_OK && evidence_facts(&e, index, &facts) != ST_OK)
        st = ST_CORRUPT; /* the rows are not those that were recorded */
    if (st != ST_OK)
        return st;
    row.row = facts.row;
    buf_init(&text, PROOF_BYTES_MAX);
    st = put_proof(p, index, &e, &text);
    row.proof = buf_slice(&text);
    if (st == ST_OK)
        st = each(ctx, &row);
    buf_free(&text);
    return st;
}

enum status prover_rows(struct prover *p, uint64_t index, uint64_t ev,
                        proved_fn *each, void *ctx)
{
    struct batch_view *b = malloc(sizeof(*b)); /* large for a stack */
    enum status st = read_record(p, index);

    if (p->rows == NULL)
        p->rows = malloc((size_t)READ_ROWS_MAX * ROW_BYTES);
    if (p->hashes == NULL)
        p->hashes = malloc((size_t)READ_ROWS_MAX * HASH_BYTES);
    if (b == NULL || p->rows == NULL || p->hashes == NULL)
        st = ST_NOMEM;
    if (st == ST_OK)
        st = read_rows(p, index, b);
    for (uint64_t i = 0; st == ST_OK && i < b->n; i++) {
        struct audit_row row;
        row_decode(p->rows + i * ROW_BYTES, &row);
        if (ev == 0 || row.ev == ev)
            st = prove_row(p, index, b, i, each, ctx);
    }
    free(b);
    return st;
}
