/* The part of policy_diff.c that is not about single rules: purposes, signals,
 * retention. */
#include "policy_diff.h"

#include "lethe/policy/policy_text.h"

static bool has_text(const struct slice *list, unsigned n, struct slice s)
{
    for (unsigned i = 0; i < n; i++)
        if (slice_eq(list[i], s))
            return true;
    return false;
}

/* The order counts: the first place that holds something is read. */
static bool same_texts(const struct slice *a, unsigned a_count,
                       const struct slice *b, unsigned b_count)
{
    for (unsigned i = 0; i < a_count && i < b_count; i++)
        if (!slice_eq(a[i], b[i]))
            return false;
    return a_count == b_count;
}

static bool yes_widened(const struct purpose_plan *a,
                        const struct purpose_plan *b)
{
    for (unsigned i = 0; i < b->app_count; i++)
        if (!has_text(a->app, a->app_count, b->app[i]))
            return true;
    /* A name that is gone no longer carries a no. */
    for (unsigned i = 0; i < a->app_count; i++)
        if (!has_text(b->app, b->app_count, a->app[i]))
            return true;
    return (b->asserted && !a->asserted) || (b->tcf & ~a->tcf) != 0 ||
           (a->tcf & ~b->tcf) != 0 || a->tcf_interest != b->tcf_interest ||
           !same_texts(a->tcf_countries, a->tcf_country_count, b->tcf_countries,
                       b->tcf_country_count) ||
           b->consent_mode_analytics != a->consent_mode_analytics ||
           b->consent_mode_ads != a->consent_mode_ads;
}

static void diff_purpose(struct diff *x, const struct purpose_plan *b)
{
    int i = diff_purpose_in(x->a, b->name);

    if (i < 0) {
        diff_begin(x, LOOSER);
        buf_printf(x->out, "a new purpose, %.*s, on the basis %s\n",
                   SLICE_ARG(b->name), basis_name(b->basis));
        return;
    }
    const struct purpose_plan *a = &x->a->purposes[i];
    if (a->basis != b->basis) {
        diff_begin(x, b->basis == BASIS_CONSENT ? TIGHTER : LOOSER);
        buf_printf(x->out, "%.*s rests on %s instead of %s\n",
                   SLICE_ARG(b->name), basis_name(b->basis),
                   basis_name(a->basis));
    }
    if (a->exempt != b->exempt) {
        diff_begin(x, b->exempt ? LOOSER : TIGHTER);
        buf_printf(x->out, "%.*s %s exempt from consent\n", SLICE_ARG(b->name),
                   b->exempt ? "becomes" : "is no longer");
    }
    if (a->asserted != b->asserted) {
        diff_begin(x, b->asserted ? LOOSER : TIGHTER);
        buf_printf(x->out, "for %.*s a yes %s\n", SLICE_ARG(b->name),
                   b->asserted ? "is declared by the controller, not seen"
                               : "must be seen in the event");
    } else if (yes_widened(a, b)) {
        diff_begin(x, CHANGED);
        buf_printf(x->out, "what counts as a yes or a no for %.*s\n",
                   SLICE_ARG(b->name));
    }
    diff_duration(x, "data is kept for ", b->name, a->retention, b->retention);
}

void diff_purposes(struct diff *x)
{
    for (unsigned i = 0; i < x->b->purpose_count; i++)
        diff_purpose(x, &x->b->purposes[i]);
    for (unsigned i = 0; i < x->a->purpose_count; i++)
        if (diff_purpose_in(x->b, x->a->purposes[i].name) < 0) {
            diff_begin(x, TIGHTER);
            buf_printf(x->out, "the purpose %.*s is gone\n",
                       SLICE_ARG(x->a->purposes[i].name));
        }
}

static void diff_signal(struct diff *x, const char *name, enum signal_policy a,
                        enum signal_policy b)
{
    static const char *const words[] = {
        "a no to everything", "a no to all but exempt purposes", "ignored"};

    if (a == b)
        return;
    diff_begin(x, b > a ? LOOSER : TIGHTER);
    buf_printf(x->out, "%s is %s, was %s\n", name, words[b], words[a]);
}

static void diff_flag(struct diff *x, bool a, bool b, const char *now_true,
                      const char *now_false, bool true_is_looser)
{
    if (a == b)
        return;
    diff_begin(x, b == true_is_looser ? LOOSER : TIGHTER);
    buf_printf(x->out, "%s\n", b ? now_true : now_false);
}

