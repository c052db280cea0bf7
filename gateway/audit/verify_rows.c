/* verify_rows.c - does the log add up? Every record, every row, every sum. */
#include "verify_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROGRESS_EVERY 256u /* records between looks at the clock */

/* The first fault counts; it ends the reading. */
bool fault(struct verify *v, uint64_t index, const char *format, ...)
{
    struct audit_report *r = v->report;
    va_list args;

    int n = snprintf(r->text, sizeof(r->text), "tampered: record %" PRIu64 " ",
                     index);
    va_start(args, format);
    (void)vsnprintf(r->text + n, sizeof(r->text) - (size_t)n, format, args);
    va_end(args);
    r->verdict = AUDIT_TAMPERED;
    r->bad_index = index;
    return false;
}

static uint64_t sum(const struct read_entry *e, size_t count)
{
    uint64_t total = 0;

    for (size_t k = 0; k < count; k++)
        total += e[k].count;
    return total;
}

static bool check_sums(struct verify *v, uint64_t i)
{
    const struct batch_view *b = &v->batch;
    const struct read_counts *c = &b->counts;
    uint64_t ex = sum(b->ex, b->ex_count);
    uint64_t n = v->mode == MODE_ALL       ? c->in + ex
                 : v->mode == MODE_DROPPED ? c->drop + ex
                                           : 0;

    if (c->in != c->fwd + c->mod + c->drop)
        return fault(v, i, "does not add up: in is not fwd + mod + drop");
    if (c->in != sum(b->by, b->by_count))
        return fault(v, i, "does not add up: in is not the sum of by");
    if (b->n != n)
        return fault(v, i, "does not add up: n is not what was decided");
    v->cum.in += c->in;
    v->cum.fwd += c->fwd;
    v->cum.mod += c->mod;
    v->cum.drop += c->drop;
    if (memcmp(&v->cum, &b->cum, sizeof(v->cum)) != 0)
        return fault(v, i, "breaks the running totals");
    v->report->decisions += c->in;
    return true;
}

static struct chain *chain_find(struct verify *v, struct slice site)
{
    for (size_t k = 0; k < v->chain_count; k++)
        if (slice_eq(slice_of(v->chains[k].site), site))
            return &v->chains[k];
    if (site.len >= sizeof(v->chains->site))
        return NULL;
    void *more = realloc(v->chains, (v->chain_count + 1) * sizeof(*v->chains));
    if (more == NULL)
        return NULL;
    v->chains = more;
    struct chain *c = &v->chains[v->chain_count++];
    *c = (struct chain){.t1 = v->idle_t1};
    memcpy(c->site, site.at, site.len);
    return c;
}

/* Time without holes: t0 is where the site's last batch, or a later
 * heartbeat, ended. */
static bool check_span(struct verify *v, const struct record_view *r)
{
    const struct batch_view *b = &v->batch;
    struct chain *c = NULL;

    if (b->site.at != NULL) {
        size_t known = v->chain_count;
        c = chain_find(v, b->site);
        if (c == NULL)
            return fault(v, r->i, "names a site that cannot be one");
        /* Its last batch may have been pruned. */
        if (v->chain_count > known && v->files.first[0] > 0 && !v->has_idle)
            c->t1 = b->t0_ms;
    }
    if (b->t0_ms != (c != NULL ? c->t1 : v->idle_t1))
        return fault(v, r->i, "leaves a hole in time: t0 is not the last t1");
    if (b->t1_ms < b->t0_ms || b->t1_ms != r->t_ms)
        return fault(v, r->i, "ends before it begins, or not at its own time");
    if (c != NULL) {
        c->t1 = b->t1_ms;
        return true;
    }
    v->idle_t1 = b->t1_ms;
    v->has_idle = true;
    for (size_t k = 0; k < v->chain_count; k++)
        v->chains[k].t1 = b->t1_ms;
    return true;
}

static bool check_policy(struct verify *v, const struct record_view *r)
{
    const struct batch_view *b = &v->batch;
    struct slice why = r->why;

    if (!take_text(&why, SLICE("pol:")))
        return fault(v, r->i, "names no policy as its reason");
    if (!b->has_policy)
        return slice_eq(why, SLICE("none"))
                   ? true
                   : fault(v, r->i, "names another policy than its own");
    for (size_t k = v->policy_count; k > 0; k--) {
        const struct policy_seen *p = &v->policies[k - 1];
        if (p->index == b->policy)
            return slice_eq(why, (struct slice){p->hex, POLICY_HEX})
                       ? true
                       : fault(v, r->i, "names another policy than its own");
    }
    /* Records before the log's first were pruned; a policy may be there. */
    if (v->files.count > 0 && b->policy < v->files.first[0])
        return true;
    return fault(v, r->i, "names a policy that was never loaded");
}

