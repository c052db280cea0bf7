/* The signer: what it signs, what it never signs, and what it remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer_fixture.h"

#include "lethe/gateway/file.h"
#include "lethe/gateway/system_clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEAVES 40u

static uint8_t nodes[7][LEAVES][HASH_BYTES];

static enum status node_hash(void *ctx, unsigned level, uint64_t number,
                             uint8_t out[HASH_BYTES])
{
    (void)ctx;
    memcpy(out, nodes[level][number], HASH_BYTES);
    return ST_OK;
}

static const struct tree_source tree = {node_hash, NULL};

static void make_tree(void)
{
    for (uint64_t i = 0; i < LEAVES; i++)
        merkle_leaf(&i, sizeof(i), nodes[0][i]);
    for (unsigned level = 1; level < 7; level++)
        for (unsigned i = 0; i < LEAVES >> level; i++)
            merkle_node(nodes[level - 1][2 * i], nodes[level - 1][2 * i + 1],
                        nodes[level][i]);
}

static int setup(void **state)
{
    static struct signer_world w;

    make_tree();
    if (!signer_world_make(&w))
        return -1;
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    signer_world_drop(*state);
    return 0;
}

/* A right question, then its answer's code; `change` may spoil it. */
static int ask_changed(struct signer_world *w, uint64_t old, uint64_t size,
                       void (*change)(struct tree_proof *, struct checkpoint *),
                       struct signer_reply *r)
{
    struct checkpoint c = {SLICE_INIT(SIGNER_ORIGIN), size, {0}};
    struct tree_proof proof = {.count = 0};
    struct buf body;

    assert_int_equal(tree_root(&tree, size, c.root), ST_OK);
    if (old <= size)
        assert_int_equal(tree_consistency(&tree, old, size, &proof), ST_OK);
    if (change != NULL)
        change(&proof, &c);
    buf_init(&body, SIGNER_BODY_MAX);
    signer_put(old, &proof, &c, &body);
    assert_false(body.failed);
    signer_answer(w->signer, buf_slice(&body), r);
    buf_free(&body);
    return r->code;
}

static int ask(struct signer_world *w, uint64_t old, uint64_t size)
{
    struct signer_reply r;
    int code = ask_changed(w, old, size, NULL, &r);

    buf_free(&r.lines);
    return code;
}

static int ask_spoilt(struct signer_world *w, uint64_t old, uint64_t size,
                      void (*change)(struct tree_proof *, struct checkpoint *))
{
    struct signer_reply r;
    int code = ask_changed(w, old, size, change, &r);

    assert_int_equal(r.lines.len, 0);
    buf_free(&r.lines);
    return code;
}

static void other_root(struct tree_proof *p, struct checkpoint *c)
{
    (void)p;
    c->root[31] ^= 1;
}

static void other_proof(struct tree_proof *p, struct checkpoint *c)
{
    (void)c;
    p->hashes[p->count - 1][0] ^= 1;
}

static void no_proof(struct tree_proof *p, struct checkpoint *c)
{
    (void)c;
    p->count = 0;
}

static void more_proof(struct tree_proof *p, struct checkpoint *c)
{
    (void)c;
    memset(p->hashes[p->count++], 7, HASH_BYTES);
}

static void other_origin(struct tree_proof *p, struct checkpoint *c)
{
    (void)p;
    c->origin = SLICE(SIGNER_ORIGIN "/2");
}

static void it_signs_what_continues(void **state)
{
    struct signer_world *w = *state;
    struct signer_reply r;
    struct note note;
    struct buf text;

    assert_int_equal(ask(w, 0, 0), 200);
    assert_int_equal(ask_changed(w, 0, 7, NULL, &r), 200);
    assert_false(r.has_size);
    assert_int_equal(r.gap_ms, 0);
    /* The lines are the log's own signature under the three lines. */
    struct checkpoint c = {SLICE_INIT(SIGNER_ORIGIN), 7, {0}};
    assert_int_equal(tree_root(&tree, 7, c.root), ST_OK);
    buf_init(&text, 4096);
    checkpoint_put(&c, &text);
    buf_put_char(&text, '\n');
    buf_put(&text, buf_slice(&r.lines));
    assert_int_equal(note_read(buf_slice(&text), &note), ST_OK);
    assert_int_equal(note.count, 1);
    struct note_key key;
    assert_int_equal(signer_vkey(w->dir, &key), ST_OK);
    assert_int_equal(note_check(&note, &key, NULL), ST_OK);
    buf_free(&text);
    buf_free(&r.lines);
    assert_int_equal(ask(w, 7, 7), 200);
    assert_int_equal(ask(w, 7, 8), 200);
    assert_int_equal(ask(w, 8, 40), 200);
}

