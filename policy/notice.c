#include "lethe/policy/notice.h"

#include "lethe/policy/base/clock.h"
#include "lethe/policy/json_put.h"

static const struct json_value *member(const struct json_value *object,
                                       struct slice name)
{
    const struct json_value *v = object == NULL ? NULL : json_child(object);

    while (v != NULL && !slice_eq(json_name(v), name))
        v = json_sibling(v);
    return v;
}

/* ---- why ---------------------------------------------------------------- */

static enum status put_purpose(const struct policy *p, unsigned i,
                               struct buf *out)
{
    const struct purpose_plan *u = &p->purposes[i];
    const struct json_value *v =
        member(json_get(json_tree_root(p->resolved), "purposes"), u->name);
    struct json_put l = json_put_begin(out, '{');

    json_put_text(&l, "name", u->name);
    json_put_text(&l, "basis", slice_of(basis_name(u->basis)));
    json_put_bool(&l, "exempt", u->exempt);
    json_put_duration(&l, "retention", u->retention);
    enum status st = json_put_copy(&l, "text", v);
    if (st == ST_OK && u->basis == BASIS_CONSENT)
        st = json_put_copy(&l, "consent", v);
    buf_put_char(out, '}');
    return st;
}

static enum status put_purposes(const struct policy *p, struct buf *out)
{
    struct json_put l = json_put_begin(out, '[');
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < p->purpose_count; i++) {
        json_put_next(&l);
        st = put_purpose(p, i, out);
    }
    buf_put_char(out, ']');
    return st;
}

static void put_purpose_names(const struct policy *p, uint16_t set,
                              struct buf *out)
{
    struct json_put l = json_put_begin(out, '[');

    for (unsigned i = 0; i < p->purpose_count; i++)
        if (((unsigned)set >> i & 1u) != 0) {
            json_put_next(&l);
            buf_put_json_string(out, p->purposes[i].name);
        }
    buf_put_char(out, ']');
}

/* ---- to whom, and what -------------------------------------------------- */

/* What leaves under this name, if it does. */
static void put_form(struct json_put *l, const char *name, const struct rule *r)
{
    if (r->kind == RULE_DROP)
        return;
    json_put_key(l, name);
    buf_put_json_string(l->out, slice_of(rule_kind_name(r->kind)));
}

