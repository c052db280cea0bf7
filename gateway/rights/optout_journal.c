#include "lethe/gateway/rights/optout_journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_RECORDS 4096u /* at once, when all of it is read */

struct optout_journal {
    int fd;
    uint8_t header[OPTOUT_HEADER_BYTES];
    uint64_t newest;
    uint8_t hash[OPTOUT_HASH_BYTES];
    off_t reserved; /* allocated up to here */
};

static off_t offset_of(uint64_t number)
{
    return (off_t)(OPTOUT_HEADER_BYTES + (number - 1) * OPTOUT_RECORD_BYTES);
}

static enum status write_at(int fd, const uint8_t *bytes, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return errno == ENOSPC || errno == EDQUOT ? ST_FULL : ST_IO;
        bytes += n;
        len -= (size_t)n;
        at += n;
    }
    return ST_OK;
}

/* As many bytes as there are, up to `len`. */
static enum status read_at(int fd, uint8_t *bytes, size_t len, off_t at,
                           size_t *out_len)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n = pread(fd, bytes + have, len - have, at + (off_t)have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ST_IO;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    *out_len = have;
    return ST_OK;
}

static bool sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);

    if (len >= sizeof(folder))
        return false;
    memcpy(folder, path, len);
    folder[len] = '\0';
    int fd = open(slash == NULL ? "." : (len == 0 ? "/" : folder),
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return good;
}

enum status optout_journal_create(const char *path,
                                  const uint8_t header[OPTOUT_HEADER_BYTES])
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno == EEXIST ? ST_EXISTS : ST_IO;
    enum status st = write_at(fd, header, OPTOUT_HEADER_BYTES, 0);
    if (st == ST_OK && (fsync(fd) != 0 || !sync_folder_of(path)))
        st = ST_IO;
    if (close(fd) != 0)
        st = ST_IO;
    if (st == ST_OK)
        return ST_OK;
    (void)unlink(path);
    return ST_IO;
}

static enum status open_file(const char *path, int *out_fd)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ST_UNKNOWN
               : errno == ELOOP || errno == EISDIR ? ST_DENIED
                                                   : ST_IO;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        (void)close(fd);
        return ST_DENIED;
    }
    *out_fd = fd;
    return ST_OK;
}

/* Did the write that made `record`, valid as `number`, begin behind change
 * `bad`? Then `bad` had been synced before, and is damaged. */
static bool proves_damage(const uint8_t *record, uint64_t number, uint64_t bad)
{
    struct optout_change c;

    return optout_record_decode(record, &c) == ST_OK && c.number == number &&
           number - c.batch > bad;
}

/* What lies behind the last good record: the torn rest of one write (ST_OK),
 * or, where a later write's whole record stands, damage (ST_CORRUPT). */
static enum status judge_rest(const struct optout_journal *j)
{
    uint8_t two[2 * OPTOUT_RECORD_BYTES], healed[OPTOUT_HASH_BYTES];
    uint64_t bad = j->newest + 1;
    size_t len;

    for (uint64_t n = bad;; n++) {
        enum status st = read_at(j->fd, two, sizeof(two), offset_of(n), &len);
        if (st != ST_OK || len < sizeof(two))
            return st;
        const uint8_t *next = two + OPTOUT_RECORD_BYTES;
        /* The bad record's own hash may be what is damaged. */
        optout_record_chain(two, j->hash, healed);
        if ((optout_record_follows(next, optout_record_hash(two), n + 1) ||
             (n == bad && optout_record_follows(next, healed, n + 1))) &&
            proves_damage(next, n + 1, bad))
            return ST_CORRUPT;
    }
}

static enum status read_records(struct optout_journal *j,
                                optout_journal_fn *each, void *ctx)
{
    size_t room = READ_RECORDS * OPTOUT_RECORD_BYTES, len = 0;
    uint8_t *bytes = malloc(room);
    bool good = true;
    enum status st = bytes == NULL ? ST_NOMEM : ST_OK;

    while (st == ST_OK && good) {
        st = read_at(j->fd, bytes, room, offset_of(j->newest + 1), &len);
        if (st != ST_OK || len < OPTOUT_RECORD_BYTES)
            break;
        for (size_t at = 0; st == ST_OK && at + OPTOUT_RECORD_BYTES <= len;
             at += OPTOUT_RECORD_BYTES) {
            const uint8_t *record = bytes + at;
            good = optout_record_follows(record, j->hash, j->newest + 1);
            if (!good)
                break;
            j->newest++;
            memcpy(j->hash, optout_record_hash(record), sizeof(j->hash));
            st = each(ctx, record);
        }
    }
    free(bytes);
    return st;
}

