#include "lethe/gateway/calls.h"

#include "lethe/audit_codes.h"
#include "lethe/gateway/sink/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACTS_MAX (CONF_SITES_MAX * CONF_DESTINATIONS_MAX)

/* ---- spool -------------------------------------------------------------- */

void call_spool_status(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    struct journal_facts facts;

    journal_facts(g->journal, &facts);
    buf_printf(&out->text, "journal: %llu segments, %.1f MiB in use\n",
               (unsigned long long)facts.segments,
               (double)facts.bytes_used / (1u << 20));
    buf_printf(&out->data,
               "{\"segments\":%llu,\"bytes\":%llu,\"outage_bytes\":%llu,"
               "\"destinations\":",
               (unsigned long long)facts.segments,
               (unsigned long long)facts.bytes_used,
               (unsigned long long)outage_bytes(g->outage));
    call_destination_list(g, call, out);
    buf_put_char(&out->data, '}');
}

/* Dead letters of one destination (or of all), without their content: cause,
 * status, age. */
void call_spool_dead(struct gateway *g, const struct control_call *call,
                     struct control_answer *out)
{
    bool first = true;
    struct buf sealed;

    (void)call;
    buf_init(&sealed, 32u << 20);
    buf_put_char(&out->data, '[');
    for (unsigned i = 0; i < g->world->site_count; i++)
        for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
            const struct world_destination *to = g->world->sites[i].to[d];
            struct outage_row row = {0};
            while (to != NULL && outage_next(g->outage, OUTAGE_DEAD, to->key,
                                             row.id, &row, &sealed) == ST_OK) {
                char age[32];
                call_age(gateway_now(g) - row.accepted_ms, age);
                buf_printf(&out->text, "%lld %s/%s %s status %d, %s old\n",
                           (long long)row.id, g->world->sites[i].conf->name,
                           to->conf->name, audit_reason_name(row.cause),
                           row.status, age);
                buf_printf(&out->data,
                           "%s{\"id\":%lld,\"site\":\"%s\",\"destination\":"
                           "\"%s\",\"cause\":\"%s\",\"status\":%d,"
                           "\"accepted_ms\":%lld,\"expires_ms\":%lld}",
                           first ? "" : ",", (long long)row.id,
                           g->world->sites[i].conf->name, to->conf->name,
                           audit_reason_name(row.cause), row.status,
                           (long long)row.accepted_ms,
                           (long long)row.expires_ms);
                first = false;
            }
        }
    buf_put_char(&out->data, ']');
    if (first)
        buf_put(&out->text, SLICE("no dead letters\n"));
    buf_free(&sealed);
}

static void done(struct gateway *g, const struct control_call *call,
                 struct control_answer *out, enum status st,
                 enum audit_record_act act, const struct world_destination *to,
                 uint64_t count)
{
    if (st != ST_OK) {
        call_fail(out, 1, status_name(st), "that could not be done");
        return;
    }
    (void)gateway_record(
        g, act, call->who, "chg:operator", false, NULL,
        "{\"site\":\"%s\",\"destination\":\"%s\",\"count\":%llu}",
        call_site(g, call, out)->conf->name, to->conf->name,
        (unsigned long long)count);
    buf_printf(&out->text, "%s: done, %llu events\n", to->conf->name,
               (unsigned long long)count);
    buf_printf(&out->data, "{\"destination\":\"%s\",\"count\":%llu}",
               to->conf->name, (unsigned long long)count);
}

void call_spool_replay(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    const struct world_destination *to = call_destination(g, call, out);
    uint64_t count = 0;

    if (to == NULL)
        return;
    enum status st = forward_replay(g->forward, to->key, &count);
    done(g, call, out, st, RECORD_DEAD_REPLAY, to, count);
}

void call_spool_purge(struct gateway *g, const struct control_call *call,
                      struct control_answer *out)
{
    const struct world_destination *to = call_destination(g, call, out);
    const struct json_value *dead = json_get(call->args, "dead");
    bool dead_only = dead != NULL && json_bool(dead);
    uint64_t count = 0;

