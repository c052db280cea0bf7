/* One clean hit as a Mixpanel event. No `$device_id` or `$user_id`: Mixpanel
 * would merge identities by them, and the policy's `visitor` has already said
 * who distinct_id is. */
#include "encode.h"

#include "lethe/policy/base/clock.h"

/* Names that are written here; a field of such a name must not repeat one. */
static const char *const own_names[] = {
    "token",          "distinct_id", "$insert_id",
    "time",           "ip",          "session_id",
    "device_id",      "user_id",     "group_id",
    "$current_url",   "$referrer",   "user_agent",
    "language",       "screen",      "campaign",
    "place",          "$device_id",  "current_page_title",
    "$identified_id", "$user_id",    NULL,
};

static const char *const context_names[CTX_COUNT] = {
    [CTX_IP] = NULL, /* never leaves; its place would be "ip" */
    [CTX_PLACE] = "place",
    [CTX_USER_AGENT] = "user_agent",
    [CTX_LANGUAGE] = "language",
    [CTX_SCREEN] = "screen",
    [CTX_URL] = "$current_url",
    [CTX_REFERRER] = "$referrer",
    [CTX_CAMPAIGN] = "campaign",
    [CTX_TITLE] = "current_page_title",
    [CTX_TIME] = NULL, /* "time" */
};

static const char *const id_names[ID_COUNT] = {
    [ID_USER] = "user_id",       [ID_DEVICE] = "device_id",
    [ID_SESSION] = "session_id", [ID_GROUP] = "group_id",
    [ID_OTHER] = NULL,
};

static void put_known(struct buf *b, const char *name,
                      const struct clean_value *v)
{
    buf_printf(b, ",\"%s\":", name);
    clean_value_put(b, v);
}

static void put_identifiers(const struct clean_hit *c, struct buf *b)
{
    buf_put(b, SLICE("\"distinct_id\":"));
    buf_put_json_string(b, c->visitor);
    for (unsigned k = 0; k < ID_COUNT; k++) {
        const struct clean_value v = {.type = CLEAN_STRING, .text = c->ids[k]};
        if (id_names[k] != NULL && c->ids[k].at != NULL)
            put_known(b, id_names[k], &v);
    }
}

/* Mixpanel's own name for what all dialects call page_view. */
static struct slice event_name(struct slice event)
{
    return slice_eq(event, SLICE("page_view")) ? SLICE("$mp_web_page_view")
                                               : event;
}

void mixpanel_encode(const struct clean_hit *c, struct buf *body)
{
    put_identifiers(c, body);
    buf_put(body, SLICE(",\"$insert_id\":"));
    buf_put_json_string(body, c->event_id);
    buf_put(body, SLICE(",\"ip\":0"));
    if (c->has_time) {
        buf_put(body, SLICE(",\"time\":"));
        buf_put_i64_text(body, c->time_ms);
    }
    for (unsigned k = 0; k < CTX_COUNT; k++)
        if (context_names[k] != NULL && c->context[k].name.at != NULL)
            put_known(body, context_names[k], &c->context[k]);
    for (unsigned i = 0; i < c->field_count; i++) {
        buf_put_char(body, ',');
        encode_name(body, c->fields[i].name, own_names);
        buf_put_char(body, ':');
        clean_value_put(body, &c->fields[i]);
    }
    buf_put(body, SLICE("},\"event\":"));
    buf_put_json_string(body, event_name(c->event));
    buf_put_char(body, '}');
}
