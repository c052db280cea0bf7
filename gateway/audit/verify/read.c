/* read.c - the one grammar of records and notes: fields in a fixed order. */
#include "parts.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#define U53_MAX    ((UINT64_C(1) << 53) - 1)
#define DEPTH_MAX  8u
#define TIME_CHARS 26u
#define COUNT_MAX  100000u

bool v_is(struct text a, const char *b)
{
    return a.len == strlen(b) && memcmp(a.at, b, a.len) == 0;
}

static void skip(struct text *s, size_t n)
{
    s->at += n;
    s->len -= n;
}

static bool take_number(struct text *s, uint64_t *out)
{
    uint64_t v = 0;
    size_t n = 0;

    for (; n < s->len && s->at[n] >= '0' && s->at[n] <= '9' && v <= U53_MAX;
         n++)
        v = v * 10 + (uint64_t)(s->at[n] - '0');
    if (n == 0 || (n > 1 && s->at[0] == '0') || v > U53_MAX)
        return false;
    *out = v;
    skip(s, n);
    return true;
}

/* Characters a record may have, up to `end`, which stays. */
static bool take_run(struct text *s, const char *end, struct text *out)
{
    size_t n = 0;

    while (n < s->len && s->at[n] >= 0x20 && s->at[n] <= 0x7e &&
           strchr(end, s->at[n]) == NULL)
        n++;
    *out = (struct text){s->at, n};
    skip(s, n);
    return true;
}

/* "2026-11-22T09:00:01.000Z" and no other spelling. */
static bool take_time(struct text *s, int64_t *out)
{
    char text[TIME_CHARS + 1] = "", again[TIME_CHARS + 1] = "";
    struct tm tm = {0};
    unsigned ms;

    if (s->len < TIME_CHARS)
        return false;
    memcpy(text, s->at, TIME_CHARS);
    if (sscanf(text, "\"%4d-%2d-%2dT%2d:%2d:%2d.%3uZ\"", &tm.tm_year,
               &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
               &ms) != 7)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *out = timegm(&tm) * INT64_C(1000) + ms; /* which sets tm right */
    (void)strftime(again, sizeof(again), "\"%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(again + 20, 7, ".%03uZ\"", ms);
    skip(s, TIME_CHARS);
    return memcmp(text, again, TIME_CHARS) == 0;
}

static bool take_value(struct text *s, unsigned depth)
{
    bool object = v_take(s, "{");
    const char *end = object ? "}" : "]";
    struct text t;
    uint64_t n;

    if (!object && !v_take(s, "["))
        return v_take(s, "%n", &t) || v_take(s, "%u", &n) ||
               v_take(s, "-%u", &n) || v_take(s, "true") || v_take(s, "false");
    if (depth == 0)
        return false;
    if (v_take(s, end))
        return true;
    do {
        if ((object && !v_take(s, "%s:", &t)) || !take_value(s, depth - 1))
            return false;
    } while (v_take(s, ","));
    return v_take(s, end);
}

static bool take_one(struct text *s, char what, void *to)
{
    struct text *out = to;

    switch (what) {
    case 'u':
        return take_number(s, to);
    case 't':
        return take_time(s, to);
    case 'l':
        return take_run(s, "", out);
    case 'w':
        return take_run(s, " ", out);
    case 'n':
        *out = (struct text){NULL, 0};
        if (v_take(s, "null"))
            return true;
        return v_take(s, "%s", out);
    case 's':
        return v_take(s, "'") && take_run(s, "\"\\", out) && v_take(s, "'");
    default:
        *out = *s;
        if (!take_value(s, DEPTH_MAX))
            return false;
        out->len -= s->len;
        return true;
    }
}

bool v_take(struct text *s, const char *form, ...)
{
    struct text t = *s;
    va_list args;
    bool ok = true;

    va_start(args, form);
    for (; ok && *form != '\0'; form++) {
        if (*form == '%') {
            ok = take_one(&t, *++form, va_arg(args, void *));
            continue;
        }
        ok = t.len > 0 && *t.at == (*form == '\'' ? '"' : *form);
        if (ok)
            skip(&t, 1);
    }
    va_end(args);
    if (ok)
        *s = t;
    return ok;
}

struct text v_after(struct text s, const char *form)
{
    while (s.len > 0 && !v_take(&s, form))
        skip(&s, 1);
    return s;
}

bool v_time_before(int64_t t_ms, struct text d, int64_t *out)
{
    static const struct {
        const char *form;
        int months, seconds;
    } units[] = {{"%uY", 12, 0},    {"%uM", 1, 0}, {"%uW", 0, 604800},
                 {"%uD", 0, 86400}, {"T", 0, 0},   {"%uH", 0, 3600},
                 {"%uM", 0, 60},    {"%uS", 0, 1}};
    time_t seconds = (time_t)(t_ms / 1000), less = 0;
    int months = 0;
    struct tm tm;

    if (!v_take(&d, "P") || d.len == 0)
        return false;
    for (size_t k = 0; k < sizeof(units) / sizeof(*units); k++) {
        uint64_t n = 0;
        if (v_take(&d, units[k].form, &n) && n <= COUNT_MAX) {
            months += units[k].months * (int)n;
            less += units[k].seconds * (time_t)n;
        }
    }
    if (d.len > 0)
        return false;
    (void)gmtime_r(&seconds, &tm);
    int day = tm.tm_mday;
    tm.tm_mon -= months;
    seconds = timegm(&tm);
    if (tm.tm_mday != day) /* a shorter month: its last day */
        seconds -= tm.tm_mday * 86400;
    *out = (seconds - less) * INT64_C(1000) + t_ms % 1000;
    return true;
}
