/* Time in the audit log: when batches close, steps of the clock, the grain of
 * rows, and no holes over restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_fixture.h"
#include "lethe/audit_codes.h"
#include "verify_case.h"

#define SEG0  "seg/000000000000.jsonl"
#define ROWS0 "rows/000000000000.rows"
#define HOUR  (3600 * 1000)

static struct fixture fix;

static int setup(void **state)
{
    *state = &fix;
    return fixture_make(&fix) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture_drop(*state);
    return 0;
}

static unsigned count(struct fixture *f, const char *what)
{
    size_t len;
    char *text = fixture_load(f->folder, SEG0, &len);
    unsigned n = 0;

    assert_non_null(text);
    for (const char *at = strstr(text, what); at != NULL;
         at = strstr(at + 1, what))
        n++;
    free(text);
    return n;
}

static void assert_sound(struct fixture *f)
{
    struct verify_report r = verify_plain(f->folder, NULL);

    if (r.verdict != VERIFY_INCOMPLETE)
        print_message("%s\n", r.text);
    assert_int_equal(r.verdict, VERIFY_INCOMPLETE);
}

static struct audit_row cleared(uint64_t ev)
{
    return (struct audit_row){0, ACT_CLEARED, 0, 3, 1, 1, 0, ev, 7};
}

static uint64_t begin(struct fixture *f)
{
    uint64_t policy;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    return policy;
}

static void a_batch_closes_after_a_second_and_not_before(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = cleared(1);
    uint64_t policy = begin(f);

    fixture_rows(f, MIXBOT, policy, 1, &r, 1);
    assert_int_equal(fixture_read(f), ST_OK);
    f->now = 999;
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(count(f, "\"site\":\"mixbot\""), 0);
    f->now = 1000;
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(count(f, "\"site\":\"mixbot\""), 1);
    fixture_stop(f);
    assert_sound(f);
}

/* A step of a second is drift; a millisecond more is said, both ways. */
static void the_clock_steps_at_more_than_a_second(void **state)
{
    static const int64_t steps[] = {1000, -1000, 1001, -1001};
    struct fixture *f = *state;
    int64_t skew = 0;

    (void)begin(f);
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        skew += steps[i];
        f->skew = skew;
        assert_int_equal(fixture_read(f), ST_OK);
        assert_int_equal(count(f, "\"clock.step\""), i < 2 ? 0 : i - 1);
    }
    fixture_stop(f);
    assert_sound(f);
}

/* Times of rows are no finer than audit.time_step says. */
static void rows_have_the_grain_of_time_step(void **state)
{
    static const int64_t at[] = {0, 249, 250, 499, 749, 750};
    static const uint32_t want[] = {0, 0, 250000, 250000, 500000, 750000};
    struct fixture *f = *state;
    size_t len;

    f->config.time_step_ms = 250;
    uint64_t policy = begin(f);
    for (unsigned i = 0; i < 6; i++) {
        struct audit_row r = cleared(i + 1);
        f->now = at[i];
        fixture_rows(f, MIXBOT, policy, i + 1, &r, 1);
    }
    fixture_stop(f);
    char *bytes = fixture_load(f->folder, ROWS0, &len);
    assert_non_null(bytes);
    assert_int_equal(len, 6 * ROW_BYTES);
    for (unsigned i = 0; i < 6; i++) {
        struct audit_row r;
        row_decode((const uint8_t *)bytes + (size_t)i * ROW_BYTES, &r);
        assert_int_equal(r.t_us, want[i]);
    }
    free(bytes);
    assert_sound(f);
}

/* The time while it was down belongs to a batch, too: t0 goes on where t1
 * ended, for each site, whoever was silent in a run. */
static void no_holes_over_restarts(void **state)
{
    struct fixture *f = *state;

    for (unsigned run = 0; run < 6; run++) {
        struct audit_row r = cleared(run + 1);
        uint64_t policy = begin(f);
        fixture_rows(f, run % 3 == 0 ? MIXBOT : SHOP, policy, run + 1, &r, 1);
        f->now += run % 2 == 0 ? 1500 : 61000;
        assert_int_equal(fixture_read(f), ST_OK);
        fixture_stop(f);
        assert_sound(f);
        f->now += run * HOUR;
    }
    assert_int_equal(count(f, "\"gate.start\""), 6);
    assert_int_equal(count(f, "\"site\":\"shop\""), 4);
}

/* Another mode from a start on is said by that start, and sums go on. */
static void each_start_says_which_rows_it_keeps(void **state)
{
    static const enum conf_rows modes[] = {ROWS_ALL, ROWS_NONE, ROWS_DROPPED,
                                           ROWS_ALL};
    struct fixture *f = *state;

    for (unsigned run = 0; run < 4; run++) {
        struct audit_row rows[] = {cleared(2 * run + 1), cleared(2 * run + 2)};
        rows[1].act = ACT_DROPPED;
        rows[1].reason = REASON_GPC;
        f->config.rows = modes[run];
        uint64_t policy = begin(f);
        fixture_rows(f, MIXBOT, policy, run + 1, rows, 2);
        fixture_stop(f);
        assert_sound(f);
        f->now += HOUR;
    }
    assert_int_equal(count(f, "\"rows\":\"all\""), 2);
    assert_int_equal(count(f, "\"rows\":\"none\""), 1);
    assert_int_equal(count(f, "\"rows\":\"dropped\""), 1);
    assert_int_equal(count(f, "\"cum\":{\"in\":8,\"fwd\":4,\"mod\":0,"
                              "\"drop\":4}"),
                     1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_batch_closes_after_a_second_and_not_before),
        T(the_clock_steps_at_more_than_a_second),
        T(rows_have_the_grain_of_time_step),
        T(no_holes_over_restarts),
        T(each_start_says_which_rows_it_keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
