#include "ga4.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/consent_hear.h"
#include "params.h"

#include <string.h>

#define MICROS_DIGITS_MAX 18u

/* ---- identifiers -------------------------------------------------------- */

/* A session's number is the second it began in: many people share it. What is
 * hashed is therefore client and session together; what is looked up on the
 * opt-out list is the number, as a person finds it in the _ga_ cookie. */
static enum status add_session(struct hit *h, struct slice client,
                               struct slice session, struct arena *a)
{
    char *both = arena_alloc(a, client.len + 1 + session.len);
    unsigned before = h->identifier_count;

    if (session.len == 0)
        return ST_OK;
    if (both == NULL)
        return ST_NOMEM;
    memcpy(both, client.at == NULL ? "" : client.at, client.len);
    both[client.len] = '.';
    memcpy(both + client.len + 1, session.at, session.len);
    enum status st = hit_add_identifier(h, ID_SESSION, session, a);
    if (st == ST_OK && h->identifier_count > before)
        h->identifiers[before].exact =
            (struct slice){both, client.len + 1 + session.len};
    return st;
}

struct identity {
    struct slice client, user, session;
    struct slice others[3]; /* an app's own parameters that name somebody */
};

static enum status add_identity(struct hit *h, const struct identity *who,
                                struct arena *a)
{
    enum status st = hit_add_identifier(h, ID_USER, who->user, a);

    if (st == ST_OK)
        st = hit_add_identifier(h, ID_DEVICE, who->client, a);
    if (st == ST_OK)
        st = add_session(h, who->client, who->session, a);
    for (unsigned i = 0; st == ST_OK && i < 3; i++)
        st = hit_add_identifier(h, ID_OTHER, who->others[i], a);
    return st;
}

/* ---- tags --------------------------------------------------------------- */

static const struct dialect_context_row tag_context[] = {
    {SLICE_INIT("_uip"), CTX_IP},     {SLICE_INIT("ul"), CTX_LANGUAGE},
    {SLICE_INIT("sr"), CTX_SCREEN},   {SLICE_INIT("dl"), CTX_URL},
    {SLICE_INIT("dr"), CTX_REFERRER}, {SLICE_INIT("dt"), CTX_TITLE},
    {SLICE_INIT("cn"), CTX_CAMPAIGN}, {SLICE_INIT("ua"), CTX_USER_AGENT},
};

#define TAG_CONTEXTS (sizeof(tag_context) / sizeof(tag_context[0]))

/* Pairs that were read above and are no fields. */
static const struct slice tag_known[] = {
    SLICE_INIT("v"),    SLICE_INIT("tid"),  SLICE_INIT("cid"),
    SLICE_INIT("uid"),  SLICE_INIT("sid"),  SLICE_INIT("en"),
    SLICE_INIT("gcs"),  SLICE_INIT("gcd"),  SLICE_INIT("npa"),
    SLICE_INIT("_npa"), SLICE_INIT("gdpr"), SLICE_INIT("gdpr_consent")};

/* ep.x and epn.x are the event's own parameter x. What else a tag sends keeps
 * its name; names with a dot (up.x, user properties) can be in no policy. */
static struct slice tag_field(struct slice name)
{
    if (slice_starts(name, SLICE("ep.")))
        return slice_skip(name, 3);
    if (slice_starts(name, SLICE("epn.")))
        return slice_skip(name, 4);
    return params_is_one_of(name, tag_known,
                            sizeof(tag_known) / sizeof(tag_known[0]),
                            tag_context, TAG_CONTEXTS)
               ? SLICE_NONE
               : name;
}

/* Tags have no event id. A page's random number and the hit's counter in it
 * are one: a beacon that the browser sends twice is one event. */
static enum status make_client_id(const struct params *p, unsigned position,
                                  struct arena *a, struct hit *h)
{
    struct slice page = params_get(p, SLICE("_p"));
    struct slice counter = params_get(p, SLICE("_s"));
    struct slice client = params_get(p, SLICE("cid"));
    struct buf text;

