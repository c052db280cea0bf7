/* journal_fixture.h - a small journal in a folder of its own, and groups with
 * recognisable blobs, for the tests of journal and committer. */
#ifndef TESTS_UNIT_JOURNAL_FIXTURE_H
#define TESTS_UNIT_JOURNAL_FIXTURE_H

#include "../../gateway/store/journal_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT (UINT64_C(64) << 10) /* 16 pages */
#define WALL    INT64_C(1795305600000)

struct fixture {
    char folder[64];
    uint64_t segment;
    struct journal_limits limits;
    struct journal *j;
    struct journal_recovery found;
    struct buf sealed;
};

static inline enum status fixture_open(struct fixture *f)
{
    return journal_open_sized(f->folder, &f->limits, f->segment, &f->j,
                              &f->found);
}

static inline void reopen(struct fixture *f)
{
    journal_close(f->j);
    f->j = NULL;
    assert_int_equal(fixture_open(f), ST_OK);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/lethe-jrn-XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    f->segment = SEGMENT;
    f->limits.spool_bytes = UINT64_C(1) << 40;
    buf_init(&f->sealed, 1u << 26);
    *state = f;
    return fixture_open(f) == ST_OK ? 0 : -1;
}

static inline void segment_path(const struct fixture *f, unsigned number,
                                char out[128])
{
    (void)snprintf(out, 128, "%s/seg.%08u", f->folder, number);
}

static inline void folder_empty(const char *folder)
{
    char path[512];
    struct dirent *e;
    DIR *dir = opendir(folder);

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        (void)unlink(path);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    journal_close(f->j);
    folder_empty(f->folder);
    (void)rmdir(f->folder);
    buf_free(&f->sealed);
    free(f);
    return 0;
}

/* A blob of `count` fragments for `destination`: the text of `id`, padded to
 * `len` bytes with a letter. */
static inline void add_blob(struct group *g, uint64_t destination,
                            unsigned count, unsigned id, size_t len)
{
    char text[32];
    size_t from = g->sealed.len;
    struct group_blob *b = group_add_blob(g);

    assert_non_null(b);
    int n = snprintf(text, sizeof(text), "blob %u.", id);
    buf_put_bytes(&g->sealed, text, (size_t)n);
    while (g->sealed.len - from < len)
        buf_put_char(&g->sealed, (char)('a' + id % 26));
    assert_false(g->sealed.failed);
    *b = (struct group_blob){.destination = destination,
                             .slot = id % 7,
                             .use = 1,
                             .count = count,
                             .offset = from,
                             .len = g->sealed.len - from,
                             .expires_min_ms = WALL + id};
}

static inline void add_rows(struct group *g, uint64_t site, unsigned count,
                            unsigned char fill)
{
    uint8_t row[ROW_BYTES];
    struct group_rows *r = group_add_rows(g);

    assert_non_null(r);
    *r = (struct group_rows){.site = site,
                             .policy_index = 3,
                             .tag = "2026-11-22",
                             .time_ms = WALL,
                             .count = count,
                             .offset = g->rows.len,
                             .refused = {1, 2, 3, 4, 5}};
    memset(row, fill, sizeof(row));
    for (unsigned i = 0; i < count; i++)
        buf_put_bytes(&g->rows, row, sizeof(row));
}

/* One group with one blob, appended by itself. */
static inline enum status append_blob(struct fixture *f, uint64_t destination,
                                      unsigned count, unsigned id, size_t len)
{
    struct group *g = group_new();

    add_blob(g, destination, count, id, len);
    g->optout_seen = id;
    enum status st = journal_append(f->j, &g, 1, WALL + id);
    group_unref(g);
    return st;
}

static inline bool blob_is(const struct buf *sealed, unsigned id)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "blob %u.", id);

    return sealed->len >= (size_t)n &&
           memcmp(sealed->data, text, (size_t)n) == 0;
}

static inline unsigned blob_id(const struct buf *sealed)
{
    char text[32] = {0};
    size_t n = sealed->len < 31 ? sealed->len : 31;

    memcpy(text, sealed->data, n);
    unsigned id = 0;
    for (size_t i = 5; text[i] >= '0' && text[i] <= '9'; i++)
        id = id * 10 + (unsigned)(text[i] - '0');
    return id;
}

static inline enum status read_blob(struct fixture *f,
                                    struct journal_cursor *at,
                                    uint64_t destination,
                                    struct journal_blob *out)
{
    return journal_read(f->j, at, destination, out, &f->sealed);
}

/* Everything of destination `d` from the start: ids from `first` on, in
 * order, without a hole; how many. */
static inline unsigned count_in_order(struct fixture *f, uint64_t d,
                                      unsigned first)
{
    struct journal_cursor at = {0};
    struct journal_blob b;
    unsigned n = 0;

    while (read_blob(f, &at, d, &b) == ST_OK) {
        assert_true(blob_is(&f->sealed, first + n));
        n++;
    }
    return n;
}

static inline void mark_done(struct fixture *f, uint64_t d,
                             const struct journal_blob *b)
{
    struct mark m;

    journal_get_mark(f->j, d, &m);
    m.sequence = b->sequence;
    m.fragment = b->first_fragment + b->count;
    m.accepted += b->count;
    journal_set_mark(f->j, &m);
}

/* Read on from the cursor to the end and call it all delivered. */
static inline unsigned deliver(struct fixture *f, struct journal_cursor *at,
                               uint64_t d)
{
    struct journal_blob b;
    unsigned n = 0;

    while (read_blob(f, at, d, &b) == ST_OK) {
        mark_done(f, d, &b);
        n++;
    }
    return n;
}

#endif
