/* minimise.c - where personal data becomes clean data. Whatever is not put
 * into the clean hit here has no other way out. */
#include "lethe/policy/minimise.h"

#include "lethe/policy/hit.h"
#include "lethe/policy/rules.h"

#include <assert.h>
#include <string.h>

static const enum audit_class context_classes[CTX_COUNT] = {
    [CTX_IP] = CLASS_ADDRESS,
    [CTX_PLACE] = CLASS_PLACE,
    [CTX_USER_AGENT] = CLASS_USER_AGENT,
    [CTX_LANGUAGE] = CLASS_LANGUAGE,
    [CTX_SCREEN] = CLASS_SCREEN,
    [CTX_URL] = CLASS_URL,
    [CTX_REFERRER] = CLASS_REFERRER,
    [CTX_CAMPAIGN] = CLASS_CAMPAIGN,
    [CTX_TITLE] = CLASS_TITLE,
    [CTX_TIME] = CLASS_TIME,
};

static uint32_t bit(enum audit_class class)
{
    return UINT32_C(1) << class;
}

static struct pseudonym_scope scope_of(const struct rule_scope *s)
{
    return (struct pseudonym_scope){s->keys->site,
                                    s->p->destinations[s->destination].name,
                                    s->p->purposes[s->purpose].name};
}

static bool for_other_purpose(const struct rule_scope *s, const struct rule *r)
{
    return (r->purposes >> s->purpose & 1u) == 0;
}

/* The pseudonym's text in the arena; SLICE_NONE when that is full. */
static struct slice make_pseudonym(const struct rule_scope *s,
                                   enum id_kind kind, struct slice identifier)
{
    char *text = arena_alloc(s->a, PSEUDONYM_TEXT_MAX);
    unsigned d = s->destination;
    size_t len;

    if (text == NULL)
        return SLICE_NONE;
    if (s->keys->pseudonym != NULL) {
        len = s->keys->pseudonym(s->keys->ctx, d, s->purpose, kind, identifier,
                                 text);
    } else {
        struct pseudonym_scope scope = scope_of(s);
        len = pseudonym_make(s->keys->epoch_keys[d], &scope, kind, identifier,
                             s->p->destinations[d].bits, SHAPE_BASE32, text);
    }
    assert(len > 0 && len <= PSEUDONYM_TEXT_MAX);
    return (struct slice){text, len};
}

static const struct identifier *find_identifier(const struct hit *h,
                                                enum id_kind kind)
{
    for (unsigned i = 0; i < h->identifier_count; i++) {
        if (h->identifiers[i].kind == kind && h->identifiers[i].exact.len > 0)
            return &h->identifiers[i];
    }
    return NULL;
}

enum fate identifier_apply(const struct rule_scope *s, const struct rule *r,
                           const struct hit *h, enum id_kind kind,
                           struct slice *out)
{
    const struct identifier *id = find_identifier(h, kind);

    *out = SLICE_NONE;
    if (id == NULL || r == NULL || r->kind != RULE_PSEUDONYM || s->anonymous)
        return FATE_RULE;
    if (for_other_purpose(s, r))
        return FATE_PURPOSE;
    *out = make_pseudonym(s, kind, id->exact);
    return out->at == NULL ? FATE_NOMEM : FATE_CHANGED;
}

/* A field's value as an identifier of its own kind: the path goes in, so that
 * two fields of one text are two pseudonyms (R23). */
static enum fate pseudonym_field(const struct rule_scope *s,
                                 const struct rule *r, struct slice path,
                                 struct raw_value v, struct clean_value *out)
{
    char *message;

    if (s->anonymous)
        return FATE_RULE;
    if ((v.type != JSON_STRING && v.type != JSON_NUMBER) || v.text.len == 0)
        return FATE_TYPE;
    message = arena_alloc(s->a, 2 + path.len + v.text.len);
    if (message == NULL)
        return FATE_NOMEM;
    message[0] = (char)(path.len >> 8);
    message[1] = (char)path.len;
    memcpy(message + 2, path.at, path.len);
    memcpy(message + 2 + path.len, v.text.at, v.text.len);
    *out = (struct clean_value){.name = r->out_name, .type = CLEAN_STRING};
    out->text = make_pseudonym(
        s, ID_OTHER, (struct slice){message, 2 + path.len + v.text.len});
    return out->text.at == NULL ? FATE_NOMEM : FATE_CHANGED;
}

