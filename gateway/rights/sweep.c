#include "lethe/gateway/rights/sweep.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MIN 64u
/* Opt-outs kept for keys that come up later: see sweep_hits(). */
#define RECENT_MAX 4096u

struct entry { /* number 0 = free */
    uint8_t tag[TAG_BYTES];
    uint64_t number;
};

struct set { /* one key's: open addressing */
    uint32_t use;
    struct entry *entries;
    size_t size, used;
};

struct sweep {
    pthread_mutex_t lock;
    struct set *sets[SPOOL_KEYS_MAX]; /* by slot */
    struct spool_keys *keys;          /* of the last sweep_add() */
    struct entry recent[RECENT_MAX];  /* plain tags, a ring */
    uint64_t recent_count;
    atomic_bool held, failed;
    atomic_uint site_count; /* of `sites`; changed under the lock */
    uint64_t sites[SWEEP_SITES_MAX];
};

enum status sweep_new(struct sweep **out)
{
    struct sweep *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return ST_NOMEM;
    }
    *out = s;
    return ST_OK;
}

static void set_free(struct set *set)
{
    if (set == NULL)
        return;
    free(set->entries);
    free(set);
}

void sweep_free(struct sweep *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < SPOOL_KEYS_MAX; i++)
        set_free(s->sets[i]);
    (void)pthread_mutex_destroy(&s->lock);
    wipe(s->recent, sizeof(s->recent));
    free(s);
}

static struct entry *find(const struct set *set, const uint8_t tag[TAG_BYTES])
{
    uint64_t bits; /* sweep tags are keyed hashes: any part spreads */

    memcpy(&bits, tag, sizeof(bits));
    size_t at = (size_t)bits & (set->size - 1);
    while (set->entries[at].number != 0 &&
           memcmp(set->entries[at].tag, tag, TAG_BYTES) != 0)
        at = (at + 1) & (set->size - 1);
    return &set->entries[at];
}

static enum status set_grow(struct set *set)
{
    struct set larger = *set;

    larger.size = set->size == 0 ? ENTRIES_MIN : set->size * 2;
    larger.entries = calloc(larger.size, sizeof(*larger.entries));
    if (larger.entries == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < set->size; i++)
        if (set->entries[i].number != 0)
            *find(&larger, set->entries[i].tag) = set->entries[i];
    free(set->entries);
    *set = larger;
    return ST_OK;
}

/* An entry holds the newest number of its tag. */
static enum status set_put(struct set *set, const uint8_t tag[TAG_BYTES],
                           uint64_t number)
{
    if (set->used >= set->size / 4 * 3 && set_grow(set) != ST_OK)
        return ST_NOMEM;
    struct entry *e = find(set, tag);
    if (e->number == 0) {
        memcpy(e->tag, tag, TAG_BYTES);
        set->used++;
    }
    if (number > e->number)
        e->number = number;
    return ST_OK;
}

static enum status put_for_key(struct set *set, const struct spool_key *key,
                               const struct entry *plain)
{
    uint8_t tag[TAG_BYTES];

    sweep_tag_make(key->key, plain->tag, tag);
    return set_put(set, tag, plain->number);
}

/* The set of (slot, use); a slot used anew loses what its last key had. A new
 * set starts with the recent opt-outs. */
static enum status set_of(struct sweep *s, const struct spool_key *key,
                          struct set **out)
{
    struct set *set = s->sets[key->slot];

    if (set != NULL && set->use == key->use) {
        *out = set;
        return ST_OK;
    }
    set_free(set);
    s->sets[key->slot] = NULL;
    set = calloc(1, sizeof(*set));
    if (set == NULL)
        return ST_NOMEM;
    set->use = key->use;
    uint64_t count =
        s->recent_count < RECENT_MAX ? s->recent_count : RECENT_MAX;
    enum status st = set_grow(set);
    for (uint64_t i = 0; st == ST_OK && i < count; i++)
        st = put_for_key(set, key, &s->recent[i]);
    if (st != ST_OK) {
        set_free(set);
        return st;
    }
    s->sets[key->slot] = set;
    *out = set;
    return ST_OK;
}

