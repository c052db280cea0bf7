#include "parser_head.h"

#include <assert.h>
#include <string.h>

#define REQUEST_LINE_MAX (HTTP_METHOD_MAX + 1u + HTTP_TARGET_MAX + 11u)
#define CHUNK_DIGITS_MAX 8u

void http_parser_init(struct http_parser *p, uint64_t body_max)
{
    memset(p, 0, offsetof(struct http_parser, headers));
    p->body_max = body_max < HTTP_BODY_MAX ? body_max : HTTP_BODY_MAX;
}

struct slice http_span_of(const char *data, struct http_span s)
{
    return (struct slice){data + s.at, s.len};
}

static enum http_progress refuse(struct http_parser *p, int status)
{
    p->refused = status;
    return HTTP_REFUSED;
}

enum line { LINE_MORE, LINE_WHOLE, LINE_BAD, LINE_LONG };

/* Look for the end of the line that starts at p->line. All bytes are judged
 * in their order, so the outcome does not depend on how they arrived. `max`
 * counts the CRLF. */
static enum line scan_line(struct http_parser *p, const char *data, size_t len,
                           size_t max)
{
    size_t stop = len - p->line > max ? p->line + max : len;
    size_t i = p->scan;

    while (i < stop) {
        unsigned char c = (unsigned char)data[i];
        if (c == '\r') {
            if (i + 1 == p->line + max)
                return LINE_LONG;
            if (i + 1 == len)
                break; /* its LF may still come */
            if (data[i + 1] != '\n')
                return LINE_BAD;
            p->scan = i + 2;
            return LINE_WHOLE;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return LINE_BAD; /* bare LF, NUL and the like */
        i++;
    }
    p->scan = i;
    return i - p->line >= max ? LINE_LONG : LINE_MORE;
}

/* The line that scan_line() found, without its CRLF; moves to the next. */
static struct slice take_line(struct http_parser *p, const char *data)
{
    struct slice line = {data + p->line, p->scan - p->line - 2};

    p->line = p->scan;
    return line;
}

static int head_line(struct http_parser *p, const char *data)
{
    struct slice line = take_line(p, data);

    if (p->state == AT_HEADER)
        return line.len == 0 ? head_finish(p) : head_take_field(p, data, line);
    if (line.len == 0 && !p->blank_skipped) {
        p->blank_skipped = true; /* old clients end a POST with one too many */
        return 0;
    }
    p->state = AT_HEADER;
    return head_take_request_line(p, data, line);
}

static enum http_progress feed_head(struct http_parser *p, const char *data,
                                    size_t len)
{
    while (!p->head_done) {
        bool first = p->state == AT_REQUEST_LINE;
        size_t max = first ? REQUEST_LINE_MAX : HTTP_HEAD_MAX - p->line;
        enum line found = scan_line(p, data, len, max);
        if (found == LINE_MORE)
            return HTTP_MORE;
        if (found != LINE_WHOLE)
            return refuse(p, found == LINE_BAD ? 400 : first ? 414 : 431);
        int status = head_line(p, data);
        if (status != 0)
            return refuse(p, status);
    }
    return HTTP_COMPLETE;
}

static enum http_progress feed_body(struct http_parser *p, size_t len)
{
    if (len - p->body_at < p->content_length)
        return HTTP_MORE;
    p->body_len = (size_t)p->content_length;
    p->end = p->body_at + p->body_len;
    p->state = AT_END;
    return HTTP_COMPLETE;
}

/* "1f" or "1f;anything". No space anywhere near the size, no sign, no 0x. */
static bool parse_chunk_size(struct slice line, size_t *out)
{
    size_t size = 0, digits = 0;

    while (digits < line.len && head_hex_value(line.at[digits]) >= 0) {
        if (digits == CHUNK_DIGITS_MAX)
            return false;
        size = size * 16 + (size_t)head_hex_value(line.at[digits++]);
    }
    if (digits == 0 || (digits < line.len && line.at[digits] != ';'))
        return false;
    *out = size;
    return true;
}

static enum http_progress feed_chunk_size(struct http_parser *p,
                                          const char *data, size_t len)
{
    enum line found = scan_line(p, data, len, HTTP_CHUNK_LINE_MAX);
    size_t size = 0;

    if (found == LINE_MORE)
        return HTTP_MORE;
    if (found != LINE_WHOLE || !parse_chunk_size(take_line(p, data), &size))
        return refuse(p, 400);
    if ((uint64_t)(p->scan - p->body_at) + size > p->body_max)
        return refuse(p, 413);
    p->state = size > 0 ? AT_CHUNK : AT_TRAILER;
    p->part = size > 0 ? size : p->scan;
    return HTTP_COMPLETE;
}

static enum http_progress feed_chunk(struct http_parser *p, char *data,
                                     size_t len)
{
    size_t there = len - p->scan < p->part ? len - p->scan : p->part;

    memmove(data + p->body_at + p->body_len, data + p->scan, there);
    p->body_len += there;
    p->scan += there;
    p->part -= there;
    if (p->part > 0)
        return HTTP_MORE;
    p->line = p->scan;
    p->state = AT_CHUNK_END;
    return HTTP_COMPLETE;
}

static enum http_progress feed_chunk_end(struct http_parser *p,
                                         const char *data, size_t len)
{
    for (; p->scan < len; p->scan++) {
        if (data[p->scan] != "\r\n"[p->scan - p->line])
            return refuse(p, 400);
        if (p->scan > p->line) {
            p->line = ++p->scan;
            p->state = AT_CHUNK_SIZE;
            return HTTP_COMPLETE;
        }
    }
    return HTTP_MORE;
}

/* Trailers are read, so that the next request is found, and forgotten:
 * nothing that matters may hide behind a body (R62). */
static enum http_progress feed_trailer(struct http_parser *p, const char *data,
                                       size_t len)
{
    size_t max = HTTP_TRAILERS_MAX - (p->line - p->part);
    enum line found = scan_line(p, data, len, max);
    struct slice name, value;

    if (found == LINE_MORE)
        return HTTP_MORE;
    if (found != LINE_WHOLE)
        return refuse(p, found == LINE_BAD ? 400 : 431);
    struct slice line = take_line(p, data);
    if (line.len == 0) {
        p->end = p->scan;
        p->state = AT_END;
    } else if (!head_split_field(line, &name, &value)) {
        return refuse(p, 400);
    }
    return HTTP_COMPLETE;
}

static enum http_progress feed_step(struct http_parser *p, char *data,
                                    size_t len)
{
    switch ((enum http_parser_state)p->state) {
    case AT_REQUEST_LINE:
    case AT_HEADER:
        return feed_head(p, data, len);
    case AT_BODY:
        return feed_body(p, len);
    case AT_CHUNK_SIZE:
        return feed_chunk_size(p, data, len);
    case AT_CHUNK:
        return feed_chunk(p, data, len);
    case AT_CHUNK_END:
        return feed_chunk_end(p, data, len);
    case AT_TRAILER:
        return feed_trailer(p, data, len);
    case AT_END:
        break;
    }
    return HTTP_COMPLETE;
}

enum http_progress http_parser_feed(struct http_parser *p, char *data,
                                    size_t len)
{
    assert(p != NULL && p->refused == 0 && len >= p->scan);

    while (p->state != AT_END) {
        enum http_progress step = feed_step(p, data, len);
        if (step != HTTP_COMPLETE)
            return step;
    }
    return HTTP_COMPLETE;
}

size_t http_parser_whole(const struct http_parser *p)
{
    if (!p->head_done || p->chunked)
        return 0;
    return p->body_at + (size_t)p->content_length;
}

size_t http_parser_buffer_max(uint64_t body_max)
{
    if (body_max > HTTP_BODY_MAX)
        body_max = HTTP_BODY_MAX;
    /* Chunk framing counts into the body; a last size line and the trailers
     * may come on top. */
    return REQUEST_LINE_MAX + HTTP_HEAD_MAX + (size_t)body_max +
           HTTP_CHUNK_LINE_MAX + HTTP_TRAILERS_MAX;
}
