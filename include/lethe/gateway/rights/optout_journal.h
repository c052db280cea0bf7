/* optout_journal.h - the file `optout_journal`: a header, then records of
 * fixed size. What append acknowledged is on disk; space for
 * OPTOUT_RESERVE_BYTES more is kept allocated behind the end, so that a full
 * disk still takes opt-outs. One writer. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_JOURNAL_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_JOURNAL_H

#include "lethe/gateway/rights/optout_record.h"

struct optout_journal;

/* Write a new file with `header` alone, synced. Errors: ST_EXISTS, ST_IO. */
enum status optout_journal_create(
    const char *path, const uint8_t header[OPTOUT_HEADER_BYTES]) MUST_CHECK;

typedef enum status optout_journal_fn(
    void *ctx, const uint8_t record[OPTOUT_RECORD_BYTES]);

/* Open and read what is there: its whole, chained records go to `each`, in
 * order. Nothing is changed yet. Errors: ST_UNKNOWN (no file), ST_CORRUPT (no
 * whole header, or a changed record before synced ones), ST_DENIED (not a
 * regular file of ours, or another key's), ST_IO, ST_NOMEM, or what `each`
 * returned. A last write that was cut off is not an error. `salvage`: damage
 * ends the reading, but is no error either. */
enum status optout_journal_open(const char *path, const uint8_t key[KEY_BYTES],
                                bool salvage, optout_journal_fn *each,
                                void *ctx,
                                struct optout_journal **out) MUST_CHECK;
/* Get ready for appending: cut the torn rest off, keep the reserve. */
enum status optout_journal_ready(struct optout_journal *j) MUST_CHECK;
void optout_journal_close(struct optout_journal *j); /* NULL is allowed */

uint64_t optout_journal_newest(const struct optout_journal *j,
                               uint8_t out_hash[OPTOUT_HASH_BYTES]);
void optout_journal_header(const struct optout_journal *j,
                           uint8_t out[OPTOUT_HEADER_BYTES]);

/* Append `count` records that follow the newest one, and sync. On failure the
 * journal is as it was and the same numbers may be used again.
 * Errors: ST_FULL (no space), ST_IO. */
enum status optout_journal_append(struct optout_journal *j,
                                  const uint8_t *records,
                                  size_t count) MUST_CHECK;

/* Records from `first` on, at most `max`, as many as there are.
 * Errors: ST_UNKNOWN (first is not 1..newest), ST_IO. */
enum status optout_journal_read(const struct optout_journal *j, uint64_t first,
                                size_t max, uint8_t *out_records,
                                size_t *out_count) MUST_CHECK;

/* Overwrite the erasable key of record `number`; on disk with the next sync.
 * Errors: ST_UNKNOWN, ST_IO. */
enum status optout_journal_erase_key(struct optout_journal *j,
                                     uint64_t number) MUST_CHECK;

#endif
