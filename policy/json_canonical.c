/* RFC 8785 (JCS) and the indented form, both on json_tree.h alone. */
#include "lethe/policy/json_tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX  17  /* with so many, any double comes back */
#define NUMBER_TEXT 40u /* bytes of "-d.dddde-xxx" at its longest */
#define INDENT      2u

/* RFC 8785 3.2.2.2: short escapes where there are any. */
static char short_escape(char c)
{
    switch (c) {
    case '\b':
        return 'b';
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\f':
        return 'f';
    case '\r':
        return 'r';
    case '"':
    case '\\':
        return c;
    default:
        return '\0';
    }
}

static void put_string(struct buf *out, struct slice s)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i], escape = short_escape(c);
        if (escape != '\0') {
            buf_put_char(out, '\\');
            buf_put_char(out, escape);
        } else if ((unsigned char)c < 0x20) {
            buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            buf_put_char(out, c);
        }
    }
    buf_put_char(out, '"');
}

/* `text`, v with so many digits, reads back as `v`; if not, perhaps with its
 * last digit one higher: above a power of two doubles lie further apart than
 * below it, so that the nearest decimal may miss where the next one hits. */
static bool reads_back(char *text, int count, double v)
{
    char *last = &text[count > 1 ? count : 0];

    if (count == DIGITS_MAX || strtod(text, NULL) == v)
        return true;
    if (*last == '9') /* the carry would have been found with fewer digits */
        return false;
    *last = (char)(*last + 1);
    return strtod(text, NULL) == v;
}

/* The fewest digits that read back as `v` > 0 and the power of ten so that
 * v = 0.DIGITS * 10^point: what ECMAScript calls s, k and n. */
static int shortest(double v, char digits[DIGITS_MAX + 1], int *out_point)
{
    char text[NUMBER_TEXT];
    int count = 0;

    do {
        count++;
        (void)snprintf(text, sizeof(text), "%.*e", count - 1, v);
    } while (!reads_back(text, count, v));
    digits[0] = text[0];
    if (count > 1)
        memcpy(digits + 1, text + 2, (size_t)count - 1);
    digits[count] = '\0';
    *out_point = (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
    return count;
}

static void put_zeros(struct buf *out, int count)
{
    for (; count > 0; count--)
        buf_put_char(out, '0');
}

/* ECMAScript's Number::toString, on which RFC 8785 3.2.2.3 rests. */
static enum status put_number(struct buf *out, double v)
{
    char digits[DIGITS_MAX + 1];
    int point;

    if (!isfinite(v))
        return ST_TYPE;
    if (v == 0) {
        buf_put_char(out, '0'); /* minus zero too */
        return ST_OK;
    }
    if (v < 0)
        buf_put_char(out, '-');
    int count = shortest(fabs(v), digits, &point);
    if (count <= point && point <= 21) {
        buf_put_bytes(out, digits, (size_t)count);
        put_zeros(out, point - count);
    } else if (point > 0 && point < count) {
        buf_printf(out, "%.*s.%s", point, digits, digits + point);
    } else if (point > -6 && point <= 0) {
        buf_put(out, SLICE("0."));
        put_zeros(out, -point);
        buf_put_bytes(out, digits, (size_t)count);
    } else {
        buf_printf(out, "%c%s%se%+d", digits[0], count > 1 ? "." : "",
                   digits + 1, point - 1);
    }
    return ST_OK;
}

static enum status put_scalar(const struct json_value *v, struct buf *out)
{
    switch (json_kind_of(v)) {
    case JSON_KIND_BOOL:
        buf_put(out, json_bool(v) ? SLICE("true") : SLICE("false"));
        return ST_OK;
    case JSON_KIND_NUMBER:
        return put_number(out, json_number(v));
    case JSON_KIND_STRING:
        put_string(out, json_string(v));
        return ST_OK;
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    buf_put(out, SLICE("null"));
    return ST_OK;
}

/* Order of UTF-16 code units (RFC 8785 3.2.3) on UTF-8 bytes: that of bytes,
 * except that U+E000..U+FFFF (0xEE, 0xEF) come after what needs surrogates. */
static int compare_utf16(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;

    for (size_t i = 0; i < len; i++) {
        unsigned char x = (unsigned char)a.at[i], y = (unsigned char)b.at[i];
        if (x == y)
            continue;
        if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0))
            return x >= 0xF0 ? -1 : 1;
        return x < y ? -1 : 1;
    }
    return (a.len > b.len) - (a.len < b.len);
}

