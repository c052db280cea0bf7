#include "lethe/gateway/world.h"

#include "lethe/gateway/audit/log.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/metrics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DAY_KEY_BYTES 16u

struct world *world_ref(struct world *w)
{
    (void)__atomic_add_fetch(&w->refs, 1, __ATOMIC_RELAXED);
    return w;
}

static void site_clear(struct world_site *s)
{
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        if (s->to[d] == NULL)
            continue;
        secret_free(s->to[d]->event_keys);
        secret_free(s->to[d]->epoch_key);
        free(s->to[d]);
    }
    policy_unref(s->policy);
}

void world_unref(struct world *w)
{
    if (w == NULL || __atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (unsigned i = 0; i < w->site_count; i++)
        site_clear(&w->sites[i]);
    free(w->sites);
    secret_free(w->day_key);
    if (__atomic_sub_fetch(w->conf_refs, 1, __ATOMIC_ACQ_REL) == 0) {
        conf_free(w->conf);
        free(w->conf_refs);
    }
    free(w);
}

/* Needs the epoch key. */
static enum status event_keys_make(const struct world_site *s,
                                   struct world_destination *d)
{
    unsigned n = s->policy->purpose_count;

    d->event_keys = secret_alloc(n * sizeof(*d->event_keys));
    if (d->event_keys == NULL)
        return ST_NOMEM;
    for (unsigned i = 0; i < n; i++) {
        const struct pseudonym_scope scope = {
            .site = s->id,
            .destination = slice_of(d->conf->name),
            .purpose = s->policy->purposes[i].name,
        };
        event_key_make(d->epoch_key, &scope, d->event_keys[i]);
    }
    return ST_OK;
}

static enum status destination_make(const struct world_parts *parts,
                                    struct world_site *s, unsigned plan,
                                    struct world_news *news,
                                    struct world_destination *d)
{
    const struct destination_plan *p = &s->policy->destinations[plan];
    struct slice name = slice_of(d->conf->name);
    struct epoch epoch;
    bool fresh = false;

    enum status st =
        epochs_current(parts->epochs, s->id, name, p->rotate, p->rotate_at_ms,
                       parts->now_ms, &epoch, &fresh);
    if (st != ST_OK)
        return st;
    news->epochs_made += fresh;
    d->key = destination_key(s->id, name);
    d->plan = plan;
    d->epoch_id = epoch.id;
    d->epoch_starts_ms = epoch.starts_ms;
    d->epoch_ends_ms = epoch.ends_ms;
    d->epoch_key = secret_alloc(KEY_BYTES);
    if (d->epoch_key == NULL)
        return ST_NOMEM;
    epoch_key_make(parts->master, epoch.secret, d->epoch_key);
    st = event_keys_make(s, d);
    if (st != ST_OK)
        return st;
    return spool_keys_get(parts->spool_keys, d->key, d->epoch_id, parts->now_ms,
                          &d->spool);
}

static enum status site_make(const struct world_parts *parts, struct world *w,
                             unsigned index, struct world_news *news)
{
    struct world_site *s = &w->sites[index];

    s->index = index;
    s->metrics = parts->only != NULL ? METRICS_UNCOUNTED : index;
    s->conf = parts->only != NULL ? parts->only : &parts->conf->sites[index];
    s->id = slice_of(s->conf->id);
    s->number = site_number(s->id);
    s->policy = policy_ref(parts->policies[index]);
    int64_t wait = duration_rough_ms(s->policy->keep_spool);
    if (wait > w->longest_wait_ms)
        w->longest_wait_ms = wait;
    s->policy_index = parts->policy_indexes[index];
    const struct policy_version version = {s->id, s->policy->version,
                                           s->policy->hash};
    s->policy_since_ms = policy_versions_since(parts->versions, &version);
    if (s->policy_since_ms == 0) /* it comes into force with this world */
        s->policy_since_ms = parts->now_ms;
    for (unsigned i = 0; i < s->conf->destination_count; i++) {
        const struct conf_destination *conf = &s->conf->destinations[i];
        int plan = policy_find_destination(s->policy, slice_of(conf->name));
        assert(plan >= 0); /* the supervisor has checked it */
        struct world_destination *d = calloc(1, sizeof(*d));
        if (d == NULL)
            return ST_NOMEM;
        d->conf = conf;
        s->to[plan] = d;
        s->present = (uint16_t)(s->present | 1u << plan);
        enum status st = destination_make(parts, s, (unsigned)plan, news, d);
        if (st != ST_OK)
            return st;
        if (d->epoch_ends_ms < w->valid_until_ms)
            w->valid_until_ms = d->epoch_ends_ms;
    }
    return ST_OK;
}

static enum status fill(const struct world_parts *parts, struct world *w,
                        struct world_news *news)
{
    unsigned count = parts->only != NULL ? 1 : parts->conf->site_count;

    w->valid_until_ms = parts->now_ms - parts->now_ms % MS_PER_DAY + MS_PER_DAY;
    w->day_key = secret_alloc(DAY_KEY_BYTES);
    w->sites = calloc(count, sizeof(*w->sites));
    if (w->day_key == NULL || w->sites == NULL)
        return ST_NOMEM;
    w->subject_on = parts->conf->subject_search_ms > 0;
    enum status st =
        epochs_day_key(parts->epochs, parts->now_ms, w->day_key, w->day_tag,
                       &news->tag_new, &news->tags_destroyed);
    for (unsigned i = 0; st == ST_OK && i < count; i++) {
        w->site_count = i + 1;
        st = site_make(parts, w, i, news);
    }
    return st;
}

enum status world_new(const struct world_parts *parts, struct world **out,
                      struct world_news *out_news)
{
    struct world_news news = {0};
    struct world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return ST_NOMEM;
    w->refs = 1;
    w->conf = parts->conf;
    w->conf_refs = parts->conf_refs;
    (void)__atomic_add_fetch(w->conf_refs, 1, __ATOMIC_RELAXED);
    enum status st = fill(parts, w, &news);
    if (st != ST_OK) {
        world_unref(w);
        return st;
    }
    *out = w;
    *out_news = news;
    return ST_OK;
}