static void put_fields(const struct event_plan *e, unsigned d, struct buf *out)
{
    struct json_put l = json_put_begin(out, '[');

    for (unsigned i = 0; i < e->field_count; i++) {
        const struct rule *r = &e->to[d].fields[i];
        if (r->kind == RULE_DROP)
            continue;
        json_put_next(&l);
        struct json_put field = json_put_begin(out, '{');
        json_put_text(&field, "name", r->out_name);
        json_put_text(&field, "form", slice_of(rule_kind_name(r->kind)));
        json_put_text(&field, "label", e->fields[i].label);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void put_event(const struct policy *p, const struct event_plan *e,
                      unsigned d, struct buf *out)
{
    const struct delivery_plan *to = &e->to[d];
    struct json_put l = json_put_begin(out, '{');

    json_put_text(&l, "name", e->out_name);
    json_put_text(&l, "label", e->label);
    json_put_key(&l, "purposes");
    put_purpose_names(p, to->purposes, out);
    json_put_key(&l, "identifiers");
    struct json_put ids = json_put_begin(out, '{');
    for (unsigned k = 0; k < ID_OTHER; k++)
        put_form(&ids, id_kind_name((enum id_kind)k), to->identifiers[k]);
    buf_put_char(out, '}');
    json_put_key(&l, "context");
    struct json_put context = json_put_begin(out, '{');
    for (unsigned k = 0; k < CTX_COUNT; k++)
        put_form(&context, context_key_name((enum context_key)k),
                 to->context[k]);
    buf_put_char(out, '}');
    json_put_key(&l, "fields");
    put_fields(e, d, out);
    buf_put_char(out, '}');
}

static void put_recipient(const struct policy *p, unsigned d, struct buf *out)
{
    const struct destination_plan *to = &p->destinations[d];
    struct json_put l = json_put_begin(out, '{');

    json_put_text(&l, "name", to->name);
    json_put_text(&l, "recipient", to->recipient);
    json_put_text(&l, "role", to->role);
    json_put_text(&l, "country", to->country);
    json_put_text(&l, "transfer", to->transfer);
    json_put_key(&l, "purposes");
    put_purpose_names(p, to->purposes, out);
    json_put_duration(&l, "pseudonyms_change_after", to->rotate);
    json_put_key(&l, "events");
    struct json_put events = json_put_begin(out, '[');
    for (unsigned i = 0; i < p->event_count; i++)
        if (p->events[i].to[d].purposes != 0) {
            json_put_next(&events);
            put_event(p, &p->events[i], d, out);
        }
    buf_put(out, SLICE("]}"));
}

static void put_recipients(const struct notice_view *v, struct buf *out)
{
    struct json_put l = json_put_begin(out, '[');

    for (unsigned d = 0; d < v->policy->destination_count; d++)
        if (((unsigned)v->present >> d & 1u) != 0) {
            json_put_next(&l);
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

static void put_path(struct json_put *l, const char *key, struct slice base,
                     const char *path)
{
    json_put_key(l, key);
    buf_put_char(l->out, '"');
    buf_put(l->out, base); /* of letters, digits and '-' */
    buf_printf(l->out, "%s\"", path);
}

static void put_rights(const struct notice_view *v, struct buf *out)
{
    const struct policy *p = v->policy;
    struct json_put l = json_put_begin(out, '{');

    put_path(&l, "page", v->base, "/privacy");
    put_path(&l, "opt_out", v->base, "/v1/optout");
    put_path(&l, "opt_in", v->base, "/v1/optin");
    json_put_text(&l, "gpc", slice_of(signal_word(p->gpc)));
    json_put_text(&l, "dnt", slice_of(signal_word(p->dnt)));
    json_put_key(&l, "consent_denied");
    buf_put(out, SLICE("\"deny\"}"));
}

static void put_day(struct json_put *l, const char *key, int64_t ms)
{
    char day[DAY_TEXT_MAX];

    day_format(ms, day);
    json_put_text(l, key, slice_of(day));
}

enum status notice_put(const struct notice_view *v, struct buf *out)
{
    const struct policy *p = v->policy;
    const struct json_value *root = json_tree_root(p->resolved);
    struct json_put l = json_put_begin(out, '{');

    json_put_key(&l, "notice");
    buf_put_char(out, '1');
    json_put_text(&l, "policy", p->name);
    json_put_text(&l, "version", p->version);
    json_put_text(&l, "sha256", slice_of(p->hash_text));
    put_day(&l, "since", v->since_ms);
    enum status st = json_put_copy(&l, "controller", root);
    if (st == ST_OK)
        st = json_put_copy(&l, "hosting", root);
    if (st == ST_OK)
        st = json_put_copy(&l, "subjects", root);
    json_put_key(&l, "purposes");
    if (st == ST_OK)
        st = put_purposes(p, out);
    json_put_key(&l, "recipients");
    put_recipients(v, out);
    json_put_key(&l, "gateway_keeps");
    struct json_put keeps = json_put_begin(out, '{');
    json_put_duration(&keeps, "waiting", p->keep_spool);
    json_put_duration(&keeps, "undeliverable", p->keep_dead);
    json_put_duration(&keeps, "audit_rows", p->keep_rows);
    json_put_duration(&keeps, "audit_records", p->keep_records);
    buf_put_char(out, '}');
    json_put_key(&l, "rights");
    put_rights(v, out);
    buf_put_char(out, '}');
    if (st == ST_OK && out->failed)
        st = ST_LIMIT;
    return st;
}

void notice_put_gpc(const struct notice_view *v, struct buf *out)
{
    struct json_put l = json_put_begin(out, '{');

    json_put_key(&l, "gpc");
    buf_put(out,
            v->policy->gpc != SIGNAL_IGNORE ? SLICE("true") : SLICE("false"));
    put_day(&l, "lastUpdate", v->since_ms);
    buf_put_char(out, '}');
}
