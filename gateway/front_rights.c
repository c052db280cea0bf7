/* front_rights.c - the endpoints by which people say no, and take it back. */
#include "lethe/gateway/front_rights.h"

#include "lethe/gateway/http/signals.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/json_reader.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX 2048u
#define COOKIE_OUT                                                             \
    "lethe_optout=1; Path=/; Max-Age=33696000; SameSite=Lax; HttpOnly"
#define COOKIE_IN "lethe_optout=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly"

/* How far an opt-out by these identifiers reaches: bits, in this order. */
static const struct {
    const char *key;
    const char *reach;
} kinds[] = {
    {"session_id", "this visit"},
    {"device_id", "this browser"},
    {"user_id", "this account"},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* What an exchange remembers while the rights service has it: in its arena. */
struct rights_wait {
    struct slice origin, path_site;
    rights_answer *answer;
    void *ctx;
    bool shared;
    int site;
};

bool visit_is_form(const struct visit *v)
{
    struct slice type = http_header(&v->x->request, SLICE("content-type"));

    return slice_eq_fold(slice_trim(slice_head(type, slice_find(type, ';'))),
                         SLICE("application/x-www-form-urlencoded"));
}

/* ---- reading a request -------------------------------------------------- */

enum status rights_add_id(struct rights_job *job, struct slice canonical)
{
    if (job->id_count == RIGHTS_IDS_MAX || canonical.len > RIGHTS_ID_BYTES_MAX)
        return ST_LIMIT;
    memcpy(job->ids[job->id_count], canonical.at, canonical.len);
    job->id_lens[job->id_count++] = canonical.len;
    return ST_OK;
}

static enum status add_id(const struct visit *v, struct rights_job *job,
                          const struct json_node *value)
{
    struct slice canonical;

    if (value->type == JSON_NULL)
        return ST_OK; /* an app that has none of this kind */
    if (value->type != JSON_STRING && value->type != JSON_NUMBER)
        return ST_TYPE;
    if (value->text.len == 0)
        return ST_TYPE;
    if (value->text.len > RIGHTS_ID_BYTES_MAX)
        return ST_LIMIT;
    enum status st = dialect_canonical(value->text, v->x->arena, &canonical);
    return st == ST_OK ? rights_add_id(job, canonical) : st;
}

/* One member that names a person; *reach gets its kind's bit. A kind that we
 * do not know is on the list all the same (tags have no kind), but how far it
 * reaches only the app can say. */
static enum status add_member(const struct visit *v, struct rights_job *job,
                              const struct json_node *value, unsigned *reach)
{
    unsigned before = job->id_count;
    enum status st = add_id(v, job, value);

    for (unsigned i = 0; i < KIND_COUNT; i++)
        if (job->id_count > before &&
            slice_eq(value->key, slice_of(kinds[i].key)))
            *reach |= 1u << i;
    return st;
}

static bool is_known_kind(struct slice key)
{
    for (unsigned i = 0; i < KIND_COUNT; i++)
        if (slice_eq(key, slice_of(kinds[i].key)))
            return true;
    return false;
}

enum status rights_read_id_object(const struct visit *v,
                                  const struct json_node *ids,
                                  struct rights_job *job, unsigned *out_reach)
{
    enum status st = ids->type == JSON_OBJECT ? ST_OK : ST_TYPE;

    if (st != ST_OK)
        return st;
    for (const struct json_node *n = json_first(ids); n != NULL && st == ST_OK;
         n = json_next(ids, n))
        st = add_member(v, job, n, out_reach);
    return st;
}

/* What is not understood refuses the whole: nobody may think that they are out
 * by an identifier that was passed over. */
static enum status read_members(const struct visit *v,
                                const struct json_node *root,
                                struct rights_job *job, unsigned *reach)
{
    enum status st = root->type == JSON_OBJECT ? ST_OK : ST_TYPE;
    const struct json_node *ids = NULL;

    if (st != ST_OK)
        return st;
    for (const struct json_node *n = json_first(root); n != NULL && st == ST_OK;
         n = json_next(root, n)) {
        if (slice_eq(n->key, SLICE("ids")))
            ids = n;
        else
            st = is_known_kind(n->key) ? add_member(v, job, n, reach) : ST_TYPE;
    }
    if (st != ST_OK || ids == NULL || ids->type == JSON_NULL)
        return st;
    return rights_read_id_object(v, ids, job, reach);
}

enum status rights_read_ids(const struct visit *v, const struct json_node *root,
                            struct rights_job *job, unsigned *out_reach)
{
    enum status st = read_members(v, root, job, out_reach);

    return st == ST_OK && job->id_count == 0 ? ST_TYPE : st;
}

/* "r1.r2" into the job: what POST /v1/optout answered for several ids. */
static enum status read_receipts(const struct json_node *value,
                                 struct rights_job *job)
{
    if (value->type != JSON_STRING)
        return ST_TYPE;
    struct slice rest = value->text;
    while (rest.len > 0) {
        size_t dot = slice_find(rest, '.');
        struct slice one = slice_head(rest, dot);
        rest = slice_skip(rest, dot + 1);
        if (job->receipt_count == RIGHTS_IDS_MAX)
            return ST_LIMIT;
        if (one.len >= OPTOUT_RECEIPT_MAX)
            continue; /* none of ours, like any other that lifts nothing */
        memcpy(job->receipts[job->receipt_count], one.at, one.len);
        job->receipts[job->receipt_count++][one.len] = '\0';
    }
    return ST_OK;
}

enum status rights_read_body(const struct visit *v,
                             const struct json_node **out)
{
    const struct http_request *r = &v->x->request;

    return json_read(v->x->arena, r->body, r->body_len, out, NULL);
}

/* ---- admission ---------------------------------------------------------- */

bool rights_admit(struct visit *v)
{
    const struct services *s = v->front->services;

    if (!visit_find_site(v))
        return false;
    if (s->optout_rate != NULL &&
        !rate_take(s->optout_rate, slice_of(v->x->request.address),
                   s->clock->mono_ms(s->clock->ctx))) {
        visit_error(v, 429);
        return false;
    }
    return true;
}

void rights_hand_over(struct visit *v, struct rights_job *job,
                      rights_answer *answer, void *ctx)
{
    const struct world *w = intake_world(v->front->intake);
    struct rights_wait *wait = arena_alloc(v->x->arena, sizeof(*wait));

    if (wait == NULL) {
        rights_job_free(job);
        visit_error(v, 503);
        return;
    }
    wait->origin = v->origin_ok ? v->origin : SLICE_NONE;
    wait->answer = answer;
    wait->ctx = ctx;
    wait->path_site = v->path_site;
    wait->shared = v->shared;
    wait->site = v->site;
    v->x->user = wait;
    (void)snprintf(job->site, sizeof(job->site), "%s",
                   w->sites[v->site].conf->id);
    if (job->who == NULL)
        job->who = "api:public";
    if (!v->front->ask_rights(v->front->ctx, job, v->x)) {
        rights_job_free(job);
        visit_error(v, 503);
    }
}

/* ---- answers ------------------------------------------------------------ */

static void optout_body(const struct rights_job *job, unsigned reach,
                        struct buf *out)
{
    bool first = true;

    buf_put(out, SLICE("{\"status\":\"ok\",\"reach\":["));
    for (unsigned i = 0; i < KIND_COUNT; i++) {
        if ((reach >> i & 1u) == 0)
            continue;
        buf_printf(out, "%s\"%s\"", first ? "" : ",", kinds[i].reach);
        first = false;
    }
    buf_put(out, SLICE("],\"receipt\":\""));
    for (unsigned i = 0; i < job->receipt_count; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : ".", job->receipts[i]);
    buf_put(out, SLICE("\"}"));
}

static void answer_json(struct visit *v, const struct rights_job *job,
                        void *reach)
{
    struct http_answer answer = {.status = 200};
    struct buf body;

    buf_init(&body, ANSWER_MAX);
    if (job->status != ST_OK)
        http_error_answer(503, &answer);
    else {
        if (job->verb == RIGHTS_OPTOUT)
            optout_body(job, *(unsigned *)reach, &body);
        else
            buf_put(&body, SLICE("{\"status\":\"ok\"}"));
        answer.content_type = SLICE("application/json");
        answer.body = buf_slice(&body);
    }
    visit_answer(v, &answer);
    buf_wipe(&body);
    buf_free(&body);
}

/* ---- the three endpoints ------------------------------------------------ */

/* A browser takes a Secure cookie over TLS and from its own machine. Whether it
 * came by TLS we may not know (a proxy that is not in trusted_proxies), but the
 * browser does: only its own word, a plain http origin of this very host, makes
 * the cookie one that it would keep there (R56). */
static bool must_be_plain(const struct visit *v)
{
    struct slice host = v->x->request.authority;

    return !v->x->request.secure && slice_starts(v->origin, SLICE("http://")) &&
           slice_eq_fold(slice_skip(v->origin, 7), host);
}

struct slice rights_page_path(const struct visit *v)
{
    static const char end[] = "/privacy";
    size_t len = 3 + v->path_site.len + sizeof(end) - 1;
    char *text = v->path_site.len == 0 ? NULL : arena_alloc(v->x->arena, len);

    if (text == NULL)
        return slice_of(end);
    memcpy(text, "/s/", 3);
    memcpy(text + 3, v->path_site.at, v->path_site.len);
    memcpy(text + 3 + v->path_site.len, end, sizeof(end) - 1);
    return (struct slice){text, len};
}

void rights_put_flag(const struct visit *v, bool out,
                     struct http_answer *answer)
{
    bool plain = must_be_plain(v);

    answer->headers[answer->header_count++] = (struct beacon_header){
        SLICE("Set-Cookie"),
        out ? (plain ? SLICE(COOKIE_OUT) : SLICE(COOKIE_OUT "; Secure"))
            : (plain ? SLICE(COOKIE_IN) : SLICE(COOKIE_IN "; Secure"))};
}

static void flag_answer(struct visit *v, bool out)
{
    struct http_answer answer = {.status = 303};

    answer.headers[answer.header_count++] =
        (struct beacon_header){SLICE("Location"), rights_page_path(v)};
    rights_put_flag(v, out, &answer);
    visit_answer(v, &answer);
}

void front_optout(struct visit *v)
{
    const struct json_node *root;
    unsigned *reach = arena_alloc(v->x->arena, sizeof(*reach));

    if (!rights_admit(v))
        return;
    if (visit_is_form(v)) {
        flag_answer(v, true);
        return;
    }
    struct rights_job *job = rights_job_new();
    if (job == NULL || reach == NULL) {
        rights_job_free(job);
        visit_error(v, 503);
        return;
    }
    *reach = 0;
    job->verb = RIGHTS_OPTOUT;
    enum status st = rights_read_body(v, &root);
    if (st == ST_OK)
        st = rights_read_ids(v, root, job, reach);
    if (st != ST_OK) {
        rights_job_free(job);
        visit_error(v, st == ST_NOMEM ? 503 : 400);
        return;
    }
    rights_hand_over(v, job, answer_json, reach);
}

bool visit_is_same_origin(const struct visit *v)
{
    struct slice origin = v->origin;
    struct slice prefix =
        v->x->request.secure ? SLICE("https://") : SLICE("http://");

    return slice_starts(origin, prefix) &&
           slice_eq_fold(slice_skip(origin, prefix.len),
                         v->x->request.authority);
}

/* An app token lifts all entries of its user's identifiers. */
bool rights_has_app_token(const struct visit *v, struct rights_job *job)
{
    struct token_facts facts;

    if (!visit_has_app_token(v, &facts))
        return false;
    (void)snprintf(job->who_text, sizeof(job->who_text), "api:%s", facts.id);
    job->who = job->who_text;
    return true;
}

static enum status read_optin(const struct visit *v, struct rights_job *job)
{
    const struct json_node *root, *receipt;
    unsigned reach = 0;
    enum status st = rights_read_body(v, &root);

    if (st != ST_OK)
        return st;
    receipt = json_member(root, SLICE("receipt"));
    if (receipt != NULL) {
        job->verb = RIGHTS_OPTIN;
        return read_receipts(receipt, job);
    }
    job->verb = RIGHTS_OPTIN_ALL;
    st = rights_read_ids(v, root, job, &reach);
    return st == ST_OK && !rights_has_app_token(v, job) ? ST_DENIED : st;
}

void front_optin(struct visit *v)
{
    if (!rights_admit(v))
        return;
    if (visit_is_form(v)) {
        if (visit_is_same_origin(v))
            flag_answer(v, false);
        else
            visit_error(v, 403);
        return;
    }
    struct rights_job *job = rights_job_new();
    enum status st = job == NULL ? ST_NOMEM : read_optin(v, job);
    if (st != ST_OK) {
        rights_job_free(job);
        visit_error(v, st == ST_DENIED ? 403 : st == ST_NOMEM ? 503 : 400);
        return;
    }
    rights_hand_over(v, job, answer_json, NULL);
}

void front_flag(struct visit *v)
{
    struct http_signals signals;
    signals_read(v->x->request.headers, v->x->request.header_count, &signals);
    bool out = signals.optout_cookie;
    struct http_answer answer = {
        .status = 200,
        .content_type = SLICE("application/json"),
        .body = out ? SLICE("{\"opted_out\":true}")
                    : SLICE("{\"opted_out\":false}"),
    };

    if (visit_find_site(v))
        visit_answer(v, &answer);
}

void front_rights_done(struct front *f, struct http_exchange *x,
                       struct rights_job *job)
{
    const struct rights_wait *wait = x->user;
    struct visit v = {.front = f,
                      .x = x,
                      .origin = wait->origin,
                      .path_site = wait->path_site,
                      .shared = wait->shared,
                      .origin_ok = wait->origin.len > 0,
                      .site = wait->site};

    wait->answer(&v, job, wait->ctx);
    rights_job_free(job);
}
