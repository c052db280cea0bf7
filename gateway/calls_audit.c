/* calls_audit.c - the log's own retention: what would go, and holds. */
#include "lethe/gateway/calls.h"

#include "lethe/policy/base/clock.h"

#include <stdio.h>
#include <string.h>

#define LIFT_WAIT_MS 5000 /* for a checkpoint, which comes each second */

static void time_words(int64_t ms, char out[TIME_TEXT_MAX])
{
    (void)time_format(ms, false, out);
}

/* ---- prune ----------------------------------------------------------------
 */

static void print_plan(const char *layer, const struct prune_plan *p,
                       struct buf *text)
{
    char cutoff[TIME_TEXT_MAX];

    time_words(p->cutoff_ms, cutoff);
    if (p->keep[0] == '\0') {
        buf_printf(text,
                   "%s: nothing goes: no policy in force in the log says how "
                   "long they are kept\n",
                   layer);
        return;
    }
    buf_printf(text, "%s: kept %s (policy.load %llu), older than %s; ", layer,
               p->keep, (unsigned long long)p->policy, cutoff);
    if (p->files > 0)
        buf_printf(text, "%u files would go: records %llu to %llu", p->files,
                   (unsigned long long)p->from, (unsigned long long)p->to - 1);
    else
        buf_put(text, SLICE("nothing is due"));
    buf_printf(text, "%s%s\n", p->held ? "; a hold keeps what follows" : "",
               p->by_policy ? "; the policy in force was loaded in what "
                              "follows: it is loaded again first"
                            : "");
}

void calls_print_plans(const struct prune_plan plans[PRUNE_LAYERS],
                       struct control_answer *out)
{
    for (unsigned i = 0; i < PRUNE_LAYERS; i++) {
        const struct prune_plan *p = &plans[i];
        const char *layer = prune_layer_name((enum prune_layer)i);
        char cutoff[TIME_TEXT_MAX], value[TIME_TEXT_MAX + 2] = "null";
        print_plan(layer, p, &out->text);
        time_words(p->cutoff_ms, cutoff);
        if (p->keep[0] != '\0')
            (void)snprintf(value, sizeof(value), "\"%s\"", cutoff);
        buf_printf(&out->data,
                   "%s{\"layer\":\"%s\",\"files\":%u,\"from\":%llu,\"to\":%llu,"
                   "\"keep\":\"%s\",\"cutoff\":%s,\"held\":%s}",
                   i == 0 ? "[" : ",", layer, p->files,
                   (unsigned long long)p->from, (unsigned long long)p->to,
                   p->keep, value, p->held ? "true" : "false");
    }
    buf_put_char(&out->data, ']');
}

void call_audit_prune(struct gateway *g, const struct control_call *call,
                      struct control_answer *out)
{
    const struct json_value *dry = json_get(call->args, "dry_run");
    struct prune_plan plans[PRUNE_LAYERS];
    enum status st = ST_OK;

    if (dry == NULL || !json_bool(dry)) {
        pruner_ask(g->pruner);
        buf_put(&out->text,
                SLICE("the audit log's retention has been asked to run; see "
                      "`lethe retention status`\n"));
        buf_put(&out->data, SLICE("{\"asked\":true}"));
        return;
    }
    for (unsigned i = 0; i < PRUNE_LAYERS && st == ST_OK; i++)
        st = pruner_plan(g->pruner, (enum prune_layer)i, &plans[i]);
    if (st == ST_OK)
        calls_print_plans(plans, out);
    else
        call_fail(out, 1, status_name(st), "the audit log cannot be read");
}

/* ---- holds ----------------------------------------------------------------
 */

void calls_print_holds(const struct audit_hold *list, unsigned count,
                       struct control_answer *out)
{
    buf_put_char(&out->data, '[');
    for (unsigned i = 0; i < count; i++) {
        const struct audit_hold *h = &list[i];
        char from[TIME_TEXT_MAX], set[TIME_TEXT_MAX], to[TIME_TEXT_MAX] = "";
        const char *quote = h->to_ms == HOLD_OPEN ? "" : "\"";
        time_words(h->from_ms, from);
        time_words(h->set_ms, set);
        if (h->to_ms != HOLD_OPEN)
            time_words(h->to_ms, to);
        buf_printf(&out->text, "%s from %s to %s, set %s, %s%s\n", h->id, from,
                   h->to_ms == HOLD_OPEN ? "further notice" : to, set, h->why,
                   h->lifted_index == UINT64_MAX ? ""
                                                 : ", lifted but not signed "
                                                   "yet");
        buf_printf(&out->data,
                   "%s{\"id\":\"%s\",\"from\":\"%s\",\"to\":%s%s%s,\"set\":"
                   "\"%s\",\"why\":\"%s\",\"lifted\":%s}",
                   i == 0 ? "" : ",", h->id, from, quote,
                   h->to_ms == HOLD_OPEN ? "null" : to, quote, set, h->why,
                   h->lifted_index == UINT64_MAX ? "false" : "true");
    }
    buf_put_char(&out->data, ']');
    if (count == 0)
        buf_put(&out->text, SLICE("no holds\n"));
}

