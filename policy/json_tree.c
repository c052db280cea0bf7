#include "lethe/policy/json_tree.h"

#include "json_text.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/json_reader.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES      (64u << 20) /* enough for JSON_NODES_MAX nodes */
#define CJSON_DIGITS_MAX 63u         /* cJSON cuts longer numbers */

struct located {
    const cJSON *item;
    struct json_place place;
};

struct json_tree {
    cJSON *root;
    struct located *places; /* sorted by address once complete */
    size_t place_count;
};

static const cJSON *item_of(const struct json_value *v)
{
    return (const cJSON *)(const void *)v;
}

static const struct json_value *value_of(const cJSON *item)
{
    return (const struct json_value *)(const void *)item;
}

static struct json_tree *tree_new(size_t places_max)
{
    struct json_tree *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->places = calloc(places_max > 0 ? places_max : 1, sizeof(*t->places));
    if (t->places == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void json_tree_free(struct json_tree *t)
{
    if (t == NULL)
        return;
    cJSON_Delete(t->root);
    free(t->places);
    free(t);
}

static int compare_located(const void *left, const void *right)
{
    const struct located *a = left, *b = right;

    return (a->item > b->item) - (a->item < b->item);
}

static void sort_places(struct json_tree *t)
{
    qsort(t->places, t->place_count, sizeof(*t->places), compare_located);
}

/* Both trees were made from the same text, so they have the same shape;
 * recursion is bounded by JSON_DEPTH_MAX. */
static void locate(struct json_tree *t, const cJSON *item,
                   const struct json_node *node, struct json_text_cursor *c)
{
    t->places[t->place_count++] =
        (struct located){item, json_text_advance(c, node->offset)};
    const struct json_node *child = json_first(node);
    for (const cJSON *i = item->child; i != NULL && child != NULL;
         i = i->next) {
        locate(t, i, child, c);
        child = json_next(node, child);
    }
}

/* cJSON holds a number's text in a buffer of its own. */
static enum status refuse_long_numbers(const struct json_node *root,
                                       struct json_error *error)
{
    for (const struct json_node *n = root; n < root + root->span; n++)
        if (n->type == JSON_NUMBER && n->text.len > CJSON_DIGITS_MAX) {
            *error = (struct json_error){JSON_FAULT_SIZE, n->offset};
            return ST_LIMIT;
        }
    return ST_OK;
}

/* `blanked` has no comments left; `scratch` is a copy to read in place. */
static enum status build(struct arena *a, struct slice blanked, char *scratch,
                         struct json_tree **out, struct json_error *error)
{
    const struct json_node *nodes;
    struct json_text_cursor cursor = {blanked, 0, {1, 1}};

    enum status st = json_read(a, scratch, blanked.len, &nodes, error);
    if (st == ST_OK)
        st = refuse_long_numbers(nodes, error);
    if (st != ST_OK)
        return st;
    struct json_tree *t = tree_new(nodes->span);
    if (t == NULL)
        return ST_NOMEM;
    t->root = cJSON_ParseWithLength(blanked.at, blanked.len);
    if (t->root == NULL) {
        json_tree_free(t);
        return ST_NOMEM; /* the strict reader has taken it already */
    }
    locate(t, t->root, nodes, &cursor);
    sort_places(t);
    *out = t;
    return ST_OK;
}

static enum status read_copies(struct slice text, bool comments, char *blanked,
                               char *scratch, struct json_tree **out,
                               struct json_complaint *out_complaint)
{
    struct json_error error = {JSON_FAULT_NONE, 0};
    size_t offset;

    if (comments && !json_text_blank_comments(blanked, text.len, &offset)) {
        out_complaint->place = json_text_place(text, offset);
        (void)snprintf(out_complaint->text, sizeof(out_complaint->text),
                       "this comment has no end: close it with */");
        return ST_SYNTAX;
    }
    memcpy(scratch, blanked, text.len);
    struct arena *a = arena_new(ARENA_BYTES);
    if (a == NULL)
        return ST_NOMEM;
    enum status st =
        build(a, (struct slice){blanked, text.len}, scratch, out, &error);
    arena_free(a);
    if (error.fault != JSON_FAULT_NONE)
        json_text_complain((struct slice){blanked, text.len}, error,
                           out_complaint);
    return st;
}

enum status json_tree_read(struct slice text, bool comments,
                           struct json_tree **out,
                           struct json_complaint *out_complaint)
{
    enum status st = ST_NOMEM;

    assert(out != NULL && out_complaint != NULL);

    *out_complaint = (struct json_complaint){.text = "out of memory"};
    if (text.len > JSON_FILE_MAX) {
        (void)snprintf(out_complaint->text, sizeof(out_complaint->text),
                       "larger than %u bytes", JSON_FILE_MAX);
        return ST_LIMIT;
    }
    char *blanked = malloc(text.len + 1);
    char *scratch = malloc(text.len + 1);
    if (blanked != NULL && scratch != NULL) {
        if (text.len > 0)
            memcpy(blanked, text.at, text.len);
        st = read_copies(text, comments, blanked, scratch, out, out_complaint);
    }
    free(blanked);
    free(scratch);
    return st;
}

const struct json_value *json_tree_root(const struct json_tree *t)
{
    return value_of(t->root);
}

enum json_kind json_kind_of(const struct json_value *v)
{
    const cJSON *item = item_of(v);

    if (cJSON_IsBool(item))
        return JSON_KIND_BOOL;
    if (cJSON_IsNumber(item))
        return JSON_KIND_NUMBER;
    if (cJSON_IsString(item))
        return JSON_KIND_STRING;
    if (cJSON_IsArray(item))
        return JSON_KIND_ARRAY;
    if (cJSON_IsObject(item))
        return JSON_KIND_OBJECT;
    return JSON_KIND_NULL;
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_KIND_NULL] = "null",     [JSON_KIND_BOOL] = "true or false",
        [JSON_KIND_NUMBER] = "number", [JSON_KIND_STRING] = "text",
        [JSON_KIND_ARRAY] = "array",   [JSON_KIND_OBJECT] = "object",
    };