static void it_never_signs_two_histories(void **state)
{
    struct signer_world *w = *state;
    struct signer_reply r;

    assert_int_equal(ask(w, 0, 7), 200);
    assert_int_equal(ask_spoilt(w, 7, 7, other_root), 409);
    assert_int_equal(ask_spoilt(w, 7, 12, other_root), 422);
    assert_int_equal(ask_spoilt(w, 7, 12, other_proof), 422);
    assert_int_equal(ask_spoilt(w, 7, 12, no_proof), 422);
    assert_int_equal(ask_spoilt(w, 7, 12, more_proof), 422);
    assert_int_equal(ask_spoilt(w, 7, 7, more_proof), 422);
    assert_int_equal(ask_spoilt(w, 7, 12, other_origin), 404);
    assert_int_equal(ask(w, 9, 7), 400);
    /* A smaller one, a bigger one: it tells what it has. */
    for (uint64_t old = 0; old < 20; old++) {
        if (old == 7)
            continue;
        assert_int_equal(ask_changed(w, old, 20, NULL, &r), 409);
        assert_true(r.has_size);
        assert_int_equal(r.size, 7);
        buf_free(&r.lines);
    }
    /* None of this has moved it. */
    assert_int_equal(ask(w, 7, 20), 200);
}

static void the_first_one_needs_no_proof_and_may_have_none(void **state)
{
    struct signer_world *w = *state;

    assert_int_equal(ask_spoilt(w, 0, 7, more_proof), 422);
    assert_int_equal(ask_spoilt(w, 0, 0, other_root), 409);
    assert_int_equal(ask(w, 0, 7), 200);
}

static void it_remembers_over_a_restart(void **state)
{
    struct signer_world *w = *state;

    assert_int_equal(ask(w, 0, 7), 200);
    assert_int_equal(signer_world_open(w, SLICE(SIGNER_ORIGIN)), ST_OK);
    assert_int_equal(ask_spoilt(w, 0, 12, NULL), 409);
    assert_int_equal(ask(w, 7, 12), 200);
}

static void path_of(const struct signer_world *w, const char *name,
                    char out[128])
{
    (void)snprintf(out, 128, "%s/%s", w->dir, name);
}

static void what_cannot_be_kept_is_not_signed(void **state)
{
    struct signer_world *w = *state;
    char path[128];

    assert_int_equal(ask(w, 0, 7), 200);
    path_of(w, "state.new", path); /* where the next state would be written */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ask_spoilt(w, 7, 8, NULL), 500);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(ask(w, 7, 9), 200);
}

static void a_state_that_is_gone_or_another_s(void **state)
{
    struct signer_world *w = *state;
    char path[128], away[128];
    struct buf text;

    assert_int_equal(ask(w, 0, 7), 200);
    path_of(w, "state", path);
    path_of(w, "away", away);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(signer_world_open(w, SLICE_NONE), ST_UNKNOWN);
    assert_non_null(strstr(w->why, "state is gone"));
    assert_int_equal(rename(away, path), 0);
    assert_int_equal(file_read(path, 4096, &text), ST_OK);
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] ^= 1;
        assert_int_equal(file_replace(path, buf_slice(&text)), ST_OK);
        assert_int_equal(signer_world_open(w, SLICE_NONE), ST_CORRUPT);
        text.data[i] ^= 1;
    }
    assert_int_equal(file_replace(path, buf_slice(&text)), ST_OK);
    buf_free(&text);
    assert_int_equal(signer_world_open(w, SLICE_NONE), ST_OK);
    assert_int_equal(signer_make(w->dir, SLICE(SIGNER_ORIGIN)), ST_EXISTS);
}

