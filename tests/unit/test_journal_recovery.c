/* What a crash or a bad disk may do to the journal. Every cut and every
 * byte, not samples: the journal is small enough. */
#include "journal_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define A      UINT64_C(0xaaaa)
#define GROUPS 6u

/* The only segment file that holds something, whole in memory. */
struct image {
    char path[128];
    uint8_t bytes[SEGMENT];
};

static void image_load(const struct fixture *f, struct image *im)
{
    for (unsigned i = 1; i <= 2; i++) {
        segment_path(f, i, im->path);
        int fd = open(im->path, O_RDONLY);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, im->bytes, SEGMENT), SEGMENT);
        (void)close(fd);
        if (im->bytes[0] != 0)
            return;
    }
    fail();
}

static void image_store(const struct image *im)
{
    int fd = open(im->path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, im->bytes, SEGMENT), SEGMENT);
    (void)close(fd);
}

/* Six groups: of 1, 2 and 1 pages and so on, each one blob. */
static unsigned pages_of(unsigned group)
{
    return group % 3 == 1 ? 2 : 1;
}

static void fill(struct fixture *f)
{
    for (unsigned i = 0; i < GROUPS; i++)
        assert_int_equal(append_blob(f, A, 1, i, pages_of(i) * 3500), ST_OK);
}

static unsigned whole_groups_before(size_t len)
{
    size_t at = 0;

    for (unsigned i = 0; i < GROUPS; i++) {
        at += pages_of(i) * JOURNAL_PAGE;
        if (at > len)
            return i;
    }
    return GROUPS;
}

static void go_on(struct fixture *f, unsigned id)
{
    assert_int_equal(append_blob(f, A, 1, id, 10), ST_OK);
    assert_int_equal(count_in_order(f, A, 0), id + 1);
    reopen(f);
    assert_int_equal(f->found.damaged, 0);
    assert_int_equal(count_in_order(f, A, 0), id + 1);
}

/* A file that ends early, and one whose later sectors were never written. */
static void whole_groups_survive_a_cut_anywhere(void **state)
{
    struct fixture *f = *state;
    struct image whole, cut;

    fill(f);
    journal_close(f->j);
    f->j = NULL;
    image_load(f, &whole);
    for (unsigned way = 0; way < 2; way++) {
        for (size_t len = 0; len <= 8 * JOURNAL_PAGE; len += 512) {
            folder_empty(f->folder);
            cut = whole;
            memset(cut.bytes + len, 0, SEGMENT - len);
            image_store(&cut);
            if (way == 0)
                assert_int_equal(truncate(cut.path, (off_t)len), 0);
            assert_int_equal(fixture_open(f), ST_OK);
            unsigned n = whole_groups_before(len);
            /* The last bytes of a group are zeros by themselves. */
            unsigned found = (unsigned)f->found.groups;
            assert_true(found == n || found == n + 1);
            assert_int_equal(f->found.damaged, 0);
            bool torn = f->found.torn_bytes != 0;
            size_t begun = 0;
            for (unsigned i = 0; i < found; i++)
                begun += pages_of(i) * JOURNAL_PAGE;
            assert_int_equal(torn, len > begun && found < GROUPS);
            assert_int_equal(count_in_order(f, A, 0), found);
            go_on(f, found);
            journal_close(f->j);
            f->j = NULL;
        }
    }
}

/* A flipped byte in the newest group cuts it; in an older one it is damage
 * of that group alone, named by its sequence. */
