#include "lethe/policy/form.h"

#include <string.h>

bool form_next(struct slice *rest, struct slice *out_name,
               struct slice *out_value)
{
    while (rest->len > 0) {
        struct slice pair = slice_head(*rest, slice_find(*rest, '&'));
        size_t equals = slice_find(pair, '=');

        *rest = slice_skip(*rest, pair.len + 1);
        if (pair.len == 0)
            continue;
        *out_name = slice_head(pair, equals);
        *out_value = slice_skip(pair, equals + 1);
        return true;
    }
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that %XX at `i` stands for, or -1. */
static int escaped(struct slice s, size_t i)
{
    if (s.at[i] != '%' || i + 2 >= s.len)
        return -1;
    int high = hex_value(s.at[i + 1]), low = hex_value(s.at[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

enum status form_decode(struct slice raw, struct arena *a, struct slice *out)
{
    if (slice_find(raw, '%') == raw.len && slice_find(raw, '+') == raw.len) {
        *out = raw;
        return ST_OK;
    }
    char *text = arena_alloc(a, raw.len);
    size_t len = 0;
    if (text == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < raw.len; i++) {
        int byte = escaped(raw, i);
        if (byte >= 0) {
            text[len++] = (char)byte;
            i += 2;
        } else {
            text[len++] = raw.at[i] == '+' ? ' ' : raw.at[i];
        }
    }
    *out = (struct slice){text, len};
    return ST_OK;
}

enum status form_find(struct slice form, struct slice name, struct arena *a,
                      struct slice *out)
{
    struct slice key, value;

    while (form_next(&form, &key, &value))
        if (slice_eq(key, name))
            return form_decode(value, a, out);
    *out = SLICE_NONE;
    return ST_OK;
}

bool form_line(struct slice *rest, struct slice *out)
{
    while (rest->len > 0) {
        struct slice line = slice_head(*rest, slice_find(*rest, '\n'));
        *rest = slice_skip(*rest, line.len + 1);
        line = slice_trim(line);
        if (line.len == 0)
            continue;
        *out = line;
        return true;
    }
    return false;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-' || c == ' ')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

enum status base64_decode(struct slice text, struct arena *a, char **out,
                          size_t *out_len)
{
    for (unsigned pad = 0; pad < 2 && text.len > 0; pad++)
        if (text.at[text.len - 1] == '=')
            text.len--;
    if (text.len % 4 == 1)
        return ST_SYNTAX;
    char *bytes = arena_alloc(a, text.len / 4 * 3 + 3);
    unsigned held = 0, bits = 0;
    size_t len = 0;
    if (bytes == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < text.len; i++) {
        int v = base64_value(text.at[i]);
        if (v < 0)
            return ST_SYNTAX;
        held = held << 6 | (unsigned)v;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[len++] = (char)(held >> bits);
            held &= (1u << bits) - 1;
        }
    }
    *out = bytes;
    *out_len = len;
    return ST_OK;
}
