/* record.c - does a record follow from those before it? */
#include "parts.h"

#include <inttypes.h>
#include <string.h>

bool v_record_read(struct text s, struct record *r)
{
    return s.len <= LINE_BYTES &&
           v_take(&s,
                  "{'v':1,'i':%u,'t':%t,'act':%s,'who':%s,'why':%s,'out':%s,"
                  "'d':%v}",
                  &r->i, &r->t, &r->act, &r->who, &r->why, &r->out, &r->d) &&
           s.len == 0 && *r->d.at == '{' &&
           (v_is(r->out, "ok") || v_is(r->out, "denied") ||
            v_is(r->out, "failed"));
}

/* [[act,rule,reason,count],...], the last `width` of them: in rising order. */
static bool take_list(struct text *s, unsigned width, struct entry *e,
                      size_t *count)
{
    *count = 0;
    if (!v_take(s, "[") || v_take(s, "]"))
        return s->at[-1] == ']';
    do {
        uint64_t v[4] = {0};
        bool ok = v_take(s, "[");
        for (unsigned k = 4 - width; k < 4 && ok; k++)
            ok = v_take(s, "%u", &v[k]) && v_take(s, k < 3 ? "," : "]");
        uint64_t kind = v[0] << 32 | v[1] << 16 | v[2];
        if (!ok || *count == ENTRIES_MAX || (v[0] | v[1] | v[2]) > UINT16_MAX ||
            v[3] == 0 || (*count > 0 && kind <= e[*count - 1].kind))
            return false;
        e[(*count)++] = (struct entry){kind, v[3], 0};
    } while (v_take(s, ","));
    return v_take(s, "]");
}

/* Logs from before site, ref, oo, ooh and ex lack those keys. */
static bool batch_read(struct text d, struct batch *b)
{
    uint64_t *n = b->here, *c = b->cum, oo;
    struct text ooh = {NULL, 44};

    b->policy = NONE;
    b->site.at = NULL;
    if (!v_take(&d, "{'pol':null") && !v_take(&d, "{'pol':%u", &b->policy))
        return false;
    (void)v_take(&d, ",'site':%s", &b->site);
    if (!v_take(&d,
                ",'t0':%t,'t1':%t,'in':%u,'fwd':%u,'mod':%u,'drop':%u,'by':",
                &b->t0, &b->t1, &n[0], &n[1], &n[2], &n[3]) ||
        !take_list(&d, 3, b->list[0], &b->count[0]) ||
        !v_take(&d,
                ",'n':%u,'root':%n,'tag':%n,'cum':{'in':%u,'fwd':%u,'mod':%u,"
                "'drop':%u}",
                &b->n, &b->root, &b->tag, &c[0], &c[1], &c[2], &c[3]) ||
        (v_take(&d, ",'ref':") && !take_list(&d, 2, b->list[1], &b->count[1])))
        return false;
    (void)v_take(&d, ",'oo':%u,'ooh':%s", &oo, &ooh);
    b->count[1] = 0;
    return ooh.len == 44 &&
           (!v_take(&d, ",'ex':") ||
            take_list(&d, 4, b->list[1], &b->count[1])) &&
           v_take(&d, "}") && d.len == 0;
}

static bool check_sums(struct verify *v, uint64_t i)
{
    struct batch *b = &v->batch;
    uint64_t sum[2] = {0, 0}, *n = b->here;

    for (unsigned k = 0; k < 2; k++)
        for (size_t e = 0; e < b->count[k]; e++)
            sum[k] += b->list[k][e].count;
    if (n[0] != n[1] + n[2] + n[3] || n[0] != sum[0])
        return v_fault(v, i,
                       "does not add up: in is not fwd + mod + drop, or "
                       "not the sum of by");
    const uint64_t rows[] = {n[0] + sum[1], n[3] + sum[1], 0, b->n};
    if (v->mode == MODE_UNKNOWN && b->n > 0)
        v->mode = b->n == rows[MODE_ALL] ? MODE_ALL : MODE_DROPPED;
    if (b->n != rows[v->mode])
        return v_fault(v, i, "does not add up: n is not what was decided");
    for (unsigned k = 0; k < 4; k++) {
        if (v->adopt_cum)
            v->cum[k] = b->cum[k] - n[k];
        if (b->cum[k] != v->cum[k] + n[k])
            return v_fault(v, i, "breaks the running totals");
    }
    if (v->adopt_cum) {
        struct fact *gap = v_fact_find(v, GAP, LATEST);
        memcpy(gap->cum, v->cum, sizeof(v->cum));
        gap->met = true;
    }
    v->adopt_cum = false;
    memcpy(v->cum, b->cum, sizeof(v->cum));
    return true;
}

