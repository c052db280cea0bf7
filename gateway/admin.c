/* admin.c - the admin listener: health, metrics, /api/ and /audit/. Answers
 * only for its own hosts, refuses cross-site requests (design.md section 5). */
#include "lethe/gateway/audit_desk.h"
#include "lethe/gateway/calls.h"
#include "lethe/gateway/gateway.h"
#include "lethe/gateway/metrics.h"
#include "lethe/gateway/rights/register.h"
#include "lethe/policy/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_PAGE_MAX (16u << 20)
#define FACTS_MAX        (CONF_SITES_MAX * CONF_DESTINATIONS_MAX)
#define COMMAND_MAX      64u

/* ---- metrics ------------------------------------------------------------ */

static const char *site_name(void *ctx, unsigned site)
{
    const struct world *w = ((const struct gateway *)ctx)->world;

    return site < w->site_count ? w->sites[site].conf->name : NULL;
}

static const char *destination_name(void *ctx, unsigned site, unsigned d)
{
    const struct world *w = ((const struct gateway *)ctx)->world;

    return site < w->site_count && w->sites[site].to[d] != NULL
               ? w->sites[site].to[d]->conf->name
               : NULL;
}

struct gauges {
    struct metrics_gauge *out;
    unsigned count, max;
};

static void gauge(struct gauges *list, const char *name, const char *help,
                  double value, const char *site, const char *destination)
{
    if (list->count == list->max)
        return;
    struct metrics_gauge *m = &list->out[list->count++];
    *m = (struct metrics_gauge){.name = name, .help = help, .value = value};
    if (site != NULL)
        (void)snprintf(m->labels, sizeof(m->labels),
                       "site=\"%s\",destination=\"%s\"", site, destination);
}

static void destination_gauges(const struct gateway *g, struct gauges *list)
{
    struct forward_facts *facts = calloc(FACTS_MAX, sizeof(*facts));
    unsigned n = facts == NULL ? 0 : forward_list(g->forward, facts, FACTS_MAX);

    for (unsigned i = 0; i < n; i++) {
        const struct world_site *s = &g->world->sites[facts[i].site_index];
        gauge(list, "lethe_spool_bytes", "Bytes that wait for a destination.",
              (double)facts[i].waiting_bytes, s->conf->name,
              s->to[facts[i].destination_index]->conf->name);
    }
    for (unsigned i = 0; i < n; i++) {
        const struct world_site *s = &g->world->sites[facts[i].site_index];
        double age = facts[i].oldest_ms == 0
                         ? 0
                         : (double)(gateway_now(g) - facts[i].oldest_ms) / 1e3;
        gauge(list, "lethe_spool_oldest_seconds",
              "Age of what waits longest for a destination.", age,
              s->conf->name, s->to[facts[i].destination_index]->conf->name);
    }
    for (unsigned i = 0; i < n; i++) {
        const struct world_site *s = &g->world->sites[facts[i].site_index];
        gauge(list, "lethe_tls_failures",
              "Transfers that a certificate or name ended, since the start.",
              (double)facts[i].tls_failures, s->conf->name,
              s->to[facts[i].destination_index]->conf->name);
    }
    free(facts);
}

static double retention_overdue(const struct gateway *g)
{
    struct retention_facts *facts = calloc(FACTS_MAX, sizeof(*facts));
    int64_t worst = 0;
    unsigned n = facts == NULL
                     ? 0
                     : forward_retention_list(g->forward, facts, FACTS_MAX);

    for (unsigned i = 0; i < n; i++)
        if (facts[i].overdue_ms > worst)
            worst = facts[i].overdue_ms;
    for (unsigned i = 0; i < PRUNE_LAYERS; i++) {
        struct prune_facts f;
        pruner_facts(g->pruner, (enum prune_layer)i, &f);
        if (f.overdue_ms > worst)
            worst = f.overdue_ms;
    }
    free(facts);
    return (double)worst / 1e3;
}

