/* spool_keys.h - K_spool: one random key per (destination, epoch), wrapped
 * under the master key in fixed slots (storage.md section 3). A slot is on
 * disk before it is used and overwritten, synced, when nothing sealed under
 * it is left. Thread-safe reads by slot; one thread makes and destroys. */
#ifndef LETHE_GATEWAY_STORE_SPOOL_KEYS_H
#define LETHE_GATEWAY_STORE_SPOOL_KEYS_H

#include "lethe/policy/base/status.h"
#include "lethe/policy/pseudonym.h"

#include <stdbool.h>

#define SPOOL_KEYS_MAX 4096u /* slots: destinations x epochs that wait */

struct spool_keys;

/* Open or create `path`. Errors: ST_IO, ST_CORRUPT, ST_CRYPTO (the master
 * key does not open it). */
enum status spool_keys_open(const char *path, const uint8_t master[KEY_BYTES],
                            struct spool_keys **out) MUST_CHECK;

struct spool_key {
    uint32_t slot;
    uint32_t use; /* counts re-uses of the slot: stored beside each blob */
    uint64_t destination; /* destination_key() */
    uint64_t epoch;       /* epoch.id */
    int64_t made_ms;
    const uint8_t *key; /* KEY_BYTES, locked */
};

/* The key of (destination, epoch); makes and syncs a slot if there is none.
 * Errors: ST_LIMIT (no slot free), ST_IO. */
enum status spool_keys_get(struct spool_keys *k, uint64_t destination,
                           uint64_t epoch, int64_t now_ms,
                           struct spool_key *out) MUST_CHECK;

/* The key in `slot` if its `use` still matches. Errors: ST_UNKNOWN. */
enum status spool_keys_at(struct spool_keys *k, uint32_t slot, uint32_t use,
                          struct spool_key *out) MUST_CHECK;

/* Live keys: number `index` of them; ST_END after the last. */
enum status spool_keys_each(struct spool_keys *k, unsigned index,
                            struct spool_key *out) MUST_CHECK;

/* Overwrite and sync. Errors: ST_IO, ST_UNKNOWN. */
enum status spool_keys_destroy(struct spool_keys *k, uint32_t slot,
                               uint32_t use) MUST_CHECK;

/* Wrap all live keys under another master key: a new file takes the place of
 * the old one, whose bytes are overwritten. Errors: ST_IO (either file may be
 * the one that is there: both hold the same keys). */
enum status spool_keys_rewrap(struct spool_keys *k,
                              const uint8_t master[KEY_BYTES]) MUST_CHECK;

void spool_keys_close(struct spool_keys *k);

/* How a destination is named on disk: BLAKE2b-64 of LP(site id) LP(name). */
uint64_t destination_key(struct slice site_id, struct slice name);

#endif