    assert((unsigned)kind < sizeof(names) / sizeof(names[0]));
    return names[kind];
}

bool json_bool(const struct json_value *v)
{
    return cJSON_IsTrue(item_of(v));
}

double json_number(const struct json_value *v)
{
    return cJSON_IsNumber(item_of(v)) ? item_of(v)->valuedouble : 0;
}

struct slice json_string(const struct json_value *v)
{
    return cJSON_IsString(item_of(v)) ? slice_of(item_of(v)->valuestring)
                                      : SLICE_NONE;
}

const struct json_value *json_get(const struct json_value *object,
                                  const char *name)
{
    if (!cJSON_IsObject(item_of(object)))
        return NULL;
    return value_of(cJSON_GetObjectItemCaseSensitive(item_of(object), name));
}

const struct json_value *json_child(const struct json_value *parent)
{
    return value_of(item_of(parent)->child);
}

const struct json_value *json_sibling(const struct json_value *v)
{
    return value_of(item_of(v)->next);
}

struct slice json_name(const struct json_value *v)
{
    return slice_of(item_of(v)->string);
}

size_t json_size(const struct json_value *v)
{
    size_t count = 0;

    for (const cJSON *i = item_of(v)->child; i != NULL; i = i->next)
        count++;
    return count;
}

struct json_place json_place_of(const struct json_tree *t,
                                const struct json_value *v)
{
    struct located key = {.item = item_of(v)};

    const struct located *found =
        bsearch(&key, t->places, t->place_count, sizeof(key), compare_located);
    return found != NULL ? found->place : (struct json_place){0, 0};
}

/* A merge in progress. */
struct merging {
    struct json_tree *into;
    const struct json_tree *over;
};

/* `copy` stands for `from`, a value of the upper tree. */
static void keep_place(struct merging *m, const cJSON *copy, const cJSON *from)
{
    struct json_place place = json_place_of(m->over, value_of(from));

    if (place.line != 0)
        m->into->places[m->into->place_count++] = (struct located){copy, place};
}

static void keep_places(struct merging *m, const cJSON *copy, const cJSON *from)
{
    keep_place(m, copy, from);
    const cJSON *c = copy->child;
    for (const cJSON *f = from->child; f != NULL; f = f->next, c = c->next)
        keep_places(m, c, f);
}

static cJSON *lay(struct merging *m, const cJSON *base, const cJSON *over);

/* Adds `item` (owned) to `object`; false and freed if it cannot be. */
static bool add(cJSON *object, const char *name, cJSON *item)
{
    if (item != NULL && cJSON_AddItemToObject(object, name, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static bool lay_members(struct merging *m, cJSON *into, const cJSON *base,
                        const cJSON *over)
{
    for (const cJSON *b = base != NULL ? base->child : NULL; b != NULL;
         b = b->next) {
        const cJSON *o = cJSON_GetObjectItemCaseSensitive(over, b->string);
        if (cJSON_IsNull(o))
            continue;
        if (!add(into, b->string,
                 o != NULL ? lay(m, b, o) : cJSON_Duplicate(b, true)))
            return false;
    }
    for (const cJSON *o = over->child; o != NULL; o = o->next) {
        if (cJSON_IsNull(o) ||
            (base != NULL &&
             cJSON_GetObjectItemCaseSensitive(base, o->string) != NULL))
            continue;
        if (!add(into, o->string, lay(m, NULL, o)))
            return false;
    }
    return true;
}

/* `over` upon `base` (NULL: upon nothing) as a new item, or NULL when out of
 * memory. Recursion is bounded by JSON_DEPTH_MAX: both were read. */
static cJSON *lay(struct merging *m, const cJSON *base, const cJSON *over)
{
    cJSON *item;

    if (!cJSON_IsObject(over)) {
        item = cJSON_Duplicate(over, true);
        if (item != NULL)
            keep_places(m, item, over);
        return item;
    }
    item = cJSON_CreateObject();
    if (item == NULL)
        return NULL;
    keep_place(m, item, over);
    if (!lay_members(m, item, cJSON_IsObject(base) ? base : NULL, over)) {
        cJSON_Delete(item);
        return NULL;
    }
    return item;
}

enum status json_merge(const struct json_tree *base,
                       const struct json_tree *over, struct json_tree **out)
{
    struct merging m = {tree_new(over->place_count), over};

    if (m.into == NULL)
        return ST_NOMEM;
    m.into->root = lay(&m, base->root, over->root);
    if (m.into->root == NULL) {
        json_tree_free(m.into);
        return ST_NOMEM;
    }
    sort_places(m.into);
    *out = m.into;
    return ST_OK;
}
