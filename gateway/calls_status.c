#include "lethe/gateway/calls.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/metrics.h"
#include "lethe/gateway/rights/register.h"
#include "lethe/gateway/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define FACTS_MAX (CONF_SITES_MAX * CONF_DESTINATIONS_MAX)

static void put_sites(const struct gateway *g, struct control_answer *out)
{
    buf_put(&out->data, SLICE(",\"sites\":["));
    for (unsigned i = 0; i < g->world->site_count; i++) {
        const struct world_site *s = &g->world->sites[i];
        buf_printf(&out->text, "site %s: policy %.*s version %.*s (%.16s)\n",
                   s->conf->name, SLICE_ARG(s->policy->name),
                   SLICE_ARG(s->policy->version), s->policy->hash_text);
        buf_printf(&out->data,
                   "%s{\"name\":\"%s\",\"id\":\"%s\",\"hash\":\"%s\"}",
                   i == 0 ? "" : ",", s->conf->name, s->conf->id,
                   s->policy->hash_text);
    }
    buf_put_char(&out->data, ']');
}

/* How many events a destination was denied for want of consent, if it has
 * never been allowed any: more likely a policy that nobody can say yes to than
 * people who all say no. */
static uint64_t never_a_yes(const struct forward_facts *f)
{
    unsigned site = f->site_index, d = f->destination_index;

    if (metrics_event_count(site, d, OUTCOME_CLEARED, REASON_NONE) > 0)
        return 0;
    return metrics_event_count(site, d, OUTCOME_DROPPED, REASON_NO_CONSENT);
}

static void put_destination(const struct gateway *g,
                            const struct forward_facts *f, bool first,
                            struct control_answer *out)
{
    const struct world_site *s = &g->world->sites[f->site_index];
    const struct conf_destination *c = s->to[f->destination_index]->conf;
    const char *state = f->held      ? "held"
                        : f->paused  ? "paused"
                        : f->failing ? "failing"
                                     : "ok";
    char age[32] = "-";

    if (f->waiting > 0 && f->oldest_ms > 0)
        call_age(gateway_now(g) - f->oldest_ms, age);
    buf_printf(&out->text,
               "  %-12s %-8s %-8s waiting %llu (oldest %s), accepted %llu, "
               "dead %llu\n",
               c->name, destination_type_name(c->type), state,
               (unsigned long long)f->waiting, age,
               (unsigned long long)f->accepted, (unsigned long long)f->dead);
    uint64_t no_yes = never_a_yes(f);
    if (no_yes > 0)
        buf_printf(&out->text,
                   "    nothing goes there: all %llu events since the start "
                   "lacked the consent that its purposes rest on\n",
                   (unsigned long long)no_yes);
    buf_printf(&out->data,
               "%s{\"site\":\"%s\",\"name\":\"%s\",\"type\":\"%s\","
               "\"state\":\"%s\",\"last_status\":%d,\"only_no_consent\":%llu,"
               "\"cleared\":%llu,"
               "\"accepted\":%llu,\"refused\":%llu,\"swept\":%llu,"
               "\"expired\":%llu,\"purged\":%llu,\"dead\":%llu,"
               "\"waiting\":%llu,\"waiting_bytes\":%llu,\"oldest_ms\":%lld}",
               first ? "" : ",", s->conf->name, c->name,
               destination_type_name(c->type), state, f->last_status,
               (unsigned long long)no_yes, (unsigned long long)f->cleared,
               (unsigned long long)f->accepted, (unsigned long long)f->refused,
               (unsigned long long)f->swept, (unsigned long long)f->expired,
               (unsigned long long)f->purged, (unsigned long long)f->dead,
               (unsigned long long)f->waiting,
               (unsigned long long)f->waiting_bytes, (long long)f->oldest_ms);
}

void call_destination_list(struct gateway *g, const struct control_call *call,
                           struct control_answer *out)
{
    struct forward_facts *facts = calloc(FACTS_MAX, sizeof(*facts));

    (void)call;
    if (facts == NULL) {
        call_fail(out, 1, "nomem", "out of memory");
        return;
    }
    unsigned n = forward_list(g->forward, facts, FACTS_MAX);
    buf_put(&out->data, SLICE("["));
    for (unsigned i = 0; i < n; i++)
        put_destination(g, &facts[i], i == 0, out);
    buf_put(&out->data, SLICE("]"));
    free(facts);
}

/* Days until the disk is full at the rate since the start. */
static void put_forecast(const struct gateway *g, struct control_answer *out)
{
    struct statvfs fs;
    struct journal_facts journal;
    uint64_t rows = 0, records = 0;
    double days = (double)(gateway_now(g) - g->started_ms) / (double)MS_PER_DAY;

    if (statvfs(g->world->conf->state_dir, &fs) != 0 || days <= 0)
        return;
    audit_bytes(g->audit, &rows, &records);
    journal_facts(g->journal, &journal);
    double daily = (double)(rows + records) / days;
    double free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    double left = daily > 0 ? free_bytes / daily : -1;
    buf_printf(&out->text,
               "disk: %.1f GiB free; journal %.1f MiB in use; audit rows and "
               "records %.1f MiB a day at the present rate",
               free_bytes / (1u << 30), (double)journal.bytes_used / (1u << 20),
               daily / (1u << 20));
    if (left >= 0 && left < 3650)
        buf_printf(&out->text, ": full in %.0f days", left);
    buf_put_char(&out->text, '\n');
    buf_printf(&out->data,
               ",\"disk\":{\"free_bytes\":%.0f,\"journal_bytes\":%llu,"
               "\"audit_bytes_a_day\":%.0f,\"days_left\":%.0f}",
               free_bytes, (unsigned long long)journal.bytes_used, daily, left);
}

