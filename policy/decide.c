/* decide.c - deny by default; every way out of here but one is a reason. */
#include "lethe/policy/decide.h"

#include "lethe/policy/hit.h"

#include <assert.h>

static const struct slice PROFILE_UPDATE = SLICE_INIT("profile_update");

/* Profile calls carry who somebody is; a wildcard was not written with them
 * in mind, so only an event of that very name may let them through. */
static bool is_stray_profile(const struct event_plan *event, struct slice name)
{
    return slice_eq(name, PROFILE_UPDATE) &&
           (event == NULL || event->match != MATCH_EXACT);
}

static bool has_identifier(const struct hit *h)
{
    for (unsigned i = 0; i < h->identifier_count; i++) {
        if (h->identifiers[i].exact.len > 0)
            return true;
    }
    return false;
}

/* The reason that denies the event as a whole, before any destination. */
static enum audit_reason whole_reason(const struct policy *p,
                                      const struct hit *h,
                                      const struct event_plan *event)
{
    if (is_stray_profile(event, h->name))
        return REASON_PROFILE_UPDATE;
    if (event == NULL)
        return REASON_UNKNOWN_EVENT;
    if (h->too_many_identifiers)
        return REASON_TOO_MANY_IDENTIFIERS;
    if (!p->unidentified_allow && !has_identifier(h))
        return REASON_UNIDENTIFIED;
    return REASON_NONE;
}

/* Nearly every hit is minutes old and every retention months: a bound that is
 * certainly too short spares the calendar. No month is under 28 days. */
static bool is_late(const struct hit *h, struct duration keep, int64_t now_ms)
{
    int64_t least = keep.months * 28 * MS_PER_DAY + keep.ms;
    int64_t when = h->time_ms < 0 ? 0 : h->time_ms;

    if (!h->has_time || when >= now_ms - least)
        return false;
    return duration_after(when, keep) < now_ms;
}

static void deny(struct destination_verdict *to, enum audit_reason reason,
                 uint16_t rule)
{
    to->cleared = false;
    to->purpose = 0;
    to->reason = (uint8_t)reason;
    to->rule = rule;
}

/* The first allowed purpose in the destination's own order; else the reason
 * of the first that event and destination share. */
static void decide_one(const struct policy *p, const struct event_plan *event,
                       const struct hit *h, const struct consent *c, unsigned d,
                       int64_t now_ms, struct destination_verdict *to)
{
    const struct destination_plan *dest = &p->destinations[d];
    uint16_t common = event->to[d].purposes;
    enum audit_reason first = REASON_NO_PURPOSE;

    for (unsigned i = 0; i < dest->purpose_count; i++) {
        unsigned purpose = dest->purpose_order[i];
        enum audit_reason reason;

        assert(purpose < POLICY_PURPOSES_MAX);
        if (((unsigned)common >> purpose & 1u) == 0)
            continue;
        reason = (enum audit_reason)c->reason[purpose];
        if (((unsigned)c->not_to[d] >> purpose & 1u) != 0) {
            reason = REASON_TCF;
        } else if (((unsigned)c->allowed >> purpose & 1u) != 0) {
            if (!is_late(h, p->purposes[purpose].retention, now_ms)) {
                *to = (struct destination_verdict){true, (uint8_t)purpose,
                                                   REASON_NONE, event->number};
                return;
            }
            reason = REASON_LATE;
        }
        if (first == REASON_NO_PURPOSE)
            first = reason;
    }
    deny(to, first, event->number);
}

void decide(const struct policy *p, const struct hit *h,
            const struct consent *c, uint16_t present, int64_t now_ms,
            struct verdict *out)
{
    const struct event_plan *event = policy_find_event(p, h->name);
    enum audit_reason whole = whole_reason(p, h, event);
    uint16_t rule = event == NULL ? 0 : event->number;

    out->event = event;
    out->cleared = 0;
    for (unsigned d = 0; d < p->destination_count; d++) {
        struct destination_verdict *to = &out->to[d];

        if (((unsigned)present >> d & 1u) == 0)
            deny(to, REASON_NO_DESTINATION, rule);
        else if (whole != REASON_NONE)
            deny(to, whole, rule);
        else
            decide_one(p, event, h, c, d, now_ms, to);
        if (to->cleared)
            out->cleared |= (uint16_t)(1u << d);
    }
}
