#include "lethe/gateway/pass.h"

#include "lethe/audit_codes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REFUSAL_KINDS 5u

/* The share of one (site, destination). */
struct share {
    struct buf plain;
    uint32_t count;
    int64_t expires_min_ms;
};

struct site_share {
    struct share to[POLICY_DESTINATIONS_MAX];
    struct buf rows;
    uint32_t row_count;
    uint32_t refused[REFUSAL_KINDS];
    bool touched;
};

struct pass {
    struct sealer *sealer;
    struct world *world;
    struct site_share *sites;
    unsigned site_count;
    size_t bytes;       /* of plain fragments and rows */
    uint32_t rows_most; /* of one site, at least so many */
};

struct pass *pass_new(struct sealer *sealer)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (p != NULL)
        p->sealer = sealer;
    return p;
}

static void free_sites(struct pass *p)
{
    for (unsigned i = 0; i < p->site_count; i++) {
        for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
            buf_wipe(&p->sites[i].to[d].plain);
            buf_free(&p->sites[i].to[d].plain);
        }
        buf_free(&p->sites[i].rows);
    }
    free(p->sites);
    p->sites = NULL;
    p->site_count = 0;
}

void pass_free(struct pass *p)
{
    if (p == NULL)
        return;
    free_sites(p);
    world_unref(p->world);
    free(p);
}

enum status pass_set_world(struct pass *p, struct world *w)
{
    assert(pass_is_empty(p));

    struct site_share *sites = calloc(w->site_count, sizeof(*sites));
    if (sites == NULL)
        return ST_NOMEM;
    for (unsigned i = 0; i < w->site_count; i++) {
        buf_init(&sites[i].rows, PASS_ROWS_MAX * ROW_BYTES);
        for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++)
            buf_init(&sites[i].to[d].plain, PASS_PLAIN_MAX);
    }
    free_sites(p);
    world_unref(p->world);
    p->sites = sites;
    p->site_count = w->site_count;
    p->world = world_ref(w);
    return ST_OK;
}

void pass_mark(const struct pass *p, unsigned site, struct pass_point *out)
{
    const struct site_share *s = &p->sites[site];

    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        out->plain[d] = s->to[d].plain.len;
        out->counts[d] = s->to[d].count;
    }
    out->rows = s->row_count;
}

/* The shortest expiry may stay too short after this: that only empties a
 * segment earlier. */
void pass_undo(struct pass *p, unsigned site, const struct pass_point *to)
{
    struct site_share *s = &p->sites[site];

    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        p->bytes -= s->to[d].plain.len - to->plain[d];
        s->to[d].plain.len = to->plain[d];
        s->to[d].plain.failed = false;
        s->to[d].count = to->counts[d];
    }
    p->bytes -= (s->row_count - to->rows) * ROW_BYTES;
    s->row_count = to->rows;
    s->rows.len = to->rows * (size_t)ROW_BYTES;
    s->rows.failed = false;
}

enum status pass_put(struct pass *p, const struct world_site *s, unsigned d,
                     const struct clean_hit *clean, const struct fragment *f)
{
    struct share *to = &p->sites[s->index].to[d];
    size_t before = to->plain.len;

    if (p->bytes > PASS_BYTES_MAX)
        return ST_LIMIT;
    fragment_put(&to->plain, clean, f);
    if (to->plain.failed) {
        to->plain.len = before;
        to->plain.failed = false;
        return ST_LIMIT;
    }
    if (to->count == 0 || f->expires_ms < to->expires_min_ms)
        to->expires_min_ms = f->expires_ms;
    to->count++;
    p->bytes += to->plain.len - before;
    p->sites[s->index].touched = true;
    return ST_OK;
}

enum status pass_row(struct pass *p, const struct world_site *s,
                     const struct audit_row *row)
{
    struct site_share *to = &p->sites[s->index];
    uint8_t bytes[ROW_BYTES];

    row_encode(row, bytes);
    buf_put_bytes(&to->rows, bytes, sizeof(bytes));
    if (to->rows.failed) {
        to->rows.failed = false;
        return ST_LIMIT;
    }
    to->row_count++;
    if (to->row_count > p->rows_most)
        p->rows_most = to->row_count;
    p->bytes += ROW_BYTES;
    to->touched = true;
    return ST_OK;
}

