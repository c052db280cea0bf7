/* json_put.h - writing JSON that Lethe makes: a list or an object on its way,
 * and what goes into it. Pure. What does not fit sets the buffer's `failed`,
 * which is asked once at the end. */
#ifndef LETHE_POLICY_JSON_PUT_H
#define LETHE_POLICY_JSON_PUT_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/json_tree.h"

#include <stdbool.h>

struct json_put {
    struct buf *out;
    bool more; /* whether a comma comes first */
};

/* Opens it with '{' or '['; whoever opens also puts the end. */
struct json_put json_put_begin(struct buf *out, char bracket);
/* Before an element; before a member's value. */
void json_put_next(struct json_put *p);
void json_put_key(struct json_put *p, const char *key);

/* A member; an empty text is left out. */
void json_put_text(struct json_put *p, const char *key, struct slice value);
void json_put_bool(struct json_put *p, const char *key, bool value);
void json_put_whole(struct json_put *p, const char *key, uint64_t value);
/* ISO 8601. */
void json_put_duration(struct json_put *p, const char *key, struct duration d);
/* The member of `object` (may be NULL) with this key, as it is there; what it
 * lacks is left out. Errors: as json_canonical(). */
enum status json_put_copy(struct json_put *p, const char *key,
                          const struct json_value *object) MUST_CHECK;

#endif
