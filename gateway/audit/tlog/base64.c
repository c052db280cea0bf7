#include "base64.h"

#include <sodium.h>
#include <string.h>

bool base64_read(struct slice text, uint8_t *out, size_t max, size_t *out_len)
{
    char again[BASE64_TEXT_MAX + 1];
    const char *end;

    if (text.len > BASE64_TEXT_MAX || text.len % 4 != 0 ||
        sodium_base642bin(out, max, text.at, text.len, NULL, out_len, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text.at + text.len)
        return false;
    sodium_bin2base64(again, sizeof(again), out, *out_len,
                      sodium_base64_VARIANT_ORIGINAL);
    return memcmp(again, text.at, text.len) == 0;
}
