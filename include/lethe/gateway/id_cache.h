/* id_cache.h - what one worker remembers of identifiers it has hashed: the
 * opt-out tag, and per destination the pseudonym and sweep tag. Keyed by two
 * keyed hashes of the identifier (never the identifier itself), in locked
 * memory where it can be had, and emptied with every world, so that it dies
 * with the epoch (design.md section 6). One owner. */
#ifndef LETHE_GATEWAY_ID_CACHE_H
#define LETHE_GATEWAY_ID_CACHE_H

#include "lethe/gateway/world.h"
#include "lethe/policy/ids.h"
#include "lethe/policy/pseudonym.h"

#define ID_CACHE_SLOTS 2048u /* a power of two */

struct id_cache;
struct id_entry; /* borrowed until the next id_cache_find or clear */

/* NULL: out of memory. `optout_key` (KEY_BYTES) outlives the cache. */
struct id_cache *id_cache_new(const uint8_t *optout_key);
void id_cache_free(struct id_cache *c); /* NULL is allowed; wipes */

/* Forget everything: a new world has come. */
void id_cache_clear(struct id_cache *c);

/* The entry of an identifier of this site; its tag is made if it was not
 * there. Never fails: a collision evicts. */
struct id_entry *id_cache_find(struct id_cache *c, const struct world_site *s,
                               enum id_kind kind, struct slice exact,
                               struct slice canonical);

const uint8_t *id_entry_tag(const struct id_entry *e); /* TAG_BYTES */

/* Sweep tag and pseudonym for one destination of the site. */
void id_entry_sweep(struct id_entry *e, const struct world_destination *d,
                    uint8_t out[TAG_BYTES]);
size_t id_entry_pseudonym(struct id_entry *e, const struct world_site *s,
                          const struct world_destination *d, unsigned purpose,
                          enum id_kind kind, struct slice exact,
                          char out[PSEUDONYM_TEXT_MAX]);

#endif
