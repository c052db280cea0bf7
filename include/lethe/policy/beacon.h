/* beacon.h - one request as a dialect sees it: borrowed slices, every limit
 * already checked, its site already found. Holds personal data. */
#ifndef LETHE_POLICY_BEACON_H
#define LETHE_POLICY_BEACON_H

#include "lethe/policy/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct beacon_header {
    struct slice name; /* as on the wire; compare with slice_eq_fold */
    struct slice value;
};

struct beacon {
    struct slice method;       /* "GET", "POST" */
    struct slice path;         /* without "/s/<site>", without the query */
    struct slice query;        /* raw, without '?' */
    struct slice content_type; /* raw; SLICE_NONE if there was none */
    char *body;                /* inflated; dialects may write into it */
    size_t body_len;
    const struct beacon_header *headers;
    unsigned header_count;
    struct slice address;    /* the client's address as text; policy only */
    struct slice user_agent; /* header or SLICE_NONE */
    struct slice language;   /* Accept-Language */
    struct slice referrer;   /* Referer header */
    bool gpc;                /* Sec-GPC by R61: some value is exactly "1" */
    bool dnt;                /* DNT: 1 */
    bool optout_cookie;      /* this browser's lethe_optout=1 */
    int64_t received_ms;     /* wall clock */
};

#endif
