/* system_clock.h - the machine's clock as a struct clock: CLOCK_REALTIME and
 * CLOCK_MONOTONIC. Tests hand in their own instead. */
#ifndef LETHE_GATEWAY_SYSTEM_CLOCK_H
#define LETHE_GATEWAY_SYSTEM_CLOCK_H

#include "lethe/policy/base/clock.h"

/* Static; never NULL. */
const struct clock *system_clock(void);

#endif
