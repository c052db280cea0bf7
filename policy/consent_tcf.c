#include "consent_tcf.h"

#include "lethe/policy/base/clock.h"
#include "lethe/policy/tcf.h"

#define PURPOSE_ONE 1u         /* bit of TCF purpose 1 */
#define AHEAD_MS    MS_PER_DAY /* clocks and time zones differ */
#define DAYS_OF(ms) ((ms) / MS_PER_DAY)

/* TCF purposes that count, by how: bit n-1 = purpose n. */
struct grounds {
    uint32_t consent, interest;
};

/* R68: by days, since that is all that a string tells of its time. */
static bool is_in_time(const struct policy *p, const struct tcf *t,
                       int64_t now_ms)
{
    return t->updated_ms <= now_ms + AHEAD_MS &&
           DAYS_OF(duration_after(t->updated_ms, p->tcf_max_age)) >=
               DAYS_OF(now_ms);
}

static bool may_count(const struct policy *p, const struct consent_signals *s,
                      int64_t now_ms, struct tcf *t)
{
    return tcf_read(s->tcf, t) == ST_OK && !s->tcf_unclear && tcf_is_valid(t) &&
           is_in_time(p, t, now_ms) &&
           (t->disclosed.there || p->tcf_undisclosed_allow);
}

static bool names_country(const struct purpose_plan *u, const struct tcf *t)
{
    for (unsigned i = 0; i < u->tcf_country_count; i++)
        if (slice_eq(u->tcf_countries[i], (struct slice){t->country, 2}))
            return true;
    return false;
}

/* Every TCF purpose that the policy asks for has one of its grounds. Purpose 1
 * may not have been asked for at all (R69): then it counts only where the
 * policy names the publisher's country. */
static bool suffices(const struct purpose_plan *u, const struct tcf *t,
                     struct grounds g)
{
    if (t->purpose_one_treatment) {
        g.consent &= ~PURPOSE_ONE;
        if (names_country(u, t))
            g.consent |= PURPOSE_ONE;
    }
    return (u->tcf & ~(g.consent | (g.interest & u->tcf_interest))) == 0;
}

/* A purpose without `tcf` gets no yes by a string, but a no: where the person
 * was asked for access to the device and refused it. */
static bool refuses_access(const struct tcf *t)
{
    return (t->consent & PURPOSE_ONE) == 0 && !t->purpose_one_treatment;
}

/* What of the string is for this destination: a vendor of the list by its
 * number, else as the publisher's own. False: nothing at all. */
static bool grounds_for(const struct destination_plan *d, const struct tcf *t,
                        struct grounds *out)
{
    struct tcf_restricted r;

    *out = (struct grounds){t->consent, t->interest};
    if (d->tcf_vendor == 0) {
        if (t->has_publisher) {
            out->consent &= t->publisher_consent;
            out->interest &= t->publisher_interest;
        }
        return true;
    }
    bool consent = tcf_has_vendor(t, &t->vendor_consent, d->tcf_vendor);
    bool interest = tcf_has_vendor(t, &t->vendor_interest, d->tcf_vendor);
    tcf_restrictions(t, d->tcf_vendor, &r);
    out->consent &= consent ? ~(r.not_allowed | r.needs_interest) : 0;
    out->interest &= interest ? ~(r.not_allowed | r.needs_consent) : 0;
    return (consent || interest) &&
           (!t->disclosed.there ||
            tcf_has_vendor(t, &t->disclosed, d->tcf_vendor));
}

static void ask_destination(const struct policy *p, const struct tcf *t,
                            unsigned d, struct tcf_answer *out)
{
    struct grounds g;
    bool any = grounds_for(&p->destinations[d], t, &g);

    for (unsigned i = 0; i < p->purpose_count; i++)
        if (p->purposes[i].basis == BASIS_CONSENT &&
            !(any && suffices(&p->purposes[i], t, g)))
            out->not_to[d] = (uint16_t)(out->not_to[d] | 1u << i);
}

static void ask_purpose(const struct purpose_plan *u, const struct tcf *t,
                        unsigned i, struct tcf_answer *out)
{
    struct grounds all = {t->consent, t->interest};
    bool yes = u->tcf != 0 && suffices(u, t, all);

    if (yes)
        out->yes = (uint16_t)(out->yes | 1u << i);
    else if (u->tcf != 0 || refuses_access(t))
        out->no = (uint16_t)(out->no | 1u << i);
}

void consent_ask_tcf(const struct policy *p, const struct consent_signals *s,
                     int64_t now_ms, struct tcf_answer *out)
{
    struct tcf t;

    *out = (struct tcf_answer){0};
    if (!p->enforce_tcf || (s->tcf.len == 0 && !s->tcf_unclear))
        return;
    bool counts = may_count(p, s, now_ms, &t);
    for (unsigned i = 0; i < p->purpose_count; i++) {
        if (p->purposes[i].basis != BASIS_CONSENT)
            continue;
        if (counts)
            ask_purpose(&p->purposes[i], &t, i, out);
        else
            out->no = (uint16_t)(out->no | 1u << i);
    }
    for (unsigned d = 0; counts && d < p->destination_count; d++)
        ask_destination(p, &t, d, out);
    tcf_wipe(&t);
}
