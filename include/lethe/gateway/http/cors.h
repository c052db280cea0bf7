/* cors.h - what a browser must be told before a page of another origin may
 * read an answer. Constants only: nothing a page asks for is echoed but its
 * own origin, and only when the caller found it in the site's list. */
#ifndef LETHE_GATEWAY_HTTP_CORS_H
#define LETHE_GATEWAY_HTTP_CORS_H

#include "lethe/gateway/http/server.h"

#define CORS_ANSWER_HEADERS 4u /* how many cors_add() puts in at most */

/* The request headers that SDKs send, those of their retries included. */
#define CORS_REQUEST_HEADERS                                                   \
    "content-type, content-encoding, authorization, anonymousid, sentat, "     \
    "x-retry-count, rsa-retry-attempt, rsa-retry-reason, "                     \
    "rsa-since-first-attempt, rsa-since-last-attempt, x-write-key, "           \
    "x-ip-policy, x-umami-cache, sp-anonymous, traceparent"
#define CORS_MAX_AGE "7200" /* seconds; what Chromium takes at most */

/* Let pages of `origin` read `a`; SLICE_NONE (no origin, or none of the
 * site's) adds only Vary. `origin` is borrowed until the answer was given.
 * Room for CORS_ANSWER_HEADERS must be left in `a`. */
void cors_add(struct http_answer *a, struct slice origin);

/* The whole answer to OPTIONS: 204, with permission only where `origin` is
 * not SLICE_NONE. Needs no credentials and no site. */
void cors_preflight(struct http_answer *a, struct slice origin);

#endif
