/* json_reader.h - strict RFC 8259 reader for events: the hot core.
 *
 * In place: strings are unescaped inside `bytes`, nodes live in the arena and
 * borrow both. Numbers keep their exact text. Refused, each with a reason:
 * repeated keys in one object, the character U+0000 (raw or escaped), lone
 * surrogates, bad UTF-8, a byte order mark, anything after the value.
 * Untrusted input; every limit below is a tested result, never a crash. */
#ifndef LETHE_POLICY_JSON_READER_H
#define LETHE_POLICY_JSON_READER_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

#define JSON_DEPTH_MAX   32u      /* nested arrays and objects */
#define JSON_MEMBERS_MAX 4096u    /* members of one object */
#define JSON_NODES_MAX   1000000u /* values in one document */
#define JSON_NUMBER_MAX  128u     /* bytes of one number's text */

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* One value. Nodes of a document lie in one run, parents before children, so
 * the sibling after `n` is n + n->span. */
struct json_node {
    struct slice key;  /* the member's name; SLICE_NONE outside objects */
    struct slice text; /* number: exact text; string: unescaped bytes */
    uint32_t span;     /* nodes of this value, itself included; >= 1 */
    uint32_t count;    /* members or elements; 0 for scalars */
    enum json_type type;
    uint32_t offset; /* byte of the document where the value begins */
};

enum json_fault {
    JSON_FAULT_NONE,
    JSON_FAULT_SYNTAX,
    JSON_FAULT_UTF8,
    JSON_FAULT_NUL,
    JSON_FAULT_SURROGATE,
    JSON_FAULT_REPEATED_KEY,
    JSON_FAULT_DEPTH,
    JSON_FAULT_SIZE,
    JSON_FAULT_TRAILING,
    JSON_FAULT_COUNT
};

struct json_error {
    enum json_fault fault;
    size_t offset; /* byte where reading stopped; never any content */
};

/* Read one document of `len` bytes (leading and trailing white space is
 * allowed). Writes into `bytes`; on failure their content is unspecified.
 * *out_error may be NULL; it is written on failure only.
 * Errors: ST_SYNTAX, ST_LIMIT (depth, members, nodes, number), ST_NOMEM. */
enum status json_read(struct arena *a, char *bytes, size_t len,
                      const struct json_node **out_root,
                      struct json_error *out_error) MUST_CHECK;

/* First child of an array or object, or NULL if it has none. */
const struct json_node *json_first(const struct json_node *parent);

/* The sibling after `n` within `parent`, or NULL. */
const struct json_node *json_next(const struct json_node *parent,
                                  const struct json_node *n);

/* The member called `key`, or NULL if `object` lacks it or is no object. */
const struct json_node *json_member(const struct json_node *object,
                                    struct slice key);

/* The value at a dotted path of objects ("cart.total"), or NULL; `object` may
 * be NULL. A name with a dot in it cannot be reached. */
const struct json_node *json_at_path(const struct json_node *object,
                                     struct slice path);

/* Fixed name of a fault ("repeated key", ...). */
const char *json_fault_name(enum json_fault fault);

#endif
