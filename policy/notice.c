#include "lethe/policy/notice.h"

#include "lethe/policy/base/clock.h"

/* A list or an object on its way: whether a comma comes first. */
struct list {
    struct buf *out;
    bool more;
};

static struct list begin(struct buf *out, char bracket)
{
    buf_put_char(out, bracket);
    return (struct list){out, false};
}

static void next(struct list *l)
{
    if (l->more)
        buf_put_char(l->out, ',');
    l->more = true;
}

static void next_key(struct list *l, const char *key)
{
    next(l);
    buf_put_json_string(l->out, slice_of(key));
    buf_put_char(l->out, ':');
}

static void put_text(struct list *l, const char *key, struct slice value)
{
    if (value.len == 0)
        return;
    next_key(l, key);
    buf_put_json_string(l->out, value);
}

/* As the policy has it; what it leaves out is left out. */
static enum status put_value(struct list *l, const char *key,
                             const struct json_value *object)
{
    const struct json_value *v = object == NULL ? NULL : json_get(object, key);

    if (v == NULL)
        return ST_OK;
    next_key(l, key);
    return json_canonical(v, l->out);
}

static const struct json_value *member(const struct json_value *object,
                                       struct slice name)
{
    const struct json_value *v = object == NULL ? NULL : json_child(object);

    while (v != NULL && !slice_eq(json_name(v), name))
        v = json_sibling(v);
    return v;
}

/* ISO 8601; months and the rest, as the policy wrote it. */
static void put_duration(struct list *l, const char *key, struct duration d)
{
    int64_t days = d.ms / MS_PER_DAY, rest = d.ms % MS_PER_DAY / MS_PER_S;

    next_key(l, key);
    buf_put(l->out, SLICE("\"P"));
    if (d.months > 0)
        buf_printf(l->out, "%lldM", (long long)d.months);
    if (days > 0)
        buf_printf(l->out, "%lldD", (long long)days);
    if (rest > 0 || (d.months == 0 && days == 0))
        buf_printf(l->out, "T%lldS", (long long)rest);
    buf_put_char(l->out, '"');
}

/* ---- why ---------------------------------------------------------------- */

static enum status put_purpose(const struct policy *p, unsigned i,
                               struct buf *out)
{
    const struct purpose_plan *u = &p->purposes[i];
    const struct json_value *v =
        member(json_get(json_tree_root(p->resolved), "purposes"), u->name);
    struct list l = begin(out, '{');

    put_text(&l, "name", u->name);
    put_text(&l, "basis", slice_of(basis_name(u->basis)));
    next_key(&l, "exempt");
    buf_put(out, u->exempt ? SLICE("true") : SLICE("false"));
    put_duration(&l, "retention", u->retention);
    enum status st = put_value(&l, "text", v);
    if (st == ST_OK && u->basis == BASIS_CONSENT)
        st = put_value(&l, "consent", v);
    buf_put_char(out, '}');
    return st;
}

static enum status put_purposes(const struct policy *p, struct buf *out)
{
    struct list l = begin(out, '[');
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < p->purpose_count; i++) {
        next(&l);
        st = put_purpose(p, i, out);
    }
    buf_put_char(out, ']');
    return st;
}

static void put_purpose_names(const struct policy *p, uint16_t set,
                              struct buf *out)
{
    struct list l = begin(out, '[');

    for (unsigned i = 0; i < p->purpose_count; i++)
        if (((unsigned)set >> i & 1u) != 0) {
            next(&l);
            buf_put_json_string(out, p->purposes[i].name);
        }
    buf_put_char(out, ']');
}

/* ---- to whom, and what -------------------------------------------------- */

/* What leaves under this name, if it does. */
static void put_form(struct list *l, const char *name, const struct rule *r)
{
    if (r->kind == RULE_DROP)
        return;
    next_key(l, name);
    buf_put_json_string(l->out, slice_of(rule_kind_name(r->kind)));
}

