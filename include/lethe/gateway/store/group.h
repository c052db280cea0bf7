/* group.h - what one worker (or forwarder) hands to the committer at the end
 * of a loop pass: sealed blobs, audit rows, and whom to tell. Immutable once
 * submitted; reference-counted between committer and audit. */
#ifndef LETHE_GATEWAY_STORE_GROUP_H
#define LETHE_GATEWAY_STORE_GROUP_H

#include "lethe/gateway/audit/row.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

struct group_blob {
    uint64_t destination;   /* destination_key() */
    uint32_t slot, use;     /* K_spool */
    uint32_t count;         /* fragments in it */
    size_t offset, len;     /* in group.sealed */
    int64_t expires_min_ms; /* shortest expiry among its fragments */
};

/* Rows of one site, all of one policy and one day key. */
struct group_rows {
    uint64_t site;         /* site_number(): first 8 bytes of the id */
    uint64_t policy_index; /* of the policy.load record in force */
    char tag[24];          /* day key's tag */
    int64_t time_ms;       /* wall clock of the pass; rows hold t = 0 */
    uint32_t count;        /* rows */
    size_t offset;         /* in group.rows, bytes */
    uint32_t refused[5];   /* requests refused: 400, 404, 413, 429, 503 */
};

#define GROUP_BLOBS_MAX 4096u
#define GROUP_SITES_MAX 256u

struct group {
    struct group *next;
    unsigned refs;        /* atomic: group_ref/group_unref */
    uint64_t optout_seen; /* newest opt-out number its lookups saw */
    struct buf sealed;    /* all sealed blobs, back to back */
    struct group_blob *blobs;
    unsigned blob_count, blob_size;
    struct buf rows; /* ROW_BYTES each */
    struct group_rows *sites;
    unsigned site_count, site_size;
    /* Called once by the committer, on its thread, when the group is on disk
     * (ST_OK) or will never be (ST_IO, ST_FULL, ST_CLOSED). */
    void (*on_done)(struct group *g, enum status st);
    void *ctx; /* for on_done */
};

struct group *group_new(void); /* NULL: out of memory; one reference */
struct group *group_ref(struct group *g);
void group_unref(struct group *g); /* NULL is allowed */
/* Room for one more blob or site section; NULL: out of memory or limit. */
struct group_blob *group_add_blob(struct group *g);
struct group_rows *group_add_rows(struct group *g);

#endif
