/* control_ask.c - the commands' side of control.sock: one call, one answer. */
#include "lethe/gateway/control.h"
#include "lethe/gateway/control_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum status connect_to(const char *path, int *out_fd)
{
    struct sockaddr_un address;
    int dir = -1;

    if (control_address(path, &address, &dir) != ST_OK)
        return errno == EACCES ? ST_DENIED : ST_UNKNOWN;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = fd < 0 || connect(fd, (const struct sockaddr *)&address,
                                   sizeof(address)) != 0;
    int error = errno;
    (void)close(dir);
    if (!failed) {
        *out_fd = fd;
        return ST_OK;
    }
    if (fd >= 0)
        (void)close(fd);
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        return ST_UNKNOWN;
    return error == EACCES || error == EPERM ? ST_DENIED : ST_IO;
}

static enum status send_all(int fd, struct slice s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.at, s.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return errno == EPIPE || errno == ECONNRESET ? ST_DENIED : ST_IO;
        s = slice_skip(s, (size_t)n);
    }
    return ST_OK;
}

/* Up to the next newline into `line`, without it; what came behind it stays
 * in `rest`. ST_END: closed before. */
static enum status next_line(int fd, struct buf *rest, struct buf *line)
{
    char bytes[16384];
    size_t looked = 0;

    for (;;) {
        struct slice held = buf_slice(rest);
        size_t end = looked + slice_find(slice_skip(held, looked), '\n');
        if (end < held.len) {
            buf_reset(line);
            buf_put(line, slice_head(held, end));
            memmove(rest->data, rest->data + end + 1, held.len - end - 1);
            rest->len = held.len - end - 1;
            return line->failed ? ST_LIMIT : ST_OK;
        }
        looked = held.len;
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ECONNRESET ? ST_END : ST_IO;
        if (n == 0)
            return ST_END;
        buf_put_bytes(rest, bytes, (size_t)n);
        if (rest->failed)
            return ST_LIMIT;
    }
}

/* The bytes of "data", the last member, exactly as they were sent. In a JSON
 * string a quote is escaped, so the first match is the member itself. */
static struct slice raw_data(struct slice line)
{
    static const char mark[] = ",\"data\":";
    const char *at = memmem(line.at, line.len, mark, sizeof(mark) - 1);

    if (at == NULL || line.at[line.len - 1] != '}')
        return SLICE_NONE;
    size_t skip = (size_t)(at - line.at) + sizeof(mark) - 1;
    return slice_head(slice_skip(line, skip), line.len - skip - 1);
}

/* One line of the gateway's: ST_END when it was the answer. */
static enum status take_line(struct slice line, struct control_answer *out)
{
    struct json_tree *tree = NULL;
    struct json_complaint complaint;
    enum status st = ST_END;

    if (json_tree_read(line, false, &tree, &complaint) != ST_OK)
        return ST_IO;
    const struct json_value *root = json_tree_root(tree);
    const struct json_value *progress = json_get(root, "progress");
    const struct json_value *code = json_get(root, "exit");
    const struct json_value *text = json_get(root, "text");
    if (progress != NULL) {
        struct slice words = json_string(progress);
        (void)fprintf(stderr, "%.*s\n", SLICE_ARG(words));
        st = ST_OK;
    } else if (code == NULL || text == NULL ||
               !(json_number(code) >= 0 && json_number(code) < 256)) {
        st = ST_IO;
    } else {
        out->exit = (int)json_number(code);
        buf_put(&out->text, json_string(text));
        buf_put(&out->data, raw_data(line));
    }
    json_tree_free(tree);
    return st;
}

static enum status read_answer(int fd, struct control_answer *out)
{
    struct buf rest, line;
    enum status st;

    buf_init(&rest, CONTROL_LINE_MAX);
    buf_init(&line, CONTROL_LINE_MAX);
    do {
        st = next_line(fd, &rest, &line);
        if (st == ST_END) /* closed without a word: not our user */
            st = ST_DENIED;
        if (st == ST_OK)
            st = take_line(buf_slice(&line), out);
    } while (st == ST_OK);
    buf_wipe(&rest);
    buf_wipe(&line);
    buf_free(&rest);
    buf_free(&line);
    return st == ST_END ? ST_OK : st;
}

enum status control_ask_as(const char *path, const char *command,
                           struct slice args_json, const char *token,
                           struct control_answer *out)
{
    struct buf line;
    int fd = -1;
    enum status st = connect_to(path, &fd);

    if (st != ST_OK)
        return st;
    buf_init(&line, CONTROL_LINE_MAX);
    buf_put(&line, SLICE("{\"command\":"));
    buf_put_json_string(&line, slice_of(command));
    buf_put(&line, SLICE(",\"args\":"));
    buf_put(&line, args_json.len > 0 ? args_json : SLICE("{}"));
    if (token != NULL) {
        buf_put(&line, SLICE(",\"token\":"));
        buf_put_json_string(&line, slice_of(token));
    }
    buf_put_char(&line, '}');
    /* Within JSON a newline is white space only; here it ends the call. */
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] == '\n')
            line.data[i] = ' ';
    buf_put_char(&line, '\n');
    st = line.failed ? ST_LIMIT : send_all(fd, buf_slice(&line));
    if (st == ST_OK)
        st = read_answer(fd, out);
    buf_wipe(&line);
    buf_free(&line);
    (void)close(fd);
    return st;
}

enum status control_ask(const char *path, const char *command,
                        struct slice args_json, struct control_answer *out)
{
    return control_ask_as(path, command, args_json, NULL, out);
}
