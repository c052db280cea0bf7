/* Checkpoints that stay: the public one changes at full hours only, the day's
 * is there each day, and cosigned where anybody signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "lethe/gateway/audit/kept.h"
#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/file.h"
#include "lethe/policy/base/clock.h"

#include <sodium.h>
#include <string.h>

#define HOUR AUDIT_SHOWN_EVERY_MS
#define T0   (INT64_C(1795305600000) + 9 * HOUR) /* 2026-11-22T09:00:00Z */

static char folder[64];
static struct audit_kept *kept;

static void reopen(void)
{
    audit_kept_close(kept);
    kept = NULL;
    assert_int_equal(audit_kept_open(folder, &kept), ST_OK);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/lethe-kept-XXXXXX");
    if (sodium_init() < 0 || mkdtemp(folder) == NULL)
        return -1;
    kept = NULL;
    return audit_kept_open(folder, &kept) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    audit_kept_close(kept);
    return folder_remove(folder);
}

static void path_of(const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", folder, name);
}

/* A checkpoint of `size` leaves; with a witness's line, too. */
static void sign_as(const char *origin, const char *name, uint64_t size,
                    bool cosigned)
{
    static const uint8_t seed[NOTE_SEED_BYTES] = {1};
    struct note_signer log, witness;
    struct checkpoint c = {.origin = slice_of(origin), .size = size};
    struct buf b, text;
    char path[128];

    buf_init(&text, 1024);
    buf_init(&b, 4096);
    checkpoint_put(&c, &text);
    buf_put(&b, buf_slice(&text));
    buf_put_char(&b, '\n');
    assert_int_equal(
        note_signer_make(slice_of(origin), NOTE_ED25519, seed, &log), ST_OK);
    assert_int_equal(note_sign(&log, buf_slice(&text), 0, &b), ST_OK);
    assert_int_equal(
        note_signer_make(SLICE("w"), NOTE_COSIGNATURE, seed, &witness), ST_OK);
    if (cosigned)
        assert_int_equal(note_sign(&witness, buf_slice(&text), 7, &b), ST_OK);
    path_of(name, path);
    assert_int_equal(file_put(path, 0600, buf_slice(&b)), ST_OK);
    buf_free(&text);
    buf_free(&b);
}

static void sign(const char *name, uint64_t size, bool cosigned)
{
    sign_as("o/audit", name, size, cosigned);
}

/* Size and number of signatures of a note; size 0: it is none. */
static void look(struct slice bytes, uint64_t *size, unsigned *signatures)
{
    struct checkpoint c;
    struct note n;

    *size = *signatures = 0;
    if (note_read(bytes, &n) != ST_OK || checkpoint_read(n.text, &c) != ST_OK)
        return;
    *size = c.size;
    *signatures = n.count;
}

static void assert_shown(uint64_t size, unsigned signatures)
{
    struct buf b;
    uint64_t s;
    unsigned n;

    buf_init(&b, NOTE_BYTES_MAX);
    assert_int_equal(audit_kept_shown(kept, &b), size > 0);
    look(buf_slice(&b), &s, &n);
    assert_int_equal(s, size);
    assert_int_equal(n, signatures);
    buf_free(&b);
}

static void assert_day(const char *name, uint64_t size, unsigned signatures)
{
    char path[128];
    struct buf b;
    uint64_t s = 0;
    unsigned n = 0;

    path_of(name, path);
    if (file_read(path, NOTE_BYTES_MAX, &b) == ST_OK)
        look(buf_slice(&b), &s, &n);
    buf_free(&b);
    assert_int_equal(s, size);
    assert_int_equal(n, signatures);
}

static void drop(const char *name)
{
    char path[128];

    path_of(name, path);
    assert_int_equal(unlink(path), 0);
}

/* ---- the public one ---------------------------------------------------------
 */

static void it_changes_at_full_hours_only(void **state)
{
    (void)state;
    sign("checkpoint", 5, false);
    audit_kept_tick(kept, T0 + 17 * MS_PER_MIN); /* there was none at all */
    assert_shown(5, 1);
    for (int64_t t = T0 + 18 * MS_PER_MIN; t < T0 + HOUR; t += MS_PER_MIN) {
        sign("checkpoint", (uint64_t)(t / 1000), false);
        audit_kept_tick(kept, t);
        assert_shown(5, 1);
    }
    sign("checkpoint", 77, false);
    audit_kept_tick(kept, T0 + HOUR - 1);
    assert_shown(5, 1);
    audit_kept_tick(kept, T0 + HOUR);
    assert_shown(77, 1);
    sign("checkpoint", 78, false);
    audit_kept_tick(kept, T0 + HOUR + 1000);
    assert_shown(77, 1);
}

static void a_restart_shows_the_same(void **state)
{
    (void)state;
    sign("checkpoint", 5, false);
    audit_kept_tick(kept, T0);
    sign("checkpoint", 9, false);
    reopen();
    assert_shown(5, 1); /* before the first tick */
    audit_kept_tick(kept, T0 + HOUR - 1);
    assert_shown(5, 1);
    reopen();
    audit_kept_tick(kept, T0 + HOUR);
    assert_shown(9, 1);
}

