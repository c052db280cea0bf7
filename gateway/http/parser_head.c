#include "parser_head.h"

#include <string.h>

static struct http_span span(const char *data, const char *from, size_t len)
{
    return (struct http_span){(uint32_t)(from - data), (uint32_t)len};
}

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum((unsigned char)s.at[i]) &&
            (s.at[i] == '\0' || strchr("!#$%&'*+-.^_`|~", s.at[i]) == NULL))
            return false;
    return s.len > 0;
}

/* Without spaces and tabs at both ends; other white space is no white space
 * to HTTP. */
static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static enum status split_ipv6(struct slice text, size_t *out_host_len)
{
    size_t end = slice_find(text, ']');

    if (end == text.len || end < 3)
        return ST_SYNTAX;
    for (size_t i = 1; i < end; i++)
        if (strchr("0123456789abcdefABCDEF:.", text.at[i]) == NULL ||
            text.at[i] == '\0')
            return ST_SYNTAX;
    *out_host_len = end + 1;
    return ST_OK;
}

enum status http_split_authority(struct slice text, size_t *out_host_len)
{
    size_t host_len = 0;

    if (text.len > HTTP_HOST_MAX)
        return ST_LIMIT;
    if (text.len > 0 && text.at[0] == '[') {
        if (split_ipv6(text, &host_len) != ST_OK)
            return ST_SYNTAX;
    } else {
        while (host_len < text.len &&
               (is_alnum((unsigned char)text.at[host_len]) ||
                text.at[host_len] == '-' || text.at[host_len] == '.' ||
                text.at[host_len] == '_'))
            host_len++;
    }
    struct slice port = slice_skip(text, host_len);
    if (host_len == 0 || (port.len > 0 && port.at[0] != ':') || port.len > 6)
        return ST_SYNTAX;
    for (size_t i = 1; i < port.len; i++)
        if (port.at[i] < '0' || port.at[i] > '9')
            return ST_SYNTAX;
    *out_host_len = host_len;
    return ST_OK;
}

static bool set_authority(struct http_parser *p, const char *data,
                          struct slice text)
{
    size_t host_len;

    if (http_split_authority(text, &host_len) != ST_OK)
        return false;
    p->authority = span(data, text.at, text.len);
    p->host = span(data, text.at, host_len);
    return true;
}

static void split_query(struct http_parser *p, const char *data,
                        struct slice rest)
{
    size_t mark = slice_find(rest, '?');

    p->path = span(data, rest.at, mark);
    p->has_query = mark < rest.len;
    rest = slice_skip(rest, mark + 1);
    p->query = span(data, rest.at, rest.len);
}

static bool starts_fold(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len &&
           slice_eq_fold(slice_head(s, prefix.len), prefix);
}

/* Origin form, "*" for OPTIONS, or absolute form, whose host then counts
 * instead of the header's. */
static bool take_target(struct http_parser *p, const char *data,
                        struct slice method, struct slice target)
{
    size_t skip = 0, end = 0;

    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] < 0x21 || target.at[i] > 0x7e || target.at[i] == '#')
            return false;
    p->target = span(data, target.at, target.len);
    if (target.at[0] == '/' ||
        (slice_eq(target, SLICE("*")) && slice_eq(method, SLICE("OPTIONS")))) {
        split_query(p, data, target);
        return true;
    }
    if (starts_fold(target, SLICE("http://")))
        skip = 7;
    else if (starts_fold(target, SLICE("https://")))
        skip = 8;
    else
        return false;
    target = slice_skip(target, skip);
    while (end < target.len && target.at[end] != '/' && target.at[end] != '?')
        end++;
    if (!set_authority(p, data, slice_head(target, end)))
        return false;
    split_query(p, data, slice_skip(target, end));
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int take_version(struct http_parser *p, struct slice version)
{
    if (slice_eq(version, SLICE("HTTP/1.1")))
        p->minor = 1;
    else if (slice_eq(version, SLICE("HTTP/1.0")))
        p->minor = 0;
    else if (version.len == 8 && slice_starts(version, SLICE("HTTP/")) &&
             is_digit(version.at[5]) && version.at[6] == '.' &&
             is_digit(version.at[7]))
        return 505;
    else
        return 400;
    p->keep_alive = p->minor == 1;
    return 0;
}

/* 0, or the status to refuse with. */
int head_take_request_line(struct http_parser *p, const char *data,
                           struct slice line)
{
    size_t space = slice_find(line, ' ');
    struct slice method = slice_head(line, space);
    struct slice rest = slice_skip(line, space + 1);

    if (method.len > HTTP_METHOD_MAX || !is_token(method))
        return 400;
    p->method = span(data, method.at, method.len);
    space = slice_find(rest, ' ');
    struct slice target = slice_head(rest, space);
    if (target.len == 0 || space == rest.len)
        return 400;
    if (target.len > HTTP_TARGET_MAX)
        return 414;
    int status = take_version(p, slice_skip(rest, space + 1));
    if (status != 0)
        return status;
    return take_target(p, data, method, target) ? 0 : 400;
}

