/* Whoever changes a row, or a number in a batch with rows, is found.
 *
 * Input: 'r' then (offset, xor) triples over the rows, or 's' and one such
 * triple over the records. Works on a copy in a folder of its own; run from
 * the repository's root. */
#include "../unit/audit_fixture.h"
#include "../unit/verify_case.h"
#include "fuzz.h"

#include <sys/stat.h>

#define GOLDEN "tests/data/audit/golden"

static char folder[64] = "/tmp/lethe-fuzz-audit-XXXXXX";
static char *seg, *rows;
static size_t seg_len, rows_len;

static void drop_folder(void)
{
    (void)folder_remove(folder);
}

static void load(void)
{
    char path[128];

    seg = fixture_load(GOLDEN, SEG0, &seg_len);
    rows = fixture_load(GOLDEN, ROWS0, &rows_len);
    if (seg == NULL || rows == NULL || mkdtemp(folder) == NULL)
        abort();
    (void)snprintf(path, sizeof(path), "%s/seg", folder);
    if (mkdir(path, 0700) != 0)
        abort();
    (void)snprintf(path, sizeof(path), "%s/rows", folder);
    if (mkdir(path, 0700) != 0 || atexit(drop_folder) != 0)
        abort();
}

/* A byte that rows and sums bind: of a batch with rows, from `pol` to `tag`
 * and in `cum` and `ex`. */
static bool is_bound(size_t at)
{
    const char *line = seg + at, *tag, *cum, *ref, *ex, *end;

    while (line > seg && line[-1] != '\n')
        line--;
    end = strchr(line, '\n');
    const char *site = strstr(line, "\"site\":");
    if (site == NULL || site > end)
        return false;
    tag = strstr(line, "\"tag\":");
    cum = strstr(line, "\"cum\":");
    ref = strstr(line, "\"ref\":");
    ex = strstr(line, "\"ex\":");
    const char *p = seg + at, *t0 = strstr(line, "\"t0\":");
    return (p >= t0 && p < tag) || (p >= cum && p < ref) ||
           (p >= ex && p <= end);
}

static void expect_tampered(void)
{
    if (verify_plain(folder, NULL).verdict != VERIFY_TAMPERED)
        abort();
}

static void flip_rows(const uint8_t *data, size_t size)
{
    char *copy = malloc(rows_len);

    if (copy == NULL)
        return;
    memcpy(copy, rows, rows_len);
    for (; size >= 3; data += 3, size -= 3)
        copy[(size_t)(data[0] << 8 | data[1]) % rows_len] ^= (char)data[2];
    if (memcmp(copy, rows, rows_len) != 0 &&
        fixture_save(folder, ROWS0, copy, rows_len) &&
        fixture_save(folder, SEG0, seg, seg_len))
        expect_tampered();
    free(copy);
}

static void flip_record(const uint8_t *data)
{
    size_t at = (size_t)(data[0] << 8 | data[1]) % seg_len;
    char was = seg[at];
    bool bound = data[2] != 0 && is_bound(at);

    seg[at] ^= (char)data[2];
    bool ok = fixture_save(folder, ROWS0, rows, rows_len) &&
              fixture_save(folder, SEG0, seg, seg_len);
    seg[at] = was;
    if (!ok)
        return;
    if (bound)
        expect_tampered();
    else if (verify_plain(folder, NULL).verdict == VERIFY_SOUND)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (seg == NULL)
        load();
    if (size >= 4 && data[0] == 'r')
        flip_rows(data + 1, size - 1);
    else if (size >= 4)
        flip_record(data + 1);
    return 0;
}
