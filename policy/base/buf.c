#include "lethe/policy/base/buf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 256u

void buf_init(struct buf *b, size_t cap)
{
    *b = (struct buf){.cap = cap};
}

bool buf_reserve(struct buf *b, size_t extra)
{
    if (extra <= b->size - b->len)
        return true;
    if (extra > b->cap - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + extra;
    size_t size = b->size < FIRST_BYTES ? FIRST_BYTES : b->size;
    while (size < need)
        size = size > b->cap / 2 ? b->cap : size * 2;
    if (size > b->cap)
        size = b->cap;
    char *data = realloc(b->data, size);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->size = size;
    return true;
}

void buf_put_bytes(struct buf *b, const void *bytes, size_t len)
{
    if (len == 0 || !buf_reserve(b, len))
        return;
    memcpy(b->data + b->len, bytes, len);
    b->len += len;
}

void buf_put(struct buf *b, struct slice s)
{
    buf_put_bytes(b, s.at, s.len);
}

void buf_put_char(struct buf *b, char c)
{
    buf_put_bytes(b, &c, 1);
}

static void put_be(struct buf *b, uint64_t v, size_t bytes)
{
    uint8_t out[8];

    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    buf_put_bytes(b, out, bytes);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
    put_be(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    put_be(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    put_be(b, v, 8);
}

void buf_put_i64_text(struct buf *b, int64_t v)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, v);

    buf_put_bytes(b, text, (size_t)len);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        b->failed = true;
    else if (buf_reserve(b, (size_t)len + 1)) {
        (void)vsnprintf(b->data + b->len, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

static void put_escaped(struct buf *b, unsigned char c)
{
    switch (c) {
    case '"':
        buf_put(b, SLICE("\\\""));
        break;
    case '\\':
        buf_put(b, SLICE("\\\\"));
        break;
    case '\n':
        buf_put(b, SLICE("\\n"));
        break;
    case '\r':
        buf_put(b, SLICE("\\r"));
        break;
    case '\t':
        buf_put(b, SLICE("\\t"));
        break;
    default:
        buf_printf(b, "\\u%04x", c);
        break;
    }
}

void buf_put_json_string(struct buf *b, struct slice s)
{
    size_t start = 0;

    buf_put_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put_bytes(b, s.at + start, i - start);
        put_escaped(b, c);
        start = i + 1;
    }
    if (s.len > start)
        buf_put_bytes(b, s.at + start, s.len - start);
    buf_put_char(b, '"');
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->data, b->len};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

void buf_wipe(struct buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->size);
    buf_reset(b);
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.cap = b->cap};
}
