/* optout_change.c - sets: in force first, then on disk. Lifts are in
 * optout_lift.c. */
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/optout_receipt.h"
#include "lethe/gateway/rights/optout_store.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static enum status add_waiter_records(struct optouts *o, struct optout_batch *b,
                                      struct optout_waiter *w,
                                      unsigned *sites_added)
{
    struct optout_change set = {.kind = OPTOUT_KIND_SET, .time_ms = w->time_ms};
    struct optout_tag_facts facts;
    unsigned site;

    if (!optout_site_index(&o->sites, slice_of(w->site), &site)) {
        struct optout_change c = {.kind = OPTOUT_KIND_SITE,
                                  .time_ms = w->time_ms};
        memcpy(c.site_id, w->site, sizeof(c.site_id));
        optout_batch_add(o, b, &c);
        site = o->sites.count + (*sites_added)++;
    }
    optout_table_facts(o->table, w->tag, &facts);
    set.ref = facts.newest;
    set.site = (uint16_t)site;
    memcpy(set.tag, w->tag, TAG_BYTES);
    memcpy(set.commitment, w->commitment, sizeof(set.commitment));
    memcpy(set.commit_key, w->commit_key, sizeof(set.commit_key));
    optout_batch_add(o, b, &set);
    w->number = set.number;
    return ST_OK;
}

/* One write: waiters from *at on that are not on disk, up to the first whose
 * site is new (the next must find it known). A tag waits at most once. */
static enum status flush_some(struct optouts *o, unsigned *at)
{
    uint8_t hash[OPTOUT_HASH_BYTES];
    struct optout_batch b;
    unsigned sites_added = 0;
    enum status st = optout_batch_new(o, &b);

    if (st != ST_OK)
        return st;
    for (; *at < o->waiter_count && sites_added == 0 &&
           b.count + 2 <= OPTOUT_WRITE_MAX && st == ST_OK;
         (*at)++)
        if (o->waiters[*at].number == 0)
            st = add_waiter_records(o, &b, &o->waiters[*at], &sites_added);
    if (st == ST_OK)
        st = optout_batch_write(o, &b);
    uint64_t on_disk = optout_journal_newest(o->journal, hash);
    for (unsigned i = 0; i < o->waiter_count; i++)
        if (o->waiters[i].number > on_disk)
            o->waiters[i].number = 0;
    free(b.records);
    return st;
}

enum status optout_flush_locked(struct optouts *o)
{
    enum status st = ST_OK;

    if (optout_health_of(o) != OPTOUT_SOUND)
        return ST_DENIED;
    for (unsigned at = 0; st == ST_OK && at < o->waiter_count;)
        st = flush_some(o, &at);
    /* Also after a failure: an earlier write may have succeeded. Readers see
     * the number after the tags are in the table, never before: a fragment
     * that saw this number was looked up with them. */
    optout_publish(o);
    optout_db_catch_up(o);
    return st;
}

enum status optout_hold_waiters(struct optouts *o)
{
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < o->waiter_count; i++)
        if (o->waiters[i].number == 0)
            st = optout_table_hold(o->table, o->waiters[i].tag);
    return st;
}

enum status optout_flush(struct optouts *o)
{
    (void)pthread_mutex_lock(&o->change);
    enum status st = optout_flush_locked(o);
    (void)pthread_mutex_unlock(&o->change);
    return st;
}

uint64_t optout_waiting(struct optouts *o)
{
    (void)pthread_mutex_lock(&o->change);
    uint64_t count = optout_table_held(o->table);
    (void)pthread_mutex_unlock(&o->change);
    return count;
}

/* Is the waiter's site one of these? */
static bool is_listed(const struct optout_waiter *w, char (*ids)[65],
                      unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(ids[i], w->site) == 0)
            return true;
    return false;
}

