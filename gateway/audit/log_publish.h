/* log_publish.h - what log_publish.c (the thread) and log_sign.c (one question
 * to the signer, and what becomes of its answer) share. */
#ifndef GATEWAY_AUDIT_LOG_PUBLISH_H
#define GATEWAY_AUDIT_LOG_PUBLISH_H

#include "log_internal.h"
#include "log_tree.h"

#define PUBLISH_WAIT_MS 100L

struct publisher {
    struct log_tree tree;
    char path[PATH_BYTES];
    uint64_t signer_size; /* what the signer signed last */
    int64_t tried_mono, blocked_mono;
    struct buf taken; /* leaves on their way into the tree */
    size_t taken_at;

    pthread_mutex_t lock;
    pthread_cond_t wake, told;
    pthread_t thread;
    bool running;
    bool stopping;             /* under lock */
    uint64_t wanted;           /* under lock: size that somebody waits for */
    struct buf leaves;         /* under lock */
    _Atomic uint64_t size;     /* published */
    _Atomic int64_t good_mono; /* of the last signature, published */
    _Atomic bool blocked;      /* that is too long ago */
};

/* Have `size` leaves signed and published; where the signer has something else
 * that is ours, too, from there on. Errors: ST_MISMATCH (it signed another
 * history), ST_END (more than there is), ST_UNKNOWN (another log), ST_CORRUPT
 * (the tree lacks what a proof needs), ST_CLOSED, ST_TIMEOUT, ST_BUSY (no
 * answer), ST_IO, ST_FULL (not published), ST_NOMEM. */
enum status publish_sign(struct audit_log *l, uint64_t size) MUST_CHECK;
void publish_pause(long ms);

#endif