    if (page.len == 0 || counter.len == 0)
        return ST_OK;
    buf_init(&text, page.len + counter.len + client.len + 32);
    buf_put(&text, page);
    buf_printf(&text, " %u ", position);
    buf_put(&text, counter);
    buf_put_char(&text, ' ');
    buf_put(&text, client);
    h->client_id = text.failed ? SLICE_NONE : arena_copy(a, buf_slice(&text));
    bool fine = h->client_id.at != NULL;
    buf_wipe(&text);
    buf_free(&text);
    return fine ? ST_OK : ST_NOMEM;
}

static void read_tag_consent(const struct params *p, struct hit *h)
{
    struct consent_mode *m = &h->signals.mode;

    consent_mode_read_gcs(params_get(p, SLICE("gcs")), m);
    consent_mode_read_gcd(params_get(p, SLICE("gcd")), m);
    consent_mode_read_npa(params_get(p, SLICE("npa")), m);
    consent_mode_read_npa(params_get(p, SLICE("_npa")), m);
    consent_hear_tcf(&h->signals, params_get(p, SLICE("gdpr_consent")));
}

enum status ga4_tag_event_read(struct slice own, unsigned position,
                               const struct beacon *b, struct arena *a,
                               struct hit *out)
{
    struct hit h = {.source = SOURCE_GA4};
    struct params p;

    enum status st = params_read(own, b->query, a, &p);
    if (st != ST_OK)
        return st;
    h.name = params_get(&p, SLICE("en"));
    if (h.name.len == 0)
        return ST_TYPE;
    const struct identity who = {
        .client = params_get(&p, SLICE("cid")),
        .user = params_get(&p, SLICE("uid")),
        .session = params_get(&p, SLICE("sid")),
        .others = {params_get(&p, SLICE("ep.session_id")),
                   params_get(&p, SLICE("ep.user_id")),
                   params_get(&p, SLICE("ep.client_id"))},
    };
    st = add_identity(&h, &who, a);
    params_context(&p, tag_context, TAG_CONTEXTS, &h);
    dialect_add_headers(b, &h);
    read_tag_consent(&p, &h);
    if (st == ST_OK)
        st = make_client_id(&p, position, a, &h);
    if (st == ST_OK)
        st = params_fields(&p, tag_field, a, &h.fields);
    if (st != ST_OK)
        return st;
    consent_hear_property(&h.signals, json_member(h.fields, SLICE("consent")));
    *out = h;
    return ST_OK;
}

/* ---- the Measurement Protocol ------------------------------------------- */

/* Microseconds since 1970, as a number or its text; an event's own before the
 * request's. False: it makes no sense. */
static bool read_micros(const struct json_node *object, struct hit *h)
{
    struct slice text;
    unsigned long long micros;

    if (h->has_time ||
        !dialect_scalar(object, SLICE("timestamp_micros"), &text))
        return h->has_time;
    if (text.len == 0)
        return true;
    if (text.len > MICROS_DIGITS_MAX || !slice_to_u64(text, &micros))
        return false;
    h->time_ms = (int64_t)(micros / 1000);
    h->has_time = true;
    return true;
}

static const struct dialect_context_row protocol_context[] = {
    {SLICE_INIT("page_location"), CTX_URL},
    {SLICE_INIT("page_referrer"), CTX_REFERRER},
    {SLICE_INIT("page_title"), CTX_TITLE},
    {SLICE_INIT("language"), CTX_LANGUAGE},
    {SLICE_INIT("screen_resolution"), CTX_SCREEN},
    {SLICE_INIT("campaign"), CTX_CAMPAIGN},
};

static const struct dialect_context_row root_context[] = {
    {SLICE_INIT("ip_override"), CTX_IP},
    {SLICE_INIT("user_agent"), CTX_USER_AGENT},
};

static void read_protocol_context(const struct json_node *root,
                                  const struct json_node *params,
                                  const struct beacon *b, struct hit *h)
{
    dialect_read_context(params, protocol_context,
                         sizeof(protocol_context) / sizeof(protocol_context[0]),
                         h);
    dialect_read_context(root, root_context, 2, h);
    dialect_add_headers(b, h);
}

