/* Any bytes as the plaintext of a blob: what is read lies within them and
 * within the limits, and writing it again gives the same bytes. */
#include "fuzz.h"
#include "lethe/gateway/store/fragment.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data, size};
    struct fragment f;
    struct buf again;

    buf_init(&again, size + 1);
    for (;;) {
        size_t before = rest.len;
        enum status st = fragment_next(&rest, &f);
        if (st != ST_OK) {
            check(st == ST_END ? before == 0 : st == ST_CORRUPT);
            check(rest.len == before);
            break;
        }
        check(rest.len < before);
        check(f.tag_count <= FRAGMENT_TAGS_MAX);
        check(f.group.len <= FRAGMENT_GROUP_MAX);
        check(f.body.len <= FRAGMENT_BODY_MAX);
        const char *end = f.body.at + f.body.len;
        check(end == (const char *)data + (size - rest.len));
        fragment_copy(&again, &f);
        check(!again.failed);
    }
    check(again.len == size - rest.len);
    check(again.len == 0 || memcmp(again.data, data, again.len) == 0);
    buf_free(&again);
    return 0;
}
