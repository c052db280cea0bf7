/* consent.c - the strictest signal wins, and gives the reason (R70). The order
 * of the checks below is the order in which reasons are named; it cannot make
 * a purpose allowed that a later check would deny. */
#include "lethe/policy/consent.h"

#include "consent_tcf.h"
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

/* What one object name -> bool says of one purpose. A purpose's own name can
 * always refuse it; only a listed name can open it (law 9). */
static enum answer object_answer(const struct purpose_plan *purpose,
                                 const struct json_node *object)
{
    enum answer best = SAID_NOTHING;

    if (object == NULL || object->type != JSON_OBJECT)
        return SAID_NOTHING;
    for (const struct json_node *n = json_first(object); n != NULL;
         n = json_next(object, n)) {
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

/* Whether a list of category ids (NULL: none) names the purpose; `own` too, by
 * the purpose's own name. */
static bool names_purpose(const struct purpose_plan *purpose,
                          const struct json_node *ids, bool own)
{
    const struct json_node *n = ids == NULL ? NULL : json_first(ids);

    for (; n != NULL; n = json_next(ids, n))
        if (listed(purpose, n->text) ||
            (own && slice_eq(purpose->name, n->text)))
            return true;
    return false;
}

/* What the app says, and the consent tool of its SDK: one set of names. */
static enum answer app_answer(const struct purpose_plan *purpose,
                              const struct consent_signals *s)
{
    enum answer app = object_answer(purpose, s->app);
    enum answer categories = object_answer(purpose, s->categories);

    if (app == SAID_NO || categories == SAID_NO ||
        names_purpose(purpose, s->denied_ids, true))
        return SAID_NO;
    if (app == SAID_YES || categories == SAID_YES ||
        names_purpose(purpose, s->allowed_ids, false))
        return SAID_YES;
    return SAID_NOTHING;
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

/* What is asked once for all purposes. */
struct case_file {
    const struct policy *p;
    const struct consent_signals *s;
    struct tcf_answer tcf;
};

static enum audit_reason signal_reason(const struct case_file *c,
                                       const struct purpose_plan *purpose)
{
    const struct consent_signals *s = c->s;

    if (signal_denies(s->gpc, c->p->gpc, purpose))
        return REASON_GPC;
    if (signal_denies(s->dnt, c->p->dnt, purpose))
        return REASON_DNT;
    if (signal_denies(s->other, SIGNAL_DENY, purpose) ||
        signal_denies(s->other_own, SIGNAL_DENY_CONSENT, purpose))
        return REASON_SIGNAL;
    return REASON_NONE;
}

static enum audit_reason why_denied(const struct case_file *c, unsigned i)
{
    const struct purpose_plan *purpose = &c->p->purposes[i];
    const struct consent_signals *s = c->s;
    enum answer app = app_answer(purpose, s), mode = SAID_NOTHING;
    bool needs_yes = purpose->basis == BASIS_CONSENT;

    if (c->p->enforce_consent_mode)
        mode = mode_answer(purpose, &s->mode);
    if (s->denied)
        return REASON_CONSENT_DENIED;
    if (app == SAID_NO)
        return REASON_APP_DENIED;
    enum audit_reason reason = signal_reason(c, purpose);
    if (reason != REASON_NONE)
        return reason;
    /* Cookieless pings still say much of a person: nothing of them goes on. */
    if (c->p->enforce_consent_mode &&
        (s->mode.cookieless || (needs_yes && mode == SAID_NO)))
        return REASON_CONSENT_MODE;
    if (((unsigned)c->tcf.no >> i & 1u) != 0)
        return REASON_TCF;
    if (needs_yes && app != SAID_YES && mode != SAID_YES &&
        ((unsigned)c->tcf.yes >> i & 1u) == 0 && !purpose->asserted)
        return REASON_NO_CONSENT;
    return REASON_NONE;
}

static bool says_anything(const struct consent_mode *m)
{
    bool any = m->cookieless;

    for (unsigned i = 0; i < CONSENT_TYPE_COUNT; i++)
        any |= m->said[i] != CONSENT_UNSET;
    return any;
}

static uint8_t what_was_heard(const struct consent_signals *s,
                              enum optout_state optout)
{
    bool app = s->app != NULL || s->categories != NULL ||
               s->allowed_ids != NULL || s->denied_ids != NULL;
    unsigned heard = 0;

    heard |= app ? HEARD_APP : 0;
    heard |= says_anything(&s->mode) ? HEARD_MODE : 0;
    heard |= s->tcf.len > 0 || s->tcf_unclear ? HEARD_TCF : 0;
    heard |= s->denied ? HEARD_DENIED : 0;
    heard |= s->gpc ? HEARD_GPC : 0;
    heard |= s->dnt ? HEARD_DNT : 0;
    heard |= s->other || s->other_own ? HEARD_SIGNAL : 0;
    heard |= optout != OPTOUT_NONE ? HEARD_OPTOUT : 0;
    return (uint8_t)heard;
}

void consent_decide(const struct policy *p, const struct consent_signals *s,
                    int64_t now_ms, enum optout_state optout,
                    struct consent *out)
{
    enum audit_reason out_of_all = optout_reason(optout);
    struct case_file c = {.p = p, .s = s};

    assert(p->purpose_count <= POLICY_PURPOSES_MAX);
    *out = (struct consent){.heard = what_was_heard(s, optout)};
    consent_ask_tcf(p, s, now_ms, &c.tcf);
    for (unsigned i = 0; i < p->purpose_count; i++) {
        enum audit_reason reason = out_of_all;

        if (reason == REASON_NONE)
            reason = why_denied(&c, i);
        out->reason[i] = (uint8_t)reason;
        if (reason != REASON_NONE)
            continue;
        out->allowed |= (uint16_t)(1u << i);
        out->opened |= p->purposes[i].basis == BASIS_CONSENT;
    }
    for (unsigned d = 0; d < p->destination_count; d++)
        out->not_to[d] = c.tcf.not_to[d] & out->allowed;
}
