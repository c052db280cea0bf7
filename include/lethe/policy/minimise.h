/* minimise.h - apply a verdict to a hit: the one place where personal data
 * becomes clean data. R1-R18, policy-language.md "Rules". */
#ifndef LETHE_POLICY_MINIMISE_H
#define LETHE_POLICY_MINIMISE_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/clean_hit.h"
#include "lethe/policy/pseudonym.h"
#include "lethe/policy/verdict.h"

struct hit;

/* Makes the pseudonym of one identifier; a door for the worker's cache. Must
 * equal pseudonym_make() with the destination's keys. Returns the text's
 * length. */
typedef size_t pseudonym_fn(void *ctx, unsigned destination, unsigned purpose,
                            enum id_kind kind, struct slice identifier,
                            char out[PSEUDONYM_TEXT_MAX]);

struct minimise_keys {
    struct slice site;
    const uint8_t *epoch_keys[POLICY_DESTINATIONS_MAX]; /* KEY_BYTES each */
    pseudonym_fn *pseudonym; /* NULL: pseudonym_make() directly */
    void *ctx;
    uint8_t fresh_id[16]; /* used where the client gave no event id */
    /* By destination: the event keys of its purposes (event_key_make()), one
     * a purpose of the policy; NULL: made anew for each event, which costs a
     * BLAKE2b. */
    const uint8_t (*event_keys[POLICY_DESTINATIONS_MAX])[EVENT_KEY_BYTES];
};

/* What every destination shares: fields found once, unknown ones counted. */
struct hit_view {
    const struct json_node *values[POLICY_FIELDS_MAX]; /* NULL: absent */
    uint8_t ranks[POLICY_FIELDS_MAX];
    unsigned unknown_fields; /* keys without a field: dropped (R9) */
    uint32_t classes;        /* enum audit_class bits seen on the hit */
    /* For a value read through "[]": the table of its elements, and values[]
     * holds the outermost list; else NULL. */
    const struct key_table *lists[POLICY_FIELDS_MAX];
};

/* Look the hit's fields up in the event's key table. A field that several of
 * its places could feed takes the first in the order of `from` and `names`;
 * null counts as absent. Only the first field_count entries are written. */
void hit_view_make(const struct event_plan *event, const struct hit *h,
                   struct hit_view *out);

/* Tell `fn` the key of every field that hit_view_make() counts as unknown, for
 * explain.h alone. */
typedef void hit_unknown_fn(void *ctx, struct slice key);
void hit_view_unknown(const struct event_plan *event, const struct hit *h,
                      hit_unknown_fn *fn, void *ctx);

/* The texts in `field` that a pseudonym rule would take, at most `max`: whoever
 * they name may be on the opt-out list. True: there are more. */
bool hit_view_texts(const struct event_plan *event, const struct hit_view *view,
                    unsigned field, struct slice *out, unsigned max,
                    unsigned *out_count);

/* The clean hit of `h` for the cleared destination `d`. *out borrows the
 * policy and the arena. `now_ms` is when it was received: an event without a
 * time, or from the future, took place then. Errors: ST_NOMEM (then: not
 * forwarded, counted). */
enum status minimise(const struct policy *p, const struct hit *h,
                     const struct hit_view *view, const struct verdict *v,
                     unsigned d, const struct minimise_keys *keys,
                     int64_t now_ms, struct arena *a,
                     struct clean_hit *out) MUST_CHECK;

#endif
