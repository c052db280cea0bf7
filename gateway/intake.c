/* intake.c - the way of an event: read this first.
 *
 *   dialect_decode    beacon          -> hits        (raw, in the arena)
 *   consent_hear_...  request, hit    -> signals around and in the event
 *   hit_add_named     hit             -> all that names a person in it
 *   ask_optouts       hit             -> on the list?
 *   consent_decide    signals, list   -> per purpose allow or deny
 *   decide            hit, consent    -> verdict     per destination
 *   minimise          hit, verdict    -> clean hit   per destination
 *   pass_put, _row    clean hit, row  -> the pass    committed as a group
 *
 * Whatever fails ends in "not forwarded, counted, audited" (law 3). */
#include "lethe/gateway/intake.h"

#include "lethe/gateway/id_cache.h"
#include "lethe/gateway/metrics.h"
#include "lethe/gateway/random.h"
#include "lethe/gateway/rights/optout.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/consent.h"
#include "lethe/policy/consent_hear.h"
#include "lethe/policy/decide.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/minimise.h"
#include "lethe/policy/naming.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A body that may hold so many events that they need a pass of their own. */
#define BATCH_BYTES 65536u
/* What one clean hit may need before it is written down as a fragment, which
 * is a sixtieth of it at most. */
#define CLEAN_ARENA_MAX (16u << 20)

struct intake {
    const struct services *services;
    struct pass *pass;
    struct id_cache *ids;
    struct sealer sealer;
    struct random_source random;
    struct world *world;
    struct arena *clean; /* one clean hit: apart from the request's, so that
                          * who is let through leaves it the same room */
    struct buf body;     /* one encoded clean hit */
    struct buf group;    /* what its upload must have in common */
    uint64_t seen;       /* newest opt-out before the pass's first lookup */
};

/* One hit on its way. */
struct taking {
    struct intake *in;
    const struct world_site *site;
    const struct beacon *beacon;
    struct arena *arena;
    const struct decoded *decoded; /* so far */
    uint64_t first_ev;             /* of the event at position 0 */
    struct consent_signals heard;  /* what the request says for all its hits */
    uint64_t ev;
    unsigned weight; /* events times destinations so far */
    bool gpc;        /* forwarded under GPC: R62 */
    unsigned tag_count;
    uint8_t tags[HIT_IDENTIFIERS_MAX][TAG_BYTES]; /* opt-out tags */
    struct hit *hit;
    struct hit_view view;
    struct verdict verdict;
    uint32_t classes;
};

struct intake *intake_new(const struct services *services)
{
    struct intake *in = calloc(1, sizeof(*in));

    if (in == NULL)
        return NULL;
    in->services = services;
    sealer_init(&in->sealer);
    random_init(&in->random);
    buf_init(&in->body, FRAGMENT_BODY_MAX);
    buf_init(&in->group, FRAGMENT_GROUP_MAX);
    in->pass = pass_new(&in->sealer);
    in->ids = id_cache_new(services->optout_key);
    in->clean = arena_new(CLEAN_ARENA_MAX);
    if (in->pass == NULL || in->ids == NULL || in->clean == NULL) {
        intake_free(in);
        return NULL;
    }
    return in;
}

void intake_free(struct intake *in)
{
    if (in == NULL)
        return;
    pass_free(in->pass);
    id_cache_free(in->ids);
    arena_free(in->clean);
    buf_wipe(&in->body);
    buf_free(&in->body);
    buf_wipe(&in->group);
    buf_free(&in->group);
    random_wipe(&in->random);
    world_unref(in->world);
    wipe(&in->sealer, sizeof(in->sealer));
    free(in);
}

enum status intake_set_world(struct intake *in, struct world *w)
{
    enum status st = pass_set_world(in->pass, w);

    if (st != ST_OK)
        return st;
    id_cache_clear(in->ids);
    world_unref(in->world);
    in->world = world_ref(w);
    return ST_OK;
}

const struct world *intake_world(const struct intake *in)
{
    return in->world;
}

/* ---- identifiers ------------------------------------------------------- */

