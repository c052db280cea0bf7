/* gaps.c - what is missing must have been ordered to go: by an audit.prune
 * record in the signed part that obeys the policies in force then, and against
 * no hold. */
#include "parts.h"

#include <inttypes.h>
#include <string.h>

#define TOTAL (4 * sizeof(uint64_t)) /* in, fwd, mod, drop */

/* By a hold in force now: is something between the two times held? */
static bool is_held(const struct verify *v, int64_t from, int64_t to)
{
    const struct list *holds = &v->lists[HOLD];

    for (size_t k = 0; k < holds->count; k++)
        if (holds->at[k].t0 <= to && holds->at[k].t1 >= from)
            return true;
    return false;
}

/* Not newer than the longest of the policies in force allows. They may be gone
 * with records that are missing: what ordered those away was held against
 * policies that are here. */
static bool is_due(const struct verify *v, int64_t now, bool rows,
                   struct text keep, int64_t cutoff, uint64_t pol)
{
    const struct list *keeps = &v->lists[KEEP];
    int64_t limit;

    if (!v_time_before(now, keep, &limit) || cutoff > limit)
        return false;
    for (size_t k = 0; k < keeps->count; k++) {
        const char *text = keeps->at[k].keep[rows ? 0 : 1];
        if (!v_time_before(now, (struct text){text, strlen(text)}, &limit) ||
            cutoff > limit)
            return false;
    }
    bool known = keeps->count > 0;
    for (size_t k = 0; !known && k < v->lists[GAP].count; k++)
        known =
            pol >= v->lists[GAP].at[k].index && pol < v->lists[GAP].at[k].to;
    return known;
}

/* Rows lie in the time that their batches tell; of records, what is known is
 * the newest time, and the cutoff of the order before. An order whose own
 * beginning is missing follows orders that went with their records. */
void v_prune_take(struct verify *v, const struct record *r)
{
    struct text d = r->d, layer, keep, root;
    uint64_t from, to, pol, size, c[8];
    int64_t cutoff;

    if (!v_take(
            &d,
            "{'layer':%s,'from':%u,'to':%u,'cutoff':%t,'keep':%s,'pol':%u,"
            "'size':%u,'root':%s,'cum0':{'in':%u,'fwd':%u,'mod':%u,'drop':%u}"
            ",'cum1':{'in':%u,'fwd':%u,'mod':%u,'drop':%u}}",
            &layer, &from, &to, &cutoff, &keep, &pol, &size, &root, c, c + 1,
            c + 2, c + 3, c + 4, c + 5, c + 6, c + 7) ||
        r->i >= v->signed_size || to > r->i ||
        !is_due(v, r->t, v_is(layer, "rows"), keep, cutoff, pol))
        return;
    struct list *l = &v->lists[v_is(layer, "rows") ? ROWS : GAP];
    for (struct fact *f = l->at; f < l->at + l->count; f++) {
        if (v_is(layer, "rows")) {
            f->met |= f->from >= from && f->to <= to && f->t1 < cutoff &&
                      !is_held(v, f->t0, f->t1);
            continue;
        }
        int64_t oldest =
            from == 0 || f->cutoff != INT64_MIN ? f->cutoff : f->t1;
        bool follows = f->from == from && memcmp(c, f->total, TOTAL) == 0;
        if ((follows || (f->from == 0 && from < f->to)) && to > f->from &&
            to <= f->to && cutoff > f->t0 &&
            !is_held(v, oldest, to == f->to ? f->t1 : oldest)) {
            f->from = to;
            f->cutoff = cutoff;
            memcpy(f->total, c + 4, TOTAL);
        }
    }
}

void v_gaps_check(struct verify *v)
{
    const struct list *gaps = &v->lists[GAP], *rows = &v->lists[ROWS];

    for (const struct fact *f = rows->at; f < rows->at + rows->count; f++)
        if (!f->met)
            (void)v_fault(v, f->index,
                          "lacks its rows: GAP NOT AUTHORISED: the "
                          "file is missing, and no signed "
                          "audit.prune ordered that");
    for (const struct fact *f = gaps->at; f < gaps->at + gaps->count; f++) {
        v->report->missing += f->to - f->index;
        if (f->from < f->to || f->t1 >= f->cutoff)
            (void)v_fault(v, f->index,
                          "and those up to %" PRIu64 " are missing: "
                          "GAP NOT AUTHORISED: no signed "
                          "audit.prune ordered that by the "
                          "retention in force",
                          f->to - 1);
        else if (f->met && memcmp(f->total, f->cum, TOTAL) != 0)
            (void)v_fault(v, f->to, "breaks the running totals over a gap");
    }
}