/* Time without holes: t0 is where the site's last batch, or a later
 * heartbeat, ended. What comes first behind a missing range tells a time that
 * lies in it. */
static bool check_span(struct verify *v, const struct record *r)
{
    const struct batch *b = &v->batch;
    bool idle = b->site.at == NULL;
    struct fact *s = idle ? NULL : v_fact_find(v, SITE, b->site);
    int64_t t1 = s != NULL ? s->t1 : v->idle_t1;

    if (s == NULL && v->adopt_time) {
        struct fact *gap = v_fact_find(v, GAP, LATEST);
        gap->t1 = b->t0 > gap->t1 ? b->t0 : gap->t1;
        t1 = b->t0;
    }
    if (b->t0 != t1)
        return v_fault(v, r->i, "leaves a hole in time: t0 is not the last t1");
    if (b->t1 < b->t0 || b->t1 != r->t)
        return v_fault(v, r->i,
                       "ends before it begins, or not at its own time");
    if (idle) { /* it speaks for every site */
        v->adopt_time = false;
        v->lists[SITE].count = 0;
        v->idle_t1 = b->t1;
        return true;
    }
    s = s != NULL ? s : v_fact_add(v, SITE, b->site);
    s->t1 = b->t1;
    return true;
}

/* The policy and the day key are those of earlier records. */
static bool check_names(struct verify *v, const struct record *r)
{
    const struct batch *b = &v->batch;
    const struct list *gaps = &v->lists[GAP];
    struct text why = r->why;
    bool known = b->policy == NONE && v_is(why, "pol:none"), tag;
    char key[48];

    if (!known && v_take(&why, "pol:") && b->policy < r->i) {
        int n = snprintf(key, sizeof(key), "%" PRIu64 " %.*s", b->policy,
                         (int)(why.len < 17 ? why.len : 17), why.at);
        known = v_fact_find(v, POLICY, (struct text){key, (size_t)n}) != NULL;
        for (size_t k = 0; k < gaps->count; k++)
            known |=
                b->policy >= gaps->at[k].index && b->policy < gaps->at[k].to;
    }
    tag = b->tag.at == NULL || v->lists[TAG].count == 0 || gaps->count > 0 ||
          v_fact_find(v, TAG, b->tag) != NULL;
    return (known && tag) || v_fault(v, r->i,
                                     "names a policy or a day key that "
                                     "no earlier record brought");
}

static bool check_batch(struct verify *v, const struct record *r)
{
    v->report->batches++;
    if (!batch_read(r->d, &v->batch))
        return v_fault(v, r->i, "is not a batch as batches are written");
    if (!check_sums(v, r->i) || !check_span(v, r) || !check_names(v, r))
        return false;
    v->report->decisions += v->batch.here[0];
    return v_rows_check(v, r->i);
}

/* cleared = the sum of the other seven; totals never fall while it runs. */
static bool check_delivery(struct verify *v, const struct record *r)
{
    struct text d = r->d, from, site, to;
    bool ok = v_take(&d, "{'to':[");

    while (ok) {
        uint64_t n[8];
        from = d;
        ok = v_take(&d, "{'site':%s,'dst':%s", &site, &to);
        struct text name = {from.at, (size_t)(d.at - from.at)};
        if (!ok || !v_take(&d,
                           ",'cleared':%u,'accepted':%u,'refused':%u,"
                           "'swept':%u,'expired':%u,'purged':%u,'dead':%u,"
                           "'waiting':%u}",
                           n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7))
            break;
        if (n[0] != n[1] + n[2] + n[3] + n[4] + n[5] + n[6] + n[7])
            return v_fault(v, r->i, "loses fragments: cleared is not the sum");
        struct fact *f = v_fact_find(v, TOTALS, name);
        f = f != NULL ? f : v_fact_add(v, TOTALS, name);
        for (unsigned k = 0; k < 6; k++)
            if (n[k] < f->total[k])
                return v_fault(v, r->i, "takes back what was delivered");
        memcpy(f->total, n, sizeof(f->total));
        ok = v_take(&d, ",");
    }
    return (v_take(&d, "]}") && d.len == 0) ||
           v_fault(v, r->i, "is not a delivery as they are written");
}