static void witness_gauges(const struct gateway *g, struct gauges *list)
{
    struct witness_facts facts[CONF_WITNESSES_MAX];
    unsigned n = witnesses_facts(g->witnesses, facts, CONF_WITNESSES_MAX);
    int64_t now = gateway_now(g);

    for (unsigned i = 0; i < 2 * n && list->count < list->max; i++) {
        const struct witness_facts *f = &facts[i % n];
        int64_t since = f->signed_ms > 0 ? f->signed_ms : g->started_ms;
        if (i < n)
            gauge(list, "lethe_witness_age_seconds",
                  "Since a witness cosigned last, or since the start.",
                  (double)(now - since) / 1e3, NULL, NULL);
        else
            gauge(list, "lethe_witness_failures",
                  "Rounds in which a witness did not cosign, since the start.",
                  (double)f->failed, NULL, NULL);
        struct metrics_gauge *m = &list->out[list->count - 1];
        (void)snprintf(m->labels, sizeof(m->labels), "witness=\"%.64s\"",
                       f->name);
    }
}

static unsigned gauges(void *ctx, struct metrics_gauge *out, unsigned max)
{
    const struct gateway *g = ctx;
    struct gauges list = {out, 0, max};

    destination_gauges(g, &list);
    gauge(&list, "lethe_audit_lag_seconds",
          "Age of the oldest decision that no record has yet.",
          (double)audit_lag_ms(g->audit) / 1e3, NULL, NULL);
    gauge(&list, "lethe_audit_signed_age_seconds",
          "Since the audit log was signed last.",
          (double)audit_signed_age_ms(g->audit) / 1e3, NULL, NULL);
    witness_gauges(g, &list);
    gauge(&list, "lethe_optouts", "Identifiers opted out.",
          (double)optout_count(g->optouts), NULL, NULL);
    gauge(&list, "lethe_retention_overdue_seconds",
          "How late the latest retention run is.", retention_overdue(g), NULL,
          NULL);
    struct register_facts requests = {0};
    if (register_count(g->requests, gateway_now(g), &requests) == ST_OK)
        gauge(&list, "lethe_requests_overdue",
              "Requests of people that should have been answered.",
              (double)requests.overdue, NULL, NULL);
    gauge(&list, "lethe_reload_last_ok", "1 if the last reload was taken.",
          g->reload_ok ? 1 : 0, NULL, NULL);
    for (unsigned i = 0; i < g->world->site_count && list.count < max; i++) {
        const struct world_site *s = &g->world->sites[i];
        gauge(&list, "lethe_policy_info", "The policy in force.", 1, NULL,
              NULL);
        (void)snprintf(
            out[list.count - 1].labels, sizeof(out[list.count - 1].labels),
            "site=\"%s\",hash=\"%.64s\"", s->conf->name, s->policy->hash_text);
    }
    return list.count;
}

void admin_metrics(struct gateway *g, struct buf *out)
{
    const struct metrics_names names = {site_name, destination_name, gauges, g};
    metrics_print(&names, out);
}

/* ---- who may ask --------------------------------------------------------- */

static struct slice without_port(struct slice host)
{
    if (host.len > 0 && host.at[0] == '[')
        return slice_head(host, slice_find(host, ']') + 1);
    return slice_head(host, slice_find(host, ':'));
}

/* Scheme, host and port as the browser sees them; "null" is nobody's. */
static bool is_own_origin(const struct http_request *r, struct slice origin)
{
    const struct slice scheme =
        r->secure ? SLICE("https://") : SLICE("http://");

    return slice_starts(origin, scheme) &&
           slice_eq_fold(slice_skip(origin, scheme.len), r->authority);
}

/* A page elsewhere must not be able to drive this listener (DNS rebinding,
 * cross-site posts). */
static bool is_allowed(const struct gateway *g, const struct http_request *r)
{
    const struct conf *c = g->world->conf;
    struct slice host = without_port(r->host);
    struct slice site = http_header(r, SLICE("sec-fetch-site"));
    struct slice origin = http_header(r, SLICE("origin"));
    bool known = slice_eq_fold(host, without_port(slice_of(c->admin.text)));

    for (unsigned i = 0; i < c->admin_host_count; i++)
        known = known || slice_eq_fold(host, slice_of(c->admin_hosts[i]));
    if (!known)
        return false;
    if (site.len > 0 && !slice_eq(site, SLICE("same-origin")) &&
        !slice_eq(site, SLICE("none")))
        return false;
    return origin.len == 0 || is_own_origin(r, origin);
}

static bool is_loopback(const struct http_request *r)
{
    struct slice address = slice_of(r->address);

    return slice_starts(address, SLICE("127.")) ||
           slice_eq(address, SLICE("::1"));
}

