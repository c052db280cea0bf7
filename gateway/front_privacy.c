/* front_privacy.c - the page for the people whose events a site takes, and the
 * sealed links that lead to it. */
#include "lethe/gateway/front_rights.h"
#include "lethe/gateway/http/same_site.h"
#include "lethe/gateway/http/signals.h"
#include "lethe/gateway/rights/optout_link.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/form.h"
#include "lethe/policy/json_reader.h"
#include "lethe/policy/privacy_page.h"

#include <stdio.h>
#include <string.h>

#define LINK_DEFAULT_MS (7 * MS_PER_DAY)
#define LINK_LONGEST_MS (30 * MS_PER_DAY)

static int64_t now_ms(const struct visit *v)
{
    const struct clock *clock = v->front->services->clock;

    return clock->wall_ms(clock->ctx);
}

/* ---- what the page is made from ----------------------------------------- */

/* A view and the texts it borrows. */
struct view_room {
    struct privacy_view view;
    char texts[CONF_LIST_MAX][320]; /* scheme, "://", "*", host of a config */
    struct slice near[CONF_LIST_MAX], foreign[CONF_LIST_MAX];
};

/* As the config writes it. */
static struct slice origin_text(const struct conf_origin *o, char out[320])
{
    int n = o->kind == ORIGIN_EXACT
                ? snprintf(out, 320, "%s", o->text)
                : snprintf(out, 320, "%s://%s%s%s", o->scheme,
                           o->kind == ORIGIN_SUBDOMAINS ? "*" : "", o->text,
                           o->kind == ORIGIN_ANY_PORT ? ":*" : "");

    return slice_head(slice_of(out), n < 0 ? 0 : (size_t)n);
}

/* The host of an origin, without scheme, port and wildcard. */
static struct slice origin_host(struct slice origin)
{
    struct slice rest = origin;
    size_t colon = slice_find(rest, ':');

    if (slice_starts(slice_skip(rest, colon), SLICE("://")))
        rest = slice_skip(rest, colon + 3);
    if (slice_starts(rest, SLICE("*.")))
        rest = slice_skip(rest, 2);
    if (slice_starts(rest, SLICE("[")))
        return slice_head(rest, slice_find(rest, ']') + 1);
    return slice_head(rest, slice_find(rest, ':'));
}

/* Where the app's pages are, and whether a cookie of this host goes with what
 * they send. */
static void sort_origins(const struct visit *v, const struct conf_site *site,
                         struct view_room *room)
{
    struct slice own = v->x->request.host;

    for (unsigned i = 0; i < site->origin_count; i++) {
        struct slice text = origin_text(&site->origins[i], room->texts[i]);
        if (hosts_same_site(origin_host(text), own))
            room->near[room->view.near_count++] = text;
        else
            room->foreign[room->view.foreign_count++] = text;
    }
    room->view.near = room->near;
    room->view.foreign = room->foreign;
}

static struct slice query_value(const struct visit *v, struct slice name)
{
    struct slice value;

    return form_find(v->x->request.query, name, v->x->arena, &value) == ST_OK
               ? value
               : SLICE_NONE;
}

/* NULL: out of memory. */
static struct view_room *view_new(const struct visit *v)
{
    const struct world_site *ws =
        &intake_world(v->front->intake)->sites[v->site];
    const struct http_request *r = &v->x->request;
    struct view_room *room = arena_alloc(v->x->arena, sizeof(*room));
    struct http_signals signals;

    if (room == NULL)
        return NULL;
    memset(room, 0, sizeof(*room));
    signals_read(r->headers, r->header_count, &signals);
    room->view = (struct privacy_view){
        .policy = ws->policy,
        .present = ws->present,
        .language =
            privacy_language_choose(query_value(v, SLICE("lang")),
                                    http_header(r, SLICE("accept-language"))),
        .action = rights_page_path(v),
        .flag = signals.optout_cookie,
        .gpc = signals.gpc,
        .dnt = signals.dnt,
        .returns = (const char *const *)ws->conf->optout_return,
        .return_count = ws->conf->optout_return_count,
    };
    sort_origins(v, ws->conf, room);
    return room;
}

static void add_header(struct http_answer *answer, struct slice name,
                       struct slice value)
{
    answer->headers[answer->header_count++] =
        (struct beacon_header){name, value};
}

/* `answer` has its status, and the cookie if the page sets one. */
static void send_page(struct visit *v, const struct privacy_view *view,
                      struct http_answer *answer)
{
    struct buf body;

