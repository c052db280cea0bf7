#include "lethe/gateway/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status read_all(int fd, size_t max, struct buf *out)
{
    for (;;) {
        if (!buf_reserve(out, 4096) && !buf_reserve(out, 1))
            return out->len > max ? ST_LIMIT : ST_NOMEM;
        ssize_t n = read(fd, out->data + out->len, out->size - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ST_IO;
        if (n == 0)
            break;
        out->len += (size_t)n;
        if (out->len > max)
            return ST_LIMIT;
    }
    out->failed = false; /* the last reserve may have met the cap */
    return ST_OK;
}

enum status file_read(const char *path, size_t max, struct buf *out)
{
    buf_init(out, max + 1);
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, max, out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ST_IO;
    enum status st = read_all(fd, max, out);
    int keep = errno;
    (void)close(fd);
    errno = keep;
    return st;
}

static bool write_bytes(int fd, struct slice s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.at, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = slice_skip(s, (size_t)n);
    }
    return true;
}

enum status file_create(const char *path, unsigned mode, struct slice bytes)
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0)
        return errno == EEXIST ? ST_EXISTS : ST_IO;
    bool ok = write_bytes(fd, bytes) && fsync(fd) == 0;
    if (close(fd) != 0 || !ok) {
        (void)unlink(path);
        return ST_IO;
    }
    return ST_OK;
}

static bool sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;

    memcpy(folder, slash == NULL ? "." : path, slash == NULL ? 1 : len);
    folder[slash == NULL ? 1 : len] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return good;
}

enum status file_put(const char *path, unsigned mode, struct slice bytes)
{
    char next[PATH_MAX];
    int n = snprintf(next, sizeof(next), "%s.new", path);

    if (n < 0 || (size_t)n >= sizeof(next))
        return ST_LIMIT;
    if (unlink(next) != 0 && errno != ENOENT)
        return ST_IO;
    int fd =
        open(next, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return errno == ENOSPC ? ST_FULL : ST_IO;
    bool good = write_bytes(fd, bytes) && fsync(fd) == 0;
    enum status st = good ? ST_OK : errno == ENOSPC ? ST_FULL : ST_IO;
    if (close(fd) != 0 && st == ST_OK)
        st = ST_IO;
    if (st == ST_OK && (rename(next, path) != 0 || !sync_folder_of(path)))
        st = ST_IO;
    if (st != ST_OK)
        (void)unlink(next);
    return st;
}

enum status file_replace(const char *path, struct slice bytes)
{
    return file_put(path, 0600, bytes);
}

enum status file_make_folders(const char *base, char *path, unsigned mode)
{
    for (char *at = path + strlen(base) + 1; (at = strchr(at, '/')) != NULL;
         at++) {
        *at = '\0';
        int rc = mkdir(path, mode);
        int error = errno;
        *at = '/';
        if (rc != 0 && error != EEXIST)
            return error == ENOSPC || error == EDQUOT ? ST_FULL : ST_IO;
    }
    return ST_OK;
}
