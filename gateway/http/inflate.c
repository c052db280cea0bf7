#include "lethe/gateway/http/inflate.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FIRST_BYTES 4096u
#define GZIP_ONLY   (15 + 16) /* window bits: a gzip header, nothing else */
#define STATE_BYTES 65536u    /* zlib asks for about 40 KiB */

/* zlib's own memory holds the window, which is the client's text. It comes
 * from one block, which is wiped at the end. */
struct workspace {
    size_t used;
    _Alignas(16) unsigned char bytes[STATE_BYTES];
};

static voidpf work_alloc(voidpf opaque, uInt items, uInt size)
{
    struct workspace *w = opaque;
    size_t want = ((size_t)items * size + 15u) & ~(size_t)15u;

    if (want > sizeof(w->bytes) - w->used)
        return Z_NULL;
    void *out = w->bytes + w->used;
    w->used += want;
    return out;
}

static void work_free(voidpf opaque, voidpf address)
{
    (void)opaque;
    (void)address;
}

bool body_is_gzip(struct slice body)
{
    return slice_starts(body, SLICE("\x1f\x8b\x08"));
}

void inflate_free(char *data, size_t len)
{
    if (data != NULL)
        explicit_bzero(data, len);
    free(data);
}

struct output {
    char *data;
    size_t len, size, cap;
};

/* At least one more byte of room. One byte above the cap is allowed, so that
 * exactly `cap` bytes can be told from more. */
static enum status output_grow(struct output *o)
{
    size_t size = o->size < o->cap / 2 ? o->size * 2 : o->cap + 1;

    if (o->len < o->size)
        return ST_OK;
    if (o->size > o->cap)
        return ST_LIMIT;
    char *data = malloc(size);
    if (data == NULL)
        return ST_NOMEM;
    memcpy(data, o->data, o->len);
    inflate_free(o->data, o->len);
    o->data = data;
    o->size = size;
    return ST_OK;
}

static enum status inflate_step(z_stream *z, struct output *o, bool *out_end)
{
    size_t room = o->size - o->len;

    z->next_out = (Bytef *)(o->data + o->len);
    z->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
    uInt before = z->avail_out;
    int rc = inflate(z, Z_NO_FLUSH);
    o->len += before - z->avail_out;
    if (o->len > o->cap)
        return ST_LIMIT;
    if (rc == Z_MEM_ERROR)
        return ST_NOMEM;
    *out_end = rc == Z_STREAM_END;
    /* Z_BUF_ERROR or an unfilled buffer: the input ended too early. */
    if (rc != Z_STREAM_END && (rc != Z_OK || z->avail_out > 0))
        return ST_SYNTAX;
    return ST_OK;
}

static enum status inflate_all(z_stream *z, struct output *o)
{
    bool end = false;

    while (!end) {
        enum status st = output_grow(o);
        if (st == ST_OK)
            st = inflate_step(z, o, &end);
        if (st != ST_OK)
            return st;
    }
    return z->avail_in == 0 ? ST_OK : ST_SYNTAX;
}

/* A first size that spares most bodies the growing: analytics JSON shrinks to
 * a fifth or so. */
static size_t first_size(struct slice body, size_t cap)
{
    size_t size = body.len > cap / 6 ? cap + 1 : body.len * 6;

    return size < FIRST_BYTES ? FIRST_BYTES : size;
}

enum status inflate_gzip(struct slice body, size_t cap, char **out_data,
                         size_t *out_len)
{
    struct output o = {.size = first_size(body, cap), .cap = cap};
    z_stream z = {.zalloc = work_alloc, .zfree = work_free};
    enum status st = ST_NOMEM;

    assert(cap < SIZE_MAX / 2);

    if (body.len > UINT_MAX)
        return ST_LIMIT;
    struct workspace *w = malloc(sizeof(*w));
    o.data = malloc(o.size);
    if (w != NULL)
        w->used = 0;
    if (w == NULL || o.data == NULL)
        goto done;
    z.opaque = w;
    z.next_in = (z_const Bytef *)body.at;
    z.avail_in = (uInt)body.len;
    if (inflateInit2(&z, GZIP_ONLY) != Z_OK)
        goto done;
    st = inflate_all(&z, &o);
    (void)inflateEnd(&z);
    if (st != ST_OK)
        goto done;
    *out_data = o.data;
    *out_len = o.len;
    o.data = NULL;

done:
    if (w != NULL)
        explicit_bzero(w->bytes, w->used);
    free(w);
    inflate_free(o.data, o.len);
    return st;
}