static void a_key_that_is_not_kept_close(void **state)
{
    struct signer_world *w = *state;
    char path[128];

    path_of(w, "key", path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(signer_world_open(w, SLICE_NONE), ST_DENIED);
    assert_non_null(strstr(w->why, "mode"));
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(signer_world_open(w, SLICE_NONE), ST_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(signer_world_open(w, SLICE_NONE), ST_DENIED);
}

static void the_config_names_it_until_something_is_signed(void **state)
{
    struct signer_world *w = *state;
    struct note_key before, after;
    char path[128];

    assert_int_equal(signer_vkey(w->dir, &before), ST_OK);
    assert_int_equal(signer_world_open(w, SLICE("other/audit")), ST_OK);
    assert_string_equal(signer_key(w->signer)->name, "other/audit");
    assert_int_equal(signer_vkey(w->dir, &after), ST_OK);
    assert_string_equal(after.name, "other/audit");
    assert_memory_equal(before.public_key, after.public_key, 32);
    assert_int_equal(signer_world_open(w, SLICE(SIGNER_ORIGIN)), ST_OK);
    assert_int_equal(ask(w, 0, 7), 200);
    assert_int_equal(signer_world_open(w, SLICE("other/audit")), ST_MISMATCH);
    /* log.vkey is made again from key and state. */
    path_of(w, "log.vkey", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(signer_vkey(w->dir, &after), ST_UNKNOWN);
    assert_int_equal(signer_world_open(w, SLICE_NONE), ST_OK);
    assert_int_equal(signer_vkey(w->dir, &after), ST_OK);
    assert_string_equal(after.name, SIGNER_ORIGIN);
}

static void names_of_forks(void **state)
{
    (void)state;
    assert_true(signer_is_of(SLICE("a/b"), SLICE("a/b")));
    assert_true(signer_is_of(SLICE("a/b/2"), SLICE("a/b")));
    assert_true(signer_is_of(SLICE("a/b/10"), SLICE("a/b")));
    assert_false(signer_is_of(SLICE("a/b/1"), SLICE("a/b")));
    assert_false(signer_is_of(SLICE("a/b/02"), SLICE("a/b")));
    assert_false(signer_is_of(SLICE("a/b/"), SLICE("a/b")));
    assert_false(signer_is_of(SLICE("a/b/x"), SLICE("a/b")));
    assert_false(signer_is_of(SLICE("a/bc"), SLICE("a/b")));
    assert_false(signer_is_of(SLICE("a"), SLICE("a/b")));
}

static int64_t gap_after(struct signer_world *w, int64_t ms)
{
    struct signer_reply r;

    w->now += ms;
    assert_int_equal(ask_changed(w, 7, 7, NULL, &r), 200);
    buf_free(&r.lines);
    return r.gap_ms;
}

static void silence_is_told(void **state)
{
    struct signer_world *w = *state;

    assert_int_equal(ask(w, 0, 7), 200);
    assert_int_equal(gap_after(w, SIGNER_GAP_MS), 0);
    assert_int_equal(gap_after(w, SIGNER_GAP_MS + 1), SIGNER_GAP_MS + 1);
    assert_int_equal(gap_after(w, 1000), 0);
    assert_int_equal(gap_after(w, -5000), 0);
    /* Over a restart, too: the state's own time tells. */
    w->now = system_clock()->wall_ms(NULL) + 3 * SIGNER_GAP_MS;
    assert_int_equal(signer_world_open(w, SLICE_NONE), ST_OK);
    int64_t gap = gap_after(w, 0);
    assert_true(gap > 2 * SIGNER_GAP_MS && gap < 4 * SIGNER_GAP_MS);
}

static int ask_text(struct signer_world *w, const char *text)
{
    struct signer_reply r;

    signer_answer(w->signer, slice_of(text), &r);
    buf_free(&r.lines);
    return r.code;
}

#define ROOT7 "vSEJfn/U4WgOplQLGYLR4rlo6ihKeR56+i8LbEFNZfo="

static void questions_have_one_spelling(void **state)
{
    static const char end[] = SIGNER_ORIGIN "\n7\n" ROOT7 "\n";
    static const char *const bad[] = {"",
                                      "old",
                                      "old 0",
                                      "old \n\n%s",
                                      "old 00\n\n%s",
                                      "old 0\n%s",
                                      "old 0 \n\n%s",
                                      "Old 0\n\n%s",
                                      " old 0\n\n%s",
                                      "old 0\nx\n\n%s",
                                      "old -1\n\n%s",
                                      "old 0\n\n\n%s",
                                      "old 0\n\n%sx",
                                      "old 0\n\n%s\n",
                                      "old 18446744073709551616\n\n%s",
                                      "old 0\r\n\r\n%s"};
    struct signer_world *w = *state;
    char text[8192];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *at = strstr(bad[i], "%s");
        size_t n = at == NULL ? strlen(bad[i]) : (size_t)(at - bad[i]);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)n, bad[i],
                       at == NULL ? "" : end, at == NULL ? "" : at + 2);
        assert_int_equal(ask_text(w, text), 400);
    }
    for (unsigned lines = 62; lines <= 64; lines++) {
        size_t n = (size_t)snprintf(text, sizeof(text), "old 0\n");
        for (unsigned i = 0; i < lines; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, ROOT7 "\n");
        (void)snprintf(text + n, sizeof(text) - n, "\n%s", end);
        assert_int_equal(ask_text(w, text), lines <= 63 ? 422 : 400);
    }
    (void)snprintf(text, sizeof(text), "old 0\n\n%s", end);
    assert_int_equal(ask_text(w, text), 200);
}

