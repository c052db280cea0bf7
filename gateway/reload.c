/* reload.c - policies and config into a new world, all or nothing. */
#include "lethe/audit_codes.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/gateway.h"
#include "lethe/gateway/http/tls_context.h"
#include "lethe/policy/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- policies ---------------------------------------------------------- */

void reload_free_policies(struct policy **list, unsigned count)
{
    for (unsigned i = 0; list != NULL && i < count; i++)
        policy_unref(list[i]);
    free(list);
}

static void report_problems(const struct policy_problems *problems,
                            struct buf *report)
{
    for (unsigned i = 0; i < problems->count; i++) {
        const struct policy_problem *p = &problems->list[i];
        buf_printf(report, "%s:%u:%u: %s%s\n", p->file, p->place.line,
                   p->place.column, p->warning ? "warning: " : "", p->text);
    }
}

static enum status load_policy(const char *path, struct policy **out,
                               struct buf *report)
{
    struct policy_problems *problems = calloc(1, sizeof(*problems));
    struct buf text;

    if (problems == NULL)
        return ST_NOMEM;
    enum status st = file_read(path, JSON_FILE_MAX, &text);
    if (st != ST_OK)
        buf_printf(report, "%s: cannot be read: %s\n", path,
                   st == ST_IO ? strerror(errno) : status_name(st));
    else {
        st = policy_load(buf_slice(&text), path, policy_shipped, NULL, out,
                         problems);
        report_problems(problems, report);
        if (st != ST_OK && problems->errors == 0)
            buf_printf(report, "%s: cannot be loaded: %s\n", path,
                       status_name(st));
    }
    buf_free(&text);
    free(problems);
    return st;
}

/* /import refuses events without a time, so a policy that drops it would send
 * nothing there. */
static bool time_is_there(const struct conf_destination *d,
                          const struct destination_plan *plan)
{
    return d->type != DESTINATION_MIXPANEL || d->api != MIXPANEL_IMPORT ||
           plan->time_round_ms > 0;
}

/* Each destination of the config must be in the policy; the policy may name
 * more. */
static bool fits(const struct conf_site *s, const struct policy *p,
                 struct buf *report)
{
    bool ok = true;

    for (unsigned i = 0; i < s->destination_count; i++) {
        const struct conf_destination *d = &s->destinations[i];
        int plan = policy_find_destination(p, slice_of(d->name));
        if (plan >= 0 && time_is_there(d, &p->destinations[plan]))
            continue;
        if (plan < 0)
            buf_printf(report,
                       "site %s: the policy %s does not name the destination "
                       "%s; add it to \"destinations\" there or take it out "
                       "here\n",
                       s->name, s->policy, d->name);
        else
            buf_printf(report,
                       "site %s: the policy %s drops the time for the "
                       "destination %s, whose interface needs one; give it a "
                       "rounded one ({\"time\": {\"round\": \"PT1M\"}}) or "
                       "\"api\": \"track\" here\n",
                       s->name, s->policy, d->name);
        ok = false;
    }
    return ok;
}

enum status reload_policies(const struct conf *c, struct policy ***out,
                            struct buf *report)
{
    struct policy **list = calloc(c->site_count, sizeof(struct policy *));
    bool ok = true;

    if (list == NULL)
        return ST_NOMEM;
    for (unsigned i = 0; i < c->site_count; i++) {
        if (load_policy(c->sites[i].policy, &list[i], report) != ST_OK)
            ok = false;
        else
            ok = fits(&c->sites[i], list[i], report) && ok;
    }
    if (!ok) {
        reload_free_policies(list, c->site_count);
        return ST_TYPE;
    }
    *out = list;
    return ST_OK;
}

/* ---- versions ---------------------------------------------------------- */

static struct policy_version version_of(const struct conf_site *s,
                                        const struct policy *p)
{
    return (struct policy_version){slice_of(s->id), p->version, p->hash};
}

bool reload_versions_hold(const struct gateway *g, const struct conf *c,
                          struct policy *const *policies, struct buf *report)
{
    bool ok = true;

    for (unsigned i = 0; i < c->site_count; i++) {
        const struct policy_version v = version_of(&c->sites[i], policies[i]);
        if (policy_versions_hold(g->versions, &v))
            continue;
        buf_printf(report,
                   "%s: the content changed but \"version\" did not: this one "
                   "was in force with other rules; give it a new version\n",
                   c->sites[i].policy);
        ok = false;
    }
    return ok;
}