static void without_a_signer_it_stays_and_waits_for_the_next_hour(void **state)
{
    (void)state;
    audit_kept_tick(kept, T0);
    assert_shown(0, 0);
    sign("checkpoint", 5, false);
    audit_kept_tick(kept, T0 + 1000); /* the first may come at any time */
    assert_shown(5, 1);
    drop("checkpoint");
    audit_kept_tick(kept, T0 + HOUR);
    assert_shown(5, 1);
    sign("checkpoint", 6, false); /* a second that says when it came back */
    audit_kept_tick(kept, T0 + HOUR + 1000);
    assert_shown(5, 1);
    audit_kept_tick(kept, T0 + 2 * HOUR);
    assert_shown(6, 1);
}

static void it_never_goes_back_but_to_another_log(void **state)
{
    (void)state;
    sign("checkpoint", 50, false);
    audit_kept_tick(kept, T0);
    sign("checkpoint", 40, false);
    audit_kept_tick(kept, T0 + HOUR);
    assert_shown(50, 1);
    sign_as("o/audit/2", "checkpoint", 3, false);
    audit_kept_tick(kept, T0 + 2 * HOUR);
    assert_shown(3, 1);
    /* A clock put back: what was shown stays until the log is longer. */
    sign_as("o/audit/2", "checkpoint", 4, false);
    audit_kept_tick(kept, T0);
    assert_shown(4, 1);
}

static void what_witnesses_signed_is_shown_if_it_is_new(void **state)
{
    (void)state;
    sign("checkpoint", 50, false);
    sign("cosigned", 45, true);
    audit_kept_tick(kept, T0);
    assert_shown(45, 2);
    sign("checkpoint", 60, false); /* they have signed nothing since */
    audit_kept_tick(kept, T0 + HOUR);
    assert_shown(60, 1);
    sign("cosigned", 70, true); /* of more than the log has: not ours */
    sign("checkpoint", 65, false);
    audit_kept_tick(kept, T0 + 2 * HOUR);
    assert_shown(65, 1);
    sign_as("other/audit", "cosigned", 68, true);
    sign("checkpoint", 69, false);
    audit_kept_tick(kept, T0 + 3 * HOUR);
    assert_shown(69, 1);
}

static void what_is_no_checkpoint_is_not_shown(void **state)
{
    static const char *const wrong[] = {"", "x", "1\n", "499999\nx\n", "-1\n"};
    char path[128];

    (void)state;
    path_of("shown", path);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(file_put(path, 0600, slice_of(wrong[i])), ST_OK);
        reopen();
        assert_shown(0, 0);
    }
    path_of("checkpoint", path);
    assert_int_equal(file_put(path, 0600, SLICE("garbage\n")), ST_OK);
    audit_kept_tick(kept, T0);
    assert_shown(0, 0);
    sign("checkpoint", 0, false); /* a log that has just begun */
    audit_kept_tick(kept, T0);
    assert_shown(0, 0);
    assert_day("cp/2026-11-22.txt", 0, 0);
}

/* ---- one a day --------------------------------------------------------------
 */

static void each_day_has_one(void **state)
{
    (void)state;
    audit_kept_tick(kept, T0);
    assert_day("cp/2026-11-22.txt", 0, 0);
    sign("checkpoint", 5, false);
    audit_kept_tick(kept, T0 + 1000);
    assert_day("cp/2026-11-22.txt", 5, 1);
    sign("checkpoint", 6, false);
    audit_kept_tick(kept, T0 + 2 * MS_PER_MIN);
    reopen();
    audit_kept_tick(kept, T0 + 15 * HOUR - 1);
    assert_day("cp/2026-11-22.txt", 5, 1);
    assert_day("cp/2026-11-23.txt", 0, 0);
    audit_kept_tick(kept, T0 + 15 * HOUR);
    assert_day("cp/2026-11-23.txt", 6, 1);
    assert_day("cp/2026-11-22.txt", 5, 1);
}

static void the_days_first_cosigned_one_takes_its_place(void **state)
{
    (void)state;
    sign("checkpoint", 50, false);
    sign("cosigned", 45, true); /* who knows from when */
    audit_kept_tick(kept, T0);
    assert_day("cp/2026-11-22.txt", 50, 1);
    audit_kept_tick(kept, T0 + MS_PER_MIN);
    assert_day("cp/2026-11-22.txt", 50, 1);
    sign("cosigned", 50, true);
    audit_kept_tick(kept, T0 + 2 * MS_PER_MIN - 1); /* once a minute */
    assert_day("cp/2026-11-22.txt", 50, 1);
    audit_kept_tick(kept, T0 + 2 * MS_PER_MIN);
    assert_day("cp/2026-11-22.txt", 50, 2);
    sign("cosigned", 99, true);
    audit_kept_tick(kept, T0 + 9 * MS_PER_MIN);
    reopen();
    audit_kept_tick(kept, T0 + 10 * MS_PER_MIN);
    assert_day("cp/2026-11-22.txt", 50, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(it_changes_at_full_hours_only),
        CASE(a_restart_shows_the_same),
        CASE(without_a_signer_it_stays_and_waits_for_the_next_hour),
        CASE(it_never_goes_back_but_to_another_log),
        CASE(what_witnesses_signed_is_shown_if_it_is_new),
        CASE(what_is_no_checkpoint_is_not_shown),
        CASE(each_day_has_one),
        CASE(the_days_first_cosigned_one_takes_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
