/* The journal from above: what is appended is read, in order, by whom it
 * belongs to; what is done is recycled and nothing else is. */
#include "journal_fixture.h"

#include <errno.h>

#define A UINT64_C(0xaaaa)
#define B UINT64_C(0xbbbb)

static int write_error, sync_error; /* errno of the next call, or 0 */

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    if (write_error != 0) {
        /* Half of it gets there: the worst case. */
        (void)!__real_pwrite(fd, bytes, len / 2, offset);
        errno = write_error;
        return -1;
    }
    return __real_pwrite(fd, bytes, len, offset);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    if (sync_error != 0) {
        errno = sync_error;
        return -1;
    }
    return __real_fdatasync(fd);
}

static int setup(void **state)
{
    write_error = sync_error = 0;
    return fixture_setup(state);
}

/* Where the sweep sets begin at a start (storage.md section 4). */
static void recovery_tells_the_lowest_optout_number_that_a_blob_saw(
    void **state)
{
    struct fixture *f = *state;
    struct group *rows_only = group_new();

    assert_true(f->found.optout_seen == UINT64_MAX);
    assert_int_equal(append_blob(f, A, 1, 9, 10), ST_OK);
    assert_int_equal(append_blob(f, B, 1, 7, 10), ST_OK);
    assert_int_equal(append_blob(f, A, 1, 8, 10), ST_OK);
    add_rows(rows_only, 1, 1, 1); /* saw nothing: nobody's events */
    assert_int_equal(journal_append(f->j, &rows_only, 1, WALL), ST_OK);
    group_unref(rows_only);
    reopen(f);
    assert_true(f->found.optout_seen == 7);
}

static void blobs_come_back_in_order_to_their_destination(void **state)
{
    struct fixture *f = *state;
    struct journal_cursor at = {0};
    struct journal_blob b;
    struct group *g[2] = {group_new(), group_new()};

    add_blob(g[0], A, 3, 0, 10);
    add_blob(g[0], B, 1, 100, 5000);
    add_blob(g[1], A, 2, 1, 70);
    add_blob(g[1], A, 4, 2, 70);
    g[0]->optout_seen = 9;
    g[1]->optout_seen = 8;
    uint64_t sequence = journal_next_sequence(f->j);
    assert_int_equal(journal_append(f->j, g, 2, WALL), ST_OK);
    assert_true(journal_next_sequence(f->j) == sequence + 1);
    group_unref(g[0]);
    group_unref(g[1]);

    /* Fragments are counted over all groups of the journal group. */
    static const uint32_t first[] = {0, 3, 5}, count[] = {3, 2, 4};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(read_blob(f, &at, A, &b), ST_OK);
        assert_true(blob_is(&f->sealed, i));
        assert_true(b.sequence == sequence);
        assert_int_equal(b.first_fragment, first[i]);
        assert_int_equal(b.count, count[i]);
        assert_true(b.accepted_ms == WALL);
        assert_true(b.optout_seen == (i == 0 ? 9 : 8));
        assert_true(b.expires_min_ms == WALL + i);
        assert_int_equal(b.slot, i);
    }
    assert_int_equal(read_blob(f, &at, A, &b), ST_END);
    assert_int_equal(count_in_order(f, B, 100), 1);
    assert_int_equal(read_blob(f, &at, UINT64_C(0xcccc), &b), ST_END);
    assert_int_equal(append_blob(f, A, 1, 3, 10), ST_OK);
    assert_int_equal(read_blob(f, &at, A, &b), ST_OK);
    assert_int_equal(b.first_fragment, 0);
}

static void a_cursor_with_a_sequence_starts_there(void **state)
{
    struct fixture *f = *state;
    struct journal_blob b;
    uint64_t start = journal_next_sequence(f->j);

    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(append_blob(f, i % 2 ? A : B, 1, i, 100), ST_OK);
    struct journal_cursor at = {.sequence = start + 20};
    assert_int_equal(read_blob(f, &at, A, &b), ST_OK);
    assert_true(blob_is(&f->sealed, 21));
}

