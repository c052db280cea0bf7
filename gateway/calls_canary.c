/* calls_canary.c - `lethe audit canary` on a running gateway: send, and later
 * write down what was found. */
#include "lethe/gateway/calls.h"
#include "lethe/gateway/canary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_DEFAULT 100u

/* args.<name> as a whole number up to `max`, or `other` if it is absent;
 * UINT_MAX where it is something else. */
static unsigned number_of(const struct control_call *call, const char *name,
                          unsigned max, unsigned other)
{
    const struct json_value *v = json_get(call->args, name);

    if (v == NULL)
        return other;
    if (json_kind_of(v) != JSON_KIND_NUMBER ||
        !(json_number(v) >= 0 && json_number(v) <= max) ||
        json_number(v) != (double)(unsigned)json_number(v))
        return UINT32_MAX;
    return (unsigned)json_number(v);
}

static void put_canary(const struct canary *c, struct buf *out)
{
    buf_printf(out,
               "{\"ev\":\"%016" PRIx64 "\",\"kind\":\"%s\",\"cleared\":%u,"
               "\"arrived\":%u,\"rule\":%u,\"stripped\":%s,\"event\":",
               c->ev, canary_kind_name(c->kind), c->cleared,
               (unsigned)c->arrived, c->rule, c->stripped ? "true" : "false");
    buf_put_json_string(out, c->event);
    buf_put_char(out, '}');
}

static void put_run(const struct world_site *s, const struct canary_run *run,
                    struct buf *out)
{
    char since[TIME_TEXT_MAX];

    (void)time_format(run->since_ms, true, since);
    buf_printf(out,
               "{\"site\":\"%s\",\"policy\":\"%s\",\"record\":%" PRIu64
               ",\"present\":%u,\"since\":\"%s\",\"canaries\":[",
               s->conf->name, s->policy->hash_text, s->policy_index, s->present,
               since);
    for (unsigned i = 0; i < run->count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        put_canary(&run->sent[i], out);
    }
    buf_put(out, SLICE("]}"));
}

static void say_why(enum status st, struct control_answer *out)
{
    call_fail(out, st == ST_BUSY ? 2 : 1, status_name(st),
              st == ST_BUSY     ? "the gateway takes no events at the moment"
              : st == ST_DENIED ? "audit.rows is not all: not every "
                                  "decision is written down"
                                : "the canaries could not be sent");
}

void call_audit_canary(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    const struct world_site *s = call_site(g, call, out);
    struct canary_run run = {
        .count = number_of(call, "count", CANARY_COUNT_MAX, COUNT_DEFAULT)};

    if (s == NULL)
        return;
    if (run.count == 0 || run.count > CANARY_COUNT_MAX) {
        call_fail(out, 3, "usage", "count is a number from 1 to 1000");
        return;
    }
    run.sent = calloc(run.count, sizeof(*run.sent));
    enum status st = run.sent == NULL ? ST_NOMEM : canary_send(g, s, &run);
    if (st == ST_OK) {
        (void)snprintf(g->canary_site, sizeof(g->canary_site), "%s",
                       s->conf->name);
        g->canary_sent = run.count;
        put_run(s, &run, &out->data);
    } else
        say_why(st, out);
    free(run.sent);
}

/* What `audit canary` found in the log. It is the officer's word; the log
 * itself shows whether it is so. */
void call_audit_canary_result(struct gateway *g,
                              const struct control_call *call,
                              struct control_answer *out)
{
    unsigned sent = g->canary_sent;
    unsigned proved = number_of(call, "proved", sent, UINT32_MAX);

    if (sent == 0 || proved > sent) {
        call_fail(out, 3, "usage", "no canaries are waiting for a result");
        return;
    }
    g->canary_sent = 0;
    enum status st = gateway_record(
        g, RECORD_CANARY_RUN, call->who, "ticket:canary", true, NULL,
        "{\"site\":\"%s\",\"sent\":%u,\"proved\":%u,\"failed\":%u}",
        g->canary_site, sent, proved, sent - proved);
    if (st != ST_OK)
        call_fail(out, 1, status_name(st), "the result cannot be recorded");
    else
        buf_put(&out->data, SLICE("{}"));
}
