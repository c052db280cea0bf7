/* build.c - builds every object in order and takes them down in reverse:
 * what lies on disk (build_disk.c), then the threads that use it, the first
 * world, and the doors last. */
#include "lethe/gateway/build.h"
#include "lethe/gateway/pending.h"
#include "lethe/gateway/rights/register.h"

#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/random.h"
#include "lethe/policy/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AUDIT_LATE_MS   INT64_C(30000)
#define JOURNAL_WAIT_MS (15 * MS_PER_MIN)

static void synced(void *ctx, struct group *const *groups, unsigned count,
                   uint64_t sequence, int64_t now_ms)
{
    struct gateway *g = ctx;

    audit_rows(g->audit, groups, count, sequence, now_ms);
    forward_poke(g->forward);
}

static void journal_broken(void *ctx)
{
    struct gateway *g = ctx;

    log_error(LOG_COMMIT, "the journal cannot be written: stopping");
    atomic_store(&g->broken, true);
    (void)event_base_loopbreak(g->base);
}

static bool must_refuse(void *ctx)
{
    const struct gateway *g = ctx;

    return atomic_load_explicit(&g->broken, memory_order_relaxed) ||
           commit_is_full(g->commit) ||
           audit_lag_ms(g->audit) > AUDIT_LATE_MS ||
           audit_is_unsigned(g->audit);
}

static void world_is_over(void *ctx)
{
    struct gateway *g = ctx;

    atomic_store(&g->over, true); /* the tick sees it; at most a second */
}

static void note_optout(void *ctx, uint64_t number, const uint8_t hash[32])
{
    struct gateway *g = ctx;

    pthread_mutex_lock(&g->epochs_lock);
    enum status st = epochs_note_optout(g->epochs, number, hash);
    pthread_mutex_unlock(&g->epochs_lock);
    if (st != ST_OK)
        log_warn(LOG_OPTOUT, "the epoch file could not note the newest number");
}

void build_note_optouts(struct gateway *g)
{
    uint8_t hash[32];
    uint64_t number = optout_newest(g->optouts, hash);

    note_optout(g, number, hash);
}

/* ---- threads ------------------------------------------------------------ */

static void anchored(void *ctx, const char *name, uint64_t size)
{
    (void)gateway_record(ctx, RECORD_CP_ANCHOR, NULL, "timer", false, NULL,
                         "{\"to\":\"%s\",\"size\":%llu}", name,
                         (unsigned long long)size);
}

/* What others may hold against the log: kept, shown, and cosigned by them. */
static int start_witnesses(struct gateway *g, const struct conf *c)
{
    char folder[CONF_PATH_MAX];
    const struct witnesses_config config = {
        .folder = folder,
        .list = c->witnesses,
        .count = c->witness_count,
        .clock = g->clock,
        .anchored = anchored,
        .ctx = g,
    };

    if (!state_path(c, "audit", folder) ||
        audit_kept_open(folder, &g->kept) != ST_OK ||
        witnesses_open(&config, &g->witnesses) != ST_OK ||
        witnesses_start(g->witnesses) != ST_OK)
        return build_refuse("witnesses", "cannot be started");
    return 0;
}

/* Once a minute: no need for a buffer. */
static void random_for_rate(void *ctx, void *out, size_t len)
{
    struct random_source r;

    (void)ctx;
    random_init(&r);
    random_take(&r, out, len);
    random_wipe(&r);
}

/* An order to delete counts when a witness, too, has seen it, if there is one.
 */
static uint64_t signed_size(void *ctx)
{
    const struct gateway *g = ctx;
    struct witness_facts facts[CONF_WITNESSES_MAX];
    unsigned n = witnesses_facts(g->witnesses, facts, CONF_WITNESSES_MAX);
    uint64_t seen = 0, size = audit_signed_size(g->audit);

    for (unsigned i = 0; i < n; i++)
        seen = facts[i].size > seen ? facts[i].size : seen;
    return n == 0 || seen > size ? size : seen;
}

static int start_pruner(struct gateway *g, const struct conf *c)
{
    char folder[CONF_PATH_MAX];
    const struct prune_parts parts = {.folder = folder,
                                      .clock = g->clock,
                                      .log = g->audit,
                                      .signed_size = signed_size,
                                      .ctx = g};

    if (!state_path(c, "audit", folder) ||
        pruner_new(&parts, &g->pruner) != ST_OK ||
        pruner_start(g->pruner) != ST_OK)
        return build_refuse("retention of the audit log", "cannot be started");
    return 0;
}

