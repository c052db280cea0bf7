/* clean_hit.c - the plain wire form, in the order of Mixbot's own log line.
 * Room for the longest outcome is taken once; what follows only copies. */
#include "lethe/policy/clean_hit.h"

#include <assert.h>
#include <string.h>

#define ESCAPED_MAX 6u   /* bytes that one byte may become: \u001f */
#define FRAME_MAX   512u /* braces, fixed names, the time */
#define VALUE_FRAME 8u   /* quotes, colon, comma, "false" */

/* Bytes of `s` with escapes: a quick upper bound, or counted. */
static size_t text_bound(struct slice s, bool exact)
{
    size_t n = s.len;

    if (!exact)
        return ESCAPED_MAX * s.len;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];

        if (c < 0x20)
            n += ESCAPED_MAX - 1;
        else if (c == '"' || c == '\\')
            n++;
    }
    return n;
}

static size_t value_bound(const struct clean_value *v, bool exact)
{
    size_t n = VALUE_FRAME + text_bound(v->name, exact);

    if (v->type != CLEAN_LIST)
        return n + text_bound(v->text, exact);
    for (unsigned i = 0; i < v->item_count; i++) {
        assert(v->items[i].type != CLEAN_LIST);
        n += VALUE_FRAME + text_bound(v->items[i].text, exact);
    }
    return n;
}

static size_t bound(const struct clean_hit *c, struct slice purpose, bool exact)
{
    size_t n = FRAME_MAX + text_bound(c->event, exact) +
               text_bound(purpose, exact) + c->event_id.len;

    for (unsigned k = 0; k < ID_COUNT; k++)
        n += c->ids[k].len;
    for (unsigned k = 0; k < CTX_COUNT; k++) {
        if (c->context[k].name.at != NULL)
            n += value_bound(&c->context[k], exact);
    }
    for (unsigned i = 0; i < c->field_count; i++)
        n += value_bound(&c->fields[i], exact);
    return n;
}

static char *put(char *at, struct slice s)
{
    memcpy(at, s.at, s.len);
    return at + s.len;
}

static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];

        if (c < 0x20 || c == '"' || c == '\\')
            return false;
    }
    return true;
}

static char *put_escaped(char *at, struct slice s)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];

        if (c < 0x20) {
            at = put(at, SLICE("\\u00"));
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
            continue;
        }
        if (c == '"' || c == '\\')
            *at++ = '\\';
        *at++ = (char)c;
    }
    return at;
}

static char *put_string(char *at, struct slice s)
{
    *at++ = '"';
    at = is_plain(s) ? put(at, s) : put_escaped(at, s);
    *at++ = '"';
    return at;
}

static char *put_value(char *at, const struct clean_value *v)
{
    switch (v->type) {
    case CLEAN_STRING:
        return put_string(at, v->text);
    case CLEAN_NUMBER:
        return put(at, v->text);
    case CLEAN_BOOL:
        return put(at, v->truth ? SLICE("true") : SLICE("false"));
    case CLEAN_LIST:
        break;
    }
    *at++ = '[';
    for (unsigned i = 0; i < v->item_count; i++) {
        if (i > 0)
            *at++ = ',';
        at = put_value(at, &v->items[i]);
    }
    *at++ = ']';
    return at;
}

static char *put_member(char *at, const struct clean_value *v, bool first)
{
    if (!first)
        *at++ = ',';
    at = put_string(at, v->name);
    *at++ = ':';
    return put_value(at, v);
}

static char *put_context(char *at, const struct clean_hit *c)
{
    bool first = true;

    for (unsigned k = 0; k < CTX_COUNT; k++) {
        if (c->context[k].name.at == NULL)
            continue;
        if (first)
            at = put(at, SLICE(",\"context\":{"));
        at = put_member(at, &c->context[k], first);
        first = false;
    }
    if (!first)
        *at++ = '}';
    return at;
}

/* `before` (name, colon, quote), a text of ours that needs no escape, and
 * `after`; nothing at all where it is absent. */
static char *put_own(char *at, struct slice before, struct slice text,
                     struct slice after)
{
    if (text.at == NULL)
        return at;
    at = put(at, before);
    at = put(at, text);
    return put(at, after);
}

static char *put_time(char *at, const struct clean_hit *c)
{
    char text[TIME_TEXT_MAX];
    size_t len;

    if (!c->has_time)
        return at;
    len = time_format(c->time_ms, c->time_ms % MS_PER_S != 0, text);
    return put_own(at, SLICE("\"timestamp\":\""), (struct slice){text, len},
                   SLICE("\","));
}

void clean_hit_encode_plain(const struct clean_hit *c, const struct policy *p,
                            struct buf *out)
{
    struct slice purpose = p->purposes[c->purpose].name;
    size_t most = bound(c, purpose, false);
    struct slice quote = SLICE("\"");
    char *at;

    if (most > out->cap - out->len)
        most = bound(c, purpose, true);
    if (!buf_reserve(out, most))
        return;
    at = out->data + out->len;
    *at++ = '{';
    at = put_time(at, c);
    at = put_own(at, SLICE("\"session_id\":\""), c->ids[ID_SESSION],
                 SLICE("\","));
    at = put(at, SLICE("\"action\":"));
    at = put_string(at, c->event);
    at = put(at, SLICE(",\"details\":{"));
    for (unsigned i = 0; i < c->field_count; i++)
        at = put_member(at, &c->fields[i], i == 0);
    *at++ = '}';
    at = put_own(at, SLICE(",\"user_id\":\""), c->ids[ID_USER], quote);
    at = put_own(at, SLICE(",\"device_id\":\""), c->ids[ID_DEVICE], quote);
    at = put_own(at, SLICE(",\"group_id\":\""), c->ids[ID_GROUP], quote);
    at = put_context(at, c);
    at = put(at, SLICE(",\"purpose\":"));
    at = put_string(at, purpose);
    at = put_own(at, SLICE(",\"id\":\""), c->event_id, quote);
    *at++ = '}';
    assert((size_t)(at - out->data) <= out->len + most);
    out->len = (size_t)(at - out->data);
}

void clean_value_put(struct buf *b, const struct clean_value *v)
{
    switch (v->type) {
    case CLEAN_STRING:
        buf_put_json_string(b, v->text);
        return;
    case CLEAN_NUMBER:
        buf_put(b, v->text);
        return;
    case CLEAN_BOOL:
        buf_put(b, v->truth ? SLICE("true") : SLICE("false"));
        return;
    case CLEAN_LIST:
        break;
    }
    buf_put_char(b, '[');
    for (unsigned i = 0; i < v->item_count; i++) {
        if (i > 0)
            buf_put_char(b, ',');
        clean_value_put(b, &v->items[i]);
    }
    buf_put_char(b, ']');
}
