#include "lethe/policy/policy_text.h"

#include "policy_inside.h"

static void part(struct buf *out, int64_t n, const char *unit, bool *first)
{
    if (n == 0)
        return;
    buf_put(out, *first ? SLICE("") : SLICE(" "));
    buf_put_i64_text(out, n);
    buf_printf(out, " %s%s", unit, n == 1 ? "" : "s");
    *first = false;
}

void policy_duration_words(struct duration d, struct buf *out)
{
    bool first = true;
    /* Whole days read as days from three on: "72 hours" is what was meant. */
    bool days = d.ms % MS_PER_DAY == 0;
    int64_t rest = days ? 0 : d.ms;

    part(out, d.months, "month", &first);
    if (days)
        part(out, d.ms / MS_PER_DAY, "day", &first);
    part(out, rest / MS_PER_H, "hour", &first);
    part(out, rest % MS_PER_H / MS_PER_MIN, "minute", &first);
    part(out, rest % MS_PER_MIN / MS_PER_S, "second", &first);
    if (first)
        buf_put(out, SLICE("0 seconds"));
}

static void put_number(struct buf *out, double v)
{
    char text[32];
    size_t len = number_text(v, text);

    buf_put_bytes(out, text, len);
}

static void number_words(const struct rule *r, struct buf *out)
{
    if (r->as.number.bucket_count > 0) {
        buf_put(out, SLICE("as one of the ranges "));
        for (unsigned i = 0; i <= r->as.number.bucket_count; i++) {
            buf_put(out, i > 0 ? SLICE(", ") : SLICE(""));
            buf_put(out, r->as.number.bucket_texts[i]);
        }
        return;
    }
    buf_put(out, r->as.number.has_round ? SLICE("a number rounded to ")
                                        : SLICE("the exact number"));
    if (r->as.number.has_round)
        put_number(out, r->as.number.round);
    if (r->as.number.has_min) {
        buf_put(out, SLICE(", from "));
        put_number(out, r->as.number.min);
    }
    if (r->as.number.has_max) {
        buf_put(out, r->as.number.has_min ? SLICE(" to ") : SLICE(", up to "));
        put_number(out, r->as.number.max);
    }
    if (r->as.number.has_min || r->as.number.has_max)
        buf_put(out, r->as.number.clamp
                         ? SLICE("; beyond that the limit itself")
                         : SLICE("; beyond that nothing"));
}

#define WORDS_SHOWN 12u

static void list_words(const struct rule *r, struct buf *out)
{
    unsigned shown = 0;

    for (unsigned i = 0; i < r->as.words.count; i++) {
        bool again = false;
        for (unsigned k = 0; k < i; k++)
            again |=
                slice_eq(r->as.words.words[k].out, r->as.words.words[i].out);
        if (again)
            continue;
        if (shown++ == WORDS_SHOWN) {
            buf_put(out, SLICE(", ..."));
            break;
        }
        buf_put(out, shown > 1 ? SLICE(", ") : SLICE(""));
        buf_put(out, r->as.words.words[i].out);
    }
    if (r->as.words.has_other)
        buf_printf(out, "; anything else becomes \"%.*s\"",
                   SLICE_ARG(r->as.words.other));
    else
        buf_put(out, SLICE("; anything else is dropped"));
}

void policy_rule_words(const struct rule *r, struct buf *out)
{
    switch (r->kind) {
    case RULE_DROP:
        buf_put(out, SLICE("dropped"));
        break;
    case RULE_BOOL:
        buf_put(out, SLICE("yes or no"));
        break;
    case RULE_NUMBER:
        number_words(r, out);
        break;
    case RULE_ENUM:
        buf_put(out, SLICE("one of: "));
        list_words(r, out);
        break;
    case RULE_EXTENSION:
        buf_put(out, SLICE("the ending of the file's name, one of: "));
        list_words(r, out);
        break;
    case RULE_URL:
        buf_printf(out, "one of %u listed paths, without anything behind ?%s",
                   r->as.url.count,
                   r->as.url.has_other ? "; other pages as " : "");
        if (r->as.url.has_other)
            buf_put(out, r->as.url.other);
        break;
    case RULE_HOST:
        buf_put(out, SLICE("the host's name alone"));
        break;
    case RULE_TIME:
        buf_put(out, SLICE("rounded to "));
        policy_duration_words((struct duration){0, r->as.time.round_ms}, out);
        break;
    case RULE_PSEUDONYM:
        buf_put(out, SLICE("replaced by a pseudonym"));
        break;
    case RULE_PLACE:
        buf_put(out, SLICE("as a place"));
        break;
    case RULE_CLASS:
        buf_put(out, SLICE("the browser's family, its major version and the "
                           "system's family"));
        break;
    case RULE_CONSTANT:
        buf_printf(out, "always \"%.*s\"", SLICE_ARG(r->as.constant));
        break;
    case RULE_KIND_COUNT:
        break;
    }
}

