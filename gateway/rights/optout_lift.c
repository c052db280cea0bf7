/* optout_lift.c - lifting entries: by receipt, or all of an identifier. */
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/optout_receipt.h"
#include "lethe/gateway/rights/optout_store.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Set number `number`, unsealed. Errors: ST_UNKNOWN (no such set), ST_IO. */
static enum status read_set(const struct optouts *o, uint64_t number,
                            struct optout_change *out)
{
    uint8_t record[OPTOUT_RECORD_BYTES], id[16];
    size_t count = 0;
    enum status st = optout_journal_read(o->journal, number, 1, record, &count);

    if (st != ST_OK)
        return st;
    if (optout_record_decode(record, out) != ST_OK ||
        out->kind != OPTOUT_KIND_SET)
        return ST_UNKNOWN;
    bool erased = optout_change_key_erased(out);
    optout_header_id(o->header, id);
    optout_change_seal(out, o->key, id); /* opens */
    if (erased)
        memset(out->commit_key, 0, sizeof(out->commit_key));
    return ST_OK;
}

static void add_lift(const struct optouts *o, struct optout_batch *b,
                     const struct optout_change *set, int64_t now_ms)
{
    struct optout_change lift = {.kind = OPTOUT_KIND_LIFT,
                                 .time_ms = now_ms,
                                 .ref = set->number,
                                 .site = set->site,
                                 .set_ms = set->time_ms};

    memcpy(lift.tag, set->tag, TAG_BYTES);
    optout_batch_add(o, b, &lift);
}

/* Write lifts of `sets` and erase their keys. */
static enum status write_lifts(struct optouts *o,
                               const struct optout_change *sets, size_t count,
                               int64_t now_ms)
{
    struct optout_batch b;
    enum status st = optout_batch_new(o, &b);

    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < count; i++)
        add_lift(o, &b, &sets[i], now_ms);
    st = optout_batch_write(o, &b);
    free(b.records);
    if (st != ST_OK)
        return st;
    optout_publish(o);
    optout_db_catch_up(o);
    for (size_t i = 0; i < count; i++)
        optout_erase_key(o, sets[i].number);
    return ST_OK;
}

/* The set that a receipt is of, if it is ours. Errors: ST_UNKNOWN, ST_IO. */
static enum status set_of_receipt(const struct optouts *o, struct slice receipt,
                                  struct optout_change *out, bool *out_stands)
{
    uint8_t commit_key[OPTOUT_COMMIT_KEY];
    uint64_t number;

    if (optout_receipt_read(o->key, receipt, &number, commit_key) != ST_OK ||
        number == 0)
        return ST_UNKNOWN;
    enum status st = read_set(o, number, out);
    if (st != ST_OK)
        return st;
    bool lifted = optout_table_is_lifted(o->table, out->tag, number);
    /* Numbers come twice when a loss was accepted: the key tells. */
    if (!lifted &&
        sodium_memcmp(commit_key, out->commit_key, sizeof(commit_key)) != 0)
        return ST_UNKNOWN;
    *out_stands = !lifted;
    return ST_OK;
}

static enum status lift_locked(struct optouts *o, struct slice receipt,
                               int64_t now_ms, struct optout_change *set,
                               bool *out_lifted)
{
    bool stands = false;

    if (optout_health_of(o) != OPTOUT_SOUND)
        return ST_DENIED;
    enum status st = set_of_receipt(o, receipt, set, &stands);
    if (st == ST_UNKNOWN)
        return ST_OK;
    if (st != ST_OK || !stands)
        return st;
    st = optout_flush_locked(o);
    if (st == ST_OK)
        st = write_lifts(o, set, 1, now_ms);
    *out_lifted = st == ST_OK;
    return st;
}

enum status optout_lift(struct optouts *o, struct slice receipt, int64_t now_ms,
                        bool *out_lifted, bool *out_free)
{
    struct optout_change set;
    struct optout_tag_facts facts = {0};
    bool lifted = false;

    (void)pthread_mutex_lock(&o->change);
    enum status st = lift_locked(o, receipt, now_ms, &set, &lifted);
    if (lifted)
        optout_table_facts(o->table, set.tag, &facts);
    (void)pthread_mutex_unlock(&o->change);
    if (st != ST_OK)
        return st;
    *out_lifted = lifted;
    *out_free = lifted && facts.standing == 0 && !facts.held;
    return ST_OK;
}