    buf_init(&body, PRIVACY_PAGE_MAX);
    if (privacy_page(view, &body) != ST_OK) {
        visit_error(v, 503);
    } else {
        add_header(answer, SLICE("Content-Security-Policy"),
                   SLICE(PRIVACY_CSP));
        add_header(answer, SLICE("Cache-Control"), SLICE("no-store"));
        /* Nothing to others; with "no-referrer" a browser would also say
         * "Origin: null" to our own button. */
        add_header(answer, SLICE("Referrer-Policy"), SLICE("same-origin"));
        add_header(answer, SLICE("X-Content-Type-Options"), SLICE("nosniff"));
        answer->content_type = SLICE("text/html; charset=utf-8");
        answer->body = buf_slice(&body);
        visit_answer(v, answer);
    }
    buf_wipe(&body); /* it may show a receipt */
    buf_free(&body);
}

/* ---- GET ---------------------------------------------------------------- */

void front_privacy(struct visit *v)
{
    struct http_answer answer = {.status = 200};

    if (!visit_find_site(v))
        return;
    struct view_room *room = view_new(v);
    if (room == NULL) {
        visit_error(v, 503);
        return;
    }
    room->view.link = query_value(v, SLICE("link"));
    if (room->view.link.len > 0 && room->view.link.len < OPTOUT_LINK_TEXT_MAX)
        room->view.step = PRIVACY_LINK; /* a GET never acts */
    send_page(v, &room->view, &answer);
}

/* ---- POST --------------------------------------------------------------- */

/* Receipts of the job, "r1.r2", as POST /v1/optin takes them. */
static struct slice receipts_text(const struct visit *v,
                                  const struct rights_job *job)
{
    char *text = arena_alloc(
        v->x->arena, (size_t)job->receipt_count * OPTOUT_RECEIPT_MAX + 1);
    size_t len = 0;

    if (text == NULL)
        return SLICE_NONE;
    for (unsigned i = 0; i < job->receipt_count; i++) {
        struct slice one = slice_of(job->receipts[i]);
        if (i > 0)
            text[len++] = '.';
        memcpy(text + len, one.at, one.len);
        len += one.len;
    }
    return (struct slice){text, len};
}

static void done_out(struct visit *v, const struct rights_job *job, void *ctx)
{
    struct view_room *room = ctx;
    struct http_answer answer = {.status = 200};

    if (job->status != ST_OK) {
        answer.status = 503;
        room->view.step = PRIVACY_FAILED;
        add_header(&answer, SLICE("Retry-After"), SLICE("60"));
    } else {
        room->view.receipt = receipts_text(v, job);
    }
    if (room->view.step != PRIVACY_ACCOUNT_OUT)
        rights_put_flag(v, true, &answer);
    send_page(v, &room->view, &answer);
}

/* The flag, and every identifier that SDKs keep in this browser's cookies. */
static void choose_out(struct visit *v, struct view_room *room)
{
    const struct http_request *r = &v->x->request;
    struct rights_job *job = rights_job_new();
    struct slice ids[RIGHTS_IDS_MAX];
    enum status st = job == NULL ? ST_NOMEM : ST_OK;

    if (st == ST_OK)
        st = dialect_cookie_ids(r->headers, r->header_count, v->x->arena, ids,
                                RIGHTS_IDS_MAX, &room->view.ids,
                                &room->view.ids_left);
    for (unsigned i = 0; st == ST_OK && i < room->view.ids; i++)
        st = rights_add_id(job, ids[i]);
    room->view.step = PRIVACY_OUT;
    room->view.flag = true;
    if (st != ST_OK) {
        rights_job_free(job);
        visit_error(v, st == ST_NOMEM ? 503 : 400);
    } else if (job->id_count == 0) {
        done_out(v, job, room);
        rights_job_free(job);
    } else {
        job->verb = RIGHTS_OPTOUT;
        rights_hand_over(v, job, done_out, room);
    }
}

static void choose_in(struct visit *v, struct view_room *room)
{
    struct http_answer answer = {.status = 200};

    if (!visit_is_same_origin(v)) {
        visit_error(v, 403);
        return;
    }
    room->view.step = PRIVACY_BACK;
    room->view.flag = false;
    rights_put_flag(v, false, &answer);
    send_page(v, &room->view, &answer);
}

static enum status open_link(const struct visit *v, struct slice text,
                             struct rights_job *job)
{
    const struct world *w = intake_world(v->front->intake);
    struct optout_link *link = arena_alloc(v->x->arena, sizeof(*link));

    if (link == NULL)
        return ST_NOMEM;
    enum status st = optout_link_open(v->front->services->optout_key,
                                      slice_of(w->sites[v->site].conf->id),
                                      text, now_ms(v), link);
    for (unsigned i = 0; st == ST_OK && i < link->id_count; i++)
        st = rights_add_id(job, link->ids[i]);
    return st; /* the arena is wiped after the answer */
}

static void choose_account(struct visit *v, struct view_room *room,
                           struct slice text)
{
    struct http_answer answer = {.status = 200};
    struct rights_job *job = rights_job_new();
    enum status st = job == NULL ? ST_NOMEM : open_link(v, text, job);

