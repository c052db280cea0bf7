#include "lethe/gateway/front.h"

#include "lethe/gateway/audit/kept.h"
#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/http/cors.h"
#include "lethe/gateway/http/signals.h"
#include "lethe/gateway/http/site.h"
#include "lethe/gateway/metrics.h"
#include "lethe/policy/base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What an exchange remembers while it waits: in its arena. */
struct waiting {
    struct reply reply;
    struct slice origin; /* SLICE_NONE: it may not read the answer */
    unsigned site;
    const struct dialect_route *route;
    char receipt[FRONT_RECEIPT_TEXT]; /* empty: none is given */
};

/* ---- answers ----------------------------------------------------------- */

void visit_answer(struct visit *v, struct http_answer *answer)
{
    unsigned site = v->site >= 0 ? (unsigned)v->site : METRICS_SITES_MAX;

    metrics_request(site, SOURCE_GATEWAY, answer->status);
    if (v->shared)
        cors_add(answer, v->origin_ok ? v->origin : SLICE_NONE);
    http_answer(v->x, answer);
}

void visit_error(struct visit *v, int status)
{
    struct http_answer answer;

    http_error_answer(status, &answer);
    answer.body = dialect_error_body(v->route, answer.body, v->x->arena);
    if (v->allow.len > 0)
        answer.headers[answer.header_count++] =
            (struct beacon_header){SLICE("Allow"), v->allow};
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
    v->origin_ok =
        v->shared && site_has_origin(&w->conf->sites[site], v->origin);
    return 0;
}

static int status_for(enum status st)
{
    if (st == ST_SYNTAX || st == ST_TYPE)
        return 400;
    return st == ST_LIMIT ? 413 : 503;
}

/* By what stands outside the body: 0, or the status to answer. */
static int find_site_outside(struct visit *v)
{
    const struct http_request *r = &v->x->request;
    struct beacon b = {.query = r->query,
                       .headers = r->headers,
                       .header_count = r->header_count};
    struct dialect_call call = {.beacon = &b, .arena = v->x->arena};
    enum status st = dialect_read_common_keys(&call);

    return st == ST_OK ? resolve_site(v, call.keys, call.key_count)
                       : status_for(st);
}

