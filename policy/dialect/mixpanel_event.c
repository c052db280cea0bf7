#include "mixpanel.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/consent_hear.h"

#include <stdio.h>
#include <string.h>

#define SCREEN_TEXT_MAX 32u

static struct slice text_of(const struct json_node *object, struct slice key)
{
    struct slice text;

    return dialect_scalar(object, key, &text) ? text : SLICE_NONE;
}

enum status mixpanel_add_tokens(struct dialect_call *c,
                                const struct json_node *item)
{
    const struct json_node *properties = json_member(item, SLICE("properties"));
    enum status st = dialect_add_key(c, text_of(item, SLICE("$token")));

    if (st == ST_OK)
        st = dialect_add_key(c, text_of(properties, SLICE("token")));
    return st;
}

/* ---- who ---------------------------------------------------------------- */

static const struct slice device_prefix = SLICE_INIT("$device:");

/* A distinct id is a device until somebody is identified, then the user; on
 * servers it is whoever the app says, with nothing beside it. */
static enum status add_distinct(struct hit *h, struct slice distinct,
                                struct slice user, struct slice device,
                                struct arena *a)
{
    if (slice_starts(distinct, device_prefix))
        return hit_add_identifier(h, ID_DEVICE,
                                  slice_skip(distinct, device_prefix.len), a);
    if (distinct.len == 0 || slice_eq(distinct, user) ||
        slice_eq(distinct, device))
        return ST_OK;
    return hit_add_identifier(h, user.len == 0 ? ID_USER : ID_OTHER, distinct,
                              a);
}

/* Those whom $merge makes one. What is neither text nor number could not be
 * asked for on the opt-out list: ST_TYPE. */
static enum status add_merged(struct hit *h, const struct json_node *object,
                              struct arena *a)
{
    const struct json_node *list = json_member(object, SLICE("$distinct_ids"));
    struct slice text;

    if (list == NULL || list->type != JSON_ARRAY) {
        if (!dialect_scalar(object, SLICE("$distinct_ids"), &text))
            return ST_TYPE;
        return hit_add_identifier(h, ID_OTHER, text, a);
    }
    for (const struct json_node *n = json_first(list); n != NULL;
         n = json_next(list, n)) {
        if (n->type == JSON_NULL)
            continue;
        if (n->type != JSON_STRING && n->type != JSON_NUMBER)
            return ST_TYPE;
        enum status st = hit_add_identifier(h, ID_OTHER, n->text, a);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* `object` are an event's properties or a profile update; `distinct_key` is
 * what it calls the distinct id. */
static enum status add_people(struct hit *h, const struct json_node *object,
                              struct slice distinct_key, struct arena *a)
{
    static const struct {
        struct slice key;
        enum id_kind kind;
    } more[] = {
        {SLICE_INIT("session_id"), ID_SESSION},
        {SLICE_INIT("$group_id"), ID_GROUP},
        {SLICE_INIT("$anon_distinct_id"), ID_OTHER},
        {SLICE_INIT("$identified_id"), ID_OTHER},
        {SLICE_INIT("$anon_id"), ID_OTHER},
        {SLICE_INIT("alias"), ID_OTHER},
        {SLICE_INIT("$mp_replay_id"), ID_OTHER},
    };
    struct slice user, device, distinct, text;

    if (!dialect_scalar(object, SLICE("$user_id"), &user) ||
        !dialect_scalar(object, SLICE("$device_id"), &device) ||
        !dialect_scalar(object, distinct_key, &distinct))
        return ST_TYPE;
    enum status st = hit_add_identifier(h, ID_USER, user, a);
    if (st == ST_OK)
        st = hit_add_identifier(h, ID_DEVICE, device, a);
    if (st == ST_OK)
        st = add_distinct(h, distinct, user, device, a);
    for (size_t i = 0; st == ST_OK && i < sizeof(more) / sizeof(more[0]); i++) {
        if (!dialect_scalar(object, more[i].key, &text))
            return ST_TYPE;
        st = hit_add_identifier(h, more[i].kind, text, a);
    }
    return st == ST_OK ? add_merged(h, object, a) : st;
}

/* ---- what --------------------------------------------------------------- */

/* Mixpanel tells events apart by all four of these, so a library that sends
 * one again sends all four again. */
static enum status make_client_id(struct hit *h, const struct json_node *p,
                                  struct arena *a)
{
    const struct slice parts[] = {
        text_of(p, SLICE("$insert_id")),
        h->name,
        text_of(p, SLICE("time")),
        text_of(p, SLICE("distinct_id")),
    };
    size_t count = sizeof(parts) / sizeof(parts[0]), len = count;

    if (parts[0].len == 0)
        return ST_OK;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    char *text = arena_alloc(a, len), *at = text;
    if (text == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0)
            memcpy(at, parts[i].at, parts[i].len);
        at += parts[i].len;
        *at++ = '\0'; /* in no text of JSON that was read */
    }
    h->client_id = (struct slice){text, len};
    return ST_OK;
}

static enum status read_screen(const struct json_node *p, struct arena *a,
                               struct hit *h)
{
    unsigned long long width, height;

