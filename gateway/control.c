/* control.c - the gateway's side of control.sock; the commands' side is in
 * control_ask.c. */
#include "lethe/gateway/control.h"
#include "lethe/gateway/control_path.h"
#include "lethe/gateway/tokens.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXIT_WRONG 1
#define EXIT_USAGE 3

struct connection {
    struct connection *next;
    struct control *control;
    struct bufferevent *events;
    size_t scanned; /* bytes without a newline */
    bool answered;
};

struct control {
    struct event_base *base;
    struct evconnlistener *listener;
    control_fn *on_call;
    void *ctx;
    struct tokens *tokens;
    char *path;
    struct connection *connections;
    unsigned count;
};

void control_answer_init(struct control_answer *a)
{
    a->exit = 0;
    a->status = 0;
    buf_init(&a->text, CONTROL_LINE_MAX);
    buf_init(&a->data, CONTROL_LINE_MAX);
}

void control_answer_free(struct control_answer *a)
{
    buf_free(&a->text);
    buf_free(&a->data);
}

void control_use_tokens(struct control *c, struct tokens *tokens)
{
    c->tokens = tokens;
}

static void drop(struct connection *n)
{
    struct connection **at = &n->control->connections;

    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    n->control->count--;
    bufferevent_free(n->events); /* closes the socket */
    free(n);
}

static void fail(struct control_answer *out, int code, struct slice text)
{
    out->exit = code;
    buf_reset(&out->text);
    buf_reset(&out->data);
    buf_put(&out->text, text);
}

/* {"exit":0,"text":"...","data":...}: data comes last, control_ask() relies
 * on that. */
static void send_answer(struct connection *n, struct control_answer *a)
{
    struct buf line;

    if (a->text.failed || a->data.failed ||
        a->text.len + a->data.len > JSON_FILE_MAX / 2)
        fail(a, EXIT_WRONG, SLICE("the answer is too long to be sent\n"));
    buf_init(&line, CONTROL_LINE_MAX);
    buf_printf(&line, "{\"exit\":%d,\"text\":", a->exit);
    buf_put_json_string(&line, buf_slice(&a->text));
    buf_put(&line, SLICE(",\"data\":"));
    buf_put(&line, a->data.len > 0 ? buf_slice(&a->data) : SLICE("null"));
    buf_put(&line, SLICE("}\n"));
    n->answered = true;
    if (line.failed || bufferevent_write(n->events, line.data, line.len) != 0)
        log_error(LOG_ADMIN, "a command's answer could not be sent");
    buf_wipe(&line);
    buf_free(&line);
    /* on_written() closes when the last byte is out. */
}

void control_progress(const struct control_call *call, struct slice text)
{
    struct connection *n = call->connection;
    struct evbuffer *out = bufferevent_get_output(n->events);
    struct buf line;

    buf_init(&line, CONTROL_LINE_MAX);
    buf_put(&line, SLICE("{\"progress\":"));
    buf_put_json_string(&line, text);
    buf_put(&line, SLICE("}\n"));
    if (!line.failed && evbuffer_add(out, line.data, line.len) == 0) {
        /* The loop does not run meanwhile: what fits the socket goes now. */
        bufferevent_disable(n->events, EV_WRITE);
        (void)evbuffer_write(out, bufferevent_getfd(n->events));
        bufferevent_enable(n->events, EV_WRITE);
    }
    buf_free(&line);
}

static int64_t now_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whose call is it: the peer's own, or narrowed by the token it names. */
static bool know_caller(const struct control *c, const struct json_value *root,
                        char who[32], struct token_facts *facts,
                        struct control_call *call)
{
    const struct json_value *token = json_get(root, "token");

    call->role = ROLE_LOCAL;
    (void)snprintf(who, 32, "adm:local");
    if (token == NULL || json_kind_of(token) == JSON_KIND_NULL)
        return true;
    if (c->tokens == NULL ||
        tokens_check(c->tokens, json_string(token), now_ms(), facts) != ST_OK)
        return false;
    call->role = facts->role & (unsigned)~ROLE_LOCAL;
    call->token = facts;
    (void)snprintf(who, 32, "adm:%s", facts->id);
    return true;
}

static void run_call(struct connection *n, const struct json_value *root,
                     struct control_answer *out)
{
    const struct json_value *args = json_get(root, "args");
    char who[32];
    struct token_facts facts;
    struct control_call call = {.who = who, .args = args, .connection = n};
    struct json_tree *empty = NULL;
    struct json_complaint complaint;

    if (json_get(root, "command") != NULL)
        call.command = json_string(json_get(root, "command"));
    if (args == NULL &&
        json_tree_read(SLICE("{}"), false, &empty, &complaint) == ST_OK)
        call.args = json_tree_root(empty);
    if (call.command.len == 0 || call.args == NULL ||
        json_kind_of(call.args) != JSON_KIND_OBJECT)
        fail(out, EXIT_USAGE, SLICE("this is no call\n"));
    else if (!know_caller(n->control, root, who, &facts, &call))
        fail(out, EXIT_WRONG, SLICE("the token is not known, or expired\n"));
    else
        n->control->on_call(n->control->ctx, &call, out);
    json_tree_free(empty);
}

