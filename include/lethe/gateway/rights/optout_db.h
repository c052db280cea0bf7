/* optout_db.h - the file optout.db: the same records as the journal's, in
 * SQLite. It may lag behind the journal; optout_open() evens that out. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_DB_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_DB_H

#include "lethe/gateway/rights/optout_record.h"

struct optout_db;

/* Errors: ST_EXISTS, ST_IO. */
enum status optout_db_create(
    const char *path, const uint8_t header[OPTOUT_HEADER_BYTES]) MUST_CHECK;
/* Errors: ST_UNKNOWN (no file), ST_CORRUPT, ST_IO, ST_NOMEM. */
enum status optout_db_open(const char *path,
                           uint8_t out_header[OPTOUT_HEADER_BYTES],
                           struct optout_db **out) MUST_CHECK;
void optout_db_close(struct optout_db *db); /* NULL is allowed */

/* Newest record's number (0 = none). Errors: ST_IO, ST_CORRUPT. */
enum status optout_db_newest(struct optout_db *db,
                             uint64_t *out_number) MUST_CHECK;
/* Errors: ST_UNKNOWN, ST_CORRUPT, ST_IO. */
enum status optout_db_read(struct optout_db *db, uint64_t number,
                           uint8_t out[OPTOUT_RECORD_BYTES]) MUST_CHECK;
/* Add `count` records, the first one `first`, in one transaction.
 * Errors: ST_FULL, ST_IO. */
enum status optout_db_add(struct optout_db *db, uint64_t first,
                          const uint8_t *records, size_t count) MUST_CHECK;
enum status optout_db_erase_key(struct optout_db *db,
                                uint64_t number) MUST_CHECK;

#endif
