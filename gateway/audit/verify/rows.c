/* rows.c - a batch's rows against what its record says of them. */
#include "parts.h"

#include <inttypes.h>
#include <string.h>

#define CHUNK 1024u /* rows read at a time */

enum act { CLEARED = 1, MINIMISED, DROPPED, LAST_ACT = 8 };

static uint64_t number(const uint8_t *at, size_t bytes)
{
    uint64_t n = 0;

    while (bytes-- > 0)
        n = n << 8 | *at++;
    return n;
}

static struct entry *find(struct batch *b, unsigned ex, uint64_t kind)
{
    for (size_t k = 0; k < b->count[ex]; k++)
        if (b->list[ex][k].kind == kind)
            return &b->list[ex][k];
    return NULL;
}

/* Count one row. `rows=dropped` has no row of a cleared event, so that a
 * further denial of one stands alone there: it counts where there is room. */
static bool count_row(struct verify *v, const uint8_t *row, bool further)
{
    uint64_t kind = number(row + 6, 2) << 16 | row[5];
    struct entry *by = find(&v->batch, 0, kind);
    bool event = row[4] <= DROPPED && !further;

    if (v->mode == MODE_DROPPED && event && row[4] == DROPPED)
        event = by != NULL && by->seen < by->count;
    struct entry *e =
        event ? by : find(&v->batch, 1, (uint64_t)row[4] << 32 | kind);
    return e != NULL && ++e->seen <= e->count;
}

static bool check_row(struct verify *v, uint64_t i, uint64_t k,
                      const uint8_t *row, const uint8_t *last,
                      uint64_t acts[LAST_ACT + 1])
{
    int64_t us = (int64_t)number(row, 4);
    bool further = row[4] == DROPPED && last[4] <= DROPPED && last[4] > 0 &&
                   memcmp(row + 16, last + 16, 8) == 0;

    if (row[4] < CLEARED || row[4] > LAST_ACT)
        return v_fault(v, i, "has a row %" PRIu64 " of no known act", k);
    if (us < (int64_t)number(last, 4) ||
        us > (v->batch.t1 - v->batch.t0) * 1000)
        return v_fault(v, i, "has a row %" PRIu64 " out of its time", k);
    if (!count_row(v, row, further))
        return v_fault(v, i, "has a row %" PRIu64 " it does not count", k);
    acts[row[4]] += !further;
    return true;
}

static bool read_rows(struct verify *v, uint64_t i, struct tree *tree,
                      uint64_t acts[LAST_ACT + 1])
{
    uint8_t rows[(CHUNK + 1) * ROW] = {0}, hash[HASH];

    for (uint64_t k = 0, n; k < v->batch.n; k += n) {
        n = v->batch.n - k < CHUNK ? v->batch.n - k : CHUNK;
        if (fread(rows + ROW, ROW, n, v->rows) != n)
            return v_fault(v, i, "lacks rows: the rows file is too short");
        for (uint64_t j = 1; j <= n; j++) {
            v_hash_leaf(rows + j * ROW, ROW, hash);
            v_tree_add(tree, 0, hash);
            if (!check_row(v, i, k + j - 1, rows + j * ROW,
                           rows + (j - 1) * ROW, acts))
                return false;
        }
        memcpy(rows, rows + n * ROW, ROW);
    }
    return true;
}

bool v_rows_check(struct verify *v, uint64_t i)
{
    const struct batch *b = &v->batch;
    uint64_t acts[LAST_ACT + 1] = {0};
    struct tree tree = {.size = 0};
    uint8_t root[HASH], says[HASH];

    if ((b->n == 0) != (b->root.at == NULL) || b->n > BATCH_ROWS)
        return v_fault(v, i, "has a root without rows, or rows without a root");
    if (b->n == 0)
        return true;
    if (v->rows == NULL) { /* deleted by order, or not: that is seen later */
        struct fact *f = v_fact_find(v, ROWS, LATEST);
        f = f != NULL && f->from == v->segment ? f
                                               : v_fact_add(v, ROWS, LATEST);
        if (f->from != v->segment || f->index == 0)
            *f = (struct fact){.index = i, .from = v->segment, .t0 = b->t0};
        f->t1 = b->t1 > f->t1 ? b->t1 : f->t1;
        f->t0 = b->t0 < f->t0 ? b->t0 : f->t0;
        f->to = i + 1;
        return true;
    }
    if (!read_rows(v, i, &tree, acts))
        return false;
    v_tree_root(&tree, root);
    if (!v_base64_take(b->root, says, HASH) || memcmp(root, says, HASH) != 0)
        return v_fault(v, i, "has a root that is not its rows'");
    for (unsigned k = 0; k < 2 && v->mode == MODE_ALL; k++)
        for (size_t e = 0; e < b->count[k]; e++)
            if (b->list[k][e].seen != b->list[k][e].count)
                return v_fault(v, i, "counts other than its rows");
    if (v->mode == MODE_ALL
            ? acts[CLEARED] != b->here[1] || acts[MINIMISED] != b->here[2] ||
                  acts[DROPPED] != b->here[3]
            : acts[CLEARED] + acts[MINIMISED] > 0)
        return v_fault(v, i, "counts other than its rows");
    v->report->rows += b->n;
    return true;
}