static int compare_members(const void *left, const void *right)
{
    const struct json_value *a = *(const struct json_value *const *)left;
    const struct json_value *b = *(const struct json_value *const *)right;

    return compare_utf16(json_name(a), json_name(b));
}

static enum status put_canonical(const struct json_value *v, struct buf *out);

static enum status put_members(const struct json_value **members, size_t count,
                               struct buf *out)
{
    enum status st = ST_OK;

    qsort(members, count, sizeof(*members), compare_members);
    buf_put_char(out, '{');
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        put_string(out, json_name(members[i]));
        buf_put_char(out, ':');
        st = put_canonical(members[i], out);
    }
    buf_put_char(out, '}');
    return st;
}

static enum status put_object(const struct json_value *object, struct buf *out)
{
    size_t count = json_size(object), i = 0;

    const struct json_value **members =
        calloc(count > 0 ? count : 1, sizeof(*members));
    if (members == NULL)
        return ST_NOMEM;
    for (const struct json_value *c = json_child(object); c != NULL;
         c = json_sibling(c))
        members[i++] = c;
    enum status st = put_members(members, count, out);
    free(members);
    return st;
}

/* Recursion is bounded by JSON_DEPTH_MAX: the tree was read. */
static enum status put_canonical(const struct json_value *v, struct buf *out)
{
    enum json_kind kind = json_kind_of(v);
    enum status st = ST_OK;

    if (kind == JSON_KIND_OBJECT)
        return put_object(v, out);
    if (kind != JSON_KIND_ARRAY)
        return put_scalar(v, out);
    buf_put_char(out, '[');
    for (const struct json_value *c = json_child(v); c != NULL && st == ST_OK;
         c = json_sibling(c)) {
        if (c != json_child(v))
            buf_put_char(out, ',');
        st = put_canonical(c, out);
    }
    buf_put_char(out, ']');
    return st;
}

enum status json_canonical(const struct json_value *v, struct buf *out)
{
    enum status st = put_canonical(v, out);

    if (st == ST_OK && out->failed)
        return ST_LIMIT;
    return st;
}

static void new_line(struct buf *out, unsigned depth)
{
    buf_put_char(out, '\n');
    for (unsigned i = 0; i < depth * INDENT; i++)
        buf_put_char(out, ' ');
}

static enum status put_pretty(const struct json_value *v, struct buf *out,
                              unsigned depth)
{
    bool object = json_kind_of(v) == JSON_KIND_OBJECT;
    enum status st = ST_OK;

    if (!object && json_kind_of(v) != JSON_KIND_ARRAY)
        return put_scalar(v, out);
    buf_put_char(out, object ? '{' : '[');
    for (const struct json_value *c = json_child(v); c != NULL && st == ST_OK;
         c = json_sibling(c)) {
        if (c != json_child(v))
            buf_put_char(out, ',');
        new_line(out, depth + 1);
        if (object) {
            put_string(out, json_name(c));
            buf_put(out, SLICE(": "));
        }
        st = put_pretty(c, out, depth + 1);
    }
    if (json_child(v) != NULL)
        new_line(out, depth);
    buf_put_char(out, object ? '}' : ']');
    return st;
}

enum status json_pretty(const struct json_value *v, struct buf *out)
{
    enum status st = put_pretty(v, out, 0);

    if (st == ST_OK && out->failed)
        return ST_LIMIT;
    return st;
}