/* Law 4: a hit is denied if any identifier in it is on the list. */
static enum optout_state ask_optouts(struct taking *t)
{
    const struct optouts *list = t->in->services->optouts;
    const struct hit *h = t->hit;
    int64_t when = h->has_time ? h->time_ms : 0;
    int64_t marked_since =
        t->beacon->received_ms - t->in->world->longest_wait_ms - OPTOUT_MARK_MS;
    enum optout_state worst = OPTOUT_NONE;

    if (optout_health_of(list) != OPTOUT_SOUND)
        return OPTOUT_CANNOT_TELL;
    if (t->beacon->optout_cookie)
        worst = OPTOUT_BY_COOKIE;
    for (unsigned i = 0; i < h->identifier_count; i++) {
        const struct identifier *id = &h->identifiers[i];
        struct id_entry *e = id_cache_find(t->in->ids, t->site, id->kind,
                                           id->exact, id->canonical);
        memcpy(t->tags[i], id_entry_tag(e), TAG_BYTES);
        switch (optout_lookup(list, t->tags[i], when, marked_since)) {
        case OPTOUT_ANSWER_OUT:
            worst = OPTOUT_LISTED;
            break;
        case OPTOUT_ANSWER_THEN:
            if (worst == OPTOUT_NONE)
                worst = OPTOUT_THEN;
            break;
        case OPTOUT_ANSWER_NO:
        default:
            break;
        }
    }
    t->tag_count = h->identifier_count;
    return worst;
}

static uint64_t subject_mark(const struct taking *t)
{
    const struct identifier *strongest = NULL;

    if (!t->in->world->subject_on)
        return 0;
    for (unsigned i = 0; i < t->hit->identifier_count; i++) {
        const struct identifier *id = &t->hit->identifiers[i];
        if (id->kind <= ID_SESSION &&
            (strongest == NULL || id->kind < strongest->kind))
            strongest = id;
    }
    return strongest == NULL
               ? 0
               : subject_mark_make(t->in->world->day_key, t->site->id,
                                   strongest->canonical);
}

/* ---- clearing ---------------------------------------------------------- */

static size_t cached_pseudonym(void *ctx, unsigned destination,
                               unsigned purpose, enum id_kind kind,
                               struct slice identifier,
                               char out[PSEUDONYM_TEXT_MAX])
{
    struct taking *t = ctx;
    const struct hit *h = t->hit;
    struct slice canonical = identifier;

    for (unsigned i = 0; i < h->identifier_count; i++)
        if (h->identifiers[i].kind == kind &&
            h->identifiers[i].exact.at == identifier.at)
            canonical = h->identifiers[i].canonical;
    struct id_entry *e =
        id_cache_find(t->in->ids, t->site, kind, identifier, canonical);
    return id_entry_pseudonym(e, t->site, t->site->to[destination], purpose,
                              kind, identifier, out);
}

static void fill_keys(struct taking *t, struct minimise_keys *keys)
{
    memset(keys, 0, sizeof(*keys));
    keys->site = t->site->id;
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        const struct world_destination *to = t->site->to[d];
        if (to == NULL)
            continue;
        keys->epoch_keys[d] = to->epoch_key;
        keys->event_keys[d] = (const uint8_t(*)[EVENT_KEY_BYTES])to->event_keys;
    }
    keys->pseudonym = cached_pseudonym;
    keys->ctx = t;
    random_take(&t->in->random, keys->fresh_id, sizeof(keys->fresh_id));
}

/* The fragment's bytes and its group: what its vendor wants once an upload,
 * or, for files, the purpose they are named by. */
static enum status encode(struct taking *t, const struct clean_hit *clean,
                          struct fragment *f)
{
    const struct world_destination *to = t->site->to[clean->destination];
    const struct policy *p = t->site->policy;
    struct intake *in = t->in;

    buf_reset(&in->body);
    buf_reset(&in->group);
    wire_encode(destination_wire(to->conf->type), clean, p, &in->group,
                &in->body);
    f->body = buf_slice(&in->body);
    f->group = to->conf->type == DESTINATION_JSONL
                   ? p->purposes[clean->purpose].name
                   : buf_slice(&in->group);
    return in->body.failed || in->group.failed ? ST_LIMIT : ST_OK;
}

