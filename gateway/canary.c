/* canary.c - one run: a site of its own, its events, and away with it. */
#include "lethe/gateway/canary.h"

#include "lethe/gateway/gateway.h"
#include "lethe/gateway/intake.h"
#include "lethe/gateway/metrics.h"
#include "lethe/gateway/random.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/log.h"
#include "lethe/policy/dialect.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARENA_BYTES   (1u << 20)
#define EVENT_BYTES   65536u
#define POLL_NS       2000000L
#define SESSION_BYTES 16u
#define FACTS_MAX                                                              \
    (CONF_SITES_MAX * CONF_DESTINATIONS_MAX + CONF_DESTINATIONS_MAX)

/* What a run has, until it ends. */
struct coop {
    struct gateway *g;
    struct conf_site site; /* a shallow copy: the config's owns its texts */
    struct world *world;
    struct intake *intake;
    struct arena *arena;
    struct canary_run *run;
    struct builtin_sink sink;
    unsigned epochs; /* made for it */
};

/* ---- the site ------------------------------------------------------------ */

static enum status make_world(struct coop *c, const struct world_site *s)
{
    struct gateway *g = c->g;
    struct policy *const policies[] = {s->policy};
    const uint64_t indexes[] = {s->policy_index};
    struct world_news news;
    static char id[] = CANARY_SITE_ID, name[] = CANARY_SITE_NAME;

    c->site = *s->conf;
    c->site.id = id;
    c->site.name = name;
    const struct world_parts parts = {
        .conf = g->world->conf,
        .conf_refs = g->world->conf_refs,
        .policies = policies,
        .policy_indexes = indexes,
        .only = &c->site,
        .versions = g->versions,
        .master = g->master,
        .epochs = g->epochs,
        .spool_keys = g->spool_keys,
        .now_ms = gateway_now(g),
    };
    /* A new day's key is the tick's to make, and to record. */
    if (parts.now_ms >= g->world->valid_until_ms)
        return ST_BUSY;
    pthread_mutex_lock(&g->epochs_lock);
    enum status st = world_new(&parts, &c->world, &news);
    pthread_mutex_unlock(&g->epochs_lock);
    c->epochs = st == ST_OK ? news.epochs_made : 0;
    if (c->epochs > 0)
        (void)gateway_record(g, RECORD_KEY_ROTATE, NULL, "ticket:canary", false,
                             NULL, "{\"kind\":\"epoch\",\"count\":%u}",
                             c->epochs);
    return st;
}

static void forget_epochs(struct coop *c)
{
    struct gateway *g = c->g;

    pthread_mutex_lock(&g->epochs_lock);
    for (unsigned i = 0; i < c->site.destination_count; i++) {
        enum status st = epochs_forget(g->epochs, SLICE(CANARY_SITE_ID),
                                       slice_of(c->site.destinations[i].name));
        if (st != ST_OK && st != ST_UNKNOWN)
            log_warn(LOG_KEYS, "an epoch of the canary's stays");
    }
    pthread_mutex_unlock(&g->epochs_lock);
    if (c->epochs > 0)
        (void)gateway_record(g, RECORD_KEY_DESTROY, NULL, "ticket:canary",
                             false, NULL, "{\"kind\":\"epoch\",\"count\":%u}",
                             c->epochs);
}

/* How much waits for its destinations. */
static uint64_t waiting(const struct coop *c)
{
    uint64_t sum = 0;
    struct forward_facts *facts = calloc(FACTS_MAX, sizeof(*facts));
    unsigned n =
        facts == NULL ? 0 : forward_list(c->g->forward, facts, FACTS_MAX);

    for (unsigned i = 0; i < n; i++)
        if (facts[i].site_index == METRICS_UNCOUNTED)
            sum += facts[i].waiting;
    free(facts);
    return sum;
}

/* The built-in sink. What a run before a crash has left is no concern. */
static void take(void *ctx, unsigned plan, const struct fragment *f)
{
    struct canary_run *run = ctx;

    for (unsigned i = 0; i < run->count; i++)
        if (run->sent[i].ev == f->ev)
            atomic_fetch_or(&run->sent[i].arrived, (uint16_t)(1u << plan));
}

static enum status coop_open(struct coop *c, const struct world_site *s)
{
    enum status st = make_world(c, s);

