/* signer_serve.c - the signer's socket: HTTP/1.1, one connection at a time,
 * one request each, all within SIGNER_TIMEOUT_S. */
#include "signer_internal.h"

#include "lethe/gateway/control_path.h"
#include "lethe/gateway/http/parser.h"
#include "lethe/policy/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_MODE 0660 /* the folder's group may ask */
#define BACKLOG     8
#define ANSWER_MAX  (SIGNER_BODY_MAX + 512u)

enum status signer_lock(const char *dir, int *out_fd)
{
    char path[PATH_MAX];

    if (!signer_path(dir, "lock", path))
        return ST_LIMIT;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ST_IO;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status st = errno == EWOULDBLOCK ? ST_EXISTS : ST_IO;
        (void)close(fd);
        return st;
    }
    *out_fd = fd;
    return ST_OK;
}

enum status signer_listen(const char *dir, int *out_fd, int *out_lock)
{
    struct sockaddr_un address;
    char path[PATH_MAX];
    int folder = -1, fd = -1, lock;
    enum status st = signer_lock(dir, &lock);

    if (st != ST_OK)
        return st;
    if (!signer_path(dir, SIGNER_SOCKET, path)) {
        st = ST_LIMIT;
        goto fail;
    }
    st = control_address(path, &address, &folder);
    if (st != ST_OK)
        goto fail;
    st = ST_IO;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* We hold the lock: a socket that is there is nobody's. */
    if (fd < 0 || (unlink(path) != 0 && errno != ENOENT) ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, SOCKET_MODE) != 0 || listen(fd, BACKLOG) != 0)
        goto fail;
    (void)close(folder);
    *out_fd = fd;
    *out_lock = lock;
    return ST_OK;

fail:
    if (fd >= 0)
        (void)close(fd);
    if (folder >= 0)
        (void)close(folder);
    (void)close(lock);
    return st;
}

/* Bytes of one request, whole or refused; else it gets no answer. */
static enum status read_request(int fd, int until_fd, int64_t end,
                                struct http_parser *p, struct buf *b)
{
    enum http_progress progress = HTTP_MORE;

    while (progress == HTTP_MORE) {
        enum status st = wire_wait(fd, POLLIN, until_fd, end);
        if (st != ST_OK)
            return st;
        if (!buf_reserve(b, 1))
            return ST_LIMIT;
        ssize_t n = recv(fd, b->data + b->len, b->size - b->len, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return ST_CLOSED;
        b->len += (size_t)n;
        progress = http_parser_feed(p, b->data, b->len);
    }
    return ST_OK;
}

static const char *reason_of(int code)
{
    switch (code) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 422:
        return "Unprocessable Content";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Bad Request";
    }
}

static void put_answer(const struct signer_reply *r, struct buf *out)
{
    char size[24] = "";
    struct slice body = buf_slice(&r->lines);

    if (r->has_size) {
        int n = snprintf(size, sizeof(size), "%" PRIu64 "\n", r->size);
        body = (struct slice){size, (size_t)n};
    }
    buf_printf(out, "HTTP/1.1 %d %s\r\nConnection: close\r\n", r->code,
               reason_of(r->code));
    buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
               r->has_size ? "text/x.tlog.size" : "text/plain", body.len);
    if (r->gap_ms > 0)
        buf_printf(out, "Signer-Gap: %" PRId64 "\r\n", r->gap_ms);
    buf_put(out, SLICE("\r\n"));
    buf_put(out, body);
}

static void answer_request(struct signer *s, const struct http_parser *p,
                           const struct buf *b, struct signer_reply *out)
{
    struct slice path = http_span_of(b->data, p->path);
    struct slice method = http_span_of(b->data, p->method);

    *out = (struct signer_reply){.code = 404};
    buf_init(&out->lines, SIGNER_BODY_MAX);
    if (p->refused != 0)
        out->code = 400;
    else if (!slice_eq(path, SLICE("/add-checkpoint")) || p->has_query)
        out->code = 404;
    else if (!slice_eq(method, SLICE("POST")))
        out->code = 405;
    else
        signer_answer(s, (struct slice){b->data + p->body_at, p->body_len},
                      out);
}

/* One connection. ST_CORRUPT: the state on disk is not known. */
static enum status serve_one(struct signer *s, int fd, int until_fd)
{
    int64_t end = wire_now_ms() + SIGNER_TIMEOUT_S * MS_PER_S;
    struct http_parser parser;
    struct signer_reply reply;
    struct buf in, out;

    http_parser_init(&parser, SIGNER_BODY_MAX);
    buf_init(&in, http_parser_buffer_max(SIGNER_BODY_MAX));
    buf_init(&out, ANSWER_MAX);
    enum status st = read_request(fd, until_fd, end, &parser, &in);
    if (st == ST_OK) {
        answer_request(s, &parser, &in, &reply);
        put_answer(&reply, &out);
        if (!out.failed)
            st = wire_send(fd, until_fd, end, buf_slice(&out));
        if (reply.code != 200 && reply.code != 409)
            log_warn(LOG_AUDIT, "a request to sign was refused",
                     LOG_NUM("status", reply.code));
        if (reply.code == 500)
            st = ST_CORRUPT;
        buf_free(&reply.lines);
    }
    buf_free(&in);
    buf_free(&out);
    return st;
}

enum status signer_serve(struct signer *s, const char *dir, int until_fd)
{
    int listener, lock;
    enum status st = signer_listen(dir, &listener, &lock);

    if (st != ST_OK)
        return st;
    if (until_fd >= 0 && write(until_fd, "1", 1) != 1)
        st = ST_END;
    log_info(LOG_AUDIT, "signer ready");
    while (st != ST_END && st != ST_CORRUPT) {
        st = wire_wait(listener, POLLIN, until_fd, 0);
        if (st != ST_OK)
            continue;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            continue;
        st = serve_one(s, fd, until_fd);
        (void)close(fd);
    }
    (void)close(listener);
    (void)close(lock);
    return st == ST_END ? ST_OK : st;
}
