/* wire.h - bytes from and to a socket. Unlike buf.h it leaves no copy behind
 * when it grows, shifts or ends: what it holds is personal data. */
#ifndef LETHE_GATEWAY_HTTP_WIRE_H
#define LETHE_GATEWAY_HTTP_WIRE_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stddef.h>

#define WIRE_FIRST 4096u  /* bytes to begin with; free of charge */
#define WIRE_KEPT  16384u /* a larger one is given back once empty */

struct wire {
    char *data;
    size_t len;  /* bytes held */
    size_t size; /* bytes allocated */
};

/* What all connections of a server hold beyond their first bytes, arenas of
 * requests that wait included. */
struct wire_budget {
    size_t held;
    size_t max;
};

/* Room for `size` bytes in all. Errors: ST_FULL (the budget; NULL = none),
 * ST_NOMEM. */
enum status wire_reserve(struct wire *w, size_t size,
                         struct wire_budget *budget) MUST_CHECK;

/* Append; the room was reserved. */
void wire_put(struct wire *w, struct slice s);

/* Wipe the first `n` bytes away; the rest moves to the front. Gives a large
 * buffer back when nothing is left. */
void wire_drop(struct wire *w, size_t n, struct wire_budget *budget);

void wire_free(struct wire *w, struct wire_budget *budget);

#endif
