/* json_text.h - what json_tree.c needs to know of a file's text: its
 * comments and its lines. Used by json_tree.c alone. */
#ifndef LETHE_POLICY_JSON_TEXT_H
#define LETHE_POLICY_JSON_TEXT_H

#include "lethe/policy/json_reader.h"
#include "lethe/policy/json_tree.h"

/* Overwrite comments with spaces, so that every other byte stays where it
 * is. False: a block comment has no end; it begins at *out_offset. */
bool json_text_blank_comments(char *text, size_t len, size_t *out_offset);

/* Line and column of byte `offset`. */
struct json_place json_text_place(struct slice text, size_t offset);

/* The same for offsets that only grow: start with {text, 0, {1, 1}}. */
struct json_text_cursor {
    struct slice text;
    size_t offset;
    struct json_place place;
};
struct json_place json_text_advance(struct json_text_cursor *c, size_t offset);

/* Say what the strict reader found wrong with `text`. */
void json_text_complain(struct slice text, struct json_error error,
                        struct json_complaint *out);

#endif
