/* One clean hit as an event of GA4's Measurement Protocol. The client id, the
 * user id and the time stand once a request there: they are the fragment's
 * group. */
#include "encode.h"

#include "lethe/policy/base/clock.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 40u  /* of an event or parameter */
#define TEXT_MAX_BYTES 100u /* of a parameter's value */
#define PARAMS_MAX     25u  /* of an event; what is beyond stays here */
#define HALF_BITS      31u
#define HALF_MASK      ((UINT64_C(1) << HALF_BITS) - 1)

static const char *const own_names[] = {
    "session_id",
    "engagement_time_msec",
    "event_id",
    "page_location",
    "page_referrer",
    "page_title",
    "language",
    "screen_resolution",
    "campaign",
    "place",
    "user_agent",
    "client_id",
    "user_id",
    "group_id",
    NULL,
};

static const char *const context_names[CTX_COUNT] = {
    [CTX_IP] = NULL, /* never leaves */
    [CTX_PLACE] = "place",
    [CTX_USER_AGENT] = "user_agent",
    [CTX_LANGUAGE] = "language",
    [CTX_SCREEN] = "screen_resolution",
    [CTX_URL] = "page_location",
    [CTX_REFERRER] = "page_referrer",
    [CTX_CAMPAIGN] = "campaign",
    [CTX_TITLE] = "page_title",
    [CTX_TIME] = NULL, /* timestamp_micros of the request */
};

/* ---- identifiers in GA4's shapes ---------------------------------------- */

/* 62 of the bits that a pseudonym's base32 text stands for. The text was
 * stretched from the policy's bits by a keyed hash, so what is cut off here
 * takes nothing from them. */
static uint64_t bits_of(struct slice text)
{
    uint64_t v = 0;

    for (size_t i = 0; i < text.len && i < 13; i++) {
        char c = text.at[i];
        unsigned five = c >= 'a' && c <= 'z' ? (unsigned)(c - 'a')
                                             : (unsigned)(c - '2') + 26;
        v = v << 5 | (five & 31u);
    }
    return v & ((UINT64_C(1) << GA4_IDENTIFIER_BITS) - 1);
}

static void put_client_id(struct buf *b, struct slice visitor)
{
    uint64_t v = bits_of(visitor);

    buf_printf(b, "%llu.%llu",
               (unsigned long long)((v >> HALF_BITS & HALF_MASK) + 1),
               (unsigned long long)((v & HALF_MASK) + 1));
}

static void put_group(const struct clean_hit *c, struct buf *group)
{
    put_client_id(group, c->visitor.at != NULL ? c->visitor : c->event_id);
    buf_put_char(group, ' ');
    if (c->ids[ID_USER].at != NULL && c->ids[ID_USER].at != c->visitor.at)
        buf_put(group, c->ids[ID_USER]);
    else
        buf_put_char(group, '-');
    if (c->has_time)
        buf_printf(group, " %lld", (long long)c->time_ms * 1000);
    else
        buf_put(group, SLICE(" -"));
}

static struct slice next_part(struct slice *rest)
{
    struct slice part = slice_head(*rest, slice_find(*rest, ' '));

    *rest = slice_skip(*rest, part.len + 1);
    return slice_eq(part, SLICE("-")) ? SLICE_NONE : part;
}

void wire_ga4_group_read(struct slice group, struct wire_ga4_group *out)
{
    out->client_id = next_part(&group);
    out->user_id = next_part(&group);
    out->time_micros = next_part(&group);
}

/* ---- names and values --------------------------------------------------- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What GA4 takes as a name: another character becomes '_', and a name that
 * does not begin with a letter gets one. Returns its length. */
static size_t make_name(struct slice name, char out[NAME_MAX_BYTES])
{
    size_t len = 0;

    if (name.len == 0 || !is_letter(name.at[0]))
        out[len++] = 'x';
    for (size_t i = 0; i < name.len && len < NAME_MAX_BYTES; i++) {
        char c = name.at[i];
        out[len++] = is_letter(c) || (c >= '0' && c <= '9') ? c : '_';
    }
    return len;
}

