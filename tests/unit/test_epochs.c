/* Epoch secrets and day keys: R27, R33, storage.md section 5. Fake times;
 * fstatfs() says what the test wants, fsync() can fail (-Wl,--wrap). */
#include "lethe/gateway/keys/epoch_file.h"
#include "lethe/gateway/keys/epochs.h"
#include "lethe/gateway/keys/keyfile.h"

#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#define T0   INT64_C(1795305600000) /* 2026-11-22T00:00:00Z */
#define AT   (4 * MS_PER_H)
#define SITE SLICE("9f2c41d07a6be835")

static const struct duration day = {0, MS_PER_DAY};
static char folder[] = "/tmp/lethe-epochs-XXXXXX";
static char run[PATH_MAX], state_dir[PATH_MAX], file[PATH_MAX];
static const uint8_t id[16] = {0xab, 1};
static struct conf conf;
static struct epochs *e;
static bool is_tmpfs = true, fsync_fails;

int __wrap_fstatfs(int fd, struct statfs *out);
int __wrap_fstatfs(int fd, struct statfs *out)
{
    (void)fd;
    memset(out, 0, sizeof(*out));
    out->f_type = is_tmpfs ? TMPFS_MAGIC : EXT4_SUPER_MAGIC;
    return 0;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    if (!fsync_fails)
        return __real_fsync(fd);
    errno = EIO;
    return -1;
}

static void open_it(void)
{
    e = NULL;
    assert_int_equal(epochs_open(&conf, id, &e), ST_OK);
}

static void reopen(void)
{
    epochs_close(e);
    open_it();
}

static struct epoch current(const char *destination, int64_t now, bool want_new)
{
    struct epoch out;
    bool is_new = !want_new;

    assert_int_equal(epochs_current(e, SITE, slice_of(destination), day, AT,
                                    now, &out, &is_new),
                     ST_OK);
    assert_int_equal(is_new, want_new);
    assert_true(out.ends_ms > now);
    return out;
}

/* Do these bytes occur in any file of the test? */
static bool found_on_disk(const uint8_t *bytes, size_t len)
{
    return folder_holds(folder, bytes, len);
}

static void r27_rotates_at_the_time_of_the_policy(void **state)
{
    uint8_t old[KEY_BYTES];
    struct epoch a = current("mp", T0 + AT - 1, true);

    (void)state;
    assert_int_equal(a.ends_ms, T0 + AT);
    memcpy(old, a.secret, sizeof(old));
    struct epoch b = current("mp", T0 + AT, true);
    assert_int_equal(b.ends_ms, T0 + AT + MS_PER_DAY);
    assert_int_equal(b.starts_ms, T0 + AT);
    assert_memory_not_equal(b.secret, old, KEY_BYTES);
    assert_int_not_equal(a.id, b.id);
    struct epoch c = current("mp", T0 + AT + MS_PER_DAY - 1, false);
    assert_memory_equal(c.secret, b.secret, KEY_BYTES);
    (void)current("mp", T0 + AT + 9 * MS_PER_DAY, true); /* slept */
}

static void every_site_and_destination_has_its_own(void **state)
{
    struct epoch a = current("mp", T0, true), b = current("ga", T0, true), c, d;
    bool is_new;

    (void)state;
    assert_memory_not_equal(a.secret, b.secret, KEY_BYTES);
    assert_int_equal(epochs_current(e, SLICE("9f2c41d07a6be835m"), SLICE("p"),
                                    day, AT, T0, &c, &is_new),
                     ST_OK);
    assert_true(is_new); /* length-prefixed: not ("...835", "mp") */
    d = current("mp", T0 + 1, false);
    assert_memory_equal(d.secret, a.secret, KEY_BYTES);
}

static void r33_an_old_secret_is_gone_after_rotation(void **state)
{
    uint8_t old[KEY_BYTES];

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        epochs_close(e);
        conf.epoch_store = kind == 0 ? EPOCHS_RUNTIME : EPOCHS_DISK;
        open_it();
        struct epoch a = current("mp", T0, true);
        memcpy(old, a.secret, sizeof(old));
        const uint8_t *place = a.secret;
        assert_true(found_on_disk(old, sizeof(old)));
        struct epoch b = current("mp", T0 + AT, true);
        assert_false(found_on_disk(old, sizeof(old)));
        assert_false(found_on_disk(old, 8));
        assert_memory_not_equal(place, old, KEY_BYTES); /* memory image */
        assert_true(found_on_disk(b.secret, KEY_BYTES));
        memcpy(old, b.secret, sizeof(old));
        assert_int_equal(epochs_forget(e, SITE, SLICE("mp")), ST_OK);
        assert_false(found_on_disk(old, sizeof(old)));
        assert_int_equal(epochs_forget(e, SITE, SLICE("mp")), ST_UNKNOWN);
    }
}

