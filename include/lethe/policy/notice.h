/* notice.h - what a site does with events, for machines (GDPR Art. 13 and 14,
 * R45): controller, purposes, who receives what in which form, for how long,
 * and how to say no. For people: privacy_page.h. Pure. */
#ifndef LETHE_POLICY_NOTICE_H
#define LETHE_POLICY_NOTICE_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/policy.h"

#define NOTICE_MAX (4u << 20) /* bytes of one notice */

struct notice_view {
    const struct policy *policy;
    uint16_t present;  /* bit a destination of the policy that is set up */
    int64_t since_ms;  /* since when the policy is in force */
    struct slice base; /* before the site's paths: "", or "/s/<site>" */
};

/* Append one JSON object. Every destination that is set up is named, also if
 * what it gets would tell it nothing of anybody (C-413/23 P). Errors: ST_LIMIT
 * (the buffer's cap), ST_NOMEM. */
enum status notice_put(const struct notice_view *v, struct buf *out) MUST_CHECK;

/* {"gpc": true, "lastUpdate": "2026-11-25"}: whether the policy honours Global
 * Privacy Control, and since when it is as it is (R63). */
void notice_put_gpc(const struct notice_view *v, struct buf *out);

#endif
