#include "policy_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Append printf text to `out` of `size` bytes at `used`; never overflows. */
__attribute__((format(printf, 4, 0))) static size_t add(char *out, size_t size,
                                                        size_t used,
                                                        const char *format,
                                                        va_list args)
{
    if (used >= size - 1)
        return used;
    int len = vsnprintf(out + used, size - used, format, args);
    if (len < 0)
        return used;
    used += (size_t)len;
    return used < size ? used : size - 1;
}

__attribute__((format(printf, 4, 5))) static size_t addf(char *out, size_t size,
                                                         size_t used,
                                                         const char *format,
                                                         ...)
{
    va_list args;

    va_start(args, format);
    used = add(out, size, used, format, args);
    va_end(args);
    return used;
}

static size_t add_path(char *out, size_t size, size_t used, const struct at *at)
{
    if (at == NULL || at->up == NULL)
        return used;
    used = add_path(out, size, used, at->up);
    if (at->key.len == 0)
        return used;
    return addf(out, size, used, "%s%.*s", at->up->up != NULL ? "." : "",
                SLICE_ARG(at->key));
}

static struct json_place place_of(const struct load *l, const struct at *at)
{
    while (at != NULL && at->v == NULL)
        at = at->up;
    return at != NULL ? json_place_of(l->tree, at->v)
                      : (struct json_place){0, 0};
}

__attribute__((format(printf, 4, 0))) static void note(struct load *l,
                                                       const struct at *at,
                                                       bool is_warning,
                                                       const char *format,
                                                       va_list args)
{
    struct policy_problems *all = l->problems;

    if (!is_warning)
        all->errors++;
    if (all->count == POLICY_PROBLEMS_MAX)
        return;
    struct policy_problem *one = &all->list[all->count++];
    one->warning = is_warning;
    one->place = place_of(l, at);
    /* A value without a place came from the file that `extends` names. */
    if (one->place.line == 0 && l->extends.len > 0)
        (void)snprintf(one->file, sizeof(one->file), "%.*s",
                       SLICE_ARG(slice_head(l->extends, 200)));
    else
        (void)snprintf(one->file, sizeof(one->file), "%s", l->file);
    size_t used = add_path(one->text, sizeof(one->text), 0, at);
    if (used > 0)
        used = addf(one->text, sizeof(one->text), used, ": ");
    (void)add(one->text, sizeof(one->text), used, format, args);
}

void problem(struct load *l, const struct at *at, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(l, at, false, format, args);
    va_end(args);
}

void warning(struct load *l, const struct at *at, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(l, at, true, format, args);
    va_end(args);
}

void *load_alloc(struct load *l, size_t count, size_t size)
{
    void *out = arena_zalloc(l->a, count, size);

    if (out == NULL)
        l->nomem = true;
    return out;
}

struct slice load_copy(struct load *l, struct slice s)
{
    struct slice out = arena_copy(l->a, s);

    if (out.at == NULL)
        l->nomem = true;
    return out;
}

struct slice load_path(struct load *l, const struct at *at)
{
    char text[1024];

    text[0] = '\0';
    return load_copy(l,
                     (struct slice){text, add_path(text, sizeof(text), 0, at)});
}

bool at_get(const struct at *object, const char *key, struct at *out)
{
    const struct json_value *v = NULL;

    if (object->v != NULL && json_kind_of(object->v) == JSON_KIND_OBJECT)
        v = json_get(object->v, key);
    if (v != NULL && json_kind_of(v) == JSON_KIND_NULL)
        v = NULL;
    *out = (struct at){object, slice_of(key), v};
    return v != NULL;
}

bool at_need(struct load *l, const struct at *object, const char *key,
             const char *right, struct at *out)
{
    if (at_get(object, key, out))
        return true;
    problem(l, out, "is missing; write %s", right);
    return false;
}

struct at at_child(const struct at *up, const struct json_value *v)
{
    return (struct at){up, json_name(v), v};
}

bool want_kind(struct load *l, const struct at *at, enum json_kind kind,
               const char *right)
{
    enum json_kind is = json_kind_of(at->v);

    if (is == kind)
        return true;
    problem(l, at, "is %s; write %s", json_kind_name(is), right);
    return false;
}

static bool listed_key(struct slice key, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        if (slice_eq(key, slice_of(*keys)))
            return true;
    return false;
}

static void join(char *out, size_t size, const char *const *words)
{
    size_t used = 0;

    out[0] = '\0';
    for (unsigned i = 0; words[i] != NULL; i++)
        used = addf(out, size, used, "%s%s", i > 0 ? ", " : "", words[i]);
}

bool want_keys(struct load *l, const struct at *at, const char *const *keys)
{
    char all[200];

    join(all, sizeof(all), keys);
    if (json_kind_of(at->v) != JSON_KIND_OBJECT) {
        problem(l, at, "is %s; write an object with %s",
                json_kind_name(json_kind_of(at->v)), all);
        return false;
    }
    for (const struct json_value *v = json_child(at->v); v != NULL;
         v = json_sibling(v)) {
        struct at child = at_child(at, v);
        if (!listed_key(child.key, keys))
            problem(l, &child, "unknown key; known here: %s", all);
    }
    return true;
}

bool want_text(struct load *l, const struct at *at, size_t max,
               struct slice *out)
{
    if (!want_kind(l, at, JSON_KIND_STRING, "text in quotes"))
        return false;
    struct slice s = json_string(at->v);
    if (s.len == 0 || s.len > max) {
        problem(l, at, "has %zu bytes; write 1 to %zu", s.len, max);
        return false;
    }
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f) {
            problem(l, at, "holds a control character; write plain text");
            return false;
        }
    *out = load_copy(l, s);
    return out->at != NULL;
}