static bool check_batch(struct verify *v, const struct record_view *r,
                        bool first)
{
    v->report->batches++;
    if (!batch_read(r->d, &v->batch))
        return fault(v, r->i, "is not a batch as batches are written");
    if (first) { /* of a log whose beginning was pruned */
        v->cum = (struct read_counts){v->batch.cum.in - v->batch.counts.in,
                                      v->batch.cum.fwd - v->batch.counts.fwd,
                                      v->batch.cum.mod - v->batch.counts.mod,
                                      v->batch.cum.drop - v->batch.counts.drop};
        v->idle_t1 = v->batch.t0_ms;
    }
    return check_sums(v, r->i) && check_span(v, r) && check_policy(v, r) &&
           check_rows(v, r->i);
}

static bool note_policy(struct verify *v, const struct record_view *r)
{
    struct slice d = r->d, hash;
    struct policy_seen p = {.index = r->i};

    while (d.len > 0 && !take_text(&d, SLICE("\"pol\":")))
        d = slice_skip(d, 1);
    if (!take_string(&d, &hash) || hash.len < POLICY_HEX)
        return fault(v, r->i, "loads a policy without its hash");
    memcpy(p.hex, hash.at, POLICY_HEX);
    void *more =
        realloc(v->policies, (v->policy_count + 1) * sizeof(*v->policies));
    if (more == NULL)
        return fault(v, r->i, "could not be checked: out of memory");
    v->policies = more;
    v->policies[v->policy_count++] = p;
    return true;
}

/* cleared = accepted + refused + swept + expired + purged + dead + waiting */
static bool check_delivery(struct verify *v, const struct record_view *r)
{
    static const struct slice keys[] = {
        SLICE_INIT("\",\"cleared\":"), SLICE_INIT(",\"accepted\":"),
        SLICE_INIT(",\"refused\":"),   SLICE_INIT(",\"swept\":"),
        SLICE_INIT(",\"expired\":"),   SLICE_INIT(",\"purged\":"),
        SLICE_INIT(",\"dead\":"),      SLICE_INIT(",\"waiting\":")};
    struct slice d = r->d, name;

    if (!take_text(&d, SLICE("{\"to\":[")))
        return fault(v, r->i, "is not a delivery as they are written");
    do {
        uint64_t n[8], parts = 0;
        if (!take_text(&d, SLICE("{\"site\":")) || !take_string(&d, &name) ||
            !take_text(&d, SLICE(",\"dst\":")) || !take_string(&d, &name))
            return fault(v, r->i, "is not a delivery as they are written");
        for (size_t k = 0; k < 8; k++) {
            struct slice key = slice_skip(keys[k], k == 0);
            if (!take_text(&d, key) || !take_uint(&d, &n[k]))
                return fault(v, r->i, "is not a delivery as they are written");
            parts += k > 0 ? n[k] : 0;
        }
        if (!take_text(&d, SLICE("}")))
            return fault(v, r->i, "is not a delivery as they are written");
        if (n[0] != parts)
            return fault(v, r->i, "loses fragments: cleared is not the sum");
    } while (take_text(&d, SLICE(",")));
    return slice_eq(d, SLICE("]}")) ||
           fault(v, r->i, "is not a delivery as they are written");
}

/* The value behind `key` in a start's d; absent: SLICE_NONE. */
static bool start_value(const struct record_view *r, struct slice key,
                        struct slice *out)
{
    struct slice d = r->d;

    *out = SLICE_NONE;
    while (d.len > 0 && !take_text(&d, key))
        d = slice_skip(d, 1);
    return d.len == 0 || take_string(&d, out);
}

/* The log's name, and a change of the rows mode, are said by gate.start. */
static bool note_start(struct verify *v, const struct record_view *r)
{
    struct slice mode, origin;
    char *name = v->report->head.origin;

    if (!start_value(r, SLICE("\"rows\":"), &mode) ||
        !start_value(r, SLICE("\"origin\":"), &origin) ||
        origin.len > AUDIT_ORIGIN_MAX)
        return fault(v, r->i, "is not a start as they are written");
    if (origin.len > 0)
        memcpy(name, origin.at, origin.len);
    name[origin.len] = '\0';
    v->mode = slice_eq(mode, SLICE("dropped")) ? MODE_DROPPED
              : slice_eq(mode, SLICE("none"))  ? MODE_NONE
                                               : MODE_ALL;
    return true;
}

static bool check_record(struct verify *v, const struct record_view *r,
                         bool *any_batch)
{
    if (r->i != v->next_i)
        return fault(v, v->next_i, "is missing: %" PRIu64 " stands there",
                     r->i);
    if (r->t_ms < v->last_t)
        return fault(v, r->i, "is older than the one before it");
    if (!v->started)
        v->idle_t1 = r->t_ms;
    v->started = true;
    v->last_t = r->t_ms;
    v->next_i++;
    v->report->records++;
    if (slice_eq(r->act, SLICE("batch"))) {
        bool first = !*any_batch && v->files.first[0] > 0;
        *any_batch = true;
        return check_batch(v, r, first);
    }
    if (slice_eq(r->act, SLICE("policy.load")))
        return note_policy(v, r);
    if (slice_eq(r->act, SLICE("delivery")))
        return check_delivery(v, r);
    if (slice_eq(r->act, SLICE("gate.start")))
        return note_start(v, r);
    return true;
}

