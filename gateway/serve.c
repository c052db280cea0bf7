/* serve.c - the main thread: signals, the second, and the end. What it runs
 * is built in build.c. */
#include "lethe/gateway/serve.h"

#include "lethe/gateway/build.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/system_clock.h"
#include "lethe/policy/base/log.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define COMPLAINT_MAX 65536u
#define KEEP_BYTES    (16 << 20)

static void to_stderr(enum log_level level, const char *line)
{
    (void)level;
    (void)fprintf(stderr, "%s\n", line);
}

void serve_log(const struct conf *c)
{
    log_set(to_stderr, c == NULL ? LOG_LEVEL_INFO : c->log_level,
            c != NULL && c->log_json);
}

/* ---- the main thread ---------------------------------------------------- */

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    struct gateway *g = ctx;

    (void)what;
    if (g->stopping) { /* a second one: wait for nobody, but close the log */
        g->hurry = g->hurry || number != SIGHUP;
        return;
    }
    if (number == SIGHUP) {
        struct buf report;
        buf_init(&report, GATEWAY_REPORT_MAX);
        enum status st = reload_all(g, NULL, &report);
        (void)st; /* it has logged its result */
        if (report.len > 0)
            (void)fwrite(report.data, 1, report.len, stderr);
        buf_free(&report);
        return;
    }
    g->stopping = true;
    (void)event_base_loopbreak(g->base);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    supervisor_tick(ctx);
}

struct main_events {
    struct event *term, *interrupt, *hangup, *tick;
};

static bool watch(struct gateway *g, struct main_events *e)
{
    const struct timeval second = {.tv_sec = 1};

    e->term = evsignal_new(g->base, SIGTERM, on_signal, g);
    e->interrupt = evsignal_new(g->base, SIGINT, on_signal, g);
    e->hangup = evsignal_new(g->base, SIGHUP, on_signal, g);
    e->tick = event_new(g->base, -1, EV_PERSIST, on_tick, g);
    return e->term != NULL && e->interrupt != NULL && e->hangup != NULL &&
           e->tick != NULL && evsignal_add(e->term, NULL) == 0 &&
           evsignal_add(e->interrupt, NULL) == 0 &&
           evsignal_add(e->hangup, NULL) == 0 &&
           event_add(e->tick, &second) == 0;
}

static void unwatch(struct main_events *e)
{
    struct event *list[] = {e->term, e->interrupt, e->hangup, e->tick};

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (list[i] != NULL)
            event_free(list[i]);
}

static void say_ready(const struct gateway *g, const struct conf *c)
{
    for (unsigned i = 0; i < c->listen_count; i++)
        log_info(LOG_SERVE, "listening",
                 LOG_NUM("port", worker_port(g->workers[0], i)));
    if (g->admin != NULL)
        log_info(LOG_SERVE, "admin listening",
                 LOG_NUM("port", http_server_port(g->admin)));
    log_info(LOG_SERVE, "one node a site: a second gateway would not know "
                        "these opt-outs");
    if (c->audit_rows != ROWS_ALL)
        log_warn(LOG_AUDIT, "audit.rows is not \"all\": not every decision can "
                            "be proved, and no receipts are given");
    log_info(LOG_SERVE, "ready", LOG_NUM("sites", c->site_count),
             LOG_NUM("workers", g->worker_count));
}

static int run(struct gateway *g, struct conf *c, unsigned *conf_refs,
               struct policy *const *policies)
{
    struct main_events events = {0};
    int code = 1;

    g->base = event_base_new();
    if (g->base == NULL)
        return build_refuse("start", "out of memory");
    g->started_ms = g->reloaded_ms = gateway_now(g);
    g->reload_ok = true;
    if (build_all(g, c, conf_refs, policies) == 0 && watch(g, &events)) {
        say_ready(g, c);
        while (!g->stopping && !g->broken)
            (void)event_base_dispatch(g->base);
        code = g->broken ? 1 : 0;
        log_info(LOG_SERVE, "stopping");
    }
    /* Signals are watched to the end: their default would cut it short. */
    g->stopping = true;
    if (events.tick != NULL)
        (void)event_del(events.tick);
    build_tear_down(g);
    unwatch(&events);
    event_base_free(g->base);
    return code;
}

/* Takes `c` over. */
static int run_conf(const char *conf_path, struct conf *c)
{
    struct policy **policies = NULL;
    struct buf report;
    struct gateway *g = calloc(1, sizeof(*g));
    unsigned *conf_refs = calloc(1, sizeof(*conf_refs));
    unsigned site_count = c->site_count;
    int code = 1;

    if (g == NULL || conf_refs == NULL) {
        free(g);
        free(conf_refs);
        conf_free(c);
        return build_refuse("start", "out of memory");
    }
    buf_init(&report, COMPLAINT_MAX);
    enum status st = reload_policies(c, &policies, &report);
    if (report.len > 0)
        (void)fwrite(report.data, 1, report.len, stderr);
    buf_free(&report);
    *conf_refs = 1;
    if (st == ST_OK) {
        g->conf_path = conf_path;
        g->clock = system_clock();
        (void)pthread_mutex_init(&g->epochs_lock, NULL);
        code = run(g, c, conf_refs, policies);
    }
    reload_free_policies(policies, site_count);
    if (--*conf_refs == 0) {
        conf_free(c);
        free(conf_refs);
    }
    free(g);
    return code;
}

int serve_run(const char *conf_path)
{
    struct conf_complaint complaint;
    struct conf *c = NULL;

    (void)signal(SIGPIPE, SIG_IGN);
    /* Buffers of groups come and go; unmapping them each time stops all
     * threads of the process for a moment. */
    (void)mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
    if (secrets_init() != ST_OK || evthread_use_pthreads() != 0)
        return build_refuse("start",
                            "libsodium or libevent cannot be initialised");
    if (conf_load(conf_path, &c, &complaint) != ST_OK)
        return build_refuse("config", complaint.text);
    serve_log(c);
    return run_conf(conf_path, c);
}
