#include "lethe/gateway/http/signals.h"

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* "a=b; lethe_optout=1; c=d": the whole pair, letter by letter. */
static bool cookie_says_optout(struct slice cookies)
{
    while (cookies.len > 0) {
        size_t end = slice_find(cookies, ';');
        if (slice_eq(trim(slice_head(cookies, end)), SLICE("lethe_optout=1")))
            return true;
        cookies = slice_skip(cookies, end + 1);
    }
    return false;
}

void signals_read(const struct beacon_header *headers, unsigned count,
                  struct http_signals *out)
{
    *out = (struct http_signals){false, false, false};
    for (unsigned i = 0; i < count; i++) {
        struct slice name = headers[i].name, value = headers[i].value;
        if (slice_eq_fold(name, SLICE("Sec-GPC")))
            out->gpc = out->gpc || slice_eq(value, SLICE("1"));
        else if (slice_eq_fold(name, SLICE("DNT")))
            out->dnt = out->dnt || slice_eq(value, SLICE("1"));
        else if (slice_eq_fold(name, SLICE("Cookie")))
            out->optout_cookie =
                out->optout_cookie || cookie_says_optout(value);
    }
}