/* Policies in force say how long the log is kept. */
static bool take_policy(struct verify *v, const struct record *r)
{
    struct text d = v_after(r->d, "'pol':"), hash, rows, records,
                site = {"", 0};
    struct text keep = v_after(r->d, "'keep':"),
                named = v_after(r->d, "'site':");
    struct list *l = &v->lists[KEEP];
    char key[48];

    if (!v_take(&d, "%s", &hash) || hash.len < 16)
        return v_fault(v, v->position, "loads a policy without its hash");
    int n = snprintf(key, sizeof(key), "%" PRIu64 " %.16s", r->i, hash.at);
    (void)v_fact_add(v, POLICY, (struct text){key, (size_t)n});
    (void)v_take(&named, "%s", &site);
    struct fact *f = v_fact_find(v, KEEP, site);
    if (f != NULL) /* the newest stands last */
        memmove(f, f + 1, (size_t)(l->at + l->count-- - f - 1) * sizeof(*f));
    f = v_fact_add(v, KEEP, site);
    if (v_take(&keep, "{'rows':%s,'records':%s}", &rows, &records)) {
        (void)snprintf(f->keep[0], 24, "%.*s", (int)rows.len, rows.at);
        (void)snprintf(f->keep[1], 24, "%.*s", (int)records.len, records.at);
    }
    return true;
}

/* The log's name and a change of the rows mode; what is counted anew. */
static bool take_start(struct verify *v, const struct record *r)
{
    struct text mode = v_after(r->d, "'rows':"),
                origin = v_after(r->d, "'origin':");
    struct text name = {"", 0};

    v->lists[TOTALS].count = v->lists[KEEP].count = 0;
    v->mode = v_take(&mode, "'dropped'") ? MODE_DROPPED
              : v_take(&mode, "'none'")  ? MODE_NONE
                                         : MODE_ALL;
    (void)v_take(&origin, "%s", &name);
    (void)snprintf(v->report->origin, sizeof(v->report->origin), "%.*s",
                   (int)name.len, name.at);
    return name.len == 0 || v->origin[0] == '\0' || v_is(name, v->origin) ||
           v_fault(v, v->position,
                   "is of another log: its name is not the "
                   "checkpoint's");
}

/* {"id","state","from","to"} */
static void take_hold(struct verify *v, const struct record *r)
{
    struct text d = r->d, id, state;
    int64_t from, to = INT64_MAX;

    if (!v_take(&d, "{'id':%s,'state':%s,'from':%t,'to':", &id, &state, &from))
        return;
    (void)v_take(&d, "%t", &to);
    struct fact *f = v_fact_find(v, HOLD, id);
    if (v_is(state, "set"))
        f = v_fact_add(v, HOLD, id);
    if (f != NULL) {
        f->t0 = from;
        f->t1 = v_is(state, "set") ? to : INT64_MIN;
    }
}

static bool take_named(struct verify *v, const struct record *r)
{
    struct text d = v_after(r->d, "'tag':"), tag;
    struct text sites = v_after(r->d, "'sites':");
    struct list *keeps = &v->lists[KEEP];
    uint64_t count;

    if (v_is(r->act, "tag.new") && v_take(&d, "%s", &tag))
        (void)v_fact_add(v, TAG, tag);
    if (v_is(r->act, "audit.hold"))
        take_hold(v, r);
    if (v_is(r->act, "audit.prune"))
        v_prune_take(v, r);
    if (v_is(r->act, "config.load") && v_take(&sites, "%u", &count)) {
        v->lists[TOTALS].count = 0;
        for (; keeps->count > count; keeps->count--)
            memmove(keeps->at, keeps->at + 1,
                    (keeps->count - 1) * sizeof(*keeps->at));
    }
    return true;
}

bool v_record_check(struct verify *v, const struct record *r)
{
    bool bad = v->bad != NONE; /* then only what orders deletion counts */

    if (!bad && r->i != v->position)
        return v_fault(v, v->position, "is missing: %" PRIu64 " stands there",
                       r->i);
    if (!bad && r->t < v->last_t)
        return v_fault(v, r->i, "is older than the one before it");
    v->idle_t1 = v->last_t == INT64_MIN ? r->t : v->idle_t1;
    v->last_t = r->t;
    v->report->records += !bad;
    if (v_is(r->act, "batch"))
        return bad || check_batch(v, r);
    if (v_is(r->act, "delivery"))
        return bad || check_delivery(v, r);
    if (v_is(r->act, "policy.load"))
        return take_policy(v, r);
    if (v_is(r->act, "gate.start"))
        return take_start(v, r);
    return take_named(v, r);
}
