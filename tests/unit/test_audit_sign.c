/* The log and its signer: what is published, and what a start finds (the table
 * of audit-format.md section 4). The signer is real, but for its socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_fixture.h"
#include "signer_fixture.h"

#include "lethe/gateway/file.h"

struct world {
    struct fixture f;
    struct signer_world s;
    struct audit_signing signing;
};

static int setup(void **state)
{
    static struct world w;

    if (!fixture_make(&w.f) || !signer_world_make(&w.s))
        return -1;
    w.signing =
        (struct audit_signing){signer_world_ask, &w.s, *signer_key(w.s.signer)};
    w.f.config.signing = &w.signing;
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    fixture_drop(&w->f);
    signer_world_drop(&w->s);
    return 0;
}

static void path_in(const char *folder, const char *name, char out[160])
{
    (void)snprintf(out, 160, "%s/%s", folder, name);
}

static void copy(const char *from, const char *to)
{
    struct buf text;

    assert_int_equal(file_read(from, 1u << 20, &text), ST_OK);
    assert_int_equal(file_put(to, 0640, buf_slice(&text)), ST_OK);
    buf_free(&text);
}

/* One file's bytes, here or from a copy kept before. */
static void keep(const char *folder, const char *name)
{
    char path[160], kept[176];

    path_in(folder, name, path);
    (void)snprintf(kept, sizeof(kept), "%s.kept", path);
    copy(path, kept);
}

static void put_back(const char *folder, const char *name)
{
    char path[160], kept[176];

    path_in(folder, name, path);
    (void)snprintf(kept, sizeof(kept), "%s.kept", path);
    copy(kept, path);
}

#define SEG "seg/000000000000.jsonl"

/* Root of the first `size` lines on disk, as anybody would make it. */
static void root_on_disk(const struct world *w, uint64_t size,
                         uint8_t out[HASH_BYTES])
{
    struct merkle_stack m = {.size = 0};
    uint8_t leaf[HASH_BYTES];
    char path[160];
    struct buf text;

    path_in(w->f.folder, SEG, path);
    assert_int_equal(file_read(path, 1u << 20, &text), ST_OK);
    struct slice s = buf_slice(&text);
    while (m.size < size) {
        size_t end = slice_find(s, '\n');
        assert_true(end < s.len);
        merkle_leaf(s.at, end, leaf);
        merkle_add(&m, leaf);
        s = slice_skip(s, end + 1);
    }
    merkle_root(&m, out);
    buf_free(&text);
}

static uint64_t lines_on_disk(const struct world *w)
{
    uint64_t count = 0;
    char path[160];
    struct buf text;

    path_in(w->f.folder, SEG, path);
    assert_int_equal(file_read(path, 1u << 20, &text), ST_OK);
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == '\n';
    buf_free(&text);
    return count;
}

/* `checkpoint` is signed, and is the root of what it counts. */
static uint64_t published(const struct world *w)
{
    uint8_t root[HASH_BYTES];
    struct checkpoint c;
    struct note note;
    char path[160];
    struct buf text;

    path_in(w->f.folder, "checkpoint", path);
    assert_int_equal(file_read(path, 4096, &text), ST_OK);
    assert_int_equal(note_read(buf_slice(&text), &note), ST_OK);
    assert_int_equal(note_check(&note, &w->signing.key, NULL), ST_OK);
    assert_int_equal(checkpoint_read(note.text, &c), ST_OK);
    root_on_disk(w, c.size, root);
    assert_memory_equal(root, c.root, HASH_BYTES);
    buf_free(&text);
    return c.size;
}

static uint64_t entry(struct world *w)
{
    uint64_t index = 0;

    assert_int_equal(fixture_entry(&w->f, RECORD_AUDIT_READ, NULL, "timer",
                                   SLICE("{}"), &index),
                     ST_OK);
    return index;
}

/* Run once with some records, all signed at the end. */
static void run_once(struct world *w)
{
    assert_int_equal(fixture_start(&w->f), ST_OK);
    (void)entry(w);
    (void)entry(w);
    fixture_stop(&w->f);
    assert_int_equal(published(w), lines_on_disk(w));
}

static void records_are_signed_when_somebody_waits(void **state)
{
    struct world *w = *state;

    assert_int_equal(fixture_start(&w->f), ST_OK);
    uint64_t index = entry(w);
    assert_int_equal(audit_wait_signed(w->f.log, index, 20000), ST_OK);
    assert_true(audit_signed_size(w->f.log) > index);
    assert_true(published(w) > index);
    assert_int_equal(audit_wait_signed(w->f.log, 0, 0), ST_OK);
    assert_int_equal(audit_wait_signed(w->f.log, index + 100, 1), ST_TIMEOUT);
}

static void the_end_is_signed_at_a_stop(void **state)
{
    struct world *w = *state;

    run_once(w);
    run_once(w);
    assert_int_equal(lines_on_disk(w), 10); /* start, heartbeat, 2, stop */
}