    if (to == NULL)
        return;
    enum status st = forward_purge(g->forward, to->key, dead_only, &count);
    done(g, call, out, st, dead_only ? RECORD_DEAD_PURGE : RECORD_SPOOL_PURGE,
         to, count);
}

/* ---- destinations ------------------------------------------------------- */

static void pause_one(struct gateway *g, const struct control_call *call,
                      struct control_answer *out, bool paused)
{
    const struct world_destination *to = call_destination(g, call, out);

    if (to == NULL)
        return;
    enum status st = forward_pause(g->forward, to->key, paused);
    done(g, call, out, st,
         paused ? RECORD_DESTINATION_PAUSE : RECORD_DESTINATION_RESUME, to, 0);
}

void call_destination_pause(struct gateway *g, const struct control_call *call,
                            struct control_answer *out)
{
    pause_one(g, call, out, true);
}

void call_destination_resume(struct gateway *g, const struct control_call *call,
                             struct control_answer *out)
{
    pause_one(g, call, out, false);
}

void call_destination_test(struct gateway *g, const struct control_call *call,
                           struct control_answer *out)
{
    const struct world_destination *to = call_destination(g, call, out);
    struct probe_result result;

    if (to == NULL)
        return;
    probe_destination(to->conf, &result);
    out->exit = result.ok ? 0 : 1;
    buf_printf(&out->text, "%s: %s\n", to->conf->name, result.text);
    buf_printf(&out->data,
               "{\"destination\":\"%s\",\"ok\":%s,\"status\":%d,\"message\":",
               to->conf->name, result.ok ? "true" : "false", result.status);
    buf_put_json_string(&out->data, slice_of(result.text));
    buf_put_char(&out->data, '}');
}

/* ---- retention ---------------------------------------------------------- */

void call_retention_status(struct gateway *g, const struct control_call *call,
                           struct control_answer *out)
{
    struct retention_facts *facts = calloc(FACTS_MAX, sizeof(*facts));
    bool overdue = false;

    (void)call;
    if (facts == NULL) {
        call_fail(out, 1, "nomem", "out of memory");
        return;
    }
    unsigned n = forward_retention_list(g->forward, facts, FACTS_MAX);
    buf_put_char(&out->data, '[');
    for (unsigned i = 0; i < n; i++) {
        const struct retention_facts *f = &facts[i];
        const struct world_site *s = &g->world->sites[f->site_index];
        const char *name = s->to[f->destination_index]->conf->name;
        char last[32] = "never", late[32] = "";
        if (f->last_run_ms > 0)
            call_age(gateway_now(g) - f->last_run_ms, last);
        if (f->overdue_ms > 0)
            call_age(f->overdue_ms, late);
        overdue = overdue || f->overdue_ms > 0;
        buf_printf(&out->text,
                   "%s/%s purpose %s: last run %s ago, removed %llu%s%s%s\n",
                   s->conf->name, name, f->purpose, last,
                   (unsigned long long)f->removed,
                   f->pending ? ", pending: a reader holds the database" : "",
                   f->overdue_ms > 0 ? ", OVERDUE by " : "", late);
        buf_printf(&out->data,
                   "%s{\"site\":\"%s\",\"destination\":\"%s\",\"purpose\":"
                   "\"%s\",\"last_run_ms\":%lld,\"oldest_ms\":%lld,"
                   "\"overdue_ms\":%lld,\"removed\":%llu,\"pending\":%s}",
                   i == 0 ? "" : ",", s->conf->name, name, f->purpose,
                   (long long)f->last_run_ms, (long long)f->oldest_ms,
                   (long long)f->overdue_ms, (unsigned long long)f->removed,
                   f->pending ? "true" : "false");
    }
    if (calls_put_audit_retention(g, n == 0, out))
        overdue = true;
    buf_put_char(&out->data, ']');
    out->exit = overdue ? 1 : 0;
    free(facts);
}

void call_retention_run(struct gateway *g, const struct control_call *call,
                        struct control_answer *out)
{
    (void)call;
    forward_retention_run(g->forward);
    pruner_ask(g->pruner);
    buf_put(&out->text, SLICE("retention has been asked to run; see `lethe "
                              "retention status`\n"));
    buf_put(&out->data, SLICE("{\"asked\":true}"));
}