static void a_changed_byte_anywhere_costs_its_own_group_only(void **state)
{
    struct fixture *f = *state;
    struct image im;
    uint64_t first = journal_next_sequence(f->j);

    fill(f);
    journal_close(f->j);
    f->j = NULL;
    image_load(f, &im);
    int fd = open(im.path, O_RDWR);
    size_t start = 0;
    for (unsigned group = 0; group < GROUPS; group++) {
        size_t end = start + pages_of(group) * JOURNAL_PAGE;
        for (size_t at = start; at < end;
             at += at - start < 300 || end - at < 40 ? 1 : 41) {
            uint8_t bad = im.bytes[at] ^ 0x08;
            assert_int_equal(pwrite(fd, &bad, 1, (off_t)at), 1);
            assert_int_equal(fixture_open(f), ST_OK);
            assert_int_equal(f->found.groups, GROUPS - 1);
            bool newest = group == GROUPS - 1;
            assert_int_equal(f->found.damaged, newest ? 0 : 1);
            if (!newest) {
                assert_true(f->found.damaged_from == first + group);
                assert_true(f->found.damaged_to == first + group);
            }
            struct journal_cursor cursor = {0};
            struct journal_blob b;
            for (unsigned i = 0; i < GROUPS; i++) {
                if (i == group)
                    continue;
                assert_int_equal(read_blob(f, &cursor, A, &b), ST_OK);
                assert_int_equal(blob_id(&f->sealed), i);
            }
            assert_int_equal(read_blob(f, &cursor, A, &b), ST_END);
            journal_close(f->j);
            f->j = NULL;
            assert_int_equal(pwrite(fd, &im.bytes[at], 1, (off_t)at), 1);
        }
        start = end;
    }
    (void)close(fd);
    assert_int_equal(fixture_open(f), ST_OK);
    assert_int_equal(f->found.groups, GROUPS);
}

/* After a cut a sink may remember a position in the lost group. */
static void the_number_of_a_lost_group_is_not_given_again(void **state)
{
    struct fixture *f = *state;
    struct image im;

    fill(f);
    uint64_t used = journal_next_sequence(f->j);
    journal_close(f->j);
    f->j = NULL;
    image_load(f, &im);
    im.bytes[7 * JOURNAL_PAGE + 200] ^= 1; /* the newest group */
    image_store(&im);
    assert_int_equal(fixture_open(f), ST_OK);
    assert_int_equal(f->found.groups, GROUPS - 1);
    assert_true(f->found.next_sequence > used);
    assert_int_equal(append_blob(f, A, 1, GROUPS - 1, 10), ST_OK);
    reopen(f);
    assert_int_equal(f->found.damaged, 0);
    assert_int_equal(count_in_order(f, A, 0), GROUPS);
}

/* A bad page read later, not at the start: that group only. */
static void a_group_that_rots_while_open_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct journal_cursor at = {0};
    struct journal_blob b;
    struct image im;

    fill(f);
    image_load(f, &im);
    im.bytes[40] ^= 1;
    image_store(&im);
    assert_int_equal(read_blob(f, &at, A, &b), ST_CORRUPT);
    for (unsigned i = 1; i < GROUPS; i++) {
        assert_int_equal(read_blob(f, &at, A, &b), ST_OK);
        assert_int_equal(blob_id(&f->sealed), i);
    }
    assert_int_equal(read_blob(f, &at, A, &b), ST_END);
}

/* Recycling and restarts at every point of it never look like damage. */
static void recycling_never_looks_like_damage(void **state)
{
    struct fixture *f = *state;
    const uint64_t readers[] = {A};
    unsigned next = 0, done = 0;
    struct mark m;

    for (unsigned round = 0; round < 60; round++) {
        struct journal_cursor at = {0};
        struct journal_blob b;
        journal_set_readers(f->j, readers, 1);
        journal_get_mark(f->j, A, &m);
        at.sequence = m.sequence;
        for (unsigned i = 0; i < 1 + round % 7; i++) {
            assert_int_equal(append_blob(f, A, 1, next, 9000), ST_OK);
            next++;
        }
        unsigned lag = round % 5;
        while (done + lag < next) {
            assert_int_equal(read_blob(f, &at, A, &b), ST_OK);
            if (b.sequence < m.sequence ||
                (b.sequence == m.sequence && b.first_fragment < m.fragment))
                continue; /* done before the restart */
            assert_int_equal(blob_id(&f->sealed), done);
            mark_done(f, A, &b);
            done++;
        }
        assert_int_equal(journal_append(f->j, NULL, 0, WALL), ST_OK);
        if (round % 3 == 0)
            assert_int_equal(journal_zero_idle(f->j), ST_OK);
        reopen(f);
        assert_int_equal(f->found.damaged, 0);
        assert_int_equal(f->found.torn_bytes, 0);
        journal_get_mark(f->j, A, &m);
        assert_int_equal(m.accepted, done);
        assert_int_equal(m.cleared, next);
    }
    struct journal_facts facts;
    journal_facts(f->j, &facts);
    assert_in_range(facts.segments, 2, 8);
}

