/* reload_loosens.c - may a reload let something through that did not go before?
 * Then it waits until its records are signed (audit-format.md section 4). */
#include "lethe/gateway/gateway.h"

#include "lethe/policy/policy_text.h"

#include <string.h>

#define WORDS_MAX (1u << 20)

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The same recipient under the same name. */
static bool had_destination(const struct conf_site *before,
                            const struct conf_destination *d)
{
    for (unsigned i = 0; i < before->destination_count; i++) {
        const struct conf_destination *b = &before->destinations[i];
        if (strcmp(b->name, d->name) == 0)
            return b->type == d->type && same_text(b->url, d->url) &&
                   same_text(b->path, d->path) &&
                   same_text(b->measurement_id, d->measurement_id);
    }
    return false;
}

/* Words that do not fit are no proof that it tightens. */
static bool policy_loosens(const struct policy *before,
                           const struct policy *after)
{
    bool loosens = true;
    struct buf words;

    if (strcmp(before->hash_text, after->hash_text) == 0)
        return false;
    buf_init(&words, WORDS_MAX);
    if (policy_diff_words(before, after, &words, &loosens) != ST_OK)
        loosens = true;
    buf_free(&words);
    return loosens;
}

static const struct world_site *find(const struct world *w, const char *id)
{
    for (unsigned i = 0; i < w->site_count; i++)
        if (strcmp(w->sites[i].conf->id, id) == 0)
            return &w->sites[i];
    return NULL;
}

bool reload_loosens(const struct world *before, const struct conf *c,
                    struct policy *const *policies)
{
    for (unsigned i = 0; i < c->site_count; i++) {
        const struct conf_site *s = &c->sites[i];
        const struct world_site *old = find(before, s->id);
        if (old == NULL || policy_loosens(old->policy, policies[i]))
            return true;
        for (unsigned d = 0; d < s->destination_count; d++)
            if (!had_destination(old->conf, &s->destinations[d]))
                return true;
    }
    return false;
}
