#include "lethe/gateway/audit/row.h"

static void put_be(uint8_t *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static uint64_t get_be(const uint8_t *in, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | in[i];
    return v;
}

void row_encode(const struct audit_row *r, uint8_t out[ROW_BYTES])
{
    put_be(out, r->t_us, 4);
    out[4] = r->act;
    out[5] = r->reason;
    put_be(out + 6, r->rule, 2);
    put_be(out + 8, r->source, 2);
    put_be(out + 10, r->destinations, 2);
    put_be(out + 12, r->classes, 4);
    put_be(out + 16, r->ev, 8);
    put_be(out + 24, r->sub, 8);
}

void row_decode(const uint8_t in[ROW_BYTES], struct audit_row *out)
{
    *out = (struct audit_row){
        .t_us = (uint32_t)get_be(in, 4),
        .act = in[4],
        .reason = in[5],
        .rule = (uint16_t)get_be(in + 6, 2),
        .source = (uint16_t)get_be(in + 8, 2),
        .destinations = (uint16_t)get_be(in + 10, 2),
        .classes = (uint32_t)get_be(in + 12, 4),
        .ev = get_be(in + 16, 8),
        .sub = get_be(in + 24, 8),
    };
}