/* All standing sets of `tag`: from its newest back. */
static enum status standing_sets(const struct optouts *o,
                                 const uint8_t tag[TAG_BYTES],
                                 struct optout_change sets[OPTOUT_STANDING_MAX],
                                 unsigned *out_count)
{
    struct optout_tag_facts facts;
    unsigned count = 0;

    optout_table_facts(o->table, tag, &facts);
    assert(facts.standing <= OPTOUT_STANDING_MAX);
    for (uint64_t at = facts.newest; at != 0 && count < facts.standing;) {
        enum status st = read_set(o, at, &sets[count]);
        if (st != ST_OK)
            return ST_IO;
        at = sets[count].ref;
        if (!optout_table_is_lifted(o->table, tag, sets[count].number))
            count++;
    }
    *out_count = count;
    return ST_OK;
}

/* An identifier's standing sets, after all that waits is on disk; `change` is
 * held. The caller frees *out with free_sets(). */
static enum status sets_of(struct optouts *o, struct slice site,
                           struct slice canonical, struct optout_change **out,
                           unsigned *out_count)
{
    uint8_t tag[TAG_BYTES];
    struct optout_change *sets = calloc(OPTOUT_STANDING_MAX, sizeof(*sets));

    if (sets == NULL)
        return ST_NOMEM;
    *out = sets;
    optout_tag_make(o->key, site, canonical, tag);
    enum status st = optout_flush_locked(o);
    return st == ST_OK ? standing_sets(o, tag, sets, out_count) : st;
}

static void free_sets(struct optout_change *sets)
{
    if (sets != NULL)
        wipe(sets, OPTOUT_STANDING_MAX * sizeof(*sets));
    free(sets);
}

enum status optout_standing(struct optouts *o, struct slice site,
                            struct slice canonical,
                            uint8_t out_commitments[OPTOUT_STANDING_MAX][32],
                            unsigned *out_count)
{
    struct optout_change *sets = NULL;
    unsigned count = 0;

    (void)pthread_mutex_lock(&o->change);
    enum status st = sets_of(o, site, canonical, &sets, &count);
    (void)pthread_mutex_unlock(&o->change);
    for (unsigned i = 0; st == ST_OK && i < count; i++)
        memcpy(out_commitments[i], sets[i].commitment,
               sizeof(sets[i].commitment));
    free_sets(sets);
    if (st == ST_OK)
        *out_count = count;
    return st;
}

enum status optout_lift_all(struct optouts *o, struct slice site,
                            struct slice canonical, int64_t now_ms,
                            unsigned *out_lifted)
{
    struct optout_change *sets = NULL;
    unsigned count = 0;

    (void)pthread_mutex_lock(&o->change);
    enum status st = sets_of(o, site, canonical, &sets, &count);
    if (st == ST_OK && count > 0)
        st = write_lifts(o, sets, count, now_ms);
    (void)pthread_mutex_unlock(&o->change);
    free_sets(sets);
    if (st == ST_OK)
        *out_lifted = count;
    return st;
}

enum status optout_receipt_state(const struct optouts *o, struct slice receipt,
                                 bool *out_known, bool *out_standing,
                                 uint8_t out_commitment[32])
{
    struct optouts *l = (struct optouts *)(uintptr_t)o;
    struct optout_change set;
    bool stands = false;
    enum status st = ST_DENIED;

    (void)pthread_mutex_lock(&l->change);
    if (optout_health_of(o) == OPTOUT_SOUND)
        st = set_of_receipt(o, receipt, &set, &stands);
    (void)pthread_mutex_unlock(&l->change);
    if (st != ST_OK && st != ST_UNKNOWN)
        return st;
    *out_known = st == ST_OK;
    *out_standing = st == ST_OK && stands;
    if (*out_standing)
        memcpy(out_commitment, set.commitment, sizeof(set.commitment));
    return ST_OK;
}