/* The bearer token's facts; false if there is none or it is not valid. */
static bool bearer(const struct gateway *g, const struct http_request *r,
                   struct token_facts *out)
{
    struct slice value = http_header(r, SLICE("authorization"));
    const struct slice scheme = SLICE("Bearer ");

    return slice_starts(value, scheme) &&
           tokens_check(g->tokens, slice_skip(value, scheme.len),
                        gateway_now(g), out) == ST_OK;
}

/* ---- answers ------------------------------------------------------------- */

static void answer_text(struct http_exchange *x, int status, const char *type,
                        struct slice body)
{
    struct http_answer answer = {
        .status = status, .content_type = slice_of(type), .body = body};

    http_answer(x, &answer);
}

static void answer_error(struct http_exchange *x, int status)
{
    struct http_answer answer;

    http_error_answer(status, &answer);
    http_answer(x, &answer);
}

static void answer_with(struct http_exchange *x, int status, struct slice name,
                        struct slice value)
{
    struct http_answer answer;

    http_error_answer(status, &answer);
    answer.headers[answer.header_count++] = (struct beacon_header){name, value};
    http_answer(x, &answer);
}

static void answer_unknown(struct http_exchange *x)
{
    answer_with(x, 401, SLICE("WWW-Authenticate"), SLICE("Bearer"));
}

static void readyz(struct gateway *g, struct http_exchange *x)
{
    const char *why;
    bool ready = gateway_is_ready(g, &why);
    struct buf body;

    buf_init(&body, 512);
    buf_printf(&body, "{\"ready\":%s,\"message\":\"%s\"}",
               ready ? "true" : "false", why);
    answer_text(x, ready ? 200 : 503, "application/json", buf_slice(&body));
    buf_free(&body);
}

/* Is it an auditor, or an officer, who may read what an auditor may? False:
 * answered. */
static bool is_auditor(const struct gateway *g, struct http_exchange *x,
                       struct token_facts *out)
{
    if (!bearer(g, &x->request, out))
        answer_unknown(x);
    else if ((out->role & (ROLE_AUDITOR | ROLE_OFFICER)) == 0)
        answer_error(x, 403);
    else
        return true;
    return false;
}

static void metrics(struct gateway *g, struct http_exchange *x)
{
    struct token_facts who;
    struct buf body;

    if (!is_loopback(&x->request) && !is_auditor(g, x, &who))
        return;
    buf_init(&body, METRICS_PAGE_MAX);
    admin_metrics(g, &body);
    answer_text(x, 200, "text/plain; version=0.0.4", buf_slice(&body));
    buf_free(&body);
}

static void run_call(struct gateway *g, struct http_exchange *x,
                     const struct control_call *call)
{
    static const int statuses[] = {200, 409, 409, 400};
    struct control_answer out;

    control_answer_init(&out);
    calls_handle(g, call, &out);
    if (out.data.len == 0)
        buf_put(&out.data, SLICE("null"));
    int status = out.status != 0
                     ? out.status
                     : statuses[out.exit >= 0 && out.exit < 4 ? out.exit : 1];
    answer_text(x, status, "application/json", buf_slice(&out.data));
    buf_wipe(&out.data);
    control_answer_free(&out);
}

/* POST /api/spool/replay {"destination":"mp"} = `lethe spool replay mp`. */
static void api(struct gateway *g, struct http_exchange *x)
{
    char command[COMMAND_MAX], name[20];
    struct slice path = slice_skip(x->request.path, SLICE("/api/").len);
    struct slice body = {x->request.body, x->request.body_len};
    struct token_facts who;
    struct json_tree *args = NULL;
    struct json_complaint complaint;

    if (!bearer(g, &x->request, &who)) {
        answer_unknown(x);
        return;
    }
    if (path.len == 0 || path.len >= sizeof(command)) {
        answer_error(x, 404);
        return;
    }
    for (size_t i = 0; i < path.len; i++)
        command[i] = path.at[i] == '/' ? ' ' : path.at[i];
    if (json_tree_read(body.len > 0 ? body : SLICE("{}"), false, &args,
                       &complaint) != ST_OK ||
        json_kind_of(json_tree_root(args)) != JSON_KIND_OBJECT) {
        json_tree_free(args);
        answer_error(x, 400);
        return;
    }
    (void)snprintf(name, sizeof(name), "adm:%s", who.id);
    const struct control_call call = {
        .command = {command, path.len},
        .args = json_tree_root(args),
        .who = name,
        .role = who.role & (unsigned)~ROLE_LOCAL,
        .token = &who,
    };
    run_call(g, x, &call);
    json_tree_free(args);
}

