/* fuzz.h - what every fuzz target has: one entry, called with any bytes, and
 * a property that ends the process where it does not hold. Linked with
 * libFuzzer by `make fuzz`, and with replay_main.c by `make test`. */
#ifndef LETHE_TESTS_FUZZ_H
#define LETHE_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Returns 0. `data` is borrowed for the call, and not written to. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check(bool holds)
{
    if (!holds)
        abort();
}

#endif
