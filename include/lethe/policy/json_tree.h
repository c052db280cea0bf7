/* json_tree.h - JSON that people wrote: policies, config, admin bodies.
 *
 * A strict pass goes first (comments blanked in place so that positions stay,
 * repeated keys refused, path -> line:column kept), then cJSON builds the
 * tree. This is the only file that includes cJSON (design.md section 4); the
 * tree is seen through `struct json_value`. Not for events: json_reader.h. */
#ifndef LETHE_POLICY_JSON_TREE_H
#define LETHE_POLICY_JSON_TREE_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_FILE_MAX (4u << 20) /* bytes of one file or body */

struct json_tree;  /* opaque; owns everything below it */
struct json_value; /* opaque; borrowed from its tree */

enum json_kind { /* json_reader's types, for trees */
                 JSON_KIND_NULL,
                 JSON_KIND_BOOL,
                 JSON_KIND_NUMBER,
                 JSON_KIND_STRING,
                 JSON_KIND_ARRAY,
                 JSON_KIND_OBJECT
};

struct json_place {
    unsigned line;   /* from 1; 0 = unknown */
    unsigned column; /* from 1, in bytes */
};

/* What is wrong and where, for the person who wrote the file. `text` may
 * quote the file: never use this for bytes from a client. */
struct json_complaint {
    struct json_place place;
    char text[240];
};

/* Read `text` (borrowed for the call). `comments`: // and block comments are
 * allowed. On ST_OK the caller owns *out; json_tree_free() it.
 * Errors: ST_SYNTAX (complaint filled), ST_LIMIT, ST_NOMEM. */
enum status json_tree_read(struct slice text, bool comments,
                           struct json_tree **out,
                           struct json_complaint *out_complaint) MUST_CHECK;

/* As json_tree_read, from a file. Errors: also ST_IO. Lives in the gateway
 * (json_load.c): policy/ itself reads no file. */
enum status json_tree_load(const char *path, bool comments,
                           struct json_tree **out,
                           struct json_complaint *out_complaint) MUST_CHECK;

void json_tree_free(struct json_tree *t); /* NULL is allowed */

const struct json_value *json_tree_root(const struct json_tree *t);
enum json_kind json_kind_of(const struct json_value *v);
const char *json_kind_name(enum json_kind kind);

/* Value of a bool, number (as double) or string; of another kind: false, 0,
 * SLICE_NONE. Strings are NUL-terminated too. */
bool json_bool(const struct json_value *v);
double json_number(const struct json_value *v);
struct slice json_string(const struct json_value *v);

/* Member by exact name, or NULL. Children in order. The name of a member. */
const struct json_value *json_get(const struct json_value *object,
                                  const char *name);
const struct json_value *json_child(const struct json_value *parent);
const struct json_value *json_sibling(const struct json_value *v);
struct slice json_name(const struct json_value *v);
size_t json_size(const struct json_value *v); /* members or elements */

/* Where `v` stands in the file it was read from; {0,0} for values made by
 * json_merge from elsewhere without a place. */
struct json_place json_place_of(const struct json_tree *t,
                                const struct json_value *v);

/* A new tree: `base` with `over` laid upon it: objects merge key by key,
 * other values replace, null removes (RFC 7396). Neither input changes and
 * the result borrows nothing of them. Places of `over`'s values are kept;
 * values of `base` have none: it is another file. Errors: ST_NOMEM. */
enum status json_merge(const struct json_tree *base,
                       const struct json_tree *over,
                       struct json_tree **out) MUST_CHECK;

/* Append the RFC 8785 canonical form of `v`. Errors: ST_TYPE (a number that
 * is not finite), ST_LIMIT (the buffer's cap), ST_NOMEM. */
enum status json_canonical(const struct json_value *v,
                           struct buf *out) MUST_CHECK;

/* Append `v` indented by two spaces, for people, keys in the file's order.
 * Errors: ST_TYPE (a number that is not finite), ST_LIMIT. */
enum status json_pretty(const struct json_value *v, struct buf *out) MUST_CHECK;

#endif