void call_hold_list(struct gateway *g, const struct control_call *call,
                    struct control_answer *out)
{
    struct audit_hold list[AUDIT_HOLDS_MAX];

    (void)call;
    calls_print_holds(list, pruner_holds(g->pruner, list), out);
}

static bool read_time(const struct control_call *call, const char *name,
                      int64_t *out)
{
    const char *text = call_text(call, name);

    return text != NULL && time_parse(slice_of(text), out) == ST_OK;
}

static void fail_hold(struct control_answer *out, enum status st)
{
    if (st == ST_SYNTAX)
        call_fail(out, 3, "usage",
                  "the hold must end after it begins, and --why is a class and "
                  "a name, such as ticket:DPO-9");
    else if (st == ST_LIMIT)
        call_fail(out, 1, "limit", "64 holds stand already: lift one first");
    else
        call_fail(out, 1, status_name(st), "that could not be written down");
}

void call_hold_set(struct gateway *g, const struct control_call *call,
                   struct control_answer *out)
{
    const char *why = call_text(call, "why");
    int64_t from, to = HOLD_OPEN;
    char id[HOLD_ID_MAX];

    if (why == NULL || !read_time(call, "from", &from) ||
        (call_text(call, "to") != NULL && !read_time(call, "to", &to))) {
        call_fail(out, 3, "usage",
                  "a hold needs --from TIME and --why, such as ticket:DPO-9; "
                  "times are such as 2026-11-22T09:00:00Z");
        return;
    }
    enum status st = pruner_hold(g->pruner, call->who, why, from, to, id);
    if (st != ST_OK) {
        fail_hold(out, st);
        return;
    }
    buf_printf(&out->text, "held: %s\n", id);
    buf_printf(&out->data, "{\"id\":\"%s\"}", id);
}

void call_hold_lift(struct gateway *g, const struct control_call *call,
                    struct control_answer *out)
{
    const char *why = call_text(call, "why"), *id = call_text(call, "id");
    uint64_t index;

    if (why == NULL || id == NULL) {
        call_fail(out, 3, "usage",
                  "say which hold to lift, and --why, such as ticket:DPO-9");
        return;
    }
    enum status st = pruner_lift(g->pruner, call->who, why, id, &index);
    if (st == ST_UNKNOWN) {
        call_fail(out, 3, "no-hold", "no such hold stands");
        return;
    }
    if (st != ST_OK) {
        fail_hold(out, st);
        return;
    }
    if (audit_wait_signed(g->audit, index, LIFT_WAIT_MS) != ST_OK) {
        call_fail(out, 1, "not-signed",
                  "the lifting is written down, but not signed yet: the hold "
                  "stands until it is");
        return;
    }
    buf_printf(&out->text, "lifted: %s\n", id);
    buf_printf(&out->data, "{\"lifted\":\"%s\"}", id);
}

/* ---- retention status ------------------------------------------------------
 */

bool calls_put_audit_retention(struct gateway *g, bool first,
                               struct control_answer *out)
{
    bool late = false;

    for (unsigned i = 0; i < PRUNE_LAYERS; i++) {
        const char *layer = prune_layer_name((enum prune_layer)i);
        struct prune_facts f;
        char last[32] = "never", oldest[TIME_TEXT_MAX] = "none", over[32] = "";
        pruner_facts(g->pruner, (enum prune_layer)i, &f);
        if (f.last_run_ms > 0)
            call_age(gateway_now(g) - f.last_run_ms, last);
        if (f.oldest_ms > 0)
            time_words(f.oldest_ms, oldest);
        if (f.overdue_ms > 0)
            call_age(f.overdue_ms, over);
        late = late || f.overdue_ms > 0;
        buf_printf(&out->text,
                   "audit log, %s: last run %s%s, removed %llu files, oldest "
                   "%s%s%s%s%s\n",
                   layer, last, f.last_run_ms > 0 ? " ago" : "",
                   (unsigned long long)f.removed, oldest,
                   f.held ? ", held" : "",
                   f.waiting ? ", waits for a signed checkpoint" : "",
                   f.overdue_ms > 0 ? ", OVERDUE by " : "", over);
        buf_printf(
            &out->data,
            "%s{\"site\":null,\"destination\":null,\"purpose\":null,\"audit\":"
            "\"%s\",\"last_run_ms\":%lld,\"oldest_ms\":"
            "%lld,\"overdue_ms\":%lld,\"removed\":%llu,\"held\":%s,"
            "\"pending\":%s}",
            first && i == 0 ? "" : ",", layer, (long long)f.last_run_ms,
            (long long)f.oldest_ms, (long long)f.overdue_ms,
            (unsigned long long)f.removed, f.held ? "true" : "false",
            f.waiting ? "true" : "false");
    }
    return late;
}