static void r33_the_clock_cannot_bring_an_epoch_back(void **state)
{
    uint8_t old[KEY_BYTES];

    (void)state;
    struct epoch a = current("mp", T0, true);
    memcpy(old, a.secret, sizeof(old));
    struct epoch b = current("mp", T0 + AT, true);
    uint64_t newer = b.id;
    b = current("mp", T0, false); /* back: still the newer one */
    assert_int_equal(b.id, newer);
    assert_memory_not_equal(b.secret, old, KEY_BYTES);
    assert_int_equal(b.ends_ms, T0 + AT); /* and no longer than a period */
    reopen();
    b = current("mp", T0 + AT - 1, false);
    assert_int_equal(b.id, newer);
    (void)current("mp", T0 + AT, true);
}

static void rotation_times_of_other_periods(void **state)
{
    static const struct {
        struct duration rotate;
        int64_t at, now, ends;
    } cases[] = {
        {{0, MS_PER_H}, 0, T0, T0 + MS_PER_H},
        {{0, MS_PER_H}, 5, T0 + 4, T0 + 5},
        {{0, 7 * MS_PER_DAY}, 0, T0, INT64_C(1795651200000)}, /* a Thursday */
        {{1, 0}, AT, T0, INT64_C(1796097600000)}, /* 2026-12-01T04:00Z */
        {{3, 0}, 0, T0, INT64_C(1798761600000)},  /* 2027-01-01 */
        {{12, 0}, 0, T0, INT64_C(1798761600000)},
        {{0, 0}, 0, T0, T0 + MS_PER_DAY}, /* never for ever */
        {{0, MS_PER_DAY}, AT, -1, AT},    /* before 1970 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct epoch out;
        bool is_new;
        char name[8];
        (void)snprintf(name, sizeof(name), "d%zu", i);
        assert_int_equal(epochs_current(e, SITE, slice_of(name),
                                        cases[i].rotate, cases[i].at,
                                        cases[i].now, &out, &is_new),
                         ST_OK);
        assert_int_equal(out.ends_ms, cases[i].ends);
    }
}

static void a_policy_that_rotates_more_often_counts_at_once(void **state)
{
    struct epoch out;
    bool is_new;

    (void)state;
    (void)current("mp", T0 + AT, true);
    struct duration hour = {0, MS_PER_H};
    assert_int_equal(epochs_current(e, SITE, SLICE("mp"), hour, 0, T0 + AT + 1,
                                    &out, &is_new),
                     ST_OK);
    assert_false(is_new);
    assert_int_equal(out.ends_ms, T0 + AT + MS_PER_H);
}

static void survives_a_restart_not_another_state(void **state)
{
    static const uint8_t other[16] = {0xcd};
    struct epochs *f = NULL;
    uint8_t secret[KEY_BYTES], hash[32] = {7}, got[32];
    uint64_t number;

    (void)state;
    memcpy(secret, current("mp", T0, true).secret, KEY_BYTES);
    assert_int_equal(epochs_note_optout(e, 41, hash), ST_OK);
    assert_int_equal(epochs_open(&conf, other, &f), ST_OK);
    epochs_optout_seen(f, &number, got);
    assert_int_equal(number, 0);
    epochs_close(f);
    reopen();
    assert_memory_equal(current("mp", T0, false).secret, secret, KEY_BYTES);
    epochs_optout_seen(e, &number, got);
    assert_int_equal(number, 41);
    assert_memory_equal(got, hash, 32);
}

static void strange_files_count_as_absent(void **state)
{
    uint8_t secret[KEY_BYTES], byte;

    (void)state;
    for (unsigned how = 0; how < 5; how++) {
        memcpy(secret, current("mp", T0, true).secret, KEY_BYTES);
        epochs_close(e);
        int fd = open(file, O_RDWR);
        assert_true(fd >= 0);
        if (how == 0)
            assert_int_equal(fchmod(fd, 0644), 0);
        else if (how == 1) { /* the head */
            assert_int_equal(pread(fd, &byte, 1, 9), 1);
            byte ^= 1;
            assert_int_equal(pwrite(fd, &byte, 1, 9), 1);
        } else if (how == 2) { /* the slot itself */
            assert_int_equal(pread(fd, &byte, 1, 128 + 50), 1);
            byte ^= 1;
            assert_int_equal(pwrite(fd, &byte, 1, 128 + 50), 1);
        } else if (how == 3)
            assert_int_equal(ftruncate(fd, 200), 0);
        else {
            assert_int_equal(unlink(file), 0);
            assert_int_equal(symlink("/etc/hostname", file), 0);
        }
        (void)close(fd);
        open_it();
        struct epoch b = current("mp", T0, true);
        assert_memory_not_equal(b.secret, secret, KEY_BYTES);
        assert_false(found_on_disk(secret, KEY_BYTES));
        assert_int_equal(epochs_forget(e, SITE, SLICE("mp")), ST_OK);
    }
}

