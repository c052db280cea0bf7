/* signer.h - who signs the log: another process, at best of another user,
 * that holds the log's key and remembers what it signed last. It speaks C2SP
 * tlog-witness over a Unix socket and never signs two histories under one
 * name. Its folder:
 *
 *   key       the log's Ed25519 seed, a key file (keyfile.h)
 *   log.vkey  the public half, one line, for whoever verifies; 0644
 *   state     the checkpoint signed last, a signed note; made with the key,
 *             so that one which is gone is noticed
 *   sock      where it listens
 *   lock      held while a signer runs
 *
 * `POST /add-checkpoint` has a body of "old <size>", the lines of a
 * consistency proof, an empty line and a checkpoint. Two things differ from a
 * witness: the checkpoint comes without signature lines, for the signature
 * that comes back is the log's own; and `Signer-Gap: <ms>` tells that nobody
 * asked for more than a minute, by the signer's clock. */
#ifndef LETHE_GATEWAY_AUDIT_SIGNER_H
#define LETHE_GATEWAY_AUDIT_SIGNER_H

#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/audit/tlog/tree.h"
#include "lethe/policy/base/clock.h"

#define SIGNER_BODY_MAX  4096u /* of a request: 63 lines of proof fit */
#define SIGNER_STATE_MAX 4096u
#define SIGNER_PROOF_MAX 63u
#define SIGNER_GAP_MS    INT64_C(60000)
#define SIGNER_TIMEOUT_S 5 /* for one connection, all in all */
#define SIGNER_SOCKET    "sock"

/* ---- the folder --------------------------------------------------------- */

/* Make key, log.vkey and an empty state for the log `origin` in the folder
 * `dir`, which is there. A key that is there is used. Errors: ST_EXISTS (a
 * state is there), ST_SYNTAX (origin), ST_DENIED (the key is no key file),
 * ST_IO, ST_FULL, ST_LIMIT, ST_NOMEM. */
enum status signer_make(const char *dir, struct slice origin) MUST_CHECK;

/* A new log `name` with the same key (a new one, where it is gone), after one
 * that cannot go on; nothing of it is signed yet. The old log.vkey and state
 * stay beside as log.vkey.<n> and state.<n>. Nobody may serve the folder.
 * Errors: ST_EXISTS (somebody does), as signer_make(). */
enum status signer_fork(const char *dir, struct slice name,
                        uint64_t old_number) MUST_CHECK;

/* What a folder holds, as far as everybody may read it. Errors: ST_UNKNOWN
 * (no log.vkey), ST_SYNTAX (it is none), ST_IO, ST_LIMIT. */
enum status signer_vkey(const char *dir, struct note_key *out) MUST_CHECK;

/* Is `name` the origin itself, or the one of a fork of it: "<origin>/2",
 * "<origin>/3", ...? */
bool signer_is_of(struct slice name, struct slice origin);

/* ---- signing ------------------------------------------------------------ */

struct signer;

/* Why a signer does not start; "" after ST_OK. */
#define SIGNER_WHY_MAX 160u

/* Open the folder. `origin` (SLICE_NONE: whatever log.vkey says) is the log's
 * name by the config; while nothing was signed yet the folder takes it over.
 * Errors: any; `why` tells the operator. */
enum status signer_open(const char *dir, struct slice origin,
                        const struct clock *clock, struct signer **out,
                        char why[SIGNER_WHY_MAX]) MUST_CHECK;
void signer_close(struct signer *s);
const struct note_key *signer_key(const struct signer *s);
/* What was signed last; its origin is the key's name. */
void signer_last(const struct signer *s, struct checkpoint *out);

struct signer_reply {
    int code;         /* 200 400 404 409 422 500 503 */
    bool has_size;    /* of a 409: what was signed last */
    uint64_t size;    /* has_size */
    int64_t gap_ms;   /* 0: none */
    struct buf lines; /* signature lines of a 200; the caller's to free */
};

/* Answer one request's body. A 200 is remembered on disk before it is told.
 * After a 500 the state on disk is not known: end, and start anew. */
void signer_answer(struct signer *s, struct slice body,
                   struct signer_reply *out);

/* Serve `dir`'s socket, one connection at a time, until `until_fd` (a socket;
 * -1: never) has an end or a byte; it gets a byte once we listen. Errors:
 * ST_EXISTS (another signer serves this folder), ST_IO, ST_LIMIT, ST_CORRUPT
 * (after a 500). */
enum status signer_serve(struct signer *s, const char *dir,
                         int until_fd) MUST_CHECK;

/* ---- asking ------------------------------------------------------------- */

/* Put the body of a request. */
void signer_put(uint64_t old, const struct tree_proof *proof,
                const struct checkpoint *c, struct buf *out);

/* Ask the signer that serves `dir`. ST_OK: it answered, with whatever code.
 * Errors: ST_CLOSED (nobody listens there), ST_TIMEOUT, ST_SYNTAX (that is no
 * answer of a signer), ST_IO, ST_LIMIT. out->lines is initialised in any case.
 */
enum status signer_ask(const char *dir, struct slice body, int64_t timeout_ms,
                       struct signer_reply *out) MUST_CHECK;

/* Read an answer; for signer_ask(), and for tests. Errors: ST_SYNTAX. */
enum status signer_read_reply(struct slice bytes,
                              struct signer_reply *out) MUST_CHECK;

#endif
