/* explain.c - the same functions as on the hot path, with words. It decides
 * nothing itself: what it prints is what decide(), minimise() and the rules
 * answered. */
#include "lethe/policy/explain.h"

#include "lethe/policy/consent_hear.h"
#include "lethe/policy/decide.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/minimise.h"
#include "lethe/policy/naming.h"
#include "lethe/policy/rules.h"

#include <string.h>

struct out {
    const struct explain_case *c;
    const struct hit *h; /* c->h with what the policy calls identifiers */
    struct buf *b;
    struct arena *a;
    bool json;
    bool first; /* of the list being written */
    uint8_t keys[POLICY_DESTINATIONS_MAX][KEY_BYTES];
    struct minimise_keys with;
    struct verdict v;
    struct hit_view view;
};

/* One value's fate at one destination. */
struct finding {
    const char *group; /* "identifiers", "context", "fields" */
    struct slice name;
    const struct json_node *in; /* or: */
    struct slice in_text;
    const struct rule *rule; /* NULL: none */
    enum fate fate;
    struct clean_value out;
};

static void put_node(struct buf *b, const struct json_node *n)
{
    switch (n->type) {
    case JSON_NULL:
        buf_put(b, SLICE("null"));
        return;
    case JSON_FALSE:
        buf_put(b, SLICE("false"));
        return;
    case JSON_TRUE:
        buf_put(b, SLICE("true"));
        return;
    case JSON_NUMBER:
        buf_put(b, n->text);
        return;
    case JSON_STRING:
        buf_put_json_string(b, n->text);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    buf_put_char(b, n->type == JSON_ARRAY ? '[' : '{');
    for (const struct json_node *k = json_first(n); k != NULL;
         k = json_next(n, k)) {
        if (k != json_first(n))
            buf_put_char(b, ',');
        if (n->type == JSON_OBJECT) {
            buf_put_json_string(b, k->key);
            buf_put_char(b, ':');
        }
        put_node(b, k);
    }
    buf_put_char(b, n->type == JSON_ARRAY ? ']' : '}');
}

static void put_in(struct buf *b, const struct finding *f)
{
    if (f->in != NULL)
        put_node(b, f->in);
    else
        buf_put_json_string(b, f->in_text);
}

/* ,"rule":{"number":7,"name":"..."} or " by rule 7 (...)". */
static void put_rule(const struct out *o, unsigned number)
{
    struct slice name = policy_rule_name(o->c->p, number);

    if (!o->json) {
        if (number > 0)
            buf_printf(o->b, " by rule %u (%.*s)", number, SLICE_ARG(name));
        return;
    }
    buf_printf(o->b, ",\"rule\":{\"number\":%u,\"name\":", number);
    buf_put_json_string(o->b, name);
    buf_put_char(o->b, '}');
}

static void text_finding(const struct out *o, const struct finding *f)
{
    struct buf *b = o->b;

    buf_printf(b, "  %s.%.*s: ", f->group, SLICE_ARG(f->name));
    put_in(b, f);
    if (fate_sends(f->fate)) {
        buf_put(b, SLICE(" -> "));
        buf_put_json_string(b, f->out.name);
        buf_put(b, SLICE(" "));
        clean_value_put(b, &f->out);
        buf_put(b, SLICE(","));
    }
    if (f->rule != NULL && f->fate == FATE_RULE)
        buf_put(b, SLICE(" dropped")); /* its rule follows */
    else
        buf_printf(b, " %s", fate_name(f->fate));
    if (f->rule != NULL)
        put_rule(o, f->rule->number);
    buf_put_char(b, '\n');
}

static void json_finding(struct out *o, const struct finding *f)
{
    struct buf *b = o->b;

    buf_printf(b, "%s{\"group\":\"%s\",\"name\":", o->first ? "" : ",",
               f->group);
    o->first = false;
    buf_put_json_string(b, f->name);
    buf_put(b, SLICE(",\"in\":"));
    put_in(b, f);
    buf_printf(b, ",\"sent\":%s,\"fate\":\"%s\"",
               fate_sends(f->fate) ? "true" : "false", fate_name(f->fate));
    if (fate_sends(f->fate)) {
        buf_put(b, SLICE(",\"as\":"));
        buf_put_json_string(b, f->out.name);
        buf_put(b, SLICE(",\"out\":"));
        clean_value_put(b, &f->out);
    }
    if (f->rule != NULL) {
        buf_printf(b, ",\"kind\":\"%s\"", rule_kind_name(f->rule->kind));
        put_rule(o, f->rule->number);
    }
    buf_put_char(b, '}');
}

static enum status tell(struct out *o, const struct finding *f)
{
    if (f->fate == FATE_NOMEM)
        return ST_NOMEM;
    if (o->json)
        json_finding(o, f);
    else
        text_finding(o, f);
    return ST_OK;
}

static enum status tell_identifiers(struct out *o, const struct rule_scope *s)
{
    const struct delivery_plan *to = &o->v.event->to[s->destination];
    const struct hit *h = o->h;
    enum status st = ST_OK;

    for (unsigned i = 0; i < h->identifier_count && st == ST_OK; i++) {
        enum id_kind kind = h->identifiers[i].kind;
        struct finding f = {.group = "identifiers",
                            .name = slice_of(id_kind_name(kind)),
                            .in_text = h->identifiers[i].exact,
                            .rule = to->identifiers[kind],
                            .fate = FATE_RULE};

        if (kind != ID_OTHER)
            f.fate = identifier_apply(s, f.rule, h, kind, &f.out.text);
        f.out.name = f.name;
        st = tell(o, &f);
    }
    return st;
}

static enum status tell_context(struct out *o, const struct rule_scope *s)
{
    const struct delivery_plan *to = &o->v.event->to[s->destination];
    enum status st = ST_OK;

    for (unsigned k = 0; k < CTX_COUNT && st == ST_OK; k++) {
        struct finding f = {.group = "context",
                            .name =
                                slice_of(context_key_name((enum context_key)k)),
                            .in_text = o->h->context[k],
                            .rule = to->context[k]};

        if (k == CTX_TIME || f.in_text.len == 0)
            continue;
        f.fate = context_apply(s, f.rule, f.in_text, &f.out);
        st = tell(o, &f);
    }
    return st;
}

/* The time comes from the clean hit, where the rule was applied. */
static enum status tell_time(struct out *o, const struct rule_scope *s,
                             const struct clean_hit *clean)
{
    const struct hit *h = o->h;
    char in[TIME_TEXT_MAX], text[TIME_TEXT_MAX];
    struct finding f = {.group = "context",
                        .name = slice_of(context_key_name(CTX_TIME)),
                        .rule =
                            o->v.event->to[s->destination].context[CTX_TIME],
                        .fate = FATE_RULE};

    if (!h->has_time)
        return ST_OK;
    f.in_text = (struct slice){in, time_format(h->time_ms, true, in)};
    if (clean->has_time) {
        f.fate = clean->time_ms == h->time_ms ? FATE_SENT : FATE_CHANGED;
        f.out.name = SLICE("timestamp");
        f.out.text = (struct slice){
            text,
            time_format(clean->time_ms, clean->time_ms % MS_PER_S != 0, text)};
    }
    return tell(o, &f);
}

static enum status tell_fields(struct out *o, const struct rule_scope *s)
{
    const struct event_plan *event = o->v.event;
    enum status st = ST_OK;

    for (unsigned i = 0; i < event->field_count && st == ST_OK; i++) {
        struct finding f = {.group = "fields",
                            .name = event->fields[i].path,
                            .in = o->view.values[i],
                            .rule = &event->to[s->destination].fields[i]};

        if (f.in == NULL)
            continue;
        f.fate = field_apply(s, event, &o->view, i, &f.out);
        st = tell(o, &f);
    }
    return st;
}

static enum status tell_values(struct out *o, unsigned d)
{
    struct rule_scope s = {o->c->p, &o->with,
                           d,       o->v.to[d].purpose,
                           o->a,    o->h->signals.anonymous};
    struct clean_hit clean;
    enum status st = minimise(o->c->p, o->h, &o->view, &o->v, d, &o->with,
                              o->c->now_ms, o->a, &clean);

    if (st != ST_OK)
        return st;
    if (o->json)
        buf_put(o->b, SLICE(",\"values\":["));
    o->first = true;
    st = tell_identifiers(o, &s);
    if (st == ST_OK)
        st = tell_context(o, &s);
    if (st == ST_OK)
        st = tell_time(o, &s, &clean);
    if (st == ST_OK)
        st = tell_fields(o, &s);
    buf_put(o->b, o->json ? SLICE("],\"sends\":") : SLICE("  sends "));
    clean_hit_encode_plain(&clean, o->c->p, o->b);
    if (!o->json)
        buf_put_char(o->b, '\n');
    return st;
}

static enum status tell_destination(struct out *o, unsigned d)
{
    const struct policy *p = o->c->p;
    const struct destination_verdict *to = &o->v.to[d];
    struct slice purpose = p->purposes[to->purpose].name;
    const char *reason = audit_reason_name(to->reason);
    enum status st = ST_OK;

    if (o->json) {
        buf_printf(o->b, "%s{\"name\":", d > 0 ? "," : "");
        buf_put_json_string(o->b, p->destinations[d].name);
        buf_printf(o->b, ",\"cleared\":%s", to->cleared ? "true" : "false");
        if (to->cleared) {
            buf_put(o->b, SLICE(",\"purpose\":"));
            buf_put_json_string(o->b, purpose);
        } else {
            buf_printf(o->b, ",\"reason\":\"%s\"", reason);
        }
    } else {
        buf_printf(o->b, "%.*s: ", SLICE_ARG(p->destinations[d].name));
        if (to->cleared)
            buf_printf(o->b, "cleared for %.*s", SLICE_ARG(purpose));
        else
            buf_printf(o->b, "not cleared: %s", reason);
    }
    put_rule(o, to->rule);
    if (!o->json)
        buf_put_char(o->b, '\n');
    if (to->cleared)
        st = tell_values(o, d);
    if (o->json)
        buf_put_char(o->b, '}');
    return st;
}

static void tell_unknown(void *ctx, struct slice key)
{
    struct out *o = ctx;

    if (!o->json)
        buf_put(o->b, SLICE("not in the policy, dropped: "));
    else if (!o->first)
        buf_put_char(o->b, ',');
    o->first = false;
    buf_put_json_string(o->b, key);
    if (!o->json)
        buf_put_char(o->b, '\n');
}

static void tell_event(struct out *o)
{
    const struct event_plan *event = o->v.event;

    buf_put(o->b, o->json ? SLICE("{\"event\":") : SLICE("event "));
    buf_put_json_string(o->b, o->h->name);
    if (event == NULL) {
        if (!o->json)
            buf_put(o->b, SLICE(" is not in the policy\n"));
        return;
    }
    buf_put(o->b, o->json ? SLICE(",\"is\":") : SLICE(" is "));
    buf_put_json_string(o->b, event->name);
    put_rule(o, event->number);
    if (!o->json)
        buf_put_char(o->b, '\n');
}

static void make_keys(struct out *o)
{
    o->with = (struct minimise_keys){.site = SLICE("explain")};
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        uint8_t secret[KEY_BYTES] = {(uint8_t)d};

        epoch_key_make(o->c->throwaway, secret, o->keys[d]);
        o->with.epoch_keys[d] = o->keys[d];
    }
    memcpy(o->with.fresh_id, o->c->throwaway, sizeof o->with.fresh_id);
}