enum status reload_note_versions(struct gateway *g, const struct conf *c,
                                 struct policy *const *policies)
{
    struct policy_version list[CONF_SITES_MAX];

    for (unsigned i = 0; i < c->site_count; i++)
        list[i] = version_of(&c->sites[i], policies[i]);
    return policy_versions_note(g->versions, list, c->site_count,
                                gateway_now(g));
}

/* ---- records ----------------------------------------------------------- */

static void duration_text(struct duration d, char out[32])
{
    if (d.months > 0 && d.ms == 0)
        (void)snprintf(out, 32, "P%dM", d.months);
    else if (d.months == 0 && d.ms % MS_PER_DAY == 0)
        (void)snprintf(out, 32, "P%lldD", (long long)(d.ms / MS_PER_DAY));
    else
        (void)snprintf(out, 32, "PT%lldS",
                       (long long)(duration_rough_ms(d) / 1000));
}

static const struct world_site *site_before(const struct world *w,
                                            const struct conf_site *s)
{
    for (unsigned i = 0; w != NULL && i < w->site_count; i++)
        if (strcmp(w->sites[i].conf->id, s->id) == 0)
            return &w->sites[i];
    return NULL;
}

static enum status record_policy(struct gateway *g, const struct conf_site *s,
                                 const struct policy *p,
                                 const struct world_site *before,
                                 const char *why, uint64_t *out_index)
{
    char rows[32], records[32], old[68], codes[65];
    struct buf names;

    buf_init(&names, 4096);
    for (unsigned d = 0; d < p->destination_count; d++)
        buf_printf(&names, "%s\"%.*s\"", d == 0 ? "" : ",",
                   SLICE_ARG(p->destinations[d].name));
    duration_text(p->keep_rows, rows);
    duration_text(p->keep_records, records);
    if (before != NULL)
        (void)snprintf(old, sizeof(old), "\"%s\"", before->policy->hash_text);
    else
        (void)snprintf(old, sizeof(old), "null");
    audit_codes_hash(codes);
    buf_put_char(&names, '\0');
    enum status st = names.failed ? ST_LIMIT : ST_OK;
    if (st == ST_OK)
        st = gateway_record(
            g, RECORD_POLICY_LOAD, NULL, why, true, out_index,
            "{\"site\":\"%s\",\"pol\":\"%s\",\"old\":%s,\"dst\":[%s],"
            "\"keep\":{\"rows\":\"%s\",\"records\":\"%s\"},\"codes\":\"%s\"}",
            s->name, p->hash_text, old, names.data, rows, records, codes);
    buf_free(&names);
    return st;
}

