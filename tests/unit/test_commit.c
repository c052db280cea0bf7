/* The committer: natural groups in order, everyone told once, after the
 * sync; full and broken disks. Real threads and files; the clock is ours. */
#include "journal_fixture.h"

#include "../../gateway/store/commit_private.h"

#include <errno.h>
#include <semaphore.h>

#define A       UINT64_C(0xaaaa)
#define MIB     (UINT64_C(1) << 20)
#define IDLE_MS 5 /* stands for the second of idling */

static int sync_error; /* atomic: errno of each fdatasync, or 0 */
static unsigned sync_count;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    int error = __atomic_load_n(&sync_error, __ATOMIC_ACQUIRE);

    (void)__atomic_add_fetch(&sync_count, 1, __ATOMIC_RELAXED);
    if (error == 0)
        return __real_fdatasync(fd);
    errno = error;
    return -1;
}

static void sync_fails_with(int error)
{
    __atomic_store_n(&sync_error, error, __ATOMIC_RELEASE);
}

struct seen { /* what the committer told; it writes, the test reads */
    sem_t told;
    unsigned done[ST_COUNT], synced_groups, synced_calls, broken;
    unsigned early; /* on_synced before a group's on_done */
    uint64_t last_sequence;
    bool order_lost;
};

static struct seen seen;
static struct commit *committer;

static int64_t wall(void *ctx)
{
    (void)ctx;
    return WALL;
}

static int64_t mono(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_synced(void *ctx, struct group *const *groups, unsigned count,
                      uint64_t sequence, int64_t now_ms)
{
    struct seen *s = ctx;

    s->order_lost |= sequence <= s->last_sequence || now_ms != WALL;
    s->last_sequence = sequence;
    for (unsigned i = 0; i < count; i++)
        s->early += groups[i]->ctx == NULL;
    s->synced_groups += count;
    s->synced_calls++;
}

static void on_broken(void *ctx)
{
    ((struct seen *)ctx)->broken++;
}

static void on_done(struct group *g, enum status st)
{
    g->ctx = &seen; /* told */
    (void)__atomic_add_fetch(&seen.done[st], 1, __ATOMIC_RELAXED);
    (void)sem_post(&seen.told);
}

static void start(struct fixture *f, int64_t idle_ms)
{
    const struct clock clock = {wall, mono, NULL};
    const struct commit_hooks hooks = {on_synced, on_broken, &seen};

    memset(&seen, 0, sizeof(seen));
    (void)sem_init(&seen.told, 0, 0);
    assert_int_equal(
        commit_start_tuned(f->j, &clock, &hooks, idle_ms, &committer), ST_OK);
}

static int setup(void **state)
{
    sync_fails_with(0);
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    journal_close(f->j);
    folder_empty(f->folder);
    f->segment = MIB;
    if (fixture_open(f) != ST_OK)
        return -1;
    start(f, IDLE_MS);
    return 0;
}

static int teardown(void **state)
{
    commit_stop(committer);
    committer = NULL;
    (void)sem_destroy(&seen.told);
    return fixture_teardown(state);
}

static void stop(void)
{
    commit_stop(committer);
    committer = NULL;
}

static struct group *group_of(unsigned id, size_t len)
{
    struct group *g = group_new();

    add_blob(g, A, 1, id, len);
    g->on_done = on_done;
    return g;
}

static void wait_told(unsigned n)
{
    while (n-- > 0)
        while (sem_wait(&seen.told) != 0)
            ;
}

/* A group at a time, so that each gets its own answer. */
static enum status submit_and_wait(unsigned id)
{
    unsigned before[ST_COUNT];

    memcpy(before, seen.done, sizeof(before));
    commit_submit(committer, group_of(id, 100));
    wait_told(1);
    for (unsigned st = 0; st < ST_COUNT; st++)
        if (__atomic_load_n(&seen.done[st], __ATOMIC_RELAXED) != before[st])
            return (enum status)st;
    return ST_COUNT;
}

static void every_group_is_told_once_and_lies_in_order(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 500; i++)
        commit_submit(committer, group_of(i, 300));
    wait_told(500);
    stop();
    assert_int_equal(seen.done[ST_OK], 500);
    assert_int_equal(seen.synced_groups, 500);
    assert_int_equal(seen.early, 0);
    assert_false(seen.order_lost);
    assert_int_equal(count_in_order(f, A, 0), 500);
    reopen(f);
    assert_int_equal(count_in_order(f, A, 0), 500);
}

/* 40 groups of 100 kB are more than a journal group here can hold. */
static void what_is_too_much_for_one_journal_group_is_split(void **state)
{
    struct fixture *f = *state;
    uint64_t limit = journal_group_limit(f->j);

    for (unsigned i = 0; i < 40; i++)
        commit_submit(committer, group_of(i, 100000));
    commit_submit(committer, group_of(40, limit - BLOB_ENTRY_BYTES));
    commit_submit(committer, group_of(41, MIB)); /* in no journal group */
    commit_submit(committer, group_of(41, 10));
    wait_told(43);
    stop();
    assert_int_equal(seen.done[ST_OK], 42);
    assert_int_equal(seen.done[ST_FULL], 1);
    assert_true(seen.synced_calls >= 40 * 100000 / limit);
    assert_int_equal(count_in_order(f, A, 0), 42);
}

struct submitter {
    pthread_t thread;
    unsigned count;
};

