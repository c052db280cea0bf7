#include "lethe/gateway/front.h"

#include "lethe/gateway/http/cors.h"
#include "lethe/gateway/http/signals.h"
#include "lethe/gateway/http/site.h"
#include "lethe/gateway/metrics.h"
#include "lethe/policy/base/clock.h"

#include <assert.h>
#include <string.h>

/* What an exchange remembers while it waits: in its arena. */
struct waiting {
    struct reply reply;
    struct slice origin; /* SLICE_NONE: no CORS headers */
    unsigned site;
    unsigned source;
};

/* ---- answers ----------------------------------------------------------- */

static void send_with_origin(struct http_exchange *x, struct slice origin,
                             struct http_answer *answer)
{
    if (origin.len > 0)
        cors_add(answer, origin);
    http_answer(x, answer);
}

void visit_answer(struct visit *v, struct http_answer *answer)
{
    unsigned site = v->site >= 0 ? (unsigned)v->site : METRICS_SITES_MAX;

    metrics_request(site, SOURCE_GATEWAY, answer->status);
    send_with_origin(v->x, v->origin_ok ? v->origin : SLICE_NONE, answer);
}

void visit_error(struct visit *v, int status)
{
    struct http_answer answer;

    http_error_answer(status, &answer);
    intake_refused(v->front->intake,
                   v->site >= 0 ? (unsigned)v->site : METRICS_SITES_MAX,
                   status);
    visit_answer(v, &answer);
}

/* ---- site -------------------------------------------------------------- */

static struct slice host_name(struct slice host)
{
    if (host.len > 0 && host.at[0] == '[') {
        size_t end = slice_find(host, ']');
        return slice_head(host, end + 1);
    }
    return slice_head(host, slice_find(host, ':'));
}

/* 0, or the status to answer. */
static int resolve_site(struct visit *v, const struct slice *keys,
                        unsigned key_count)
{
    const struct world *w = intake_world(v->front->intake);
    const struct site_hints hints = {
        .path_site = v->path_site,
        .keys = keys,
        .key_count = key_count,
        .host = host_name(v->x->request.host),
        .origin = v->origin,
    };
    int site = site_resolve(w->conf, &hints);

    if (site < 0)
        return -site;
    v->site = site;
    v->origin_ok = site_has_origin(&w->conf->sites[site], v->origin);
    return 0;
}

bool visit_find_site(struct visit *v)
{
    int status = resolve_site(v, NULL, 0);

    if (status != 0)
        visit_error(v, status);
    return status == 0;
}

static int status_for(enum status st)
{
    if (st == ST_SYNTAX || st == ST_TYPE)
        return 400;
    return st == ST_LIMIT ? 413 : 503;
}

/* ---- collecting -------------------------------------------------------- */

static void fill_beacon(const struct visit *v, struct beacon *b)
{
    const struct http_request *r = &v->x->request;

    memset(b, 0, sizeof(*b));
    b->method = r->method;
    b->path = v->path;
    b->query = r->query;
    b->content_type = http_header(r, SLICE("content-type"));
    b->body = r->body;
    b->body_len = r->body_len;
    b->headers = r->headers;
    b->header_count = r->header_count;
    b->address = slice_of(r->address);
    b->user_agent = http_header(r, SLICE("user-agent"));
    b->language = http_header(r, SLICE("accept-language"));
    b->referrer = http_header(r, SLICE("referer"));
    struct http_signals signals;
    signals_read(r->headers, r->header_count, &signals);
    b->gpc = signals.gpc;
    b->dnt = signals.dnt;
    b->optout_cookie = signals.optout_cookie;
    const struct clock *clock = v->front->services->clock;
    b->received_ms = clock->wall_ms(clock->ctx);
}

/* Keep the exchange until its group is on disk. */
static void wait_for_group(struct visit *v, const struct reply *reply,
                           unsigned source)
{
    struct front *f = v->front;
    struct waiting *w = arena_alloc(v->x->arena, sizeof(*w));

    if (w == NULL) { /* its events are taken: a duplicate is allowed */
        visit_error(v, 503);
        return;
    }
    w->reply = *reply;
    w->origin = v->origin_ok ? v->origin : SLICE_NONE;
    w->site = (unsigned)v->site;
    w->source = source;
    v->x->user = w;
    v->x->next = NULL;
    *f->waiting_tail = v->x;
    f->waiting_tail = &v->x->next;
}