void pass_refused(struct pass *p, unsigned site, int status)
{
    static const int kinds[REFUSAL_KINDS] = {
        REFUSAL_BAD_REQUEST, REFUSAL_NO_SITE, REFUSAL_TOO_LARGE_REQUEST,
        REFUSAL_RATE, REFUSAL_OVERLOAD};
    unsigned at = site < p->site_count ? site : 0;

    for (unsigned i = 0; i < REFUSAL_KINDS; i++)
        if (kinds[i] == status && p->site_count > 0)
            p->sites[at].refused[i]++;
}

bool pass_is_empty(const struct pass *p)
{
    return p->bytes == 0;
}

bool pass_is_large(const struct pass *p)
{
    return p->bytes > PASS_PLAIN_MAX / 2 ||
           p->rows_most > PASS_ROWS_MAX - PASS_FRAGMENTS_MAX;
}

static bool any_refused(const struct site_share *s)
{
    for (unsigned i = 0; i < REFUSAL_KINDS; i++)
        if (s->refused[i] > 0)
            return true;
    return false;
}

static enum status seal_share(struct pass *p, const struct world_destination *d,
                              struct share *from, struct group *g)
{
    struct group_blob *blob = group_add_blob(g);

    if (blob == NULL)
        return ST_NOMEM;
    blob->destination = d->key;
    blob->slot = d->spool.slot;
    blob->use = d->spool.use;
    blob->count = from->count;
    blob->expires_min_ms = from->expires_min_ms;
    blob->offset = g->sealed.len;
    enum status st = blob_seal(p->sealer, &d->spool, from->count,
                               buf_slice(&from->plain), &g->sealed);
    blob->len = g->sealed.len - blob->offset;
    return st;
}

static enum status add_rows(const struct pass *p, const struct world_site *s,
                            struct site_share *from, int64_t now_ms,
                            struct group *g)
{
    struct group_rows *rows = group_add_rows(g);

    if (rows == NULL)
        return ST_NOMEM;
    rows->site = s->number;
    rows->policy_index = s->policy_index;
    memcpy(rows->tag, p->world->day_tag, sizeof(rows->tag));
    rows->time_ms = now_ms;
    rows->count = from->row_count;
    rows->offset = g->rows.len;
    memcpy(rows->refused, from->refused, sizeof(rows->refused));
    buf_put(&g->rows, buf_slice(&from->rows));
    return g->rows.failed ? ST_LIMIT : ST_OK;
}

static enum status seal_site(struct pass *p, unsigned site, int64_t now_ms,
                             struct group *g)
{
    const struct world_site *s = &p->world->sites[site];
    struct site_share *from = &p->sites[site];
    enum status st = ST_OK;

    for (unsigned d = 0; st == ST_OK && d < POLICY_DESTINATIONS_MAX; d++)
        if (from->to[d].count > 0)
            st = seal_share(p, s->to[d], &from->to[d], g);
    if (st == ST_OK && (from->row_count > 0 || any_refused(from)))
        st = add_rows(p, s, from, now_ms, g);
    return st;
}

static void empty_site(struct site_share *s)
{
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        struct share *to = &s->to[d];
        if (to->plain.len > 0)
            wipe(to->plain.data, to->plain.len);
        buf_reset(&to->plain);
        to->count = 0;
    }
    buf_reset(&s->rows);
    s->row_count = 0;
    memset(s->refused, 0, sizeof(s->refused));
    s->touched = false;
}

enum status pass_seal(struct pass *p, int64_t now_ms, uint64_t optout_seen,
                      bool refusals_too, struct group **out)
{
    enum status st = ST_OK;
    struct group *g = NULL;

    *out = NULL;
    for (unsigned i = 0; i < p->site_count; i++) {
        struct site_share *s = &p->sites[i];
        if (!s->touched && !(refusals_too && any_refused(s)))
            continue;
        if (g == NULL)
            g = group_new();
        if (st == ST_OK)
            st = g == NULL ? ST_NOMEM : seal_site(p, i, now_ms, g);
        empty_site(s);
    }
    p->bytes = 0;
    p->rows_most = 0;
    if (st != ST_OK) {
        group_unref(g);
        return st;
    }
    if (g != NULL)
        g->optout_seen = optout_seen;
    *out = g;
    return ST_OK;
}
