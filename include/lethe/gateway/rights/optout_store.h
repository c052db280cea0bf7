/* optout_store.h - inside of `struct optouts`, shared by the files that open
 * the list (optout_open.c), change it (optout_change.c) and answer
 * (optout.c). Nobody else includes it. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_STORE_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_STORE_H

#include "lethe/gateway/rights/optout_db.h"
#include "lethe/gateway/rights/optout_journal.h"
#include "lethe/gateway/rights/optout_table.h"

#include <pthread.h>

#define OPTOUT_SITES_MAX 16384u
#define OPTOUT_WRITE_MAX 1024u /* records in one write */

/* An opt-out whose receipt nobody has yet: not on disk (number 0), or written
 * after its own call had failed. The person's next try takes it over. */
struct optout_waiter {
    char site[OPTOUT_SITE_MAX + 1];
    uint8_t tag[TAG_BYTES];
    uint8_t commitment[32];
    uint8_t commit_key[OPTOUT_COMMIT_KEY];
    int64_t time_ms;
    uint64_t number; /* 0 = not on disk */
    bool taken;      /* the call that runs hands its receipt out */
};

struct optout_sites {
    char (*ids)[OPTOUT_SITE_MAX + 1];
    unsigned count, size;
};

struct optouts {
    char *journal_path, *db_path;
    uint8_t *key; /* secret memory */
    uint8_t header[OPTOUT_HEADER_BYTES];
    int health; /* enum optout_health; atomic */

    pthread_mutex_t change; /* one change at a time; held over a sync */
    struct optout_journal *journal;
    struct optout_db *db;
    uint64_t db_newest; /* the store holds changes up to here */
    bool db_failed;     /* told once */
    struct optout_table *table;
    uint64_t *lifts; /* while opening: entries whose keys must be gone */
    size_t lift_count, lift_size;
    struct optout_waiter *waiters;
    unsigned waiter_count, waiter_size;

    pthread_mutex_t head; /* what readers ask; never held over a sync */
    uint64_t newest;
    uint8_t hash[OPTOUT_HASH_BYTES];
    struct optout_sites sites;
};

/* Records of one write, chained as they are added. */
struct optout_batch {
    uint8_t *records; /* OPTOUT_WRITE_MAX; free() them */
    size_t count;
    uint64_t newest;
    uint8_t hash[OPTOUT_HASH_BYTES];
};
enum status optout_batch_new(const struct optouts *o,
                             struct optout_batch *out) MUST_CHECK;
/* Next record; c->number is set, a set is sealed. */
void optout_batch_add(const struct optouts *o, struct optout_batch *b,
                      struct optout_change *c);
/* Write and sync, then take over into memory. The store may lag. */
enum status optout_batch_write(struct optouts *o,
                               struct optout_batch *b) MUST_CHECK;

/* One record of a list being read: into the table and the sites. */
enum status optout_apply(struct optouts *o,
                         const uint8_t record[OPTOUT_RECORD_BYTES]) MUST_CHECK;
/* Index of `site`; false if the list does not know it. Takes no lock. */
bool optout_site_index(const struct optout_sites *sites, struct slice site,
                       unsigned *out);
/* Show the journal's newest number to readers. */
void optout_publish(struct optouts *o);
/* Bring the store up to the journal. A failure is told once and tried again
 * with the next change: the journal is what counts. */
void optout_db_catch_up(struct optouts *o);
/* Overwrite the commitment's key of a lifted entry, in both files. A failure
 * is told; the next start tries again. */
void optout_erase_key(struct optouts *o, uint64_t number);
/* Waiting opt-outs: into a new table, and to disk. `change` is held. */
enum status optout_hold_waiters(struct optouts *o) MUST_CHECK;
enum status optout_flush_locked(struct optouts *o) MUST_CHECK;

#endif
