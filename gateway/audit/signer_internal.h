/* signer_internal.h - what the signer's files share. */
#ifndef GATEWAY_AUDIT_SIGNER_INTERNAL_H
#define GATEWAY_AUDIT_SIGNER_INTERNAL_H

#include "lethe/gateway/audit/signer.h"

#include <limits.h>

struct signer { /* in locked memory: it holds the key */
    struct note_signer signer;
    const struct clock *clock;
    char dir[PATH_MAX];
    char state_path[PATH_MAX];
    uint64_t size; /* signed last */
    uint8_t root[HASH_BYTES];
    int64_t asked_ms; /* wall clock of the last request, 0 = never */
};

bool signer_path(const char *dir, const char *name, char out[PATH_MAX]);

/* Sign `c`, whose origin is the key's name: the whole note into `note`, which
 * is emptied first. Errors: ST_NOMEM, ST_SYNTAX. */
enum status signer_note(const struct note_signer *s, const struct checkpoint *c,
                        struct buf *note) MUST_CHECK;

/* ---- signer_wire.c: sockets that do not block, with one end for all -------
 */

int64_t wire_now_ms(void); /* monotonic */
/* Until `fd` is ready. Errors: ST_TIMEOUT (`end`, 0 = never, has come),
 * ST_END (`until_fd`, -1 = none, has an end or a byte), ST_IO. */
enum status wire_wait(int fd, short events, int until_fd,
                      int64_t end) MUST_CHECK;
/* All of `s`. Errors: as wire_wait(), ST_CLOSED. */
enum status wire_send(int fd, int until_fd, int64_t end,
                      struct slice s) MUST_CHECK;

/* ---- signer_serve.c -------------------------------------------------------
 */

/* The lock of `dir`, freed by close(). Errors: ST_EXISTS (held), ST_IO,
 * ST_LIMIT. */
enum status signer_lock(const char *dir, int *out_fd) MUST_CHECK;
/* The listening socket of `dir`, and the lock. Errors: ST_EXISTS, ST_IO,
 * ST_LIMIT. */
enum status signer_listen(const char *dir, int *out_fd,
                          int *out_lock) MUST_CHECK;

#endif