/* At most TEXT_MAX_BYTES, and no character cut in two. */
static struct slice cut(struct slice text)
{
    size_t len = text.len;

    if (len <= TEXT_MAX_BYTES)
        return text;
    len = TEXT_MAX_BYTES;
    while (len > 0 && ((unsigned char)text.at[len] & 0xC0u) == 0x80u)
        len--;
    return slice_head(text, len);
}

static struct slice text_of(const struct clean_value *v)
{
    if (v->type == CLEAN_BOOL)
        return v->truth ? SLICE("true") : SLICE("false");
    return v->text;
}

static void put_list(struct buf *b, const struct clean_value *v)
{
    char text[TEXT_MAX_BYTES];
    size_t len = 0;

    for (unsigned i = 0; i < v->item_count; i++) {
        struct slice item = text_of(&v->items[i]);
        if (len + item.len + (i > 0) > sizeof(text))
            break; /* whole elements only */
        if (i > 0)
            text[len++] = ',';
        memcpy(text + len, item.at, item.len);
        len += item.len;
    }
    buf_put_json_string(b, (struct slice){text, len});
}

static void put_value(struct buf *b, const struct clean_value *v)
{
    switch (v->type) {
    case CLEAN_NUMBER:
        buf_put(b, v->text);
        return;
    case CLEAN_LIST:
        put_list(b, v);
        return;
    case CLEAN_STRING:
    case CLEAN_BOOL:
        break;
    }
    buf_put_json_string(b, cut(text_of(v)));
}

/* Returns how many were written. */
static unsigned put_context(const struct clean_hit *c, struct buf *b)
{
    unsigned count = 0;

    for (unsigned k = 0; k < CTX_COUNT; k++) {
        if (context_names[k] == NULL || c->context[k].name.at == NULL)
            continue;
        buf_printf(b, ",\"%s\":", context_names[k]);
        put_value(b, &c->context[k]);
        count++;
    }
    return count;
}

/* `used`: parameters that stand there already. */
static void put_fields(const struct clean_hit *c, unsigned used, struct buf *b)
{
    char name[NAME_MAX_BYTES];

    for (unsigned i = 0; i < c->field_count && used < PARAMS_MAX; i++) {
        size_t len = make_name(c->fields[i].name, name);
        buf_put_char(b, ',');
        encode_name(b, (struct slice){name, len}, own_names);
        buf_put_char(b, ':');
        put_value(b, &c->fields[i]);
        used++;
    }
}

void ga4_encode(const struct clean_hit *c, struct buf *group, struct buf *body)
{
    char name[NAME_MAX_BYTES];

    put_group(c, group);
    size_t len = make_name(c->event, name);
    buf_put(body, SLICE("{\"name\":\""));
    buf_put_bytes(body, name, len);
    /* Without an engagement time GA4's realtime reports leave the event out;
     * one millisecond says that there was some and tells nothing. */
    buf_put(body, SLICE("\",\"params\":{\"engagement_time_msec\":1"));
    if (c->ids[ID_SESSION].at != NULL)
        buf_printf(
            body, ",\"session_id\":%llu",
            (unsigned long long)(bits_of(c->ids[ID_SESSION]) & HALF_MASK) + 1);
    if (c->ids[ID_GROUP].at != NULL) {
        buf_put(body, SLICE(",\"group_id\":"));
        buf_put_json_string(body, c->ids[ID_GROUP]);
    }
    buf_put(body, SLICE(",\"event_id\":"));
    buf_put_json_string(body, c->event_id);
    unsigned used = 2u + (c->ids[ID_SESSION].at != NULL) +
                    (c->ids[ID_GROUP].at != NULL) + put_context(c, body);
    put_fields(c, used, body);
    buf_put(body, SLICE("}}"));
}