static void segments_follow_and_survive_a_restart(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(append_blob(f, A, 2, i, 3000 + i * 37), ST_OK);
    assert_int_equal(count_in_order(f, A, 0), 100);
    uint64_t before = journal_next_sequence(f->j);
    reopen(f);
    assert_int_equal(f->found.groups, 100);
    assert_int_equal(f->found.damaged, 0);
    assert_int_equal(f->found.torn_bytes, 0);
    assert_true(f->found.next_sequence >= before + JOURNAL_SEQUENCE_JUMP);
    assert_int_equal(count_in_order(f, A, 0), 100);
    assert_int_equal(append_blob(f, A, 2, 100, 10), ST_OK);
    reopen(f);
    assert_int_equal(f->found.damaged, 0); /* the jump is no damage */
    assert_int_equal(count_in_order(f, A, 0), 101);
}

static void marks_and_totals_survive_restarts_and_recycling(void **state)
{
    struct fixture *f = *state;
    struct journal_cursor at = {0};
    const uint64_t readers[] = {A};
    struct mark m;
    uint64_t bytes, cleared;
    int64_t oldest;

    journal_set_readers(f->j, readers, 1);
    assert_int_equal(append_blob(f, B, 5, 0, 10), ST_OK);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(append_blob(f, A, 2, i, 4000), ST_OK);
    assert_int_equal(deliver(f, &at, A), 60);
    journal_get_mark(f->j, A, &m);
    m.file_length = 4711;
    m.file_day = 20000;
    m.dead = 3;
    journal_set_mark(f->j, &m);
    assert_true(journal_marks_pending(f->j));
    assert_int_equal(journal_append(f->j, NULL, 0, WALL), ST_OK);
    assert_false(journal_marks_pending(f->j));
    /* On: the mark above lies in a segment that is overwritten by now. */
    for (unsigned i = 60; i < 200; i++) {
        assert_int_equal(append_blob(f, A, 1, i, 4000), ST_OK);
        assert_int_equal(deliver(f, &at, A), 1);
    }
    for (unsigned round = 0; round < 3; round++) {
        journal_get_mark(f->j, A, &m);
        assert_true(m.file_length == 4711 && m.file_day == 20000);
        assert_int_equal(m.dead, 3);
        assert_int_equal(m.cleared, 120 + 140);
        journal_backlog(f->j, B, &bytes, &oldest, &cleared);
        assert_int_equal(cleared, 5);
        reopen(f);
    }
    journal_get_mark(f->j, UINT64_C(77), &m);
    assert_true(m.destination == 77 && m.sequence == 0 && m.cleared == 0);
}

static void a_mark_is_written_at_most_every_100_ms(void **state)
{
    struct fixture *f = *state;
    struct mark m = {.destination = A, .sequence = 1};

    assert_int_equal(append_blob(f, A, 1, 0, 10), ST_OK); /* carries all */
    journal_set_mark(f->j, &m);
    assert_int_equal(append_blob(f, A, 1, 100, 10), ST_OK);
    assert_false(journal_marks_pending(f->j)); /* 100 ms on */
    m.sequence = 2;
    journal_set_mark(f->j, &m);
    assert_int_equal(append_blob(f, A, 1, 199, 10), ST_OK);
    assert_true(journal_marks_pending(f->j));
    assert_int_equal(append_blob(f, A, 1, 200, 10), ST_OK);
    assert_false(journal_marks_pending(f->j));
}

static unsigned segments(struct fixture *f)
{
    struct journal_facts facts;

    journal_facts(f->j, &facts);
    return (unsigned)facts.segments;
}

static void what_everybody_is_past_is_recycled(void **state)
{
    struct fixture *f = *state;
    struct journal_cursor at = {0};
    const uint64_t readers[] = {A};

    journal_set_readers(f->j, readers, 1);
    /* 12 segments' worth; B is nobody's and holds nothing. */
    for (unsigned i = 0; i < 192; i++) {
        assert_int_equal(append_blob(f, i % 2 ? A : B, 1, i, 3000), ST_OK);
        (void)deliver(f, &at, A);
    }
    assert_in_range(segments(f), 2, 5);
    reopen(f);
    assert_int_equal(f->found.damaged, 0);
}

