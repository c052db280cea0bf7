/* Spool keys die with their last fragment (R33): not live, nothing accepted
 * under them left in the journal, no outage row. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/policy/base/log.h"

#include <stdlib.h>

/* A worker may have sealed under a key just before its epoch ended: its group
 * is in the journal well within this time. */
#define SETTLE_MS INT64_C(5000)

static bool is_live(const struct spool_key *k, const struct live_epoch *live,
                    unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (live[i].destination == k->destination && live[i].epoch == k->epoch)
            return true;
    return false;
}

/* How long the key has been seen dead; starts with the first call. */
static int64_t dead_since(struct forward *f, const struct spool_key *k,
                          int64_t now)
{
    for (unsigned i = 0; i < f->watch_count; i++)
        if (f->watch[i].slot == k->slot && f->watch[i].use == k->use)
            return f->watch[i].since;
    if (f->watch_count < KEY_WATCH_MAX)
        f->watch[f->watch_count++] =
            (struct key_watch){.slot = k->slot, .use = k->use, .since = now};
    return now;
}

static void forget(struct forward *f, uint32_t slot, uint32_t use)
{
    for (unsigned i = 0; i < f->watch_count; i++)
        if (f->watch[i].slot == slot && f->watch[i].use == use) {
            f->watch[i] = f->watch[--f->watch_count];
            return;
        }
}

/* Everything of the destination that was accepted while the key lived is
 * behind its mark: nothing waits, or all that waits was accepted under a
 * younger key, made more than SETTLE_MS before it. */
static bool is_past(struct forward *f, const struct spool_key *k)
{
    uint64_t bytes = 0, cleared = 0;
    int64_t oldest = 0, heir_ms = 0;
    struct spool_key other;

    journal_backlog(f->parts.journal, k->destination, &bytes, &oldest,
                    &cleared);
    if (oldest == 0)
        return true;
    for (unsigned i = 0; spool_keys_each(f->parts.keys, i, &other) == ST_OK;
         i++)
        if (other.destination == k->destination && other.made_ms > k->made_ms &&
            (heir_ms == 0 || other.made_ms < heir_ms))
            heir_ms = other.made_ms;
    return heir_ms != 0 && oldest > heir_ms + SETTLE_MS;
}

static bool may_go(struct forward *f, const struct spool_key *k, int64_t now)
{
    bool uses = true;

    return now - dead_since(f, k, now) >= SETTLE_MS &&
           /* a mark not yet on disk would find fragments without their key */
           !journal_marks_pending(f->parts.journal) && is_past(f, k) &&
           outage_uses_key(f->parts.outage, k->slot, k->use, &uses) == ST_OK &&
           !uses;
}

unsigned forward_collect_keys(struct forward *f, const struct live_epoch *live,
                              unsigned count)
{
    const struct clock *c = f->parts.clock;
    int64_t now = c->mono_ms(c->ctx);
    struct spool_key k;
    unsigned i = 0, destroyed = 0;

    while (spool_keys_each(f->parts.keys, i, &k) == ST_OK) {
        if (is_live(&k, live, count))
            forget(f, k.slot, k.use);
        else if (may_go(f, &k, now)) {
            uint32_t slot = k.slot, use = k.use;
            enum status r = spool_keys_destroy(f->parts.keys, slot, use);
            if (r == ST_OK) {
                sweep_forget(f->parts.sweep, slot, use);
                forget(f, slot, use);
                destroyed++;
                continue; /* another one has this number now */
            }
            log_error(LOG_KEYS, "a spool key cannot be destroyed",
                      LOG_NAME("why", status_name(r)));
        }
        i++;
    }
    return destroyed;
}
