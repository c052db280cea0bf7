/* control.sock: the gateway's side in a thread of its own, commands here. */
#include "lethe/gateway/control.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/tokens.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/lethe-control-XXXXXX";
static char path[96], tokens_path[96];
static struct event_base *base;
static struct control *control;
static struct tokens *tokens;
static pthread_t thread;
static _Atomic uid_t pretend_uid;
static atomic_bool pretend;

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int rc = __real_getsockopt(fd, level, name, value, len);

    if (rc == 0 && name == SO_PEERCRED && pretend)
        ((struct ucred *)value)->uid = pretend_uid;
    return rc;
}

/* Says what it was asked. */
static void on_call(void *ctx, const struct control_call *call,
                    struct control_answer *out)
{
    const struct json_value *n = json_get(call->args, "bytes");

    (void)ctx;
    out->exit = 2;
    buf_printf(&out->text, "%s %u ", call->who, call->role);
    buf_put(&out->text, call->command);
    buf_put(&out->text, SLICE(",\"data\":\"no\"}\n"));
    if (json_get(call->args, "progress") != NULL) {
        control_progress(call, SLICE("one"));
        control_progress(call, SLICE("two"));
    }
    buf_put(&out->data, SLICE("{\"big\": 12345678901234567890, \"a\":\""));
    for (double i = 0; n != NULL && i < json_number(n); i++)
        buf_put_char(&out->data, 'x');
    buf_put(&out->data, SLICE("\"}"));
}

