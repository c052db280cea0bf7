/* parser.h - strict HTTP/1.1 and 1.0 requests out of a growing buffer.
 *
 * Pure: no sockets, no memory of its own. The caller keeps all bytes of one
 * request in one buffer that starts at the request's first byte, appends to
 * it, and feeds the whole buffer each time; the parser goes on where it
 * stopped, so no byte is looked at twice. Everything it reports is an offset,
 * so the buffer may move. How the bytes were cut never changes the outcome.
 *
 * It refuses whatever two servers could read in two ways: that is what
 * request smuggling is made of. */
#ifndef LETHE_GATEWAY_HTTP_PARSER_H
#define LETHE_GATEWAY_HTTP_PARSER_H

#include "lethe/gateway/http/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_METHOD_MAX     32u   /* bytes: 400 */
#define HTTP_HOST_MAX       255u  /* bytes of the authority: 400 */
#define HTTP_CHUNK_LINE_MAX 256u  /* size and extensions with CRLF: 400 */
#define HTTP_TRAILERS_MAX   4096u /* bytes after the last chunk: 431 */
#define HTTP_BODY_MAX       (UINT64_C(1) << 30) /* no limit goes above */

struct http_span {
    uint32_t at;
    uint32_t len;
};

struct http_field {
    struct http_span name;
    struct http_span value; /* without the white space around it */
};

enum http_progress {
    HTTP_MORE,     /* so far good, not all there */
    HTTP_COMPLETE, /* all fields below are valid */
    HTTP_REFUSED   /* `refused` holds the status; feed no more */
};

struct http_parser {
    uint64_t body_max; /* bytes on the wire, chunk framing included */
    int refused;       /* 400 413 414 417 431 501 505; 0 = not refused */

    /* Valid once head_done. */
    bool head_done;
    bool keep_alive;      /* what the client asks for */
    bool expect_continue; /* it waits for "100 Continue" */
    bool chunked;
    unsigned minor; /* HTTP/1.minor */
    struct http_span method;
    struct http_span target;    /* as sent */
    struct http_span path;      /* of the target; empty for "http://host" */
    struct http_span query;     /* without '?' */
    bool has_query;             /* "/x?" has an empty one */
    struct http_span authority; /* host and port as sent; empty if none */
    struct http_span host;      /* without the port; "[::1]" in brackets */
    uint64_t content_length;
    size_t body_at;

    /* Valid once HTTP_COMPLETE. */
    size_t body_len; /* a chunked body is joined in place at body_at */
    size_t end;      /* first byte of the next request */

    /* The parser's own. */
    int state;
    size_t line; /* start of the present line */
    size_t scan; /* first byte not yet looked at */
    size_t part; /* bytes left of a chunk; start of the trailers */
    unsigned hosts, lengths, codings;
    bool blank_skipped;

    unsigned header_count;
    struct http_field headers[HTTP_HEADERS_MAX];
};

/* Start with the next request. `body_max` is cut to HTTP_BODY_MAX. */
void http_parser_init(struct http_parser *p, uint64_t body_max);

/* Go on with data[0..len), of which the bytes of the last call are the start.
 * Writes into `data` only to join chunks. */
enum http_progress http_parser_feed(struct http_parser *p, char *data,
                                    size_t len);

/* Bytes the whole request will have, if a Content-Length tells; else 0. */
size_t http_parser_whole(const struct http_parser *p);

/* Bytes that a buffer needs at most for one request under `body_max`. */
size_t http_parser_buffer_max(uint64_t body_max);

/* The bytes of a span. */
struct slice http_span_of(const char *data, struct http_span s);

/* Host and port of "host", "host:80", "[::1]:80"; letters, digits, "-._" and
 * bracketed IPv6 only. Errors: ST_SYNTAX, ST_LIMIT. */
enum status http_split_authority(struct slice text,
                                 size_t *out_host_len) MUST_CHECK;

/* Decode %XX into `out` (at least path.len bytes; may not overlap). Escapes
 * of '/' and '%' and of bytes above 0x7e stay escaped: decoding them would
 * give the path a second meaning. Errors: ST_SYNTAX (a bad escape, or one of
 * a control byte). */
enum status http_decode_path(struct slice path, char *out,
                             size_t *out_len) MUST_CHECK;

#endif
