/* dialect.h - one SDK family's wire protocol: beacon -> hits, and the answer
 * its SDKs need. One file a family in policy/dialect/; the table in dialect.c
 * finds it by path. Answers are constants of the dialect (law 10): they never
 * depend on consent, verdict or backend.
 *
 * A request goes through one struct dialect_call, in this order:
 *   dialect_find    method, path    -> route, and with it the family
 *   dialect_begin   route, beacon   -> call
 *   dialect_read    the keys that name a site, and what must be read for that
 *   dialect_decode  hits into the sink
 *   dialect_reply   the answer to an understood request */
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
#define DIALECT_KEYS_MAX   4u     /* different write keys in one request */
/* How the gateway's tokens begin: a bearer with it says who asks, not which
 * site is meant. */
#define DIALECT_TOKEN_START "lt1_"

struct hit;
struct dialect;

/* One path of a family. */
struct dialect_route {
    struct slice path; /* without "/s/<site>" */
    unsigned methods;  /* METHOD_ bits of dialect/family.h */
    unsigned variant;  /* the family's own number for what differs here */
    const struct dialect *family;
};

/* Called once a hit, in order; hits live in the arena until the request
 * ends. A status other than ST_OK stops decoding and is returned. */
typedef enum status hit_sink(void *ctx, struct hit *h);

struct decoded {
    unsigned received;   /* events in the request, understood or not */
    unsigned understood; /* hits handed to the sink */
    unsigned bad[DIALECT_BAD_MAX]; /* positions of those not understood */
    unsigned bad_count;            /* entries of `bad` in use */
};

/* One request on its way through its dialect. The caller's storage; borrows
 * the beacon and the arena. */
struct dialect_call {
    const struct dialect_route *route;
    struct beacon *beacon;
    struct arena *arena;
    struct slice keys[DIALECT_KEYS_MAX]; /* all different, none empty */
    unsigned key_count;
    void *state; /* the family's own, between read and decode; in the arena */
    struct decoded decoded;
};

struct reply {
    int status;
    struct slice content_type;
    struct slice body; /* constant, or in the arena */
};

/* The route of this path and method, or NULL (404). *out_method_ok false:
 * the path is known, the method is not (405). */
const struct dialect_route *dialect_find(struct slice method, struct slice path,
                                         bool *out_method_ok);

/* Start a call; nothing is read yet. */
void dialect_begin(struct dialect_call *c, const struct dialect_route *route,
                   struct beacon *b, struct arena *a);

/* Find the write keys that the request carries, wherever this family puts
 * them (header, query, body, each event), into c->keys for site resolution.
 * Errors: ST_SYNTAX (not understood at all, or more than DIALECT_KEYS_MAX
 * different keys: 400), ST_LIMIT (413), ST_NOMEM (503). */
enum status dialect_read(struct dialect_call *c) MUST_CHECK;

/* Add the write keys that stand where any request may have them, "X-Write-Key"
 * and "?key=", also on paths that are no dialect's: needs c->beacon's headers
 * and query, and c->arena. Errors: as dialect_read(). */
enum status dialect_read_common_keys(struct dialect_call *c) MUST_CHECK;

/* Decode what dialect_read() has seen. Errors: ST_SYNTAX (nothing of it was
 * understood: 400), ST_LIMIT (413), ST_NOMEM (503), or what the sink
 * returned. c->decoded is filled in every case. */
enum status dialect_decode(struct dialect_call *c, hit_sink *sink,
                           void *ctx) MUST_CHECK;

/* The answer to an understood request. */
void dialect_reply(struct dialect_call *c, struct reply *out);

/* `json`, the gateway's own error object, as libraries of this route's family
 * (NULL: none) want it: with a member more, in the arena, or as it is. */
struct slice dialect_error_body(const struct dialect_route *r,
                                struct slice json, struct arena *a);

/* The form of an identifier that opt-out tags are made of, whatever dialect it
 * came by and in whatever form a person finds it: e-mail-shaped text in lower
 * case; without Mixpanel's "$device:"; a _ga cookie's "GA1.2.a.b" as "a.b", a
 * _ga_ cookie's "GS1.1.n..." as "n";
 * else its exact bytes (docs/clients.md). Errors: ST_NOMEM. */
enum status dialect_canonical(struct slice exact, struct arena *a,
                              struct slice *out) MUST_CHECK;

/* The identifiers that the SDKs of our dialects keep in the cookies of one
 * request, canonical, each once, borrowed from the request or in the arena: _ga
 * (gtag.js, analytics.js) and mp_<token>_mixpanel (mixpanel-browser). Only for
 * a person's own "no": events never bring identifiers by cookie. *out_left:
 * there are more than `max`. Errors: ST_NOMEM. */
enum status dialect_cookie_ids(const struct beacon_header *headers,
                               unsigned header_count, struct arena *a,
                               struct slice *out, unsigned max,
                               unsigned *out_count, bool *out_left) MUST_CHECK;

uint16_t dialect_source(const struct dialect_route *r); /* audit_codes.h */
const char *dialect_name(const struct dialect_route *r);

#endif
