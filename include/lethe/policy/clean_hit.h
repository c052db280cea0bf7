/* clean_hit.h - a minimised event for one destination: the only form that may
 * be stored or sent (law 2). Made by minimise.c alone. Every text in it is a
 * constant of the policy, a number's rounded text or a pseudonym. */
#ifndef LETHE_POLICY_CLEAN_HIT_H
#define LETHE_POLICY_CLEAN_HIT_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/ids.h"
#include "lethe/policy/policy.h"

enum clean_type { CLEAN_STRING, CLEAN_NUMBER, CLEAN_BOOL, CLEAN_LIST };

struct clean_value {
    struct slice name; /* that leaves */
    enum clean_type type;
    bool truth;                      /* CLEAN_BOOL */
    struct slice text;               /* CLEAN_STRING, CLEAN_NUMBER */
    const struct clean_value *items; /* CLEAN_LIST; their names are empty */
    unsigned item_count;
};

struct clean_hit {
    unsigned destination; /* index in the policy */
    unsigned purpose;     /* index in the policy */
    uint16_t rule;        /* the rule that cleared it */
    struct slice event;   /* name that leaves */
    bool has_time;
    int64_t time_ms;            /* rounded */
    struct slice ids[ID_COUNT]; /* pseudonyms; SLICE_NONE where dropped */
    struct slice visitor;       /* the vendor's main id, or SLICE_NONE */
    struct slice event_id;      /* EVENT_ID_TEXT_BYTES */
    struct clean_value context[CTX_COUNT]; /* name SLICE_NONE where dropped */
    const struct clean_value *fields;
    unsigned field_count;
    uint32_t classes;       /* enum audit_class bits: what was stripped */
    const uint8_t *decides; /* 8 bytes: delivery_plan.decides */
    int64_t expires_ms;     /* keep_spool after receipt; capped by purpose */
};

/* The plain wire form: one JSON object without a newline, in Mixbot's own
 * field order: {"timestamp","session_id","action","details":{...}, then
 * "user_id","device_id","group_id","context","purpose","id"} with absent
 * parts left out ("details" is always there). Appends to `out`; check
 * out->failed. jsonl, sqlite and http destinations store exactly this. */
void clean_hit_encode_plain(const struct clean_hit *c, const struct policy *p,
                            struct buf *out);

/* The value as JSON, without its name. Appends to `b`; check b->failed. */
void clean_value_put(struct buf *b, const struct clean_value *v);

#endif
