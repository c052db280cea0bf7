/* Any bytes as a URL: what comes out of "url" is one of the officer's own
 * texts, and of "host" a plain host name; what stands behind '?' or '#' never
 * counts. */
#include "fuzz.h"
#include "lethe/policy/rules.h"

#include <stdlib.h>
#include <string.h>

#define URL_MAX 4096u

static const struct slice paths[] = {SLICE_INIT("/"), SLICE_INIT("/upload"),
                                     SLICE_INIT("/result/:id"),
                                     SLICE_INIT("/a/:x/edit")};
static const struct rule rule = {
    .kind = RULE_URL,
    .as.url = {paths, 4, true, SLICE_INIT("/other")},
};

/* 0-3: a template; 4: other. Compared by address: our text, not a copy of
 * the client's. */
static unsigned which(struct slice out)
{
    for (unsigned i = 0; i < 4; i++) {
        if (out.at == paths[i].at)
            return i;
    }
    check(out.at == rule.as.url.other.at);
    return 4;
}

static bool has(struct slice s, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i + len <= s.len; i++) {
        if (slice_eq_fold((struct slice){s.at + i, len},
                          (struct slice){text, len}))
            return true;
    }
    return false;
}

static void check_host(struct slice url)
{
    char host[HOST_TEXT_MAX];
    size_t len = url_host(url, host);

    check(len <= HOST_TEXT_MAX);
    if (len == 0)
        return;
    check(host[0] != '.' && host[len - 1] != '.');
    for (size_t i = 0; i < len; i++) {
        char c = host[i];
        check((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '.');
    }
    /* the label that an address would end in begins with a letter or '-' */
    size_t at = len;
    while (at > 0 && host[at - 1] != '.')
        at--;
    check(host[at] < '0' || host[at] > '9');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char longer[URL_MAX + 8];
    struct slice url = {(const char *)data, size};
    struct slice before, trimmed = slice_trim(url);
    unsigned found;

    if (size > URL_MAX)
        return 0;
    found = which(url_rule_match(&rule, url));
    check_host(url);

    size_t end = 0;
    while (end < trimmed.len && trimmed.at[end] != '?' &&
           trimmed.at[end] != '#')
        end++;
    before = slice_head(trimmed, end);
    /* whatever follows the path changes nothing */
    if (before.len == 0 || slice_trim(before).len != before.len)
        return 0;
    memcpy(longer, before.at, before.len);
    memcpy(longer + before.len, "?u=a/b#", 7);
    check(which(url_rule_match(
              &rule, (struct slice){longer, before.len + 7})) == found);
    /* a template never answers for what readers of URLs disagree about */
    if (found < 4) {
        size_t path = 0;
        if (has(slice_head(before, 6), "http:/") || before.at[0] != '/' ||
            slice_starts(before, SLICE("//"))) {
            path = slice_find(before, '/') + 2;
            while (path < before.len && before.at[path] != '/')
                path++;
        }
        struct slice p = slice_skip(before, path);
        struct slice plain = slice_head(p, slice_find(p, ';'));
        check(!has(plain, "/../") && !slice_ends(plain, SLICE("/..")) &&
              !has(plain, "%2f") && !has(plain, "%5c") && !has(plain, "%00") &&
              !has(plain, "\\"));
    }
    return 0;
}
