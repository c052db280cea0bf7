/* bytes.h - big-endian numbers in stored records. The caller has checked
 * that the bytes are there. */
#ifndef LETHE_GATEWAY_STORE_BYTES_H
#define LETHE_GATEWAY_STORE_BYTES_H

#include <stdint.h>

static inline void be_put(uint8_t *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static inline uint64_t be_get(const uint8_t *at, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | at[i];
    return v;
}

static inline void be_put16(uint8_t *at, uint16_t v)
{
    be_put(at, v, 2);
}

static inline void be_put32(uint8_t *at, uint32_t v)
{
    be_put(at, v, 4);
}

static inline void be_put64(uint8_t *at, uint64_t v)
{
    be_put(at, v, 8);
}

static inline uint16_t be_get16(const uint8_t *at)
{
    return (uint16_t)be_get(at, 2);
}

static inline uint32_t be_get32(const uint8_t *at)
{
    return (uint32_t)be_get(at, 4);
}

static inline uint64_t be_get64(const uint8_t *at)
{
    return be_get(at, 8);
}

#endif