static int start_threads(struct gateway *g, const struct conf *c)
{
    const struct commit_hooks hooks = {synced, journal_broken, g};
    const struct forward_parts parts = {
        .journal = g->journal,
        .outage = g->outage,
        .keys = g->spool_keys,
        .sweep = g->sweep,
        .clock = g->clock,
        .threads = c->forwarders,
        .journal_bytes = c->limit_journal,
        .journal_wait_ms = JOURNAL_WAIT_MS,
    };
    struct forward_parts with = parts;

    if (commit_start(g->journal, g->clock, &hooks, &g->commit) != ST_OK)
        return build_refuse("committer", "cannot be started");
    with.commit = g->commit;
    if (forward_start(&with, &g->forward) != ST_OK)
        return build_refuse("forwarders", "cannot be started");
    const struct rights_parts rights = {
        .optouts = g->optouts,
        .sweep = g->sweep,
        .keys = g->spool_keys,
        .forward = g->forward,
        .audit = g->audit,
        .clock = g->clock,
        .note = note_optout,
        .ctx = g,
    };
    if (rights_start(&rights, &g->rights) != ST_OK)
        return build_refuse("opt-outs", "cannot be started");
    if (c->rate_optout > 0)
        g->optout_rate =
            rate_new(c->rate_optout, cache_hash, random_for_rate, NULL);
    if (c->rate_events > 0)
        g->events_rate =
            rate_new(c->rate_events, cache_hash, random_for_rate, NULL);
    g->services = (struct services){
        .clock = g->clock,
        .commit = g->commit,
        .optouts = g->optouts,
        .rights = g->rights,
        .audit = g->audit,
        .kept = g->kept,
        .tokens = g->tokens,
        .optout_key = g->optout_key,
        .optout_rate = g->optout_rate,
        .events_rate = g->events_rate,
        .connections = &g->connections,
        .must_refuse = must_refuse,
        .world_is_over = world_is_over,
        .ctx = g,
    };
    return 0;
}

static unsigned worker_count(const struct conf *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = c->workers;

    if (count == 0)
        count = cores > 2 ? (unsigned)cores - 1 : 1;
    return count > GATEWAY_WORKERS_MAX ? GATEWAY_WORKERS_MAX : count;
}

static int start_workers(struct gateway *g, const struct conf *c)
{
    unsigned count = worker_count(c), at = 0;

    for (unsigned i = 0; i < count; i++) {
        enum status st = worker_start(i, c, &g->services, &g->workers[i], &at);
        if (st != ST_OK)
            return build_refuse(
                c->listen[at].text,
                st == ST_IO ? strerror(errno)
                : st == ST_CRYPTO
                    ? "the certificate or its key cannot be loaded"
                    : status_name(st));
        g->worker_count = i + 1;
    }
    return 0;
}

/* ---- the first world ---------------------------------------------------- */

static int check_versions(struct gateway *g, const struct conf *c,
                          struct policy *const *policies)
{
    struct buf report;

    buf_init(&report, GATEWAY_REPORT_MAX);
    bool ok = reload_versions_hold(g, c, policies, &report);
    if (report.len > 0)
        (void)fwrite(report.data, 1, report.len, stderr);
    buf_free(&report);
    if (!ok)
        (void)gateway_record(g, RECORD_POLICY_REJECT, NULL, "boot", false, NULL,
                             "{}");
    return ok ? 0 : 1;
}

static enum status first_world(struct gateway *g, struct conf *c,
                               unsigned *conf_refs,
                               struct policy *const *policies)
{
    struct world_news news;
    struct world *first = NULL;
    uint64_t *indexes = calloc(c->site_count, sizeof(*indexes));

    if (indexes == NULL)
        return ST_NOMEM;
    enum status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < c->site_count; i++)
        st = state_enter_site(g->state, slice_of(c->sites[i].id));
    if (st == ST_OK)
        st = reload_record_policies(g, c, policies, NULL, "boot", indexes);
    if (st == ST_OK)
        st = gateway_wait_signed(g, indexes[c->site_count - 1],
                                 GATEWAY_START_WAIT_MS);
    const struct world_parts parts = {
        .conf = c,
        .conf_refs = conf_refs,
        .policies = policies,
        .policy_indexes = indexes,
        .versions = g->versions,
        .master = g->master,
        .epochs = g->epochs,
        .spool_keys = g->spool_keys,
        .now_ms = gateway_now(g),
    };
    if (st == ST_OK)
        st = world_new(&parts, &first, &news);
    if (st == ST_OK && news.epochs_made > 0) /* of new destinations, too */
        st = gateway_record(g, RECORD_KEY_ROTATE, NULL, "boot", true, NULL,
                            "{\"kind\":\"epoch\",\"count\":%u}",
                            news.epochs_made);
    if (st == ST_OK && news.tag_new)
        st = gateway_record(g, RECORD_TAG_NEW, NULL, "boot", true, NULL,
                            "{\"tag\":\"%s\"}", first->day_tag);
    if (st == ST_OK)
        st = reload_note_versions(g, c, policies);
    if (st == ST_OK)
        st = supervisor_switch(g, first);
    if (st != ST_OK)
        world_unref(first);
    free(indexes);
    return st;
}

