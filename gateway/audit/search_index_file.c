/* search_index_file.c - an index on disk: audit/idx/<first index>.idx. It is
 * taken only if its checksum holds and it is of exactly these bytes: the same
 * inode, size, time of the last change (which nobody can set back) and last
 * record. */
#include "search_internal.h"

#include "lethe/gateway/audit/merkle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER          "idx"
#define FOLDER_MODE     0750
#define FILE_MODE       0640
#define FILE_NAME_BYTES 32u
#define VERSION         1u
#define ORDER           UINT32_C(0x01020304) /* of this machine's bytes */
#define NS_PER_S        UINT64_C(1000000000)
#define INDEX_BYTES_MAX                                                        \
    (sizeof(struct index_head) +                                               \
     INDEX_ENTRIES_MAX * sizeof(struct index_entry) +                          \
     INDEX_NAMES_MAX * sizeof(struct index_name) + HASH_BYTES)

static const char magic[8] = {'L', 'E', 'T', 'H', 'E', 'I', 'D', 'X'};

/* Then the entries, the names, and SHA-256 of all that. */
struct index_head {
    char magic[8];
    uint32_t version, order;
    uint64_t first, inode, size, changed_ns;
    uint64_t entry_count, name_count;
    uint8_t last_record[HASH_BYTES];
};

_Static_assert(sizeof(struct index_head) == 96, "no holes in the file");
_Static_assert(sizeof(struct index_entry) == 80, "no holes in the file");
_Static_assert(sizeof(struct index_name) == NAME_MAX_BYTES + 1, "no holes");

/* The last record's hash; false if `x` does not end where the segment does. */
static bool hash_last(const struct index_source *of,
                      const struct search_index *x, uint8_t out[HASH_BYTES])
{
    char line[READ_LINE_MAX];

    if (x->count == 0)
        return false;
    const struct index_entry *e = &x->entries[x->count - 1];
    if (e->line_len > sizeof(line) ||
        pread(of->fd, line, e->line_len, (off_t)e->line_at) !=
            (ssize_t)e->line_len)
        return false;
    sha256(line, e->line_len, out);
    return true;
}

static void make_head(const struct index_source *of,
                      const struct search_index *x, struct index_head *out)
{
    *out = (struct index_head){
        .version = VERSION,
        .order = ORDER,
        .first = of->first,
        .inode = (uint64_t)of->about.st_ino,
        .size = (uint64_t)of->about.st_size,
        .changed_ns = (uint64_t)of->about.st_ctim.tv_sec * NS_PER_S +
                      (uint64_t)of->about.st_ctim.tv_nsec,
        .entry_count = x->count,
        .name_count = x->name_count,
    };
    memcpy(out->magic, magic, sizeof(magic));
}

/* ---- reading --------------------------------------------------------------
 */

/* Every number that is used as a place is one. */
static bool entries_fit(const struct search_index *x, uint64_t size)
{
    uint64_t at = 0, row = 0;

    for (size_t i = 0; i < x->count; i++) {
        const struct index_entry *e = &x->entries[i];
        if (e->line_at != at || e->line_len > READ_LINE_MAX ||
            e->rows > READ_ROWS_MAX || e->site > x->name_count ||
            e->tag > x->name_count || (e->rows > 0 && e->first_row != row))
            return false;
        at += e->line_len + 1;
        row += e->rows;
    }
    for (size_t i = 0; i < x->name_count; i++)
        if (memchr(x->names[i].text, '\0', sizeof(x->names[i].text)) == NULL)
            return false;
    return at == size;
}

static enum status copy_lists(struct slice bytes, const struct index_head *h,
                              struct search_index *x)
{
    size_t entries = h->entry_count * sizeof(*x->entries);
    size_t names = h->name_count * sizeof(*x->names);

    x->entries = malloc(entries + 1);
    x->names = malloc(names + 1);
    if (x->entries == NULL || x->names == NULL)
        return ST_NOMEM;
    memcpy(x->entries, bytes.at + sizeof(*h), entries);
    memcpy(x->names, bytes.at + sizeof(*h) + entries, names);
    x->count = x->room = h->entry_count;
    x->name_count = x->name_room = h->name_count;
    return ST_OK;
}

enum status audit_index_parse(struct slice bytes, const struct index_source *of,
                              struct search_index *out)
{
    struct search_index x = {.count = 0};
    uint8_t hash[HASH_BYTES];
    struct index_head h, want;

    if (bytes.len < sizeof(h) + HASH_BYTES)
        return ST_CORRUPT;
    memcpy(&h, bytes.at, sizeof(h));
    size_t body = bytes.len - HASH_BYTES;
    if (h.entry_count > INDEX_ENTRIES_MAX || h.name_count > INDEX_NAMES_MAX ||
        body != sizeof(h) + h.entry_count * sizeof(*x.entries) +
                    h.name_count * sizeof(*x.names))
        return ST_CORRUPT;
    sha256(bytes.at, body, hash);
    if (memcmp(hash, bytes.at + body, HASH_BYTES) != 0)
        return ST_CORRUPT;
    enum status st = copy_lists(bytes, &h, &x);
    if (st == ST_OK) {
        make_head(of, &x, &want);
        if (!entries_fit(&x, (uint64_t)of->about.st_size) ||
            !hash_last(of, &x, want.last_record) ||
            memcmp(&h, &want, sizeof(h)) != 0)
            st = ST_CORRUPT;
    }
    if (st == ST_OK)
        *out = x;
    else
        audit_index_free(&x);
    return st;
}