bool optout_waiting_sites(struct optouts *o, char (*out_ids)[65], unsigned max,
                          unsigned *out_count)
{
    unsigned count = 0, waiting = 0;
    bool fits = true;

    (void)pthread_mutex_lock(&o->change);
    for (unsigned i = 0; i < o->waiter_count; i++) {
        const struct optout_waiter *w = &o->waiters[i];
        if (w->number != 0)
            continue;
        waiting++;
        if (is_listed(w, out_ids, count))
            continue;
        if (count == max)
            fits = false;
        else
            memcpy(out_ids[count++], w->site, sizeof(w->site));
    }
    /* A tag is held beside all that wait: one beyond the limit. */
    fits = fits && optout_table_held(o->table) == waiting;
    (void)pthread_mutex_unlock(&o->change);
    *out_count = count;
    return fits;
}

/* A free place for one more waiter; NULL when there is none. Written ones
 * that nobody has come back for make room. */
static struct optout_waiter *waiter_place(struct optouts *o)
{
    if (o->waiter_count == OPTOUT_WAITING_MAX) {
        for (unsigned i = 0; i < o->waiter_count; i++)
            if (o->waiters[i].number != 0 && !o->waiters[i].taken)
                return &o->waiters[i];
        return NULL;
    }
    if (o->waiter_count == o->waiter_size) {
        unsigned size = o->waiter_size == 0 ? 64 : o->waiter_size * 2;
        void *more = realloc(o->waiters, size * sizeof(*o->waiters));
        if (more == NULL)
            return NULL;
        o->waiters = more;
        o->waiter_size = size;
    }
    return &o->waiters[o->waiter_count++];
}

static struct optout_waiter *find_waiter(struct optouts *o,
                                         const uint8_t tag[TAG_BYTES])
{
    for (unsigned i = 0; i < o->waiter_count; i++)
        if (memcmp(o->waiters[i].tag, tag, TAG_BYTES) == 0)
            return &o->waiters[i];
    return NULL;
}

/* New sites of one call at most: CHUNK_REQUESTS. */
static bool site_has_room(const struct optouts *o, struct slice site)
{
    unsigned index;

    return o->sites.count + OPTOUT_WAITING_MAX <= OPTOUT_SITES_MAX ||
           optout_site_index(&o->sites, site, &index);
}

/* In force from here on; *out_entry is false for a tag that is full. */
static enum status enlist(struct optouts *o, const struct optout_request *r,
                          int64_t now_ms, uint8_t out_tag[TAG_BYTES],
                          bool *out_entry)
{
    struct optout_tag_facts facts;

    optout_tag_make(o->key, r->site, r->canonical, out_tag);
    struct optout_waiter *w = find_waiter(o, out_tag);
    *out_entry = true;
    if (w != NULL) {
        w->taken = true;
        return ST_OK;
    }
    optout_table_facts(o->table, out_tag, &facts);
    if (facts.standing >= OPTOUT_ENTRIES_MAX) {
        *out_entry = false;
        return ST_OK;
    }
    enum status st = optout_table_hold(o->table, out_tag);
    if (st == ST_OK && !site_has_room(o, r->site))
        return ST_LIMIT;
    w = st == ST_OK ? waiter_place(o) : NULL;
    if (w == NULL)
        return st == ST_OK ? ST_FULL : st;
    *w = (struct optout_waiter){.time_ms = now_ms, .taken = true};
    memcpy(w->site, r->site.at, r->site.len);
    memcpy(w->tag, out_tag, TAG_BYTES);
    randombytes_buf(w->commit_key, sizeof(w->commit_key));
    subject_commitment_make(w->commit_key, r->canonical, w->commitment);
    return ST_OK;
}

static void fill_result(struct optouts *o, const struct optout_request *r,
                        bool entry, struct optout_result *out)
{
    const struct optout_waiter *w = entry ? find_waiter(o, out->tag) : NULL;
    uint8_t commit_key[OPTOUT_COMMIT_KEY];

    if (w != NULL) {
        out->number = w->number;
        memcpy(out->commitment, w->commitment, sizeof(out->commitment));
        optout_receipt_make(o->key, w->number, w->commit_key, out->receipt);
        return;
    }
    out->number = 0;
    randombytes_buf(commit_key, sizeof(commit_key));
    subject_commitment_make(commit_key, r->canonical, out->commitment);
    optout_receipt_make(o->key, 0, commit_key, out->receipt);
}

