/* epochs.h - epoch secrets, the audit's day key and the newest opt-out number
 * in one small file that dies with the boot (storage.md section 5, R27, R33).
 * One thread (the supervisor) calls it. */
#ifndef LETHE_GATEWAY_KEYS_EPOCHS_H
#define LETHE_GATEWAY_KEYS_EPOCHS_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/pseudonym.h"

#define EPOCH_DAY_TAG_MAX 24u

struct epochs; /* opaque */

enum epoch_place { EPOCH_IN_MEMORY, EPOCH_ON_TMPFS, EPOCH_ON_DISK };

/* Open or make the store. `state_id`: the state's random id (16 bytes), so
 * that another state's file is never taken. A file that is not ours, not
 * 0600, or damaged counts as absent: its epochs are gone, new ones start.
 * Errors: ST_DENIED (a written `runtime` and no tmpfs of ours), ST_IO. */
enum status epochs_open(const struct conf *c, const uint8_t state_id[16],
                        struct epochs **out) MUST_CHECK;
enum epoch_place epochs_place(const struct epochs *e);
const char *epoch_place_name(enum epoch_place place);

struct epoch {
    uint64_t id;           /* random, not secret: names the K_spool slot too */
    int64_t starts_ms;     /* when it was made */
    int64_t ends_ms;       /* next rotation after it was made */
    const uint8_t *secret; /* KEY_BYTES, locked, borrowed until the next call
                              that rotates it */
};

/* The epoch in force at `now_ms` for (site id, destination). Makes a new one,
 * destroying the old secret first (overwritten, synced), when none is there
 * or its end has come. A wall clock that goes back never re-opens one.
 * `bool *out_new` tells. Errors: ST_IO, ST_NOMEM. */
enum status epochs_current(struct epochs *e, struct slice site,
                           struct slice destination, struct duration rotate,
                           int64_t rotate_at_ms, int64_t now_ms,
                           struct epoch *out, bool *out_new) MUST_CHECK;

/* Destroy all secrets of epochs whose (site, destination) is not in use any
 * more is up to the caller: forget one. Errors: ST_UNKNOWN, ST_IO. */
enum status epochs_forget(struct epochs *e, struct slice site,
                          struct slice destination) MUST_CHECK;

/* The day key of `now_ms`'s UTC day: 16 bytes (all zero when
 * subject_search is off) and its tag ("2026-11-22", "2026-11-22.2" after a
 * loss). Old ones are destroyed subject_search after their day has ended;
 * *out_destroyed counts them. Also destroys epochs that have ended and that
 * nobody asks for any more. Errors: ST_IO. */
enum status epochs_day_key(struct epochs *e, int64_t now_ms,
                           uint8_t out_key[16], char out_tag[EPOCH_DAY_TAG_MAX],
                           bool *out_new, unsigned *out_destroyed) MUST_CHECK;
/* Live day keys, newest first, for searches: tag and key of number `index`;
 * false when there are no more. */
bool epochs_day_key_at(const struct epochs *e, unsigned index,
                       uint8_t out_key[16], char out_tag[EPOCH_DAY_TAG_MAX]);

/* Newest opt-out number and hash that this store has seen (0 at first). */
void epochs_optout_seen(const struct epochs *e, uint64_t *out_number,
                        uint8_t out_hash[32]);
enum status epochs_note_optout(struct epochs *e, uint64_t number,
                               const uint8_t hash[32]) MUST_CHECK;

void epochs_close(struct epochs *e); /* wipes memory; keeps the file */

#endif
