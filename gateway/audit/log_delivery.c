/* log_delivery.c - what became of the fragments, per destination. */
#include "lethe/gateway/audit/log.h"

#include <inttypes.h>

#define ENTRY_MAX 512u  /* bytes of one destination: names and 8 numbers */
#define D_MAX     7900u /* leaves room for the record around it */

static void put_facts(struct buf *b, const struct audit_delivery_facts *f)
{
    buf_printf(b,
               "%s{\"site\":\"%s\",\"dst\":\"%s\",\"cleared\":%" PRIu64
               ",\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64
               ",\"swept\":%" PRIu64 ",\"expired\":%" PRIu64
               ",\"purged\":%" PRIu64 ",\"dead\":%" PRIu64
               ",\"waiting\":%" PRIu64 "}",
               b->len > 0 ? "," : "{\"to\":[", f->site, f->destination,
               f->cleared, f->accepted, f->refused, f->swept, f->expired,
               f->purged, f->dead, f->waiting);
}

static enum status send_facts(struct audit_log *l, struct buf *b)
{
    buf_put(b, SLICE("]}"));
    if (b->failed)
        return ST_NOMEM;
    struct audit_entry e = {.act = RECORD_DELIVERY,
                            .why = "timer",
                            .out = AUDIT_OK,
                            .d = buf_slice(b)};
    enum status st = audit_append(l, &e, false, NULL);
    buf_reset(b);
    return st;
}

enum status audit_delivery(struct audit_log *l,
                           const struct audit_delivery_facts *facts,
                           unsigned count)
{
    struct buf b;
    enum status st = ST_OK;

    buf_init(&b, AUDIT_RECORD_MAX * 2);
    for (unsigned i = 0; i < count && st == ST_OK; i++) {
        if (b.len + ENTRY_MAX > D_MAX)
            st = send_facts(l, &b);
        put_facts(&b, &facts[i]);
    }
    if (st == ST_OK && b.len > 0)
        st = send_facts(l, &b);
    buf_free(&b);
    return st;
}
