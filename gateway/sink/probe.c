#include "lethe/gateway/sink/probe.h"

#include "lethe/gateway/sink/sink.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

struct waiting {
    struct event_base *base;
    struct net_outcome outcome;
    bool done;
};

static void on_done(void *ctx, struct net_transfer *t,
                    const struct net_outcome *outcome)
{
    struct waiting *w = ctx;

    (void)t;
    w->outcome = *outcome;
    w->done = true;
    (void)event_base_loopbreak(w->base);
}

/* /import answers 400 to an empty batch, and 401 where it does not know the
 * token: a refusal is what one hopes for. */
static bool is_reached(const struct conf_destination *d,
                       const struct net_outcome *o)
{
    bool import = d->type == DESTINATION_MIXPANEL && d->api == MIXPANEL_IMPORT;

    return o->result == NET_ACCEPTED || (import && o->status == 400);
}

static const char *outcome_words(const struct conf_destination *d,
                                 const struct net_outcome *o)
{
    bool ga4 = d->type == DESTINATION_GA4;

    if (o->result == NET_TLS_FAILED)
        return "its certificate or name cannot be verified; nothing was sent";
    if (o->status == 401 || o->status == 403)
        return "it does not accept our token";
    if (o->result == NET_RETRY)
        return "no answer, or an answer that means: later";
    if (is_reached(d, o))
        return ga4 ? "the validation address found nothing wrong; it keeps "
                     "nothing"
                   : "an empty batch was accepted by transport";
    return ga4 ? "the validation address found faults"
               : "an empty batch was refused";
}

static void say_outcome(const struct conf_destination *d,
                        const struct net_outcome *o, struct probe_result *out)
{
    out->ok = is_reached(d, o);
    out->status = o->status;
    (void)snprintf(out->text, sizeof(out->text), "%s (status %d)",
                   outcome_words(d, o), o->status);
}

/* The transfer's own timeout bounds the loop. */
static bool send_empty(struct event_base *base,
                       const struct conf_destination *d, struct waiting *w)
{
    struct net_loop *loop = NULL;
    struct net_sink *sink = NULL;
    struct net_transfer *t = NULL;
    bool sent = net_loop_open(base, &loop) == ST_OK &&
                net_sink_open(loop, d, true, &sink) == ST_OK &&
                net_send(sink, NULL, 0, false, on_done, w, &t) == ST_OK;

    while (sent && !w->done)
        (void)event_base_loop(base, EVLOOP_ONCE);
    if (sink != NULL)
        net_sink_close(sink);
    if (loop != NULL)
        net_loop_close(loop);
    return sent;
}

static void probe_net(const struct conf_destination *d,
                      struct probe_result *out)
{
    struct waiting w = {.base = event_base_new()};

    if (w.base != NULL && send_empty(w.base, d, &w))
        say_outcome(d, &w.outcome, out);
    if (w.base != NULL)
        event_base_free(w.base);
}

static void say_file(enum status st, struct probe_result *out)
{
    out->ok = st == ST_OK;
    out->status = st == ST_OK ? 0 : errno;
    (void)snprintf(out->text, sizeof(out->text), "%s",
                   st == ST_OK ? "it can be opened for writing"
                               : status_name(st));
}

/* The folder is what matters: files come and go with the day. */
static void probe_jsonl(const struct conf_destination *d,
                        struct probe_result *out)
{
    uint64_t files, bytes;
    int64_t oldest;

    say_file(jsonl_expire(d->path, "probe", 0, &files, &bytes, &oldest), out);
}

static void probe_sqlite(const struct conf_destination *d,
                         struct probe_result *out)
{
    struct sqlite_sink *s = NULL;
    enum status st = sqlite_sink_open(d, &s);

    say_file(st, out);
    if (st == ST_OK)
        sqlite_sink_close(s);
}

void probe_destination(const struct conf_destination *d,
                       struct probe_result *out)
{
    *out = (struct probe_result){.text = "it cannot be tried"};
    switch (d->type) {
    case DESTINATION_JSONL:
        probe_jsonl(d, out);
        break;
    case DESTINATION_SQLITE:
        probe_sqlite(d, out);
        break;
    case DESTINATION_HTTP:
    case DESTINATION_MIXPANEL:
    case DESTINATION_GA4:
    case DESTINATION_TYPE_COUNT:
    default:
        probe_net(d, out);
        break;
    }
}