static void record_keys(struct gateway *g)
{
    char id[13];

    key_id_text(g->master, id);
    (void)gateway_record(g, RECORD_KEY_LOAD, NULL, "boot", false, NULL,
                         "{\"kind\":\"master\",\"id\":\"%s\"}", id);
    key_id_text(g->optout_key, id);
    (void)gateway_record(g, RECORD_KEY_LOAD, NULL, "boot", false, NULL,
                         "{\"kind\":\"optout\",\"id\":\"%s\"}", id);
    const uint8_t *log = g->signing.key.id;
    (void)gateway_record(g, RECORD_KEY_LOAD, NULL, "boot", false, NULL,
                         "{\"kind\":\"%s\",\"id\":\"%02x%02x%02x%02x\"}",
                         signer_link_is_new(g->signer) ? "log-new" : "log",
                         log[0], log[1], log[2], log[3]);
}

static enum status record_pending(void *ctx, enum audit_record_act act,
                                  const char *why, struct slice d)
{
    enum status st = ST_SYNTAX;

    if (act != RECORD_ACT_COUNT)
        st = gateway_record(ctx, act, "adm:local", why, true, NULL, "%.*s",
                            SLICE_ARG(d));
    if (st != ST_SYNTAX)
        return st;
    log_warn(LOG_AUDIT, "a line of audit-pending is no note of a command");
    return ST_OK;
}

/* ---- up and down -------------------------------------------------------- */

int build_all(struct gateway *g, struct conf *c, unsigned *conf_refs,
              struct policy *const *policies)
{
    char path[CONF_PATH_MAX];

    if (build_from_disk(g, c) != 0 || check_versions(g, c, policies) != 0 ||
        start_witnesses(g, c) != 0 || start_threads(g, c) != 0 ||
        start_pruner(g, c) != 0)
        return 1;
    record_keys(g);
    if (pending_take(c->state_dir, record_pending, g) != ST_OK)
        return build_refuse("audit-pending",
                            "what commands did cannot be recorded");
    if (start_workers(g, c) != 0)
        return 1;
    enum status st = first_world(g, c, conf_refs, policies);
    if (st != ST_OK)
        return build_refuse("destinations", status_name(st));
    if (!state_path(c, "control.sock", path) ||
        control_open(g->base, path, calls_handle, g, &g->control) != ST_OK)
        return build_refuse(path, "cannot listen there");
    control_use_tokens(g->control, g->tokens);
    if (c->admin.text != NULL && admin_open(g) != ST_OK)
        return build_refuse(c->admin.text, strerror(errno));
    return 0;
}

/* Accept nothing more; let connections and transfers come to an end. */
static void drain(struct gateway *g)
{
    int64_t until = gateway_mono(g) + BUILD_DRAIN_MS;
    const struct timeval pause = {.tv_usec = 20000};

    for (unsigned i = 0; i < g->worker_count; i++)
        worker_drain(g->workers[i]);
    for (;;) {
        unsigned open = 0;
        for (unsigned i = 0; i < g->worker_count; i++)
            open += worker_connections(g->workers[i]);
        if (open == 0 || g->hurry || gateway_mono(g) >= until)
            return;
        (void)event_base_loopexit(g->base, &pause);
        (void)event_base_dispatch(g->base);
    }
}

void build_tear_down(struct gateway *g)
{
    admin_close(g);
    control_close(g->control);
    if (g->world != NULL && !g->broken)
        drain(g);
    /* Its jobs answer through the workers, so it ends before them; a worker
     * that asks afterwards is told it is closed. */
    if (g->rights != NULL)
        rights_stop(g->rights);
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_stop(g->workers[i]);
    rights_free(g->rights);
    if (g->world != NULL) {
        supervisor_record_forward_news(g);
        supervisor_record_deliveries(g);
        consent_summary_record(g);
    }
    if (g->forward != NULL)
        forward_stop(g->forward, g->hurry ? 0 : BUILD_DRAIN_MS);
    if (g->commit != NULL)
        commit_stop(g->commit);
    forward_free(g->forward);
    pruner_stop(g->pruner);
    witnesses_close(g->witnesses);
    if (g->audit != NULL)
        audit_stop(g->audit);
    signer_link_close(g->signer);
    audit_kept_close(g->kept);
    world_unref(g->world);
    if (g->journal != NULL)
        journal_close(g->journal);
    if (g->outage != NULL)
        outage_close(g->outage);
    if (g->tokens != NULL)
        tokens_close(g->tokens);
    policy_versions_close(g->versions);
    register_close(g->requests);
    sweep_free(g->sweep);
    if (g->optouts != NULL)
        optout_close(g->optouts);
    if (g->spool_keys != NULL)
        spool_keys_close(g->spool_keys);
    if (g->epochs != NULL)
        epochs_close(g->epochs);
    rate_free(g->optout_rate);
    rate_free(g->events_rate);
    secret_free(g->master);
    secret_free(g->optout_key);
    state_close(g->state);
}
