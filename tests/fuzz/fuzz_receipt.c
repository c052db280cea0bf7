/* No text but the one that was made is a receipt; what was made is read back
 * as it was. Input: number, commitment's key, then a text. */
#include "fuzz.h"
#include "lethe/gateway/rights/optout_receipt.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t key[KEY_BYTES] = {7}, other[KEY_BYTES] = {8};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[OPTOUT_RECEIPT_MAX], again[OPTOUT_RECEIPT_MAX];
    uint8_t commit_key[16], got_key[16];
    uint64_t number = 0, got = 0;

    if (optout_receipt_read(key, (struct slice){(const char *)data, size}, &got,
                            got_key) == ST_OK) {
        optout_receipt_make(key, got, got_key, again); /* one spelling each */
        check(memcmp(again, data, size) == 0);
    }
    if (size < 24)
        return 0;
    memcpy(&number, data, sizeof(number));
    memcpy(commit_key, data + 8, sizeof(commit_key));
    optout_receipt_make(key, number, commit_key, text);
    struct slice receipt = {text, OPTOUT_RECEIPT_BYTES};
    check(text[OPTOUT_RECEIPT_BYTES] == '\0');
    check(optout_receipt_read(key, receipt, &got, got_key) == ST_OK);
    check(got == number && memcmp(got_key, commit_key, 16) == 0);
    check(optout_receipt_read(other, receipt, &got, got_key) == ST_UNKNOWN);
    if (size > 25) { /* one character changed */
        char *at = &text[data[24] % OPTOUT_RECEIPT_BYTES];
        if (*at != (char)data[25]) {
            *at = (char)data[25];
            check(optout_receipt_read(key, receipt, &got, got_key) != ST_OK);
        }
    }
    return 0;
}
