/* row.h - one audit row, 32 bytes big-endian (audit-format.md 3.3). */
#ifndef LETHE_GATEWAY_AUDIT_ROW_H
#define LETHE_GATEWAY_AUDIT_ROW_H

#include <stdint.h>

#define ROW_BYTES 32u

struct audit_row {
    uint32_t t_us;         /* since the batch's t0; 0 in the journal */
    uint8_t act;           /* enum audit_act */
    uint8_t reason;        /* enum audit_reason */
    uint16_t rule;         /* 0 = none */
    uint16_t source;       /* enum audit_source */
    uint16_t destinations; /* bit k = k-th of policy.load.d.dst */
    uint32_t classes;      /* enum audit_class bits */
    uint64_t ev;
    uint64_t sub;
};

void row_encode(const struct audit_row *r, uint8_t out[ROW_BYTES]);
void row_decode(const uint8_t in[ROW_BYTES], struct audit_row *out);

#endif
