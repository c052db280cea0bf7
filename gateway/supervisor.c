/* supervisor.c - what the main thread does while workers work: rotations,
 * world switches, the second's tick. */
#include "lethe/gateway/gateway.h"
#include "lethe/gateway/rights/register.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELIVERY_EVERY_MS INT64_C(60000)
#define ZERO_EVERY_TICKS  10u
#define NEWS_AT_ONCE      16u
#define DESTINATIONS_ALL  (CONF_SITES_MAX * CONF_DESTINATIONS_MAX)

/* ---- the barrier ------------------------------------------------------- */

static void on_fence(struct group *g, enum status st)
{
    (void)st;
    sem_post(g->ctx);
}

/* Wait until the committer has passed one (empty) group. */
static void fence_once(struct gateway *g)
{
    sem_t passed;
    struct group *fence = group_new();

    if (fence == NULL)
        return;
    (void)sem_init(&passed, 0, 0);
    fence->on_done = on_fence;
    fence->ctx = &passed;
    commit_submit(g->commit, fence);
    while (sem_wait(&passed) != 0)
        continue;
    (void)sem_destroy(&passed);
}

void supervisor_pause(struct gateway *g)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_pause(g->workers[i]);
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_await_pause(g->workers[i]);
    /* The second fence comes after the rows of what the first one waited for
     * have been handed to the audit. */
    fence_once(g);
    fence_once(g);
}

void supervisor_go_on(struct gateway *g)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_resume(g->workers[i], g->world);
}

/* ---- destinations ------------------------------------------------------ */

/* Those of `w` behind the first `count` of the list; how many there are then.
 */
static unsigned list_destinations(const struct world *w,
                                  const struct builtin_sink *builtin,
                                  struct forward_destination *list,
                                  uint64_t *keys, unsigned count)
{
    for (unsigned i = 0; i < w->site_count; i++) {
        const struct world_site *s = &w->sites[i];
        for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
            if (s->to[d] == NULL)
                continue;
            keys[count] = s->to[d]->key;
            list[count++] = (struct forward_destination){
                .key = s->to[d]->key,
                .site_index = s->metrics,
                .destination_index = d,
                .site_number = s->number,
                .policy_index = s->policy_index,
                .conf = s->to[d]->conf,
                .policy = s->policy,
                .plan = d,
                .builtin = builtin,
            };
        }
    }
    return count;
}

enum status supervisor_configure(struct gateway *g, const struct world *w,
                                 const struct world *canary,
                                 const struct builtin_sink *sink)
{
    const unsigned max = DESTINATIONS_ALL + CONF_DESTINATIONS_MAX;
    struct forward_destination *list = calloc(max, sizeof(*list));
    uint64_t *keys = calloc(max, sizeof(*keys));
    enum status st = ST_NOMEM;

    if (list != NULL && keys != NULL) {
        unsigned count = list_destinations(w, NULL, list, keys, 0);
        if (canary != NULL)
            count = list_destinations(canary, sink, list, keys, count);
        st = forward_configure(g->forward, list, count, w->day_tag);
        if (st == ST_OK)
            journal_set_readers(g->journal, keys, count);
    }
    free(list);
    free(keys);
    return st;
}

static void collect_keys(struct gateway *g)
{
    struct live_epoch *live = calloc(DESTINATIONS_ALL, sizeof(*live));
    unsigned count = 0;

    if (live == NULL)
        return;
    for (unsigned i = 0; i < g->world->site_count; i++)
        for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
            const struct world_destination *to = g->world->sites[i].to[d];
            if (to != NULL)
                live[count++] = (struct live_epoch){to->key, to->epoch_id};
        }
    unsigned destroyed = forward_collect_keys(g->forward, live, count);
    free(live);
    if (destroyed > 0)
        (void)gateway_record(g, RECORD_KEY_DESTROY, NULL, "timer", false, NULL,
                             "{\"kind\":\"spool\",\"count\":%u}", destroyed);
}

/* ---- worlds ------------------------------------------------------------ */

