/* inflate.h - gzip bodies, with a cap on what comes out. The product's one
 * door to zlib. */
#ifndef LETHE_GATEWAY_HTTP_INFLATE_H
#define LETHE_GATEWAY_HTTP_INFLATE_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Begins like gzip (1f 8b 08). posthog-js sends gzip under text/plain
 * without saying so; no text body of any dialect begins with these bytes. */
bool body_is_gzip(struct slice body);

/* Inflate one whole gzip member into fresh memory of at most `cap` bytes.
 * On ST_OK the caller owns *out_data (never NULL) and gives it back with
 * inflate_free(); nothing is kept of what was worked on before.
 * Errors: ST_LIMIT (more than `cap` bytes would come out), ST_SYNTAX (not
 * gzip, damaged, cut short, or bytes after its end), ST_NOMEM. */
enum status inflate_gzip(struct slice body, size_t cap, char **out_data,
                         size_t *out_len) MUST_CHECK;

/* Wipe and free. NULL is allowed. */
void inflate_free(char *data, size_t len);

#endif
