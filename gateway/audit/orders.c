#include "orders.h"

#include <stdio.h>
#include <string.h>

const char *prune_layer_name(enum prune_layer layer)
{
    return layer == PRUNE_ROWS ? "rows" : "records";
}

void orders_init(struct audit_orders *o)
{
    memset(o, 0, sizeof(*o));
    for (unsigned i = 0; i < PRUNE_LAYERS; i++)
        o->newest[i].index = ORDER_NONE;
}

static bool copy_text(struct slice s, char *out, size_t size)
{
    if (s.at == NULL || s.len >= size)
        return false;
    memcpy(out, s.at, s.len);
    out[s.len] = '\0';
    return true;
}

/* ---- policies -------------------------------------------------------------
 */

static bool read_keep(struct slice d, const char *key, char *text,
                      struct duration *out)
{
    struct slice s = field_after(d, key);

    return s.at != NULL && copy_text(field_text(s), text, PRUNE_KEEP_MAX) &&
           duration_parse(slice_of(text), out) == ST_OK;
}

static void drop_keep(struct audit_orders *o, unsigned at)
{
    o->keep_count--;
    memmove(&o->keeps[at], &o->keeps[at + 1],
            (o->keep_count - at) * sizeof(o->keeps[0]));
}

static void take_policy(struct audit_orders *o, uint64_t index, struct slice d)
{
    struct slice keep = field_after(d, "\"keep\":{");
    struct audit_keep k = {.index = index};

    (void)copy_text(field_text(field_after(d, "\"site\":\"")), k.site,
                    sizeof(k.site));
    k.known = read_keep(keep, "\"rows\":\"", k.text[PRUNE_ROWS],
                        &k.time[PRUNE_ROWS]) &&
              read_keep(keep, "\"records\":\"", k.text[PRUNE_RECORDS],
                        &k.time[PRUNE_RECORDS]);
    for (unsigned i = 0; i < o->keep_count; i++)
        if (strcmp(o->keeps[i].site, k.site) == 0)
            drop_keep(o, i);
    if (o->keep_count == KEEPS_MAX)
        drop_keep(o, 0);
    o->keeps[o->keep_count++] = k;
}

/* A reload wrote a policy.load for each of its `sites`: what is older is of
 * sites that are gone, or of names that are. */
static void take_config(struct audit_orders *o, struct slice d)
{
    uint64_t sites = field_number(field_after(d, "\"sites\":"));

    while (o->keep_count > sites)
        drop_keep(o, 0);
}

const struct audit_keep *orders_cutoff(const struct audit_orders *o,
                                       enum prune_layer layer, int64_t now_ms,
                                       int64_t *out_cutoff)
{
    const struct audit_keep *longest = NULL;

    for (unsigned i = 0; i < o->keep_count; i++) {
        const struct audit_keep *k = &o->keeps[i];
        if (!k->known)
            return NULL;
        int64_t cutoff = duration_before(now_ms, k->time[layer]);
        if (longest == NULL || cutoff < *out_cutoff) {
            longest = k;
            *out_cutoff = cutoff;
        }
    }
    return longest;
}

/* ---- holds ----------------------------------------------------------------
 */

static void drop_hold(struct audit_orders *o, unsigned at)
{
    o->hold_count--;
    memmove(&o->holds[at], &o->holds[at + 1],
            (o->hold_count - at) * sizeof(o->holds[0]));
}

static void take_lift(struct audit_orders *o, uint64_t index, const char *id)
{
    for (unsigned i = 0; i < o->hold_count; i++)
        if (strcmp(o->holds[i].id, id) == 0 &&
            o->holds[i].lifted_index == UINT64_MAX)
            o->holds[i].lifted_index = index;
}

static void take_hold(struct audit_orders *o, uint64_t index, int64_t t_ms,
                      struct slice why, struct slice d)
{
    struct slice to = field_after(d, "\"to\":\"");
    struct audit_hold h = {
        .set_ms = t_ms, .set_index = index, .lifted_index = UINT64_MAX};

