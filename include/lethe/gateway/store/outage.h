/* outage.h - outage.db: what waits long, and dead letters (storage.md 2).
 * SQLite. Everything stays sealed under its K_spool. Thread-safe (one
 * connection, one lock). */
#ifndef LETHE_GATEWAY_STORE_OUTAGE_H
#define LETHE_GATEWAY_STORE_OUTAGE_H

#include "lethe/gateway/store/journal.h"
#include "lethe/policy/base/status.h"

enum outage_kind { OUTAGE_WAITING, OUTAGE_DEAD };

struct outage_row {
    int64_t id; /* 0 = not stored yet */
    enum outage_kind kind;
    uint64_t destination;
    uint32_t slot, use, count; /* count fragments, of which the first */
    uint32_t done;             /* `done` are delivered */
    int64_t accepted_ms;
    uint64_t optout_seen;
    int64_t expires_ms; /* row goes then: shortest of its fragments' expiry,
                           for dead letters keep_dead */
    uint8_t cause;      /* enum audit_reason */
    int32_t status;     /* HTTP status or errno of the last try; 0 none */
};

struct outage;
enum status outage_open(const char *path, struct outage **out) MUST_CHECK;
void outage_close(struct outage *o);

/* Store and sync; row->id is set. Errors: ST_FULL, ST_IO. */
enum status outage_put(struct outage *o, struct outage_row *row,
                       struct slice sealed) MUST_CHECK;
/* The same for many in one transaction and sync: all or none. */
enum status outage_put_many(struct outage *o, struct outage_row *rows,
                            const struct slice *sealed,
                            unsigned count) MUST_CHECK;
/* The oldest row of `kind` for the destination with id > after.
 * Errors: ST_END, ST_IO. */
enum status outage_next(struct outage *o, enum outage_kind kind,
                        uint64_t destination, int64_t after,
                        struct outage_row *out, struct buf *sealed) MUST_CHECK;
/* Errors: ST_UNKNOWN, ST_FULL, ST_IO. */
enum status outage_set_done(struct outage *o, int64_t id,
                            uint32_t done) MUST_CHECK;
enum status outage_delete(struct outage *o, int64_t id) MUST_CHECK;
/* Dead letters of a destination (0 = all) become waiting again, with the
 * expiry of `expires_ms`; counts fragments. */
enum status outage_revive(struct outage *o, uint64_t destination,
                          int64_t expires_ms, uint64_t *out_count) MUST_CHECK;
/* The smallest optout_seen of all rows; UINT64_MAX: there is none. */
enum status outage_seen(struct outage *o, uint64_t *out_seen) MUST_CHECK;
/* Rows of a kind and destination (0 = all) and fragments not done. */
enum status outage_count(struct outage *o, enum outage_kind kind,
                         uint64_t destination, uint64_t *out_rows,
                         uint64_t *out_fragments,
                         int64_t *out_oldest_ms) MUST_CHECK;
/* Some row is sealed under this slot and use. */
enum status outage_uses_key(struct outage *o, uint32_t slot, uint32_t use,
                            bool *out_uses) MUST_CHECK;
/* Bytes in use. Space of deleted rows is given back in large steps. */
uint64_t outage_bytes(struct outage *o);

#endif
