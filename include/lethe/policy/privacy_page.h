/* privacy_page.h - the page of a site for the people whose events it takes:
 * what, why, how long, to whom, how far back requests reach, whom to complain
 * to, and how to say no (GDPR Art. 12-14, 21; R46, R56). Pure: made from the
 * compiled policy and from what the gateway sees of this one request. No
 * script, no foreign resource; every word of a policy is escaped. Texts:
 * policy/privacy/texts.c. */
#ifndef LETHE_POLICY_PRIVACY_PAGE_H
#define LETHE_POLICY_PRIVACY_PAGE_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/policy.h"

#define PRIVACY_PAGE_MAX    (1u << 20) /* bytes of one page */
#define PRIVACY_ORIGINS_MAX 64u
#define PRIVACY_RETURNS_MAX 64u

/* The one value of Content-Security-Policy that lets the page's own style
 * through and nothing else; a test compares its hash with the style. */
#define PRIVACY_CSP                                                            \
    "default-src 'none'; style-src "                                           \
    "'sha256-sOjT8cUAnQND9n6ZUwkIuu2toXHBkkrIVWfggtITGvM='; "                  \
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

enum privacy_language { PRIVACY_EN, PRIVACY_FR, PRIVACY_DE, PRIVACY_LANGUAGES };

/* "en", "fr", "de". */
const char *privacy_language_code(enum privacy_language l);

/* `wanted` (of "?lang=") if it is one of ours, else the first of
 * `accept_language` (RFC 9110 12.5.4) by weight that is, else English. */
enum privacy_language privacy_language_choose(struct slice wanted,
                                              struct slice accept_language);

enum privacy_step {
    PRIVACY_SHOW,        /* nothing was asked */
    PRIVACY_OUT,         /* this request said no */
    PRIVACY_BACK,        /* this request took the no of this browser back */
    PRIVACY_FAILED,      /* it said no, but the disk does not take it now */
    PRIVACY_LINK,        /* a sealed link was opened: ask before acting */
    PRIVACY_ACCOUNT_OUT, /* its account is opted out now */
    PRIVACY_LINK_OVER,   /* it is not valid, or not any more */
};

struct privacy_view {
    const struct policy *policy;
    uint16_t present; /* bit a destination of the policy that is set up */
    enum privacy_language language;
    struct slice action; /* path of the page; "/privacy" */
    enum privacy_step step;
    bool flag;            /* the browser carries lethe_optout=1 (after step) */
    bool gpc, dnt;        /* what it says by itself */
    unsigned ids;         /* PRIVACY_OUT: identifiers found in it, now out */
    bool ids_left;        /* there were more than one request can take */
    struct slice receipt; /* SLICE_NONE: none */
    struct slice link;    /* PRIVACY_LINK: what to send back */
    /* Origins of the app. The flag travels with events of pages of the same
     * site; `foreign` ones are of another, and it does not reach them. */
    const struct slice *near;
    unsigned near_count;
    const struct slice *foreign;
    unsigned foreign_count;
    const char *const *returns; /* the site's optout_return URLs */
    unsigned return_count;
};

/* Append the whole page. Errors: ST_LIMIT (the buffer's cap), ST_NOMEM. */
enum status privacy_page(const struct privacy_view *v,
                         struct buf *out) MUST_CHECK;

#endif
