/* audit_check.h - between the files of `audit check` and `audit prove`. */
#ifndef GATEWAY_CMD_AUDIT_CHECK_H
#define GATEWAY_CMD_AUDIT_CHECK_H

#include "lethe/gateway/audit/evidence.h"
#include "lethe/gateway/cmd/cmd.h"

#define CHECK_TEXT_MAX 200u

/* One proof that was read. */
struct checked {
    const char *path;
    int code;                  /* CMD_OK: proved; CMD_WRONG, CMD_INCOMPLETE */
    char text[CHECK_TEXT_MAX]; /* why not, or "" */
    bool is_read;              /* the rest counts */
    struct buf bytes;
    uint8_t extra[PROOF_EXTRA_MAX];
    struct evidence evidence;
    struct evidence_facts facts;
    struct note note;
    struct checkpoint head;
    bool is_persons; /* a commitment was asked for, and it holds it */
};

/* "proved", "wrong", "incomplete" of an exit code. */
const char *check_verdict(int code);

/* What a proof says, for people or as one JSON object; `policy` (may be NULL)
 * is the proved policy.load that names its destinations. */
#define CHECK_PUT_MAX 32768u
void check_put(const struct checked *c, const struct evidence_facts *policy,
               bool json, struct buf *out);

/* A person's commitment, as optout.set holds it, from a file with two lines:
 * the receipt, and the identifier that was opted out. CMD_OK, or an exit code
 * after saying why. */
#define PERSON_TEXT 45u
int check_read_person(const char *path, char out[PERSON_TEXT]);

/* The public key in the signer's folder of a config: CMD_OK, or an exit code
 * after saying why. */
int check_log_key(const struct conf *c, struct note_key *out);

#endif