static void start_after(struct world *w, enum status expected)
{
    uint64_t before = lines_on_disk(w);
    enum status st = fixture_start(&w->f);

    assert_int_equal(st, expected);
    if (st != ST_OK) /* nothing was written */
        assert_int_equal(lines_on_disk(w), before);
    fixture_stop(&w->f);
    if (st == ST_OK)
        assert_int_equal(published(w), lines_on_disk(w));
}

/* Crash between 2 and 4: more records than were signed. */
static void records_that_were_not_signed_yet(void **state)
{
    struct world *w = *state;

    run_once(w);
    keep(w->f.folder, "checkpoint");
    keep(w->s.dir, "state");
    run_once(w);
    put_back(w->f.folder, "checkpoint");
    put_back(w->s.dir, "state");
    assert_int_equal(signer_world_open(&w->s, SLICE_NONE), ST_OK);
    start_after(w, ST_OK);
}

/* Crash between 4 and 5. */
static void a_signature_that_was_not_published(void **state)
{
    struct world *w = *state;

    run_once(w);
    keep(w->f.folder, "checkpoint");
    run_once(w);
    put_back(w->f.folder, "checkpoint");
    start_after(w, ST_OK);
}

static void a_checkpoint_that_is_gone_or_nonsense(void **state)
{
    struct world *w = *state;
    char path[160];

    run_once(w);
    path_in(w->f.folder, "checkpoint", path);
    assert_int_equal(unlink(path), 0);
    start_after(w, ST_OK);
    assert_int_equal(file_put(path, 0640, SLICE("nonsense\n")), ST_OK);
    start_after(w, ST_OK);
}

static void an_older_signer(void **state)
{
    struct world *w = *state;

    run_once(w);
    keep(w->s.dir, "state");
    run_once(w);
    put_back(w->s.dir, "state");
    assert_int_equal(signer_world_open(&w->s, SLICE_NONE), ST_OK);
    start_after(w, ST_OK);
}

/* An older copy of the log: also with the checkpoint that belonged to it. */
static void an_older_log(void **state)
{
    struct world *w = *state;

    run_once(w);
    keep(w->f.folder, SEG);
    keep(w->f.folder, "checkpoint");
    run_once(w);
    put_back(w->f.folder, SEG);
    start_after(w, ST_END);
    put_back(w->f.folder, "checkpoint");
    start_after(w, ST_END);
}

static void cut_last_line(struct world *w, size_t more)
{
    char path[160];
    struct buf text;

    path_in(w->f.folder, SEG, path);
    assert_int_equal(file_read(path, 1u << 20, &text), ST_OK);
    size_t len = text.len - 1;
    while (len > 0 && text.data[len - 1] != '\n')
        len--;
    assert_int_equal(truncate(path, (off_t)(len + more)), 0);
    buf_free(&text);
}

static void a_signed_record_that_was_cut(void **state)
{
    struct world *w = *state;

    run_once(w);
    cut_last_line(w, 0);
    start_after(w, ST_END);
}

static void half_a_signed_record(void **state)
{
    struct world *w = *state;

    run_once(w);
    cut_last_line(w, 20);
    assert_int_equal(fixture_start(&w->f), ST_END);
    fixture_stop(&w->f);
}

static void change(const struct world *w, const char *was, const char *now)
{
    char path[160];
    struct buf text;

    path_in(w->f.folder, SEG, path);
    assert_int_equal(file_read(path, 1u << 20, &text), ST_OK);
    char *at = memmem(text.data, text.len, was, strlen(was));
    assert_non_null(at);
    memcpy(at, now, strlen(now));
    assert_int_equal(file_put(path, 0640, buf_slice(&text)), ST_OK);
    buf_free(&text);
}

static void a_signed_record_that_was_changed(void **state)
{
    struct world *w = *state;
    char path[160];

    run_once(w);
    change(w, "\"why\":\"timer\"", "\"why\":\"chg:x\"");
    start_after(w, ST_MISMATCH);
    /* The checkpoint is no way around the signer. */
    path_in(w->f.folder, "checkpoint", path);
    assert_int_equal(unlink(path), 0);
    start_after(w, ST_MISMATCH);
}

static void another_log_s_signer(void **state)
{
    struct world *w = *state;

    run_once(w);
    w->signing.key.name[0] = 'x';
    w->f.config.origin = w->signing.key.name;
    assert_int_equal(fixture_start(&w->f), ST_UNKNOWN);
    fixture_stop(&w->f);
}

/* Somebody else has had another history signed meanwhile. */
static void a_signer_that_ran_ahead(void **state)
{
    struct world *w = *state;
    struct signer_reply r;
    struct tree_proof none = {.count = 0};
    struct checkpoint c = {SLICE_INIT(SIGNER_ORIGIN), 1000, {1}};
    struct buf body;

    buf_init(&body, SIGNER_BODY_MAX);
    signer_put(0, &none, &c, &body);
    signer_answer(w->s.signer, buf_slice(&body), &r);
    assert_int_equal(r.code, 200);
    buf_free(&r.lines);
    buf_free(&body);
    assert_int_equal(fixture_start(&w->f), ST_END);
    fixture_stop(&w->f);
}

