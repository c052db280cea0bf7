/* signals.h - what a browser says by itself: Global Privacy Control, Do Not
 * Track, and Lethe's own opt-out cookie. */
#ifndef LETHE_GATEWAY_HTTP_SIGNALS_H
#define LETHE_GATEWAY_HTTP_SIGNALS_H

#include "lethe/policy/beacon.h"

struct http_signals {
    bool gpc;           /* some Sec-GPC header is exactly "1" (R61) */
    bool dnt;           /* some DNT header is exactly "1" */
    bool optout_cookie; /* a Cookie header holds exactly lethe_optout=1 */
};

/* Anything else than the exact forms counts as absent, never as consent. */
void signals_read(const struct beacon_header *headers, unsigned count,
                  struct http_signals *out);

#endif
