#include "lethe/gateway/control_path.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum status control_address(const char *path, struct sockaddr_un *out,
                            int *out_dir)
{
    char folder[PATH_MAX];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : (size_t)(slash - path) + 1;

    if (len >= sizeof(folder))
        return ST_LIMIT;
    memcpy(folder, slash == NULL ? "." : path, len);
    folder[len] = '\0';
    int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return ST_IO;
    int n =
        snprintf(address.sun_path, sizeof(address.sun_path),
                 "/proc/self/fd/%d/%s", dir, slash == NULL ? path : slash + 1);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path)) {
        (void)close(dir);
        return ST_LIMIT;
    }
    *out = address;
    *out_dir = dir;
    return ST_OK;
}