static void a_failed_sync_gives_no_epoch_and_is_made_up_for(void **state)
{
    uint8_t old[KEY_BYTES];
    struct epoch out;
    bool is_new;

    (void)state;
    memcpy(old, current("mp", T0, true).secret, KEY_BYTES);
    fsync_fails = true;
    assert_int_equal(
        epochs_current(e, SITE, SLICE("mp"), day, AT, T0 + AT, &out, &is_new),
        ST_IO);
    assert_int_equal(
        epochs_current(e, SITE, SLICE("new"), day, AT, T0 + AT, &out, &is_new),
        ST_IO);
    fsync_fails = false;
    (void)current("mp", T0 + AT, true);
    assert_false(found_on_disk(old, KEY_BYTES));
    (void)current("new", T0 + AT, true);
}

static void places(void **state)
{
    struct epochs *f = NULL;
    uint8_t secret[KEY_BYTES];

    (void)state;
    assert_int_equal(epochs_place(e), EPOCH_ON_TMPFS);
    memcpy(secret, current("mp", T0, true).secret, KEY_BYTES);
    epochs_close(e);
    e = NULL;
    is_tmpfs = false; /* a written runtime refuses */
    assert_int_equal(epochs_open(&conf, id, &f), ST_DENIED);
    assert_null(f);
    conf.epoch_store = EPOCHS_UNSET; /* an absent one falls back */
    open_it();
    assert_int_equal(epochs_place(e), EPOCH_IN_MEMORY);
    /* What lay in a place that is not used any more is gone. */
    assert_false(found_on_disk(secret, KEY_BYTES));
    (void)current("mp", T0, true);
    reopen();
    (void)current("mp", T0, true);
    is_tmpfs = true;
    assert_int_equal(chmod(run, 0750), 0); /* others look in */
    conf.epoch_store = EPOCHS_RUNTIME;
    conf.epoch_runtime = run;
    assert_int_equal(epochs_open(&conf, id, &f), ST_DENIED);
    assert_int_equal(chmod(run, 0700), 0);
    reopen();
    assert_int_equal(epochs_place(e), EPOCH_ON_TMPFS);
    conf.epoch_store = EPOCHS_DISK;
    reopen();
    assert_int_equal(epochs_place(e), EPOCH_ON_DISK);
    memcpy(secret, current("mp", T0, true).secret, KEY_BYTES);
    conf.epoch_store = EPOCHS_MEMORY;
    reopen();
    assert_int_equal(epochs_place(e), EPOCH_IN_MEMORY);
    assert_false(found_on_disk(secret, KEY_BYTES));
}

static void day_key(int64_t now, const char *want_tag, bool want_new,
                    unsigned want_destroyed, uint8_t key[16])
{
    char tag[EPOCH_DAY_TAG_MAX];
    bool is_new = !want_new;
    unsigned destroyed = 99;

    assert_int_equal(epochs_day_key(e, now, key, tag, &is_new, &destroyed),
                     ST_OK);
    assert_string_equal(tag, want_tag);
    assert_int_equal(is_new, want_new);
    assert_int_equal(destroyed, want_destroyed);
}

/* A destination taken out of the config asks for no epoch any more: its last
 * secret must not outlive the rotation for that. */
static void r33_nobody_asks_and_the_secret_dies_all_the_same(void **state)
{
    uint8_t gone[KEY_BYTES], kept[KEY_BYTES], key[16];

    (void)state;
    memcpy(gone, current("gone", T0 + AT - 1, true).secret, sizeof(gone));
    day_key(T0 + AT - 1, "2026-11-22", true, 0, key);
    assert_true(found_on_disk(gone, sizeof(gone)));
    memcpy(kept, current("mp", T0 + AT, true).secret, sizeof(kept));
    day_key(T0 + AT, "2026-11-22", false, 0, key);
    assert_false(found_on_disk(gone, sizeof(gone)));
    assert_true(found_on_disk(kept, sizeof(kept)));
    (void)current("mp", T0 + AT + 1, false);
}

