/* optout_table.h - who is opted out, in memory: open addressing over tags in
 * 64 shards, each with a lock of its own, so that ten million tags stay under
 * 1 GB and a growing shard holds up few readers for short. A lifted entry
 * keeps its interval beside. Any thread looks up; one at a time changes. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_TABLE_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_TABLE_H

#include "lethe/gateway/rights/optout.h"

struct optout_table;

enum status optout_table_new(struct optout_table **out) MUST_CHECK;
void optout_table_free(struct optout_table *t); /* NULL is allowed */

/* As optout_lookup(). */
enum optout_answer optout_table_lookup(const struct optout_table *t,
                                       const uint8_t tag[TAG_BYTES],
                                       int64_t event_ms,
                                       int64_t marked_since_ms);

struct optout_tag_facts {
    uint64_t newest;   /* newest set's number; 0 = none on disk */
    unsigned standing; /* entries on disk that stand */
    bool held;         /* out although its entry is not on disk yet */
};
/* All zero for a tag that is not there. */
void optout_table_facts(const struct optout_table *t,
                        const uint8_t tag[TAG_BYTES],
                        struct optout_tag_facts *out);

/* Out from now on, before anything is on disk. Errors: ST_NOMEM. */
enum status optout_table_hold(struct optout_table *t,
                              const uint8_t tag[TAG_BYTES]) MUST_CHECK;
/* A set is on disk: one more entry stands; ends the hold.
 * Errors: ST_NOMEM. */
enum status optout_table_set(struct optout_table *t,
                             const uint8_t tag[TAG_BYTES],
                             uint64_t number) MUST_CHECK;
/* Entry `number`, set at `set_ms`, is lifted. Errors: ST_UNKNOWN (no entry
 * of the tag stands, or this one is lifted already), ST_NOMEM. */
enum status optout_table_lift(struct optout_table *t,
                              const uint8_t tag[TAG_BYTES], uint64_t number,
                              int64_t set_ms, int64_t lift_ms) MUST_CHECK;
bool optout_table_is_lifted(const struct optout_table *t,
                            const uint8_t tag[TAG_BYTES], uint64_t number);

uint64_t optout_table_count(const struct optout_table *t); /* tags out now */
uint64_t optout_table_held(const struct optout_table *t);  /* see _hold() */
size_t optout_table_bytes(const struct optout_table *t);   /* memory held */

#endif
