/* Any bytes as a second segment behind a valid one: opening never crashes,
 * what is read comes from groups whose sums hold, the valid segment's blobs
 * all come back unless the bytes forge a newer journal, and appending goes
 * on. With an odd first byte the sums of what looks like a group are made
 * right first, so that the reader behind them is reached. */
#include "../../gateway/store/journal_private.h"
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A       UINT64_C(0xaaaa)
#define SEGMENT (UINT64_C(32) << 10)
#define VALID   5u

static char folder[64];
static const struct journal_limits limits = {.spool_bytes = UINT64_C(1) << 40};

static void path_of(const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", folder, name);
}

static void clean(void)
{
    char path[128], name[32];

    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(name, sizeof(name), "seg.%08u", i);
        path_of(name, path);
        (void)unlink(path);
    }
}

static enum status append(struct journal *j, const char *text)
{
    struct group *g = group_new();
    struct group_blob *b = group_add_blob(g);

    buf_put_bytes(&g->sealed, text, 8);
    *b = (struct group_blob){.destination = A, .count = 1, .len = 8};
    enum status st = journal_append(j, &g, 1, 1000);
    group_unref(g);
    return st;
}

static void make_valid(void)
{
    struct journal *j;
    struct journal_recovery found;

    check(journal_open_sized(folder, &limits, SEGMENT, &j, &found) == ST_OK);
    for (unsigned i = 0; i < VALID; i++)
        check(append(j, "authentic") == ST_OK);
    journal_close(j);
}

/* Into the file that holds nothing yet. */
static void put_fuzzed(const uint8_t *bytes)
{
    char path[128];
    uint8_t first;

    for (unsigned i = 1; i <= 2; i++) {
        path_of(i == 1 ? "seg.00000001" : "seg.00000002", path);
        int fd = open(path, O_RDWR);
        check(fd >= 0 && pread(fd, &first, 1, 0) == 1);
        if (first == 0)
            check(pwrite(fd, bytes, SEGMENT, 0) == (ssize_t)SEGMENT);
        (void)close(fd);
        if (first == 0)
            return;
    }
}

/* True if some group in the bytes is valid. */
static bool forge_sums(uint8_t *bytes, bool forge)
{
    struct journal_header h;
    bool any = false;

    for (uint64_t at = 0; at < SEGMENT; at += JOURNAL_PAGE) {
        if (journal_header_decode(bytes + at, SEGMENT - at, &h) != ST_OK)
            continue;
        if (forge)
            journal_group_set_sums(&h, bytes + at);
        any = any || journal_group_sum_ok(&h, bytes + at);
    }
    return any;
}

static void read_all(struct journal *j, bool forged)
{
    struct journal_cursor at = {0};
    struct journal_blob b;
    struct buf sealed;
    unsigned authentic = 0;
    enum status st;

    buf_init(&sealed, SEGMENT * 2);
    while ((st = journal_read(j, &at, A, &b, &sealed)) != ST_END) {
        check(st == ST_OK || st == ST_CORRUPT);
        bool ours = sealed.len == 8 && memcmp(sealed.data, "authenti", 8) == 0;
        check(st != ST_OK || ours || forged);
        authentic += st == ST_OK && ours;
    }
    check(authentic == VALID || forged);
    buf_free(&sealed);
}

static enum status touch_rows(void *ctx, const struct group_rows *site,
                              uint64_t rows_before, const uint8_t *rows)
{
    uint64_t *sum = ctx;

    *sum += rows_before;
    for (size_t i = 0; i < (size_t)site->count * ROW_BYTES; i++)
        *sum += rows[i];
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[SEGMENT];
    struct journal *j;
    struct journal_recovery found;
    uint64_t sum = 0;

    if (size < 1)
        return 0;
    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof(folder), "/dev/shm/lethe-fuzz-XXXXXX");
        check(mkdtemp(folder) != NULL);
    }
    clean();
    make_valid();
    memset(bytes, 0, sizeof(bytes));
    size_t len = size - 1 < SEGMENT ? size - 1 : (size_t)SEGMENT;
    memcpy(bytes, data + 1, len);
    bool forged = forge_sums(bytes, (data[0] & 1) != 0);
    put_fuzzed(bytes);

    check(journal_open_sized(folder, &limits, SEGMENT, &j, &found) == ST_OK);
    read_all(j, forged);
    (void)!journal_replay_rows(j, touch_rows, &sum);
    enum status st = append(j, "authentic");
    check(st == ST_OK || forged); /* forged marks may fill its tables */
    journal_close(j);
    clean();
    (void)rmdir(folder);
    folder[0] = '\0';
    return 0;
}
