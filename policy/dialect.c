/* The table of dialects, and what all of them share. */
#include "lethe/policy/dialect.h"

#include "dialect/family.h"

#include <assert.h>

static const struct dialect *const dialects[] = {&dialect_plain};

const struct dialect *dialect_find(struct slice method, struct slice path,
                                   bool *out_method_ok)
{
    *out_method_ok = true;
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (!slice_eq(dialects[i]->path, path))
            continue;
        if (slice_eq(dialects[i]->method, method)) {
            *out_method_ok = true;
            return dialects[i];
        }
        *out_method_ok = false;
    }
    return NULL;
}

struct slice dialect_key(const struct dialect *d, const struct beacon *b,
                         struct arena *a)
{
    return d->key(b, a);
}

enum status dialect_decode(const struct dialect *d, struct beacon *b,
                           struct arena *a, hit_sink *sink, void *ctx,
                           struct decoded *out)
{
    assert(d != NULL && sink != NULL && out != NULL);
    *out = (struct decoded){0};
    return d->decode(b, a, sink, ctx, out);
}

void dialect_reply(const struct dialect *d, const struct beacon *b,
                   const struct decoded *what, struct arena *a,
                   struct reply *out)
{
    (void)b; /* other families' answers depend on the query */
    d->reply(what, a, out);
}

uint16_t dialect_source(const struct dialect *d)
{
    return d->source;
}

const char *dialect_name(const struct dialect *d)
{
    return d->name;
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

enum status dialect_canonical(struct slice exact, struct arena *a,
                              struct slice *out)
{
    size_t upper = 0;

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
