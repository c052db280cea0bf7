/* Notes and checkpoints: what is read has one spelling, and nobody's key signs
 * it but by chance. Input: a note. */
#include "fuzz.h"
#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"

#include <sodium.h>
#include <string.h>

static struct note_signer signer;

/* `text` signed is read back, and signed by its key; the same note with one
 * more line is not. */
static void sign_again(struct slice text)
{
    struct note again;
    struct buf b;

    buf_init(&b, NOTE_BYTES_MAX);
    buf_put(&b, text);
    buf_put_char(&b, '\n');
    if (note_sign(&signer, text, 7, &b) == ST_OK && !b.failed) {
        uint64_t time_s = 0;
        check(note_read(buf_slice(&b), &again) == ST_OK);
        check(slice_eq(again.text, text));
        check(note_check(&again, &signer.key, &time_s) == ST_OK);
        check(time_s == 7);
        b.data[0] = b.data[0] == 'a' ? 'b' : 'a';
        if (note_read(buf_slice(&b), &again) == ST_OK)
            check(note_check(&again, &signer.key, NULL) != ST_OK);
    }
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size};
    uint8_t seed[NOTE_SEED_BYTES] = {42};
    char vkey[NOTE_VKEY_MAX];
    struct checkpoint c;
    struct note_key key;
    struct note n;
    struct buf b;

    if (signer.key.name[0] == '\0')
        check(sodium_init() >= 0 &&
              note_signer_make(SLICE("fuzz"), NOTE_COSIGNATURE, seed,
                               &signer) == ST_OK);
    if (note_key_read(input, &key) == ST_OK) {
        note_key_text(&key, vkey);
        check(slice_eq(slice_of(vkey), input));
    }
    if (note_read(input, &n) != ST_OK)
        return 0;
    check(note_check(&n, &signer.key, NULL) != ST_OK);
    sign_again(n.text);
    if (checkpoint_read(n.text, &c) == ST_OK) {
        buf_init(&b, NOTE_BYTES_MAX);
        checkpoint_put(&c, &b);
        check(slice_eq(buf_slice(&b), n.text));
        buf_free(&b);
    }
    return 0;
}
