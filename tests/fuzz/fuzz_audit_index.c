/* The reader of indexes takes any bytes; what it takes only points into the
 * segment that it is of. The checksum is made right first, or nothing but the
 * checksum would be tried. */
#include "../../gateway/audit/search_internal.h"
#include "fuzz.h"
#include "lethe/gateway/audit/merkle.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_BYTES 96u
#define LINES_MAX  4096u

/* As many lines as the input has entries, all alike. */
static int segment_of(size_t size)
{
    static const char line[] = "{\"v\":1}\n";
    static int fd = -1;

    if (fd < 0) {
        char path[] = "/tmp/lethe-fuzz-index-XXXXXX";
        fd = mkstemp(path);
        (void)unlink(path);
    }
    if (fd < 0 || ftruncate(fd, 0) != 0)
        abort();
    for (size_t n = 0; n < size / sizeof(struct index_entry); n++)
        if (pwrite(fd, line, sizeof(line) - 1,
                   (off_t)(n * (sizeof(line) - 1))) < 0)
            abort();
    return fd;
}

/* Where the fuzzer cannot guess: which file, and the last record's hash. */
static void make_right(char *bytes, size_t len, const struct index_source *of)
{
    uint64_t of_file[4] = {
        of->first, (uint64_t)of->about.st_ino, (uint64_t)of->about.st_size,
        (uint64_t)of->about.st_ctim.tv_sec * UINT64_C(1000000000) +
            (uint64_t)of->about.st_ctim.tv_nsec};

    if (len < HEAD_BYTES + HASH_BYTES)
        return;
    memcpy(bytes + 16, of_file, sizeof(of_file));
    sha256("{\"v\":1}", 7, (uint8_t *)bytes + 64);
    sha256(bytes, len - HASH_BYTES, (uint8_t *)bytes + len - HASH_BYTES);
}

static void check_places(const struct search_index *x, uint64_t size)
{
    for (size_t i = 0; i < x->count; i++) {
        const struct index_entry *e = &x->entries[i];
        if (e->line_at + e->line_len >= size || e->rows > READ_ROWS_MAX ||
            e->site > x->name_count || e->tag > x->name_count)
            abort();
    }
    for (size_t i = 0; i < x->name_count; i++)
        if (strlen(x->names[i].text) > NAME_MAX_BYTES)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct index_source of = {.first = 0};
    struct search_index x = {.count = 0};
    char *bytes = malloc(size + 1);

    if (bytes == NULL || size > LINES_MAX * sizeof(struct index_entry)) {
        free(bytes);
        return 0;
    }
    memcpy(bytes, data, size);
    of.fd = segment_of(
        size > HEAD_BYTES + HASH_BYTES ? size - HEAD_BYTES - HASH_BYTES : 0);
    if (fstat(of.fd, &of.about) != 0)
        abort();
    if (audit_index_parse((struct slice){bytes, size}, &of, &x) == ST_OK)
        abort(); /* nobody wrote an index of this file */
    make_right(bytes, size, &of);
    if (audit_index_parse((struct slice){bytes, size}, &of, &x) == ST_OK) {
        check_places(&x, (uint64_t)of.about.st_size);
        audit_index_free(&x);
    }
    free(bytes);
    return 0;
}
