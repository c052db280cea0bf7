#include "base64.h"

#include <sodium.h>

static bool is_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* libsodium refuses wrong padding and bits that no byte uses. */
bool base64_read(struct slice text, uint8_t *out, size_t max, size_t *out_len)
{
    size_t digits = text.len;
    const char *end;

    while (digits > 0 && text.at[digits - 1] == '=')
        digits--;
    for (size_t i = 0; i < digits; i++)
        if (!is_digit(text.at[i]))
            return false;
    return text.len % 4 == 0 &&
           sodium_base642bin(out, max, text.at, text.len, NULL, out_len, &end,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           end == text.at + text.len;
}
