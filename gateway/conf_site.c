/* "sites": names, ids, origins, keys and destinations. */
#include "conf_read.h"
#include "conf_text.h"

#include <stdio.h>
#include <string.h>

#define BATCH_MAX       10000
#define GA4_BATCH_MAX   25   /* events of one Measurement Protocol request */
#define TRACK_BATCH_MAX 50   /* events of one /track request */
#define IMPORT_MAX      2000 /* events of one /import request */
#define CONCURRENCY_MAX 64
#define KEPT_ALIVE_MAX  MS_PER_DAY

static const char *const type_names[] = {
    [DESTINATION_JSONL] = "jsonl", [DESTINATION_SQLITE] = "sqlite",
    [DESTINATION_HTTP] = "http",   [DESTINATION_MIXPANEL] = "mixpanel",
    [DESTINATION_GA4] = "ga4",     [DESTINATION_TYPE_COUNT] = NULL,
};

const char *destination_type_name(enum destination_type type)
{
    return type < DESTINATION_TYPE_COUNT ? type_names[type] : "unknown";
}

bool destination_is_network(enum destination_type type)
{
    return type == DESTINATION_HTTP || type == DESTINATION_MIXPANEL ||
           type == DESTINATION_GA4;
}

enum wire_form destination_wire(enum destination_type type)
{
    if (type == DESTINATION_MIXPANEL)
        return WIRE_MIXPANEL;
    return type == DESTINATION_GA4 ? WIRE_GA4 : WIRE_PLAIN;
}

static const char *const api_names[] = {
    [MIXPANEL_IMPORT] = "import", [MIXPANEL_TRACK] = "track", NULL};

static enum status read_mode(struct conf_reader *r, const struct json_value *v,
                             const struct conf_key *k, void *base)
{
    struct conf_destination *d = base;

    if (!conf_parse_mode(json_string(v), &d->mode))
        return conf_refuse(r, v, "is not right; give %s", k->right);
    return ST_OK;
}

/* Files are cut by UTC day, so that retention can delete whole ones. */
static enum status read_rotate(struct conf_reader *r,
                               const struct json_value *v,
                               const struct conf_key *k, void *base)
{
    (void)base;
    if (!slice_eq(json_string(v), SLICE("P1D")))
        return conf_refuse(r, v, "is not right; give %s", k->right);
    return ST_OK;
}

#define AT(field) .offset = offsetof(struct conf_destination, field)

static const struct conf_key destination_keys[] = {
    {.name = "name",
     .read = conf_read_text,
     AT(name),
     .required = true,
     .check = conf_is_name,
     .right = "1 to 32 of a-z, 0-9, - and _"},
    {.name = "type",
     .read = conf_read_choice,
     AT(type),
     .required = true,
     .words = type_names,
     .right = "\"jsonl\", \"sqlite\", \"http\", \"mixpanel\" or \"ga4\""},
    {.name = "batch",
     .read = conf_read_count,
     AT(batch),
     .min = 1,
     .max = BATCH_MAX,
     .right = "events an upload, such as 200"},
    {.name = "timeout",
     .read = conf_read_time,
     AT(timeout_ms),
     .min = MS_PER_S,
     .max = 10 * MS_PER_MIN,
     .right = "a duration from \"PT1S\" to \"PT10M\""},
    {.name = "concurrency",
     .read = conf_read_count,
     AT(concurrency),
     .min = 1,
     .max = CONCURRENCY_MAX,
     .right = "uploads at once, such as 2"},
    {.name = "max_age",
     .read = conf_read_time,
     AT(max_age_ms),
     .min = 0,
     .max = KEPT_ALIVE_MAX,
     .right = "a duration up to \"P1D\"; \"PT0S\" leaves it to the library"},
    {.name = "path",
     .read = conf_read_path,
     AT(path),
     .right = "the path of the file to write"},
    {.name = "mode",
     .read = read_mode,
     .right = "an octal mode as text, such as \"0640\": read and write for "
              "the owner, no execute bits, not writable for others"},
    {.name = "group",
     .read = conf_read_text,
     AT(group),
     .check = conf_is_key,
     .right = "the name of a group"},
    {.name = "rotate",
     .read = read_rotate,
     .right = "\"P1D\": files are cut by UTC day"},
    {.name = "url",
     .read = conf_read_text,
     AT(url),
     .check = conf_is_url,
     .right = "an https:// URL; plain http:// only to loopback"},
    {.name = "body",
     .read = conf_read_text,
     AT(body),
     .check = conf_is_template,
     .right = "a template with {events} in it once"},
    {.name = "content_type",
     .read = conf_read_text,
     AT(content_type),
     .check = conf_is_header_text,
     .right = "a media type, such as \"application/json\""},
    {.name = "bearer",
     .read = conf_read_secret,
     AT(secret_file),
     .right = "{\"file\": \"path\"}"},
    {.name = "token",
     .read = conf_read_secret,
     AT(secret_file),
     .right = "{\"file\": \"path\"} with the project's token in it"},
    {.name = "api",
     .read = conf_read_choice,
     AT(api),
     .words = api_names,
     .right = "\"import\" or \"track\""},
    {.name = "measurement_id",
     .read = conf_read_text,
     AT(measurement_id),
     .check = conf_is_measurement_id,
     .right = "the stream's id, such as \"G-AB12CD34EF\""},
    {.name = "api_secret",
     .read = conf_read_secret,
     AT(secret_file),
     .right = "{\"file\": \"path\"} with the stream's API secret in it"},
    {.name = "ca",
     .read = conf_read_path,
     AT(ca),
     .right = "the path of a PEM file"},
    {.name = NULL},
};

