/* front_rights.h - what front_rights.c (the endpoints of apps) and
 * front_privacy.c (the page for people) share. On a worker. */
#ifndef LETHE_GATEWAY_FRONT_RIGHTS_H
#define LETHE_GATEWAY_FRONT_RIGHTS_H

#include "lethe/gateway/front.h"
#include "lethe/policy/json_reader.h"

/* The site is known and the client within its rate; false: answered. */
bool rights_admit(struct visit *v);

/* Answer `v` when the job is done; `ctx` is the caller's, in the exchange's
 * arena. job->status other than ST_OK is a 503. */
typedef void rights_answer(struct visit *v, const struct rights_job *job,
                           void *ctx);

/* Hand `job` over for the visit's site, or answer 503. Takes the job. */
void rights_hand_over(struct visit *v, struct rights_job *job,
                      rights_answer *answer, void *ctx);

/* One canonical identifier into the job. Errors: ST_LIMIT. */
enum status rights_add_id(struct rights_job *job,
                          struct slice canonical) MUST_CHECK;

/* The identifiers of a JSON body ({"user_id": ..} or {"ids": {..}}) into the
 * job; *out_reach gets a bit a kind. Without any: ST_TYPE. Errors: ST_SYNTAX,
 * ST_TYPE (the whole is refused where a part is not understood), ST_LIMIT,
 * ST_NOMEM. */
enum status rights_read_ids(const struct visit *v, const struct json_node *root,
                            struct rights_job *job,
                            unsigned *out_reach) MUST_CHECK;
/* As the value of "ids" there. */
enum status rights_read_id_object(const struct visit *v,
                                  const struct json_node *ids,
                                  struct rights_job *job,
                                  unsigned *out_reach) MUST_CHECK;
enum status rights_read_body(const struct visit *v,
                             const struct json_node **out) MUST_CHECK;

/* The bearer is an `app` token of the site: then job->who says which. */
bool rights_has_app_token(const struct visit *v, struct rights_job *job);

/* lethe_optout=1, or its end, as a header of the answer (R56). */
void rights_put_flag(const struct visit *v, bool out,
                     struct http_answer *answer);

/* The path of the site's page as it was asked: "/privacy", or below
 * "/s/<site>". */
struct slice rights_page_path(const struct visit *v);

bool visit_is_form(const struct visit *v);
/* The Origin of a form post is this very host: scheme://<Host>. */
bool visit_is_same_origin(const struct visit *v);

#endif
