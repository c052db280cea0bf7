/* Opt-outs while the disk fails or is full: in force all the same (design.md
 * section 10). fdatasync() and pwrite() fail on demand (-Wl,--wrap); where
 * this runs as root, a tmpfs of 8 MiB is really full. Prints how long a
 * million tags take, without asserting it. */
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/optout_table.h"

#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SITE SLICE("9f2c41d07a6be835")
#define NOW  INT64_C(1795000000000)

static char folder[] = "/tmp/lethe-optfault-XXXXXX";
static char journal[PATH_MAX], db[PATH_MAX];
static const uint8_t key[KEY_BYTES] = {1, 2, 3};
static struct optouts *o;
static int sync_error, write_error;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    if (sync_error == 0)
        return __real_fdatasync(fd);
    errno = sync_error;
    return -1;
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (write_error == 0)
        return __real_pwrite(fd, bytes, len, at);
    errno = write_error;
    return -1;
}

static enum status put(const char *id, struct optout_result *r)
{
    memset(r, 0, sizeof(*r));
    return optout_set(o, SITE, slice_of(id), NOW, r);
}

static enum optout_answer ask(const char *id)
{
    uint8_t tag[TAG_BYTES];

    optout_tag_make(key, SITE, slice_of(id), tag);
    return optout_lookup(o, tag, 0, 0);
}

/* Whose opt-outs wait: this site's, and of nobody else. */
static bool waits_for(struct slice site)
{
    char sites[2][65];
    unsigned count = 0;

    return optout_waiting_sites(o, sites, 2, &count) && count == 1 &&
           slice_eq(slice_of(sites[0]), site);
}

static void reopen(void)
{
    optout_close(o);
    o = NULL;
    assert_int_equal(optout_open(journal, db, key, 0, NULL, &o), ST_OK);
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
}

static void r42_a_failing_disk_keeps_optouts_in_force(void **state)
{
    static const struct {
        int sync, write;
        enum status want;
    } cases[] = {{EIO, 0, ST_IO},
                 {0, EIO, ST_IO},
                 {0, ENOSPC, ST_FULL},
                 {ENOSPC, 0, ST_FULL}};
    struct optout_result r, again;
    uint8_t hash[32];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "case%zu", i);
        uint64_t before = optout_newest(o, hash);
        sync_error = cases[i].sync;
        write_error = cases[i].write;
        assert_int_equal(put(id, &r), cases[i].want);
        assert_int_equal(ask(id), OPTOUT_ANSWER_OUT);
        assert_true(r.number > before); /* for the sweep */
        assert_int_equal(r.receipt[0], '\0');
        assert_int_equal(optout_newest(o, hash), before);
        assert_int_equal(optout_waiting(o), 1);
        assert_true(waits_for(SITE));
        assert_int_equal(put(id, &again), cases[i].want); /* one entry */
        assert_int_equal(optout_waiting(o), 1);
        assert_int_equal(optout_flush(o), cases[i].want);
        sync_error = write_error = 0;
        assert_int_equal(put(id, &again), ST_OK);
        assert_int_equal(optout_waiting(o), 0);
        assert_memory_equal(again.commitment, r.commitment, 32);
        bool lifted = false, is_free = false;
        reopen();
        assert_int_equal(ask(id), OPTOUT_ANSWER_OUT);
        assert_int_equal(
            optout_lift(o, slice_of(again.receipt), NOW + 1, &lifted, &is_free),
            ST_OK);
        assert_true(lifted && is_free); /* no entry that nobody can lift */
    }
}

static enum status put_many(unsigned from, unsigned count)
{
    static struct optout_request requests[OPTOUT_WAITING_MAX];
    static char ids[OPTOUT_WAITING_MAX][16];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "many%u", from + i);
        requests[i] = (struct optout_request){SITE, slice_of(ids[i])};
    }
    return optout_set_many(o, requests, count, NOW, NULL);
}

