/* A witness's answers: whatever it says, nothing counts but its own signature
 * of this very checkpoint. Input: the body of an answer; its cosignature of the
 * checkpoint is put in the place of a first byte 0x01. */
#include "fuzz.h"
#include "lethe/gateway/audit/tlog/witness.h"

#include <sodium.h>
#include <string.h>

#define TEXT                                                                   \
    SLICE("fuzz/log\n7\nvSEJfn/U4WgOplQLGYLR4rlo6ihKeR56+i8LbEFNZfo=\n")
#define LATER 1795338042u

static struct note_signer witness;
static struct buf own; /* its true line */

static void start(void)
{
    const uint8_t seed[NOTE_SEED_BYTES] = {42};

    if (own.len > 0)
        return;
    check(sodium_init() >= 0 &&
          note_signer_make(SLICE("fuzz/w"), NOTE_COSIGNATURE, seed, &witness) ==
              ST_OK);
    buf_init(&own, 1024);
    check(note_sign(&witness, TEXT, LATER, &own) == ST_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size};
    bool signs = size > 0 && data[0] == 1;
    uint64_t number = 0, time_s = 5;
    struct buf body, line;

    start();
    buf_init(&body, 1u << 17);
    buf_init(&line, 4096);
    if (signs)
        buf_put(&body, buf_slice(&own));
    buf_put(&body, signs ? slice_skip(input, 1) : input);
    if (witness_read_size(input, &number) == ST_OK)
        check(size >= 2 && data[size - 1] == '\n');
    if (witness_take_line(buf_slice(&body), TEXT, &witness.key, &time_s,
                          &line) == ST_OK) {
        check(time_s == LATER && slice_eq(buf_slice(&line), buf_slice(&own)));
    } else {
        check(line.len == 0 && time_s == 5);
    }
    buf_free(&body);
    buf_free(&line);
    return 0;
}
