#include "conf_read.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SHOWN_MAX 40u /* bytes of an unknown key that are quoted */

enum status conf_refuse(struct conf_reader *r, const struct json_value *v,
                        const char *format, ...)
{
    struct json_place place = json_place_of(r->tree, v);
    char *text = r->complaint->text;
    size_t room = sizeof(r->complaint->text);
    va_list args;

    int len = snprintf(text, room, "%s:%u:%u: %s%s", r->file, place.line,
                       place.column, r->path, r->path_len > 0 ? ": " : "");
    if (len < 0 || (size_t)len >= room)
        return ST_TYPE;
    va_start(args, format);
    (void)vsnprintf(text + len, room - (size_t)len, format, args);
    va_end(args);
    return ST_TYPE;
}

static void add_to_path(struct conf_reader *r, const char *text, size_t len)
{
    size_t room = sizeof(r->path) - 1 - r->path_len;

    if (len > room)
        len = room;
    memcpy(r->path + r->path_len, text, len);
    r->path_len += len;
    r->path[r->path_len] = '\0';
}

size_t conf_enter(struct conf_reader *r, struct slice name)
{
    size_t before = r->path_len;

    name = slice_head(name, NAME_SHOWN_MAX);
    if (before > 0)
        add_to_path(r, ".", 1);
    add_to_path(r, name.at, name.len);
    return before;
}

size_t conf_enter_index(struct conf_reader *r, unsigned index)
{
    size_t before = r->path_len;
    char text[16];
    int len = snprintf(text, sizeof(text), "[%u]", index);

    add_to_path(r, text, (size_t)len);
    return before;
}

void conf_leave(struct conf_reader *r, size_t before)
{
    r->path_len = before;
    r->path[before] = '\0';
}

static enum status refuse_unknown(struct conf_reader *r,
                                  const struct json_value *v,
                                  const struct conf_key *keys)
{
    char known[256];
    size_t len = 0;

    known[0] = '\0';
    for (const struct conf_key *k = keys; k->name != NULL; k++) {
        int n = snprintf(known + len, sizeof(known) - len, "%s%s",
                         len > 0 ? ", " : "", k->name);
        if (n < 0 || (size_t)n >= sizeof(known) - len)
            break;
        len += (size_t)n;
    }
    return conf_refuse(r, v, "unknown key; known here: %s", known);
}

static enum status read_member(struct conf_reader *r,
                               const struct json_value *member,
                               const struct conf_key *keys, void *base)
{
    struct slice name = json_name(member);
    size_t before = conf_enter(r, name);
    const struct conf_key *k = keys;
    enum status st;

    while (k->name != NULL && !slice_eq(slice_of(k->name), name))
        k++;
    if (k->name == NULL)
        st = refuse_unknown(r, member, keys);
    else
        st = k->read(r, member, k, base);
    conf_leave(r, before);
    return st;
}

enum status conf_read_keys(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *keys, void *base)
{
    if (json_kind_of(v) != JSON_KIND_OBJECT)
        return conf_refuse(r, v, "is %s; give an object {...}",
                           json_kind_name(json_kind_of(v)));
    for (const struct json_value *m = json_child(v); m != NULL;
         m = json_sibling(m)) {
        enum status st = read_member(r, m, keys, base);
        if (st != ST_OK)
            return st;
    }
    for (const struct conf_key *k = keys; k->name != NULL; k++)
        if (k->required && json_get(v, k->name) == NULL)
            return conf_refuse(r, v, "\"%s\" is missing: give %s", k->name,
                               k->right);
    return ST_OK;
}

