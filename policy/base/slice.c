#include "lethe/policy/base/slice.h"

#include <limits.h>
#include <string.h>

struct slice slice_of(const char *text)
{
    if (text == NULL)
        return SLICE_NONE;
    return (struct slice){text, strlen(text)};
}

bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool slice_eq_fold(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_head(s, prefix.len), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len &&
           slice_eq(slice_skip(s, s.len - suffix.len), suffix);
}

struct slice slice_skip(struct slice s, size_t n)
{
    if (n >= s.len)
        return (struct slice){s.at, 0};
    return (struct slice){s.at + n, s.len - n};
}

struct slice slice_head(struct slice s, size_t n)
{
    return (struct slice){s.at, n < s.len ? n : s.len};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_space(s.at[0]))
        s = slice_skip(s, 1);
    while (s.len > 0 && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

size_t slice_find(struct slice s, char c)
{
    const char *hit = s.len > 0 ? memchr(s.at, c, s.len) : NULL;

    return hit != NULL ? (size_t)(hit - s.at) : s.len;
}

bool slice_to_u64(struct slice s, unsigned long long *out)
{
    unsigned long long value = 0;

    if (s.len == 0 || s.len > 20)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.at[i] - '0');
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        if (value > (ULLONG_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
