/* sweep.h - the sets that delivery asks: under each live K_spool the sweep
 * tags of opt-outs (storage.md section 4). An entry holds the newest opt-out
 * number of its tag; a fragment is swept if that number is larger than the
 * one its own lookup saw. Thread-safe. */
#ifndef LETHE_GATEWAY_RIGHTS_SWEEP_H
#define LETHE_GATEWAY_RIGHTS_SWEEP_H

#include "lethe/gateway/store/fragment.h"
#include "lethe/gateway/store/spool_keys.h"

struct sweep;

enum status sweep_new(struct sweep **out) MUST_CHECK;
void sweep_free(struct sweep *s);

/* Tell all live keys about an opt-out (from optout_set or the rebuild). */
enum status sweep_add(struct sweep *s, struct spool_keys *keys, uint64_t number,
                      const uint8_t tag[TAG_BYTES]) MUST_CHECK;

/* A new key needs nothing: fragments under it are looked up with the list as
 * it stands. Forget a destroyed key's set. */
void sweep_forget(struct sweep *s, uint32_t slot, uint32_t use);

/* Everybody is out (unsound store): every fragment counts as held, not
 * swept. sweep_is_held() true: deliver nothing. */
void sweep_hold(struct sweep *s, bool held);
/* Opt-outs of these sites (site_number()) are not on disk: nothing of theirs
 * is delivered. Takes the place of those given before; of more than
 * SWEEP_SITES_MAX nothing of any site is. */
#define SWEEP_SITES_MAX 256u
void sweep_hold_sites(struct sweep *s, const uint64_t *sites, unsigned count);
bool sweep_is_held(const struct sweep *s, uint64_t site);

/* Must this fragment not be delivered any more? */
bool sweep_hits(const struct sweep *s, uint32_t slot, uint32_t use,
                const struct fragment *f);

#endif