enum status explain(const struct explain_case *c, enum explain_form form,
                    struct arena *a, struct buf *out)
{
    struct out o = {.c = c, .b = out, .a = a, .json = form == EXPLAIN_JSON};
    struct hit h = *c->h;
    struct consent consent;

    o.h = &h;
    make_keys(&o);
    enum status st = hit_add_named(c->p, &h, &o.view, a);
    if (st != ST_OK)
        return st;
    consent_hear_fields(c->p, h.fields, &h.signals);
    consent_decide(c->p, &h.signals, c->now_ms, c->optout, &consent);
    decide(c->p, &h, &consent, c->present, c->now_ms, &o.v);
    tell_event(&o);
    if (o.v.event != NULL)
        hit_view_make(o.v.event, &h, &o.view);
    if (o.json)
        buf_put(out, SLICE(",\"destinations\":["));
    for (unsigned d = 0; d < c->p->destination_count && st == ST_OK; d++)
        st = tell_destination(&o, d);
    if (o.json)
        buf_put(out, SLICE("],\"unknown\":["));
    o.first = true;
    if (o.v.event != NULL)
        hit_view_unknown(o.v.event, &h, tell_unknown, &o);
    if (o.json)
        buf_put(out, SLICE("]}\n"));
    wipe(o.keys, sizeof o.keys);
    if (st == ST_OK && out->failed)
        st = ST_LIMIT;
    return st;
}
