/* consent.c - the strictest signal wins, and gives the reason (R70). The order
 * of the checks below is the order in which reasons are named; it cannot make
 * a purpose allowed that a later check would deny. */
#include "lethe/policy/consent.h"

#include "lethe/policy/hit.h"
#include "lethe/policy/json_reader.h"

#include <assert.h>

static enum audit_reason optout_reason(enum optout_state optout)
{
    switch (optout) {
    case OPTOUT_NONE:
        return REASON_NONE;
    case OPTOUT_LISTED:
        return REASON_OPTED_OUT;
    case OPTOUT_THEN:
        return REASON_OPTED_OUT_THEN;
    case OPTOUT_BY_COOKIE:
        return REASON_OPTOUT_COOKIE;
    case OPTOUT_CANNOT_TELL:
        break;
    }
    return REASON_OPTOUT_UNREADABLE;
}

enum answer { SAID_NOTHING, SAID_YES, SAID_NO };

/* null says nothing; whatever is neither true nor null is malformed and
 * cannot open anything: it counts as a no. */
static enum answer read_answer(const struct json_node *n)
{
    if (n->type == JSON_TRUE)
        return SAID_YES;
    return n->type == JSON_NULL ? SAID_NOTHING : SAID_NO;
}

static bool listed(const struct purpose_plan *purpose, struct slice name)
{
    for (unsigned i = 0; i < purpose->app_count; i++) {
        if (slice_eq(purpose->app[i], name))
            return true;
    }
    return false;
}

/* What the event's own consent object says of one purpose. A purpose's own
 * name can always refuse it; only a listed name can open it (law 9). */
static enum answer app_answer(const struct purpose_plan *purpose,
                              const struct json_node *app)
{
    enum answer best = SAID_NOTHING;

    if (app == NULL || app->type != JSON_OBJECT)
        return SAID_NOTHING;
    for (const struct json_node *n = json_first(app); n != NULL;
         n = json_next(app, n)) {
        bool own = listed(purpose, n->key);
        enum answer said = SAID_NOTHING;

        if (own || slice_eq(purpose->name, n->key))
            said = read_answer(n);
        if (said == SAID_NO)
            return SAID_NO;
        if (said == SAID_YES && own)
            best = SAID_YES;
    }
    return best;
}

static enum answer type_answer(const struct consent_mode *m,
                               enum consent_type type)
{
    switch ((enum consent_said)m->said[type]) {
    case CONSENT_GRANTED:
        return SAID_YES;
    case CONSENT_UNSET:
        return SAID_NOTHING;
    case CONSENT_UNKNOWN:
    case CONSENT_DENIED:
        break;
    }
    return SAID_NO;
}

/* What consent mode says of one purpose: a yes of every storage it is mapped
 * to is a yes, and any no is a no. A purpose that is mapped to none is
 * analytics: its no counts, its yes opens nothing (law 9, R65). */
static enum answer mode_answer(const struct purpose_plan *purpose,
                               const struct consent_mode *m)
{
    bool ads = purpose->consent_mode_ads;
    bool analytics = purpose->consent_mode_analytics || !ads;
    enum answer a = type_answer(m, CONSENT_ANALYTICS_STORAGE);
    enum answer s = type_answer(m, CONSENT_AD_STORAGE);

    if ((analytics && a == SAID_NO) ||
        (ads &&
         (s == SAID_NO || type_answer(m, CONSENT_AD_USER_DATA) == SAID_NO ||
          type_answer(m, CONSENT_AD_PERSONALIZATION) == SAID_NO)))
        return SAID_NO;
    if ((purpose->consent_mode_analytics && a != SAID_YES) ||
        (ads && s != SAID_YES) || (!purpose->consent_mode_analytics && !ads))
        return SAID_NOTHING;
    return SAID_YES;
}

static bool signal_denies(bool sent, enum signal_policy rule,
                          const struct purpose_plan *purpose)
{
    if (!sent || rule == SIGNAL_IGNORE)
        return false;
    return rule == SIGNAL_DENY || !purpose->exempt;
}

static enum audit_reason why_denied(const struct policy *p,
                                    const struct purpose_plan *purpose,
                                    const struct consent_signals *s)
{
    enum answer app = app_answer(purpose, s->app), mode = SAID_NOTHING;

    if (p->enforce_consent_mode)
        mode = mode_answer(purpose, &s->mode);
    if (s->denied)
        return REASON_CONSENT_DENIED;
    if (app == SAID_NO)
        return REASON_APP_DENIED;
    if (signal_denies(s->gpc, p->gpc, purpose))
        return REASON_GPC;
    if (signal_denies(s->dnt, p->dnt, purpose))
        return REASON_DNT;
    /* Cookieless pings still say much of a person: nothing of them goes on. */
    if (p->enforce_consent_mode &&
        (s->mode.cookieless ||
         (purpose->basis == BASIS_CONSENT && mode == SAID_NO)))
        return REASON_CONSENT_MODE;
    if (purpose->basis == BASIS_CONSENT && app != SAID_YES &&
        mode != SAID_YES && !purpose->asserted)
        return REASON_NO_CONSENT;
    return REASON_NONE;
}

static bool property_says_yes(const struct json_node *fields, struct slice path)
{
    const struct json_node *n;

    if (path.len == 0 || fields == NULL)
        return false;
    n = json_at_path(fields, path);
    if (n == NULL)
        return false;
    if (n->type == JSON_STRING || n->type == JSON_NUMBER)
        return slice_eq(n->text, SLICE("1")) ||
               slice_eq(n->text, SLICE("true"));
    return n->type == JSON_TRUE;
}

void consent_read_properties(const struct policy *p,
                             const struct json_node *fields,
                             struct consent_signals *io)
{
    io->gpc |= property_says_yes(fields, p->gpc_property);
    io->dnt |= property_says_yes(fields, p->dnt_property);
}

void consent_decide(const struct policy *p, const struct consent_signals *s,
                    enum optout_state optout, struct consent *out)
{
    enum audit_reason out_of_all = optout_reason(optout);

    assert(p->purpose_count <= POLICY_PURPOSES_MAX);
    *out = (struct consent){0};
    for (unsigned i = 0; i < p->purpose_count; i++) {
        enum audit_reason reason = out_of_all;

        if (reason == REASON_NONE)
            reason = why_denied(p, &p->purposes[i], s);
        out->reason[i] = (uint8_t)reason;
        if (reason == REASON_NONE)
            out->allowed |= (uint16_t)(1u << i);
    }
}