static void *submit_many(void *ctx)
{
    struct submitter *s = ctx;

    for (unsigned i = 0; i < s->count; i++)
        commit_submit(committer, group_of(i, 50));
    return NULL;
}

static void many_threads_submit_and_read_at_once(void **state)
{
    struct fixture *f = *state;
    struct submitter s[4];
    struct journal_cursor at = {0};
    struct journal_blob b;
    const uint64_t readers[] = {A};
    unsigned read = 0;

    journal_set_readers(f->j, readers, 1);
    for (unsigned i = 0; i < 4; i++) {
        s[i].count = 500;
        assert_int_equal(pthread_create(&s[i].thread, NULL, submit_many, &s[i]),
                         0);
    }
    while (read < 2000) {
        enum status st = read_blob(f, &at, A, &b);
        if (st == ST_END) {
            (void)commit_is_full(committer);
            (void)commit_sync_p50_us(committer);
            (void)usleep(100);
            continue;
        }
        assert_int_equal(st, ST_OK);
        mark_done(f, A, &b);
        read++;
    }
    for (unsigned i = 0; i < 4; i++)
        (void)pthread_join(s[i].thread, NULL);
    wait_told(2000);
    assert_true(commit_sync_p50_us(committer) > 0);
    stop();
    assert_int_equal(seen.done[ST_OK], 2000);
    struct mark m;
    reopen(f);
    journal_get_mark(f->j, A, &m);
    assert_int_equal(m.accepted, 2000); /* commit_stop wrote the marks */
    assert_int_equal(m.cleared, 2000);
}

static void marks_are_written_when_idle_and_then_no_more(void **state)
{
    struct fixture *f = *state;
    struct mark m = {.destination = A, .sequence = 5, .accepted = 7};

    journal_set_mark(f->j, &m);
    while (journal_marks_pending(f->j))
        (void)usleep(500);
    uint64_t sequence = journal_next_sequence(f->j);
    (void)usleep(IDLE_MS * 4000);
    assert_true(journal_next_sequence(f->j) == sequence);
    stop();
    reopen(f);
    journal_get_mark(f->j, A, &m);
    assert_true(m.sequence == 5 && m.accepted == 7);
}

static void a_full_disk_answers_full_and_resumes_without_traffic(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(submit_and_wait(0), ST_OK);
    sync_fails_with(ENOSPC);
    assert_int_equal(submit_and_wait(99), ST_FULL);
    assert_true(commit_is_full(committer));
    assert_int_equal(submit_and_wait(99), ST_FULL);
    sync_fails_with(0);
    while (commit_is_full(committer))
        (void)usleep(500);
    assert_int_equal(submit_and_wait(1), ST_OK);
    stop();
    assert_int_equal(seen.broken, 0);
    assert_int_equal(count_in_order(f, A, 0), 2);
}

/* Rows get through under a full spool, but do not end it. */
static void a_full_spool_stays_full_until_events_fit(void **state)
{
    struct fixture *f = *state;
    struct journal_limits small = {.spool_bytes = JOURNAL_PAGE};

    assert_int_equal(submit_and_wait(0), ST_OK);
    journal_set_limits(f->j, &small);
    assert_int_equal(submit_and_wait(99), ST_FULL);
    struct group *g = group_new();
    add_rows(g, 5, 3, 1);
    g->on_done = on_done;
    commit_submit(committer, g);
    wait_told(1);
    assert_int_equal(seen.done[ST_OK], 2);
    (void)usleep(IDLE_MS * 3000);
    assert_true(commit_is_full(committer));
    journal_set_limits(f->j, &f->limits);
    while (commit_is_full(committer))
        (void)usleep(500);
    assert_int_equal(submit_and_wait(1), ST_OK);
}

static void a_broken_disk_is_told_once_and_takes_nothing_more(void **state)
{
    (void)state;
    sync_fails_with(EIO);
    assert_int_equal(submit_and_wait(0), ST_IO);
    sync_fails_with(0);
    assert_int_equal(submit_and_wait(1), ST_IO);
    assert_int_equal(submit_and_wait(2), ST_IO);
    stop();
    assert_int_equal(seen.broken, 1);
    assert_int_equal(seen.synced_calls, 0);
}

static void stopping_commits_what_is_queued(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 50; i++)
        commit_submit(committer, group_of(i, 100));
    stop();
    assert_int_equal(seen.done[ST_OK], 50);
    assert_int_equal(count_in_order(f, A, 0), 50);
}

static void stopping_writes_the_marks(void **state)
{
    struct fixture *f = *state;
    struct mark m = {.destination = A, .sequence = 5, .accepted = 7};

    stop();
    start(f, 3600 * 1000); /* not by idling */
    journal_set_mark(f->j, &m);
    stop();
    reopen(f);
    journal_get_mark(f->j, A, &m);
    assert_true(m.sequence == 5 && m.accepted == 7);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_group_is_told_once_and_lies_in_order),
        T(what_is_too_much_for_one_journal_group_is_split),
        T(many_threads_submit_and_read_at_once),
        T(marks_are_written_when_idle_and_then_no_more),
        T(a_full_disk_answers_full_and_resumes_without_traffic),
        T(a_full_spool_stays_full_until_events_fit),
        T(a_broken_disk_is_told_once_and_takes_nothing_more),
        T(stopping_commits_what_is_queued),
        T(stopping_writes_the_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