    if (!slice_to_u64(text_of(p, SLICE("$screen_width")), &width) ||
        !slice_to_u64(text_of(p, SLICE("$screen_height")), &height) ||
        width > 99999 || height > 99999)
        return ST_OK;
    char *text = arena_alloc(a, SCREEN_TEXT_MAX);
    if (text == NULL)
        return ST_NOMEM;
    int len = snprintf(text, SCREEN_TEXT_MAX, "%llux%llu", width, height);
    h->context[CTX_SCREEN] = (struct slice){text, (size_t)len};
    return ST_OK;
}

static enum status read_context(const struct json_node *p,
                                const struct beacon *b, struct arena *a,
                                struct hit *h)
{
    static const struct dialect_context_row rows[] = {
        {SLICE_INIT("ip"), CTX_IP},
        {SLICE_INIT("$ip"), CTX_IP},
        {SLICE_INIT("$user_agent"), CTX_USER_AGENT},
        {SLICE_INIT("$current_url"), CTX_URL},
        {SLICE_INIT("$referrer"), CTX_REFERRER},
        {SLICE_INIT("utm_campaign"), CTX_CAMPAIGN},
        {SLICE_INIT("current_page_title"), CTX_TITLE},
    };

    dialect_read_context(p, rows, sizeof(rows) / sizeof(rows[0]), h);
    dialect_add_headers(b, h);
    return read_screen(p, a, h);
}

/* Seconds or milliseconds, as a number or its text. False: nonsense. */
static bool read_time(const struct json_node *p, struct hit *h)
{
    struct slice text;

    if (!dialect_scalar(p, SLICE("time"), &text))
        return false;
    if (text.len == 0)
        return true;
    h->has_time = dialect_time_of_number(text, &h->time_ms);
    return h->has_time;
}

/* All dialects call a page view page_view, and what changes a profile
 * profile_update. */
static struct slice event_name(struct slice name)
{
    static const struct slice profile[] = {SLICE_INIT("$identify"),
                                           SLICE_INIT("$create_alias"),
                                           SLICE_INIT("$merge")};

    if (slice_eq(name, SLICE("$mp_web_page_view")))
        return SLICE("page_view");
    for (size_t i = 0; i < sizeof(profile) / sizeof(profile[0]); i++)
        if (slice_eq(name, profile[i]))
            return SLICE("profile_update");
    return name;
}

enum status mixpanel_event_read(const struct json_node *event,
                                const struct beacon *b, struct arena *a,
                                struct hit *out)
{
    static const struct slice known[] = {SLICE_INIT("event"),
                                         SLICE_INIT("properties")};
    static const struct json_node none = {.type = JSON_OBJECT, .span = 1};
    struct hit h = {.source = SOURCE_MIXPANEL};

    if (event->type != JSON_OBJECT)
        return ST_TYPE;
    const struct json_node *name = json_member(event, SLICE("event"));
    const struct json_node *p = json_member(event, SLICE("properties"));
    if (p == NULL || p->type == JSON_NULL)
        p = &none;
    if (name == NULL || name->type != JSON_STRING || name->text.len == 0 ||
        p->type != JSON_OBJECT || !read_time(p, &h))
        return ST_TYPE;
    consent_hear_property(&h.signals, json_member(p, SLICE("consent")));
    h.name = event_name(name->text);
    h.fields = p;
    h.unknown_keys = dialect_count_unknown(event, known, 2);
    enum status st = add_people(&h, p, SLICE("distinct_id"), a);
    if (st == ST_OK)
        st = read_context(p, b, a, &h);
    if (st == ST_OK)
        st = make_client_id(&h, p, a);
    if (st == ST_OK)
        *out = h;
    return st;
}

enum status mixpanel_profile_read(const struct json_node *update,
                                  const struct beacon *b, struct arena *a,
                                  struct hit *out)
{
    struct hit h = {.source = SOURCE_MIXPANEL, .name = SLICE("profile_update")};

    if (update->type != JSON_OBJECT)
        return ST_TYPE;
    h.fields = update;
    enum status st = add_people(&h, update, SLICE("$distinct_id"), a);
    if (st == ST_OK)
        st = read_context(update, b, a, &h);
    if (st == ST_OK)
        *out = h;
    return st;
}
