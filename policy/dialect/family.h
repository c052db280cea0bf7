/* family.h - what one SDK family's file gives to dialect.c. Included by
 * policy/dialect.c and policy/dialect/ alone. */
#ifndef LETHE_POLICY_DIALECT_FAMILY_H
#define LETHE_POLICY_DIALECT_FAMILY_H

#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"

struct dialect {
    const char *name;
    uint16_t source; /* audit_codes.h */
    struct slice method;
    struct slice path;
    struct slice (*key)(const struct beacon *b, struct arena *a);
    enum status (*decode)(struct beacon *b, struct arena *a, hit_sink *sink,
                          void *ctx, struct decoded *out);
    void (*reply)(const struct decoded *what, struct arena *a,
                  struct reply *out);
};

extern const struct dialect dialect_plain;

/* plain_event.c: one event into *out, whose slices and nodes are borrowed
 * from `event` and `b` or live in the arena. Errors: ST_TYPE (not an event of
 * this dialect), ST_NOMEM. */
enum status plain_event_read(const struct json_node *event,
                             const struct beacon *b, struct arena *a,
                             struct hit *out) MUST_CHECK;

#endif
