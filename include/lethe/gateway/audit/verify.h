/* verify.h - `audit verify`: is this the log that was signed, and does it add
 * up? Stands alone: gateway/audit/verify/ is under 500 lines of code (a lint
 * check counts them), uses libc, libsodium and OpenSSL's SHA-256, and shares
 * nothing with the writer, the signer or the rest of the gateway, so that a
 * mistake there cannot hide itself here. `make build/lethe-verify` builds it
 * from these files alone. docs/audit.md says what is checked. */
#ifndef LETHE_GATEWAY_AUDIT_VERIFY_H
#define LETHE_GATEWAY_AUDIT_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

/* A running gateway signs each second. What is not signed (or witnessed)
 * longer than this is not the newest second of a healthy one. */
#define VERIFY_TAIL_S    120
#define VERIFY_NOTE_MAX  65536u /* bytes of a checkpoint or policy file */
#define VERIFY_SINCE_MAX 2u
#define VERIFY_NONE      UINT64_MAX

/* The numbers are the exit codes. */
enum verify_verdict {
    VERIFY_SOUND,
    VERIFY_TAMPERED,
    VERIFY_INCOMPLETE, /* not signed, not witnessed, too old, not readable */
    VERIFY_USAGE       /* the key, policy or older checkpoint is none */
};

struct verify_wish {    /* texts end with NUL and are borrowed for the call */
    const char *folder; /* state_dir/audit, or a copy */
    const char *key;    /* the log's vkey, or NULL */
    const char *policy; /* C2SP tlog-policy, or NULL */
    const char *since[VERIFY_SINCE_MAX]; /* older checkpoints, signed notes or
                                            their three lines, or NULL: kept
                                            elsewhere; of the signer */
    int64_t now_ms;                      /* since 1970 */
    int64_t max_age_s; /* of the newest signed record; 0: any */
    void (*progress)(void *ctx, uint64_t records, uint64_t rows); /* or NULL */
    void *ctx;
};

struct verify_report {
    enum verify_verdict verdict;
    uint64_t records, batches, rows, decisions; /* read and checked */
    uint64_t covered;   /* records that the signature (and quorum) covers */
    uint64_t missing;   /* records deleted by a signed order */
    uint64_t bad_index; /* the first bad record; VERIFY_NONE: none is known */
    char bad_file[64];  /* where it is, or should be, below the folder */
    char origin[256];   /* "" where the log does not say it */
    uint64_t size;      /* of the tree over all records read, and its root */
    char root[45];      /* base64; "": a missing range has no hashes */
    char text[640];     /* the verdict in one sentence, as an officer reads */
};

/* Read all of it. Never writes. Works beside a running gateway: what was
 * signed when it began must be there, younger records are the tail. */
void audit_verify(const struct verify_wish *wish, struct verify_report *out);

#endif
