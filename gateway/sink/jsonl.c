/* JSON Lines files, one a purpose and UTC day: user_analytics.jsonl of the
 * config becomes user_analytics.<purpose>.<day>.jsonl, so that retention can
 * remove whole files.
 *
 * Exactness: the mark holds the length of one file. With one purpose that is
 * the file, and start cuts it there. A destination with several purposes
 * keeps no length (file_day 0): after a crash the lines of its last second
 * may stand there twice, with the same event id. The same holds for lines of
 * a new day whose mark was not yet on disk. A torn last line is always cut. */
#include "jsonl_inner.h"

#include "lethe/gateway/sink/owner.h"
#include "lethe/policy/base/clock.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JSONL_WRITE_MAX (64u << 20)

uint32_t jsonl_day_of(int64_t wall_ms)
{
    return wall_ms < 0 ? 0 : (uint32_t)(wall_ms / MS_PER_DAY);
}

/* "<folder>" and "<base>.<purpose>." of the config's path. */
static enum status split_path(const char *path, const char *purpose,
                              char **out_folder, char **out_stem)
{
    const char *slash = strrchr(path, '/');
    struct slice base = slice_of(slash == NULL ? path : slash + 1);
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - path);

    if (slice_ends(base, SLICE(".jsonl")))
        base = slice_head(base, base.len - 6);
    if (base.len == 0 || base.len > 128 || strchr(purpose, '/') != NULL)
        return ST_SYNTAX;
    char *folder = slash == NULL     ? strdup(".")
                   : folder_len == 0 ? strdup("/")
                                     : strndup(path, folder_len);
    char *stem = NULL;
    if (asprintf(&stem, "%.*s.%s.", SLICE_ARG(base), purpose) < 0)
        stem = NULL;
    if (folder == NULL || stem == NULL) {
        free(folder);
        free(stem);
        return ST_NOMEM;
    }
    *out_folder = folder;
    *out_stem = stem;
    return ST_OK;
}

enum status jsonl_day_name(const char *stem, uint32_t day,
                           char out[JSONL_NAME_MAX])
{
    char text[DAY_TEXT_MAX];

    day_format((int64_t)day * MS_PER_DAY, text);
    int n = snprintf(out, JSONL_NAME_MAX, "%s%s.jsonl", stem, text);
    return n > 0 && (unsigned)n < JSONL_NAME_MAX ? ST_OK : ST_LIMIT;
}

bool jsonl_name_day(const char *stem, const char *name, uint32_t *out_day)
{
    struct slice rest = slice_of(name);
    struct slice head = slice_of(stem);
    char stamp[TIME_TEXT_MAX];
    int64_t ms;

    if (!slice_starts(rest, head) || rest.len != head.len + 16)
        return false;
    rest = slice_skip(rest, head.len);
    if (!slice_eq(slice_skip(rest, 10), SLICE(".jsonl")))
        return false;
    int n = snprintf(stamp, sizeof(stamp), "%.10sT00:00:00Z", rest.at);
    if (n <= 0 || time_parse((struct slice){stamp, (size_t)n}, &ms) != ST_OK)
        return false;
    *out_day = jsonl_day_of(ms);
    return true;
}

static enum status cut_to(int fd, off_t length)
{
    if (ftruncate(fd, length) != 0 || fdatasync(fd) != 0)
        return ST_IO;
    return ST_OK;
}

/* Length of the file up to and with its last newline. */
static enum status whole_lines(int fd, off_t size, off_t *out)
{
    char piece[4096];

    while (size > 0) {
        size_t want = (size_t)(size < 4096 ? size : 4096);
        ssize_t got = pread(fd, piece, want, size - (off_t)want);
        if (got != (ssize_t)want)
            return ST_IO;
        while (want > 0 && piece[want - 1] != '\n')
            want--;
        size -= got - (ssize_t)want;
        if (want > 0)
            break;
    }
    *out = size;
    return ST_OK;
}