static void record_news(struct gateway *g, const struct world_news *news,
                        const struct world *w)
{
    if (news->epochs_made > 0)
        (void)gateway_record(g, RECORD_KEY_ROTATE, NULL, "timer", false, NULL,
                             "{\"kind\":\"epoch\",\"count\":%u}",
                             news->epochs_made);
    if (news->epochs_made > 0) /* each had a predecessor: the world is old */
        (void)gateway_record(g, RECORD_KEY_DESTROY, NULL, "timer", false, NULL,
                             "{\"kind\":\"epoch\",\"count\":%u}",
                             news->epochs_made);
    if (news->tags_destroyed > 0)
        (void)gateway_record(g, RECORD_TAG_DESTROY, NULL, "timer", false, NULL,
                             "{\"count\":%u}", news->tags_destroyed);
    if (news->tag_new)
        (void)gateway_record(g, RECORD_TAG_NEW, NULL, "timer", true, NULL,
                             "{\"tag\":\"%s\"}", w->day_tag);
}

enum status supervisor_switch(struct gateway *g, struct world *next)
{
    struct world *old = g->world;
    enum status st = supervisor_configure(g, next, NULL, NULL);

    if (st != ST_OK)
        return st;
    if (old != NULL)
        consent_summary_record(g); /* its sites may have other numbers */
    g->world = next;
    supervisor_go_on(g);
    world_unref(old);
    collect_keys(g);
    return ST_OK;
}

/* `load`: the policies are loaded again, too. */
static enum status renew(struct gateway *g, bool load)
{
    const struct world *old = g->world;
    unsigned n = old->site_count;
    struct policy **policies = calloc(n, sizeof(struct policy *));
    uint64_t *indexes = calloc(n, sizeof(*indexes));
    struct world *next = NULL;
    struct world_news news;
    enum status st = ST_NOMEM;

    supervisor_pause(g);
    if (policies == NULL || indexes == NULL)
        goto out;
    for (unsigned i = 0; i < n; i++) {
        policies[i] = old->sites[i].policy;
        indexes[i] = old->sites[i].policy_index;
    }
    if (load) {
        st = reload_record_policies(g, old->conf, policies, old, "ret:records",
                                    indexes);
        if (st != ST_OK)
            goto out;
    }
    const struct world_parts parts = {
        .conf = old->conf,
        .conf_refs = old->conf_refs,
        .policies = policies,
        .policy_indexes = indexes,
        .versions = g->versions,
        .master = g->master,
        .epochs = g->epochs,
        .spool_keys = g->spool_keys,
        .now_ms = gateway_now(g),
    };
    pthread_mutex_lock(&g->epochs_lock);
    st = world_new(&parts, &next, &news);
    pthread_mutex_unlock(&g->epochs_lock);
    if (st == ST_OK) {
        record_news(g, &news, next);
        st = supervisor_switch(g, next);
    }
out:
    /* Without a next world nothing may be decided: the old epochs are over.
     * Workers stay paused and the next tick tries again. */
    if (st != ST_OK)
        log_error(LOG_SERVE, "a rotation failed; events wait",
                  LOG_NAME("why", status_name(st)));
    free(policies);
    free(indexes);
    return st;
}

enum status supervisor_renew(struct gateway *g)
{
    return renew(g, false);
}

/* ---- the second -------------------------------------------------------- */

void supervisor_record_deliveries(struct gateway *g)
{
    struct forward_facts *facts = calloc(DESTINATIONS_ALL, sizeof(*facts));
    struct audit_delivery_facts *list = calloc(DESTINATIONS_ALL, sizeof(*list));

    if (facts != NULL && list != NULL) {
        unsigned n = forward_list(g->forward, facts, DESTINATIONS_ALL);
        for (unsigned i = 0; i < n; i++) {
            const struct world_site *s = &g->world->sites[facts[i].site_index];
            list[i] = (struct audit_delivery_facts){
                .site = s->conf->name,
                .destination = s->to[facts[i].destination_index]->conf->name,
                .cleared = facts[i].cleared,
                .accepted = facts[i].accepted,
                .refused = facts[i].refused,
                .swept = facts[i].swept,
                .expired = facts[i].expired,
                .purged = facts[i].purged,
                .dead = facts[i].dead,
                .waiting = facts[i].waiting,
            };
        }
        if (n > 0 && audit_delivery(g->audit, list, n) != ST_OK)
            log_error(LOG_AUDIT, "delivery totals could not be recorded");
    }
    free(facts);
    free(list);
}

