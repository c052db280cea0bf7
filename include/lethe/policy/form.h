/* form.h - name=value pairs as browsers write them in queries and form bodies
 * (URL Standard, application/x-www-form-urlencoded), and base64 within them.
 * Untrusted input. */
#ifndef LETHE_LETHE_POLICY_FORM_H
#define LETHE_LETHE_POLICY_FORM_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>

/* The next pair of *rest, raw; *rest moves behind it. A pair without '=' has
 * an empty value; empty pairs are passed over. False: none is left. */
bool form_next(struct slice *rest, struct slice *out_name,
               struct slice *out_value);

/* %XX and '+' undone, into the arena; `raw` itself where there is nothing to
 * undo. A '%' without two hex digits stays. Errors: ST_NOMEM. */
enum status form_decode(struct slice raw, struct arena *a,
                        struct slice *out) MUST_CHECK;

/* The decoded value of the first pair whose name is `name` (names of ours
 * need no escapes); SLICE_NONE if there is none. Errors: ST_NOMEM. */
enum status form_find(struct slice form, struct slice name, struct arena *a,
                      struct slice *out) MUST_CHECK;

/* The next line of *rest without space around it; *rest moves behind it.
 * Empty lines are passed over. False: none is left. */
bool form_line(struct slice *rest, struct slice *out);

/* RFC 4648 base64 of either alphabet, padded or not, into the arena. A space
 * counts as '+': SDKs send base64 in forms without escaping it, and decoding
 * the form made spaces of its plus signs. *out may be written to.
 * Errors: ST_SYNTAX (another character, an impossible length), ST_NOMEM. */
enum status base64_decode(struct slice text, struct arena *a, char **out,
                          size_t *out_len) MUST_CHECK;

#endif
