/* parser_head.h - the lines of a request's head, for parser.c only. What is
 * said here of one line holds however it arrived. */
#ifndef LETHE_GATEWAY_HTTP_PARSER_HEAD_H
#define LETHE_GATEWAY_HTTP_PARSER_HEAD_H

#include "lethe/gateway/http/parser.h"

enum http_parser_state {
    AT_REQUEST_LINE,
    AT_HEADER,
    AT_BODY,
    AT_CHUNK_SIZE,
    AT_CHUNK,
    AT_CHUNK_END,
    AT_TRAILER,
    AT_END
};

/* Each gives 0 or the status to refuse with. `line` lies in `data`. */
int head_take_request_line(struct http_parser *p, const char *data,
                           struct slice line);
int head_take_field(struct http_parser *p, const char *data, struct slice line);
/* The empty line: is the whole head one that has a single meaning? */
int head_finish(struct http_parser *p);

/* "name: value"; false if it is no such thing. */
bool head_split_field(struct slice line, struct slice *out_name,
                      struct slice *out_value);

/* 0-15, or -1. */
int head_hex_value(char c);

#endif