static void purpose_names(const struct policy *p, uint16_t set, struct buf *out)
{
    bool first = true;

    for (unsigned i = 0; i < p->purpose_count; i++) {
        if ((set & (1u << i)) == 0)
            continue;
        buf_put(out, first ? SLICE("") : SLICE(", "));
        buf_put(out, p->purposes[i].name);
        first = false;
    }
}

static void one_rule(const struct policy *p, const char *indent,
                     struct slice name, struct slice label,
                     const struct rule *r, struct buf *out)
{
    buf_printf(out, "%s%.*s", indent, SLICE_ARG(name));
    if (label.len > 0)
        buf_printf(out, " (%.*s)", SLICE_ARG(label));
    buf_put(out, SLICE(": "));
    policy_rule_words(r, out);
    if (r->purposes != POLICY_ALL_PURPOSES) {
        buf_put(out, SLICE(", only for "));
        purpose_names(p, r->purposes, out);
    }
    buf_put_char(out, '\n');
}

static void signal_words(const char *name, enum signal_policy s,
                         struct buf *out)
{
    static const char *const words[] = {
        [SIGNAL_DENY] = "is a no to every purpose",
        [SIGNAL_DENY_CONSENT] = "is a no to every purpose that is not exempt",
        [SIGNAL_IGNORE] = "is ignored",
    };

    buf_printf(out, "  %s %s.\n", name, words[s]);
}

/* Signals of the policy's own. */
static void own_signal_words(const char *what, const struct signal_rule *list,
                             unsigned count, struct buf *out)
{
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "  The %s %.*s", what, SLICE_ARG(list[i].name));
        for (unsigned k = 0; k < list[i].is_count; k++)
            buf_printf(out, "%s\"%.*s\"", k > 0 ? " or " : ", if it says ",
                       SLICE_ARG(list[i].is[k]));
        buf_printf(out, ", is a no to every purpose%s.\n",
                   list[i].then == SIGNAL_DENY ? "" : " that is not exempt");
    }
}

static void people_words(const struct policy *p, struct buf *out)
{
    const struct json_value *c =
        json_get(json_tree_root(p->resolved), "controller");
    const struct json_value *h =
        json_get(json_tree_root(p->resolved), "hosting");

    buf_printf(out,
               "Policy %.*s, version %.*s.\n%.*s is responsible (%.*s). The "
               "gateway runs in %.*s.\n",
               SLICE_ARG(p->name), SLICE_ARG(p->version),
               SLICE_ARG(json_string(json_get(c, "name"))),
               SLICE_ARG(json_string(json_get(c, "contact"))),
               SLICE_ARG(json_string(json_get(h, "region"))));
}

static void purpose_words(const struct policy *p, struct buf *out)
{
    buf_put(out, SLICE("\nWhy\n"));
    for (unsigned i = 0; i < p->purpose_count; i++) {
        const struct purpose_plan *u = &p->purposes[i];
        buf_printf(out, "  %.*s: basis %s%s; kept for ", SLICE_ARG(u->name),
                   basis_name(u->basis),
                   u->exempt ? ", exempt from consent" : "");
        policy_duration_words(u->retention, out);
        if (u->asserted)
            buf_put(out, SLICE("; the controller declares that events come "
                               "only after a yes"));
        else if (u->basis == BASIS_CONSENT)
            buf_put(out, SLICE("; an event without a yes is dropped"));
        buf_put(out, SLICE(".\n"));
    }
    buf_put(out, SLICE("\nWhat counts as a no\n"));
    signal_words("Global Privacy Control", p->gpc, out);
    signal_words("Do Not Track", p->dnt, out);
    own_signal_words("header", p->header_signals, p->header_signal_count, out);
    own_signal_words("field", p->field_signals, p->field_signal_count, out);
    buf_put(out, p->unidentified_allow
                     ? SLICE("  Events without any identifier are let in.\n")
                     : SLICE("  Events without any identifier are dropped.\n"));
}

/* How likely it is, in percent, that a visitor among `n` shares a value:
 * 1 - e^-x for x = n / 2^bits, by (1 - x / 2^24)^(2^24), so that no
 * mathematics library is needed. */
static double shared_percent(unsigned bits, double n)
{
    double x = n, rest;

    for (unsigned i = 0; i < bits; i++)
        x /= 2;
    if (x < 1e-4)
        return (x - x * x / 2) * 100;
    rest = 1 - x / (1 << 24);
    for (unsigned i = 0; i < 24; i++)
        rest *= rest;
    return (1 - rest) * 100;
}

