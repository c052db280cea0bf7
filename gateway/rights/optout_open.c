/* optout_open.c - the list from its two files: make, check, even out. */
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/optout_store.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_RECORDS 32u /* of a 4 KiB page: written whole or not at all */

enum status optout_create(const char *journal_path, const char *db_path,
                          const uint8_t key[KEY_BYTES])
{
    uint8_t id[16], header[OPTOUT_HEADER_BYTES];

    /* Neither may be there: half a list is a foreign one. */
    if (access(journal_path, F_OK) == 0 || access(db_path, F_OK) == 0)
        return ST_EXISTS;
    randombytes_buf(id, sizeof(id));
    optout_header_make(key, id, header);
    enum status st = optout_db_create(db_path, header);
    if (st != ST_OK)
        return st;
    st = optout_journal_create(journal_path, header);
    if (st != ST_OK)
        (void)unlink(db_path);
    return st;
}

static enum optout_health health_of_status(enum status st)
{
    if (st == ST_OK)
        return OPTOUT_SOUND;
    if (st == ST_UNKNOWN)
        return OPTOUT_MISSING;
    return st == ST_DENIED || st == ST_MISMATCH ? OPTOUT_FOREIGN
                                                : OPTOUT_DAMAGED;
}

static enum status apply_record(void *ctx,
                                const uint8_t record[OPTOUT_RECORD_BYTES])
{
    return optout_apply(ctx, record);
}

static void close_files(struct optouts *o)
{
    optout_journal_close(o->journal);
    optout_db_close(o->db);
    o->journal = NULL;
    o->db = NULL;
    o->lift_count = 0;
}

/* Start from nothing: a table and sites for one reading. */
static enum status start_over(struct optouts *o)
{
    struct optout_table *table = NULL;

    close_files(o);
    enum status st = optout_table_new(&table);
    if (st != ST_OK)
        return st;
    optout_table_free(o->table);
    o->table = table;
    (void)pthread_mutex_lock(&o->head);
    o->sites.count = 0;
    o->newest = 0;
    memset(o->hash, 0, sizeof(o->hash));
    (void)pthread_mutex_unlock(&o->head);
    return ST_OK;
}

static enum status open_db(struct optouts *o)
{
    uint8_t header[OPTOUT_HEADER_BYTES];
    enum status st = optout_db_open(o->db_path, header, &o->db);

    if (st == ST_OK)
        st = optout_header_check(header, o->key);
    if (st == ST_OK)
        st = optout_db_newest(o->db, &o->db_newest);
    if (st == ST_OK && o->journal != NULL) {
        uint8_t own[OPTOUT_HEADER_BYTES];
        optout_journal_header(o->journal, own);
        if (memcmp(own, header, sizeof(own)) != 0)
            st = ST_MISMATCH;
    }
    if (st == ST_OK)
        memcpy(o->header, header, sizeof(header));
    return st;
}

/* Running hash after change `number` as the journal has it. */
static enum status journal_hash_at(struct optouts *o, uint64_t number,
                                   uint8_t out[OPTOUT_HASH_BYTES])
{
    uint8_t record[OPTOUT_RECORD_BYTES];
    size_t count = 0;
    enum status st = optout_journal_read(o->journal, number, 1, record, &count);

    if (st == ST_OK)
        memcpy(out, optout_record_hash(record), OPTOUT_HASH_BYTES);
    return st;
}

/* Where both have a number, both must have the same history: the running
 * hash of the last common change vouches for all before it. */
static enum status compare(struct optouts *o)
{
    uint8_t ours[OPTOUT_HASH_BYTES], record[OPTOUT_RECORD_BYTES];
    uint64_t common = optout_journal_newest(o->journal, ours);

    if (common > o->db_newest)
        common = o->db_newest;
    if (common == 0)
        return ST_OK;
    enum status st = journal_hash_at(o, common, ours);
    if (st == ST_OK)
        st = optout_db_read(o->db, common, record);
    if (st != ST_OK)
        return ST_CORRUPT;
    return memcmp(ours, optout_record_hash(record), sizeof(ours)) == 0
               ? ST_OK
               : ST_MISMATCH;
}

/* Read the store's changes behind `from`, whose running hash is `hash`, into
 * the table; both move on to the newest one. */
static enum status replay_db(struct optouts *o, uint64_t *from,
                             uint8_t hash[OPTOUT_HASH_BYTES])
{
    uint8_t record[OPTOUT_RECORD_BYTES];

    while (*from < o->db_newest) {
        if (optout_db_read(o->db, *from + 1, record) != ST_OK ||
            !optout_record_follows(record, hash, *from + 1))
            return ST_CORRUPT;
        enum status st = optout_apply(o, record);
        if (st != ST_OK)
            return st;
        memcpy(hash, optout_record_hash(record), OPTOUT_HASH_BYTES);
        (*from)++;
    }
    return ST_OK;
}