static bool over_rate(const struct visit *v)
{
    const struct services *s = v->front->services;

    return s->events_rate != NULL &&
           !rate_take(s->events_rate, slice_of(v->x->request.address),
                      s->clock->mono_ms(s->clock->ctx));
}

/* The site, by all hints; what cannot be read at all is refused as that, and
 * counted for the site if the other hints tell it. False: answered. */
static bool read_and_find_site(struct visit *v, struct dialect_call *call)
{
    enum status st = dialect_read(call);
    int status = resolve_site(v, call->keys, call->key_count);

    if (st != ST_OK)
        status = status_for(st);
    if (status != 0)
        visit_error(v, status);
    return status == 0;
}

static void collect(struct visit *v, const struct dialect_route *route)
{
    struct front *f = v->front;
    struct dialect_call call;
    struct beacon b;
    struct reply reply;

    fill_beacon(v, &b);
    dialect_begin(&call, route, &b, v->x->arena);
    if (!read_and_find_site(v, &call))
        return;
    /* Admission comes before consent: the answer tells nothing of a person. */
    if (over_rate(v)) {
        visit_error(v, 429);
        return;
    }
    if (f->services->must_refuse(f->services->ctx)) {
        visit_error(v, 503);
        return;
    }
    const struct world *w = intake_world(f->intake);
    enum status st =
        intake_collect(f->intake, &w->sites[v->site], &call, &reply);
    if (st != ST_OK)
        visit_error(v, status_for(st));
    else
        wait_for_group(v, &reply, dialect_source(route));
}

void front_group_done(struct front *f, struct http_exchange *list,
                      enum status st)
{
    (void)f;
    while (list != NULL) {
        struct http_exchange *x = list;
        const struct waiting *w = x->user;
        struct http_answer answer = {0};

        list = x->next;
        if (st == ST_OK) {
            answer.status = w->reply.status;
            answer.content_type = w->reply.content_type;
            answer.body = w->reply.body;
        } else
            http_error_answer(503, &answer);
        metrics_request(w->site, w->source, answer.status);
        send_with_origin(x, w->origin, &answer);
    }
}

/* ---- routes ------------------------------------------------------------ */

static void healthz(struct visit *v)
{
    struct http_answer answer = {
        .status = 200,
        .content_type = SLICE("application/json"),
        .body = SLICE("{\"status\":\"ok\"}"),
    };
    visit_answer(v, &answer);
}

static void preflight(struct visit *v)
{
    struct http_answer answer = {0};

    cors_preflight(&answer, v->origin_ok ? v->origin : SLICE_NONE);
    metrics_request(METRICS_SITES_MAX, SOURCE_GATEWAY, answer.status);
    http_answer(v->x, &answer);
}

/* HEAD is GET; the server leaves the body out. */
static bool is_path(const struct visit *v, const char *method, const char *path)
{
    struct slice asked = v->x->request.method;

    if (slice_eq(asked, SLICE("HEAD")))
        asked = SLICE("GET");
    return slice_eq(v->path, slice_of(path)) &&
           slice_eq(asked, slice_of(method));
}

static void route(struct visit *v)
{
    bool method_ok = true;

    if (slice_eq(v->x->request.method, SLICE("OPTIONS")))
        preflight(v);
    else if (is_path(v, "GET", "/healthz"))
        healthz(v);
    else if (is_path(v, "POST", "/v1/optout"))
        front_optout(v);
    else if (is_path(v, "POST", "/v1/optin"))
        front_optin(v);
    else if (is_path(v, "GET", "/v1/optout"))
        front_flag(v);
    else {
        const struct dialect_route *r =
            dialect_find(v->x->request.method, v->path, &method_ok);
        if (r != NULL)
            collect(v, r);
        else
            visit_error(v, method_ok ? 404 : 405);
    }
}

void front_handle(struct front *f, struct http_exchange *x)
{
    const struct world *w = intake_world(f->intake);
    struct visit v = {.front = f, .x = x, .path = x->request.path, .site = -1};

    (void)site_split_path(&v.path, &v.path_site);
    v.origin = http_header(&x->request, SLICE("origin"));
    v.origin_ok =
        v.origin.len > 0 && site_origin_listed(w->conf, v.path_site, v.origin);
    route(&v);
}