static void put_fields(const struct event_plan *e, unsigned d, struct buf *out)
{
    struct list l = begin(out, '[');

    for (unsigned i = 0; i < e->field_count; i++) {
        const struct rule *r = &e->to[d].fields[i];
        if (r->kind == RULE_DROP)
            continue;
        next(&l);
        struct list field = begin(out, '{');
        put_text(&field, "name", r->out_name);
        put_text(&field, "form", slice_of(rule_kind_name(r->kind)));
        put_text(&field, "label", e->fields[i].label);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void put_event(const struct policy *p, const struct event_plan *e,
                      unsigned d, struct buf *out)
{
    const struct delivery_plan *to = &e->to[d];
    struct list l = begin(out, '{');

    put_text(&l, "name", e->out_name);
    put_text(&l, "label", e->label);
    next_key(&l, "purposes");
    put_purpose_names(p, to->purposes, out);
    next_key(&l, "identifiers");
    struct list ids = begin(out, '{');
    for (unsigned k = 0; k < ID_OTHER; k++)
        put_form(&ids, id_kind_name((enum id_kind)k), to->identifiers[k]);
    buf_put_char(out, '}');
    next_key(&l, "context");
    struct list context = begin(out, '{');
    for (unsigned k = 0; k < CTX_COUNT; k++)
        put_form(&context, context_key_name((enum context_key)k),
                 to->context[k]);
    buf_put_char(out, '}');
    next_key(&l, "fields");
    put_fields(e, d, out);
    buf_put_char(out, '}');
}

static void put_recipient(const struct policy *p, unsigned d, struct buf *out)
{
    const struct destination_plan *to = &p->destinations[d];
    struct list l = begin(out, '{');

    put_text(&l, "name", to->name);
    put_text(&l, "recipient", to->recipient);
    put_text(&l, "role", to->role);
    put_text(&l, "country", to->country);
    put_text(&l, "transfer", to->transfer);
    next_key(&l, "purposes");
    put_purpose_names(p, to->purposes, out);
    put_duration(&l, "pseudonyms_change_after", to->rotate);
    next_key(&l, "events");
    struct list events = begin(out, '[');
    for (unsigned i = 0; i < p->event_count; i++)
        if (p->events[i].to[d].purposes != 0) {
            next(&events);
            put_event(p, &p->events[i], d, out);
        }
    buf_put(out, SLICE("]}"));
}

static void put_recipients(const struct notice_view *v, struct buf *out)
{
    struct list l = begin(out, '[');

    for (unsigned d = 0; d < v->policy->destination_count; d++)
        if (((unsigned)v->present >> d & 1u) != 0) {
            next(&l);
            put_recipient(v->policy, d, out);
        }
    buf_put_char(out, ']');
}

/* ---- how to say no ------------------------------------------------------ */

static const char *signal_word(enum signal_policy s)
{
    switch (s) {
    case SIGNAL_DENY:
        return "deny";
    case SIGNAL_DENY_CONSENT:
        return "deny-consent";
    case SIGNAL_IGNORE:
        break;
    }
    return "ignore";
}

static void put_path(struct list *l, const char *key, struct slice base,
                     const char *path)
{
    next_key(l, key);
    buf_put_char(l->out, '"');
    buf_put(l->out, base); /* of letters, digits and '-' */
    buf_printf(l->out, "%s\"", path);
}

static void put_rights(const struct notice_view *v, struct buf *out)
{
    const struct policy *p = v->policy;
    struct list l = begin(out, '{');

    put_path(&l, "page", v->base, "/privacy");
    put_path(&l, "opt_out", v->base, "/v1/optout");
    put_path(&l, "opt_in", v->base, "/v1/optin");
    put_text(&l, "gpc", slice_of(signal_word(p->gpc)));
    put_text(&l, "dnt", slice_of(signal_word(p->dnt)));
    next_key(&l, "consent_denied");
    buf_put(out, SLICE("\"deny\"}"));
}

static void put_day(struct list *l, const char *key, int64_t ms)
{
    char day[DAY_TEXT_MAX];

    day_format(ms, day);
    put_text(l, key, slice_of(day));
}

enum status notice_put(const struct notice_view *v, struct buf *out)
{
    const struct policy *p = v->policy;
    const struct json_value *root = json_tree_root(p->resolved);
    struct list l = begin(out, '{');

    next_key(&l, "notice");
    buf_put_char(out, '1');
    put_text(&l, "policy", p->name);
    put_text(&l, "version", p->version);
    put_text(&l, "sha256", slice_of(p->hash_text));
    put_day(&l, "since", v->since_ms);
    enum status st = put_value(&l, "controller", root);
    if (st == ST_OK)
        st = put_value(&l, "hosting", root);
    if (st == ST_OK)
        st = put_value(&l, "subjects", root);
    next_key(&l, "purposes");
    if (st == ST_OK)
        st = put_purposes(p, out);
    next_key(&l, "recipients");
    put_recipients(v, out);
    next_key(&l, "gateway_keeps");
    struct list keeps = begin(out, '{');
    put_duration(&keeps, "waiting", p->keep_spool);
    put_duration(&keeps, "undeliverable", p->keep_dead);
    put_duration(&keeps, "audit_rows", p->keep_rows);
    put_duration(&keeps, "audit_records", p->keep_records);
    buf_put_char(out, '}');
    next_key(&l, "rights");
    put_rights(v, out);
    buf_put_char(out, '}');
    if (st == ST_OK && out->failed)
        st = ST_LIMIT;
    return st;
}

void notice_put_gpc(const struct notice_view *v, struct buf *out)
{
    struct list l = begin(out, '{');

    next_key(&l, "gpc");
    buf_put(out,
            v->policy->gpc != SIGNAL_IGNORE ? SLICE("true") : SLICE("false"));
    put_day(&l, "lastUpdate", v->since_ms);
    buf_put_char(out, '}');
}