#undef AT

#define JSONL  (1u << DESTINATION_JSONL)
#define SQLITE (1u << DESTINATION_SQLITE)
#define HTTP   (1u << DESTINATION_HTTP)
#define MP     (1u << DESTINATION_MIXPANEL)
#define GA4    (1u << DESTINATION_GA4)

/* Keys that not every type has, and those that a type cannot do without. */
static const struct {
    const char *name;
    unsigned types, required;
} typed_keys[] = {
    {"path", JSONL | SQLITE, JSONL | SQLITE},
    {"mode", JSONL | SQLITE, 0},
    {"group", JSONL | SQLITE, 0},
    {"rotate", JSONL, 0},
    {"url", HTTP | MP | GA4, HTTP},
    {"body", HTTP, 0},
    {"content_type", HTTP, 0},
    {"bearer", HTTP, 0},
    {"ca", HTTP | MP | GA4, 0},
    {"token", MP, MP},
    {"api", MP, 0},
    {"measurement_id", GA4, GA4},
    {"api_secret", GA4, GA4},
};

static enum status check_typed_keys(struct conf_reader *r,
                                    const struct json_value *item,
                                    enum destination_type type)
{
    for (size_t i = 0; i < sizeof(typed_keys) / sizeof(typed_keys[0]); i++) {
        const char *name = typed_keys[i].name;
        const struct json_value *v = json_get(item, name);
        if (v != NULL && (typed_keys[i].types & 1u << type) == 0) {
            (void)conf_enter(r, slice_of(name));
            return conf_refuse(r, v,
                               "a destination of type \"%s\" has no "
                               "such key; leave it out",
                               type_names[type]);
        }
        if (v == NULL && (typed_keys[i].required & 1u << type) != 0)
            return conf_refuse(r, item,
                               "\"%s\" is missing: a destination of type "
                               "\"%s\" needs it",
                               name, type_names[type]);
    }
    return ST_OK;
}

/* What a vendor's interface takes at most, and where it is: its EU host. */
struct vendor {
    const char *url;
    unsigned batch, batch_max;
    const char *right; /* for "batch" */
};