static void r42_as_many_wait_as_can_and_one_more_is_not_forgotten(void **state)
{
    static const uint8_t none[32];
    struct optout_result r;
    char sites[1][65];
    unsigned count = 0;

    (void)state;
    sync_error = EIO;
    assert_int_equal(put_many(0, OPTOUT_WAITING_MAX), ST_IO);
    assert_int_equal(optout_waiting(o), OPTOUT_WAITING_MAX);
    assert_true(waits_for(SITE));
    assert_int_not_equal(put("one more", &r), ST_OK);
    assert_int_equal(ask("one more"), OPTOUT_ANSWER_OUT);
    assert_true(r.number > 0); /* for sweep and record */
    assert_memory_not_equal(r.commitment, none, sizeof(none));
    assert_int_equal(optout_waiting(o), OPTOUT_WAITING_MAX + 1);
    assert_false(optout_waiting_sites(o, sites, 1, &count)); /* not all known */
    sync_error = 0;
    assert_int_equal(optout_flush(o), ST_OK);
    /* That one is nowhere but in memory: it goes on counting, so that nothing
     * is delivered, until it is asked for again. */
    assert_int_equal(optout_waiting(o), 1);
    assert_false(optout_waiting_sites(o, sites, 1, &count));
    assert_int_equal(count, 0);
    assert_int_equal(put("one more", &r), ST_OK);
    assert_int_equal(optout_waiting(o), 0);
    assert_true(optout_waiting_sites(o, sites, 1, &count));
    reopen();
    assert_int_equal(ask("one more"), OPTOUT_ANSWER_OUT);
    assert_int_equal(ask("many0"), OPTOUT_ANSWER_OUT);
    assert_int_equal(ask("many8191"), OPTOUT_ANSWER_OUT);
}

static void the_sites_of_those_who_wait(void **state)
{
    struct optout_result r;
    char sites[2][65];
    unsigned count = 0;

    (void)state;
    sync_error = EIO;
    assert_int_equal(put("anna", &r), ST_IO);
    assert_int_equal(put("bert", &r), ST_IO);
    assert_true(waits_for(SITE));
    assert_int_equal(
        optout_set(o, SLICE("00112233445566778899"), SLICE("anna"), NOW, &r),
        ST_IO);
    assert_true(optout_waiting_sites(o, sites, 2, &count));
    assert_int_equal(count, 2);
    assert_string_equal(sites[1], "00112233445566778899");
    assert_false(optout_waiting_sites(o, sites, 1, &count)); /* more than fit */
    sync_error = 0;
    assert_int_equal(optout_flush(o), ST_OK);
    assert_true(optout_waiting_sites(o, sites, 2, &count));
    assert_int_equal(count, 0);
}

static void a_waiter_written_by_another_call_keeps_its_receipt(void **state)
{
    struct optout_result r, other;
    bool lifted, is_free;

    (void)state;
    sync_error = EIO;
    assert_int_equal(put("anna", &r), ST_IO);
    sync_error = 0;
    assert_int_equal(put("bert", &other), ST_OK); /* writes anna's as well */
    assert_int_equal(optout_waiting(o), 0);
    assert_int_equal(put("anna", &r), ST_OK); /* her next try */
    assert_int_equal(
        optout_lift(o, slice_of(r.receipt), NOW + 1, &lifted, &is_free), ST_OK);
    assert_true(lifted && is_free);
    reopen();
    assert_int_equal(ask("anna"), OPTOUT_ANSWER_NO);
    assert_int_equal(ask("bert"), OPTOUT_ANSWER_OUT);
}

static void a_lift_that_fails_leaves_the_entry(void **state)
{
    struct optout_result r;
    bool lifted = false, is_free = false;

    (void)state;
    assert_int_equal(put("anna", &r), ST_OK);
    sync_error = EIO;
    assert_int_equal(
        optout_lift(o, slice_of(r.receipt), NOW + 1, &lifted, &is_free), ST_IO);
    sync_error = 0;
    assert_false(lifted);
    assert_int_equal(ask("anna"), OPTOUT_ANSWER_OUT);
    reopen(); /* its record was blotted out */
    assert_int_equal(ask("anna"), OPTOUT_ANSWER_OUT);
    assert_int_equal(
        optout_lift(o, slice_of(r.receipt), NOW + 1, &lifted, &is_free), ST_OK);
    assert_true(lifted);
}

static void fill_disk(const char *path)
{
    static char bytes[65536];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    while (write(fd, bytes, sizeof(bytes)) > 0 || write(fd, bytes, 1) > 0)
        ;
    (void)close(fd);
}

