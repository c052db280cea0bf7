/* Proofs to take away: what is read has one spelling, and proves nothing that
 * was not logged, but by chance. Input: a proof. */
#include "fuzz.h"
#include "lethe/gateway/audit/tlog/proof.h"

#include <sodium.h>
#include <string.h>

/* A log of one entry, signed by a key of our own. */
static struct note_signer signer;
static struct buf checkpoint;
static uint8_t entry[HASH_BYTES];

static void make_log(void)
{
    const uint8_t seed[NOTE_SEED_BYTES] = {42};
    struct checkpoint c = {.origin = SLICE("fuzz"), .size = 1};
    struct buf line;

    merkle_leaf("entry", 5, entry);
    memcpy(c.root, entry, HASH_BYTES);
    buf_init(&checkpoint, NOTE_BYTES_MAX);
    buf_init(&line, NOTE_BYTES_MAX);
    check(sodium_init() >= 0);
    check(note_signer_make(c.origin, NOTE_ED25519, seed, &signer) == ST_OK);
    checkpoint_put(&c, &checkpoint);
    check(note_sign(&signer, buf_slice(&checkpoint), 0, &line) == ST_OK);
    buf_put_char(&checkpoint, '\n');
    buf_put(&checkpoint, buf_slice(&line));
    buf_free(&line);
    check(!checkpoint.failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t extra[PROOF_EXTRA_MAX];
    struct slice input = {(const char *)data, size};
    struct tlog_proof p;
    struct checkpoint c;
    struct note note;
    struct buf again;

    if (signer.key.name[0] == '\0')
        make_log();
    if (proof_read(input, extra, &p) != ST_OK)
        return 0;
    buf_init(&again, PROOF_BYTES_MAX);
    enum status st = proof_put(&p, &again);
    check(st == ST_OK || (st == ST_LIMIT && p.checkpoint.len > NOTE_BYTES_MAX));
    if (st == ST_OK)
        check(slice_eq(buf_slice(&again), input));
    buf_free(&again);
    check(proof_check(&p, entry, &signer.key, &note, &c) != ST_OK);
    /* Under the true checkpoint only the true place counts. */
    p.checkpoint = buf_slice(&checkpoint);
    check((proof_check(&p, entry, &signer.key, &note, &c) == ST_OK) ==
          (p.index == 0 && p.path.count == 0));
    return 0;
}