static bool same_signals(const struct signal_rule *a, unsigned a_count,
                         const struct signal_rule *b, unsigned b_count)
{
    for (unsigned i = 0; i < a_count && i < b_count; i++)
        if (!slice_eq(a[i].name, b[i].name) || a[i].then != b[i].then ||
            !same_texts(a[i].is, a[i].is_count, b[i].is, b[i].is_count))
            return false;
    return a_count == b_count;
}

/* Where signals are read, and which the policy adds. */
static void diff_places(struct diff *x)
{
    const struct policy *a = x->a, *b = x->b;

    if (!slice_eq(a->gpc_property, b->gpc_property) ||
        !slice_eq(a->dnt_property, b->dnt_property) ||
        !slice_eq(a->consent_property, b->consent_property) ||
        !slice_eq(a->tcf_property, b->tcf_property)) {
        diff_begin(x, CHANGED);
        buf_put(x->out, SLICE("where the app passes on GPC, DNT or consent\n"));
    }
    if (!same_signals(a->header_signals, a->header_signal_count,
                      b->header_signals, b->header_signal_count) ||
        !same_signals(a->field_signals, a->field_signal_count, b->field_signals,
                      b->field_signal_count)) {
        diff_begin(x, CHANGED);
        buf_put(x->out, SLICE("which headers or fields of your own say no\n"));
    }
    diff_duration(x, "a TC string counts for ", SLICE(""), a->tcf_max_age,
                  b->tcf_max_age);
    diff_flag(x, a->tcf_undisclosed_allow, b->tcf_undisclosed_allow,
              "TC strings count without a list of vendors shown",
              "TC strings must say which vendors were shown", true);
}

static void diff_from(struct diff *x, enum id_kind kind)
{
    const struct policy *a = x->a, *b = x->b;

    if (same_texts(a->identifier_from[kind], a->identifier_from_count[kind],
                   b->identifier_from[kind], b->identifier_from_count[kind]))
        return;
    diff_begin(x, CHANGED);
    buf_printf(x->out, "where the %s identifier is also read from:",
               id_kind_name(kind));
    for (unsigned i = 0; i < b->identifier_from_count[kind]; i++)
        buf_printf(x->out, "%s %.*s", i > 0 ? "," : "",
                   SLICE_ARG(b->identifier_from[kind][i]));
    if (b->identifier_from_count[kind] == 0)
        buf_put(x->out, SLICE(" nowhere"));
    buf_put_char(x->out, '\n');
}

void diff_general(struct diff *x)
{
    const struct policy *a = x->a, *b = x->b;

    diff_signal(x, "Global Privacy Control", a->gpc, b->gpc);
    diff_signal(x, "Do Not Track", a->dnt, b->dnt);
    diff_flag(x, a->enforce_consent_mode, b->enforce_consent_mode,
              "consent mode counts", "consent mode is ignored", false);
    diff_flag(x, a->enforce_tcf, b->enforce_tcf, "TCF strings count",
              "TCF strings are ignored", false);
    diff_flag(x, a->unidentified_allow, b->unidentified_allow,
              "events without an identifier are let in",
              "events without an identifier are dropped", true);
    diff_places(x);
    for (unsigned i = 0; i < a->optout_identifier_count; i++)
        if (!has_text(b->optout_identifiers, b->optout_identifier_count,
                      a->optout_identifiers[i])) {
            diff_begin(x, LOOSER);
            buf_printf(x->out, "opt-outs are no longer looked up by %.*s\n",
                       SLICE_ARG(a->optout_identifiers[i]));
        }
    for (unsigned i = 0; i < b->optout_identifier_count; i++)
        if (!has_text(a->optout_identifiers, a->optout_identifier_count,
                      b->optout_identifiers[i])) {
            diff_begin(x, TIGHTER);
            buf_printf(x->out, "opt-outs are also looked up by %.*s\n",
                       SLICE_ARG(b->optout_identifiers[i]));
        }
    for (unsigned k = 0; k < ID_OTHER; k++)
        diff_from(x, (enum id_kind)k);
    diff_duration(x, "the gateway keeps events that wait", SLICE(""),
                  a->keep_spool, b->keep_spool);
    diff_duration(x, "the gateway keeps undeliverable events", SLICE(""),
                  a->keep_dead, b->keep_dead);
    diff_duration(x, "audit rows are kept", SLICE(""), a->keep_rows,
                  b->keep_rows);
    diff_duration(x, "audit records are kept", SLICE(""), a->keep_records,
                  b->keep_records);
}