enum status optout_journal_open(const char *path, const uint8_t key[KEY_BYTES],
                                bool salvage, optout_journal_fn *each,
                                void *ctx, struct optout_journal **out)
{
    size_t len = 0;
    struct optout_journal *j = calloc(1, sizeof(*j));

    if (j == NULL)
        return ST_NOMEM;
    j->fd = -1;
    enum status st = open_file(path, &j->fd);
    if (st == ST_OK)
        st = read_at(j->fd, j->header, sizeof(j->header), 0, &len);
    if (st == ST_OK && len < sizeof(j->header))
        st = ST_CORRUPT;
    if (st == ST_OK)
        st = optout_header_check(j->header, key);
    if (st == ST_OK) {
        optout_hash_first(j->header, j->hash);
        st = read_records(j, each, ctx);
    }
    if (st == ST_OK && !salvage)
        st = judge_rest(j);
    if (st != ST_OK) {
        optout_journal_close(j);
        return st;
    }
    *out = j;
    return ST_OK;
}

/* Keep OPTOUT_RESERVE_BYTES allocated behind `end`. It may fail on a full
 * disk: what was allocated before is there still. */
static void keep_reserve(struct optout_journal *j, off_t end)
{
    off_t want = end + (off_t)OPTOUT_RESERVE_BYTES;

    if (j->reserved >= want - (off_t)OPTOUT_RESERVE_BYTES / 4)
        return;
    if (fallocate(j->fd, FALLOC_FL_KEEP_SIZE, end,
                  (off_t)OPTOUT_RESERVE_BYTES) == 0)
        j->reserved = want;
}

enum status optout_journal_ready(struct optout_journal *j)
{
    struct stat st;
    off_t end = offset_of(j->newest + 1);

    if (fstat(j->fd, &st) != 0)
        return ST_IO;
    if (st.st_size > end && (ftruncate(j->fd, end) != 0 || fsync(j->fd) != 0))
        return ST_IO;
    keep_reserve(j, end);
    return ST_OK;
}

void optout_journal_close(struct optout_journal *j)
{
    if (j == NULL)
        return;
    if (j->fd >= 0)
        (void)close(j->fd);
    free(j);
}

uint64_t optout_journal_newest(const struct optout_journal *j,
                               uint8_t out_hash[OPTOUT_HASH_BYTES])
{
    memcpy(out_hash, j->hash, OPTOUT_HASH_BYTES);
    return j->newest;
}

void optout_journal_header(const struct optout_journal *j,
                           uint8_t out[OPTOUT_HEADER_BYTES])
{
    memcpy(out, j->header, OPTOUT_HEADER_BYTES);
}

/* Best effort after a failed append: what may have reached the file must not
 * come back as a change that nobody was told of. The same place is written
 * again by the next append, so a page that the kernel dropped after a failed
 * sync is dirty again then. */
static void blot_out(const struct optout_journal *j, off_t at, size_t len)
{
    static const uint8_t zeros[OPTOUT_RECORD_BYTES];
    struct stat st;

    if (fstat(j->fd, &st) != 0)
        return;
    for (size_t done = 0; done < len && at + (off_t)done < st.st_size;
         done += sizeof(zeros))
        (void)write_at(j->fd, zeros, sizeof(zeros), at + (off_t)done);
}

enum status optout_journal_append(struct optout_journal *j,
                                  const uint8_t *records, size_t count)
{
    off_t at = offset_of(j->newest + 1);
    size_t len = count * OPTOUT_RECORD_BYTES;

    if (count == 0)
        return ST_OK;
    assert(optout_record_follows(records, j->hash, j->newest + 1));
    enum status st = write_at(j->fd, records, len, at);
    if (st == ST_OK && fdatasync(j->fd) != 0)
        st = errno == ENOSPC || errno == EDQUOT ? ST_FULL : ST_IO;
    if (st != ST_OK) {
        blot_out(j, at, len);
        return st;
    }
    j->newest += count;
    memcpy(j->hash, optout_record_hash(records + len - OPTOUT_RECORD_BYTES),
           OPTOUT_HASH_BYTES);
    keep_reserve(j, at + (off_t)len);
    return ST_OK;
}

enum status optout_journal_read(const struct optout_journal *j, uint64_t first,
                                size_t max, uint8_t *out_records,
                                size_t *out_count)
{
    size_t len = 0;

    if (first == 0 || first > j->newest)
        return ST_UNKNOWN;
    if (max > j->newest - first + 1)
        max = (size_t)(j->newest - first + 1);
    enum status st = read_at(j->fd, out_records, max * OPTOUT_RECORD_BYTES,
                             offset_of(first), &len);
    if (st != ST_OK || len < max * OPTOUT_RECORD_BYTES)
        return ST_IO;
    *out_count = max;
    return ST_OK;
}

enum status optout_journal_erase_key(struct optout_journal *j, uint64_t number)
{
    static const uint8_t zeros[OPTOUT_COMMIT_KEY];

    if (number == 0 || number > j->newest)
        return ST_UNKNOWN;
    return write_at(j->fd, zeros, sizeof(zeros),
                    offset_of(number) + OPTOUT_ERASE_OFFSET) == ST_OK
               ? ST_OK
               : ST_IO;
}