static void a_reader_that_lags_is_never_overtaken(void **state)
{
    struct fixture *f = *state;
    struct journal_cursor a = {0}, b = {0};
    const uint64_t readers[] = {A, B};
    uint64_t bytes, cleared;
    int64_t oldest;

    journal_set_readers(f->j, readers, 2);
    assert_int_equal(append_blob(f, B, 1, 0, 10), ST_OK);
    for (unsigned i = 0; i < 160; i++) {
        assert_int_equal(append_blob(f, A, 1, i, 3000), ST_OK);
        (void)deliver(f, &a, A);
    }
    assert_true(segments(f) >= 10);
    journal_backlog(f->j, B, &bytes, &oldest, &cleared);
    assert_true(bytes == f->segment && oldest == WALL && cleared == 1);
    journal_backlog(f->j, A, &bytes, &oldest, &cleared);
    assert_true(bytes == 0 && oldest == 0 && cleared == 160);
    unsigned before = segments(f);
    assert_int_equal(deliver(f, &b, B), 1); /* it is all there */
    for (unsigned i = 160; i < 300; i++) {
        assert_int_equal(append_blob(f, A, 1, i, 3000), ST_OK);
        (void)deliver(f, &a, A);
    }
    /* Not one more than the one on its way and the maker's spare. */
    assert_in_range(segments(f), before, before + 2);
}

static void nothing_is_recycled_before_readers_are_known(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(append_blob(f, A, 1, i, 3000), ST_OK);
    assert_int_equal(count_in_order(f, A, 0), 64);
    journal_set_readers(f->j, NULL, 0);
    for (unsigned i = 64; i < 192; i++)
        assert_int_equal(append_blob(f, A, 1, i, 3000), ST_OK);
    assert_in_range(segments(f), 4, 8);
}

static void rows_hold_their_segment_until_they_are_safe(void **state)
{
    struct fixture *f = *state;

    journal_set_readers(f->j, NULL, 0);
    for (unsigned i = 0; i < 64; i++) {
        struct group *g = group_new();
        add_rows(g, 5, 100, (unsigned char)i);
        assert_int_equal(journal_append(f->j, &g, 1, WALL), ST_OK);
        group_unref(g);
    }
    unsigned before = segments(f);
    assert_true(before >= 4);
    struct journal_facts facts;
    journal_facts(f->j, &facts);
    assert_true(facts.oldest_ms == WALL);
    journal_rows_safe(f->j, journal_next_sequence(f->j));
    journal_facts(f->j, &facts);
    assert_true(facts.oldest_ms == 0 && facts.bytes_used == 0);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(append_blob(f, A, 1, i, 3000), ST_OK);
    /* Not one more than the one on its way and the maker's spare. */
    assert_in_range(segments(f), before, before + 2);
}

struct replayed {
    unsigned sections, bad;
    uint64_t rows[2]; /* of site 5 and 6 */
};

static enum status count_rows(void *ctx, const struct group_rows *site,
                              uint64_t rows_before, const uint8_t *rows)
{
    struct replayed *r = ctx;
    uint64_t *mine = &r->rows[site->site - 5];

    r->bad += rows_before != *mine || site->policy_index != 3 ||
              strcmp(site->tag, "2026-11-22") != 0 || site->refused[4] != 5 ||
              site->time_ms != WALL;
    for (unsigned i = 0; i < site->count * ROW_BYTES; i++)
        r->bad += rows[i] != (uint8_t)(site->site + site->count);
    *mine += site->count;
    r->sections++;
    return ST_OK;
}