static void *loop(void *arg)
{
    (void)arg;
    (void)event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static enum status ask(const char *args, const char *token,
                       struct control_answer *out)
{
    control_answer_init(out);
    return control_ask_as(path, "a b", slice_of(args), token, out);
}

static bool says(const struct control_answer *a, const char *text)
{
    return memmem(a->text.data, a->text.len, text, strlen(text)) != NULL;
}

static void one_call_one_answer(void **state)
{
    struct control_answer a;

    (void)state;
    assert_int_equal(ask("{\n \"x\": [1,\n2]}", NULL, &a), ST_OK);
    assert_int_equal(a.exit, 2);
    assert_true(says(&a, "adm:local 64 a b,\"data\":\"no\"}\n"));
    assert_true(
        slice_eq(buf_slice(&a.data), SLICE("{\"big\": 12345678901234567890, "
                                           "\"a\":\"\"}"))); /* byte for byte */
    control_answer_free(&a);
    assert_int_equal(ask("", NULL, &a), ST_OK);
    control_answer_free(&a);
    assert_int_equal(ask("{\"progress\":1}", NULL, &a), ST_OK);
    assert_int_equal(a.exit, 2);
    control_answer_free(&a);
}

static void long_answers_pass_and_too_long_ones_are_told(void **state)
{
    struct control_answer a;

    (void)state;
    assert_int_equal(ask("{\"bytes\":2000000}", NULL, &a), ST_OK);
    assert_true(a.data.len > 2000000);
    control_answer_free(&a);
    assert_int_equal(ask("{\"bytes\":2100000}", NULL, &a), ST_OK);
    assert_int_equal(a.exit, 1);
    assert_true(says(&a, "too long"));
    control_answer_free(&a);
}

static void a_token_narrows_the_call(void **state)
{
    char text[TOKEN_TEXT_MAX], id[13], who[48];
    struct control_answer a;

    (void)state;
    assert_int_equal(
        tokens_add(tokens, ROLE_AUDITOR, NULL, 0, "", 0, 1, text, id), ST_OK);
    assert_int_equal(ask("{}", text, &a), ST_OK);
    (void)snprintf(who, sizeof(who), "adm:%s 1 ", id);
    assert_true(says(&a, who));
    control_answer_free(&a);
    text[9] = text[9] == 'a' ? 'b' : 'a';
    assert_int_equal(ask("{}", text, &a), ST_OK);
    assert_int_equal(a.exit, 1);
    assert_true(says(&a, "token"));
    control_answer_free(&a);
}

static int raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void raw(const char *bytes, size_t len, const char *want)
{
    char answer[512] = {0};
    int fd = raw_connect();
    size_t have = 0;
    ssize_t n;

    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    while (have < sizeof(answer) - 1 &&
           (n = recv(fd, answer + have, sizeof(answer) - 1 - have, 0)) > 0)
        have += (size_t)n;
    (void)close(fd);
    assert_non_null(strstr(answer, want));
}

static void what_is_no_call_is_answered_so(void **state)
{
    static const char *const bad[] = {
        "\n",
        "x\n",
        "[]\n",
        "{}\n",
        "{\"command\":1}\n",
        "{\"command\":\"a\",\"args\":[]}\n",
        "{\"command\":\"a\",\"args\":{}} x\n",
        "{\"command\":\"a\",\"command\":\"b\"}\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        raw(bad[i], strlen(bad[i]), "{\"exit\":3,");
    /* The second line of a connection is not read. */
    const char two[] = "{\"command\":\"a\"}\n{\"command\":\"b\"}\n";
    raw(two, sizeof(two) - 1, "local 64 a,");
}

static void a_line_without_an_end_is_cut_off(void **state)
{
    static char bytes[65536];
    int fd = raw_connect();
    size_t sent = 0;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    for (;;) {
        ssize_t n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
        assert_true(sent < 4 * (size_t)CONTROL_LINE_MAX);
    }
    assert_true(sent >= (size_t)CONTROL_LINE_MAX);
    (void)close(fd);
}

static void only_its_own_user_and_root_get_in(void **state)
{
    struct control_answer a;
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    pretend = true;
    pretend_uid = 12345;
    assert_int_equal(ask("{}", NULL, &a), ST_DENIED);
    control_answer_free(&a);
    pretend_uid = 0;
    assert_int_equal(ask("{}", NULL, &a), ST_OK);
    control_answer_free(&a);
    pretend = false;
}

static void nobody_there_is_unknown(void **state)
{
    struct control_answer a;
    char other[300];

    (void)state;
    control_answer_init(&a);
    (void)snprintf(other, sizeof(other), "%s.no", path);
    assert_int_equal(control_ask(other, "a", SLICE("{}"), &a), ST_UNKNOWN);
    assert_int_equal(control_ask("/no/such/folder", "a", SLICE("{}"), &a),
                     ST_UNKNOWN);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0); /* a dead gateway's socket */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/dead",
                   folder);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
    assert_int_equal(control_ask(address.sun_path, "a", SLICE("{}"), &a),
                     ST_UNKNOWN);
    struct event_base *b = event_base_new();
    struct control *c = NULL;
    assert_int_equal(control_open(b, address.sun_path, on_call, NULL, &c),
                     ST_OK); /* and the next one takes its place */
    control_close(c);
    event_base_free(b);
    assert_int_equal(access(address.sun_path, F_OK), -1);
    control_answer_free(&a);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || secrets_init() != ST_OK ||
        evthread_use_pthreads() != 0)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/control.sock", folder);
    (void)snprintf(tokens_path, sizeof(tokens_path), "%s/tokens", folder);
    base = event_base_new();
    if (tokens_open(tokens_path, &tokens) != ST_OK ||
        control_open(base, path, on_call, NULL, &control) != ST_OK)
        return 1;
    control_use_tokens(control, tokens);
    return pthread_create(&thread, NULL, loop, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    event_base_loopbreak(base);
    pthread_join(thread, NULL);
    control_close(control);
    tokens_close(tokens);
    event_base_free(base);
    (void)unlink(tokens_path);
    libevent_global_shutdown();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_one_answer),
        cmocka_unit_test(long_answers_pass_and_too_long_ones_are_told),
        cmocka_unit_test(a_token_narrows_the_call),
        cmocka_unit_test(what_is_no_call_is_answered_so),
        cmocka_unit_test(a_line_without_an_end_is_cut_off),
        cmocka_unit_test(only_its_own_user_and_root_get_in),
        cmocka_unit_test(nobody_there_is_unknown),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
