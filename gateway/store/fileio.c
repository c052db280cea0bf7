#include "lethe/gateway/store/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ZERO_CHUNK (1u << 20)

enum status file_error(void)
{
    return errno == ENOSPC || errno == EDQUOT ? ST_FULL : ST_IO;
}

enum status file_write_at(int fd, const void *bytes, size_t len,
                          uint64_t offset)
{
    const uint8_t *at = bytes;

    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_error();
        if (n == 0)
            return ST_IO;
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return ST_OK;
}

enum status file_read_at(int fd, void *bytes, size_t len, uint64_t offset)
{
    uint8_t *at = bytes;

    while (len > 0) {
        ssize_t n = pread(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ST_IO;
        if (n == 0)
            return ST_END;
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return ST_OK;
}

enum status file_write_zeros(int fd, uint64_t offset, uint64_t len)
{
    static const uint8_t zeros[ZERO_CHUNK];
    enum status st = ST_OK;

    while (len > 0 && st == ST_OK) {
        size_t part = len < ZERO_CHUNK ? (size_t)len : ZERO_CHUNK;
        st = file_write_at(fd, zeros, part, offset);
        offset += part;
        len -= part;
    }
    return st;
}

enum status file_sync(int fd)
{
    return fdatasync(fd) == 0 ? ST_OK : file_error();
}

enum status file_sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return ST_IO;
    int rc = fsync(fd);
    (void)close(fd);
    return rc == 0 ? ST_OK : ST_IO;
}

enum status file_sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return file_sync_folder(".");
    if (slash == path)
        return file_sync_folder("/");
    int len =
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    if (len < 0 || (size_t)len >= sizeof(folder))
        return ST_IO;
    return file_sync_folder(folder);
}
