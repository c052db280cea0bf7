#include "lethe/gateway/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

enum status file_create(const char *path, unsigned mode, struct slice bytes)
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    size_t done = 0;

    if (fd < 0)
        return errno == EEXIST ? ST_EXISTS : ST_IO;
    while (done < bytes.len) {
        ssize_t n = write(fd, bytes.at + done, bytes.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    bool ok = done == bytes.len && fsync(fd) == 0;
    if (close(fd) != 0 || !ok) {
        (void)unlink(path);
        return ST_IO;
    }
    return ST_OK;
}