static const struct vendor *vendor_of(const struct conf_destination *d)
{
    static const struct vendor import = {"https://api-eu.mixpanel.com", 200,
                                         IMPORT_MAX, "at most 2000"};
    static const struct vendor track = {"https://api-eu.mixpanel.com",
                                        TRACK_BATCH_MAX, TRACK_BATCH_MAX,
                                        "at most 50"};
    static const struct vendor ga4 = {"https://region1.google-analytics.com",
                                      GA4_BATCH_MAX, GA4_BATCH_MAX,
                                      "at most 25"};
    static const struct vendor none = {NULL, 200, BATCH_MAX, ""};

    if (d->type == DESTINATION_MIXPANEL)
        return d->api == MIXPANEL_IMPORT ? &import : &track;
    return d->type == DESTINATION_GA4 ? &ga4 : &none;
}

static enum status fill_defaults(struct conf_reader *r,
                                 const struct json_value *item,
                                 struct conf_destination *d)
{
    const struct vendor *vendor = vendor_of(d);

    if (d->batch == 0)
        d->batch = vendor->batch;
    if (d->batch > vendor->batch_max) {
        (void)conf_enter(r, SLICE("batch"));
        return conf_refuse(r, json_get(item, "batch"),
                           "is more than this interface takes; give %s",
                           vendor->right);
    }
    if (d->url != NULL && vendor->url != NULL && strchr(d->url, '?') != NULL) {
        (void)conf_enter(r, SLICE("url"));
        return conf_refuse(r, json_get(item, "url"),
                           "has a query; give the scheme and host of this "
                           "vendor's interface, and a prefix if it has one");
    }
    if (d->url == NULL && vendor->url != NULL) {
        d->url = conf_keep(r, slice_of(vendor->url));
        if (d->url == NULL)
            return ST_NOMEM;
    }
    if (d->type == DESTINATION_HTTP && d->content_type == NULL) {
        d->content_type = conf_keep(r, SLICE("application/json"));
        if (d->content_type == NULL)
            return ST_NOMEM;
    }
    return ST_OK;
}

static enum status read_destination(struct conf_reader *r,
                                    const struct json_value *item,
                                    unsigned index, void *ctx)
{
    struct conf_site *site = ctx;
    struct conf_destination *d = &site->destinations[index];

    *d = (struct conf_destination){
        .timeout_ms = 10 * MS_PER_S, .concurrency = 2, .mode = 0640};
    enum status st = conf_read_keys(r, item, destination_keys, d);
    if (st == ST_OK)
        st = check_typed_keys(r, item, d->type);
    if (st == ST_OK)
        st = fill_defaults(r, item, d);
    if (st != ST_OK)
        return st;
    for (unsigned i = 0; i < index; i++)
        if (strcmp(site->destinations[i].name, d->name) == 0) {
            (void)conf_enter(r, SLICE("name"));
            return conf_refuse(r, json_get(item, "name"),
                               "another destination of this site has this "
                               "name; names are unique");
        }
    site->destination_count = index + 1;
    return ST_OK;
}

static enum status read_destinations(struct conf_reader *r,
                                     const struct json_value *v,
                                     const struct conf_key *k, void *base)
{
    (void)k;
    return conf_read_items(r, v, CONF_DESTINATIONS_MAX, read_destination, base);
}

static enum status read_origin(struct conf_reader *r,
                               const struct json_value *item, unsigned index,
                               void *ctx)
{
    struct conf_site *site = ctx;
    struct conf_origin *o = &site->origins[index];
    struct slice scheme, text;

    if (!conf_parse_origin(json_string(item), &o->kind, &scheme, &text))
        return conf_refuse(r, item,
                           "is no origin; give \"https://app.example\", "
                           "\"https://*.example.com\" or "
                           "\"http://localhost:*\", without a path");
    o->scheme = conf_keep(r, scheme);
    o->text = conf_keep(r, text);
    if (o->scheme == NULL || o->text == NULL)
        return ST_NOMEM;
    site->origin_count = index + 1;
    return ST_OK;
}

static enum status read_origins(struct conf_reader *r,
                                const struct json_value *v,
                                const struct conf_key *k, void *base)
{
    (void)k;
    return conf_read_items(r, v, CONF_LIST_MAX, read_origin, base);
}

#define AT(field) .offset = offsetof(struct conf_site, field)
#define LIST(field, n)                                                         \
    AT(field), .count = offsetof(struct conf_site, n), .read = conf_read_texts