enum status reload_record_policies(struct gateway *g, const struct conf *c,
                                   struct policy *const *policies,
                                   const struct world *before, const char *why,
                                   uint64_t *indexes)
{
    for (unsigned i = 0; i < c->site_count; i++) {
        const struct world_site *old = site_before(before, &c->sites[i]);
        enum status st =
            record_policy(g, &c->sites[i], policies[i], old, why, &indexes[i]);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* ---- reload ------------------------------------------------------------ */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_listener(const struct conf_listen *a,
                          const struct conf_listen *b)
{
    return same_text(a->text, b->text) && a->proxy_count == b->proxy_count &&
           memcmp(a->proxies, b->proxies,
                  a->proxy_count * sizeof(a->proxies[0])) == 0 &&
           (a->tls.certificate == NULL) == (b->tls.certificate == NULL);
}

static bool same_listeners(const struct conf *a, const struct conf *b)
{
    bool same = a->listen_count == b->listen_count;

    for (unsigned i = 0; same && i < a->listen_count; i++)
        same = same_listener(&a->listen[i], &b->listen[i]);
    return same;
}

static bool same_limits(const struct conf *a, const struct conf *b)
{
    return a->limit_connections == b->limit_connections &&
           a->limit_body == b->limit_body &&
           a->limit_inflated == b->limit_inflated &&
           a->limit_request_ms == b->limit_request_ms &&
           a->limit_journal == b->limit_journal &&
           a->rate_optout == b->rate_optout && a->rate_events == b->rate_events;
}

static bool same_witnesses(const struct conf *a, const struct conf *b)
{
    bool same = a->witness_count == b->witness_count;

    for (unsigned i = 0; same && i < a->witness_count; i++) {
        const struct conf_witness *x = &a->witnesses[i], *y = &b->witnesses[i];
        same = same_text(x->name, y->name) && same_text(x->url, y->url) &&
               same_text(x->key, y->key) && same_text(x->ca, y->ca);
    }
    return same;
}

static bool same_audit(const struct conf *a, const struct conf *b)
{
    return same_text(a->audit_origin, b->audit_origin) &&
           a->audit_rows == b->audit_rows &&
           a->audit_time_step_ms == b->audit_time_step_ms &&
           a->subject_search_ms == b->subject_search_ms && same_witnesses(a, b);
}

/* What only a restart can change: a reload that seemed to take it would be a
 * lie, so it takes nothing and names the key. */
static bool needs_restart(const struct conf *a, const struct conf *b,
                          struct buf *report)
{
    const struct {
        bool same;
        const char *key;
    } rows[] = {
        {same_listeners(a, b), "listen"},
        {same_listener(&a->admin, &b->admin), "admin"},
        {same_text(a->state_dir, b->state_dir), "state_dir"},
        {same_text(a->master_key_file, b->master_key_file), "master_key"},
        {same_text(a->optout_key_file, b->optout_key_file), "optout_key"},
        {same_text(a->signer_dir, b->signer_dir), "signer"},
        {same_text(a->optout_journal, b->optout_journal), "optout_journal"},
        {a->epoch_store == b->epoch_store &&
             same_text(a->epoch_runtime, b->epoch_runtime),
         "epoch_store"},
        {same_audit(a, b), "audit"},
        {a->workers == b->workers && a->forwarders == b->forwarders,
         "workers or forwarders"},
        {same_limits(a, b), "limits (other than spool and disk_free)"},
        {a->log_level == b->log_level && a->log_json == b->log_json, "log"},
    };
    bool needs = false;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].same)
            continue;
        buf_printf(report, "%s changed: that needs a restart\n", rows[i].key);
        needs = true;
    }
    return needs;
}

struct next {
    struct conf *conf;
    unsigned *conf_refs;
    struct policy **policies;
    uint64_t *indexes;
    struct tls_context *tls[CONF_LISTEN_MAX]; /* NULL: no TLS */
    struct tls_context *admin_tls;
};

static void next_free(struct next *n)
{
    for (unsigned i = 0; i < CONF_LISTEN_MAX; i++)
        tls_context_free(n->tls[i]);
    tls_context_free(n->admin_tls);
    if (n->conf != NULL)
        reload_free_policies(n->policies, n->conf->site_count);
    free(n->indexes);
    if (n->conf_refs != NULL &&
        __atomic_sub_fetch(n->conf_refs, 1, __ATOMIC_ACQ_REL) == 0) {
        conf_free(n->conf);
        free(n->conf_refs);
    } else if (n->conf_refs == NULL)
        conf_free(n->conf);
}

static enum status prepare(struct gateway *g, struct next *n,
                           struct buf *report)
{
    struct conf_complaint complaint;
    enum status st = conf_load(g->conf_path, &n->conf, &complaint);

    if (st != ST_OK) {
        buf_printf(report, "%s\n", complaint.text);
        return st;
    }
    n->conf_refs = calloc(1, sizeof(*n->conf_refs));
    n->indexes = calloc(n->conf->site_count, sizeof(*n->indexes));
    if (n->conf_refs == NULL || n->indexes == NULL)
        return ST_NOMEM;
    *n->conf_refs = 1;
    if (needs_restart(g->world->conf, n->conf, report))
        return ST_TYPE;
    st = reload_policies(n->conf, &n->policies, report);
    if (st == ST_OK && !reload_versions_hold(g, n->conf, n->policies, report))
        st = ST_TYPE;
    const char *id;
    for (unsigned i = 0; st == ST_OK && (id = state_site(g->state, i)) != NULL;
         i++)
        if (conf_find_site(n->conf, id) == NULL) {
            buf_printf(report,
                       "the site with id %s is gone from the config; `lethe "
                       "site retire` it first\n",
                       id);
            st = ST_TYPE;
        }
    return st;
}

