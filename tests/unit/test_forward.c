/* Forwarders to network destinations, against a real recorder. */
#include "forward_world.h"

#include <poll.h>

static void batches_arrive_once_and_the_mark_passes(void **state)
{
    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    put((struct put){.count = 450});
    start();
    put((struct put){.from = 450, .count = 7});
    expect((struct wanted){.accepted = 457});
    for (unsigned n = 0; n < 457; n++)
        assert_int_equal(recorder_has(&w.web, n), 1);
    assert_int_equal(w.web.most, 200);
    expect_mark_past(0);
    struct mark m;
    journal_get_mark(w.journal, w.dest[0].key, &m);
    assert_int_equal(m.accepted, 457);
    expect_rows(ACT_EXPIRED, REASON_EXPIRED_WAITING, 0);
}

static bool is_failing(void *ctx)
{
    struct forward_facts f = facts(*(unsigned *)ctx);

    return f.failing;
}

static void retry_after_is_honoured(void **state)
{
    unsigned zero = 0;

    (void)state;
    recorder_answers(&w.web, 503);
    w.web.retry_after = "120";
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    put((struct put){.count = 3});
    assert_true(reached(is_failing, &zero));
    unsigned before = recorder_requests(&w.web);
    recorder_answers(&w.web, 204);
    /* longer than the first back-off would be, shorter than was asked for */
    jump(60 * MS_PER_S);
    uint64_t sent;
    assert_int_equal(forward_sweep(w.forward, WAIT_MS, &sent), ST_OK);
    assert_int_equal(recorder_requests(&w.web), before);
    assert_int_equal(facts(0).last_status, 503);
    jump(61 * MS_PER_S);
    expect((struct wanted){.accepted = 3});
    assert_false(facts(0).failing);
}

static void poison_is_halved_out_and_replayed(void **state)
{
    uint64_t rows = 0, fragments = 0, count = 0;
    int64_t oldest;

    (void)state;
    w.web.poison = "bad";
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    put((struct put){.from = 0, .count = 9});
    put((struct put){.from = 9, .count = 1, .word = "bad"});
    put((struct put){.from = 10, .count = 6});
    start();
    expect((struct wanted){.accepted = 15, .dead = 1});
    for (unsigned n = 0; n < 16; n++)
        assert_int_equal(recorder_has(&w.web, n), n == 9 ? 0 : 1);
    expect_rows(ACT_DEAD, REASON_RECIPIENT_REFUSED, 1);
    assert_int_equal(w.rows[0].ev, 9);
    assert_int_equal(w.rows[0].rule, 5);
    assert_int_equal(w.rows[0].destinations, 1);
    assert_int_equal(outage_count(w.outage, OUTAGE_DEAD, w.dest[0].key, &rows,
                                  &fragments, &oldest),
                     ST_OK);
    assert_int_equal(fragments, 1);
    expect_mark_past(0);
    recorder_answers(&w.web, 200);
    assert_int_equal(forward_replay(w.forward, w.dest[0].key, &count), ST_OK);
    assert_int_equal(count, 1);
    expect((struct wanted){.accepted = 16, .exactly_dead = true});
    assert_int_equal(recorder_has(&w.web, 9), 1);
    assert_int_equal(forward_replay(w.forward, 4711, &count), ST_UNKNOWN);
}

static void dead_letters_are_purged_and_expire(void **state)
{
    uint64_t count = 0;

    (void)state;
    recorder_answers(&w.web, 400);
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    put((struct put){.count = 2});
    expect((struct wanted){.dead = 2});
    assert_int_equal(forward_purge(w.forward, w.dest[0].key, true, &count),
                     ST_OK);
    assert_int_equal(count, 2);
    expect((struct wanted){.purged = 2, .exactly_dead = true});
    put((struct put){.from = 2, .count = 1});
    expect((struct wanted){.dead = 1});
    jump(8 * MS_PER_DAY);
    expect((struct wanted){.expired = 1, .exactly_dead = true});
    expect_rows(ACT_PURGED, REASON_OPERATOR, 2);
    expect_rows(ACT_EXPIRED, REASON_EXPIRED_WAITING, 1);
}

static void dead_letters_are_not_kept_where_the_policy_says_so(void **state)
{
    (void)state;
    recorder_answers(&w.web, 400);
    recorder_run(&w.web);
    w.policy.keep_dead = (struct duration){0};
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    put((struct put){.count = 2});
    expect((struct wanted){.refused = 2});
    expect_rows(ACT_REFUSED, REASON_RECIPIENT_REFUSED, 2);
}