static void answers_are_read_strictly(void **state)
{
#define HEAD(code, len) "HTTP/1.1 " code " X\r\nContent-Length: " len "\r\n"
    static const struct {
        const char *text;
        enum status st;
        int code;
        uint64_t size;
    } rows[] = {
        {HEAD("200", "2") "\r\nab", ST_OK, 200, 0},
        {HEAD("200", "3") "\r\nab", ST_SYNTAX, 0, 0},
        {HEAD("200", "1") "\r\nab", ST_SYNTAX, 0, 0},
        {HEAD("200", "0") "", ST_SYNTAX, 0, 0},
        {"HTTP/1.1 200 X\r\n\r\nab", ST_SYNTAX, 0, 0},
        {"HTTP/1.0 200 X\r\nContent-Length: 0\r\n\r\n", ST_SYNTAX, 0, 0},
        {"HTTP/1.1 2x0 X\r\nContent-Length: 0\r\n\r\n", ST_SYNTAX, 0, 0},
        {HEAD("409", "2") "Content-Type: text/x.tlog.size\r\n\r\n7\n", ST_OK,
         409, 7},
        {HEAD("409", "1") "Content-Type: text/x.tlog.size\r\n\r\n7", ST_SYNTAX,
         0, 0},
        {HEAD("409", "0") "Content-Type: text/x.tlog.size\r\n\r\n", ST_SYNTAX,
         0, 0},
        {HEAD("409", "2") "\r\nno", ST_OK, 409, 0},
        {HEAD("422", "0") "\r\n", ST_OK, 422, 0},
    };
    struct signer_reply r;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(signer_read_reply(slice_of(rows[i].text), &r),
                         rows[i].st);
        if (rows[i].st == ST_OK) {
            assert_int_equal(r.code, rows[i].code);
            assert_int_equal(r.size, rows[i].size);
            assert_int_equal(r.has_size, rows[i].size > 0);
        }
        buf_free(&r.lines);
    }
    assert_int_equal(
        signer_read_reply(SLICE(HEAD("200", "0") "Signer-Gap: 61000\r\n\r\n"),
                          &r),
        ST_OK);
    assert_int_equal(r.gap_ms, 61000);
    buf_free(&r.lines);
}

struct served {
    struct signer_world *w;
    int fd;
    enum status st;
};

static void *serve_it(void *arg)
{
    struct served *s = arg;

    s->st = signer_serve(s->w->signer, s->w->dir, s->fd);
    return NULL;
}

static int dial_raw(const struct signer_world *w, struct slice bytes)
{
    struct signer_reply r;
    enum status st = signer_ask(w->dir, bytes, 5000, &r);

    buf_free(&r.lines);
    return st == ST_OK ? r.code : -(int)st;
}

static void over_its_socket(void **state)
{
    struct signer_world *w = *state;
    struct signer_reply r;
    struct tree_proof proof = {.count = 0};
    struct checkpoint c = {SLICE_INIT(SIGNER_ORIGIN), 7, {0}};
    struct served s = {.w = w};
    struct buf body;
    pthread_t thread;
    int ends[2];
    char byte;

    assert_int_equal(signer_ask(w->dir, SLICE(""), 1000, &r), ST_CLOSED);
    buf_free(&r.lines);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    s.fd = ends[1];
    assert_int_equal(pthread_create(&thread, NULL, serve_it, &s), 0);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    /* Only one of them in a folder. */
    assert_int_equal(signer_serve(w->signer, w->dir, -1), ST_EXISTS);
    assert_int_equal(dial_raw(w, SLICE("nonsense")), 400);
    assert_int_equal(tree_root(&tree, 7, c.root), ST_OK);
    buf_init(&body, SIGNER_BODY_MAX);
    signer_put(0, &proof, &c, &body);
    assert_int_equal(dial_raw(w, buf_slice(&body)), 200);
    assert_int_equal(signer_ask(w->dir, buf_slice(&body), 5000, &r), ST_OK);
    assert_int_equal(r.code, 409);
    assert_int_equal(r.size, 7);
    buf_free(&r.lines);
    buf_reset(&body);
    while (body.len < SIGNER_BODY_MAX)
        buf_put_char(&body, 'a');
    assert_int_equal(dial_raw(w, buf_slice(&body)), 400);
    buf_free(&body);
    (void)close(ends[0]); /* whoever started it is gone */
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.st, ST_OK);
    (void)close(ends[1]);
    assert_int_equal(signer_ask(w->dir, SLICE(""), 1000, &r), ST_CLOSED);
    buf_free(&r.lines);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_signs_what_continues),
        TEST(it_never_signs_two_histories),
        TEST(the_first_one_needs_no_proof_and_may_have_none),
        TEST(it_remembers_over_a_restart),
        TEST(what_cannot_be_kept_is_not_signed),
        TEST(a_state_that_is_gone_or_another_s),
        TEST(a_key_that_is_not_kept_close),
        TEST(the_config_names_it_until_something_is_signed),
        TEST(names_of_forks),
        TEST(silence_is_told),
        TEST(questions_have_one_spelling),
        TEST(answers_are_read_strictly),
        TEST(over_its_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