static void answer_line(struct connection *n, struct slice line)
{
    struct control_answer out;
    struct json_tree *tree = NULL;
    struct json_complaint complaint;

    control_answer_init(&out);
    if (json_tree_read(line, false, &tree, &complaint) != ST_OK ||
        json_kind_of(json_tree_root(tree)) != JSON_KIND_OBJECT)
        fail(&out, EXIT_USAGE, SLICE("this is no call\n"));
    else
        run_call(n, json_tree_root(tree), &out);
    json_tree_free(tree);
    send_answer(n, &out);
    buf_wipe(&out.text);
    buf_wipe(&out.data);
    control_answer_free(&out);
}

static void on_read(struct bufferevent *events, void *ctx)
{
    struct connection *n = ctx;
    struct evbuffer *in = bufferevent_get_input(events);
    size_t len = evbuffer_get_length(in);
    struct evbuffer_ptr from, end;

    assert(!n->answered);
    if (evbuffer_ptr_set(in, &from, n->scanned, EVBUFFER_PTR_SET) != 0)
        from.pos = -1;
    end = from.pos < 0 ? from : evbuffer_search(in, "\n", 1, &from);
    if (end.pos < 0) {
        n->scanned = len;
        if (len >= CONTROL_LINE_MAX)
            drop(n);
        return;
    }
    /* One call a connection: what follows is not read. */
    (void)bufferevent_disable(events, EV_READ);
    unsigned char *line = evbuffer_pullup(in, end.pos);
    if (end.pos > 0 && line == NULL) {
        drop(n);
        return;
    }
    answer_line(n, (struct slice){(const char *)line, (size_t)end.pos});
}

static void on_written(struct bufferevent *events, void *ctx)
{
    struct connection *n = ctx;

    (void)events;
    if (n->answered)
        drop(n);
}

static void on_event(struct bufferevent *events, short what, void *ctx)
{
    (void)events;
    (void)what; /* end, error or timeout: all end the connection */
    drop(ctx);
}

/* Only the user that runs the gateway, and root. */
static bool peer_is_allowed(evutil_socket_t fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           len == sizeof(peer) && (peer.uid == 0 || peer.uid == geteuid());
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
                      struct sockaddr *address, int len, void *ctx)
{
    struct control *c = ctx;
    static const struct timeval wait = {CONTROL_TIMEOUT_S, 0};
    struct connection *n = NULL;

    (void)listener;
    (void)address;
    (void)len;
    if (peer_is_allowed(fd) && c->count < CONTROL_CONNECTIONS_MAX)
        n = calloc(1, sizeof(*n));
    if (n != NULL)
        n->events = bufferevent_socket_new(c->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (n == NULL || n->events == NULL) {
        free(n);
        (void)close(fd);
        return;
    }
    n->control = c;
    n->next = c->connections;
    c->connections = n;
    c->count++;
    bufferevent_setcb(n->events, on_read, on_written, on_event, n);
    (void)bufferevent_set_timeouts(n->events, &wait, &wait);
    (void)bufferevent_enable(n->events, EV_READ | EV_WRITE);
}

/* A socket in `path` from a gateway that died is in the way; the state's lock
 * has shown that none runs. Anything else is left alone. */
static enum status listen_at(const char *path, int *out_fd)
{
    struct sockaddr_un address;
    struct stat old;
    int dir = -1;
    enum status st = control_address(path, &address, &dir);

    if (st != ST_OK)
        return st;
    if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode))
        (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode before bind(): there is no moment in which others get in. */
    bool good =
        fd >= 0 && fchmod(fd, 0600) == 0 &&
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
        chmod(path, 0600) == 0 && listen(fd, 16) == 0;
    (void)close(dir);
    if (!good) {
        if (fd >= 0)
            (void)close(fd);
        return ST_IO;
    }
    *out_fd = fd;
    return ST_OK;
}

enum status control_open(struct event_base *base, const char *path,
                         control_fn *on_call, void *ctx, struct control **out)
{
    int fd = -1;
    struct control *c = calloc(1, sizeof(*c));
    enum status st = c == NULL ? ST_NOMEM : listen_at(path, &fd);

    if (st == ST_OK) {
        c->base = base;
        c->on_call = on_call;
        c->ctx = ctx;
        c->path = strdup(path);
        c->listener = evconnlistener_new(base, on_accept, c,
                                         LEV_OPT_CLOSE_ON_FREE, 0, fd);
        if (c->path != NULL && c->listener != NULL) {
            *out = c;
            return ST_OK;
        }
        if (c->listener == NULL)
            (void)close(fd);
        else
            evconnlistener_free(c->listener);
        free(c->path);
        st = ST_NOMEM;
    }
    free(c);
    return st;
}

void control_close(struct control *c)
{
    if (c == NULL)
        return;
    for (struct connection *n = c->connections, *next; n != NULL; n = next) {
        next = n->next;
        drop(n);
    }
    evconnlistener_free(c->listener);
    (void)unlink(c->path);
    free(c->path);
    free(c);
}
