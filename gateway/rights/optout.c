/* optout.c - what the list answers. Opening is in optout_open.c, changing in
 * optout_change.c. */
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/optout_store.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DB_RETRY_CHANGES 64u
#define EACH_RECORDS     512u /* read at once by optout_each_set */

/* Locks are no part of what `const` promises. */
static struct optouts *lockable(const struct optouts *o)
{
    return (struct optouts *)(uintptr_t)o;
}

const char *optout_health_name(enum optout_health h)
{
    switch (h) {
    case OPTOUT_SOUND:
        return "sound";
    case OPTOUT_MISSING:
        return "missing";
    case OPTOUT_FOREIGN:
        return "foreign";
    case OPTOUT_ROLLBACK:
        return "rollback";
    case OPTOUT_DAMAGED:
        return "damaged";
    }
    return "damaged";
}

enum optout_health optout_health_of(const struct optouts *o)
{
    return (enum optout_health)__atomic_load_n(&o->health, __ATOMIC_ACQUIRE);
}

void optout_id(const struct optouts *o, struct optout_state_id *out)
{
    struct optouts *l = lockable(o);

    (void)pthread_mutex_lock(&l->change);
    optout_header_id(o->header, out->bytes);
    (void)pthread_mutex_unlock(&l->change);
}

uint64_t optout_newest(const struct optouts *o, uint8_t out_hash[32])
{
    struct optouts *l = lockable(o);

    (void)pthread_mutex_lock(&l->head);
    uint64_t newest = o->newest;
    if (out_hash != NULL)
        memcpy(out_hash, o->hash, OPTOUT_HASH_BYTES);
    (void)pthread_mutex_unlock(&l->head);
    return newest;
}

uint64_t optout_count(const struct optouts *o)
{
    return optout_health_of(o) == OPTOUT_SOUND ? optout_table_count(o->table)
                                               : 0;
}

enum optout_answer optout_lookup(const struct optouts *o,
                                 const uint8_t tag[TAG_BYTES], int64_t event_ms,
                                 int64_t marked_since_ms)
{
    if (optout_health_of(o) != OPTOUT_SOUND)
        return OPTOUT_ANSWER_OUT;
    return optout_table_lookup(o->table, tag, event_ms, marked_since_ms);
}

