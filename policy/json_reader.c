#include "lethe/policy/json_reader.h"

#include "json_keys.h"
#include "json_scan.h"

#include <assert.h>
#include <string.h>

struct reader {
    char *start;
    char *at;
    char *end;
    struct json_node *nodes; /* room for all there can be */
    uint32_t used;
    uint32_t room;
    unsigned depth;
    enum json_fault fault;
};

static enum status fail(struct reader *r, enum json_fault fault)
{
    r->fault = fault;
    return fault == JSON_FAULT_DEPTH || fault == JSON_FAULT_SIZE ? ST_LIMIT
                                                                 : ST_SYNTAX;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' ||
                              *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

/* White space, then `c`. Most documents have no white space. */
static inline bool take(struct reader *r, char c)
{
    if (r->at < r->end && *r->at <= ' ')
        skip_space(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static enum status read_value(struct reader *r, struct slice key);

/* The elements behind '['. Writes how many. */
static enum status read_elements(struct reader *r, uint32_t *out_count)
{
    uint32_t count = 0;

    if (take(r, ']')) {
        *out_count = 0;
        return ST_OK;
    }
    do {
        enum status st = read_value(r, SLICE_NONE);
        if (st != ST_OK)
            return st;
        count++;
    } while (take(r, ','));
    if (!take(r, ']'))
        return fail(r, JSON_FAULT_SYNTAX);
    *out_count = count;
    return ST_OK;
}

static enum status read_member(struct reader *r)
{
    struct slice key;

    if (!take(r, '"'))
        return fail(r, JSON_FAULT_SYNTAX);
    enum json_fault fault = json_scan_string(&r->at, r->end, &key);
    if (fault != JSON_FAULT_NONE)
        return fail(r, fault);
    if (!take(r, ':'))
        return fail(r, JSON_FAULT_SYNTAX);
    return read_value(r, key);
}

/* The members behind '{'. Writes how many. */
static enum status read_members(struct reader *r, uint32_t *out_count)
{
    uint32_t count = 0;

    if (take(r, '}')) {
        *out_count = 0;
        return ST_OK;
    }
    do {
        if (count == JSON_MEMBERS_MAX)
            return fail(r, JSON_FAULT_SIZE);
        enum status st = read_member(r);
        if (st != ST_OK)
            return st;
        count++;
    } while (take(r, ','));
    if (!take(r, '}'))
        return fail(r, JSON_FAULT_SYNTAX);
    *out_count = count;
    return ST_OK;
}

static enum status refuse_repeated(struct reader *r, uint32_t object)
{
    const struct json_node *twice = json_repeated_key(&r->nodes[object]);

    if (twice == NULL)
        return ST_OK;
    r->at = r->start + twice->offset;
    return fail(r, JSON_FAULT_REPEATED_KEY);
}

/* An array or object whose bracket is at r->at. */
static enum status read_container(struct reader *r, uint32_t index)
{
    bool object = *r->at == '{';
    uint32_t count = 0;

    if (r->depth == JSON_DEPTH_MAX)
        return fail(r, JSON_FAULT_DEPTH);
    r->depth++;
    r->at++;
    enum status st =
        object ? read_members(r, &count) : read_elements(r, &count);
    if (st != ST_OK)
        return st;
    r->depth--;

    struct json_node *n = &r->nodes[index];
    n->type = object ? JSON_OBJECT : JSON_ARRAY;
    n->count = count;
    n->span = r->used - index;
    return object ? refuse_repeated(r, index) : ST_OK;
}

static enum status read_word(struct reader *r, struct json_node *n)
{
    static const struct {
        struct slice word;
        enum json_type type;
    } words[] = {{SLICE_INIT("true"), JSON_TRUE},
                 {SLICE_INIT("false"), JSON_FALSE},
                 {SLICE_INIT("null"), JSON_NULL}};
    struct slice rest = {r->at, (size_t)(r->end - r->at)};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (slice_starts(rest, words[i].word)) {
            n->type = words[i].type;
            r->at += words[i].word.len;
            return ST_OK;
        }
    return fail(r, JSON_FAULT_SYNTAX);
}

static enum status read_scalar(struct reader *r, struct json_node *n)
{
    enum json_fault fault;

    if (*r->at == '"') {
        n->type = JSON_STRING;
        r->at++;
        fault = json_scan_string(&r->at, r->end, &n->text);
    } else if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')) {
        n->type = JSON_NUMBER;
        fault = json_scan_number(&r->at, r->end, &n->text);
    } else {
        return read_word(r, n);
    }
    return fault == JSON_FAULT_NONE ? ST_OK : fail(r, fault);
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static enum status read_value(struct reader *r, struct slice key)
{
    skip_space(r);
    if (r->at == r->end)
        return fail(r, JSON_FAULT_SYNTAX);
    if (r->used == r->room) /* only ever at JSON_NODES_MAX */
        return fail(r, JSON_FAULT_SIZE);
    uint32_t index = r->used++;
    r->nodes[index] = (struct json_node){
        .key = key, .span = 1, .offset = (uint32_t)(r->at - r->start)};
    if (*r->at == '{' || *r->at == '[')
        return read_container(r, index);
    return read_scalar(r, &r->nodes[index]);
}

static enum status read_document(struct reader *r, struct arena *a)
{
    size_t bound = json_scan_nodes_bound(r->start, r->end);

    r->room = bound < JSON_NODES_MAX ? (uint32_t)bound : JSON_NODES_MAX;
    r->nodes = arena_alloc(a, r->room * sizeof(*r->nodes));
    if (r->nodes == NULL)
        return ST_NOMEM;
    enum status st = read_value(r, SLICE_NONE);
    if (st != ST_OK)
        return st;
    skip_space(r);
    return r->at == r->end ? ST_OK : fail(r, JSON_FAULT_TRAILING);
}

enum status json_read(struct arena *a, char *bytes, size_t len,
                      const struct json_node **out_root,
                      struct json_error *out_error)
{
    struct reader r = {.start = bytes, .at = bytes};
    enum status st = ST_LIMIT;

    assert(a != NULL && (bytes != NULL || len == 0) && out_root != NULL);

    if (len <= UINT32_MAX) {
        r.end = len > 0 ? bytes + len : bytes;
        st = read_document(&r, a);
    } else {
        r.fault = JSON_FAULT_SIZE;
    }
    if (st == ST_OK)
        *out_root = r.nodes;
    else if (out_error != NULL)
        *out_error = (struct json_error){
            r.fault, r.at != NULL ? (size_t)(r.at - r.start) : 0};
    return st;
}

const struct json_node *json_first(const struct json_node *parent)
{
    return parent->count > 0 ? parent + 1 : NULL;
}

const struct json_node *json_next(const struct json_node *parent,
                                  const struct json_node *n)
{
    const struct json_node *next = n + n->span;

    return next < parent + parent->span ? next : NULL;
}

const struct json_node *json_member(const struct json_node *object,
                                    struct slice key)
{
    if (object->type != JSON_OBJECT)
        return NULL;
    for (const struct json_node *n = json_first(object); n != NULL;
         n = json_next(object, n))
        if (slice_eq(n->key, key))
            return n;
    return NULL;
}

const struct json_node *json_at_path(const struct json_node *object,
                                     struct slice path)
{
    while (object != NULL && path.len > 0) {
        size_t dot = slice_find(path, '.');
        object = json_member(object, slice_head(path, dot));
        path = slice_skip(path, dot + 1);
    }
    return object;
}

const char *json_fault_name(enum json_fault fault)
{
    static const char *const names[JSON_FAULT_COUNT] = {
        [JSON_FAULT_NONE] = "none",
        [JSON_FAULT_SYNTAX] = "syntax",
        [JSON_FAULT_UTF8] = "bad utf-8",
        [JSON_FAULT_NUL] = "character U+0000",
        [JSON_FAULT_SURROGATE] = "lone surrogate",
        [JSON_FAULT_REPEATED_KEY] = "repeated key",
        [JSON_FAULT_DEPTH] = "too deep",
        [JSON_FAULT_SIZE] = "too large",
        [JSON_FAULT_TRAILING] = "bytes after the value",
    };

    assert((unsigned)fault < JSON_FAULT_COUNT);
    return names[fault];
}