static enum fate value_apply(const struct rule_scope *s, const struct rule *r,
                             struct slice path, const struct json_node *n,
                             struct clean_value *out)
{
    struct raw_value v = {n->type, n->text};

    if (r->kind == RULE_PSEUDONYM)
        return pseudonym_field(s, r, path, v, out);
    return rule_apply(r, v, s->a, out);
}

/* The elements that feed one field, as far as the list may be read. */
struct elements {
    const struct json_node *at[MINIMISE_LIST_MAX];
    unsigned count;
    bool more;
    int field;
    unsigned rank;
};

static void collect_one(struct elements *e, const struct json_node *n)
{
    if (e->count == MINIMISE_LIST_MAX) {
        e->more = true;
        return;
    }
    e->at[e->count++] = n;
}

/* Every value below `object` that feeds e->field from the place of rank
 * e->rank: the slots of the table lead the way. */
static void collect(struct elements *e, const struct key_table *t,
                    const struct json_node *n)
{
    if (t->of_elements && n->type == JSON_ARRAY) {
        struct key_table each = *t;

        each.of_elements = false;
        for (const struct json_node *c = json_first(n); c != NULL && !e->more;
             c = json_next(n, c))
            collect(e, &each, c);
        return;
    }
    if (t->of_elements || n->type != JSON_OBJECT)
        return;
    for (unsigned i = 0; i <= t->mask; i++) {
        const struct key_slot *slot = &t->slots[i];
        const struct json_node *c;

        if (slot->key.at == NULL ||
            (slot->inside == NULL &&
             (slot->field != e->field || slot->rank != e->rank)))
            continue;
        c = json_member(n, slot->key);
        if (c == NULL || c->type == JSON_NULL)
            continue;
        if (slot->inside != NULL)
            collect(e, slot->inside, c);
        else
            collect_one(e, c);
    }
}

static void collect_plain(struct elements *e, const struct json_node *list)
{
    for (const struct json_node *c = json_first(list); c != NULL && !e->more;
         c = json_next(list, c))
        collect_one(e, c);
}

/* A list is worth sending while one element is; the fate tells the worst that
 * befell any of them. */
static enum fate list_apply(const struct rule_scope *s, const struct rule *r,
                            struct slice path, const struct elements *e,
                            struct clean_value *out)
{
    struct clean_value *items =
        arena_alloc(s->a, (e->count + 1) * sizeof *items);
    enum fate all = e->more ? FATE_CHANGED : FATE_SENT;
    enum fate worst = FATE_TYPE;
    unsigned n = 0;

    if (items == NULL)
        return FATE_NOMEM;
    for (unsigned i = 0; i < e->count; i++) {
        enum fate f = value_apply(s, r, path, e->at[i], &items[n]);

        if (f == FATE_NOMEM)
            return f;
        if (fate_sends(f))
            items[n++].name = SLICE_NONE;
        else
            worst = f;
        if (f != FATE_SENT)
            all = FATE_CHANGED;
    }
    *out = (struct clean_value){.name = r->out_name, .type = CLEAN_LIST};
    out->items = items;
    out->item_count = n;
    return n > 0 ? all : worst;
}

enum fate field_apply(const struct rule_scope *s,
                      const struct event_plan *event,
                      const struct hit_view *view, unsigned field,
                      struct clean_value *out)
{
    const struct rule *r = &event->to[s->destination].fields[field];
    const struct field_plan *plan = &event->fields[field];
    const struct json_node *n = view->values[field];
    const struct key_table *list = view->lists[field];
    struct elements e;

    if (r->kind == RULE_DROP)
        return FATE_RULE;
    if (for_other_purpose(s, r))
        return FATE_PURPOSE;
    if (!plan->many)
        return list != NULL ? FATE_TYPE : value_apply(s, r, plan->path, n, out);
    if (n->type != JSON_ARRAY)
        return FATE_TYPE;
    e.count = 0;
    e.more = false;
    e.field = (int)field;
    e.rank = view->ranks[field];
    if (list != NULL)
        collect(&e, list, n);
    else
        collect_plain(&e, n);
    return list_apply(s, r, plan->path, &e, out);
}

