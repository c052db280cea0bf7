/* witness.h - the witnesses of the config: other people's machines that cosign
 * the log's checkpoints, and so remember what was signed.
 *
 * A round each minute: every witness is given the same newest checkpoint, on a
 * thread of its own, so that a slow or dead one holds up nobody, and never the
 * log. A cosignature that does not verify is thrown away. What they signed in
 * one round is kept in audit/cosigned: the log's note and their lines.
 *
 * A witness that knows more records than the log has, or cannot be shown that
 * the log goes on from what it signed, says what nothing else can: that the log
 * was put back, or rewritten. That is logged as an error and told in status. */
#ifndef LETHE_GATEWAY_AUDIT_WITNESS_H
#define LETHE_GATEWAY_AUDIT_WITNESS_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

#define WITNESS_ROUND_MS   INT64_C(60000)
#define WITNESS_TIMEOUT_MS 10000  /* of one request */
#define WITNESS_ANSWER_MAX 16384u /* bytes of one that are read */

enum witness_state {
    WITNESS_NOT_ASKED,
    WITNESS_COSIGNS,
    WITNESS_SILENT,       /* no answer, or 5xx */
    WITNESS_TLS,          /* its certificate or name does not hold */
    WITNESS_REFUSES,      /* another status: does not know the log, its key */
    WITNESS_UNREADABLE,   /* an answer that is none of a witness */
    WITNESS_WRONG_SIGNED, /* a cosignature that does not verify */
    WITNESS_KNOWS_MORE,   /* it signed a longer log: ours was put back */
    WITNESS_DISAGREES,    /* it signed another log: ours was rewritten */
    WITNESS_NO_PROOF,     /* we could not show how the log goes on */
    WITNESS_STATE_COUNT
};
/* For people: "cosigns", "does not answer", ... */
const char *witness_state_name(enum witness_state s);

struct witness_facts {
    const char *name; /* borrowed from the config */
    enum witness_state state;
    int status;        /* HTTP's of the last answer, 0 none */
    uint64_t size;     /* leaves that it cosigned last, 0 none since start */
    int64_t signed_ms; /* when, by our clock; 0 never since start */
    uint64_t cosigned, failed; /* rounds since start */
};

struct witnesses_config {
    const char *folder;              /* state_dir/audit */
    const struct conf_witness *list; /* borrowed */
    unsigned count;
    const struct clock *clock;
    int64_t timeout_ms; /* of one request; 0 = WITNESS_TIMEOUT_MS */
    /* A witness has cosigned; on its thread. May be NULL. */
    void (*anchored)(void *ctx, const char *name, uint64_t size);
    void *ctx;
};

struct witnesses;

/* Reads the keys; asks nobody yet. `config` is copied, what it points to is
 * borrowed. Errors: ST_SYNTAX (key), ST_DENIED, ST_SYNTAX (url), ST_NOMEM. */
enum status witnesses_open(const struct witnesses_config *config,
                           struct witnesses **out) MUST_CHECK;
/* A thread for each. Errors: ST_NOMEM. */
enum status witnesses_start(struct witnesses *w) MUST_CHECK;
/* Without threads, for tests: ask each once, one after the other. */
void witnesses_round(struct witnesses *w);
unsigned witnesses_facts(struct witnesses *w, struct witness_facts *out,
                         unsigned max);
/* Ends what runs within about a second. NULL is allowed. */
void witnesses_close(struct witnesses *w);

#endif
