#include "lethe/gateway/id_cache.h"

#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/random.h"

#include <stdlib.h>
#include <string.h>

#define PSEUDONYM_KEPT 32u /* bytes; longer ones are made each time */

struct kept {
    bool has_sweep;
    uint8_t pseudonym_len; /* 0: none kept */
    uint8_t purpose;
    uint8_t sweep[TAG_BYTES];
    char pseudonym[PSEUDONYM_KEPT];
};

struct id_entry {
    uint64_t name[2]; /* two keyed hashes; both 0: empty */
    uint8_t tag[TAG_BYTES];
    struct kept to[POLICY_DESTINATIONS_MAX];
};

struct id_cache {
    const uint8_t *optout_key;
    uint8_t keys[2][16];
    struct id_entry *entries;
    bool dirty;
};

static void fresh_keys(struct id_cache *c)
{
    struct random_source r;

    random_init(&r);
    random_take(&r, c->keys, sizeof(c->keys));
    random_wipe(&r);
}

struct id_cache *id_cache_new(const uint8_t *optout_key)
{
    struct id_cache *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->optout_key = optout_key;
    c->entries = secret_alloc(ID_CACHE_SLOTS * sizeof(*c->entries));
    if (c->entries == NULL) {
        free(c);
        return NULL;
    }
    fresh_keys(c);
    return c;
}

void id_cache_free(struct id_cache *c)
{
    if (c == NULL)
        return;
    secret_free(c->entries);
    wipe(c->keys, sizeof(c->keys));
    free(c);
}

void id_cache_clear(struct id_cache *c)
{
    if (c->dirty)
        wipe(c->entries, ID_CACHE_SLOTS * sizeof(*c->entries));
    c->dirty = false;
    fresh_keys(c);
}

#define NAME_BYTES_MAX 256u

/* Site, kind and identifier as one message. Identifiers too long for the
 * buffer are not kept: the caller gets an evicted, freshly made entry. */
static bool name_of(const struct id_cache *c, const struct world_site *s,
                    enum id_kind kind, struct slice exact, uint64_t out[2])
{
    uint8_t message[NAME_BYTES_MAX + 9];

    if (exact.len > NAME_BYTES_MAX)
        return false;
    memcpy(message, &s->number, 8);
    message[8] = (uint8_t)kind;
    if (exact.len > 0)
        memcpy(message + 9, exact.at, exact.len);
    out[0] = cache_hash(c->keys[0], message, exact.len + 9);
    out[1] = cache_hash(c->keys[1], message, exact.len + 9) | 1u;
    wipe(message, exact.len + 9);
    return true;
}

struct id_entry *id_cache_find(struct id_cache *c, const struct world_site *s,
                               enum id_kind kind, struct slice exact,
                               struct slice canonical)
{
    uint64_t name[2] = {0, 0};
    bool keep = name_of(c, s, kind, exact, name);
    struct id_entry *e = &c->entries[name[0] & (ID_CACHE_SLOTS - 1)];

    if (keep && e->name[0] == name[0] && e->name[1] == name[1])
        return e;
    c->dirty = true;
    memset(e, 0, sizeof(*e));
    if (keep)
        memcpy(e->name, name, sizeof(name));
    optout_tag_make(c->optout_key, s->id, canonical, e->tag);
    return e;
}

const uint8_t *id_entry_tag(const struct id_entry *e)
{
    return e->tag;
}

void id_entry_sweep(struct id_entry *e, const struct world_destination *d,
                    uint8_t out[TAG_BYTES])
{
    struct kept *k = &e->to[d->plan];

    if (!k->has_sweep) {
        sweep_tag_make(d->spool.key, e->tag, k->sweep);
        k->has_sweep = true;
    }
    memcpy(out, k->sweep, TAG_BYTES);
}

size_t id_entry_pseudonym(struct id_entry *e, const struct world_site *s,
                          const struct world_destination *d, unsigned purpose,
                          enum id_kind kind, struct slice exact,
                          char out[PSEUDONYM_TEXT_MAX])
{
    struct kept *k = &e->to[d->plan];

    if (k->pseudonym_len > 0 && k->purpose == purpose) {
        memcpy(out, k->pseudonym, k->pseudonym_len);
        return k->pseudonym_len;
    }
    const struct pseudonym_scope scope = {
        .site = s->id,
        .destination = slice_of(d->conf->name),
        .purpose = s->policy->purposes[purpose].name,
    };
    size_t len = pseudonym_make(d->epoch_key, &scope, kind, exact,
                                s->policy->destinations[d->plan].bits,
                                SHAPE_BASE32, out);
    if (len <= PSEUDONYM_KEPT) {
        memcpy(k->pseudonym, out, len);
        k->pseudonym_len = (uint8_t)len;
        k->purpose = (uint8_t)purpose;
    }
    return len;
}