static enum status put_fragment(struct taking *t, const struct clean_hit *clean)
{
    const struct world_destination *to = t->site->to[clean->destination];
    struct fragment f = {
        .ev = t->ev,
        .expires_ms = clean->expires_ms,
        .optout_seen = t->in->seen,
        .rule = clean->rule,
        .source = t->hit->source,
        .gpc = t->gpc,
        .tag_count = t->tag_count,
    };

    memcpy(f.decides, clean->decides, sizeof(f.decides));
    for (unsigned i = 0; i < t->tag_count; i++) {
        const struct identifier *id = &t->hit->identifiers[i];
        struct id_entry *e = id_cache_find(t->in->ids, t->site, id->kind,
                                           id->exact, id->canonical);
        id_entry_sweep(e, to, f.tags[i]);
    }
    enum status st = encode(t, clean, &f);
    if (st != ST_OK)
        return st;
    return pass_put(t->in->pass, t->site, clean->destination, clean, &f);
}

static void drop_too_large(struct verdict *v, unsigned d)
{
    v->cleared = (uint16_t)(v->cleared & ~(1u << d));
    v->to[d].cleared = false;
    v->to[d].reason = REASON_TOO_LARGE;
}

/* Minimise for one destination. What does not fit is not forwarded, and the
 * request is answered as ever: only events of people who are let through get
 * this far, so any other answer would tell of them (law 10). */
static void clear_for(struct taking *t, unsigned d,
                      const struct minimise_keys *keys)
{
    struct arena *room = t->in->clean;
    struct clean_hit clean;
    enum status st = minimise(t->site->policy, t->hit, &t->view, &t->verdict, d,
                              keys, t->beacon->received_ms, room, &clean);

    if (st == ST_OK)
        st = put_fragment(t, &clean);
    if (st == ST_OK)
        t->classes |= clean.classes;
    else
        drop_too_large(&t->verdict, d);
    if (arena_is_large(room))
        arena_trim(room);
    else
        arena_reset(room);
}

static void clear_all(struct taking *t)
{
    struct minimise_keys keys;
    uint16_t cleared = t->verdict.cleared;

    if (cleared == 0)
        return;
    hit_view_make(t->verdict.event, t->hit, &t->view);
    t->classes |= t->view.classes;
    metrics_unknown_fields(t->site->metrics, t->view.unknown_fields);
    fill_keys(t, &keys);
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++)
        if (((unsigned)cleared >> d & 1u) != 0)
            clear_for(t, d, &keys);
    wipe(&keys, sizeof(keys));
}

/* ---- rows -------------------------------------------------------------- */

/* Rows of the denied destinations, one for each (rule, reason); the first of
 * them carries the event itself if nothing was cleared. */
static enum status denied_rows(struct taking *t, struct audit_row *row)
{
    uint16_t left = (uint16_t)(t->site->present & ~t->verdict.cleared);
    enum status st = ST_OK;

    while (left != 0 && st == ST_OK) {
        unsigned first = (unsigned)__builtin_ctz(left);
        const struct destination_verdict *v = &t->verdict.to[first];
        uint16_t alike = 0;
        for (unsigned d = first; d < POLICY_DESTINATIONS_MAX; d++)
            if (((unsigned)left >> d & 1u) != 0 &&
                t->verdict.to[d].rule == v->rule &&
                t->verdict.to[d].reason == v->reason)
                alike = (uint16_t)(alike | 1u << d);
        row->act = ACT_DROPPED;
        row->reason = v->reason;
        row->rule = v->rule;
        row->destinations = alike;
        row->classes = 0;
        st = pass_row(t->in->pass, t->site, row);
        left = (uint16_t)(left & ~alike);
    }
    return st;
}

static enum status put_rows(struct taking *t)
{
    struct audit_row row = {
        .source = t->hit->source, .ev = t->ev, .sub = subject_mark(t)};
    enum status st = ST_OK;

