/* world.h - everything an event is decided with, as one immutable snapshot:
 * config, policies, epoch keys, spool keys, the day key. Workers hold one
 * reference and are switched at a barrier (worker.h), so that one hit never
 * mixes epochs or policies, and a reload is all or nothing. Made by the
 * supervisor only. */
#ifndef LETHE_GATEWAY_WORLD_H
#define LETHE_GATEWAY_WORLD_H

#include "lethe/gateway/conf.h"
#include "lethe/gateway/keys/epochs.h"
#include "lethe/gateway/policy_versions.h"
#include "lethe/gateway/store/spool_keys.h"
#include "lethe/policy/policy.h"

#include <stdint.h>

struct world_destination {
    uint64_t key;  /* destination_key() */
    unsigned plan; /* index in the policy */
    const struct conf_destination *conf;
    uint8_t *epoch_key; /* KEY_BYTES, locked */
    /* One a purpose of the policy (event_key_make()), locked: made with the
     * world, since every event id needs one. */
    uint8_t (*event_keys)[EVENT_KEY_BYTES];
    uint64_t epoch_id;
    int64_t epoch_starts_ms, epoch_ends_ms;
    struct spool_key spool;
};

struct world_site {
    unsigned index;   /* in the world: the config's, if it has the site */
    unsigned metrics; /* index of its counters (metrics.h) */
    const struct conf_site *conf;
    struct slice id;
    uint64_t number; /* site_number() */
    struct policy *policy;
    uint64_t policy_index;   /* of its policy.load record */
    int64_t policy_since_ms; /* when it came into force */
    uint16_t present;        /* bit a policy destination that the config has */
    struct world_destination *to[POLICY_DESTINATIONS_MAX]; /* by plan */
};

struct world {
    unsigned refs;     /* atomic: world_ref/world_unref */
    struct conf *conf; /* owned by the last reference */
    unsigned *conf_refs;
    struct world_site *sites;
    unsigned site_count;
    uint8_t *day_key; /* 16 bytes, locked */
    bool subject_on;  /* rows carry `sub` */
    char day_tag[EPOCH_DAY_TAG_MAX];
    int64_t longest_wait_ms; /* the longest retention.spool of all sites */
    int64_t valid_until_ms;  /* the next rotation or UTC midnight */
};

/* What a world is made of. Policies: one a site of the config, borrowed (a
 * reference is taken). */
struct world_parts {
    struct conf *conf; /* shared: see conf_refs */
    unsigned *conf_refs;
    struct policy *const *policies;
    const uint64_t *policy_indexes;
    const struct policy_versions *versions; /* tell since when */
    /* NULL: all sites of the config. Else this one alone, which the config does
     * not have and no counter knows, with one policy and index; it outlives the
     * world (canary.h). */
    const struct conf_site *only;
    const uint8_t *master; /* KEY_BYTES */
    struct epochs *epochs;
    struct spool_keys *spool_keys;
    int64_t now_ms;
};

/* What making it did, for the audit. */
struct world_news {
    unsigned epochs_made; /* each also destroyed its predecessor, if any */
    bool tag_new;
    unsigned tags_destroyed;
};

/* Errors: ST_NOMEM, ST_IO, ST_LIMIT (spool key slots). */
enum status world_new(const struct world_parts *parts, struct world **out,
                      struct world_news *out_news) MUST_CHECK;
struct world *world_ref(struct world *w);
void world_unref(struct world *w); /* NULL is allowed; wipes keys */

#endif
