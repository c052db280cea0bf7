/* buf.h - a growing byte buffer with a cap.
 *
 * Invariants: data[0..len) are the bytes, len <= size <= cap. A failed put
 * leaves the bytes as they were and sets `failed`, so that a run of puts can
 * be checked once at its end. One owner, not thread-safe. */
#ifndef LETHE_POLICY_BASE_BUF_H
#define LETHE_POLICY_BASE_BUF_H

#include "lethe/policy/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len;  /* bytes held */
    size_t size; /* bytes allocated */
    size_t cap;  /* bytes that may be held */
    bool failed; /* a put did not fit; sticky until buf_reset() */
};

/* An empty buffer that may grow to `cap` bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t cap);

/* Room for `extra` more bytes without changing len; false (and failed) if
 * the cap or the memory is reached. */
bool buf_reserve(struct buf *b, size_t extra);

/* Append; on failure nothing is appended and b->failed is set. */
void buf_put(struct buf *b, struct slice s);
void buf_put_bytes(struct buf *b, const void *bytes, size_t len);
void buf_put_char(struct buf *b, char c);
void buf_put_u16(struct buf *b, uint16_t v);     /* big-endian */
void buf_put_u32(struct buf *b, uint32_t v);     /* big-endian */
void buf_put_u64(struct buf *b, uint64_t v);     /* big-endian */
void buf_put_i64_text(struct buf *b, int64_t v); /* decimal */
/* printf into the buffer; for our own text and numbers. */
void buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `s` as a JSON string with quotes and escapes; `s` must be UTF-8. */
void buf_put_json_string(struct buf *b, struct slice s);

/* What is held, borrowed until the next put. */
struct slice buf_slice(const struct buf *b);

/* Forget the bytes (not wiped) and the failure; keep the memory. */
void buf_reset(struct buf *b);

/* Overwrite all memory held with zeros, then as buf_reset. */
void buf_wipe(struct buf *b);

/* Free the memory; the buffer may be used again. NULL-safe fields. */
void buf_free(struct buf *b);

#endif