static const struct conf_key site_keys[] = {
    {.name = "id",
     .read = conf_read_text,
     AT(id),
     .required = true,
     .check = conf_is_site_id,
     .right = "16 to 64 lower-case hex digits, chosen once, never changed"},
    {.name = "name",
     .read = conf_read_text,
     AT(name),
     .required = true,
     .check = conf_is_site_name,
     .right = "1 to 32 of a-z, 0-9 and -, not all of them hex digits"},
    {.name = "policy",
     .read = conf_read_path,
     AT(policy),
     .required = true,
     .right = "the path of this site's policy"},
    {.name = "hosts",
     LIST(hosts, host_count),
     .check = conf_is_host,
     .right = "host names, such as \"collect.example.com\""},
    {.name = "origins", .read = read_origins, .right = "origins"},
    {.name = "optout_return",
     LIST(optout_return, optout_return_count),
     .check = conf_is_url,
     .right = "https:// URLs that a person may return to"},
    {.name = "keys",
     LIST(keys, key_count),
     .check = conf_is_key,
     .right = "write keys: visible ASCII, at most 256 bytes each"},
    {.name = "debug",
     .read = conf_read_bool,
     AT(debug),
     .right = "true or false"},
    {.name = "destinations", .read = read_destinations, .right = "an array"},
    {.name = NULL},
};

#undef AT
#undef LIST

/* The item at `index` of the site's array `name`. */
static const struct json_value *nth(const struct json_value *site,
                                    const char *name, unsigned index)
{
    const struct json_value *v = json_child(json_get(site, name));

    for (; index > 0; index--)
        v = json_sibling(v);
    return v;
}

static bool has_key(const struct conf_site *s, unsigned count, const char *key)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(s->keys[i], key) == 0)
            return true;
    return false;
}

/* A key leads to one site, so no two sites (and no list twice) have it. */
static enum status refuse_shared_keys(struct conf_reader *r,
                                      const struct json_value *item,
                                      unsigned index)
{
    const struct conf_site *sites = r->conf->sites, *s = &sites[index];

    for (unsigned k = 0; k < s->key_count; k++)
        for (unsigned i = 0; i <= index; i++) {
            unsigned count = i == index ? k : sites[i].key_count;
            if (!has_key(&sites[i], count, s->keys[k]))
                continue;
            (void)conf_enter(r, SLICE("keys"));
            (void)conf_enter_index(r, k);
            return conf_refuse(r, nth(item, "keys", k),
                               "this key names site \"%s\" already; a key "
                               "names one site, once",
                               sites[i].name);
        }
    return ST_OK;
}

static enum status read_site(struct conf_reader *r,
                             const struct json_value *item, unsigned index,
                             void *ctx)
{
    struct conf_site *sites = ctx, *s = &sites[index];

    enum status st = conf_read_keys(r, item, site_keys, s);
    if (st != ST_OK)
        return st;
    for (unsigned i = 0; i < index; i++) {
        bool id = strcmp(sites[i].id, s->id) == 0;
        if (id || strcmp(sites[i].name, s->name) == 0) {
            const char *key = id ? "id" : "name";
            (void)conf_enter(r, slice_of(key));
            return conf_refuse(r, json_get(item, key),
                               "another site has this %s; each is unique", key);
        }
    }
    st = refuse_shared_keys(r, item, index);
    if (st == ST_OK)
        r->conf->site_count = index + 1;
    return st;
}

enum status conf_read_sites(struct conf_reader *r, const struct json_value *v,
                            const struct conf_key *k, void *base)
{
    (void)k;
    (void)base;
    if (json_kind_of(v) != JSON_KIND_ARRAY || json_size(v) == 0)
        return conf_refuse(r, v, "give an array of at least one site");
    size_t count =
        json_size(v) < CONF_SITES_MAX ? json_size(v) : CONF_SITES_MAX;
    r->conf->sites = arena_zalloc(r->arena, count, sizeof(struct conf_site));
    if (r->conf->sites == NULL)
        return ST_NOMEM;
    return conf_read_items(r, v, CONF_SITES_MAX, read_site, r->conf->sites);
}