static void put_parts(const struct gateway *g, struct control_answer *out)
{
    enum optout_health health = optout_health_of(g->optouts);
    const char *place = epoch_place_name(epochs_place(g->epochs));

    buf_printf(&out->text,
               "opt-outs: %llu in force, list %s\nepochs: kept in %s%s\n"
               "audit: %lld ms behind, %llu records signed, %lld s ago\n"
               "commit: median sync %lld us\n",
               (unsigned long long)optout_count(g->optouts),
               optout_health_name(health), place,
               epochs_place(g->epochs) == EPOCH_IN_MEMORY
                   ? " (a restart begins new ones)"
                   : "",
               (long long)audit_lag_ms(g->audit),
               (unsigned long long)audit_signed_size(g->audit),
               (long long)(audit_signed_age_ms(g->audit) / MS_PER_S),
               (long long)commit_sync_p50_us(g->commit));
    buf_printf(&out->data,
               ",\"optouts\":%llu,\"optout_list\":\"%s\",\"epoch_store\":"
               "\"%s\",\"audit_lag_ms\":%lld,\"signed\":%llu,"
               "\"signed_age_ms\":%lld,\"sync_p50_us\":%lld,"
               "\"reload_ok\":%s",
               (unsigned long long)optout_count(g->optouts),
               optout_health_name(health), place,
               (long long)audit_lag_ms(g->audit),
               (unsigned long long)audit_signed_size(g->audit),
               (long long)audit_signed_age_ms(g->audit),
               (long long)commit_sync_p50_us(g->commit),
               g->reload_ok ? "true" : "false");
    if (!g->reload_ok)
        buf_put(&out->text, SLICE("the last reload was refused; the old "
                                  "config is in force\n"));
}

/* Who else remembers what the log says, and whether they object. */
static void put_witnesses(struct gateway *g, struct control_answer *out)
{
    struct witness_facts facts[CONF_WITNESSES_MAX];
    unsigned n = witnesses_facts(g->witnesses, facts, CONF_WITNESSES_MAX);

    buf_put(&out->data, SLICE(",\"witnesses\":["));
    for (unsigned i = 0; i < n; i++) {
        const struct witness_facts *f = &facts[i];
        char age[32] = "";
        buf_printf(&out->text, "witness %s: %s", f->name,
                   witness_state_name(f->state));
        if (f->state > WITNESS_COSIGNS && f->status > 0)
            buf_printf(&out->text, " (status %d)", f->status);
        if (f->signed_ms > 0)
            call_age(gateway_now(g) - f->signed_ms, age);
        if (f->signed_ms > 0)
            buf_printf(&out->text, "; %llu records cosigned %s ago",
                       (unsigned long long)f->size, age);
        buf_put_char(&out->text, '\n');
        buf_printf(&out->data,
                   "%s{\"name\":\"%s\",\"state\":\"%s\",\"status\":%d,"
                   "\"size\":%llu,\"signed_ms\":%lld,\"cosigned\":%llu,"
                   "\"failed\":%llu}",
                   i == 0 ? "" : ",", f->name, witness_state_name(f->state),
                   f->status, (unsigned long long)f->size,
                   (long long)f->signed_ms, (unsigned long long)f->cosigned,
                   (unsigned long long)f->failed);
    }
    buf_put_char(&out->data, ']');
}

/* Requests that wait for an answer of the officer's (R44). True: one is late.
 */
static bool put_requests(const struct gateway *g, struct control_answer *out)
{
    struct register_facts f = {0};

    if (register_count(g->requests, gateway_now(g), &f) != ST_OK) {
        buf_put(&out->text, SLICE("requests: the register cannot be read\n"));
        return true;
    }
    buf_printf(&out->text,
               "requests: %llu open, %llu due within a week, %llu overdue\n",
               (unsigned long long)f.open, (unsigned long long)f.soon,
               (unsigned long long)f.overdue);
    buf_printf(&out->data,
               ",\"requests\":{\"open\":%llu,\"soon\":%llu,\"overdue\":%llu}",
               (unsigned long long)f.open, (unsigned long long)f.soon,
               (unsigned long long)f.overdue);
    return f.overdue > 0;
}

void call_status(struct gateway *g, const struct control_call *call,
                 struct control_answer *out)
{
    const char *why;
    bool ready = gateway_is_ready(g, &why);
    char up[32];

    call_age(gateway_now(g) - g->started_ms, up);
    buf_printf(&out->text, "lethe %s, up %s, %s\n", LETHE_VERSION, up, why);
    buf_printf(&out->data,
               "{\"version\":\"%s\",\"started_ms\":%lld,\"ready\":%s,"
               "\"state\":\"%s\"",
               LETHE_VERSION, (long long)g->started_ms,
               ready ? "true" : "false", why);
    put_sites(g, out);
    buf_put(&out->data, SLICE(",\"destinations\":"));
    call_destination_list(g, call, out);
    put_parts(g, out);
    put_witnesses(g, out);
    bool late = put_requests(g, out);
    put_forecast(g, out);
    buf_put_char(&out->data, '}');
    out->exit = ready && !late ? 0 : 1;
}

void call_reload(struct gateway *g, const struct control_call *call,
                 struct control_answer *out)
{
    enum status st = reload_all(g, call->who, &out->text);

    buf_printf(&out->data,
               "{\"reloaded\":%s,\"message\":", st == ST_OK ? "true" : "false");
    buf_put_json_string(&out->data, buf_slice(&out->text));
    buf_put_char(&out->data, '}');
    out->exit = st == ST_OK ? 0 : 1;
}