/* Bundles hold records. Fetching a log takes one for each 256 of them: a
 * credential's reading is recorded once, then again after a while. */
static bool record_reading(struct gateway *g, const struct token_facts *who)
{
    char name[20];

    if (audit_desk_is_read_by(g->desk, who->id, gateway_mono(g)))
        return true;
    (void)snprintf(name, sizeof(name), "adm:%s", who->id);
    enum status st =
        gateway_record(g, RECORD_AUDIT_READ, name, "ticket:tiles", true, NULL,
                       "{\"of\":\"bundles\",\"by\":[]}");
    if (st != ST_OK)
        audit_desk_unread(g->desk, who->id);
    return st == ST_OK;
}

/* GET /audit/tile/entries/x001/234: tlog-tiles, of the whole log. */
static void audit(struct gateway *g, struct http_exchange *x)
{
    struct token_facts who;
    struct audit_ask ask;

    if (!is_auditor(g, x, &who))
        return;
    if (who.site_count > 0)
        answer_error(x, 403); /* the log is of all sites */
    else if (audit_ask_read(x->request.target, &ask) != ST_OK)
        answer_error(x, 404);
    else if (ask.what == AUDIT_ASKED_TILE && ask.tile.level == TILE_ENTRIES &&
             !record_reading(g, &who))
        answer_error(x, 503);
    else
        audit_desk_ask(g->desk, &ask, x);
}

static void healthz(struct gateway *g, struct http_exchange *x)
{
    (void)g;
    answer_text(x, 200, "application/json", SLICE("{\"status\":\"ok\"}"));
}

static const struct {
    const char *path;
    bool below; /* and everything under it */
    bool posts; /* POST, else GET and HEAD */
    void (*answer)(struct gateway *g, struct http_exchange *x);
} pages[] = {
    {"/healthz", false, false, healthz}, {"/readyz", false, false, readyz},
    {"/metrics", false, false, metrics}, {"/api/", true, true, api},
    {"/audit/", true, false, audit},
};

static bool has_method(const struct http_request *r, bool posts)
{
    return posts ? slice_eq(r->method, SLICE("POST"))
                 : slice_eq(r->method, SLICE("GET")) ||
                       slice_eq(r->method, SLICE("HEAD"));
}

static void on_request(void *ctx, struct http_exchange *x)
{
    struct gateway *g = ctx;
    const struct http_request *r = &x->request;

    if (!is_allowed(g, r)) {
        answer_error(x, 403);
        return;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        const struct slice path = slice_of(pages[i].path);
        if (pages[i].below ? !slice_starts(r->path, path)
                           : !slice_eq(r->path, path))
            continue;
        if (has_method(r, pages[i].posts))
            pages[i].answer(g, x);
        else
            answer_with(x, 405, SLICE("Allow"),
                        pages[i].posts ? SLICE("POST") : SLICE("GET, HEAD"));
        return;
    }
    answer_error(x, 404);
}

static void on_refused(void *ctx, int status, const struct http_request *head,
                       struct http_answer *answer)
{
    (void)ctx;
    (void)head;
    (void)answer;
    log_debug(LOG_ADMIN, "a request was refused", LOG_NUM("status", status));
}

enum status admin_open(struct gateway *g)
{
    const struct conf *c = g->world->conf;
    const struct http_limits limits = {
        .connections = 64,
        .body = JSON_FILE_MAX,
        .inflated = JSON_FILE_MAX,
        .request_ms = c->limit_request_ms,
    };
    const struct http_handlers handlers = {on_request, on_refused, g};
    char folder[CONF_PATH_MAX];

    if (!state_path(c, "audit", folder))
        return ST_LIMIT;
    enum status st = audit_desk_open(g->base, folder, &g->desk);
    if (st != ST_OK)
        return st;
    return http_server_open(g->base, &c->admin, false, &limits, &handlers,
                            &g->admin);
}

void admin_close(struct gateway *g)
{
    audit_desk_close(g->desk); /* its answers belong to the server */
    http_server_close(g->admin);
}