static void file_name(uint64_t first, const char *end,
                      char out[FILE_NAME_BYTES])
{
    (void)snprintf(out, FILE_NAME_BYTES, "%012" PRIu64 ".idx%s", first, end);
}

/* -1: there is none. No link is followed: whoever searches may be root, the
 * folder is the gateway's. */
static int open_folder(const char *folder)
{
    char path[READ_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/" FOLDER, folder);
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool read_all(int fd, char *to, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, to + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

enum status audit_index_load(const char *folder, const struct index_source *of,
                             struct search_index *out)
{
    char name[FILE_NAME_BYTES], *bytes = NULL;
    enum status st = ST_CORRUPT;
    struct stat about;
    int dir = open_folder(folder);

    if (dir < 0)
        return ST_CORRUPT;
    file_name(of->first, "", name);
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    (void)close(dir);
    if (fd < 0)
        return ST_CORRUPT;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) &&
        (uint64_t)about.st_size <= INDEX_BYTES_MAX) {
        size_t len = (size_t)about.st_size;
        bytes = malloc(len + 1);
        st = bytes == NULL ? ST_NOMEM : ST_CORRUPT;
        if (bytes != NULL && read_all(fd, bytes, len))
            st = audit_index_parse((struct slice){bytes, len}, of, out);
    }
    free(bytes);
    (void)close(fd);
    return st;
}

/* ---- writing --------------------------------------------------------------
 */

/* Root may search, but what it makes in the gateway's folder is the
 * gateway's. */
static bool give_to_owner(int fd, const struct stat *folder)
{
    return geteuid() != 0 || fchown(fd, folder->st_uid, folder->st_gid) == 0;
}

static int make_folder(const char *folder)
{
    char path[READ_PATH_MAX];
    struct stat about;

    (void)snprintf(path, sizeof(path), "%s/" FOLDER, folder);
    if (mkdir(path, FOLDER_MODE) != 0)
        return -1;
    int dir = open_folder(folder);
    if (dir >= 0 &&
        (stat(folder, &about) != 0 || !give_to_owner(dir, &about))) {
        (void)close(dir);
        dir = -1;
    }
    return dir;
}

static bool write_all(int fd, const void *from, size_t len)
{
    const char *at = from;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool put_index(struct buf *b, const struct index_source *of,
                      const struct search_index *x)
{
    uint8_t hash[HASH_BYTES];
    struct index_head h;

    make_head(of, x, &h);
    if (!hash_last(of, x, h.last_record))
        return false;
    buf_put_bytes(b, &h, sizeof(h));
    buf_put_bytes(b, x->entries, x->count * sizeof(*x->entries));
    if (x->name_count > 0)
        buf_put_bytes(b, x->names, x->name_count * sizeof(*x->names));
    if (b->failed)
        return false;
    sha256(b->data, b->len, hash);
    buf_put_bytes(b, hash, sizeof(hash));
    return !b->failed;
}

static bool write_file(int dir, uint64_t first, struct slice bytes)
{
    char name[FILE_NAME_BYTES], temporary[FILE_NAME_BYTES];
    struct stat folder;

    file_name(first, "", name);
    file_name(first, ".new", temporary);
    int fd = openat(dir, temporary,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    FILE_MODE);
    if (fd < 0)
        return false;
    /* Not synced: half of a file fails its checksum. */
    bool good = fstat(dir, &folder) == 0 && give_to_owner(fd, &folder) &&
                write_all(fd, bytes.at, bytes.len);
    if (close(fd) != 0)
        good = false;
    if (good)
        good = renameat(dir, temporary, dir, name) == 0;
    if (!good)
        (void)unlinkat(dir, temporary, 0);
    return good;
}

bool audit_index_keep(const char *folder, const struct index_source *of,
                      const struct search_index *x)
{
    struct buf b;
    int dir = open_folder(folder);

    if (dir < 0)
        dir = make_folder(folder);
    if (dir < 0)
        return false;
    buf_init(&b, INDEX_BYTES_MAX);
    bool good =
        put_index(&b, of, x) && write_file(dir, of->first, buf_slice(&b));
    buf_free(&b);
    (void)close(dir);
    return good;
}

enum status audit_index_remove(const char *folder, uint64_t first)
{
    static const char *const ends[] = {"", ".new"};
    char name[FILE_NAME_BYTES];
    enum status st = ST_OK;
    int dir = open_folder(folder);

    if (dir < 0)
        return errno == ENOENT ? ST_OK : ST_IO;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        file_name(first, ends[i], name);
        if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
            st = ST_IO;
    }
    (void)close(dir);
    return st;
}
