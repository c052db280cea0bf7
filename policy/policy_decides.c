#include "policy_inside.h"

#include "lethe/policy/pseudonym.h"

#include <string.h>

#define DECIDES_MAX (8u << 20) /* bytes of one (event, destination) */

/* Each text with its length before it, so that no two lists read alike. */
static void put(struct buf *b, struct slice s)
{
    buf_put_u32(b, (uint32_t)s.len);
    buf_put(b, s);
}

static void put_list(struct buf *b, const struct slice *list, unsigned count)
{
    buf_put_u32(b, count);
    for (unsigned i = 0; i < count; i++)
        put(b, list[i]);
}

static void put_duration(struct buf *b, struct duration d)
{
    buf_put_u32(b, (uint32_t)d.months);
    buf_put_u64(b, (uint64_t)d.ms);
}

static void put_double(struct buf *b, double v)
{
    buf_put_bytes(b, &v, sizeof(v));
}

static void put_purposes(struct buf *b, const struct policy *p, uint16_t set)
{
    if (set == POLICY_ALL_PURPOSES) {
        buf_put_char(b, '*');
        return;
    }
    buf_put_char(b, '(');
    for (unsigned i = 0; i < p->purpose_count; i++)
        if (set & (1u << i))
            put(b, p->purposes[i].name);
    buf_put_char(b, ')');
}

void rule_bytes(const struct policy *p, const struct rule *r, struct buf *b)
{
    buf_put_char(b, (char)('A' + (int)r->kind));
    if (r->kind == RULE_DROP)
        return;
    put_purposes(b, p, r->purposes);
    put(b, r->out_name);
    switch (r->kind) {
    case RULE_NUMBER:
        buf_printf(b, "%d%d%d%d", r->as.number.has_round, r->as.number.has_min,
                   r->as.number.has_max, r->as.number.clamp);
        put_double(b, r->as.number.round);
        put_double(b, r->as.number.min);
        put_double(b, r->as.number.max);
        buf_put_u32(b, r->as.number.bucket_count);
        for (unsigned i = 0; i < r->as.number.bucket_count; i++)
            put_double(b, r->as.number.buckets[i]);
        break;
    case RULE_ENUM:
    case RULE_EXTENSION:
        buf_printf(b, "%d%d", r->as.words.fold, r->as.words.has_other);
        put(b, r->as.words.other);
        buf_put_u32(b, r->as.words.count);
        for (unsigned i = 0; i < r->as.words.count; i++) {
            put(b, r->as.words.words[i].text);
            put(b, r->as.words.words[i].out);
        }
        break;
    case RULE_URL:
        put(b, r->as.url.has_other ? r->as.url.other : SLICE_NONE);
        buf_put_u32(b, r->as.url.count);
        for (unsigned i = 0; i < r->as.url.count; i++)
            put(b, r->as.url.paths[i]);
        break;
    case RULE_TIME:
        buf_put_u64(b, (uint64_t)r->as.time.round_ms);
        break;
    case RULE_CONSTANT:
        put(b, r->as.constant);
        break;
    case RULE_DROP:
    case RULE_BOOL:
    case RULE_HOST:
    case RULE_PSEUDONYM:
    case RULE_PLACE:
    case RULE_CLASS:
    case RULE_KIND_COUNT:
        break;
    }
}

static void put_purpose(struct buf *b, const struct purpose_plan *u)
{
    put(b, u->name);
    buf_printf(b, "%d%d%d%d%d", (int)u->basis, u->exempt, u->asserted,
               u->consent_mode_analytics, u->consent_mode_ads);
    buf_put_u32(b, u->tcf);
    buf_put_u32(b, u->tcf_interest);
    put_list(b, u->tcf_countries, u->tcf_country_count);
    put_list(b, u->app, u->app_count);
    put_duration(b, u->retention);
}

static void put_signals(struct buf *b, const struct signal_rule *list,
                        unsigned count)
{
    buf_put_u32(b, count);
    for (unsigned i = 0; i < count; i++) {
        put(b, list[i].name);
        put_list(b, list[i].is, list[i].is_count);
        buf_put_char(b, (char)('0' + (int)list[i].then));
    }
}

static void put_policy(struct buf *b, const struct policy *p)
{
    buf_printf(b, "lethe.decides.v3 %d%d%d%d%d%d", (int)p->gpc, (int)p->dnt,
               p->enforce_consent_mode, p->enforce_tcf, p->unidentified_allow,
               p->tcf_undisclosed_allow);
    put_duration(b, p->tcf_max_age);
    put(b, p->gpc_property);
    put(b, p->dnt_property);
    put(b, p->consent_property);
    put(b, p->tcf_property);
    put_signals(b, p->header_signals, p->header_signal_count);
    put_signals(b, p->field_signals, p->field_signal_count);
    put_list(b, p->optout_identifiers, p->optout_identifier_count);
    for (unsigned k = 0; k < ID_OTHER; k++)
        put_list(b, p->identifier_from[k], p->identifier_from_count[k]);
}

static void put_destination(struct buf *b, const struct destination_plan *d)
{
    put(b, d->name);
    buf_printf(b, "%d%d", (int)d->profile, d->release_boundary);
    buf_put_u32(b, d->tcf_vendor);
    buf_put_u32(b, d->bits);
    put_duration(b, d->rotate);
    buf_put_u64(b, (uint64_t)d->rotate_at_ms);
    buf_put_u32(b, d->visitor_count);
    for (unsigned i = 0; i < d->visitor_count; i++)
        buf_put_char(b, (char)('0' + (int)d->visitor[i]));
}

static void put_event(struct buf *b, const struct policy *p,
                      const struct event_plan *e, unsigned d)
{
    const struct destination_plan *dest = &p->destinations[d];
    const struct delivery_plan *to = &e->to[d];

    put(b, e->name);
    put(b, e->out_name);
    for (unsigned i = 0; i < dest->purpose_count; i++)
        if (to->purposes & (1u << dest->purpose_order[i]))
            put_purpose(b, &p->purposes[dest->purpose_order[i]]);
    for (unsigned k = 0; k < ID_OTHER; k++)
        rule_bytes(p, to->identifiers[k], b);
    for (unsigned k = 0; k < CTX_COUNT; k++)
        rule_bytes(p, to->context[k], b);
    /* Fields stand by name: the order in the file decides nothing. */
    for (unsigned i = 0; i < e->field_count; i++) {
        if (to->fields[i].kind == RULE_DROP)
            continue; /* no rule at all does the same */
        put(b, e->fields[i].path);
        rule_bytes(p, &to->fields[i], b);
    }
}

void decides_make(struct load *l)
{
    struct policy *p = l->p;
    struct buf b;
    uint8_t hash[32];

    buf_init(&b, DECIDES_MAX);
    for (unsigned i = 0; i < p->event_count; i++)
        for (unsigned d = 0; d < p->destination_count; d++) {
            buf_reset(&b);
            put_policy(&b, p);
            put_destination(&b, &p->destinations[d]);
            put_event(&b, p, &p->events[i], d);
            if (b.failed)
                l->nomem = true;
            sha256_hash(b.data, b.len, hash);
            memcpy(p->events[i].to[d].decides, hash,
                   sizeof(p->events[i].to[d].decides));
        }
    buf_free(&b);
}
