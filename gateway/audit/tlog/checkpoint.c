#include "lethe/gateway/audit/tlog/checkpoint.h"

#include "base64.h"
#include "lethe/gateway/audit/tlog/note.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define HASH_CHARS 44u

static bool take_line(struct slice *s, struct slice *out)
{
    size_t end = slice_find(*s, '\n');

    if (end == s->len)
        return false;
    *out = slice_head(*s, end);
    *s = slice_skip(*s, end + 1);
    return true;
}

void hash_line_put(const uint8_t hash[HASH_BYTES], struct buf *out)
{
    char text[HASH_CHARS + 1];

    sodium_bin2base64(text, sizeof(text), hash, HASH_BYTES,
                      sodium_base64_VARIANT_ORIGINAL);
    buf_printf(out, "%s\n", text);
}

bool hash_line_take(struct slice *s, uint8_t out[HASH_BYTES])
{
    struct slice rest = *s, line;
    size_t len;

    if (!take_line(&rest, &line) || line.len != HASH_CHARS ||
        !base64_read(line, out, HASH_BYTES, &len) || len != HASH_BYTES)
        return false;
    *s = rest;
    return true;
}

enum status checkpoint_read(struct slice text, struct checkpoint *out)
{
    struct checkpoint c;
    struct slice size;
    unsigned long long number;

    if (!take_line(&text, &c.origin) || !note_name_ok(c.origin) ||
        !take_line(&text, &size) || !slice_to_u64(size, &number) ||
        (size.at[0] == '0' && size.len > 1) || !hash_line_take(&text, c.root) ||
        text.len > 0)
        return ST_SYNTAX;
    c.size = number;
    *out = c;
    return ST_OK;
}

void checkpoint_put(const struct checkpoint *c, struct buf *out)
{
    buf_put(out, c->origin);
    buf_printf(out, "\n%" PRIu64 "\n", c->size);
    hash_line_put(c->root, out);
}

void tile_path(unsigned level, uint64_t number, unsigned width,
               char out[TILE_PATH_MAX])
{
    char groups[40], *at = groups + sizeof(groups) - 1;
    bool last = true;
    int n;

    *at = '\0';
    do { /* three digits a group; all but the last begin with an x */
        unsigned part = (unsigned)(number % 1000);
        if (!last)
            *--at = '/';
        for (unsigned i = 0; i < 3; i++, part /= 10)
            *--at = (char)('0' + part % 10);
        if (!last)
            *--at = 'x';
        last = false;
        number /= 1000;
    } while (number > 0);
    if (level == TILE_ENTRIES)
        n = snprintf(out, TILE_PATH_MAX, "tile/entries/%s", at);
    else
        n = snprintf(out, TILE_PATH_MAX, "tile/%u/%s", level, at);
    if (width < TILE_WIDTH)
        (void)snprintf(out + n, TILE_PATH_MAX - (size_t)n, ".p/%u", width);
}