/* In force only: what sweep and record need, no receipt. */
static void fill_failed(struct optouts *o, const struct optout_request *r,
                        struct optout_result *out)
{
    const struct optout_waiter *w = find_waiter(o, out->tag);
    uint8_t commit_key[OPTOUT_COMMIT_KEY];

    out->number = o->newest + 1;
    out->receipt[0] = '\0';
    if (w != NULL) {
        memcpy(out->commitment, w->commitment, sizeof(out->commitment));
        return;
    }
    randombytes_buf(commit_key, sizeof(commit_key));
    subject_commitment_make(commit_key, r->canonical, out->commitment);
}

/* Forget the waiters whose receipts have been handed out. */
static void drop_taken(struct optouts *o)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < o->waiter_count; i++) {
        struct optout_waiter *w = &o->waiters[i];
        if (w->taken && w->number != 0)
            continue;
        w->taken = false;
        if (kept != i)
            o->waiters[kept] = *w;
        kept++;
    }
    if (kept < o->waiter_count)
        wipe(&o->waiters[kept], (o->waiter_count - kept) * sizeof(*o->waiters));
    o->waiter_count = kept;
}

#define CHUNK_REQUESTS 256u

/* At most CHUNK_REQUESTS of them: one or two writes. */
static enum status set_chunk(struct optouts *o,
                             const struct optout_request *requests,
                             size_t count, int64_t now_ms,
                             struct optout_result out[CHUNK_REQUESTS])
{
    bool entry[CHUNK_REQUESTS];
    enum status st = ST_OK;

    for (size_t i = 0; i < count; i++) {
        enum status one =
            enlist(o, &requests[i], now_ms, out[i].tag, &entry[i]);
        st = one == ST_OK ? st : one;
    }
    enum status flushed = optout_flush_locked(o);
    st = st == ST_OK ? flushed : st;
    for (size_t i = 0; i < count; i++) {
        if (st == ST_OK)
            fill_result(o, &requests[i], entry[i], &out[i]);
        else
            fill_failed(o, &requests[i], &out[i]);
    }
    if (st == ST_OK)
        drop_taken(o);
    for (unsigned i = 0; i < o->waiter_count; i++)
        o->waiters[i].taken = false;
    return st;
}

static bool site_fits(struct slice site)
{
    bool hex = true;

    for (size_t i = 0; i < site.len; i++)
        hex = hex && ((site.at[i] >= '0' && site.at[i] <= '9') ||
                      (site.at[i] >= 'a' && site.at[i] <= 'f'));
    return site.len > 0 &&
           site.len <= (hex ? OPTOUT_SITE_MAX : OPTOUT_SITE_TEXT_MAX) &&
           memchr(site.at, '\0', site.len) == NULL;
}

enum status optout_set_many(struct optouts *o,
                            const struct optout_request *requests, size_t count,
                            int64_t now_ms, struct optout_result *out)
{
    struct optout_result *own = NULL;
    enum status st = ST_OK;

    for (size_t i = 0; i < count; i++)
        if (!site_fits(requests[i].site))
            return ST_TYPE;
    if (out == NULL) {
        own = malloc(CHUNK_REQUESTS * sizeof(*own));
        if (own == NULL)
            return ST_NOMEM;
    }
    (void)pthread_mutex_lock(&o->change);
    for (size_t at = 0; at < count; at += CHUNK_REQUESTS) {
        size_t some = count - at < CHUNK_REQUESTS ? count - at : CHUNK_REQUESTS;
        /* After a failure too: all of them must be in force. */
        enum status one = set_chunk(o, requests + at, some, now_ms,
                                    own != NULL ? own : out + at);
        st = st == ST_OK ? one : st;
    }
    (void)pthread_mutex_unlock(&o->change);
    free(own);
    return st;
}

enum status optout_set(struct optouts *o, struct slice site,
                       struct slice canonical, int64_t now_ms,
                       struct optout_result *out)
{
    struct optout_request one = {site, canonical};

    return optout_set_many(o, &one, 1, now_ms, out);
}