    if (st == ST_OK) {
        job->verb = RIGHTS_OPTOUT;
        room->view.step = PRIVACY_ACCOUNT_OUT;
        rights_hand_over(v, job, done_out, room);
        return;
    }
    rights_job_free(job);
    if (st == ST_NOMEM) {
        visit_error(v, 503);
        return;
    }
    room->view.step = PRIVACY_LINK_OVER;
    send_page(v, &room->view, &answer);
}

void front_privacy_choose(struct visit *v)
{
    struct slice body = {v->x->request.body, v->x->request.body_len};
    struct slice choice = SLICE_NONE, link = SLICE_NONE;

    if (!rights_admit(v))
        return;
    struct view_room *room = view_new(v);
    if (room == NULL ||
        form_find(body, SLICE("choice"), v->x->arena, &choice) != ST_OK ||
        form_find(body, SLICE("link"), v->x->arena, &link) != ST_OK)
        visit_error(v, 503);
    else if (!visit_is_form(v))
        visit_error(v, 415);
    else if (slice_eq(choice, SLICE("out")))
        choose_out(v, room);
    else if (slice_eq(choice, SLICE("in")))
        choose_in(v, room);
    else if (slice_eq(choice, SLICE("account")))
        choose_account(v, room, link);
    else
        visit_error(v, 400);
}

/* ---- POST /v1/optout/link ----------------------------------------------- */

/* A duration of at most 30 days. */
static enum status read_expiry(const struct json_node *node, int64_t *out_ms)
{
    struct duration d;

    if (node->type != JSON_STRING || duration_parse(node->text, &d) != ST_OK)
        return ST_TYPE;
    *out_ms = d.ms;
    return d.months != 0 || d.ms <= 0 || d.ms > LINK_LONGEST_MS ? ST_TYPE
                                                                : ST_OK;
}

/* {"ids": {"user_id": ".."}, "expires": "P7D"}; the latter may be left out. */
static enum status read_wish(const struct visit *v, struct rights_job *job,
                             int64_t *out_lasts_ms)
{
    const struct json_node *root;
    unsigned reach = 0;
    enum status st = rights_read_body(v, &root);

    *out_lasts_ms = LINK_DEFAULT_MS;
    if (st == ST_OK && root->type != JSON_OBJECT)
        st = ST_TYPE;
    if (st != ST_OK)
        return st;
    for (const struct json_node *n = json_first(root); n != NULL && st == ST_OK;
         n = json_next(root, n)) {
        if (slice_eq(n->key, SLICE("ids")))
            st = rights_read_id_object(v, n, job, &reach);
        else if (slice_eq(n->key, SLICE("expires")))
            st = read_expiry(n, out_lasts_ms);
        else
            st = ST_TYPE;
    }
    return st == ST_OK && job->id_count == 0 ? ST_TYPE : st;
}

static enum status make_link(const struct visit *v, struct rights_job *job,
                             struct buf *out)
{
    const struct world *w = intake_world(v->front->intake);
    struct slice list[RIGHTS_IDS_MAX];
    int64_t lasts_ms;
    enum status st =
        rights_has_app_token(v, job) ? read_wish(v, job, &lasts_ms) : ST_DENIED;

    if (st != ST_OK)
        return st;
    for (unsigned i = 0; i < job->id_count; i++)
        list[i] = (struct slice){job->ids[i], job->id_lens[i]};
    return optout_link_make(v->front->services->optout_key,
                            slice_of(w->sites[v->site].conf->id), list,
                            job->id_count, now_ms(v) + lasts_ms, out);
}

/* The app knows the public address of the gateway; we know the rest. */
static void send_link(struct visit *v, struct slice link)
{
    struct http_answer answer = {.status = 200};
    struct buf body;

    buf_init(&body, 2 * OPTOUT_LINK_TEXT_MAX + 512);
    buf_put(&body, SLICE("{\"status\":\"ok\",\"link\":\""));
    buf_put(&body, link);
    buf_put(&body, SLICE("\",\"path\":\""));
    buf_put(&body, rights_page_path(v));
    buf_put(&body, SLICE("?link="));
    buf_put(&body, link);
    buf_put(&body, SLICE("\"}"));
    add_header(&answer, SLICE("Cache-Control"), SLICE("no-store"));
    answer.content_type = SLICE("application/json");
    answer.body = buf_slice(&body);
    visit_answer(v, &answer);
    buf_wipe(&body);
    buf_free(&body);
}

void front_optout_link(struct visit *v)
{
    struct buf link;

    if (!rights_admit(v))
        return;
    struct rights_job *job = rights_job_new();
    buf_init(&link, OPTOUT_LINK_TEXT_MAX);
    enum status st = job == NULL ? ST_NOMEM : make_link(v, job, &link);
    if (st == ST_OK)
        send_link(v, buf_slice(&link));
    else
        visit_error(v, st == ST_NOMEM ? 503 : st == ST_DENIED ? 403 : 400);
    rights_job_free(job);
    buf_wipe(&link);
    buf_free(&link);
}