/* What pseudonym_field() would take. */
static bool is_identifier(const struct json_node *n)
{
    return (n->type == JSON_STRING || n->type == JSON_NUMBER) &&
           n->text.len > 0;
}

bool hit_view_texts(const struct event_plan *event, const struct hit_view *view,
                    unsigned field, struct slice *out, unsigned max,
                    unsigned *out_count)
{
    const struct json_node *n = view->values[field];
    struct elements e = {.field = (int)field, .rank = view->ranks[field]};

    *out_count = 0;
    if (n == NULL)
        return false;
    if (!event->fields[field].many)
        collect_one(&e, n);
    else if (n->type == JSON_ARRAY && view->lists[field] != NULL)
        collect(&e, view->lists[field], n);
    else if (n->type == JSON_ARRAY)
        collect_plain(&e, n);
    for (unsigned i = 0; i < e.count; i++) {
        if (!is_identifier(e.at[i]))
            continue;
        if (*out_count == max)
            return true;
        out[(*out_count)++] = e.at[i]->text;
    }
    return e.more;
}

enum fate context_apply(const struct rule_scope *s, const struct rule *r,
                        struct slice value, struct clean_value *out)
{
    if (r == NULL || r->kind == RULE_DROP)
        return FATE_RULE;
    if (for_other_purpose(s, r))
        return FATE_PURPOSE;
    return rule_apply(r, (struct raw_value){JSON_STRING, value}, s->a, out);
}

static uint32_t field_class(const struct rule *r, enum fate f)
{
    if (f == FATE_SENT)
        return 0;
    if (f == FATE_TYPE)
        return bit(CLASS_WRONG_TYPE);
    switch (r->kind) {
    case RULE_NUMBER:
        return bit(CLASS_NUMBER);
    case RULE_EXTENSION:
        return bit(CLASS_FILE_NAME);
    case RULE_URL:
    case RULE_HOST:
        return bit(CLASS_URL);
    case RULE_TIME:
        return bit(CLASS_TIME);
    case RULE_PSEUDONYM:
        return bit(CLASS_IDENTIFIER);
    case RULE_CLASS:
        return bit(CLASS_USER_AGENT);
    case RULE_PLACE:
        return bit(CLASS_PLACE);
    case RULE_DROP:
    case RULE_BOOL:
    case RULE_ENUM:
    case RULE_CONSTANT:
    case RULE_KIND_COUNT:
        break;
    }
    return bit(CLASS_VALUE);
}

static enum status put_fields(const struct rule_scope *s,
                              const struct event_plan *event,
                              const struct hit_view *view,
                              struct clean_hit *out)
{
    struct clean_value *fields =
        arena_alloc(s->a, event->field_count * sizeof *fields);
    unsigned n = 0;

    if (fields == NULL)
        return ST_NOMEM;
    for (unsigned i = 0; i < event->field_count; i++) {
        enum fate f;

        if (view->values[i] == NULL)
            continue;
        f = field_apply(s, event, view, i, &fields[n]);
        if (f == FATE_NOMEM)
            return ST_NOMEM;
        n += fate_sends(f);
        out->classes |= field_class(&event->to[s->destination].fields[i], f);
    }
    out->fields = fields;
    out->field_count = n;
    return ST_OK;
}

static enum status put_context(const struct rule_scope *s,
                               const struct delivery_plan *to,
                               const struct hit *h, struct clean_hit *out)
{
    for (unsigned k = 0; k < CTX_COUNT; k++) {
        enum fate f = FATE_RULE;

        out->context[k].name = SLICE_NONE;
        if (k == CTX_TIME || h->context[k].len == 0)
            continue;
        f = context_apply(s, to->context[k], h->context[k], &out->context[k]);
        if (f == FATE_NOMEM)
            return ST_NOMEM;
        if (!fate_sends(f))
            out->context[k].name = SLICE_NONE;
        if (f != FATE_SENT)
            out->classes |= bit(context_classes[k]);
    }
    return ST_OK;
}