static void day_keys_live_until_the_search_ends(void **state)
{
    uint8_t a[16], b[16], c[16];
    char tag[EPOCH_DAY_TAG_MAX];

    (void)state;
    day_key(T0, "2026-11-22", true, 0, a);
    day_key(T0 + MS_PER_DAY - 1, "2026-11-22", false, 0, b);
    assert_memory_equal(a, b, 16);
    day_key(T0 + MS_PER_DAY, "2026-11-23", true, 0, b);
    assert_memory_not_equal(a, b, 16);
    assert_true(epochs_day_key_at(e, 0, c, tag));
    assert_string_equal(tag, "2026-11-23");
    assert_true(epochs_day_key_at(e, 1, c, tag));
    assert_memory_equal(c, a, 16);
    assert_false(epochs_day_key_at(e, 2, c, tag));
    assert_true(found_on_disk(a, 16));
    day_key(T0 + 2 * MS_PER_DAY - 1, "2026-11-23", false, 0, c);
    day_key(T0 + 2 * MS_PER_DAY, "2026-11-24", true, 1, c);
    assert_false(found_on_disk(a, 16));
}

static void a_lost_day_key_gets_another_tag(void **state)
{
    uint8_t a[16], b[16];
    char tag[EPOCH_DAY_TAG_MAX];

    (void)state;
    day_key(T0, "2026-11-22", true, 0, a);
    epochs_close(e);
    assert_int_equal(unlink(file), 0); /* the boot */
    open_it();
    day_key(T0 + 1, "2026-11-22.2", true, 0, b);
    assert_memory_not_equal(a, b, 16);
    reopen();
    day_key(T0 + 2, "2026-11-22.2", false, 0, b);
    epochs_close(e);
    assert_int_equal(unlink(file), 0);
    open_it();
    day_key(T0 + 3, "2026-11-22.3", true, 0, b);
    /* The clock goes back to a day whose key is destroyed, and comes again. */
    day_key(T0 + 2 * MS_PER_DAY, "2026-11-24", true, 1, b);
    day_key(T0 + 4, "2026-11-22.4", true, 1, b); /* too far ahead: gone */
    assert_false(epochs_day_key_at(e, 1, a, tag));
    day_key(T0 + 2 * MS_PER_DAY, "2026-11-24.2", true, 1, b);
}

static void no_subject_search_no_key(void **state)
{
    static const uint8_t zero[16];
    uint8_t key[16];
    char tag[EPOCH_DAY_TAG_MAX];

    (void)state;
    day_key(T0, "2026-11-22", true, 0, key);
    epochs_close(e);
    conf.subject_search_ms = 0;
    open_it();
    day_key(T0, "2026-11-22", false, 1, key);
    assert_memory_equal(key, zero, 16);
    assert_false(epochs_day_key_at(e, 0, key, tag));
}

static int fresh(void **state)
{
    (void)state;
    if (folder_remove(folder) != 0 || mkdir(folder, 0700) != 0 ||
        mkdir(run, 0700) != 0 || mkdir(state_dir, 0700) != 0)
        return 1;
    conf = (struct conf){.state_dir = state_dir,
                         .epoch_store = EPOCHS_RUNTIME,
                         .subject_search_ms = MS_PER_DAY};
    is_tmpfs = true;
    fsync_fails = false;
    return epochs_open(&conf, id, &e) != ST_OK;
}

static int done(void **state)
{
    (void)state;
    epochs_close(e);
    e = NULL;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || secrets_init() != ST_OK)
        return 1;
    (void)snprintf(run, sizeof(run), "%s/run", folder);
    (void)snprintf(state_dir, sizeof(state_dir), "%s/state", folder);
    (void)snprintf(file, sizeof(file),
                   "%s/run/lethe-epochs-ab010000000000000000000000000000",
                   folder);
    return setenv("RUNTIME_DIRECTORY", run, 1) || unsetenv("XDG_RUNTIME_DIR");
}

static int tear_down(void **state)
{
    (void)state;
    return folder_remove(folder);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(r27_rotates_at_the_time_of_the_policy),
        CASE(every_site_and_destination_has_its_own),
        CASE(r33_an_old_secret_is_gone_after_rotation),
        CASE(r33_the_clock_cannot_bring_an_epoch_back),
        CASE(rotation_times_of_other_periods),
        CASE(a_policy_that_rotates_more_often_counts_at_once),
        CASE(survives_a_restart_not_another_state),
        CASE(strange_files_count_as_absent),
        CASE(a_failed_sync_gives_no_epoch_and_is_made_up_for),
        CASE(places),
        CASE(r33_nobody_asks_and_the_secret_dies_all_the_same),
        CASE(day_keys_live_until_the_search_ends),
        CASE(a_lost_day_key_gets_another_tag),
        CASE(no_subject_search_no_key),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