static void r_rows_are_replayed_in_order_with_their_running_count(void **state)
{
    struct fixture *f = *state;
    struct replayed r = {0};

    for (unsigned i = 1; i <= 30; i++) {
        struct group *g = group_new(), *h = group_new();
        struct group *both[2] = {g, h};
        add_rows(g, 5, i, (unsigned char)(5 + i));
        add_rows(g, 6, 2, 6 + 2);
        add_blob(g, A, 1, i, 500);
        add_rows(h, 5, 1, 5 + 1);
        assert_int_equal(journal_append(f->j, both, 2, WALL), ST_OK);
        group_unref(g);
        group_unref(h);
    }
    for (unsigned round = 0; round < 2; round++) {
        reopen(f);
        r = (struct replayed){0};
        assert_int_equal(journal_replay_rows(f->j, count_rows, &r), ST_OK);
        assert_int_equal(r.bad, 0);
        assert_int_equal(r.sections, 90);
        assert_int_equal(r.rows[0], 30 * 31 / 2 + 30);
        assert_int_equal(r.rows[1], 60);
    }
}

static enum status keep_before(void *ctx, const struct group_rows *site,
                               uint64_t rows_before, const uint8_t *rows)
{
    (void)rows;
    if (site->site == 5)
        *(uint64_t *)ctx = rows_before;
    return ST_OK;
}

static void a_sites_row_count_outlives_its_segments(void **state)
{
    struct fixture *f = *state;
    uint64_t before = 0;

    journal_set_readers(f->j, NULL, 0);
    for (unsigned k = 0; k < 2; k++) {
        struct group *g = group_new();
        add_rows(g, 5, 7, 1);
        assert_int_equal(journal_append(f->j, &g, 1, WALL), ST_OK);
        group_unref(g);
        journal_rows_safe(f->j, journal_next_sequence(f->j));
        for (unsigned i = 0; i < 100 && k == 0; i++)
            assert_int_equal(append_blob(f, A, 1, i, 3000), ST_OK);
        if (k == 0) {
            reopen(f);
            journal_set_readers(f->j, NULL, 0);
        }
    }
    reopen(f);
    assert_int_equal(journal_replay_rows(f->j, keep_before, &before), ST_OK);
    assert_int_equal(before, 7);
}

static void a_full_disk_refuses_and_resumes(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(append_blob(f, A, 1, 0, 3000), ST_OK);
    write_error = ENOSPC;
    assert_int_equal(append_blob(f, A, 1, 99, 3000), ST_FULL);
    write_error = 0;
    sync_error = ENOSPC;
    assert_int_equal(append_blob(f, A, 1, 99, 3000), ST_FULL);
    sync_error = 0;
    assert_int_equal(count_in_order(f, A, 0), 1); /* nothing visible */
    assert_int_equal(append_blob(f, A, 1, 1, 3000), ST_OK);
    assert_int_equal(count_in_order(f, A, 0), 2);
    reopen(f);
    assert_int_equal(f->found.damaged, 0);
    assert_int_equal(count_in_order(f, A, 0), 2);
}

/* Running counts are of what is on disk. */
static void a_refused_group_leaves_no_count_behind(void **state)
{
    struct fixture *f = *state;
    struct journal_cursor at = {0};
    struct journal_blob b;
    uint64_t before = 99;

    for (unsigned i = 0; i < 2; i++) {
        struct group *g = group_new();
        add_rows(g, 5, 7, 1);
        add_blob(g, A, 3, 0, 10);
        write_error = i == 0 ? ENOSPC : 0;
        assert_int_equal(journal_append(f->j, &g, 1, WALL),
                         i == 0 ? ST_FULL : ST_OK);
        group_unref(g);
    }
    assert_int_equal(read_blob(f, &at, A, &b), ST_OK);
    assert_int_equal(b.first_fragment, 0);
    assert_int_equal(read_blob(f, &at, A, &b), ST_END);
    reopen(f);
    assert_int_equal(journal_replay_rows(f->j, keep_before, &before), ST_OK);
    assert_int_equal(before, 0);
}