/* --- kill -9: what the child was told is durable is there */

struct shared {
    unsigned acknowledged;
};

static void child_appends(struct fixture *f, struct shared *sh)
{
    const uint64_t readers[] = {A};

    assert_int_equal(fixture_open(f), ST_OK);
    journal_set_readers(f->j, readers, 1);
    for (unsigned id = sh->acknowledged;; id++) {
        if (append_blob(f, A, 1, id, 100 + id * 977 % 20000) != ST_OK)
            _exit(1);
        __atomic_store_n(&sh->acknowledged, id + 1, __ATOMIC_RELEASE);
    }
}

/* The parent knows no more than `acknowledged` when it kills. Ids may come
 * twice (appended, not told): never may one be missing. */
static void kill_9_loses_nothing_that_was_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct shared *sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    journal_close(f->j);
    f->j = NULL;
    for (unsigned round = 0; round < 50; round++) {
        unsigned target = sh->acknowledged + 1 + round % 4;
        pid_t child = fork();
        if (child == 0)
            child_appends(f, sh);
        while (__atomic_load_n(&sh->acknowledged, __ATOMIC_ACQUIRE) < target)
            (void)usleep(50);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);

        assert_int_equal(fixture_open(f), ST_OK);
        assert_int_equal(f->found.damaged, 0);
        struct journal_cursor at = {0};
        struct journal_blob b;
        unsigned next = 0;
        while (read_blob(f, &at, A, &b) == ST_OK) {
            unsigned id = blob_id(&f->sealed);
            assert_true(id <= next); /* no hole */
            if (id == next)
                next++;
        }
        assert_true(next >= sh->acknowledged);
        journal_close(f->j);
        f->j = NULL;
    }
    (void)munmap(sh, sizeof(*sh));
}

static void a_half_made_segment_is_cleared_away(void **state)
{
    struct fixture *f = *state;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/new.tmp", f->folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
    reopen(f);
    assert_int_equal(access(path, F_OK), -1);
}

/* What waits after a crash, and what the mark found then counts as done. */
static void assert_no_hole(struct fixture *f)
{
    struct journal_cursor at = {0};
    struct journal_blob b;
    struct mark m;
    uint64_t waits = 0;

    journal_get_mark(f->j, A, &m);
    while (read_blob(f, &at, A, &b) == ST_OK)
        waits += b.sequence > m.sequence;
    assert_true(m.accepted + waits == m.cleared);
}

/* A file is cut at its mark: a mark on disk that lags behind what is
 * recycled would have its lines cut, and nothing left to write them again. */
static void r_the_mark_on_disk_never_lags_behind_what_is_recycled(void **state)
{
    struct fixture *f = *state;
    const uint64_t reader = A;

    for (unsigned end = 1; end <= 50; end++) {
        struct journal_cursor at = {0};
        journal_close(f->j);
        folder_empty(f->folder);
        assert_int_equal(fixture_open(f), ST_OK);
        journal_set_readers(f->j, &reader, 1);
        for (unsigned id = 0; id < end; id++) { /* all within 100 ms */
            assert_int_equal(append_blob(f, A, 1, id, 10), ST_OK);
            if (id % 3 == 2) /* a forwarder that lags */
                (void)deliver(f, &at, A);
        }
        reopen(f); /* as after a kill: no clean stop wrote the marks */
        assert_no_hole(f);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(whole_groups_survive_a_cut_anywhere),
        T(a_changed_byte_anywhere_costs_its_own_group_only),
        T(the_number_of_a_lost_group_is_not_given_again),
        T(a_group_that_rots_while_open_is_passed_over),
        T(recycling_never_looks_like_damage),
        T(kill_9_loses_nothing_that_was_acknowledged),
        T(a_half_made_segment_is_cleared_away),
        T(r_the_mark_on_disk_never_lags_behind_what_is_recycled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
