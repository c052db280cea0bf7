/* front.h - the public listener's routes (design.md section 5), on a worker:
 * collecting paths go to intake, opt-outs to the rights service. No answer
 * depends on what is known of a person (law 10). */
#ifndef LETHE_GATEWAY_FRONT_H
#define LETHE_GATEWAY_FRONT_H

#include "lethe/gateway/http/rate.h"
#include "lethe/gateway/http/server.h"
#include "lethe/gateway/intake.h"
#include "lethe/gateway/rights/service.h"
#include "lethe/gateway/services.h"
#include "lethe/gateway/tokens.h"

/* One a worker; filled by worker.c. */
struct front {
    const struct services *services;
    struct intake *intake;
    struct http_exchange **waiting_tail; /* list that waits for the group */
    struct http_exchange *waiting;
    /* Hand a rights job over with `x`; its answer comes back through
     * front_rights_done() on the worker's thread. False: not taken. */
    bool (*ask_rights)(void *ctx, struct rights_job *job,
                       struct http_exchange *x);
    void *ctx;
};

/* Handle one complete request: answer it, or put it on the waiting list, or
 * hand it to the rights service. */
void front_handle(struct front *f, struct http_exchange *x);

/* The server refused a request before it was complete: count it, and add what
 * a page must be given to read `answer`. `head` and `answer` may be NULL. */
void front_refused(struct front *f, int status, const struct http_request *head,
                   struct http_answer *answer);

/* The group of these exchanges is on disk (ST_OK) or never will be. */
void front_group_done(struct front *f, struct http_exchange *list,
                      enum status st);

/* A rights job is done; frees the job. */
void front_rights_done(struct front *f, struct http_exchange *x,
                       struct rights_job *job);

/* ---- between front.c and what it routes to ------------------------------ */

/* The site of a request and what its answers carry. */
struct visit {
    struct front *front;
    struct http_exchange *x;
    struct slice path;      /* without "/s/<site>" */
    struct slice path_site; /* SLICE_NONE: no such hint */
    struct slice origin;    /* Origin header */
    bool shared;            /* pages of other origins may ask for the path */
    bool origin_ok;         /* this one may, and read the answer */
    struct slice allow;     /* of a 405: the methods that the path has */
    const struct dialect_route *route; /* of the SDKs' paths, or NULL */
    int site;                          /* index, or -1 */
};
void visit_answer(struct visit *v, struct http_answer *answer);
void visit_error(struct visit *v, int status);
/* Which site, on the gateway's own paths? A bearer there is a token, no key.
 * False: an error was answered. */
bool visit_find_site(struct visit *v);
/* Does the request carry an `app` token of its site (v->site)? `out`: whose. */
bool visit_has_app_token(const struct visit *v, struct token_facts *out);

/* Should the answer hold the receipt, `ev` of its first event? Only for an app
 * that asks for it with "Lethe-Receipt: 1" and its token; never for a browser,
 * and not where rows are left out, since a receipt of no row is none. */
#define FRONT_RECEIPT_NAME "Lethe-Receipt"
#define FRONT_RECEIPT_TEXT 17u /* 16 hex digits and the NUL */
bool front_wants_receipt(const struct visit *v);

/* POST /v1/optout, POST /v1/optin, GET /v1/optout. */
void front_optout(struct visit *v);
void front_optin(struct visit *v);
void front_flag(struct visit *v);
/* GET and POST /privacy; POST /v1/optout/link. */
void front_privacy(struct visit *v);
void front_privacy_choose(struct visit *v);
void front_optout_link(struct visit *v);

/* front_notice.c: GET /.well-known/gpc.json, GET /v1/notice. */
void front_gpc(struct visit *v);
void front_notice(struct visit *v);

#endif