/* Runs until `done` holds: the thread looks ten times a second. */
static bool soon(struct world *w, bool (*done)(struct world *))
{
    for (int i = 0; i < 2000; i++) {
        if (done(w))
            return true;
        (void)usleep(10000);
    }
    return false;
}

static bool is_unsigned(struct world *w)
{
    return audit_is_unsigned(w->f.log);
}

static bool is_signed(struct world *w)
{
    return !audit_is_unsigned(w->f.log);
}

static void without_a_signer_nothing_goes_on(void **state)
{
    struct world *w = *state;
    char path[160];

    assert_int_equal(fixture_start(&w->f), ST_OK);
    assert_int_equal(audit_wait_signed(w->f.log, entry(w), 20000), ST_OK);
    w->s.fail = ST_CLOSED;
    w->f.now += AUDIT_UNSIGNED_MS;
    uint64_t index = entry(w);
    assert_int_equal(audit_wait_signed(w->f.log, index, 300), ST_TIMEOUT);
    assert_false(audit_is_unsigned(w->f.log));
    assert_int_equal(audit_signed_age_ms(w->f.log), AUDIT_UNSIGNED_MS);
    w->f.now += 1;
    assert_true(soon(w, is_unsigned));
    w->s.fail = ST_OK;
    w->f.now += 1000;
    assert_true(soon(w, is_signed));
    fixture_stop(&w->f);
    path_in(w->f.folder, SEG, path);
    assert_true(
        file_holds(path, "{\"cause\":\"signer\",\"state\":\"begin\"}", 34));
    assert_true(file_holds(
        path, "{\"cause\":\"signer\",\"state\":\"end\",\"ms\":1000}", 42));
    assert_int_equal(published(w), lines_on_disk(w));
}

/* At a stop without a signer the gateway ends all the same; the next start has
 * the rest signed. */
static void a_stop_without_a_signer(void **state)
{
    struct world *w = *state;

    run_once(w);
    assert_int_equal(fixture_start(&w->f), ST_OK);
    w->s.fail = ST_TIMEOUT;
    fixture_stop(&w->f);
    assert_true(published(w) < lines_on_disk(w));
    w->s.fail = ST_OK;
    start_after(w, ST_OK);
}

/* It is taken over while we run: another history was signed. */
static void another_history_while_it_runs(void **state)
{
    struct world *w = *state;

    assert_int_equal(fixture_start(&w->f), ST_OK);
    assert_int_equal(audit_wait_signed(w->f.log, entry(w), 20000), ST_OK);
    struct signer_world other;
    assert_true(signer_world_make(&other));
    struct signer_reply r;
    struct tree_proof none = {.count = 0};
    struct checkpoint c = {SLICE_INIT(SIGNER_ORIGIN), 2, {1}};
    struct buf body;
    buf_init(&body, SIGNER_BODY_MAX);
    signer_put(0, &none, &c, &body);
    signer_answer(other.signer, buf_slice(&body), &r);
    buf_free(&r.lines);
    buf_free(&body);
    w->signing.ctx = &other;
    assert_int_equal(audit_wait_signed(w->f.log, entry(w), 20000), ST_CLOSED);
    assert_int_equal(w->f.broken, ST_MISMATCH);
    assert_true(audit_is_broken(w->f.log));
    fixture_stop(&w->f);
    signer_world_drop(&other);
}

static void a_quiet_log_asks_again_and_again(void **state)
{
    struct world *w = *state;

    assert_int_equal(fixture_start(&w->f), ST_OK);
    assert_int_equal(audit_wait_signed(w->f.log, entry(w), 20000), ST_OK);
    uint64_t size = audit_signed_size(w->f.log);
    w->f.now += 10000;
    for (int i = 0; i < 2000 && audit_signed_age_ms(w->f.log) > 0; i++)
        (void)usleep(10000);
    assert_int_equal(audit_signed_age_ms(w->f.log), 0);
    assert_int_equal(audit_signed_size(w->f.log), size);
}

static void a_gap_is_recorded(void **state)
{
    struct world *w = *state;
    char path[160];

    run_once(w);
    w->s.now += 61234;
    run_once(w);
    path_in(w->f.folder, SEG, path);
    assert_true(file_holds(path, "\"act\":\"signer.gap\"", 18));
    assert_true(file_holds(path, "\"d\":{\"ms\":61234}", 16));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_are_signed_when_somebody_waits),
        TEST(the_end_is_signed_at_a_stop),
        TEST(records_that_were_not_signed_yet),
        TEST(a_signature_that_was_not_published),
        TEST(a_checkpoint_that_is_gone_or_nonsense),
        TEST(an_older_signer),
        TEST(an_older_log),
        TEST(a_signed_record_that_was_cut),
        TEST(half_a_signed_record),
        TEST(a_signed_record_that_was_changed),
        TEST(another_log_s_signer),
        TEST(a_signer_that_ran_ahead),
        TEST(without_a_signer_nothing_goes_on),
        TEST(a_stop_without_a_signer),
        TEST(another_history_while_it_runs),
        TEST(a_quiet_log_asks_again_and_again),
        TEST(a_gap_is_recorded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