char *conf_keep(struct conf_reader *r, struct slice text)
{
    char *copy = arena_alloc(r->arena, text.len + 1);

    if (copy == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return copy;
}

static void *target(const struct conf_key *k, void *base)
{
    return (char *)base + k->offset;
}

static enum status refuse_kind(struct conf_reader *r,
                               const struct json_value *v,
                               const struct conf_key *k)
{
    return conf_refuse(r, v, "is %s; give %s", json_kind_name(json_kind_of(v)),
                       k->right);
}

static enum status refuse_value(struct conf_reader *r,
                                const struct json_value *v,
                                const struct conf_key *k)
{
    return conf_refuse(r, v, "is not right; give %s", k->right);
}

enum status conf_read_bool(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *k, void *base)
{
    if (json_kind_of(v) != JSON_KIND_BOOL)
        return refuse_kind(r, v, k);
    *(bool *)target(k, base) = json_bool(v);
    return ST_OK;
}

enum status conf_read_count(struct conf_reader *r, const struct json_value *v,
                            const struct conf_key *k, void *base)
{
    double number = json_number(v);

    if (json_kind_of(v) != JSON_KIND_NUMBER)
        return refuse_kind(r, v, k);
    if (!(number >= (double)k->min && number <= (double)k->max) ||
        floor(number) != number)
        return conf_refuse(r, v,
                           "is out of range; give a whole number from %lld "
                           "to %lld",
                           (long long)k->min, (long long)k->max);
    *(unsigned *)target(k, base) = (unsigned)number;
    return ST_OK;
}

enum status conf_read_size(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *k, void *base)
{
    uint64_t bytes;

    if (json_kind_of(v) != JSON_KIND_STRING)
        return refuse_kind(r, v, k);
    if (size_parse(json_string(v), &bytes) != ST_OK)
        return refuse_value(r, v, k);
    if (bytes < (uint64_t)k->min || bytes > (uint64_t)k->max)
        return conf_refuse(r, v, "is out of range; give %s", k->right);
    *(uint64_t *)target(k, base) = bytes;
    return ST_OK;
}

enum status conf_read_time(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *k, void *base)
{
    struct duration d;

    if (json_kind_of(v) != JSON_KIND_STRING)
        return refuse_kind(r, v, k);
    if (duration_parse(json_string(v), &d) != ST_OK || d.months != 0)
        return refuse_value(r, v, k);
    if (d.ms < k->min || d.ms > k->max)
        return conf_refuse(r, v, "is out of range; give %s", k->right);
    *(int64_t *)target(k, base) = d.ms;
    return ST_OK;
}

/* A text that is not empty and passes the row's check. */
static enum status check_text(struct conf_reader *r, const struct json_value *v,
                              const struct conf_key *k)
{
    if (json_kind_of(v) != JSON_KIND_STRING)
        return refuse_kind(r, v, k);
    struct slice text = json_string(v);
    if (text.len == 0 || (k->check != NULL && !k->check(text)))
        return refuse_value(r, v, k);
    return ST_OK;
}

enum status conf_read_text(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *k, void *base)
{
    enum status st = check_text(r, v, k);

    if (st != ST_OK)
        return st;
    char *copy = conf_keep(r, json_string(v));
    if (copy == NULL)
        return ST_NOMEM;
    *(char **)target(k, base) = copy;
    return ST_OK;
}

enum status conf_read_path(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *k, void *base)
{
    enum status st = check_text(r, v, k);

    if (st != ST_OK)
        return st;
    struct slice text = json_string(v), folder = slice_of(r->folder);
    while (slice_starts(text, SLICE("./")) && text.len > 2)
        text = slice_skip(text, 2);
    bool absolute = text.at[0] == '/';
    size_t len = absolute ? text.len : folder.len + 1 + text.len;
    if (len >= CONF_PATH_MAX)
        return conf_refuse(r, v, "is too long; a path has at most %u bytes",
                           CONF_PATH_MAX - 1);
    char *path = arena_alloc(r->arena, len + 1);
    if (path == NULL)
        return ST_NOMEM;
    (void)snprintf(path, len + 1, "%s%s%.*s", absolute ? "" : r->folder,
                   absolute ? "" : "/", SLICE_ARG(text));
    *(char **)target(k, base) = path;
    return ST_OK;
}

/* systemd says where it put them. Commands that an operator runs are told
 * nothing, and need only know where a secret would be. */
static const char *credentials_folder(void)
{
    const char *said = getenv("CREDENTIALS_DIRECTORY");

    return said != NULL && said[0] == '/' ? said
                                          : "/run/credentials/lethe.service";
}

static enum status read_credential(struct conf_reader *r,
                                   const struct json_value *v,
                                   const struct conf_key *k, void *base)
{
    const char *folder = credentials_folder();
    enum status st = check_text(r, v, k);

    if (st != ST_OK)
        return st;
    struct slice name = json_string(v);
    size_t len = strlen(folder) + 1 + name.len;
    char *path = len < CONF_PATH_MAX ? arena_alloc(r->arena, len + 1) : NULL;
    if (path == NULL)
        return ST_NOMEM;
    (void)snprintf(path, len + 1, "%s/%.*s", folder, SLICE_ARG(name));
    *(char **)target(k, base) = path;
    return ST_OK;
}

/* As systemd.exec(5) allows, without what would leave the folder. */
static bool is_credential_name(struct slice s)
{
    if (s.len == 0 || s.len > 128 || s.at[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

enum status conf_read_secret(struct conf_reader *r, const struct json_value *v,
                             const struct conf_key *k, void *base)
{
    static const struct conf_key file[] = {
        {.name = "file",
         .read = conf_read_path,
         .right = "the path of a file",
         .required = true},
        {.name = NULL},
    };
    static const struct conf_key credential[] = {
        {.name = "credential",
         .read = read_credential,
         .check = is_credential_name,
         .right = "the name of a credential of the unit's LoadCredential=",
         .required = true},
        {.name = NULL},
    };

    if (json_kind_of(v) != JSON_KIND_OBJECT)
        return conf_refuse(r, v,
                           "secrets do not stand in this file; give "
                           "{\"file\": \"path\"} or {\"credential\": "
                           "\"name\"}");
    return conf_read_keys(r, v,
                          json_get(v, "credential") != NULL ? credential : file,
                          target(k, base));
}

enum status conf_read_choice(struct conf_reader *r, const struct json_value *v,
                             const struct conf_key *k, void *base)
{
    if (json_kind_of(v) != JSON_KIND_STRING)
        return refuse_kind(r, v, k);
    for (unsigned i = 0; k->words[i] != NULL; i++)
        if (slice_eq(slice_of(k->words[i]), json_string(v))) {
            /* Every enum of conf.h is as wide as unsigned. */
            *(unsigned *)target(k, base) = i;
            return ST_OK;
        }
    return refuse_value(r, v, k);
}

struct texts {
    const struct conf_key *key;
    char **items;
    unsigned *count;
};

static enum status read_one_text(struct conf_reader *r,
                                 const struct json_value *item, unsigned index,
                                 void *ctx)
{
    struct texts *t = ctx;
    enum status st = check_text(r, item, t->key);

    if (st != ST_OK)
        return st;
    t->items[index] = conf_keep(r, json_string(item));
    if (t->items[index] == NULL)
        return ST_NOMEM;
    *t->count = index + 1;
    return ST_OK;
}

enum status conf_read_texts(struct conf_reader *r, const struct json_value *v,
                            const struct conf_key *k, void *base)
{
    struct texts t = {k, target(k, base),
                      (unsigned *)(void *)((char *)base + k->count)};

    return conf_read_items(r, v, CONF_LIST_MAX, read_one_text, &t);
}

enum status conf_read_items(struct conf_reader *r, const struct json_value *v,
                            unsigned max, conf_item_fn *each, void *ctx)
{
    unsigned index = 0;

    if (json_kind_of(v) != JSON_KIND_ARRAY)
        return conf_refuse(r, v, "is %s; give an array [...]",
                           json_kind_name(json_kind_of(v)));
    if (json_size(v) > max)
        return conf_refuse(r, v, "has too many entries; at most %u", max);
    for (const struct json_value *i = json_child(v); i != NULL;
         i = json_sibling(i), index++) {
        size_t before = conf_enter_index(r, index);
        enum status st = each(r, i, index, ctx);
        conf_leave(r, before);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum status conf_read_group(struct conf_reader *r, const struct json_value *v,
                            const struct conf_key *k, void *base)
{
    return conf_read_keys(r, v, k->keys, target(k, base));
}

enum status conf_read_null(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *k, void *base)
{
    (void)base;
    return json_kind_of(v) == JSON_KIND_NULL ? ST_OK : refuse_kind(r, v, k);
}
