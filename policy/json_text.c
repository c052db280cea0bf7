#include "json_text.h"

#include <stdio.h>
#include <string.h>

#define KEY_SHOWN_MAX 60u /* bytes of a key that a complaint quotes */

static size_t string_end(const char *text, size_t len, size_t at)
{
    for (at++; at < len && text[at] != '"'; at++)
        if (text[at] == '\\')
            at++;
    return at < len ? at + 1 : len;
}

static size_t line_end(const char *text, size_t len, size_t at)
{
    while (at < len && text[at] != '\n')
        at++;
    return at;
}

/* Behind the comment's end, or 0. */
static size_t block_end(const char *text, size_t len, size_t at)
{
    for (at += 2; at + 1 < len; at++)
        if (text[at] == '*' && text[at + 1] == '/')
            return at + 2;
    return 0;
}

static void blank(char *text, size_t from, size_t upto)
{
    for (size_t i = from; i < upto; i++)
        if (text[i] != '\n')
            text[i] = ' ';
}

bool json_text_blank_comments(char *text, size_t len, size_t *out_offset)
{
    size_t at = 0;

    while (at < len) {
        char next = at + 1 < len ? text[at + 1] : '\0';
        if (text[at] == '"') {
            at = string_end(text, len, at);
        } else if (text[at] == '/' && (next == '/' || next == '*')) {
            size_t end = next == '/' ? line_end(text, len, at)
                                     : block_end(text, len, at);
            if (end == 0) {
                *out_offset = at;
                return false;
            }
            blank(text, at, end);
            at = end;
        } else {
            at++;
        }
    }
    return true;
}

struct json_place json_text_advance(struct json_text_cursor *c, size_t offset)
{
    for (; c->offset < offset && c->offset < c->text.len; c->offset++) {
        if (c->text.at[c->offset] == '\n') {
            c->place.line++;
            c->place.column = 1;
        } else {
            c->place.column++;
        }
    }
    return c->place;
}

struct json_place json_text_place(struct slice text, size_t offset)
{
    struct json_text_cursor c = {text, 0, {1, 1}};

    return json_text_advance(&c, offset);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The key, as written, of the member whose value begins at *offset, which is
 * moved to the key's quote. The reader has been there: it is well-formed. */
static struct slice key_before(struct slice text, size_t *offset)
{
    size_t end = *offset;

    while (end > 0 && (is_space(text.at[end - 1]) || text.at[end - 1] == ':'))
        end--;
    if (end == 0 || text.at[end - 1] != '"')
        return SLICE_NONE;
    end--;
    for (size_t at = end; at > 0; at--) {
        size_t slashes = 0;
        if (text.at[at - 1] != '"')
            continue;
        while (slashes + 1 < at && text.at[at - 2 - slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0) {
            *offset = at - 1;
            return (struct slice){text.at + at, end - at};
        }
    }
    return SLICE_NONE;
}

static const char *advice(enum json_fault fault)
{
    switch (fault) {
    case JSON_FAULT_UTF8:
        return "this byte is not UTF-8: save the file as UTF-8";
    case JSON_FAULT_NUL:
        return "the character U+0000 is not allowed";
    case JSON_FAULT_SURROGATE:
        return "half of a surrogate pair: write both halves or neither";
    case JSON_FAULT_DEPTH:
        return "objects and arrays lie too deep within each other";
    case JSON_FAULT_SIZE:
        return "too many values or members, or a number that is too long";
    case JSON_FAULT_TRAILING:
        return "something follows the end of the document";
    case JSON_FAULT_NONE:
    case JSON_FAULT_SYNTAX:
    case JSON_FAULT_REPEATED_KEY:
    case JSON_FAULT_COUNT:
        break;
    }
    return "this is not JSON: look for a missing comma, quote or bracket, or "
           "a comma too many, at or before this place";
}

void json_text_complain(struct slice text, struct json_error error,
                        struct json_complaint *out)
{
    size_t offset = error.offset;

    if (error.fault == JSON_FAULT_REPEATED_KEY) {
        struct slice key = slice_head(key_before(text, &offset), KEY_SHOWN_MAX);
        (void)snprintf(out->text, sizeof(out->text),
                       "the key \"%.*s\" appears twice in one object: remove "
                       "one of the two",
                       SLICE_ARG(key));
    } else if (error.fault == JSON_FAULT_SYNTAX && offset >= text.len) {
        (void)snprintf(out->text, sizeof(out->text),
                       "the document ends too early: a quote or bracket is "
                       "not closed");
    } else {
        (void)snprintf(out->text, sizeof(out->text), "%s", advice(error.fault));
    }
    out->place = json_text_place(text, offset);
}
