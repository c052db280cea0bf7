/* clean_hit.c - the plain wire form, in the order of Mixbot's own log line. */
#include "lethe/policy/clean_hit.h"

#include <assert.h>

static void put_name(struct buf *out, struct slice name, bool first)
{
    if (!first)
        buf_put_char(out, ',');
    buf_put_json_string(out, name);
    buf_put_char(out, ':');
}

/* A member whose value is a pseudonym or a time of ours: nothing to escape.
 * `name` is written with its quotes and colon. */
static void put_own(struct buf *out, struct slice name, struct slice text)
{
    if (text.at == NULL)
        return;
    buf_put(out, name);
    buf_put(out, text);
    buf_put(out, SLICE("\","));
}

static void put_value(struct buf *out, const struct clean_value *v)
{
    switch (v->type) {
    case CLEAN_STRING:
        buf_put_json_string(out, v->text);
        break;
    case CLEAN_NUMBER:
        buf_put(out, v->text);
        break;
    case CLEAN_BOOL:
        buf_put(out, v->truth ? SLICE("true") : SLICE("false"));
        break;
    case CLEAN_LIST:
        buf_put_char(out, '[');
        for (unsigned i = 0; i < v->item_count; i++) {
            assert(v->items[i].type != CLEAN_LIST);
            if (i > 0)
                buf_put_char(out, ',');
            put_value(out, &v->items[i]);
        }
        buf_put_char(out, ']');
        break;
    }
}

static void put_context(struct buf *out, const struct clean_hit *c)
{
    bool first = true;

    for (unsigned k = 0; k < CTX_COUNT; k++) {
        if (c->context[k].name.at == NULL)
            continue;
        if (first)
            buf_put(out, SLICE(",\"context\":{"));
        put_name(out, c->context[k].name, first);
        put_value(out, &c->context[k]);
        first = false;
    }
    if (!first)
        buf_put_char(out, '}');
}

static void put_id(struct buf *out, struct slice name, struct slice text)
{
    if (text.at == NULL)
        return;
    buf_put(out, name);
    buf_put(out, text);
    buf_put_char(out, '"');
}

void clean_hit_encode_plain(const struct clean_hit *c, const struct policy *p,
                            struct buf *out)
{
    char time[TIME_TEXT_MAX];

    buf_put_char(out, '{');
    if (c->has_time) {
        size_t len = time_format(c->time_ms, c->time_ms % MS_PER_S != 0, time);
        put_own(out, SLICE("\"timestamp\":\""), (struct slice){time, len});
    }
    put_own(out, SLICE("\"session_id\":\""), c->ids[ID_SESSION]);
    buf_put(out, SLICE("\"action\":"));
    buf_put_json_string(out, c->event);
    buf_put(out, SLICE(",\"details\":{"));
    for (unsigned i = 0; i < c->field_count; i++) {
        put_name(out, c->fields[i].name, i == 0);
        put_value(out, &c->fields[i]);
    }
    buf_put_char(out, '}');
    put_id(out, SLICE(",\"user_id\":\""), c->ids[ID_USER]);
    put_id(out, SLICE(",\"device_id\":\""), c->ids[ID_DEVICE]);
    put_id(out, SLICE(",\"group_id\":\""), c->ids[ID_GROUP]);
    put_context(out, c);
    buf_put(out, SLICE(",\"purpose\":"));
    buf_put_json_string(out, p->purposes[c->purpose].name);
    put_id(out, SLICE(",\"id\":\""), c->event_id);
    buf_put_char(out, '}');
}
