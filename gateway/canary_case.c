/* canary_case.c - which events, and what is right for them. */
#include "lethe/gateway/canary.h"

#include "lethe/policy/base/clock.h"

#include <string.h>

#define UNKNOWN_EVENT "lethe canary, an event of no policy"

const char *canary_kind_name(enum canary_kind kind)
{
    static const char *const names[CANARY_KINDS] = {
        [CANARY_YES] = "yes",         [CANARY_NO] = "no",
        [CANARY_UNKNOWN] = "unknown", [CANARY_GPC] = "gpc",
        [CANARY_DNT] = "dnt",
    };

    return names[kind];
}

/* Does a signal close this purpose? */
static bool closed(enum signal_policy rule, const struct purpose_plan *purpose)
{
    return rule == SIGNAL_DENY ||
           (rule == SIGNAL_DENY_CONSENT && !purpose->exempt);
}

static bool is_open(const struct policy *p, const struct purpose_plan *purpose,
                    enum canary_kind kind)
{
    if (kind == CANARY_NO || kind == CANARY_UNKNOWN)
        return false;
    if ((kind == CANARY_GPC && closed(p->gpc, purpose)) ||
        (kind == CANARY_DNT && closed(p->dnt, purpose)))
        return false;
    /* The canary says yes by every name that an app may use. */
    return purpose->basis != BASIS_CONSENT || purpose->asserted ||
           purpose->app_count > 0;
}

/* Destinations that share an open purpose with the event. */
static uint16_t right_ones(const struct policy *p, const struct event_plan *e,
                           enum canary_kind kind, uint16_t present)
{
    uint16_t open = 0, cleared = 0;

    for (unsigned i = 0; i < p->purpose_count; i++)
        if (is_open(p, &p->purposes[i], kind))
            open = (uint16_t)(open | 1u << i);
    for (unsigned d = 0; d < p->destination_count; d++)
        if (((unsigned)present >> d & 1u) != 0 &&
            (e->purposes & p->destinations[d].purposes & open) != 0)
            cleared = (uint16_t)(cleared | 1u << d);
    return cleared;
}

/* Event `number` of those that the policy names letter by letter; NULL: it
 * names none. */
static const struct event_plan *pick(const struct policy *p, unsigned number)
{
    unsigned exact = 0;

    for (unsigned i = 0; i < p->event_count; i++)
        exact += p->events[i].match == MATCH_EXACT;
    if (exact == 0)
        return NULL;
    number %= exact;
    for (unsigned i = 0; i < p->event_count; i++)
        if (p->events[i].match == MATCH_EXACT && number-- == 0)
            return &p->events[i];
    return NULL;
}

void canary_make(const struct policy *p, uint16_t present, unsigned number,
                 struct canary *out)
{
    const struct event_plan *e = pick(p, number / CANARY_KINDS);

    memset(out, 0, sizeof(*out));
    out->kind = (enum canary_kind)(number % CANARY_KINDS);
    if (e == NULL || out->kind == CANARY_UNKNOWN) {
        out->kind = CANARY_UNKNOWN;
        out->event = SLICE(UNKNOWN_EVENT);
        e = policy_find_event(p, out->event); /* a policy may take all */
    } else
        out->event = e->name;
    if (e == NULL)
        return;
    if (out->kind != CANARY_UNKNOWN)
        out->cleared = right_ones(p, e, out->kind, present);
    out->rule = present == 0 ? 0 : e->number; /* nobody was asked */
    out->stripped = out->cleared != 0 && e->keys->wildcard < 0 &&
                    e->keys->prefix_count == 0;
}

/* Every name by which an app may open a purpose. */
static void put_consent(const struct policy *p, struct buf *out)
{
    bool first = true;

    buf_put_char(out, '{');
    for (unsigned i = 0; i < p->purpose_count; i++) {
        for (unsigned k = 0; k < p->purposes[i].app_count; k++) {
            if (!first)
                buf_put_char(out, ',');
            first = false;
            buf_put_json_string(out, p->purposes[i].app[k]);
            buf_put(out, SLICE(":true"));
        }
    }
    buf_put_char(out, '}');
}

void canary_put(const struct policy *p, const struct canary *c,
                const char *session, int64_t now_ms, struct buf *out)
{
    char t[TIME_TEXT_MAX];

    (void)time_format(now_ms, true, t);
    buf_printf(out,
               "{\"timestamp\":\"%s\",\"session_id\":\"%s\",\"action\":", t,
               session);
    buf_put_json_string(out, c->event);
    buf_printf(out,
               ",\"details\":{\"lethe_canary\":\"%s\"},\"consent\":", session);
    /* An unknown event stays out also of a policy that takes all of them. */
    if (c->kind == CANARY_NO || c->kind == CANARY_UNKNOWN)
        buf_put(out, SLICE("\"denied\""));
    else
        put_consent(p, out);
    buf_put_char(out, '}');
}