/* Under the barrier: records first (loosening waits for them), then keys,
 * then the switch. */
static enum status carry_out(struct gateway *g, struct next *n,
                             struct buf *report)
{
    bool loosens = reload_loosens(g->world, n->conf, n->policies);
    struct world *next = NULL;
    struct world_news news;
    const struct world_parts parts = {
        .conf = n->conf,
        .conf_refs = n->conf_refs,
        .policies = n->policies,
        .policy_indexes = n->indexes,
        .versions = g->versions,
        .master = g->master,
        .epochs = g->epochs,
        .spool_keys = g->spool_keys,
        .now_ms = gateway_now(g),
    };

    supervisor_pause(g);
    enum status st = ST_OK;
    for (unsigned i = 0; st == ST_OK && i < n->conf->site_count; i++)
        st = state_enter_site(g->state, slice_of(n->conf->sites[i].id));
    if (st == ST_OK)
        st = reload_record_policies(g, n->conf, n->policies, g->world,
                                    "chg:reload", n->indexes);
    if (st == ST_OK && loosens) {
        st = gateway_wait_signed(g, n->indexes[n->conf->site_count - 1],
                                 GATEWAY_SIGN_WAIT_MS);
        if (st != ST_OK)
            buf_put(report, SLICE("the audit log is not being signed now, and "
                                  "what allows more waits for that\n"));
    }
    if (st == ST_OK) {
        pthread_mutex_lock(&g->epochs_lock);
        st = world_new(&parts, &next, &news);
        pthread_mutex_unlock(&g->epochs_lock);
    }
    if (st == ST_OK)
        st = reload_note_versions(g, n->conf, n->policies);
    if (st == ST_OK)
        st = supervisor_switch(g, next);
    if (st != ST_OK) {
        world_unref(next);
        supervisor_go_on(g);
        return st;
    }
    const struct journal_limits limits = {n->conf->limit_spool,
                                          n->conf->limit_disk_free};
    journal_set_limits(g->journal, &limits);
    return ST_OK;
}

static enum status load_certificate(const struct conf_listen *l,
                                    struct tls_context **out,
                                    struct buf *report)
{
    if (l->tls.certificate == NULL)
        return ST_OK;
    enum status st = tls_context_new(&l->tls, out);
    if (st != ST_OK)
        buf_printf(report,
                   "%s: the certificate or its key cannot be loaded; the old "
                   "ones stay, of every listener\n",
                   l->text);
    return st;
}

static enum status load_certificates(struct next *n, struct buf *report)
{
    const struct conf *c = n->conf;
    enum status st = load_certificate(&c->admin, &n->admin_tls, report);

    for (unsigned i = 0; st == ST_OK && i < c->listen_count; i++)
        st = load_certificate(&c->listen[i], &n->tls[i], report);
    return st;
}

/* The last step, which cannot fail. */
static void use_certificates(struct gateway *g, const struct next *n)
{
    if (g->admin != NULL && n->admin_tls != NULL)
        http_server_use_tls(g->admin, n->admin_tls);
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_use_tls(g->workers[i], n->tls);
}

enum status reload_all(struct gateway *g, const char *who, struct buf *report)
{
    struct next n = {0};
    enum status st = prepare(g, &n, report);

    if (st == ST_OK)
        st = load_certificates(&n, report);
    if (st == ST_OK)
        st = carry_out(g, &n, report);
    g->reload_ok = st == ST_OK;
    if (st == ST_OK) {
        use_certificates(g, &n);
        g->reloaded_ms = gateway_now(g);
        buf_printf(report, "reloaded: %u sites\n", g->world->site_count);
        (void)gateway_record(g, RECORD_CONFIG_LOAD, who, "chg:reload", false,
                             NULL, "{\"sites\":%u}", g->world->site_count);
        log_info(LOG_SERVE, "reloaded", LOG_NUM("sites", g->world->site_count));
    } else {
        buf_put(report, SLICE("the old config and policies stay in force\n"));
        (void)gateway_record(g, RECORD_POLICY_REJECT, who, "chg:reload", false,
                             NULL, "{}");
        log_warn(LOG_SERVE, "reload refused; the old config stays",
                 LOG_NAME("why", status_name(st)));
    }
    next_free(&n);
    return st;
}