static void record_one(struct gateway *g, const struct forward_news *x)
{
    const struct world_site *s = &g->world->sites[x->site_index];
    const char *to = s->to[x->destination_index]->conf->name;

    if (x->tls_failures > 0)
        (void)gateway_record(
            g, RECORD_TLS_FAIL, NULL, "timer", false, NULL,
            "{\"site\":\"%s\",\"destination\":\"%s\",\"count\":%llu}",
            s->conf->name, to, (unsigned long long)x->tls_failures);
    if (x->removed_files + x->removed_rows > 0)
        (void)gateway_record(
            g, RECORD_RETENTION_DELETE, NULL, "timer", false, NULL,
            "{\"site\":\"%s\",\"destination\":\"%s\",\"purpose\":\"%s\","
            "\"files\":%llu,\"rows\":%llu}",
            s->conf->name, to, x->purpose, (unsigned long long)x->removed_files,
            (unsigned long long)x->removed_rows);
}

void supervisor_record_forward_news(struct gateway *g)
{
    struct forward_news list[NEWS_AT_ONCE];
    unsigned n;

    do {
        n = forward_take_news(g->forward, list, NEWS_AT_ONCE);
        for (unsigned i = 0; i < n; i++)
            record_one(g, &list[i]);
    } while (n == NEWS_AT_ONCE);
}

/* After the longest that anything may wait, also a quiet gateway's old rows
 * leave the journal. */
static int64_t roll_every_ms(const struct world *w)
{
    return w->longest_wait_ms > MS_PER_H ? w->longest_wait_ms : MS_PER_H;
}

/* A failure is logged; workers stay paused and the next tick tries again. */
static void renew_or_retry(struct gateway *g)
{
    if (supervisor_renew(g) != ST_OK)
        atomic_store(&g->over, true);
}

/* Each hour: who waits for an answer, and what is so old that nobody needs it.
 * By the wall clock, as terms are. */
static void remind_of_requests(struct gateway *g)
{
    int64_t now = gateway_now(g);
    struct register_facts facts = {0};
    uint64_t forgotten = 0;

    if (now < g->requests_due_ms && g->requests_due_ms - now <= MS_PER_H)
        return;
    g->requests_due_ms = now + MS_PER_H;
    if (register_count(g->requests, now, &facts) != ST_OK ||
        register_forget(g->requests, now, &forgotten) != ST_OK)
        log_error(LOG_OPTOUT, "the register of requests cannot be read");
    if (facts.overdue > 0)
        log_error(LOG_OPTOUT, "requests of people are overdue",
                  LOG_NUM("count", facts.overdue));
    if (facts.soon > 0)
        log_warn(LOG_OPTOUT, "requests of people are due within a week",
                 LOG_NUM("count", facts.soon));
}

/* The log keeps the policy.load records in force. One that is so old that it
 * keeps others from going makes room for a new one. */
static void tick_pruner(struct gateway *g)
{
    if (pruner_wants_policies(g->pruner) && renew(g, true) != ST_OK)
        atomic_store(&g->over, true);
    pruner_tick(g->pruner);
}

void supervisor_tick(struct gateway *g)
{
    int64_t mono = gateway_mono(g);

    if (g->world == NULL)
        return;
    if (atomic_exchange(&g->over, false) ||
        gateway_now(g) >= g->world->valid_until_ms)
        renew_or_retry(g);
    if (mono >= g->delivery_due_ms) {
        g->delivery_due_ms = mono + DELIVERY_EVERY_MS;
        supervisor_record_deliveries(g);
    }
    if (mono >= g->consent_due_ms) {
        g->consent_due_ms = mono + MS_PER_H;
        consent_summary_record(g);
    }
    supervisor_record_forward_news(g);
    audit_kept_tick(g->kept, gateway_now(g));
    tick_pruner(g);
    collect_keys(g);
    remind_of_requests(g);
    journal_set_other_bytes(g->journal, outage_bytes(g->outage));
    if (mono >= g->roll_due_ms) {
        g->roll_due_ms = mono + roll_every_ms(g->world);
        journal_roll(g->journal);
    }
    if (++g->ticks % ZERO_EVERY_TICKS == 0 &&
        journal_zero_idle(g->journal) != ST_OK)
        log_warn(LOG_SPOOL, "idle segments could not be zeroed");
}