static void a_mark_inside_a_group_leaves_the_rest_waiting(void **state)
{
    struct fixture *f = *state;
    struct mark m = {.destination = A, .sequence = journal_next_sequence(f->j)};
    uint64_t bytes, cleared;
    int64_t oldest;

    assert_int_equal(append_blob(f, A, 3, 0, 10), ST_OK);
    for (unsigned round = 0; round < 2; round++) {
        for (m.fragment = 0; m.fragment <= 3; m.fragment++) {
            journal_set_mark(f->j, &m);
            journal_backlog(f->j, A, &bytes, &oldest, &cleared);
            assert_int_equal(bytes == 0, m.fragment == 3);
            assert_int_equal(cleared, 3);
        }
        reopen(f);
        journal_backlog(f->j, A, &bytes, &oldest, &cleared);
        assert_true(bytes > 0 && oldest == WALL); /* no mark was written */
    }
}

static void after_a_failed_write_or_sync_it_is_broken(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(append_blob(f, A, 1, i, 3000), ST_OK);
        *(i == 0 ? &write_error : &sync_error) = EIO;
        assert_int_equal(append_blob(f, A, 1, 99, 3000), ST_IO);
        write_error = sync_error = 0;
        assert_int_equal(append_blob(f, A, 1, 99, 3000), ST_IO);
        assert_int_equal(journal_append(f->j, NULL, 0, WALL), ST_IO);
        struct mark m;
        journal_get_mark(f->j, A, &m);
        assert_int_equal(m.cleared, i + 1); /* not the failed ones */
        if (i == 0)
            reopen(f);
    }
}

static void no_new_segment_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    unsigned i = 0;
    struct journal_limits low = f->limits;

    low.disk_free = UINT64_MAX; /* stops the maker */
    journal_set_limits(f->j, &low);
    assert_int_equal(append_blob(f, A, 1, 0, 100), ST_FULL);
    assert_false(journal_has_room(f->j, 1));
    /* Marks and rows get through as long as there is allocated room. */
    struct mark m = {.destination = A, .sequence = 1};
    journal_set_mark(f->j, &m);
    while (journal_append(f->j, NULL, 0, WALL) == ST_OK && i < 100)
        i++;
    assert_int_equal(i, 32); /* the two segments made at open */
    journal_set_limits(f->j, &f->limits);
    assert_true(journal_has_room(f->j, 1));
    assert_int_equal(append_blob(f, A, 1, 0, 100), ST_OK);
    assert_int_equal(count_in_order(f, A, 0), 1);
}

static void limits_of_the_spool_count_outage_too(void **state)
{
    struct fixture *f = *state;
    struct journal_limits small = {.spool_bytes = 8 * JOURNAL_PAGE};
    const uint64_t readers[] = {A};
    struct journal_cursor at = {0};
    unsigned i = 0;

    journal_set_readers(f->j, readers, 1);
    journal_set_limits(f->j, &small);
    while (append_blob(f, A, 1, i, 100) == ST_OK)
        i++;
    assert_int_equal(i, 8); /* eight pages in, the ninth out */
    assert_int_equal(deliver(f, &at, A), 8);
    assert_int_equal(append_blob(f, A, 1, i, 100), ST_OK);
    journal_set_other_bytes(f->j, small.spool_bytes - JOURNAL_PAGE);
    assert_int_equal(deliver(f, &at, A), 1);
    assert_int_equal(append_blob(f, A, 1, i + 1, 100), ST_OK);
    assert_int_equal(deliver(f, &at, A), 1);
    journal_set_other_bytes(f->j, small.spool_bytes - JOURNAL_PAGE + 1);
    assert_int_equal(append_blob(f, A, 1, i + 2, 100), ST_FULL);
}

static void a_group_over_the_segment_is_a_limit(void **state)
{
    struct fixture *f = *state;
    size_t head = HEADER_BYTES + BLOB_ENTRY_BYTES + MARK_ENTRY_BYTES;

    assert_int_equal(append_blob(f, A, 1, 0, SEGMENT - head + 1), ST_LIMIT);
    assert_int_equal(append_blob(f, A, 1, 0, SEGMENT - head), ST_OK);
    assert_int_equal(append_blob(f, A, 1, 1, SEGMENT - head), ST_OK);
    reopen(f);
    assert_int_equal(count_in_order(f, A, 0), 2);
}