    if (t->verdict.cleared != 0) {
        unsigned first = (unsigned)__builtin_ctz(t->verdict.cleared);
        row.act = t->classes == 0 ? ACT_CLEARED : ACT_MINIMISED;
        row.reason = REASON_NONE;
        row.rule = t->verdict.to[first].rule;
        row.destinations = t->verdict.cleared;
        row.classes = t->classes;
        st = pass_row(t->in->pass, t->site, &row);
    } else if (t->site->present == 0) {
        row.act = ACT_DROPPED;
        row.reason = REASON_NO_DESTINATION;
        st = pass_row(t->in->pass, t->site, &row);
    }
    return st == ST_OK ? denied_rows(t, &row) : st;
}

static void count_verdict(const struct taking *t)
{
    unsigned site = t->site->metrics;

    if (t->verdict.event == NULL)
        metrics_event(site, METRICS_DESTINATIONS_MAX, OUTCOME_DROPPED,
                      REASON_UNKNOWN_EVENT, 1);
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        if (((unsigned)t->site->present >> d & 1u) == 0)
            continue;
        if (((unsigned)t->verdict.cleared >> d & 1u) != 0)
            metrics_event(site, d, OUTCOME_CLEARED, REASON_NONE, 1);
        else
            metrics_event(site, d, OUTCOME_DROPPED, t->verdict.to[d].reason, 1);
    }
}

/* ---- the six steps ----------------------------------------------------- */

static enum status take_hit(void *ctx, struct hit *h)
{
    struct taking *t = ctx;
    const struct policy *p = t->site->policy;
    struct consent consent;

    t->hit = h;
    t->classes = 0;
    t->tag_count = 0;
    t->ev = t->first_ev + t->decoded->received;
    t->weight += t->site->present == 0
                     ? 1
                     : (unsigned)__builtin_popcount(t->site->present);
    if (t->weight > PASS_FRAGMENTS_MAX)
        return ST_LIMIT;
    consent_hear_all(&h->signals, &t->heard);
    consent_hear_fields(p, h->fields, &h->signals);
    t->gpc = h->signals.gpc;
    enum status st = hit_add_named(p, h, &t->view, t->arena);
    if (st == ST_OK) {
        consent_decide(p, &h->signals, t->beacon->received_ms, ask_optouts(t),
                       &consent);
        decide(p, h, &consent, t->site->present, t->beacon->received_ms,
               &t->verdict);
        clear_all(t);
        st = put_rows(t);
    }
    if (st == ST_OK) {
        count_verdict(t);
        metrics_consent(t->site->metrics, consent.heard, consent.opened);
    }
    wipe(t->tags, sizeof(t->tags));
    return st;
}

enum status intake_collect(struct intake *in, const struct world_site *s,
                           struct dialect_call *call, struct reply *out_reply,
                           uint64_t *out_receipt)
{
    struct taking t = {.in = in,
                       .site = s,
                       .beacon = call->beacon,
                       .arena = call->arena,
                       .decoded = &call->decoded};
    struct pass_point before;

    if (intake_is_empty(in))
        in->seen = optout_newest(in->services->optouts, NULL);
    /* Never 0, which is none, and with room to count up. */
    t.first_ev = (random_u64(&in->random) >> 1) + 1;
    enum status st =
        consent_hear_request(s->policy, call->beacon, call->arena, &t.heard);
    if (st != ST_OK)
        return st;
    pass_mark(in->pass, s->index, &before);
    st = dialect_decode(call, take_hit, &t);
    if (st == ST_OK) {
        /* Law 11: events that were not understood beside others that were. */
        for (unsigned i = call->decoded.understood; i < call->decoded.received;
             i++)
            pass_refused(in->pass, s->index, 400);
        dialect_reply(call, out_reply);
        *out_receipt = t.first_ev;
    } else
        pass_undo(in->pass, s->index, &before);
    return st;
}

void intake_refused(struct intake *in, unsigned site, int status)
{
    pass_refused(in->pass, site, status);
}

bool intake_has_room(const struct intake *in, size_t body_len)
{
    return pass_is_empty(in->pass) ||
           (body_len <= BATCH_BYTES && !pass_is_large(in->pass));
}

bool intake_is_empty(const struct intake *in)
{
    return pass_is_empty(in->pass);
}

enum status intake_seal(struct intake *in, bool refusals_too,
                        struct group **out)
{
    return pass_seal(in->pass,
                     in->services->clock->wall_ms(in->services->clock->ctx),
                     in->seen, refusals_too, out);
}
