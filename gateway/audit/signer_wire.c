#include "signer_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

int64_t wire_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * MS_PER_S + t.tv_nsec / 1000000;
}

enum status wire_wait(int fd, short events, int until_fd, int64_t end)
{
    struct pollfd list[] = {{fd, events, 0}, {until_fd, POLLIN, 0}};

    for (;;) {
        int64_t left = end == 0 ? -1 : end - wire_now_ms();
        if (end != 0 && left <= 0)
            return ST_TIMEOUT;
        int n = poll(list, 2, (int)left);
        if (n > 0)
            return list[1].revents != 0 ? ST_END : ST_OK;
        if (n < 0 && errno != EINTR)
            return ST_IO;
    }
}

enum status wire_send(int fd, int until_fd, int64_t end, struct slice s)
{
    while (s.len > 0) {
        enum status st = wire_wait(fd, POLLOUT, until_fd, end);
        if (st != ST_OK)
            return st;
        ssize_t n = send(fd, s.at, s.len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return ST_CLOSED;
        s = slice_skip(s, (size_t)n);
    }
    return ST_OK;
}