static enum status add_to_all(struct sweep *s, struct spool_keys *keys,
                              const struct entry *plain)
{
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK; i++) {
        struct spool_key key;
        struct set *set = NULL;
        enum status end = spool_keys_each(keys, i, &key);
        if (end == ST_END)
            break;
        st = end == ST_OK ? set_of(s, &key, &set) : end;
        if (st == ST_OK)
            st = put_for_key(set, &key, plain);
    }
    return st;
}

enum status sweep_add(struct sweep *s, struct spool_keys *keys, uint64_t number,
                      const uint8_t tag[TAG_BYTES])
{
    struct entry plain = {.number = number};

    assert(number > 0);
    memcpy(plain.tag, tag, TAG_BYTES);
    (void)pthread_mutex_lock(&s->lock);
    s->keys = keys;
    s->recent[s->recent_count++ % RECENT_MAX] = plain;
    enum status st = add_to_all(s, keys, &plain);
    (void)pthread_mutex_unlock(&s->lock);
    if (st != ST_OK) /* law 3: a set that lacks somebody delivers nothing */
        atomic_store(&s->failed, true);
    return st;
}

void sweep_forget(struct sweep *s, uint32_t slot, uint32_t use)
{
    if (slot >= SPOOL_KEYS_MAX)
        return;
    (void)pthread_mutex_lock(&s->lock);
    if (s->sets[slot] != NULL && s->sets[slot]->use == use) {
        set_free(s->sets[slot]);
        s->sets[slot] = NULL;
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void sweep_hold(struct sweep *s, bool held)
{
    atomic_store(&s->held, held);
}

void sweep_hold_sites(struct sweep *s, const uint64_t *sites, unsigned count)
{
    (void)pthread_mutex_lock(&s->lock);
    if (count > 0 && count <= SWEEP_SITES_MAX)
        memcpy(s->sites, sites, count * sizeof(*sites));
    atomic_store(&s->site_count, count);
    (void)pthread_mutex_unlock(&s->lock);
}

static bool is_held_site(const struct sweep *s, uint64_t site)
{
    struct sweep *w = (struct sweep *)(uintptr_t)s; /* for its lock */

    (void)pthread_mutex_lock(&w->lock);
    unsigned count = atomic_load(&w->site_count);
    bool held = count > SWEEP_SITES_MAX;
    for (unsigned i = 0; !held && i < count; i++)
        held = w->sites[i] == site;
    (void)pthread_mutex_unlock(&w->lock);
    return held;
}

bool sweep_is_held(const struct sweep *s, uint64_t site)
{
    return atomic_load(&s->held) || atomic_load(&s->failed) ||
           (atomic_load(&s->site_count) > 0 && is_held_site(s, site));
}

static bool set_hits(const struct set *set, const struct fragment *f)
{
    for (unsigned i = 0; i < f->tag_count && i < FRAGMENT_TAGS_MAX; i++)
        if (find(set, f->tags[i])->number > f->optout_seen)
            return true;
    return false;
}

bool sweep_hits(const struct sweep *s, uint32_t slot, uint32_t use,
                const struct fragment *f)
{
    /* The lock and a set not made yet are no part of what `const` promises. */
    struct sweep *w = (struct sweep *)(uintptr_t)s;
    bool hits = false;

    if (slot >= SPOOL_KEYS_MAX)
        return true; /* no such key: fail closed */
    if (f->tag_count == 0)
        return false;
    (void)pthread_mutex_lock(&w->lock);
    struct set *set = w->sets[slot];
    struct spool_key key;
    /* A key made after an opt-out had told all keys may still seal a hit that
     * was looked up before it: its set starts from the recent ones. */
    if ((set == NULL || set->use != use) && w->recent_count > 0 &&
        spool_keys_at(w->keys, slot, use, &key) == ST_OK &&
        set_of(w, &key, &set) != ST_OK)
        hits = true; /* out of memory: fail closed */
    if (!hits && set != NULL && set->use == use)
        hits = set_hits(set, f);
    (void)pthread_mutex_unlock(&w->lock);
    return hits;
}