static enum status check_owner(int fd, mode_t mode, gid_t group, bool is_new)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return ST_IO;
    if (!S_ISREG(st.st_mode) || (st.st_mode & S_IWOTH) != 0)
        return ST_DENIED;
    if (!is_new)
        return ST_OK;
    if (group != OWNER_GROUP_NONE && fchown(fd, (uid_t)-1, group) != 0)
        return ST_DENIED;
    return fchmod(fd, mode) == 0 ? ST_OK : ST_DENIED;
}

/* Open (and make) the file of `day`; a torn last line goes. */
static enum status open_day(struct file_sink *s, uint32_t day)
{
    char name[JSONL_NAME_MAX];
    struct stat st;
    off_t whole;
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    enum status r = jsonl_day_name(s->stem, day, name);

    if (r != ST_OK)
        return r;
    int fd = openat(s->folder_fd, name, flags);
    bool is_new = fd < 0 && errno == ENOENT;
    if (is_new)
        fd = openat(s->folder_fd, name, flags | O_CREAT | O_EXCL, s->mode);
    if (fd < 0)
        return errno == EACCES || errno == ELOOP ? ST_DENIED
               : errno == ENOSPC                 ? ST_FULL
                                                 : ST_IO;
    r = check_owner(fd, s->mode, s->group, is_new);
    if (r == ST_OK && is_new && fsync(s->folder_fd) != 0)
        r = ST_IO;
    if (r == ST_OK && fstat(fd, &st) != 0)
        r = ST_IO;
    if (r == ST_OK)
        r = whole_lines(fd, st.st_size, &whole);
    if (r == ST_OK && whole != st.st_size)
        r = cut_to(fd, whole);
    if (r != ST_OK) {
        (void)close(fd);
        return r;
    }
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = fd;
    s->day = day;
    return ST_OK;
}

/* What lies behind the mark is delivered again: cut it. */
static enum status cut_behind_mark(struct file_sink *s, const struct mark *m)
{
    char name[JSONL_NAME_MAX];
    struct stat st;
    enum status r;

    if (m->file_day == 0)
        return ST_OK;
    r = jsonl_day_name(s->stem, m->file_day, name);
    if (r != ST_OK)
        return r;
    int fd = openat(s->folder_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? ST_OK : errno == EACCES ? ST_DENIED : ST_IO;
    if (fstat(fd, &st) != 0)
        r = ST_IO;
    else if ((uint64_t)st.st_size > m->file_length)
        r = cut_to(fd, (off_t)m->file_length);
    (void)close(fd);
    return r;
}

/* What a crash left of an erasure that was not over. */
static enum status remove_anew(struct file_sink *s)
{
    const struct dirent *entry;
    enum status r = ST_OK;
    DIR *dir = opendir(s->folder);

    if (dir == NULL)
        return errno == EACCES ? ST_DENIED : ST_IO;
    while (r == ST_OK && (entry = readdir(dir)) != NULL)
        if (slice_starts(slice_of(entry->d_name), slice_of(s->stem)) &&
            slice_ends(slice_of(entry->d_name), SLICE(JSONL_ANEW)) &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            r = ST_IO;
    (void)closedir(dir);
    return r;
}

enum status jsonl_open(const struct conf_destination *d, const char *purpose,
                       const struct mark *mark, struct file_sink **out)
{
    struct file_sink *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    s->fd = s->folder_fd = -1;
    s->mode = d->mode & 0777u;
    buf_init(&s->lines, JSONL_WRITE_MAX);
    enum status r = split_path(d->path, purpose, &s->folder, &s->stem);
    if (r == ST_OK)
        r = owner_find_group(d->group, &s->group);
    if (r != ST_OK)
        goto fail;
    s->folder_fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder_fd < 0) {
        r = errno == EACCES ? ST_DENIED : ST_IO;
        goto fail;
    }
    r = remove_anew(s);
    if (r == ST_OK)
        r = cut_behind_mark(s, mark);
    if (r != ST_OK)
        goto fail;
    s->day = mark->file_day;
    *out = s;
    return ST_OK;
fail:
    jsonl_close(s);
    return r;
}

static enum status join_lines(struct buf *lines, const struct fragment *f,
                              unsigned count)
{
    buf_reset(lines);
    for (unsigned i = 0; i < count; i++) {
        buf_put(lines, f[i].body);
        buf_put_char(lines, '\n');
    }
    return lines->failed ? ST_NOMEM : ST_OK;
}

/* All of it or, as far as the disk lets us, none. */
static enum status append_synced(struct file_sink *s, off_t before)
{
    ssize_t n = write(s->fd, s->lines.data, s->lines.len);
    int why = n < 0 ? errno : ENOSPC;