static void pause_and_resume(void **state)
{
    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, true), ST_OK);
    assert_int_equal(forward_pause(w.forward, 4711, true), ST_UNKNOWN);
    put((struct put){.count = 3});
    jump(MS_PER_MIN);
    uint64_t sent;
    assert_int_equal(forward_sweep(w.forward, WAIT_MS, &sent), ST_OK);
    assert_int_equal(recorder_requests(&w.web), 0);
    assert_true(facts(0).paused);
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, false), ST_OK);
    expect((struct wanted){.accepted = 3});
}

static void what_is_durable_waits_before_a_forwarder_has_seen_it(void **state)
{
    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    put((struct put){.count = 3});
    sweep_hold(w.sweep, true);
    start();
    assert_int_equal(facts(0).waiting, 3); /* at the very start */
    assert_true(facts(0).held);
    assert_true(facts(0).oldest_ms > 0);
    pthread_mutex_lock(&w.lock); /* on_synced() cannot poke */
    struct forward *f = w.forward;
    w.forward = NULL;
    pthread_mutex_unlock(&w.lock);
    put((struct put){.from = 3, .count = 4});
    pthread_mutex_lock(&w.lock);
    w.forward = f;
    pthread_mutex_unlock(&w.lock);
    assert_int_equal(facts(0).waiting, 7);
    assert_int_equal(facts(0).cleared, 7);
    sweep_hold(w.sweep, false);
    forward_poke(w.forward);
    expect((struct wanted){.accepted = 7});
    assert_int_equal(facts(0).waiting, 0);
}

static void one_that_hangs_never_blocks_another(void **state)
{
    struct recorder slow;

    (void)state;
    recorder_run(&w.web);
    recorder_open(&slow, 0); /* accepts by the kernel, answers never */
    add_destination(DESTINATION_HTTP, slow.url);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    for (unsigned i = 0; i < 20; i++) {
        put((struct put){.from = i * 10, .count = 10});
        put((struct put){.from = i * 10, .count = 10, .destination = 1});
    }
    expect((struct wanted){.accepted = 200, .destination = 1});
    assert_int_equal(facts(0).accepted, 0);
    stop();
    recorder_close(&slow);
}

static void r42_an_opt_out_cuts_what_runs(void **state)
{
    static const uint8_t tag[TAG_BYTES] = {1, 2, 3};
    uint64_t sent = 99;

    (void)state;
    recorder_close(&w.web);
    recorder_open(&w.web, 4096); /* not read yet: the body stays with us */
    add_destination(DESTINATION_HTTP, w.web.url);
    w.conf[0].concurrency = 1;
    put((struct put){.count = 15, .pad = 250000, .tag = tag, .tagged = 14});
    start();
    struct pollfd queued = {.fd = w.web.fd, .events = POLLIN};
    assert_int_equal(poll(&queued, 1, WAIT_MS), 1); /* a connection is there */
    assert_int_equal(sweep_add(w.sweep, w.keys, 5, tag), ST_OK);
    assert_int_equal(forward_sweep(w.forward, WAIT_MS, &sent), ST_OK);
    assert_int_equal(sent, 0);
    recorder_run(&w.web);
    expect((struct wanted){.accepted = 14, .swept = 1});
    assert_int_equal(recorder_has(&w.web, 14), 0);
    assert_int_equal(recorder_has(&w.web, 13), 1);
    expect_rows(ACT_SWEPT, REASON_OPTED_OUT_THEN, 1);
}

static bool was_asked(void *ctx)
{
    return recorder_requests(ctx) > 0;
}

static void what_was_wholly_sent_is_told(void **state)
{
    static const uint8_t tag[TAG_BYTES] = {1, 2, 3};
    uint64_t sent = 0;

    (void)state;
    recorder_answers(&w.web, 0);
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    put((struct put){.count = 2, .tag = tag, .tagged = 1});
    assert_true(reached(was_asked, &w.web));
    assert_int_equal(sweep_add(w.sweep, w.keys, 5, tag), ST_OK);
    assert_int_equal(forward_sweep(w.forward, WAIT_MS, &sent), ST_OK);
    assert_int_equal(sent, 1);
    assert_int_equal(facts(0).swept, 0);
}