static bool file_holds(const struct fixture *f, unsigned number,
                       const char *text)
{
    char path[128];
    static char bytes[SEGMENT];

    segment_path(f, number, path);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, bytes, sizeof(bytes));
    (void)close(fd);
    return n > 0 && memmem(bytes, (size_t)n, text, strlen(text)) != NULL;
}

static void idle_segments_are_zeroed_and_rolled_ones_too(void **state)
{
    struct fixture *f = *state;
    struct journal_cursor at = {0};
    const uint64_t readers[] = {A};

    journal_set_readers(f->j, readers, 1);
    assert_int_equal(append_blob(f, A, 1, 0, 100), ST_OK);
    assert_int_equal(deliver(f, &at, A), 1);
    assert_int_equal(journal_zero_idle(f->j), ST_OK);
    assert_true(file_holds(f, 1, "blob 0.") || file_holds(f, 2, "blob 0."));
    journal_roll(f->j); /* begin another one ... */
    assert_int_equal(append_blob(f, A, 1, 1, 100), ST_OK);
    /* ... which says that the first is past: now it may go. */
    assert_int_equal(append_blob(f, A, 1, 2, 100), ST_OK);
    assert_int_equal(journal_zero_idle(f->j), ST_OK);
    for (unsigned i = 1; i <= 4; i++)
        assert_false(file_holds(f, i, "blob 0."));
    reopen(f);
    assert_int_equal(f->found.damaged, 0);
    assert_int_equal(count_in_order(f, A, 1), 2);
}

static void a_segment_file_that_is_too_long_is_foreign(void **state)
{
    struct fixture *f = *state;
    struct journal *other = NULL;
    struct journal_recovery found;
    char path[128];

    segment_path(f, 1, path);
    assert_int_equal(truncate(path, SEGMENT + 1), 0);
    assert_int_equal(
        journal_open_sized(f->folder, &f->limits, SEGMENT, &other, &found),
        ST_CORRUPT);
    assert_null(other);
}

static void the_sequence_of_a_new_journal_is_beyond_an_older_ones(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(append_blob(f, A, 1, i, 10), ST_OK);
    uint64_t used = journal_next_sequence(f->j);
    assert_true(used < UINT64_C(1) << 53); /* exact as a JSON number */
    journal_close(f->j);
    folder_empty(f->folder);
    assert_int_equal(fixture_open(f), ST_OK);
    assert_true(f->found.groups == 0);
    assert_true(f->found.next_sequence >= used);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(recovery_tells_the_lowest_optout_number_that_a_blob_saw),
        T(blobs_come_back_in_order_to_their_destination),
        T(a_cursor_with_a_sequence_starts_there),
        T(segments_follow_and_survive_a_restart),
        T(marks_and_totals_survive_restarts_and_recycling),
        T(a_mark_is_written_at_most_every_100_ms),
        T(what_everybody_is_past_is_recycled),
        T(a_reader_that_lags_is_never_overtaken),
        T(nothing_is_recycled_before_readers_are_known),
        T(rows_hold_their_segment_until_they_are_safe),
        T(r_rows_are_replayed_in_order_with_their_running_count),
        T(a_sites_row_count_outlives_its_segments),
        T(a_full_disk_refuses_and_resumes),
        T(a_refused_group_leaves_no_count_behind),
        T(a_mark_inside_a_group_leaves_the_rest_waiting),
        T(after_a_failed_write_or_sync_it_is_broken),
        T(no_new_segment_on_a_full_disk),
        T(limits_of_the_spool_count_outage_too),
        T(a_group_over_the_segment_is_a_limit),
        T(idle_segments_are_zeroed_and_rolled_ones_too),
        T(a_segment_file_that_is_too_long_is_foreign),
        T(the_sequence_of_a_new_journal_is_beyond_an_older_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
