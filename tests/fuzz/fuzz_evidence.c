/* What a proof holds beside the inclusion: what is read has one spelling, and a
 * row that counts is bound by its record. Input: a proof's extra. */
#include "fuzz.h"
#include "lethe/gateway/audit/evidence.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size};
    struct evidence_facts f;
    struct evidence e;
    struct buf again;

    check(sodium_init() >= 0);
    if (evidence_read(input, &e) != ST_OK)
        return 0;
    buf_init(&again, PROOF_EXTRA_MAX);
    check(evidence_put(&e, &again) == ST_OK);
    check(slice_eq(buf_slice(&again), input));
    buf_free(&again);
    for (uint64_t index = 0; index < 4; index++) {
        if (evidence_facts(&e, index, &f) != ST_OK)
            continue;
        check(f.index == index);
        if (!e.has_row)
            continue;
        e.row[size % ROW_BYTES] ^= 1;
        check(evidence_facts(&e, index, &f) != ST_OK);
        e.row[size % ROW_BYTES] ^= 1;
    }
    return 0;
}