    c->sink = (struct builtin_sink){take, c->run};
    if (st == ST_OK)
        st = supervisor_configure(c->g, c->g->world, c->world, &c->sink);
    if (st != ST_OK)
        return st;
    c->intake = intake_new(&c->g->services);
    c->arena = arena_new(ARENA_BYTES);
    return c->intake == NULL || c->arena == NULL
               ? ST_NOMEM
               : intake_set_world(c->intake, c->world);
}

static void coop_close(struct coop *c)
{
    /* Whatever of it still waits is purged, as with every destination that a
     * config does not have any more. */
    if (c->world != NULL &&
        supervisor_configure(c->g, c->g->world, NULL, NULL) != ST_OK)
        log_error(LOG_FORWARD, "the canary's destinations stay until a reload");
    intake_free(c->intake);
    arena_free(c->arena);
    if (c->site.id != NULL)
        forget_epochs(c);
    world_unref(c->world);
}

/* ---- its events ---------------------------------------------------------- */

static enum status send_one(struct coop *c, struct canary *one)
{
    uint8_t random[SESSION_BYTES];
    char session[2 * SESSION_BYTES + 1];
    struct random_source source;
    struct dialect_call call;
    struct reply reply;
    struct buf body;
    bool known;
    const struct world_site *s = &c->world->sites[0];

    random_init(&source);
    random_take(&source, random, sizeof(random));
    random_wipe(&source);
    for (size_t i = 0; i < SESSION_BYTES; i++)
        (void)snprintf(session + 2 * i, 3, "%02x", random[i]);
    buf_init(&body, EVENT_BYTES);
    canary_put(s->policy, one, session, gateway_now(c->g), &body);
    struct beacon b = {
        .method = SLICE("POST"),
        .path = SLICE("/v1/events"),
        .content_type = SLICE("application/json"),
        .body = body.data,
        .body_len = body.len,
        .gpc = one->kind == CANARY_GPC,
        .dnt = one->kind == CANARY_DNT,
        .received_ms = gateway_now(c->g),
    };
    dialect_begin(&call, dialect_find(b.method, b.path, &known), &b, c->arena);
    enum status st = body.failed ? ST_LIMIT : dialect_read(&call);
    if (st == ST_OK)
        st = intake_collect(c->intake, s, &call, &reply, &one->ev);
    arena_reset(c->arena);
    buf_free(&body);
    return st;
}

struct landing {
    sem_t done;
    enum status st;
};

static void on_disk(struct group *g, enum status st)
{
    struct landing *l = g->ctx;

    l->st = st;
    sem_post(&l->done);
}

static enum status commit_and_wait(struct coop *c)
{
    struct landing l = {.st = ST_IO};
    struct group *group = NULL;
    enum status st = intake_seal(c->intake, false, &group);

    if (st != ST_OK || group == NULL)
        return st == ST_OK ? ST_IO : st;
    (void)sem_init(&l.done, 0, 0);
    group->on_done = on_disk;
    /* It has been called before this function is over. */
    /* cppcheck-suppress autoVariables */
    group->ctx = &l;
    commit_submit(c->g->commit, group);
    while (sem_wait(&l.done) != 0)
        continue;
    (void)sem_destroy(&l.done);
    return l.st;
}

/* Nothing else of the supervisor's runs meanwhile: a run is short. */
static void await_delivery(const struct coop *c)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    int64_t until = gateway_mono(c->g) + CANARY_WAIT_MS;

    while (waiting(c) > 0 && gateway_mono(c->g) < until)
        (void)nanosleep(&pause, NULL);
}

static enum status run_all(struct coop *c)
{
    struct canary_run *run = c->run;
    const struct world_site *s = &c->world->sites[0];
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < run->count; i++) {
        canary_make(s->policy, s->present, i, &run->sent[i]);
        st = send_one(c, &run->sent[i]);
    }
    if (st == ST_OK)
        st = commit_and_wait(c);
    if (st == ST_OK)
        await_delivery(c);
    return st;
}

enum status canary_send(struct gateway *g, const struct world_site *s,
                        struct canary_run *run)
{
    struct coop *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return ST_NOMEM;
    c->g = g;
    c->run = run;
    run->since_ms = gateway_now(g);
    enum status st = g->world->conf->audit_rows != ROWS_ALL     ? ST_DENIED
                     : g->services.must_refuse(g->services.ctx) ? ST_BUSY
                                                                : ST_OK;
    if (st == ST_OK)
        st = coop_open(c, s);
    if (st == ST_OK)
        st = run_all(c);
    coop_close(c);
    free(c);
    return st;
}
