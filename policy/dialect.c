/* The table of dialects, and what all of them share. */
#include "lethe/policy/dialect.h"

#include "dialect/family.h"
#include "lethe/policy/form.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A number below this is seconds since 1970 (until the year 5138), any other
 * is milliseconds (from 1973 on). */
#define SECONDS_BELOW 1e11
#define TIME_MS_MAX   253402300800e3 /* the year 10000 */

static const struct dialect *const dialects[] = {
    &dialect_plain, &dialect_mixpanel, &dialect_ga4, &dialect_universal};

static unsigned method_bit(struct slice method)
{
    if (slice_eq(method, SLICE("GET")))
        return METHOD_GET;
    return slice_eq(method, SLICE("POST")) ? METHOD_POST : 0;
}

const struct dialect_route *dialect_find(struct slice method, struct slice path,
                                         bool *out_method_ok)
{
    unsigned asked = method_bit(method);

    *out_method_ok = true;
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
        for (unsigned r = 0; r < dialects[i]->route_count; r++) {
            const struct dialect_route *route = &dialects[i]->routes[r];
            if (!slice_eq(route->path, path))
                continue;
            *out_method_ok = (route->methods & asked) != 0;
            return *out_method_ok ? route : NULL;
        }
    return NULL;
}

void dialect_begin(struct dialect_call *c, const struct dialect_route *route,
                   struct beacon *b, struct arena *a)
{
    assert(route != NULL && b != NULL && a != NULL);
    *c = (struct dialect_call){.route = route, .beacon = b, .arena = a};
}

enum status dialect_read(struct dialect_call *c)
{
    return c->route->family->read(c);
}

enum status dialect_decode(struct dialect_call *c, hit_sink *sink, void *ctx)
{
    assert(sink != NULL);
    c->decoded = (struct decoded){0};
    return c->route->family->decode(c, sink, ctx);
}

void dialect_reply(struct dialect_call *c, struct reply *out)
{
    c->route->family->reply(c, out);
}

struct slice dialect_error_body(const struct dialect_route *r,
                                struct slice json, struct arena *a)
{
    struct slice more = r == NULL ? SLICE_NONE : r->family->error_member;

    if (more.len == 0 || json.len == 0)
        return json;
    char *text = arena_alloc(a, json.len + more.len);
    if (text == NULL)
        return json;
    memcpy(text, json.at, json.len - 1); /* all but the last brace */
    memcpy(text + json.len - 1, more.at, more.len);
    text[json.len + more.len - 1] = '}';
    return (struct slice){text, json.len + more.len};
}

uint16_t dialect_source(const struct dialect_route *r)
{
    return r->family->source;
}

const char *dialect_name(const struct dialect_route *r)
{
    return r->family->name;
}

/* ---- what all families share -------------------------------------------- */

enum status dialect_add_key(struct dialect_call *c, struct slice key)
{
    if (key.len == 0)
        return ST_OK;
    for (unsigned i = 0; i < c->key_count; i++)
        if (slice_eq(c->keys[i], key))
            return ST_OK;
    if (c->key_count == DIALECT_KEYS_MAX)
        return ST_SYNTAX;
    c->keys[c->key_count++] = key;
    return ST_OK;
}

enum status dialect_add_header_keys(struct dialect_call *c, struct slice name,
                                    struct slice scheme)
{
    const struct beacon *b = c->beacon;
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < b->header_count; i++) {
        struct slice value = slice_trim(b->headers[i].value);
        if (!slice_eq_fold(b->headers[i].name, name) ||
            !slice_eq_fold(slice_head(value, scheme.len), scheme))
            continue;
        value = slice_trim(slice_skip(value, scheme.len));
        if (scheme.len == 0 || !slice_starts(value, SLICE(DIALECT_TOKEN_START)))
            st = dialect_add_key(c, value);
    }
    return st;
}

enum status dialect_read_common_keys(struct dialect_call *c)
{
    struct slice rest = c->beacon->query, name, value;
    enum status st =
        dialect_add_header_keys(c, SLICE("X-Write-Key"), SLICE(""));

    while (st == ST_OK && form_next(&rest, &name, &value)) {
        if (!slice_eq(name, SLICE("key")))
            continue;
        st = form_decode(value, c->arena, &value);
        if (st == ST_OK)
            st = dialect_add_key(c, value);
    }
    return st;
}

struct slice dialect_header(const struct beacon *b, struct slice name)
{
    for (unsigned i = 0; i < b->header_count; i++)
        if (slice_eq_fold(b->headers[i].name, name))
            return slice_trim(b->headers[i].value);
    return SLICE_NONE;
}

struct slice dialect_body(const struct dialect_call *c)
{
    return slice_trim((struct slice){c->beacon->body, c->beacon->body_len});
}

/* Not the Referer header: it names the page that sends, not the one that the
 * person came from. */
void dialect_add_headers(const struct beacon *b, struct hit *h)
{
    if (h->context[CTX_IP].len == 0)
        h->context[CTX_IP] = b->address;
    if (h->context[CTX_USER_AGENT].len == 0)
        h->context[CTX_USER_AGENT] = b->user_agent;
    if (h->context[CTX_LANGUAGE].len == 0)
        h->context[CTX_LANGUAGE] = b->language;
    h->signals.gpc |= b->gpc;
    h->signals.dnt |= b->dnt;
}

bool dialect_scalar(const struct json_node *object, struct slice key,
                    struct slice *out)
{
    const struct json_node *n =
        object == NULL ? NULL : json_member(object, key);

    *out = SLICE_NONE;
    if (n == NULL || n->type == JSON_NULL)
        return true;
    if (n->type != JSON_STRING && n->type != JSON_NUMBER)
        return false;
    if (n->text.len > 0)
        *out = n->text;
    return true;
}