static void an_unsound_opt_out_store_holds_everything(void **state)
{
    uint64_t sent;

    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    sweep_hold(w.sweep, true);
    start();
    put((struct put){.count = 2});
    jump(MS_PER_MIN);
    assert_int_equal(forward_sweep(w.forward, WAIT_MS, &sent), ST_OK);
    assert_int_equal(recorder_requests(&w.web), 0);
    assert_true(facts(0).held);
    sweep_hold(w.sweep, false);
    forward_poke(w.forward);
    expect((struct wanted){.accepted = 2});
}

static void boundary_release_waits_and_shuffles(void **state)
{
    uint64_t sent;
    bool in_order = true;

    (void)state;
    recorder_run(&w.web);
    w.policy.destinations[0].release_boundary = true;
    w.policy.destinations[0].time_round_ms = MS_PER_H;
    add_destination(DESTINATION_HTTP, w.web.url);
    w.conf[0].batch = 1;
    w.conf[0].concurrency = 1;
    start();
    put((struct put){.count = 40});
    jump(10 * MS_PER_MIN);
    assert_int_equal(forward_sweep(w.forward, WAIT_MS, &sent), ST_OK);
    assert_int_equal(recorder_requests(&w.web), 0);
    jump(50 * MS_PER_MIN);
    expect((struct wanted){.accepted = 40});
    for (unsigned i = 0; i + 1 < w.web.body_count; i++)
        in_order = in_order && strtoul(w.web.bodies[i] + 6, NULL, 10) <
                                   strtoul(w.web.bodies[i + 1] + 6, NULL, 10);
    assert_false(in_order); /* by chance once in 40! */
}

static void tightening_purges_what_waits(void **state)
{
    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, true), ST_OK);
    put((struct put){.count = 5, .event = 1});
    put((struct put){.from = 5, .count = 4, .event = 2});
    struct policy tighter = w.policy;
    tighter.event_count = 1;
    w.dest[0].policy = &tighter;
    configure();
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, false), ST_OK);
    expect((struct wanted){.accepted = 5, .purged = 4});
    expect_rows(ACT_PURGED, REASON_POLICY_CHANGED, 4);
    assert_int_equal(recorder_has(&w.web, 5), 0);
    stop(); /* `tighter` ends here */
}

static void each_fragment_has_its_own_expiry(void **state)
{
    unsigned zero = 0;

    (void)state;
    recorder_answers(&w.web, 500);
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    put((struct put){.count = 4, .expires_ms = MS_PER_MIN});
    put((struct put){.from = 4, .count = 3});
    assert_true(reached(is_failing, &zero));
    jump(2 * MS_PER_MIN);
    expect((struct wanted){.expired = 4});
    recorder_answers(&w.web, 200);
    jump(10 * MS_PER_MIN);
    expect((struct wanted){.expired = 4, .accepted = 3});
    expect_rows(ACT_EXPIRED, REASON_EXPIRED_WAITING, 4);
}

static bool has_moved(void *ctx)
{
    uint64_t rows = 0, fragments = 0;
    int64_t oldest;

    return outage_count(w.outage, OUTAGE_WAITING, w.dest[0].key, &rows,
                        &fragments, &oldest) == ST_OK &&
           fragments == *(unsigned *)ctx;
}

static void a_long_wait_moves_to_the_outage_store(void **state)
{
    unsigned all = 900, none = 0;

    (void)state;
    recorder_answers(&w.web, 500);
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    for (unsigned i = 0; i < 9; i++)
        put((struct put){.from = i * 100, .count = 100, .pad = 8000});
    jump(16 * MS_PER_MIN);
    assert_true(reached(has_moved, &all));
    expect_mark_past(0);
    assert_int_equal(facts(0).waiting, 900);
    stop(); /* a restart finds them */
    recorder_answers(&w.web, 200);
    start();
    put((struct put){.from = 900, .count = 1});
    expect((struct wanted){.accepted = 901});
    for (unsigned n = 0; n < 901; n += 50)
        assert_int_equal(recorder_has(&w.web, n), 1);
    assert_true(reached(has_moved, &none));
}

static void the_operator_purges_what_waits(void **state)
{
    uint64_t count = 0;

    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, true), ST_OK);
    for (unsigned i = 0; i < 4; i++)
        put((struct put){.from = i * 10, .count = 10});
    assert_int_equal(forward_purge(w.forward, w.dest[0].key, false, &count),
                     ST_OK);
    assert_int_equal(count, 40);
    expect((struct wanted){.purged = 40});
    assert_int_equal(forward_pause(w.forward, w.dest[0].key, false), ST_OK);
    put((struct put){.from = 40, .count = 1});
    expect((struct wanted){.purged = 40, .accepted = 1});
    assert_int_equal(recorder_has(&w.web, 39), 0);
    expect_rows(ACT_PURGED, REASON_OPERATOR, 40);
}