/* Give the journal what only the store has. Page by page: these records do
 * not say that they were written together, so each write must be whole. */
static enum status refill_journal(struct optouts *o)
{
    uint8_t records[PAGE_RECORDS * OPTOUT_RECORD_BYTES];
    uint8_t hash[OPTOUT_HASH_BYTES];
    uint64_t newest = optout_journal_newest(o->journal, hash);
    enum status st = ST_OK;

    while (st == ST_OK && newest < o->db_newest) {
        size_t count = 0;
        do {
            st = optout_db_read(o->db, newest + 1 + count,
                                records + count * OPTOUT_RECORD_BYTES);
            count++;
        } while (st == ST_OK && newest + count < o->db_newest &&
                 (newest + count + 1) % PAGE_RECORDS != 0);
        if (st == ST_OK)
            st = optout_journal_append(o->journal, records, count);
        newest += count;
    }
    return st;
}

/* Is the list as new as `must_reach`, with the same history? */
static enum optout_health check_reach(struct optouts *o, uint64_t newest,
                                      uint64_t must_reach,
                                      const uint8_t must_hash[32])
{
    uint8_t hash[OPTOUT_HASH_BYTES], record[OPTOUT_RECORD_BYTES];
    uint64_t have = optout_journal_newest(o->journal, hash);
    size_t count = 0;

    if (must_reach == 0)
        return OPTOUT_SOUND;
    if (newest < must_reach)
        return OPTOUT_ROLLBACK;
    enum status st =
        must_reach <= have
            ? optout_journal_read(o->journal, must_reach, 1, record, &count)
            : optout_db_read(o->db, must_reach, record);
    if (st != ST_OK)
        return OPTOUT_DAMAGED;
    return memcmp(optout_record_hash(record), must_hash, 32) == 0
               ? OPTOUT_SOUND
               : OPTOUT_ROLLBACK;
}

/* A crash between a lift and its key's erasure leaves the key: erase again. */
static void erase_lifted_keys(struct optouts *o)
{
    for (size_t i = 0; i < o->lift_count; i++) {
        uint8_t record[OPTOUT_RECORD_BYTES];
        struct optout_change set;
        size_t one = 0;
        if (optout_journal_read(o->journal, o->lifts[i], 1, record, &one) ==
                ST_OK &&
            optout_record_decode(record, &set) == ST_OK &&
            !optout_change_key_erased(&set))
            optout_erase_key(o, o->lifts[i]);
    }
    free(o->lifts);
    o->lifts = NULL;
    o->lift_count = o->lift_size = 0;
}

/* Both files are open and agree: even them out and go. */
static enum status make_ready(struct optouts *o)
{
    enum status st = optout_journal_ready(o->journal);

    if (st == ST_OK)
        st = refill_journal(o);
    if (st != ST_OK)
        return st;
    optout_db_catch_up(o);
    erase_lifted_keys(o);
    optout_publish(o);
    return ST_OK;
}

/* Read, check, even out. ST_NOMEM only is an error: all else is a health. */
static enum status load(struct optouts *o, uint64_t must_reach,
                        const uint8_t must_hash[32],
                        enum optout_health *out_health)
{
    uint8_t hash[OPTOUT_HASH_BYTES];
    uint64_t newest = 0;
    enum status st = start_over(o);

    if (st != ST_OK)
        return st;
    st = optout_journal_open(o->journal_path, o->key, false, apply_record, o,
                             &o->journal);
    if (st == ST_OK)
        optout_journal_header(o->journal, o->header);
    enum status db_st = st == ST_NOMEM ? st : open_db(o);
    if (st == ST_OK)
        st = db_st;
    if (st == ST_OK)
        st = compare(o);
    if (st == ST_OK) {
        newest = optout_journal_newest(o->journal, hash);
        st = replay_db(o, &newest, hash);
    }
    if (st == ST_NOMEM || db_st == ST_NOMEM)
        return ST_NOMEM;
    enum optout_health health = health_of_status(st);
    if (health == OPTOUT_SOUND)
        health = check_reach(o, newest, must_reach, must_hash);
    if (health == OPTOUT_SOUND)
        health = health_of_status(make_ready(o));
    *out_health = health;
    return ST_OK;
}

static void set_health(struct optouts *o, enum optout_health h)
{
    __atomic_store_n(&o->health, (int)h, __ATOMIC_RELEASE);
}

static struct optouts *new_handle(const char *journal_path, const char *db_path,
                                  const uint8_t key[KEY_BYTES])
{
    struct optouts *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->journal_path = strdup(journal_path);
    o->db_path = strdup(db_path);
    o->key = secret_alloc(KEY_BYTES);
    if (o->journal_path == NULL || o->db_path == NULL || o->key == NULL ||
        pthread_mutex_init(&o->change, NULL) != 0) {
        free(o->journal_path);
        free(o->db_path);
        secret_free(o->key);
        free(o);
        return NULL;
    }
    (void)pthread_mutex_init(&o->head, NULL);
    memcpy(o->key, key, KEY_BYTES);
    return o;
}

