/* What the reader takes, written out again from its nodes, reads as the same
 * document; and the nodes keep the promises of json_reader.h. */
#include "fuzz.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/json_reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void put_node(struct buf *b, const struct json_node *n)
{
    static const struct slice words[] = {
        [JSON_NULL] = SLICE_INIT("null"),
        [JSON_FALSE] = SLICE_INIT("false"),
        [JSON_TRUE] = SLICE_INIT("true"),
    };

    if (n->key.at != NULL) {
        buf_put_json_string(b, n->key);
        buf_put_char(b, ':');
    }
    if (n->type == JSON_STRING) {
        buf_put_json_string(b, n->text);
    } else if (n->type == JSON_NUMBER) {
        buf_put(b, n->text);
    } else if (n->type == JSON_ARRAY || n->type == JSON_OBJECT) {
        buf_put_char(b, n->type == JSON_ARRAY ? '[' : '{');
        for (const struct json_node *c = json_first(n); c != NULL;
             c = json_next(n, c)) {
            buf_put(b, c == json_first(n) ? SLICE("") : SLICE(", "));
            put_node(b, c);
        }
        buf_put_char(b, n->type == JSON_ARRAY ? ']' : '}');
    } else {
        buf_put(b, words[n->type]);
    }
}

static void check_node(const struct json_node *n, unsigned depth)
{
    uint32_t span = 1, count = 0;

    check(depth <= JSON_DEPTH_MAX);
    for (const struct json_node *c = json_first(n); c != NULL;
         c = json_next(n, c)) {
        span += c->span;
        count++;
        check((c->key.at != NULL) == (n->type == JSON_OBJECT));
        check(n->type != JSON_OBJECT || json_member(n, c->key) == c);
        check_node(c, depth + 1);
    }
    check(n->span == span && n->count == count);
    check(n->type != JSON_OBJECT || count <= JSON_MEMBERS_MAX);
    check(n->text.len == 0 || memchr(n->text.at, '\0', n->text.len) == NULL);
    check(n->type != JSON_NUMBER || n->text.len <= JSON_NUMBER_MAX);
}

static void check_same(const struct json_node *a, const struct json_node *b)
{
    for (uint32_t i = 0; i < a->span; i++)
        check(a[i].type == b[i].type && a[i].span == b[i].span &&
              a[i].count == b[i].count && slice_eq(a[i].key, b[i].key) &&
              slice_eq(a[i].text, b[i].text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(64u << 20);
    struct json_error error = {JSON_FAULT_NONE, 0};
    const struct json_node *root, *again;
    char *bytes = malloc(size > 0 ? size : 1);
    struct buf b;

    buf_init(&b, 64u << 20);
    if (size > 0)
        memcpy(bytes, data, size);
    enum status st = json_read(a, bytes, size, &root, &error);
    if (st == ST_OK) {
        check_node(root, 0);
        put_node(&b, root);
        check(!b.failed);
        check(json_read(a, b.data, b.len, &again, NULL) == ST_OK);
        check_same(root, again);
    } else {
        check(error.offset <= size);
        check(st == ST_NOMEM || error.fault != JSON_FAULT_NONE);
    }
    buf_free(&b);
    free(bytes);
    arena_free(a);
    return 0;
}