static void a_key_that_is_gone_is_counted(void **state)
{
    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    struct spool_key k = put((struct put){.count = 3});
    assert_int_equal(spool_keys_destroy(w.keys, k.slot, k.use), ST_OK);
    start();
    put((struct put){.from = 3, .count = 2, .epoch = 2});
    expect((struct wanted){.accepted = 2, .expired = 3});
    expect_rows(ACT_EXPIRED, REASON_KEY_GONE, 3);
    expect_mark_past(0);
}

static bool no_marks_pending(void *ctx)
{
    (void)ctx;
    return !journal_marks_pending(w.journal);
}

static unsigned live_keys(void)
{
    struct spool_key k;
    unsigned n = 0;

    while (spool_keys_each(w.keys, n, &k) == ST_OK)
        n++;
    return n;
}

static void r33_a_key_dies_with_its_last_fragment(void **state)
{
    const struct live_epoch live = {.destination = 100, .epoch = 2};

    (void)state;
    recorder_answers(&w.web, 500);
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    put((struct put){.count = 3, .epoch = 1});
    put((struct put){.from = 3, .count = 3, .epoch = 2});
    assert_true(reached(no_marks_pending, NULL));
    forward_collect_keys(w.forward, &live, 1);
    jump(30 * MS_PER_S);
    forward_collect_keys(w.forward, &live, 1);
    assert_int_equal(live_keys(), 2); /* epoch 1 still waits */
    recorder_answers(&w.web, 200);
    jump(5 * MS_PER_MIN);
    expect((struct wanted){.accepted = 6});
    expect_mark_past(0);
    assert_true(reached(no_marks_pending, NULL));
    forward_collect_keys(w.forward, &live, 1);
    assert_int_equal(live_keys(), 1);
    forward_collect_keys(w.forward, NULL, 0); /* first seen dead: settles */
    assert_int_equal(live_keys(), 1);
}

static void what_a_removed_destination_left_is_purged(void **state)
{
    unsigned zero = 0;

    (void)state;
    recorder_answers(&w.web, 500);
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    for (unsigned i = 0; i < 8; i++)
        put((struct put){.from = i * 100, .count = 100, .pad = 8000});
    assert_true(reached(is_failing, &zero));
    assert_int_equal(forward_configure(w.forward, w.dest, 0, "2026-11-22"),
                     ST_OK);
    expect_rows(ACT_PURGED, REASON_POLICY_CHANGED, 800);
    expect_mark_past(0);
}

static void a_bad_list_leaves_the_former(void **state)
{
    (void)state;
    recorder_run(&w.web);
    add_destination(DESTINATION_HTTP, w.web.url);
    start();
    add_destination(DESTINATION_JSONL, (char *)(uintptr_t) "/nonexistent/x");
    assert_int_not_equal(forward_configure(w.forward, w.dest, 2, "2026-11-22"),
                         ST_OK);
    put((struct put){.count = 3});
    expect((struct wanted){.accepted = 3});
    assert_int_equal(forward_configure(w.forward, w.dest, 0, "2026-11-22"),
                     ST_OK);
    struct forward_facts none;
    assert_int_equal(forward_list(w.forward, &none, 1), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(batches_arrive_once_and_the_mark_passes),
        T(retry_after_is_honoured),
        T(poison_is_halved_out_and_replayed),
        T(dead_letters_are_purged_and_expire),
        T(dead_letters_are_not_kept_where_the_policy_says_so),
        T(pause_and_resume),
        T(what_is_durable_waits_before_a_forwarder_has_seen_it),
        T(one_that_hangs_never_blocks_another),
        T(r42_an_opt_out_cuts_what_runs),
        T(what_was_wholly_sent_is_told),
        T(an_unsound_opt_out_store_holds_everything),
        T(boundary_release_waits_and_shuffles),
        T(tightening_purges_what_waits),
        T(each_fragment_has_its_own_expiry),
        T(a_long_wait_moves_to_the_outage_store),
        T(the_operator_purges_what_waits),
        T(a_key_that_is_gone_is_counted),
        T(r33_a_key_dies_with_its_last_fragment),
        T(what_a_removed_destination_left_is_purged),
        T(a_bad_list_leaves_the_former),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
