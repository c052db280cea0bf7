/* base64.h - base64 in its one spelling: padded, no spare bits, and nothing
 * else. libsodium 1.0.18 alone is not enough: it takes some bytes above 0x7f
 * for digits. */
#ifndef GATEWAY_AUDIT_TLOG_BASE64_H
#define GATEWAY_AUDIT_TLOG_BASE64_H

#include "lethe/policy/base/slice.h"

#include <stdint.h>

/* False: `text` is not base64, or of more than `max` bytes. `out` is then
 * undefined. */
bool base64_read(struct slice text, uint8_t *out, size_t max, size_t *out_len);

#endif
