/* "sites": names, ids, origins, keys and destinations. */
#include "conf_read.h"
#include "conf_text.h"

#include <stdio.h>
#include <string.h>

#define BATCH_MAX       10000
#define CONCURRENCY_MAX 64
#define KEPT_ALIVE_MAX  MS_PER_DAY

static const char *const type_names[] = {
    [DESTINATION_JSONL] = "jsonl",
    [DESTINATION_SQLITE] = "sqlite",
    [DESTINATION_HTTP] = "http",
    [DESTINATION_TYPE_COUNT] = NULL,
};

const char *destination_type_name(enum destination_type type)
{
    return type < DESTINATION_TYPE_COUNT ? type_names[type] : "unknown";
}

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
     .right = "\"jsonl\", \"sqlite\" or \"http\""},
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
     AT(bearer_file),
     .right = "{\"file\": \"path\"}"},
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

/* Keys that not every type has, and those that a type cannot do without. */
static const struct {
    const char *name;
    unsigned types, required;
} typed_keys[] = {
    {"path", JSONL | SQLITE, JSONL | SQLITE},
    {"mode", JSONL | SQLITE, 0},
    {"group", JSONL | SQLITE, 0},
    {"rotate", JSONL, 0},
    {"url", HTTP, HTTP},
    {"body", HTTP, 0},
    {"content_type", HTTP, 0},
    {"bearer", HTTP, 0},
    {"ca", HTTP, 0},
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

/* Said before anything else: the keys of such a destination are unknown. */
static enum status refuse_unbuilt(struct conf_reader *r,
                                  const struct json_value *item)
{
    const struct json_value *type = json_get(item, "type");

    if (type == NULL || !(slice_eq(json_string(type), SLICE("mixpanel")) ||
                          slice_eq(json_string(type), SLICE("ga4"))))
        return ST_OK;
    (void)conf_enter(r, SLICE("type"));
    return conf_refuse(r, type,
                       "this type is not built yet; give \"http\", "
                       "\"sqlite\" or \"jsonl\"");
}

static enum status read_destination(struct conf_reader *r,
                                    const struct json_value *item,
                                    unsigned index, void *ctx)
{
    struct conf_site *site = ctx;
    struct conf_destination *d = &site->destinations[index];

    *d = (struct conf_destination){.batch = 200,
                                   .timeout_ms = 10 * MS_PER_S,
                                   .concurrency = 2,
                                   .mode = 0640};
    enum status st = refuse_unbuilt(r, item);
    if (st == ST_OK)
        st = conf_read_keys(r, item, destination_keys, d);
    if (st == ST_OK)
        st = check_typed_keys(r, item, d->type);
    if (st != ST_OK)
        return st;
    if (d->type == DESTINATION_HTTP && d->content_type == NULL) {
        d->content_type = conf_keep(r, SLICE("application/json"));
        if (d->content_type == NULL)
            return ST_NOMEM;
    }
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