int want_word(struct load *l, const struct at *at, const char *const *words)
{
    char all[200];
    struct slice s = SLICE_NONE;

    join(all, sizeof(all), words);
    if (json_kind_of(at->v) == JSON_KIND_STRING)
        s = json_string(at->v);
    for (int i = 0; s.at != NULL && words[i] != NULL; i++)
        if (slice_eq(s, slice_of(words[i])))
            return i;
    if (s.at != NULL)
        problem(l, at, "\"%.*s\" is not known; write one of: %s",
                SLICE_ARG(slice_head(s, 64)), all);
    else
        problem(l, at, "is %s; write one of: %s",
                json_kind_name(json_kind_of(at->v)), all);
    return -1;
}

bool want_bool(struct load *l, const struct at *at, bool *out)
{
    if (!want_kind(l, at, JSON_KIND_BOOL, "true or false"))
        return false;
    *out = json_bool(at->v);
    return true;
}

int duration_compare(struct duration a, struct duration b)
{
    /* From 1 January 2001, so that months have their real lengths. */
    int64_t from = INT64_C(978307200000);
    int64_t x = duration_after(from, a), y = duration_after(from, b);

    return x < y ? -1 : x > y;
}

bool want_duration(struct load *l, const struct at *at, const char *least,
                   const char *most, struct duration *out)
{
    struct duration d, low, high;

    if (!want_kind(l, at, JSON_KIND_STRING,
                   "a duration such as \"P13M\", \"P7D\" or \"PT72H\""))
        return false;
    if (duration_parse(json_string(at->v), &d) != ST_OK) {
        problem(l, at,
                "is no duration; write one such as \"P13M\", \"P7D\" or "
                "\"PT72H\"");
        return false;
    }
    if (duration_parse(slice_of(least), &low) != ST_OK ||
        duration_parse(slice_of(most), &high) != ST_OK)
        return false;
    if (duration_compare(d, low) < 0 || duration_compare(d, high) > 0) {
        problem(l, at, "is out of range; write %s to %s", least, most);
        return false;
    }
    *out = d;
    return true;
}

bool want_whole(struct load *l, const struct at *at, double least, double most,
                unsigned *out)
{
    if (!want_kind(l, at, JSON_KIND_NUMBER, "a whole number"))
        return false;
    double v = json_number(at->v);
    if (!(v >= least && v <= most) || (double)(unsigned)v < v) {
        problem(l, at,
                "is out of range; write a whole number from %.0f to %.0f",
                least, most);
        return false;
    }
    *out = (unsigned)v;
    return true;
}

static bool repeats(const struct slice *list, unsigned count, struct slice s)
{
    for (unsigned i = 0; i < count; i++)
        if (slice_eq(list[i], s))
            return true;
    return false;
}

bool want_texts(struct load *l, const struct at *at, bool single, unsigned max,
                size_t text_max, struct slice **out, unsigned *out_count)
{
    bool one = single && json_kind_of(at->v) == JSON_KIND_STRING;

    if (!one && !want_kind(l, at, JSON_KIND_ARRAY, "a list of texts"))
        return false;
    size_t count = one ? 1 : json_size(at->v);
    if (count > max) {
        problem(l, at, "has %zu entries; at most %u are allowed", count, max);
        return false;
    }
    struct slice *list = load_alloc(l, count, sizeof(*list));
    if (list == NULL)
        return false;
    unsigned n = 0;
    const struct json_value *v = one ? at->v : json_child(at->v);
    for (; v != NULL; v = one ? NULL : json_sibling(v)) {
        struct at item = {at, SLICE_NONE, v};
        if (!want_text(l, one ? at : &item, text_max, &list[n]))
            return false;
        if (repeats(list, n, list[n])) {
            problem(l, &item, "\"%.*s\" stands here twice",
                    SLICE_ARG(slice_head(list[n], 64)));
            return false;
        }
        n++;
    }
    *out = list;
    *out_count = n;
    return true;
}

static bool made_of(struct slice s, const char *extra)
{
    if (s.len == 0 || s.len > POLICY_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool word = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    (c >= '0' && c <= '9') || c == '_';
        if (!word && (c == '\0' || strchr(extra, c) == NULL))
            return false;
    }
    return true;
}

bool name_leaves(struct slice name)
{
    return made_of(name, ".$ -");
}

bool name_plain(struct slice name)
{
    return made_of(name, "-");
}

static int by_name(const void *x, const void *y)
{
    struct slice a = json_name(((const struct member *)x)->v);
    struct slice b = json_name(((const struct member *)y)->v);
    size_t n = a.len < b.len ? a.len : b.len;
    int d = n > 0 ? memcmp(a.at, b.at, n) : 0;

    return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

struct member *members_sorted(struct load *l, const struct json_value *object,
                              unsigned *out_count)
{
    struct member *list = load_alloc(l, json_size(object), sizeof(*list));
    unsigned n = 0;

    *out_count = 0;
    if (list == NULL)
        return NULL;
    for (const struct json_value *v = json_child(object); v != NULL;
         v = json_sibling(v), n++)
        list[n] = (struct member){v, n};
    if (n > 0)
        qsort(list, n, sizeof(*list), by_name);
    *out_count = n;
    return list;
}