    if (!copy_text(field_text(field_after(d, "\"id\":\"")), h.id, sizeof(h.id)))
        return;
    if (slice_eq(field_text(field_after(d, "\"state\":\"")), SLICE("lift"))) {
        take_lift(o, index, h.id);
        return;
    }
    (void)copy_text(why, h.why, sizeof(h.why));
    h.from_ms = field_time(field_after(d, "\"from\":\""));
    h.to_ms = to.at != NULL ? field_time(to) : HOLD_OPEN;
    for (unsigned i = 0; o->hold_count == AUDIT_HOLDS_MAX && i < o->hold_count;
         i++)
        if (o->holds[i].lifted_index != UINT64_MAX)
            drop_hold(o, i);
    if (o->hold_count < AUDIT_HOLDS_MAX)
        o->holds[o->hold_count++] = h;
}

static bool stands(const struct audit_hold *h, uint64_t signed_size)
{
    return h->lifted_index == UINT64_MAX ||
           (signed_size != SIGNED_ALL && h->lifted_index >= signed_size);
}

bool orders_held(const struct audit_orders *o, uint64_t signed_size,
                 int64_t from_ms, int64_t to_ms)
{
    for (unsigned i = 0; i < o->hold_count; i++)
        if (stands(&o->holds[i], signed_size) && o->holds[i].from_ms <= to_ms &&
            o->holds[i].to_ms >= from_ms)
            return true;
    return false;
}

unsigned orders_holds(const struct audit_orders *o, uint64_t signed_size,
                      struct audit_hold out[AUDIT_HOLDS_MAX])
{
    unsigned n = 0;

    for (unsigned i = 0; i < o->hold_count; i++)
        if (stands(&o->holds[i], signed_size))
            out[n++] = o->holds[i];
    return n;
}

uint64_t orders_floor(const struct audit_orders *o, uint64_t signed_size)
{
    uint64_t floor = UINT64_MAX;

    for (unsigned i = 0; i < o->keep_count; i++)
        if (o->keeps[i].index < floor)
            floor = o->keeps[i].index;
    for (unsigned i = 0; i < o->hold_count; i++)
        if (stands(&o->holds[i], signed_size) && o->holds[i].set_index < floor)
            floor = o->holds[i].set_index;
    return floor;
}

/* ---- what goes ------------------------------------------------------------
 */

static void take_prune(struct audit_orders *o, uint64_t index, struct slice d)
{
    struct slice layer = field_text(field_after(d, "\"layer\":\""));
    struct audit_order order = {
        .index = index,
        .from = field_number(field_after(d, "\"from\":")),
        .to = field_number(field_after(d, "\"to\":")),
    };

    field_counts(field_after(d, "\"cum1\":{"), &order.cum1);
    for (unsigned i = 0; i < PRUNE_LAYERS; i++)
        if (slice_eq(layer, slice_of(prune_layer_name(i))))
            o->newest[i] = order;
}

void orders_take(struct audit_orders *o, uint64_t index, int64_t t_ms,
                 struct slice act, struct slice why, struct slice d)
{
    if (slice_eq(act, SLICE("policy.load")))
        take_policy(o, index, d);
    else if (slice_eq(act, SLICE("gate.start")))
        o->keep_count = 0; /* each site's policy follows */
    else if (slice_eq(act, SLICE("config.load")))
        take_config(o, d);
    else if (slice_eq(act, SLICE("audit.hold")))
        take_hold(o, index, t_ms, why, d);
    else if (slice_eq(act, SLICE("audit.prune")))
        take_prune(o, index, d);
}

void orders_take_line(struct audit_orders *o, struct slice line)
{
    orders_take(o, field_number(field_after(line, "\"i\":")),
                field_time(field_after(line, "\"t\":\"")),
                field_text(field_after(line, "\"act\":\"")),
                field_text(field_after(line, "\"why\":\"")),
                field_after(line, "\"d\":"));
}
