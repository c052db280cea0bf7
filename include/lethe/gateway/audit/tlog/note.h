/* note.h - signed notes (C2SP signed-note) and cosignatures (C2SP
 * tlog-cosignature): a text, an empty line, and a line for each signature.
 * Ed25519 by libsodium, which must be initialised. Free of the gateway. */
#ifndef LETHE_GATEWAY_AUDIT_TLOG_NOTE_H
#define LETHE_GATEWAY_AUDIT_TLOG_NOTE_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

#define NOTE_NAME_MAX       255u
#define NOTE_BYTES_MAX      65536u
#define NOTE_SIGNATURES_MAX 32u
#define NOTE_PUBLIC_BYTES   32u
#define NOTE_SEED_BYTES     32u
/* name + 8 hex digits + 44 of base64, two plus signs and the NUL */
#define NOTE_VKEY_MAX (NOTE_NAME_MAX + 8u + 44u + 3u)
/* base64 of key id, time and signature */
#define NOTE_BLOB_MAX 76u

enum note_key_type { NOTE_ED25519 = 1, NOTE_COSIGNATURE = 4 };

struct note_key { /* who can have signed */
    char name[NOTE_NAME_MAX + 1];
    enum note_key_type type;
    uint8_t id[4];
    uint8_t public_key[NOTE_PUBLIC_BYTES];
};

struct note_signer {
    struct note_key key;
    uint8_t secret[64];
};

/* A name: UTF-8 that the format allows: not empty, no space, no plus, no
 * control characters. ASCII only here. */
bool note_name_ok(struct slice name);

/* From a verifier key, "name+hex+base64", in its one spelling.
 * Errors: ST_SYNTAX, ST_TYPE (a kind of key we do not know). */
enum status note_key_read(struct slice vkey, struct note_key *out) MUST_CHECK;
void note_key_text(const struct note_key *key, char out[NOTE_VKEY_MAX]);

/* A signer from its seed. Errors: ST_SYNTAX (name). */
enum status note_signer_make(struct slice name, enum note_key_type type,
                             const uint8_t seed[NOTE_SEED_BYTES],
                             struct note_signer *out) MUST_CHECK;
void note_signer_wipe(struct note_signer *s);

/* Parsed, nothing checked. Borrows from the bytes read. */
struct note {
    struct slice text; /* with its last newline */
    struct note_line {
        struct slice name;
        uint8_t blob[NOTE_BLOB_MAX]; /* key id, then what its kind says */
        size_t blob_len;             /* 0: of a kind longer than ours */
    } lines[NOTE_SIGNATURES_MAX];
    unsigned count; /* at least one */
};
/* Errors: ST_SYNTAX, ST_LIMIT (NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX). */
enum status note_read(struct slice bytes, struct note *out) MUST_CHECK;

/* Has `key` signed? *out_time (may be NULL): a cosignature's seconds since
 * 1970, else 0. Errors: ST_UNKNOWN (no line of that key), ST_CRYPTO (a line of
 * that key that is not its signature: the whole note is to be refused). */
enum status note_check(const struct note *n, const struct note_key *key,
                       uint64_t *out_time) MUST_CHECK;

/* Append the signature line over `text`; `time_s` counts for cosignatures.
 * A note is text, "\n", lines. Errors: ST_SYNTAX (text), ST_NOMEM. */
enum status note_sign(const struct note_signer *s, struct slice text,
                      uint64_t time_s, struct buf *out) MUST_CHECK;

#endif
