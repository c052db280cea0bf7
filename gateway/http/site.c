#include "lethe/gateway/http/site.h"

#include "lethe/gateway/http/parser.h"

#include <string.h>

bool site_split_path(struct slice *path, struct slice *out_site)
{
    if (!slice_starts(*path, SLICE("/s/")))
        return false;
    struct slice rest = slice_skip(*path, 3);
    size_t end = slice_find(rest, '/');
    if (end == 0 || end == rest.len)
        return false;
    *out_site = slice_head(rest, end);
    *path = slice_skip(rest, end);
    return true;
}

static bool is_bare_ipv6(struct slice text)
{
    size_t first = slice_find(text, ':');
    struct slice rest = slice_skip(text, first + 1);

    return first < text.len && text.at[0] != '[' &&
           slice_find(rest, ':') < rest.len;
}

/* "A.example:80" and "a.example." are "a.example"; "[::1]:80" is "::1". The
 * config may be written either way. Empty if it is no host. */
static struct slice bare_host(struct slice text)
{
    size_t host_len;

    if (is_bare_ipv6(text))
        return text;
    if (http_split_authority(text, &host_len) != ST_OK)
        return SLICE_NONE;
    text = slice_head(text, host_len);
    if (text.at[0] == '[')
        return slice_head(slice_skip(text, 1), text.len - 2);
    if (text.len > 1 && text.at[text.len - 1] == '.')
        text.len--;
    return text;
}

/* "https://host:port" in its parts; no path, no user, not "null". */
static bool split_origin(struct slice origin, struct slice *out_scheme,
                         struct slice *out_host, struct slice *out_port)
{
    size_t colon = slice_find(origin, ':'), host_len;
    struct slice rest = slice_skip(origin, colon);

    if (colon == 0 || !slice_starts(rest, SLICE("://")))
        return false;
    rest = slice_skip(rest, 3);
    if (http_split_authority(rest, &host_len) != ST_OK)
        return false;
    *out_scheme = slice_head(origin, colon);
    *out_host = slice_head(rest, host_len);
    *out_port = slice_skip(rest, host_len);
    return true;
}

static bool ends_fold(struct slice s, struct slice suffix)
{
    return s.len > suffix.len &&
           slice_eq_fold(slice_skip(s, s.len - suffix.len), suffix);
}

static bool origin_matches(const struct conf_origin *o, struct slice origin)
{
    struct slice scheme, host, port;
    struct slice text = slice_of(o->text);

    if (!split_origin(origin, &scheme, &host, &port))
        return false;
    switch (o->kind) {
    case ORIGIN_EXACT:
        return slice_eq_fold(origin, text);
    case ORIGIN_SUBDOMAINS: /* ".example.com": the dot keeps look-alikes and
                             * the bare domain out */
        return slice_eq_fold(scheme, slice_of(o->scheme)) && port.len == 0 &&
               text.len > 1 && text.at[0] == '.' && ends_fold(host, text) &&
               host.at[0] != '.';
    case ORIGIN_ANY_PORT:
        return slice_eq_fold(scheme, slice_of(o->scheme)) &&
               slice_eq_fold(host, text);
    }
    return false;
}

bool site_has_origin(const struct conf_site *s, struct slice origin)
{
    for (unsigned i = 0; i < s->origin_count; i++)
        if (origin_matches(&s->origins[i], origin))
            return true;
    return false;
}

static bool site_is_named(const struct conf_site *s, struct slice name_or_id)
{
    return name_or_id.len > 0 && (slice_eq(slice_of(s->id), name_or_id) ||
                                  slice_eq(slice_of(s->name), name_or_id));
}

static bool site_has_key(const struct conf_site *s, struct slice key)
{
    for (unsigned i = 0; i < s->key_count; i++)
        if (key.len > 0 && slice_eq(slice_of(s->keys[i]), key))
            return true;
    return false;
}

static bool site_has_host(const struct conf_site *s, struct slice host)
{
    struct slice want = bare_host(host);

    for (unsigned i = 0; want.len > 0 && i < s->host_count; i++)
        if (slice_eq_fold(bare_host(slice_of(s->hosts[i])), want))
            return true;
    return false;
}

typedef bool site_test(const struct conf_site *s, struct slice hint);

/* Keep only the candidates that pass. Returns how many sites of all pass:
 * 0 means that the hint names none. */
static unsigned narrow(const struct conf *c, bool *candidates, site_test *test,
                       struct slice hint)
{
    bool passes[CONF_SITES_MAX];
    unsigned count = 0;

    for (unsigned i = 0; i < c->site_count; i++) {
        passes[i] = test(&c->sites[i], hint);
        count += passes[i];
    }
    for (unsigned i = 0; count > 0 && i < c->site_count; i++)
        candidates[i] = candidates[i] && passes[i];
    return count;
}

int site_resolve(const struct conf *c, const struct site_hints *h)
{
    bool candidates[CONF_SITES_MAX];
    unsigned hints = 0, left = 0;
    int found = -404;

    for (unsigned i = 0; i < c->site_count; i++)
        candidates[i] = true;
    if (h->path_site.at != NULL) {
        if (narrow(c, candidates, site_is_named, h->path_site) == 0)
            return -404;
        hints++;
    }
    for (unsigned i = 0; i < h->key_count; i++) {
        if (narrow(c, candidates, site_has_key, h->keys[i]) == 0)
            return -404;
        hints++;
    }
    if (h->host.len > 0)
        hints += narrow(c, candidates, site_has_host, h->host) > 0;
    if (h->origin.len > 0)
        hints += narrow(c, candidates, site_has_origin, h->origin) > 0;
    for (unsigned i = 0; i < c->site_count; i++) {
        left += candidates[i];
        found = candidates[i] ? (int)i : found;
    }
    if (left == 1)
        return found;
    return hints > 0 ? -400 : -404;
}

bool site_origin_listed(const struct conf *c, struct slice path_site,
                        struct slice origin)
{
    for (unsigned i = 0; i < c->site_count; i++)
        if ((path_site.at == NULL || site_is_named(&c->sites[i], path_site)) &&
            site_has_origin(&c->sites[i], origin))
            return true;
    return false;
}
