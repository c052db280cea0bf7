/* dialect.h - one SDK family's wire protocol: beacon -> hits, and the answer
 * its SDKs need. One file a family in policy/dialect/; the table in dialect.c
 * finds it by path. Answers are constants of the dialect (law 10): they never
 * depend on consent, verdict or backend. */
#ifndef LETHE_POLICY_DIALECT_H
#define LETHE_POLICY_DIALECT_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/beacon.h"

#include <stdbool.h>
#include <stdint.h>

#define DIALECT_EVENTS_MAX 10000u /* events in one request; more: 413 */
#define DIALECT_BAD_MAX    20u    /* positions named in an answer */

struct hit;
struct dialect;

/* Called once a hit, in order; hits live in the arena until the request
 * ends. A status other than ST_OK stops decoding and is returned. */
typedef enum status hit_sink(void *ctx, struct hit *h);

struct decoded {
    unsigned received;   /* events in the request, understood or not */
    unsigned understood; /* hits handed to the sink */
    unsigned bad[DIALECT_BAD_MAX]; /* positions of those not understood */
    unsigned bad_count;            /* entries of `bad` in use */
};

struct reply {
    int status;
    struct slice content_type;
    struct slice body; /* constant, or in the arena */
};

/* The dialect of this path and method, or NULL (404). *out_method_ok false:
 * the path is known, the method is not (405). */
const struct dialect *dialect_find(struct slice method, struct slice path,
                                   bool *out_method_ok);

/* The write key in the request, if this dialect carries one (header, query or
 * body peek), else SLICE_NONE. Used for site resolution. */
struct slice dialect_key(const struct dialect *d, const struct beacon *b,
                         struct arena *a);

/* Decode. Errors: ST_SYNTAX (nothing of it was understood: 400), ST_LIMIT
 * (413), ST_NOMEM (503), or what the sink returned. *out is filled in every
 * case. */
enum status dialect_decode(const struct dialect *d, struct beacon *b,
                           struct arena *a, hit_sink *sink, void *ctx,
                           struct decoded *out) MUST_CHECK;

/* The answer to an understood request. */
void dialect_reply(const struct dialect *d, const struct beacon *b,
                   const struct decoded *what, struct arena *a,
                   struct reply *out);

/* The form of an identifier that opt-out tags are made of: its exact bytes,
 * e-mail-shaped text in lower case. Errors: ST_NOMEM. */
enum status dialect_canonical(struct slice exact, struct arena *a,
                              struct slice *out) MUST_CHECK;

uint16_t dialect_source(const struct dialect *d); /* audit_codes.h */
const char *dialect_name(const struct dialect *d);

#endif