/* Whatever stands there and is no word of ours counts as unknown. */
static void read_protocol_consent(const struct json_node *root, struct hit *h)
{
    static const struct {
        struct slice name;
        enum consent_type type;
    } rows[] = {
        {SLICE_INIT("ad_storage"), CONSENT_AD_STORAGE},
        {SLICE_INIT("analytics_storage"), CONSENT_ANALYTICS_STORAGE},
        {SLICE_INIT("ad_user_data"), CONSENT_AD_USER_DATA},
        {SLICE_INIT("ad_personalization"), CONSENT_AD_PERSONALIZATION},
    };
    const struct json_node *consent = json_member(root, SLICE("consent"));
    const struct json_node *npa =
        json_member(root, SLICE("non_personalized_ads"));

    for (size_t i = 0; consent != NULL && i < sizeof(rows) / sizeof(rows[0]);
         i++) {
        const struct json_node *n = json_member(consent, rows[i].name);
        if (n != NULL)
            consent_mode_read_word(rows[i].type, n->text, &h->signals.mode);
    }
    if (npa != NULL && npa->type != JSON_FALSE)
        consent_mode_read_npa(SLICE("1"), &h->signals.mode);
}

static unsigned unknown_keys(const struct json_node *root,
                             const struct json_node *event)
{
    static const struct slice outer[] = {
        SLICE_INIT("client_id"),   SLICE_INIT("app_instance_id"),
        SLICE_INIT("user_id"),     SLICE_INIT("timestamp_micros"),
        SLICE_INIT("consent"),     SLICE_INIT("non_personalized_ads"),
        SLICE_INIT("ip_override"), SLICE_INIT("user_agent"),
        SLICE_INIT("events"),
    };
    static const struct slice inner[] = {SLICE_INIT("name"),
                                         SLICE_INIT("params"),
                                         SLICE_INIT("timestamp_micros")};

    return dialect_count_unknown(root, outer,
                                 sizeof(outer) / sizeof(outer[0])) +
           dialect_count_unknown(event, inner,
                                 sizeof(inner) / sizeof(inner[0]));
}

enum status ga4_protocol_event_read(const struct json_node *root,
                                    const struct json_node *event,
                                    const struct beacon *b, struct arena *a,
                                    struct hit *out)
{
    struct hit h = {.source = SOURCE_GA4};
    const struct json_node *params = json_member(event, SLICE("params"));
    struct identity who = {.client = SLICE_NONE};
    struct slice app;

    if (params != NULL && params->type == JSON_NULL)
        params = NULL;
    if ((params != NULL && params->type != JSON_OBJECT) ||
        !dialect_scalar(event, SLICE("name"), &h.name) || h.name.len == 0 ||
        !dialect_scalar(root, SLICE("client_id"), &who.client) ||
        !dialect_scalar(root, SLICE("app_instance_id"), &app) ||
        !dialect_scalar(root, SLICE("user_id"), &who.user) ||
        !dialect_scalar(params, SLICE("session_id"), &who.session) ||
        !dialect_scalar(params, SLICE("user_id"), &who.others[0]) ||
        !dialect_scalar(params, SLICE("client_id"), &who.others[1]) ||
        !dialect_scalar(params, SLICE("event_id"), &h.client_id) ||
        !read_micros(event, &h) || !read_micros(root, &h))
        return ST_TYPE;
    if (who.client.len == 0)
        who.client = app;
    else
        who.others[2] = app;
    enum status st = add_identity(&h, &who, a);
    read_protocol_context(root, params, b, &h);
    read_protocol_consent(root, &h);
    consent_hear_property(
        &h.signals,
        params == NULL ? NULL : json_member(params, SLICE("consent")));
    h.fields = params;
    h.unknown_keys = unknown_keys(root, event);
    if (st == ST_OK)
        *out = h;
    return st;
}