void dialect_read_context(const struct json_node *object,
                          const struct dialect_context_row *rows,
                          size_t row_count, struct hit *h)
{
    struct slice text;

    for (size_t i = 0; i < row_count; i++)
        if (h->context[rows[i].key].len == 0 &&
            dialect_scalar(object, rows[i].name, &text))
            h->context[rows[i].key] = text;
}

bool dialect_time_of_number(struct slice number, int64_t *out_ms)
{
    char text[JSON_NUMBER_MAX + 1];

    if (number.len == 0 || number.len >= sizeof(text))
        return false;
    memcpy(text, number.at, number.len);
    text[number.len] = '\0';
    char *end;
    double v = strtod(text, &end);
    if (*end != '\0' || text[0] < '0' || text[0] > '9')
        return false;
    if (v < SECONDS_BELOW)
        v *= 1000;
    if (!(v >= 0 && v < TIME_MS_MAX))
        return false;
    *out_ms = (int64_t)v;
    return true;
}

unsigned dialect_count_unknown(const struct json_node *object,
                               const struct slice *known, size_t known_count)
{
    const struct json_node *n = object == NULL ? NULL : json_first(object);
    unsigned unknown = 0;

    for (; n != NULL; n = json_next(object, n)) {
        size_t i = 0;
        while (i < known_count && !slice_eq(n->key, known[i]))
            i++;
        unknown += i == known_count;
    }
    return unknown;
}

enum status dialect_take(struct dialect_call *c, enum status st, struct hit *h,
                         hit_sink *sink, void *ctx)
{
    struct decoded *d = &c->decoded;

    if (d->received == DIALECT_EVENTS_MAX)
        return ST_LIMIT;
    if (st == ST_OK)
        st = sink(ctx, h);
    else if (st == ST_TYPE) {
        if (d->bad_count < DIALECT_BAD_MAX)
            d->bad[d->bad_count++] = d->received;
        d->received++;
        return ST_OK;
    }
    if (st == ST_OK) {
        d->received++;
        d->understood++;
    }
    return st;
}

enum status dialect_end(const struct dialect_call *c, enum status st)
{
    if (st == ST_OK && c->decoded.received > 0 && c->decoded.understood == 0)
        return ST_SYNTAX;
    return st;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* One '@' with something before it and a domain with a dot after it, and
 * nothing that an address cannot hold unquoted. A looser test than a mail
 * server's on purpose: it must not tell two spellings of one person apart. */
static bool is_email_shaped(struct slice s)
{
    size_t at = slice_find(s, '@');
    struct slice domain = slice_skip(s, at + 1);

    if (at == 0 || domain.len == 0 || slice_find(domain, '@') < domain.len ||
        slice_find(domain, '.') == domain.len || domain.at[0] == '.' ||
        domain.at[domain.len - 1] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7F)
            return false;
    return true;
}

static size_t digits(struct slice s)
{
    size_t n = 0;

    while (n < s.len && s.at[n] >= '0' && s.at[n] <= '9')
        n++;
    return n;
}

/* Behind "<prefix>1.2." or "<prefix>1.2-3.", the version and depth of Google's
 * cookies; SLICE_NONE if it is none of them. */
static struct slice behind_version(struct slice s, struct slice prefix)
{
    if (!slice_starts(s, prefix))
        return SLICE_NONE;
    s = slice_skip(s, prefix.len);
    for (unsigned part = 0; part < 2; part++) {
        size_t n = digits(s);
        if (n > 0 && part == 1 && n < s.len && s.at[n] == '-') {
            size_t depth = digits(slice_skip(s, n + 1));
            n = depth > 0 ? n + 1 + depth : 0;
        }
        if (n == 0 || n >= s.len || s.at[n] != '.')
            return SLICE_NONE;
        s = slice_skip(s, n + 1);
    }
    return s;
}

/* "GA1.2.315691213.1760240992", as the _ga cookie has it, without its version
 * and depth; the session's number of "GS1.1.1760240992.5..." and
 * "GS2.1.s1760240992$o5...", the _ga_ cookies; anything else as it is. */
static struct slice bare_google_id(struct slice s)
{
    struct slice rest = behind_version(s, SLICE("GA"));
    size_t first = digits(rest);
    struct slice second = slice_skip(rest, first + 1);

    if (first > 0 && first < rest.len && rest.at[first] == '.' &&
        second.len > 0 && digits(second) == second.len)
        return rest;
    rest = behind_version(s, SLICE("GS"));
    if (rest.len > 0 && rest.at[0] == 's')
        rest = slice_skip(rest, 1);
    first = digits(rest);
    if (first > 0 && first < rest.len &&
        (rest.at[first] == '.' || rest.at[first] == '$'))
        return slice_head(rest, first);
    return s;
}

enum status dialect_canonical(struct slice exact, struct arena *a,
                              struct slice *out)
{
    size_t upper = 0;

    if (slice_starts(exact, SLICE("$device:")) && exact.len > 8)
        exact = slice_skip(exact, 8);
    exact = bare_google_id(exact);

    while (upper < exact.len && !is_upper(exact.at[upper]))
        upper++;
    if (upper == exact.len || !is_email_shaped(exact)) {
        *out = exact;
        return ST_OK;
    }
    char *lower = arena_alloc(a, exact.len);
    if (lower == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < exact.len; i++)
        lower[i] = is_upper(exact.at[i]) ? (char)(exact.at[i] - 'A' + 'a')
                                         : exact.at[i];
    *out = (struct slice){lower, exact.len};
    return ST_OK;
}