static int take_length(struct http_parser *p, struct slice value)
{
    unsigned long long n;

    /* Even equal repeats: nobody sends them in good faith. */
    if (++p->lengths > 1 || value.len > 19 || !slice_to_u64(value, &n))
        return 400;
    p->content_length = n;
    return 0;
}

static int take_coding(struct http_parser *p, struct slice value)
{
    if (++p->codings > 1 || value.len == 0 || p->minor == 0)
        return 400;
    if (!slice_eq_fold(value, SLICE("chunked")))
        return 501;
    p->chunked = true;
    return 0;
}

static int take_host(struct http_parser *p, const char *data,
                     struct slice value)
{
    struct http_span authority = p->authority, host = p->host;

    if (++p->hosts > 1 || !set_authority(p, data, value))
        return 400;
    if (host.len > 0) { /* the target was absolute */
        p->authority = authority;
        p->host = host;
    }
    return 0;
}

static int take_expect(struct http_parser *p, struct slice value)
{
    if (p->minor == 0)
        return 0; /* 1.0 knows no such thing: RFC 9110 says ignore */
    if (!slice_eq_fold(value, SLICE("100-continue")))
        return 417;
    p->expect_continue = true;
    return 0;
}

static int take_connection(struct http_parser *p, struct slice list)
{
    bool close = false, keep = false;

    while (list.len > 0) {
        size_t comma = slice_find(list, ',');
        struct slice one = trim(slice_head(list, comma));
        close = close || slice_eq_fold(one, SLICE("close"));
        keep = keep || slice_eq_fold(one, SLICE("keep-alive"));
        list = slice_skip(list, comma + 1);
    }
    if (close)
        p->keep_alive = false;
    else if (keep && p->minor == 0)
        p->keep_alive = true;
    return 0;
}

/* What the protocol itself has to know of a field. */
static int take_known(struct http_parser *p, const char *data,
                      struct slice name, struct slice value)
{
    switch (name.len) {
    case 4:
        if (slice_eq_fold(name, SLICE("Host")))
            return take_host(p, data, value);
        break;
    case 6:
        if (slice_eq_fold(name, SLICE("Expect")))
            return take_expect(p, value);
        break;
    case 10:
        if (slice_eq_fold(name, SLICE("Connection")))
            return take_connection(p, value);
        break;
    case 14:
        if (slice_eq_fold(name, SLICE("Content-Length")))
            return take_length(p, value);
        break;
    case 17:
        if (slice_eq_fold(name, SLICE("Transfer-Encoding")))
            return take_coding(p, value);
        break;
    default:
        break;
    }
    return 0;
}

/* "name: value". A name is a token up to the colon, which also refuses a
 * space before it and a folded line. */
bool head_split_field(struct slice line, struct slice *out_name,
                      struct slice *out_value)
{
    size_t colon = slice_find(line, ':');

    if (colon == line.len || !is_token(slice_head(line, colon)))
        return false;
    *out_name = slice_head(line, colon);
    *out_value = trim(slice_skip(line, colon + 1));
    return true;
}

int head_take_field(struct http_parser *p, const char *data, struct slice line)
{
    struct slice name, value;

    if (!head_split_field(line, &name, &value))
        return 400;
    if (p->header_count == HTTP_HEADERS_MAX)
        return 431;
    p->headers[p->header_count++] = (struct http_field){
        span(data, name.at, name.len), span(data, value.at, value.len)};
    return take_known(p, data, name, value);
}

/* The empty line: is the whole head one that has a single meaning? */
int head_finish(struct http_parser *p)
{
    if (p->hosts == 0 && p->minor == 1)
        return 400;
    if (p->codings > 0 && p->lengths > 0)
        return 400;
    p->head_done = true; /* of a body that is too large, too */
    p->body_at = p->scan;
    if (p->content_length > p->body_max)
        return 413;
    p->state = p->chunked ? AT_CHUNK_SIZE : AT_BODY;
    if (!p->chunked && p->content_length == 0)
        p->expect_continue = false;
    return 0;
}

int head_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum status http_decode_path(struct slice path, char *out, size_t *out_len)
{
    size_t n = 0;

    for (size_t i = 0; i < path.len; i++) {
        if (path.at[i] != '%') {
            out[n++] = path.at[i];
            continue;
        }
        int high = path.len - i > 2 ? head_hex_value(path.at[i + 1]) : -1;
        int low = path.len - i > 2 ? head_hex_value(path.at[i + 2]) : -1;
        if (high < 0 || low < 0)
            return ST_SYNTAX;
        char c = (char)(high * 16 + low);
        if (high * 16 + low < 0x20 || high * 16 + low == 0x7f)
            return ST_SYNTAX;
        if (high * 16 + low > 0x7f || c == '/' || c == '%') {
            memcpy(out + n, path.at + i, 3);
            n += 3;
        } else {
            out[n++] = c;
        }
        i += 2;
    }
    *out_len = n;
    return ST_OK;
}
