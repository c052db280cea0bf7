/* optout_batch.c - the records of one write. */
#include "lethe/gateway/rights/optout_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum status optout_batch_new(const struct optouts *o, struct optout_batch *out)
{
    out->records = malloc(OPTOUT_WRITE_MAX * OPTOUT_RECORD_BYTES);
    out->count = 0;
    if (out->records == NULL)
        return ST_NOMEM;
    out->newest = optout_journal_newest(o->journal, out->hash);
    return ST_OK;
}

void optout_batch_add(const struct optouts *o, struct optout_batch *b,
                      struct optout_change *c)
{
    uint8_t id[16];
    uint8_t *record = b->records + b->count * OPTOUT_RECORD_BYTES;

    assert(b->count < OPTOUT_WRITE_MAX);
    c->number = b->newest + 1;
    c->batch = (uint32_t)b->count;
    if (c->kind == OPTOUT_KIND_SET) {
        optout_header_id(o->header, id);
        optout_change_seal(c, o->key, id);
    }
    optout_record_encode(c, b->hash, record);
    memcpy(b->hash, optout_record_hash(record), sizeof(b->hash));
    b->newest++;
    b->count++;
}

enum status optout_batch_write(struct optouts *o, struct optout_batch *b)
{
    enum status st = optout_journal_append(o->journal, b->records, b->count);

    for (size_t i = 0; st == ST_OK && i < b->count; i++)
        st = optout_apply(o, b->records + i * OPTOUT_RECORD_BYTES);
    o->lift_count = 0; /* for opening only: optout_lift erases at once */
    b->count = 0;
    return st;
}
