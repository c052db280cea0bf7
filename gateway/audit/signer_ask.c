/* signer_ask.c - the gateway's side of the signer's socket. Of an answer only
 * what a signer says is read: status line, three headers, a body to the end. */
#include "signer_internal.h"

#include "lethe/gateway/control_path.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REPLY_MAX 8192u

static enum status dial(const char *dir, int *out)
{
    struct sockaddr_un address;
    char path[PATH_MAX];
    int folder;

    if (!signer_path(dir, SIGNER_SOCKET, path))
        return ST_LIMIT;
    enum status st = control_address(path, &address, &folder);
    if (st != ST_OK)
        return st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        st = ST_IO;
    else if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) !=
             0)
        st = errno == EACCES ? ST_DENIED : ST_CLOSED; /* EAGAIN: full */
    (void)close(folder);
    if (st == ST_OK)
        *out = fd;
    else if (fd >= 0)
        (void)close(fd);
    return st;
}

static enum status read_all(int fd, int64_t end, struct buf *b)
{
    for (;;) {
        enum status st = wire_wait(fd, POLLIN, -1, end);
        if (st != ST_OK)
            return st;
        if (!buf_reserve(b, 1))
            return ST_SYNTAX;
        ssize_t n = recv(fd, b->data + b->len, b->size - b->len, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return ST_CLOSED;
        if (n == 0)
            return ST_OK;
        b->len += (size_t)n;
    }
}

/* A line without its CRLF. */
static bool take_line(struct slice *s, struct slice *out)
{
    size_t end = slice_find(*s, '\n');

    if (end == s->len || end == 0 || s->at[end - 1] != '\r')
        return false;
    *out = slice_head(*s, end - 1);
    *s = slice_skip(*s, end + 1);
    return true;
}

static bool read_headers(struct slice *s, struct signer_reply *out,
                         unsigned long long *length)
{
    struct slice line;
    unsigned long long gap;

    while (take_line(s, &line)) {
        if (line.len == 0)
            return true;
        if (slice_starts(line, SLICE("Content-Length: "))) {
            if (!slice_to_u64(slice_skip(line, 16), length))
                return false;
        } else if (slice_eq(line, SLICE("Content-Type: text/x.tlog.size"))) {
            out->has_size = true;
        } else if (slice_starts(line, SLICE("Signer-Gap: "))) {
            if (!slice_to_u64(slice_skip(line, 12), &gap) || gap > INT32_MAX)
                gap = INT32_MAX; /* 24 days; longer is not told apart */
            out->gap_ms = (int64_t)gap;
        }
    }
    return false;
}

enum status signer_read_reply(struct slice bytes, struct signer_reply *out)
{
    unsigned long long code, length = REPLY_MAX + 1, size;
    struct slice line;

    *out = (struct signer_reply){.code = 0};
    buf_init(&out->lines, REPLY_MAX);
    if (!take_line(&bytes, &line) || !slice_starts(line, SLICE("HTTP/1.1 ")) ||
        !slice_to_u64(slice_head(slice_skip(line, 9), 3), &code) ||
        code < 200 || code > 599 || !read_headers(&bytes, out, &length) ||
        bytes.len != length)
        return ST_SYNTAX;
    out->code = (int)code;
    if (out->code != 409)
        out->has_size = false;
    if (!out->has_size) {
        buf_put(&out->lines, bytes);
        return out->lines.failed ? ST_SYNTAX : ST_OK;
    }
    if (bytes.len < 2 || bytes.at[bytes.len - 1] != '\n' ||
        !slice_to_u64(slice_head(bytes, bytes.len - 1), &size))
        return ST_SYNTAX;
    out->size = size;
    return ST_OK;
}

enum status signer_ask(const char *dir, struct slice body, int64_t timeout_ms,
                       struct signer_reply *out)
{
    int64_t end = wire_now_ms() + timeout_ms;
    struct buf b;
    int fd;

    *out = (struct signer_reply){.code = 0};
    buf_init(&out->lines, REPLY_MAX);
    enum status st = dial(dir, &fd);
    if (st != ST_OK)
        return st;
    buf_init(&b, REPLY_MAX);
    buf_printf(&b,
               "POST /add-checkpoint HTTP/1.1\r\nHost: signer\r\n"
               "Content-Length: %zu\r\nConnection: close\r\n\r\n",
               body.len);
    buf_put(&b, body);
    st = b.failed ? ST_LIMIT : wire_send(fd, -1, end, buf_slice(&b));
    buf_reset(&b);
    if (st == ST_OK)
        st = read_all(fd, end, &b);
    if (st == ST_OK)
        st = signer_read_reply(buf_slice(&b), out);
    buf_free(&b);
    (void)close(fd);
    return st;
}
