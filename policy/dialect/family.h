/* family.h - what one SDK family's file gives to dialect.c. Included by
 * policy/dialect.c and policy/dialect/ alone. */
#ifndef LETHE_POLICY_DIALECT_FAMILY_H
#define LETHE_POLICY_DIALECT_FAMILY_H

#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

#define METHOD_GET  1u
#define METHOD_POST 2u

struct dialect {
    const char *name;
    uint16_t source; /* audit_codes.h */
    const struct dialect_route *routes;
    unsigned route_count;
    /* What this family's libraries want in an error's JSON besides what all
     * have: ",\"name\":value", or SLICE_NONE. */
    struct slice error_member;
    /* As dialect_read(), dialect_decode() and dialect_reply(). */
    enum status (*read)(struct dialect_call *c);
    enum status (*decode)(struct dialect_call *c, hit_sink *sink, void *ctx);
    void (*reply)(struct dialect_call *c, struct reply *out);
};

extern const struct dialect dialect_plain, dialect_mixpanel, dialect_ga4,
    dialect_universal;

/* ---- what all families share (dialect.c) -------------------------------- */

/* Add a write key that the request carries; an empty one is none. Errors:
 * ST_SYNTAX (more than DIALECT_KEYS_MAX different ones). */
enum status dialect_add_key(struct dialect_call *c,
                            struct slice key) MUST_CHECK;

/* The same with all headers of this name; with a scheme ("Bearer "), only what
 * follows it, unless it is one of the gateway's tokens. */
enum status dialect_add_header_keys(struct dialect_call *c, struct slice name,
                                    struct slice scheme) MUST_CHECK;

/* The value of a request header, trimmed; SLICE_NONE if it is absent. */
struct slice dialect_header(const struct beacon *b, struct slice name);

/* The request's body without space around it. */
struct slice dialect_body(const struct dialect_call *c);

/* What the request's head says of the hit, where the event itself does not:
 * address, user agent, language, Sec-GPC, DNT. */
void dialect_add_headers(const struct beacon *b, struct hit *h);

/* The member's text, or a number's exact text; SLICE_NONE if it is absent, null
 * or empty. `object` may be NULL. False: of another type, so it could not be
 * asked for on the opt-out list, and the event is not understood. */
bool dialect_scalar(const struct json_node *object, struct slice key,
                    struct slice *out) MUST_CHECK;

/* Where a family keeps what all events have around them. */
struct dialect_context_row {
    struct slice name;
    enum context_key key;
};

/* Fill contexts that are still empty from members of `object` (NULL: none), in
 * the order of the rows; of several of one key the first that holds a text. */
void dialect_read_context(const struct json_node *object,
                          const struct dialect_context_row *rows,
                          size_t row_count, struct hit *h);

/* A number's text as a time: seconds since 1970 below 1e11 (the year 5138),
 * else milliseconds (from 1973 on). False: no such time. */
bool dialect_time_of_number(struct slice number, int64_t *out_ms);

/* Members of `object` (NULL: none) that are not among the `known` (R9). */
unsigned dialect_count_unknown(const struct json_node *object,
                               const struct slice *known, size_t known_count);

/* Hand on the hit that was read with `st`, and count it: ST_TYPE is an event
 * that was not understood. Errors: ST_LIMIT (DIALECT_EVENTS_MAX), other
 * values of `st`, or what the sink returned. */
enum status dialect_take(struct dialect_call *c, enum status st, struct hit *h,
                         hit_sink *sink, void *ctx) MUST_CHECK;

/* What decode() returns in the end: ST_SYNTAX where events came and none was
 * understood, else `st`. */
enum status dialect_end(const struct dialect_call *c,
                        enum status st) MUST_CHECK;

/* plain_event.c: one event into *out, whose slices and nodes are borrowed
 * from `event` and `b` or live in the arena. Errors: ST_TYPE (not an event of
 * this dialect), ST_NOMEM. */
enum status plain_event_read(const struct json_node *event,
                             const struct beacon *b, struct arena *a,
                             struct hit *out) MUST_CHECK;

#endif
