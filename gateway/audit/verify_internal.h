/* verify_internal.h - the state of one verification, shared by its two files.
 */
#ifndef GATEWAY_AUDIT_VERIFY_INTERNAL_H
#define GATEWAY_AUDIT_VERIFY_INTERNAL_H

#include "read_internal.h"

#include "lethe/gateway/audit/merkle.h"

#include <time.h>

#define POLICY_HEX 16u

enum rows_mode { MODE_ALL, MODE_DROPPED, MODE_NONE };

struct chain { /* where a site's time ends */
    char site[64];
    int64_t t1;
};

struct policy_seen {
    uint64_t index;
    char hex[POLICY_HEX];
};

struct tree { /* over the lines; one perfect subtree a bit of size */
    uint8_t peaks[64][HASH_BYTES];
    uint64_t size;
};

struct verify {
    struct audit_report *report;
    struct segments files;
    bool started;
    uint64_t next_i;
    int64_t last_t;
    int64_t idle_t1; /* of the last heartbeat, or the log's beginning */
    bool has_idle;   /* a heartbeat was read */
    struct read_counts cum;
    enum rows_mode mode;
    struct chain *chains;
    size_t chain_count;
    struct policy_seen *policies;
    size_t policy_count;
    struct tree tree;
    const struct audit_checkpoint *since; /* NULL: none */
    struct batch_view batch;
    uint64_t seen[2][READ_TALLY]; /* rows counted for each by, ex entry */
    void (*progress)(void *ctx, uint64_t records, uint64_t rows);
    void *ctx;
    time_t told;
};

/* Say what is wrong with record `index`; returns false. */
bool fault(struct verify *v, uint64_t index, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A hash in base64, 44 characters. */
void root_text(const uint8_t hash[HASH_BYTES], char out[45]);

/* The tree with one more line; then, at the size of v->since, its root. */
bool tree_grow(struct verify *v, struct slice line);
/* Before the first line, and behind the last. */
bool tree_begin(struct verify *v);
bool tree_end(struct verify *v);

/* The rows of v->batch, which is record `i`: root and counts. */
bool check_rows(struct verify *v, uint64_t i);

#endif