static enum status put_identifiers(const struct rule_scope *s,
                                   const struct delivery_plan *to,
                                   const struct hit *h, struct clean_hit *out)
{
    const struct destination_plan *dest = &s->p->destinations[s->destination];

    for (unsigned k = 0; k < ID_COUNT; k++) {
        out->ids[k] = SLICE_NONE;
        if (k == ID_OTHER) /* looked up for opt-outs, never sent */
            continue;
        if (identifier_apply(s, to->identifiers[k], h, (enum id_kind)k,
                             &out->ids[k]) == FATE_NOMEM)
            return ST_NOMEM;
    }
    out->visitor = SLICE_NONE;
    for (unsigned i = 0; i < dest->visitor_count && out->visitor.at == NULL;
         i++)
        out->visitor = out->ids[dest->visitor[i]];
    return ST_OK;
}

static enum status put_event_id(const struct rule_scope *s, const struct hit *h,
                                struct clean_hit *out)
{
    unsigned d = s->destination;
    struct slice own = h->client_id;
    char *text = arena_alloc(s->a, EVENT_ID_TEXT_BYTES);

    if (text == NULL)
        return ST_NOMEM;
    if (own.len == 0)
        own = (struct slice){(const char *)s->keys->fresh_id,
                             sizeof s->keys->fresh_id};
    if (s->keys->event_keys[d] != NULL) {
        event_id_of(s->keys->event_keys[d][s->purpose], own, text);
    } else {
        struct pseudonym_scope scope = scope_of(s);
        event_id_make(s->keys->epoch_keys[d], &scope, own, text);
    }
    out->event_id = (struct slice){text, EVENT_ID_TEXT_BYTES};
    return ST_OK;
}

/* An event cannot come from the future: such a clock is wrong, and its time
 * would be a number of the client's choosing. */
static int64_t event_time(const struct hit *h, int64_t now_ms)
{
    return h->has_time && h->time_ms < now_ms ? h->time_ms : now_ms;
}

static void put_time(const struct rule_scope *s, const struct rule *r,
                     const struct hit *h, int64_t now_ms, struct clean_hit *out)
{
    out->has_time =
        r != NULL && r->kind == RULE_TIME && !for_other_purpose(s, r);
    out->time_ms = 0;
    if (out->has_time)
        out->time_ms = time_floor(event_time(h, now_ms), r->as.time.round_ms);
    if (h->has_time && (!out->has_time || out->time_ms != h->time_ms))
        out->classes |= bit(CLASS_TIME);
}

/* The calendar is asked only where the purpose's retention could end before
 * the spool's; no month is under 28 days. */
static int64_t expiry(const struct rule_scope *s, const struct hit *h,
                      int64_t now_ms)
{
    struct duration keep = s->p->purposes[s->purpose].retention;
    int64_t spool = duration_after(now_ms, s->p->keep_spool);
    int64_t when = event_time(h, now_ms);
    int64_t end;

    if (when < 0)
        when = 0;
    if (when + keep.months * 28 * MS_PER_DAY + keep.ms >= spool)
        return spool;
    end = duration_after(when, keep);
    return end < spool ? end : spool;
}

enum status minimise(const struct policy *p, const struct hit *h,
                     const struct hit_view *view, const struct verdict *v,
                     unsigned d, const struct minimise_keys *keys,
                     int64_t now_ms, struct arena *a, struct clean_hit *out)
{
    const struct event_plan *event = v->event;
    struct rule_scope s = {
        p, keys, d, v->to[d].purpose, a, h->signals.anonymous};
    struct clean_hit clean;
    enum status st;

    assert(event != NULL && d < p->destination_count && v->to[d].cleared);
    clean.destination = d;
    clean.purpose = s.purpose;
    clean.rule = v->to[d].rule;
    clean.event = event->out_name;
    clean.classes = view->classes;
    clean.decides = event->to[d].decides;
    clean.expires_ms = expiry(&s, h, now_ms);
    put_time(&s, event->to[d].context[CTX_TIME], h, now_ms, &clean);
    st = put_identifiers(&s, &event->to[d], h, &clean);
    if (st == ST_OK)
        st = put_event_id(&s, h, &clean);
    if (st == ST_OK)
        st = put_context(&s, &event->to[d], h, &clean);
    if (st == ST_OK)
        st = put_fields(&s, event, view, &clean);
    if (st == ST_OK)
        *out = clean;
    return st;
}