/* What is written down of a list that is too old, in the log's records and the
 * epoch file, must not make the next start content with it. */
static void remember_reach(struct optouts *o, uint64_t must_reach,
                           const uint8_t must_hash[32])
{
    (void)pthread_mutex_lock(&o->head);
    o->newest = must_reach;
    if (must_reach > 0)
        memcpy(o->hash, must_hash, sizeof(o->hash));
    (void)pthread_mutex_unlock(&o->head);
}

enum status optout_open(const char *journal_path, const char *db_path,
                        const uint8_t key[KEY_BYTES], uint64_t must_reach,
                        const uint8_t must_hash[32], struct optouts **out)
{
    enum optout_health health = OPTOUT_DAMAGED;
    struct optouts *o = new_handle(journal_path, db_path, key);

    if (o == NULL)
        return ST_NOMEM;
    set_health(o, OPTOUT_DAMAGED);
    enum status st = load(o, must_reach, must_hash, &health);
    if (st != ST_OK) {
        optout_close(o);
        return st;
    }
    set_health(o, health);
    if (health != OPTOUT_SOUND)
        remember_reach(o, must_reach, must_hash);
    *out = o;
    return ST_OK;
}

void optout_close(struct optouts *o)
{
    if (o == NULL)
        return;
    close_files(o);
    optout_table_free(o->table);
    (void)pthread_mutex_destroy(&o->change);
    (void)pthread_mutex_destroy(&o->head);
    if (o->waiters != NULL)
        wipe(o->waiters, o->waiter_size * sizeof(*o->waiters));
    free(o->waiters);
    free(o->sites.ids);
    free(o->lifts);
    free(o->journal_path);
    free(o->db_path);
    secret_free(o->key);
    free(o);
}

/* Out of the way, not destroyed: an officer may still import from it. */
static enum status set_aside(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char from[PATH_MAX], to[PATH_MAX];

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        int a = snprintf(from, sizeof(from), "%s%s", path, ends[i]);
        int b = snprintf(to, sizeof(to), "%s.refused%s", path, ends[i]);
        if (a < 0 || b < 0 || (size_t)a >= sizeof(from) ||
            (size_t)b >= sizeof(to))
            return ST_IO;
        if (rename(from, to) != 0 && errno != ENOENT)
            return ST_IO;
    }
    return ST_OK;
}

/* The store again from the journal alone, or the journal from the store. */
static enum status rebuild(struct optouts *o, bool from_journal)
{
    uint8_t header[OPTOUT_HEADER_BYTES];

    if (from_journal)
        optout_journal_header(o->journal, header);
    else
        memcpy(header, o->header, sizeof(header));
    const char *lost = from_journal ? o->db_path : o->journal_path;
    close_files(o);
    enum status st = set_aside(lost);
    if (st == ST_OK)
        st = from_journal ? optout_db_create(lost, header)
                          : optout_journal_create(lost, header);
    return st;
}

/* Choose the one to believe: the journal, unless only the store can be read
 * or holds more. */
static enum status choose_and_rebuild(struct optouts *o)
{
    uint8_t hash[OPTOUT_HASH_BYTES];
    enum status st = start_over(o);

    if (st != ST_OK)
        return st;
    enum status journal_st = optout_journal_open(o->journal_path, o->key, true,
                                                 apply_record, o, &o->journal);
    enum status db_st = open_db(o);
    if (db_st == ST_MISMATCH)
        db_st = ST_DENIED;
    if (journal_st == ST_OK &&
        (db_st != ST_OK ||
         optout_journal_newest(o->journal, hash) >= o->db_newest))
        return rebuild(o, true);
    if (db_st == ST_OK)
        return rebuild(o, false);
    close_files(o);
    st = set_aside(o->journal_path);
    if (st == ST_OK)
        st = set_aside(o->db_path);
    return st == ST_OK ? optout_create(o->journal_path, o->db_path, o->key)
                       : st;
}

enum status optout_accept_loss(struct optouts *o)
{
    enum optout_health health = OPTOUT_DAMAGED;

    (void)pthread_mutex_lock(&o->change);
    enum status st = ST_OK;
    if (optout_health_of(o) != OPTOUT_SOUND) {
        st = load(o, 0, NULL, &health);
        if (st == ST_OK && health != OPTOUT_SOUND) {
            st = choose_and_rebuild(o);
            if (st == ST_OK)
                st = load(o, 0, NULL, &health);
        }
        if (st == ST_OK)
            st = health == OPTOUT_SOUND ? optout_hold_waiters(o) : ST_IO;
        if (st == ST_OK) {
            set_health(o, OPTOUT_SOUND);
            st = optout_flush_locked(o);
        }
    }
    (void)pthread_mutex_unlock(&o->change);
    return st;
}
