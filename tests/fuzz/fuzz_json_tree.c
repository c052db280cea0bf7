/* A tree's canonical form and its form for people read back as the same tree;
 * a merge with nothing changes nothing; a complaint has a place. */
#include "fuzz.h"
#include "lethe/policy/json_tree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct json_tree *reread(const struct buf *b)
{
    struct json_tree *t = NULL;
    struct json_complaint why;

    check(json_tree_read(buf_slice(b), false, &t, &why) == ST_OK);
    return t;
}

static void check_canonical(const struct json_tree *t, const struct buf *want)
{
    struct buf b;

    buf_init(&b, 64u << 20);
    check(json_canonical(json_tree_root(t), &b) == ST_OK);
    check(slice_eq(buf_slice(&b), buf_slice(want)));
    buf_free(&b);
}

static void check_good(const struct json_tree *t)
{
    struct json_tree *again, *nothing = NULL, *merged = NULL;
    struct json_complaint why;
    struct buf canonical, pretty;

    buf_init(&canonical, 64u << 20);
    buf_init(&pretty, 64u << 20);
    check(json_place_of(t, json_tree_root(t)).line > 0);
    if (json_canonical(json_tree_root(t), &canonical) == ST_OK) {
        again = reread(&canonical);
        check_canonical(again, &canonical);
        json_tree_free(again);
        check(json_pretty(json_tree_root(t), &pretty) == ST_OK);
        again = reread(&pretty);
        check_canonical(again, &canonical);
        json_tree_free(again);
        check(json_tree_read(SLICE("{}"), false, &nothing, &why) == ST_OK);
        check(json_merge(t, nothing, &merged) == ST_OK);
        if (json_kind_of(json_tree_root(t)) == JSON_KIND_OBJECT)
            check_canonical(merged, &canonical);
        json_tree_free(merged);
        json_tree_free(nothing);
    }
    buf_free(&pretty);
    buf_free(&canonical);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_tree *t = NULL;
    struct json_complaint why;
    struct slice text = {(const char *)data, size};

    enum status st = json_tree_read(text, true, &t, &why);
    if (st == ST_OK) {
        check_good(t);
    } else {
        check(t == NULL && why.text[0] != '\0');
        check(st == ST_NOMEM || size > JSON_FILE_MAX || why.place.line > 0);
    }
    json_tree_free(t);
    return 0;
}