static void a_full_disk_still_takes_optouts(void **state)
{
    char root[PATH_MAX], file[PATH_MAX + 8];
    struct optout_result r;
    char id[16];

    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* tens of thousands of writes: minutes there */
#endif
    (void)snprintf(root, sizeof(root), "%s/full", folder);
    if (mkdir(root, 0700) != 0 ||
        mount("tmpfs", root, "tmpfs", 0, "size=8m,mode=0700") != 0)
        skip();
    optout_close(o);
    o = NULL;
    (void)snprintf(journal, sizeof(journal), "%s/full/j", folder);
    (void)snprintf(db, sizeof(db), "%s/full/db", folder);
    assert_int_equal(optout_create(journal, db, key), ST_OK);
    assert_int_equal(optout_open(journal, db, key, 0, NULL, &o), ST_OK);
    (void)snprintf(file, sizeof(file), "%s/fill", root);
    fill_disk(file);
    for (unsigned i = 0; i < 20000; i++) { /* 2.5 MB of a reserve of 4 */
        (void)snprintf(id, sizeof(id), "id%u", i);
        assert_int_equal(put(id, &r), ST_OK);
    }
    reopen(); /* the store lags far behind: the journal holds all */
    assert_int_equal(optout_count(o), 20000);
    enum status st = ST_OK; /* and when the reserve is gone too: in force */
    for (unsigned i = 20000; st == ST_OK && i < 60000; i++) {
        (void)snprintf(id, sizeof(id), "id%u", i);
        st = put(id, &r);
        assert_int_equal(ask(id), OPTOUT_ANSWER_OUT);
    }
    assert_int_equal(st, ST_FULL);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(optout_flush(o), ST_OK);
    assert_int_equal(optout_waiting(o), 0);
    reopen();
    assert_int_equal(ask(id), OPTOUT_ANSWER_OUT);
    optout_close(o);
    o = NULL;
    assert_int_equal(umount(root), 0);
}

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void tag_of(uint64_t i, uint8_t tag[TAG_BYTES])
{
    /* Spread as keyed hashes are. */
    uint64_t a = i * UINT64_C(0x9e3779b97f4a7c15), b = a ^ a >> 29;

    b *= UINT64_C(0xbf58476d1ce4e5b9);
    memcpy(tag, &b, 8);
    memcpy(tag + 8, &i, 8);
}

static void a_million_tags(void **state)
{
    struct optout_table *t = NULL;
    const char *text = getenv("LETHE_TAGS"); /* more, by hand */
    uint64_t count = text != NULL ? strtoull(text, NULL, 10) : 1000000;
    uint8_t tag[TAG_BYTES];
    unsigned out = 0;

    (void)state;
    assert_int_equal(optout_table_new(&t), ST_OK);
    double t0 = seconds();
    for (uint64_t i = 1; i <= count; i++) {
        tag_of(i, tag);
        assert_int_equal(optout_table_set(t, tag, i), ST_OK);
    }
    double t1 = seconds();
    for (uint64_t i = 1; i <= 2 * count; i++) {
        tag_of(i, tag);
        out += optout_table_lookup(t, tag, 1, 0) == OPTOUT_ANSWER_OUT;
    }
    double t2 = seconds();
    assert_int_equal(out, count);
    assert_int_equal(optout_table_count(t), count);
    print_message("%llu tags: set %.0f ns, lookup %.0f ns, %.0f MB\n",
                  (unsigned long long)count, (t1 - t0) / (double)count * 1e9,
                  (t2 - t1) / (double)(2 * count) * 1e9,
                  (double)optout_table_bytes(t) / 1e6);
    optout_table_free(t);
}

static int fresh(void **state)
{
    (void)state;
    sync_error = write_error = 0;
    (void)snprintf(journal, sizeof(journal), "%s/j", folder);
    (void)snprintf(db, sizeof(db), "%s/db", folder);
    (void)unlink(journal);
    (void)unlink(db);
    return optout_create(journal, db, key) != ST_OK ||
           optout_open(journal, db, key, 0, NULL, &o) != ST_OK;
}

static int done(void **state)
{
    (void)state;
    optout_close(o);
    o = NULL;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || secrets_init() != ST_OK;
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
        CASE(r42_a_failing_disk_keeps_optouts_in_force),
        CASE(r42_as_many_wait_as_can_and_one_more_is_not_forgotten),
        CASE(the_sites_of_those_who_wait),
        CASE(a_waiter_written_by_another_call_keeps_its_receipt),
        CASE(a_lift_that_fails_leaves_the_entry),
        CASE(a_full_disk_still_takes_optouts),
        CASE(a_million_tags),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