bool visit_find_site(struct visit *v)
{
    int status = find_site_outside(v);

    if (status != 0)
        visit_error(v, status);
    return status == 0;
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

/* Keep the exchange until its group is on disk. `receipt` 0: none is given. */
static void wait_for_group(struct visit *v, const struct reply *reply,
                           uint64_t receipt)
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
    w->route = v->route;
    w->receipt[0] = '\0';
    if (receipt != 0)
        (void)snprintf(w->receipt, sizeof(w->receipt), "%016" PRIx64, receipt);
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

/* Admission comes before consent, so that the answer tells nothing of a person,
 * and before the body is looked at, so that a flood costs no reading. Counted
 * for the site if the hints outside the body tell it. False: answered. */
static bool is_admitted(struct visit *v)
{
    const struct services *s = v->front->services;
    int status = over_rate(v) ? 429 : s->must_refuse(s->ctx) ? 503 : 0;

    if (status == 0)
        return true;
    (void)find_site_outside(v); /* if it is not found, it is nobody's */
    visit_error(v, status);
    return false;
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

static void collect(struct visit *v)
{
    struct front *f = v->front;
    struct dialect_call call;
    struct beacon b;
    struct reply reply;
    uint64_t receipt = 0;

    if (!is_admitted(v))
        return;
    fill_beacon(v, &b);
    dialect_begin(&call, v->route, &b, v->x->arena);
    if (!read_and_find_site(v, &call))
        return;
    const struct world *w = intake_world(f->intake);
    enum status st =
        intake_collect(f->intake, &w->sites[v->site], &call, &reply, &receipt);
    if (st != ST_OK)
        visit_error(v, status_for(st));
    else
        wait_for_group(v, &reply,
                       call.decoded.understood > 0 && front_wants_receipt(v)
                           ? receipt
                           : 0);
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
            if (w->receipt[0] != '\0')
                answer.headers[answer.header_count++] = (struct beacon_header){
                    SLICE(FRONT_RECEIPT_NAME), slice_of(w->receipt)};
        } else {
            http_error_answer(503, &answer);
            answer.body = dialect_error_body(w->route, answer.body, x->arena);
        }
        metrics_request(w->site, dialect_source(w->route), answer.status);
        cors_add(&answer, w->origin);
        http_answer(x, &answer);
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

/* The same bytes for everybody until the next hour. */
static void checkpoint(struct visit *v)
{
    struct buf note;
    struct http_answer answer = {
        .status = 200,
        .content_type = SLICE("text/plain; charset=utf-8"),
        .headers = {{SLICE("Cache-Control"), SLICE("public, max-age=300")},
                    {SLICE("X-Content-Type-Options"), SLICE("nosniff")}},
        .header_count = 2,
    };

    buf_init(&note, NOTE_BYTES_MAX);
    if (audit_kept_shown(v->front->services->kept, &note)) {
        answer.body = buf_slice(&note);
        visit_answer(v, &answer);
    } else {
        visit_error(v, note.failed ? 503 : 404);
    }
    buf_free(&note);
}

/* The gateway's own paths; those of the SDKs are in policy/dialect.c. */
static const struct route {
    struct slice method;
    struct slice path;
    void (*handle)(struct visit *v);
    bool shared; /* pages of other origins may ask for it */
} routes[] = {
    {SLICE_INIT("GET"), SLICE_INIT("/healthz"), healthz, false},
    {SLICE_INIT("GET"), SLICE_INIT("/.well-known/gpc.json"), front_gpc, false},
    {SLICE_INIT("GET"), SLICE_INIT("/v1/notice"), front_notice, false},
    {SLICE_INIT("POST"), SLICE_INIT("/v1/optout"), front_optout, true},
    {SLICE_INIT("POST"), SLICE_INIT("/v1/optin"), front_optin, true},
    {SLICE_INIT("GET"), SLICE_INIT("/v1/optout"), front_flag, true},
    {SLICE_INIT("POST"), SLICE_INIT("/v1/optout/link"), front_optout_link,
     false},
    {SLICE_INIT("GET"), SLICE_INIT("/privacy"), front_privacy, false},
    {SLICE_INIT("GET"), SLICE_INIT("/audit/checkpoint"), checkpoint, false},
    {SLICE_INIT("POST"), SLICE_INIT("/privacy"), front_privacy_choose, false},
};
#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

/* HEAD is GET; the server leaves the body out. */
static const struct route *find_route(struct slice method, struct slice path)
{
    if (slice_eq(method, SLICE("HEAD")))
        method = SLICE("GET");
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (slice_eq(routes[i].path, path) &&
            slice_eq(routes[i].method, method))
            return &routes[i];
    return NULL;
}

static bool takes(struct slice path, struct slice method)
{
    bool known;

    return find_route(method, path) != NULL ||
           dialect_find(method, path, &known) != NULL;
}

static bool is_shared(struct slice path)
{
    bool method_ok;

    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (slice_eq(routes[i].path, path))
            return routes[i].shared;
    return dialect_find(SLICE("POST"), path, &method_ok) != NULL || !method_ok;
}

static void preflight(struct visit *v)
{
    struct http_answer answer = {0};

    cors_preflight(&answer, v->origin_ok ? v->origin : SLICE_NONE);
    metrics_request(METRICS_SITES_MAX, SOURCE_GATEWAY, answer.status);
    http_answer(v->x, &answer);
}

/* 404, or 405 with the methods that the path has. An SDK's GET brings events:
 * there is no HEAD of it. */
static void no_such_thing(struct visit *v)
{
    bool post = takes(v->path, SLICE("POST"));

    if (takes(v->path, SLICE("HEAD")))
        v->allow = post ? SLICE("GET, HEAD, POST, OPTIONS")
                        : SLICE("GET, HEAD, OPTIONS");
    else if (takes(v->path, SLICE("GET")))
        v->allow = post ? SLICE("GET, POST, OPTIONS") : SLICE("GET, OPTIONS");
    else
        v->allow = post ? SLICE("POST, OPTIONS") : SLICE_NONE;
    visit_error(v, v->allow.len > 0 ? 405 : 404);
}

static void route(struct visit *v)
{
    struct slice method = v->x->request.method;
    const struct route *own = find_route(method, v->path);
    bool method_ok;

    v->route = dialect_find(method, v->path, &method_ok);
    if (slice_eq(method, SLICE("OPTIONS")))
        preflight(v);
    else if (own != NULL)
        own->handle(v);
    else if (v->route != NULL)
        collect(v);
    else
        no_such_thing(v);
}

/* Whether two headers name different origins: no browser does that. */
static bool origins_differ(const struct http_request *r, struct slice origin)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (slice_eq_fold(r->headers[i].name, SLICE("origin")) &&
            !slice_eq(r->headers[i].value, origin))
            return true;
    return false;
}

/* Who asks for what, and may read the answer. False: nobody can tell. */
static bool visit_start(struct visit *v, const struct http_request *r)
{
    const struct world *w = intake_world(v->front->intake);

    v->path = r->path;
    v->site = -1;
    (void)site_split_path(&v->path, &v->path_site);
    v->shared = is_shared(v->path);
    struct slice origin = http_header(r, SLICE("origin"));
    if (origins_differ(r, origin))
        return false;
    v->origin = origin;
    v->origin_ok = v->shared && origin.len > 0 &&
                   site_origin_listed(w->conf, v->path_site, origin);
    return true;
}

void front_handle(struct front *f, struct http_exchange *x)
{
    struct visit v = {.front = f, .x = x};

    if (visit_start(&v, &x->request))
        route(&v);
    else
        visit_error(&v, 400);
}

void front_refused(struct front *f, int status, const struct http_request *head,
                   struct http_answer *answer)
{
    struct visit v = {.front = f};

    intake_refused(f->intake, METRICS_SITES_MAX, status);
    if (head == NULL || answer == NULL)
        return;
    if (visit_start(&v, head) && v.shared)
        cors_add(answer, v.origin_ok ? v.origin : SLICE_NONE);
}
