/* One plain event: a JSON object of the app's own making.
 *
 * What names a person or closes a door must be understood or the event is
 * not: an identifier of a wrong type could not be asked for on the opt-out
 * list. Keys that this dialect does not know are ignored and go nowhere. */
#include "family.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/consent_hear.h"

#include <string.h>

/* The member, or NULL if it is absent or null. */
static const struct json_node *get(const struct json_node *object,
                                   struct slice key)
{
    const struct json_node *n = json_member(object, key);

    return n == NULL || n->type == JSON_NULL ? NULL : n;
}

static enum status read_identifiers(const struct json_node *event,
                                    struct arena *a, struct hit *h)
{
    static const struct {
        struct slice key;
        enum id_kind kind;
    } rows[] = {
        {SLICE_INIT("user_id"), ID_USER},
        {SLICE_INIT("device_id"), ID_DEVICE},
        {SLICE_INIT("session_id"), ID_SESSION},
        {SLICE_INIT("group_id"), ID_GROUP},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice text;
        if (!dialect_scalar(event, rows[i].key, &text))
            return ST_TYPE;
        enum status st = hit_add_identifier(h, rows[i].kind, text, a);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* RFC 3339; a text without an offset (Python's isoformat()) is UTC. */
static bool time_of_text(struct slice s, int64_t *out_ms)
{
    char text[TIME_TEXT_MAX + 1];

    if (time_parse(s, out_ms) == ST_OK)
        return true;
    if (s.len >= TIME_TEXT_MAX)
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = 'Z';
    return time_parse((struct slice){text, s.len + 1}, out_ms) == ST_OK;
}

static bool read_time(const struct json_node *event, struct hit *h)
{
    const struct json_node *n = get(event, SLICE("timestamp"));

    if (n == NULL || (n->type == JSON_STRING && n->text.len == 0))
        return true;
    if (n->type == JSON_STRING)
        h->has_time = time_of_text(n->text, &h->time_ms);
    else if (n->type == JSON_NUMBER)
        h->has_time = dialect_time_of_number(n->text, &h->time_ms);
    return h->has_time;
}

/* Only a signal that is there and says yes tightens. */
static bool says_yes(const struct json_node *n)
{
    if (n == NULL)
        return false;
    return n->type == JSON_TRUE ||
           ((n->type == JSON_STRING || n->type == JSON_NUMBER) &&
            slice_eq(n->text, SLICE("1")));
}

/* R9: what this dialect has no place for is dropped, and counted. */
static unsigned unknown_keys(const struct json_node *event,
                             const struct json_node *context)
{
    static const struct slice outer[] = {
        SLICE_INIT("action"),    SLICE_INIT("details"),
        SLICE_INIT("timestamp"), SLICE_INIT("session_id"),
        SLICE_INIT("user_id"),   SLICE_INIT("device_id"),
        SLICE_INIT("group_id"),  SLICE_INIT("id"),
        SLICE_INIT("consent"),   SLICE_INIT("context"),
    };
    static const struct slice inner[] = {
        SLICE_INIT("url"),
        SLICE_INIT("referrer"),
        SLICE_INIT("title"),
        SLICE_INIT("user_agent"),
        SLICE_INIT("language"),
        SLICE_INIT("screen"),
        SLICE_INIT("campaign"),
        SLICE_INIT("ip"),
        SLICE_INIT("gpc"),
        SLICE_INIT("dnt"),
        SLICE_INIT("tcf"),
        SLICE_INIT("consent"),
        SLICE_INIT("consentManagement"),
    };
    unsigned n =
        dialect_count_unknown(event, outer, sizeof(outer) / sizeof(outer[0]));

    return n + dialect_count_unknown(context, inner,
                                     sizeof(inner) / sizeof(inner[0]));
}

static void read_context(const struct json_node *context, struct hit *h)
{
    static const enum context_key keys[] = {
        CTX_IP,  CTX_USER_AGENT, CTX_LANGUAGE, CTX_SCREEN,
        CTX_URL, CTX_REFERRER,   CTX_CAMPAIGN, CTX_TITLE,
    };

    for (size_t i = 0; context != NULL && i < sizeof(keys) / sizeof(keys[0]);
         i++) {
        const struct json_node *n =
            get(context, slice_of(context_key_name(keys[i])));
        if (n != NULL && n->type == JSON_STRING && n->text.len > 0)
            h->context[keys[i]] = n->text;
    }
}

static void read_signals(const struct json_node *event,
                         const struct json_node *context, struct hit *h)
{
    if (context != NULL) {
        h->signals.gpc |= says_yes(json_member(context, SLICE("gpc")));
        h->signals.dnt |= says_yes(json_member(context, SLICE("dnt")));
    }
    consent_hear_context(&h->signals, context);
    consent_hear_consent(&h->signals, json_member(event, SLICE("consent")));
}

enum status plain_event_read(const struct json_node *event,
                             const struct beacon *b, struct arena *a,
                             struct hit *out)
{
    struct hit h = {.source = SOURCE_PLAIN};

    if (event->type != JSON_OBJECT)
        return ST_TYPE;
    const struct json_node *action = get(event, SLICE("action"));
    const struct json_node *details = get(event, SLICE("details"));
    const struct json_node *context = get(event, SLICE("context"));
    if (action == NULL || action->type != JSON_STRING ||
        action->text.len == 0 ||
        (details != NULL && details->type != JSON_OBJECT) ||
        (context != NULL && context->type != JSON_OBJECT) ||
        !dialect_scalar(event, SLICE("id"), &h.client_id) ||
        !read_time(event, &h))
        return ST_TYPE;
    h.name = action->text;
    h.fields = details;
    h.unknown_keys = unknown_keys(event, context);
    read_context(context, &h);
    read_signals(event, context, &h);
    dialect_add_headers(b, &h);
    enum status st = read_identifiers(event, a, &h);
    if (st == ST_OK)
        *out = h;
    return st;
}