static void tell(struct verify *v)
{
    if (v->progress == NULL || v->report->records % PROGRESS_EVERY != 0)
        return;
    time_t now = time(NULL);
    if (now == v->told)
        return;
    v->told = now;
    v->progress(v->ctx, v->report->records, v->report->rows);
}

/* ST_OK with a verdict of tampered stops the reading, too. */
static enum status check_lines(struct verify *v, bool is_last, bool *any_batch)
{
    struct record_view r;
    struct slice line;
    bool whole;
    enum status st;

    while ((st = segments_line(&v->files, &line, &whole)) == ST_OK) {
        if (!whole && is_last)
            return ST_OK; /* being written, or never finished */
        if (!whole || !record_read(line, &r)) {
            (void)fault(v, v->next_i, "is not a record as they are written");
            return ST_OK;
        }
        if (!check_record(v, &r, any_batch) || !tree_grow(v, line))
            return ST_OK;
        tell(v);
    }
    if (st != ST_END)
        return st;
    if (!is_last && v->files.rows != NULL && fgetc(v->files.rows) != EOF)
        (void)fault(v, v->next_i - 1, "is followed by rows of no record");
    return ST_OK;
}

/* A log that does not begin at 0 must say that this much was deleted on
 * purpose (audit-format.md 3.1): "<n>\n". Who deletes files can write that
 * too; only a signed audit.prune binds it. */
static bool check_beginning(struct verify *v)
{
    char path[READ_PATH_MAX], says[32] = "", want[32];
    uint64_t first = v->files.count > 0 ? v->files.first[0] : 0;

    if (first == 0)
        return true;
    (void)snprintf(path, sizeof(path), "%s/minimum-index", v->files.folder);
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        (void)!fgets(says, sizeof(says), f);
        (void)fclose(f);
    }
    (void)snprintf(want, sizeof(want), "%" PRIu64 "\n", first);
    if (strcmp(says, want) == 0)
        return true;
    return fault(v, 0,
                 "is missing: the log begins at %" PRIu64
                 ", and minimum-index does not say so",
                 first);
}

static enum status check_segments(struct verify *v)
{
    bool any_batch = false;
    enum status st;

    if (!check_beginning(v) || !tree_begin(v))
        return ST_OK;
    while ((st = segments_next(&v->files)) == ST_OK) {
        size_t at = v->files.at;
        uint64_t first = v->files.first[at - 1];
        if (at == 1)
            v->next_i = first;
        if (first != v->next_i || first % 256 != 0) {
            (void)fault(v, v->next_i,
                        "is missing: the next file begins at "
                        "%" PRIu64,
                        first);
            return ST_OK;
        }
        st = check_lines(v, at == v->files.count, &any_batch);
        if (st != ST_OK || v->report->verdict == AUDIT_TAMPERED)
            return st;
    }
    if (st == ST_END)
        (void)tree_end(v);
    return st == ST_END ? ST_OK : st;
}

static void conclude(const struct verify *v)
{
    struct audit_report *r = v->report;

    (void)snprintf(r->text, sizeof(r->text),
                   v->mode == MODE_ALL
                       ? "not signed: %" PRIu64 " records and %" PRIu64
                         " rows add up to %" PRIu64 " decisions, but no "
                         "signature says that they are the ones written"
                       : "not signed: %" PRIu64 " records add up (%" PRIu64
                         " rows kept of %" PRIu64 " decisions; this log does "
                         "not keep a row for each)",
                   r->records, r->rows, r->decisions);
    if (v->since != NULL)
        (void)snprintf(r->text + strlen(r->text),
                       sizeof(r->text) - strlen(r->text),
                       "; the first %" PRIu64 " are those of the checkpoint",
                       v->since->size);
}

enum status audit_verify_rows(const char *folder,
                              const struct audit_checkpoint *since,
                              void (*progress)(void *ctx, uint64_t records,
                                               uint64_t rows),
                              void *ctx, struct audit_report *out)
{
    struct audit_report report = {.verdict = AUDIT_INCOMPLETE};
    struct verify *v = calloc(1, sizeof(*v));
    enum status st = ST_NOMEM;

    if (v == NULL)
        return ST_NOMEM;
    v->report = &report;
    v->since = since;
    v->progress = progress;
    v->ctx = ctx;
    st = segments_open(folder, &v->files);
    if (st == ST_OK)
        st = check_segments(v);
    if (st == ST_OK && report.verdict == AUDIT_INCOMPLETE)
        conclude(v);
    if (st == ST_OK)
        *out = report;
    segments_close(&v->files);
    free(v->chains);
    free(v->policies);
    free(v);
    return st;
}