    if (n == (ssize_t)s->lines.len) {
        if (fdatasync(s->fd) == 0)
            return ST_OK;
        why = errno;
    }
    if (cut_to(s->fd, before) != ST_OK)
        why = EIO;
    /* Whatever this descriptor's pages are now: look again next time. */
    (void)close(s->fd);
    s->fd = -1;
    errno = why;
    return why == ENOSPC || why == EDQUOT ? ST_FULL : ST_IO;
}

enum status jsonl_write(struct file_sink *s, const struct fragment *f,
                        unsigned count, int64_t now_ms, uint64_t *out_length,
                        uint32_t *out_day)
{
    struct stat st;
    uint32_t day = jsonl_day_of(now_ms);

    if (day < s->day) /* a clock that went back opens no older file */
        day = s->day;
    /* Somebody moved or removed the file: start it anew. */
    if (s->fd >= 0 && (fstat(s->fd, &st) != 0 || st.st_nlink == 0)) {
        (void)close(s->fd);
        s->fd = -1;
    }
    enum status r = ST_OK;
    if (s->fd < 0 || day != s->day)
        r = open_day(s, day);
    if (r == ST_OK)
        r = join_lines(&s->lines, f, count);
    if (r == ST_OK && fstat(s->fd, &st) != 0)
        r = ST_IO;
    if (r == ST_OK)
        r = append_synced(s, st.st_size);
    if (r != ST_OK)
        return r;
    *out_length = (uint64_t)st.st_size + s->lines.len;
    *out_day = s->day;
    return ST_OK;
}

void jsonl_close(struct file_sink *s)
{
    if (s == NULL)
        return;
    if (s->fd >= 0)
        (void)close(s->fd);
    if (s->folder_fd >= 0)
        (void)close(s->folder_fd);
    buf_free(&s->lines);
    free(s->folder);
    free(s->stem);
    free(s);
}

struct expiry {
    uint64_t files, bytes;
    uint32_t oldest_day;
    bool any_left;
};

static enum status expire_one(int folder, const char *name, uint32_t day,
                              int64_t before_ms, struct expiry *e)
{
    struct stat st;

    if (((int64_t)day + 1) * MS_PER_DAY > before_ms) {
        if (!e->any_left || day < e->oldest_day)
            e->oldest_day = day;
        e->any_left = true;
        return ST_OK;
    }
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        unlinkat(folder, name, 0) != 0)
        return ST_IO;
    e->files++;
    e->bytes += (uint64_t)st.st_size;
    return ST_OK;
}

enum status jsonl_expire(const char *path, const char *purpose,
                         int64_t before_ms, uint64_t *out_files,
                         uint64_t *out_bytes, int64_t *out_oldest_ms)
{
    struct expiry e = {0};
    const struct dirent *entry;
    char *folder = NULL, *stem = NULL;
    uint32_t day;
    enum status r = split_path(path, purpose, &folder, &stem);

    if (r != ST_OK)
        return r;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        r = errno == EACCES ? ST_DENIED : ST_IO;
    while (r == ST_OK && (entry = readdir(dir)) != NULL)
        if (jsonl_name_day(stem, entry->d_name, &day))
            r = expire_one(dirfd(dir), entry->d_name, day, before_ms, &e);
    if (r == ST_OK && e.files > 0 && fsync(dirfd(dir)) != 0)
        r = ST_IO;
    if (dir != NULL)
        (void)closedir(dir);
    free(folder);
    free(stem);
    *out_files = e.files; /* what is gone is gone, whatever failed */
    *out_bytes = e.bytes;
    if (r != ST_OK)
        return r;
    *out_oldest_ms = e.any_left ? (int64_t)e.oldest_day * MS_PER_DAY : 0;
    return ST_OK;
}
