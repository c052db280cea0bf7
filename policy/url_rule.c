/* url_rule.c - what a URL may say: which of the officer's templates it is, or
 * the name of its host. Whatever two URL readers could disagree about (dot
 * segments, encoded or backward slashes, double escapes) matches nothing, so
 * nobody can steer a URL into a template it does not belong to. */
#include "lethe/policy/rules.h"

#include <string.h>

/* A URL taken apart; path is SLICE_NONE where it is none of ours to match. */
struct parts {
    struct slice authority; /* user, host and port */
    struct slice path;
};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Up to the first '?' or '#'. */
static struct slice without_query(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '?' || s.at[i] == '#')
            return slice_head(s, i);
    }
    return s;
}

static bool take_http(struct slice *s)
{
    static const struct slice schemes[] = {SLICE_INIT("https:"),
                                           SLICE_INIT("http:")};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (slice_eq_fold(slice_head(*s, schemes[i].len), schemes[i])) {
            *s = slice_skip(*s, schemes[i].len);
            return true;
        }
    }
    return false;
}

static bool split(struct slice url, struct parts *out)
{
    struct slice s = without_query(slice_trim(url));
    bool scheme = take_http(&s);

    *out = (struct parts){SLICE_NONE, SLICE_NONE};
    if (slice_starts(s, SLICE("//"))) {
        s = slice_skip(s, 2);
        size_t end = slice_find(s, '/');
        out->authority = slice_head(s, end);
        out->path = slice_skip(s, end);
        if (out->path.len == 0)
            out->path = SLICE("/");
        return out->authority.len > 0 &&
               slice_find(out->authority, '\\') == out->authority.len;
    }
    if (scheme || s.len == 0 || s.at[0] != '/')
        return false;
    out->path = s;
    return true;
}

static int hex(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode one escape at s.at[i]; -1 if it is broken or stands for a byte that
 * no plain path holds. */
static int escape(struct slice s, size_t i)
{
    int high, low, c;

    if (s.len - i < 3)
        return -1;
    high = hex(s.at[i + 1]);
    low = hex(s.at[i + 2]);
    if (high < 0 || low < 0)
        return -1;
    c = high << 4 | low;
    if (c < 0x20 || c == 0x7f || strchr("/\\%?#;", c) != NULL)
        return -1;
    return c;
}

/* The path decoded once and without ";p=v" parts into `out`; false where it
 * can match nothing. */
static bool normalise(struct slice path, char out[URL_PATH_MAX], size_t *len)
{
    bool in_parameter = false;
    size_t n = 0;

    if (path.len > URL_PATH_MAX)
        return false;
    for (size_t i = 0; i < path.len; i++) {
        int c = (unsigned char)path.at[i];

        if (c <= 0x20 || c == 0x7f || c == '\\')
            return false;
        if (c == '%') {
            c = escape(path, i);
            if (c < 0)
                return false;
            i += 2;
        } else if (c == ';' || c == '/') {
            in_parameter = c == ';';
        }
        if (!in_parameter)
            out[n++] = (char)c;
    }
    *len = n;
    return true;
}

/* The next segment of *rest, which begins with '/'. */
static struct slice next_segment(struct slice *rest)
{
    struct slice s = slice_skip(*rest, 1);
    size_t end = slice_find(s, '/');

    *rest = slice_skip(s, end);
    return slice_head(s, end);
}

static bool has_odd_segment(struct slice path)
{
    while (path.len > 0) {
        struct slice s = next_segment(&path);

        if (slice_eq(s, SLICE(".")) || slice_eq(s, SLICE("..")))
            return true;
        if (s.len == 0 && path.len > 0)
            return true; /* "//" inside: servers differ */
    }
    return false;
}

static bool fits(struct slice template, struct slice path)
{
    while (template.len > 0 && path.len > 0) {
        struct slice want = next_segment(&template);
        struct slice have = next_segment(&path);
        bool any = want.len > 1 && want.at[0] == ':';

        if (any ? have.len == 0 : !slice_eq(want, have))
            return false;
    }
    return template.len == 0 && path.len == 0;
}

struct slice url_rule_match(const struct rule *r, struct slice url)
{
    struct slice miss = r->as.url.has_other ? r->as.url.other : SLICE_NONE;
    char text[URL_PATH_MAX];
    struct parts parts;
    struct slice path = {text, 0};

    if (!split(url, &parts) || !normalise(parts.path, text, &path.len))
        return miss;
    if (path.len == 0 || has_odd_segment(path))
        return miss;
    for (int trailing = 0; trailing < 2; trailing++) {
        for (unsigned i = 0; i < r->as.url.count; i++) {
            if (fits(r->as.url.paths[i], path))
                return r->as.url.paths[i];
        }
        if (path.len == 1 || path.at[path.len - 1] != '/')
            break;
        path.len--; /* "/upload/" is "/upload" where nothing else claims it */
    }
    return miss;
}

/* An address literal: its last label is a number ("10.0.0.7", "0x7f.1"). */
static bool is_address(struct slice host)
{
    size_t at = host.len;

    while (at > 0 && host.at[at - 1] != '.')
        at--;
    return at == host.len || is_digit(host.at[at]);
}

size_t url_host(struct slice url, char out[HOST_TEXT_MAX])
{
    struct parts parts;
    struct slice host;
    size_t label = 0;

    if (!split(url, &parts) || parts.authority.len == 0)
        return 0;
    host = parts.authority;
    for (size_t at = slice_find(host, '@'); at < host.len;
         at = slice_find(host, '@'))
        host = slice_skip(host, at + 1);
    host = slice_head(host, slice_find(host, ':'));
    if (slice_ends(host, SLICE(".")))
        host.len--;
    if (host.len == 0 || host.len > HOST_TEXT_MAX || is_address(host))
        return 0;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];

        label = c == '.' ? 0 : label + 1;
        if (label > 63 || (c == '.' && i > 0 && host.at[i - 1] == '.') ||
            (!is_alpha(c) && !is_digit(c) && c != '-' && c != '.'))
            return 0;
        out[i] = is_alpha(c) ? (char)(c | 0x20) : c;
    }
    return out[0] == '.' ? 0 : host.len;
}
