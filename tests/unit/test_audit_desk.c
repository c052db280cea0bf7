/* The desk of /audit/: what a target asks for, and whose reading is on record.
 * Its answers are in tests/scenario/test_tiles.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lethe/gateway/audit_desk.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <stdio.h>

static void a_target_is_taken_to_the_letter(void **state)
{
    static const char *const wrong[] = {"",
                                        "/",
                                        "/audit",
                                        "/audit/",
                                        "audit/checkpoint",
                                        "/audit//checkpoint",
                                        "/audit/checkpoint/",
                                        "/audit/checkpoint?",
                                        "/audit/checkpoint#x",
                                        "/audit/%63heckpoint",
                                        "/audit/minimum-index ",
                                        "/audit/minimum",
                                        "/audit/tile/0/000?x",
                                        "/audit/tile/0/0",
                                        "/AUDIT/checkpoint",
                                        "http://127.0.0.1/audit/checkpoint"};
    struct audit_ask ask;

    (void)state;
    assert_int_equal(audit_ask_read(SLICE("/audit/checkpoint"), &ask), ST_OK);
    assert_int_equal(ask.what, AUDIT_ASKED_CHECKPOINT);
    assert_int_equal(audit_ask_read(SLICE("/audit/minimum-index"), &ask),
                     ST_OK);
    assert_int_equal(ask.what, AUDIT_ASKED_MINIMUM);
    assert_int_equal(audit_ask_read(SLICE("/audit/tile/1/x001/002.p/3"), &ask),
                     ST_OK);
    assert_int_equal(ask.what, AUDIT_ASKED_TILE);
    assert_int_equal(ask.tile.level, 1);
    assert_int_equal(ask.tile.number, 1002);
    assert_int_equal(ask.tile.width, 3);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (audit_ask_read(slice_of(wrong[i]), &ask) != ST_SYNTAX)
            fail_msg("%s was taken", wrong[i]);
}

static void a_reading_counts_for_a_while(void **state)
{
    struct audit_desk *d = NULL;
    struct event_base *base = event_base_new();
    const int64_t over = AUDIT_DESK_READING_MS;
    char who[16];

    (void)state;
    assert_int_equal(audit_desk_open(base, "/nowhere", &d), ST_OK);
    assert_false(audit_desk_is_read_by(d, "a", 5));
    assert_true(audit_desk_is_read_by(d, "a", 5));
    assert_true(audit_desk_is_read_by(d, "a", 4 + over));
    assert_false(audit_desk_is_read_by(d, "a", 5 + over));
    assert_true(audit_desk_is_read_by(d, "a", 5 + over));
    audit_desk_unread(d, "a"); /* it could not be recorded */
    assert_false(audit_desk_is_read_by(d, "a", 5 + over));
    /* As many as are remembered; one more, and the oldest counts anew. */
    for (unsigned i = 1; i < AUDIT_DESK_READERS; i++) {
        (void)snprintf(who, sizeof(who), "b%u", i);
        assert_false(audit_desk_is_read_by(d, who, 6 + over + i));
    }
    assert_true(audit_desk_is_read_by(d, "a", 100 + over));
    assert_false(audit_desk_is_read_by(d, "more", 100 + over));
    assert_true(audit_desk_is_read_by(d, "b1", 100 + over));
    assert_false(audit_desk_is_read_by(d, "a", 100 + over));
    audit_desk_close(d);
    audit_desk_close(NULL);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_taken_to_the_letter),
        cmocka_unit_test(a_reading_counts_for_a_while),
    };

    if (evthread_use_pthreads() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
