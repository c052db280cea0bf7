/* log_rows.c - are the rows at the log's end those that its records counted?
 * Whatever a crash or a failing disk does, it does there. All of them would
 * take minutes: that is what `audit verify` is for. */
#include "log_internal.h"

#include "lethe/policy/base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_AT_ONCE 2048u

enum status rows_note(struct row_batches *b, uint64_t index, uint64_t count,
                      struct slice root)
{
    if (count == 0)
        return ST_OK;
    if (b->count == b->room) {
        size_t room = b->room == 0 ? 64 : 2 * b->room;
        struct row_batch *more = realloc(b->list, room * sizeof(*more));
        if (more == NULL)
            return ST_NOMEM;
        b->list = more;
        b->room = room;
    }
    struct row_batch *r = &b->list[b->count++];
    *r = (struct row_batch){.index = index, .first = b->rows, .count = count};
    if (root.len == sizeof(r->root)) /* else it is equal to none */
        memcpy(r->root, root.at, sizeof(r->root));
    b->rows += count;
    return ST_OK;
}

void rows_forget(struct row_batches *b)
{
    free(b->list);
    *b = (struct row_batches){.list = NULL};
}

static enum status read_rows(int fd, uint8_t *out, size_t len, uint64_t at)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, out + done, len - done, (off_t)(at + done));
        if (n <= 0)
            return n == 0 ? ST_CORRUPT : ST_IO;
        done += (size_t)n;
    }
    return ST_OK;
}

static enum status check_one(int fd, const struct row_batch *r)
{
    uint8_t bytes[ROWS_AT_ONCE * ROW_BYTES], hash[HASH_BYTES];
    struct merkle_stack m = {.size = 0};
    struct buf text;

    while (m.size < r->count) {
        uint64_t left = r->count - m.size;
        size_t n = left < ROWS_AT_ONCE ? (size_t)left : ROWS_AT_ONCE;
        enum status st = read_rows(fd, bytes, n * ROW_BYTES,
                                   (r->first + m.size) * ROW_BYTES);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < n; i++) {
            merkle_leaf(bytes + i * ROW_BYTES, ROW_BYTES, hash);
            merkle_add(&m, hash);
        }
    }
    merkle_root(&m, hash);
    buf_init(&text, 2 * sizeof(r->root));
    put_base64(&text, hash, HASH_BYTES);
    bool same = text.len == sizeof(r->root) &&
                memcmp(text.data, r->root, sizeof(r->root)) == 0;
    buf_free(&text);
    if (same)
        return ST_OK;
    log_error(LOG_AUDIT, "rows are not those that a record counted",
              LOG_NUM("record", r->index));
    return ST_CORRUPT;
}

enum status rows_check(const struct row_batches *b, int fd)
{
    enum status st = ST_OK;

    for (size_t i = b->count; i > 0 && st == ST_OK; i--) {
        if (b->rows - b->list[i - 1].first > ROWS_CHECKED_MAX && i < b->count)
            break;
        st = check_one(fd, &b->list[i - 1]);
    }
    return st;
}