static void pseudonym_words(const struct destination_plan *d, struct buf *out)
{
    buf_put(out, SLICE("    Pseudonyms change every "));
    policy_duration_words(d->rotate, out);
    buf_printf(out,
               ", at %02d:%02d UTC; the old ones cannot be made again. They "
               "keep %u bits: of 10,000 visitors in one period about %.2g %% "
               "share one, of a million %.2g %%.\n",
               (int)(d->rotate_at_ms / MS_PER_H),
               (int)(d->rotate_at_ms % MS_PER_H / MS_PER_MIN), d->bits,
               shared_percent(d->bits, 10000), shared_percent(d->bits, 1e6));
}

static void event_words(const struct policy *p, const struct event_plan *e,
                        unsigned d, struct buf *out)
{
    buf_printf(out, "    %.*s", SLICE_ARG(e->name));
    if (!slice_eq(e->name, e->out_name))
        buf_printf(out, ", sent as %.*s", SLICE_ARG(e->out_name));
    if (e->label.len > 0)
        buf_printf(out, " (%.*s)", SLICE_ARG(e->label));
    buf_put(out, SLICE(", for "));
    purpose_names(p, e->to[d].purposes, out);
    buf_put_char(out, '\n');
    for (unsigned i = 0; i < e->field_count; i++)
        one_rule(p, "      ", e->fields[i].path, e->fields[i].label,
                 &e->to[d].fields[i], out);
}

/* An identifier is read elsewhere too: the officer must see from where. */
static void from_words(const struct policy *p, enum id_kind kind,
                       struct buf *out)
{
    for (unsigned i = 0; i < p->identifier_from_count[kind]; i++)
        buf_printf(out, "%s%.*s", i == 0 ? "      also read from " : ", ",
                   SLICE_ARG(p->identifier_from[kind][i]));
    if (p->identifier_from_count[kind] > 0)
        buf_put_char(out, '\n');
}

static void with_events_words(const struct policy *p,
                              const struct delivery_plan *to, struct buf *out)
{
    bool any = false;

    for (unsigned k = 0; k < ID_OTHER; k++)
        if (to->identifiers[k]->kind != RULE_DROP) {
            one_rule(p, "    ", slice_of(id_kind_name((enum id_kind)k)),
                     SLICE_NONE, to->identifiers[k], out);
            from_words(p, (enum id_kind)k, out);
            any = true;
        }
    for (unsigned k = 0; k < CTX_COUNT; k++)
        if (to->context[k]->kind != RULE_DROP) {
            one_rule(p, "    ", slice_of(context_key_name((enum context_key)k)),
                     SLICE_NONE, to->context[k], out);
            any = true;
        }
    if (!any)
        buf_put(out, SLICE("    nothing about the visitor or the page\n"));
}

static void destination_words(const struct policy *p, unsigned d,
                              struct buf *out)
{
    const struct destination_plan *dest = &p->destinations[d];
    const struct delivery_plan *to = NULL;

    buf_printf(out, "\n  %.*s: %.*s in %.*s, as %.*s", SLICE_ARG(dest->name),
               SLICE_ARG(dest->recipient), SLICE_ARG(dest->country),
               SLICE_ARG(dest->role));
    if (dest->transfer.len > 0)
        buf_printf(out, ", transfer by %.*s", SLICE_ARG(dest->transfer));
    buf_put(out, SLICE(", for "));
    purpose_names(p, dest->purposes, out);
    buf_printf(out, "; checked as %s.\n", profile_name(dest->profile));
    for (unsigned i = 0; i < p->event_count; i++)
        if (p->events[i].to[d].purposes != 0)
            to = &p->events[i].to[d];
    if (to == NULL) {
        buf_put(out, SLICE("    It gets nothing.\n"));
        return;
    }
    pseudonym_words(dest, out);
    buf_put(out, SLICE("    With every event:\n"));
    with_events_words(p, to, out);
    buf_put(out, SLICE("    Events:\n"));
    for (unsigned i = 0; i < p->event_count; i++)
        if (p->events[i].to[d].purposes != 0)
            event_words(p, &p->events[i], d, out);
}

enum status policy_show_words(const struct policy *p, struct buf *out)
{
    people_words(p, out);
    purpose_words(p, out);
    buf_put(out, SLICE("\nWho gets what (everything not named is dropped)\n"));
    for (unsigned d = 0; d < p->destination_count; d++)
        destination_words(p, d, out);
    buf_put(out, SLICE("\nHow long the gateway itself keeps it\n  waiting for "
                       "delivery: "));
    policy_duration_words(p->keep_spool, out);
    buf_put(out, SLICE("; undeliverable: "));
    policy_duration_words(p->keep_dead, out);
    buf_put(out, SLICE("; audit rows: "));
    policy_duration_words(p->keep_rows, out);
    buf_put(out, SLICE("; audit records: "));
    policy_duration_words(p->keep_records, out);
    buf_put(out, SLICE(".\n"));
    return out->failed ? ST_LIMIT : ST_OK;
}