bool optout_site_index(const struct optout_sites *sites, struct slice site,
                       unsigned *out)
{
    for (unsigned i = 0; i < sites->count; i++) {
        if (slice_eq(slice_of(sites->ids[i]), site)) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool optout_has_site(const struct optouts *o, struct slice site)
{
    struct optouts *l = lockable(o);
    unsigned index;

    (void)pthread_mutex_lock(&l->head);
    bool has = optout_site_index(&o->sites, site, &index);
    (void)pthread_mutex_unlock(&l->head);
    return has;
}

bool optout_site_at(const struct optouts *o, unsigned index, char out_id[65])
{
    struct optouts *l = lockable(o);

    (void)pthread_mutex_lock(&l->head);
    bool has = index < o->sites.count;
    if (has)
        memcpy(out_id, o->sites.ids[index], OPTOUT_SITE_MAX + 1);
    (void)pthread_mutex_unlock(&l->head);
    return has;
}

static enum status add_site(struct optouts *o, const char *id)
{
    struct optout_sites *sites = &o->sites;

    if (sites->count == OPTOUT_SITES_MAX)
        return ST_LIMIT;
    if (sites->count == sites->size) {
        unsigned size = sites->size == 0 ? 8 : sites->size * 2;
        void *more = realloc(sites->ids, size * sizeof(*sites->ids));
        if (more == NULL)
            return ST_NOMEM;
        sites->ids = more;
        sites->size = size;
    }
    memcpy(sites->ids[sites->count++], id, OPTOUT_SITE_MAX + 1);
    return ST_OK;
}

static enum status note_lift(struct optouts *o, uint64_t number)
{
    if (o->lift_count == o->lift_size) {
        size_t size = o->lift_size == 0 ? 64 : o->lift_size * 2;
        void *more = realloc(o->lifts, size * sizeof(*o->lifts));
        if (more == NULL)
            return ST_NOMEM;
        o->lifts = more;
        o->lift_size = size;
    }
    o->lifts[o->lift_count++] = number;
    return ST_OK;
}

enum status optout_apply(struct optouts *o,
                         const uint8_t record[OPTOUT_RECORD_BYTES])
{
    struct optout_change c;
    enum status st = optout_record_decode(record, &c);

    if (st != ST_OK)
        return st;
    switch (c.kind) {
    case OPTOUT_KIND_SET:
        return optout_table_set(o->table, c.tag, c.number);
    case OPTOUT_KIND_LIFT:
        st = optout_table_lift(o->table, c.tag, c.ref, c.set_ms, c.time_ms);
        if (st == ST_OK)
            st = note_lift(o, c.ref);
        return st == ST_UNKNOWN ? ST_CORRUPT : st;
    case OPTOUT_KIND_SITE:
        (void)pthread_mutex_lock(&o->head);
        st = add_site(o, c.site_id);
        (void)pthread_mutex_unlock(&o->head);
        return st;
    }
    return ST_CORRUPT;
}

void optout_publish(struct optouts *o)
{
    uint8_t hash[OPTOUT_HASH_BYTES];
    uint64_t newest = optout_journal_newest(o->journal, hash);

    (void)pthread_mutex_lock(&o->head);
    o->newest = newest;
    memcpy(o->hash, hash, sizeof(hash));
    (void)pthread_mutex_unlock(&o->head);
}

void optout_db_catch_up(struct optouts *o)
{
    uint8_t hash[OPTOUT_HASH_BYTES];
    uint64_t newest = optout_journal_newest(o->journal, hash);

    if (o->db_newest >= newest)
        return;
    /* On a full disk not with every change: the backlog is long. */
    if (o->db_failed && newest % DB_RETRY_CHANGES != 0)
        return;
    uint8_t *records = malloc(OPTOUT_WRITE_MAX * OPTOUT_RECORD_BYTES);
    enum status st = records == NULL ? ST_NOMEM : ST_OK;

    while (st == ST_OK && o->db_newest < newest) {
        size_t count = 0;
        st = optout_journal_read(o->journal, o->db_newest + 1, OPTOUT_WRITE_MAX,
                                 records, &count);
        if (st == ST_OK)
            st = optout_db_add(o->db, o->db_newest + 1, records, count);
        if (st == ST_OK)
            o->db_newest += count;
    }
    free(records);
    if (st != ST_OK && !o->db_failed)
        log_warn(LOG_OPTOUT, "the opt-out store lags behind its journal",
                 LOG_NAME("why", status_name(st)));
    o->db_failed = st != ST_OK;
}

void optout_erase_key(struct optouts *o, uint64_t number)
{
    enum status st = optout_journal_erase_key(o->journal, number);

    if (st == ST_OK && number <= o->db_newest)
        st = optout_db_erase_key(o->db, number);
    if (st != ST_OK)
        log_warn(LOG_OPTOUT, "a lifted opt-out's key is not erased yet",
                 LOG_NAME("why", status_name(st)));
}

/* Hand the sets among `count` records to `each`. */
static enum status hand_sets(const uint8_t *records, size_t count,
                             optout_each_fn *each, void *ctx)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < count; i++) {
        struct optout_change c;
        st = optout_record_decode(records + i * OPTOUT_RECORD_BYTES, &c);
        if (st == ST_OK && c.kind == OPTOUT_KIND_SET)
            st = each(ctx, c.number, c.tag);
    }
    return st;
}

enum status optout_each_set(struct optouts *o, uint64_t after,
                            optout_each_fn *each, void *ctx)
{
    uint8_t *records = malloc(EACH_RECORDS * OPTOUT_RECORD_BYTES);
    enum status st = records == NULL ? ST_NOMEM : ST_OK;

    while (st == ST_OK) {
        size_t count = 0;
        /* Not held while `each` runs: it may take its time. */
        (void)pthread_mutex_lock(&o->change);
        st = o->journal == NULL || after >= o->newest
                 ? ST_END
                 : optout_journal_read(o->journal, after + 1, EACH_RECORDS,
                                       records, &count);
        (void)pthread_mutex_unlock(&o->change);
        if (st != ST_OK)
            break;
        st = hand_sets(records, count, each, ctx);
        after += count;
    }
    free(records);
    return st == ST_END ? ST_OK : st;
}
