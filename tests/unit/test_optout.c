/* The opt-out list: storage.md section 4, law 4, R42, R60. Real files in a
 * folder of the test's own; fake times; fixed keys. */
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/optout_record.h"

#include "folder.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SITE   SLICE("9f2c41d07a6be835")
#define OTHER  SLICE("00112233445566778899aabbccddeeff")
#define NOW    INT64_C(1795000000000)
#define RECORD OPTOUT_RECORD_BYTES

static char folder[] = "/tmp/lethe-optout-XXXXXX";
static char journal[PATH_MAX], db[PATH_MAX];
static const uint8_t key[KEY_BYTES] = {1, 2, 3}, other_key[KEY_BYTES] = {9};
static struct optouts *o;

static void path_of(char out[PATH_MAX], const char *name)
{
    (void)snprintf(out, PATH_MAX, "%s/%s", folder, name);
}

static void copy(const char *from, const char *to)
{
    char bytes[65536];
    int in = open(from, O_RDONLY), out;
    ssize_t n;

    (void)unlink(to);
    if (in < 0)
        return;
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(out >= 0);
    while ((n = read(in, bytes, sizeof(bytes))) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    (void)close(in);
    (void)close(out);
}

/* The list's files, closed, to or from copies called `name`. */
static void save(const char *name)
{
    char to[PATH_MAX];

    (void)snprintf(to, sizeof(to), "%s/%s.journal", folder, name);
    copy(journal, to);
    (void)snprintf(to, sizeof(to), "%s/%s.db", folder, name);
    copy(db, to);
}

static void restore_one(const char *name, const char *end, const char *to)
{
    char from[PATH_MAX + 8];

    (void)snprintf(from, sizeof(from), "%s/%s.%s", folder, name, end);
    copy(from, to);
}

static void restore(const char *name)
{
    restore_one(name, "journal", journal);
    restore_one(name, "db", db);
}

static void open_at(uint64_t reach, const uint8_t hash[32])
{
    o = NULL;
    assert_int_equal(optout_open(journal, db, key, reach, hash, &o), ST_OK);
    assert_non_null(o);
}

static void reopen(void)
{
    optout_close(o);
    open_at(0, NULL);
}

static void put(const char *id, struct optout_result *r)
{
    memset(r, 0, sizeof(*r));
    assert_int_equal(optout_set(o, SITE, slice_of(id), NOW, r), ST_OK);
}

static int64_t marked_since; /* of ask() */

static enum optout_answer ask(struct slice site, const char *id, int64_t ms)
{
    uint8_t tag[TAG_BYTES];

    optout_tag_make(key, site, slice_of(id), tag);
    return optout_lookup(o, tag, ms, marked_since);
}

static bool lift(const char *receipt, int64_t ms, bool *out_free)
{
    bool lifted = true;

    assert_int_equal(optout_lift(o, slice_of(receipt), ms, &lifted, out_free),
                     ST_OK);
    return lifted;
}

static int fresh(void **state)
{
    (void)state;
    (void)unlink(journal);
    (void)unlink(db);
    if (optout_create(journal, db, key) != ST_OK)
        return 1;
    open_at(0, NULL);
    return optout_health_of(o) != OPTOUT_SOUND;
}

static int done(void **state)
{
    (void)state;
    optout_close(o);
    o = NULL;
    return 0;
}

static void an_empty_list_lets_everybody_in(void **state)
{
    uint8_t hash[32];

    (void)state;
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_NO);
    assert_int_equal(optout_newest(o, hash), 0);
    assert_int_equal(optout_count(o), 0);
    assert_false(optout_has_site(o, SITE));
    assert_int_equal(optout_create(journal, db, key), ST_EXISTS);
}

static void r42_set_holds_at_once_and_after_restart(void **state)
{
    struct optout_result r;

    (void)state;
    put("anna", &r);
    assert_true(r.number > 0);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
    assert_int_equal(ask(SITE, "anna", 1), OPTOUT_ANSWER_OUT);
    assert_int_equal(ask(OTHER, "anna", 0), OPTOUT_ANSWER_NO);
    assert_int_equal(ask(SITE, "anna ", 0), OPTOUT_ANSWER_NO);
    for (int i = 0; i < 3; i++) {
        reopen();
        assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
        assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
        assert_int_equal(ask(SITE, "bert", 0), OPTOUT_ANSWER_NO);
        assert_int_equal(optout_count(o), 1);
    }
    assert_true(optout_has_site(o, SITE));
    assert_false(optout_has_site(o, OTHER));
}

static void sites_are_noted_with_their_first_optout(void **state)
{
    struct optout_result r;
    char id[65], longest[65];

    (void)state;
    memset(longest, 'a', 64);
    longest[64] = '\0';
    struct slice text = SLICE("a site that is no hex text, of fifty-six bytes "
                              "at most..");
    assert_int_equal(text.len, OPTOUT_SITE_TEXT_MAX);
    put("anna", &r);
    assert_int_equal(optout_set(o, OTHER, SLICE("b"), NOW, &r), ST_OK);
    assert_int_equal(optout_set(o, slice_of(longest), SLICE("b"), NOW, &r),
                     ST_OK);
    assert_int_equal(optout_set(o, text, SLICE("b"), NOW, &r), ST_OK);
    put("carl", &r);
    reopen();
    assert_true(optout_site_at(o, 0, id));
    assert_string_equal(id, "9f2c41d07a6be835");
    assert_true(optout_site_at(o, 1, id));
    assert_memory_equal(id, OTHER.at, OTHER.len);
    assert_true(optout_site_at(o, 2, id));
    assert_string_equal(id, longest);
    assert_true(optout_has_site(o, text));
    assert_false(optout_site_at(o, 4, id));
    struct slice beyond = {"a text site that is fifty-seven bytes long, too "
                           "long.....",
                           57};
    assert_int_equal(optout_set(o, beyond, SLICE("b"), NOW, &r), ST_TYPE);
    assert_int_equal(optout_set(o, SLICE(""), SLICE("b"), NOW, &r), ST_TYPE);
}

static void a_receipt_lifts_its_own_entry_only(void **state)
{
    struct optout_result a, b, other;
    bool is_free = true;

    (void)state;
    put("anna", &a);
    put("anna", &b);
    put("bert", &other);
    assert_int_not_equal(a.number, b.number);
    assert_string_not_equal(a.receipt, b.receipt);
    assert_true(lift(a.receipt, NOW + 10, &is_free));
    assert_false(is_free);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
    assert_false(lift(a.receipt, NOW + 11, &is_free)); /* once */
    reopen();
    assert_false(lift(a.receipt, NOW + 12, &is_free));
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
    assert_true(lift(b.receipt, NOW + 20, &is_free));
    assert_true(is_free);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_NO);
    assert_int_equal(ask(SITE, "bert", 0), OPTOUT_ANSWER_OUT);
    assert_int_equal(optout_count(o), 1);
}

static void a_lifted_tag_stays_marked(void **state)
{
    struct optout_result r, again;
    bool is_free;

    (void)state;
    put("anna", &r);
    assert_true(lift(r.receipt, NOW + 1000, &is_free));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_NO);
        assert_int_equal(ask(SITE, "anna", NOW - 1), OPTOUT_ANSWER_NO);
        assert_int_equal(ask(SITE, "anna", NOW), OPTOUT_ANSWER_THEN);
        assert_int_equal(ask(SITE, "anna", NOW + 1000), OPTOUT_ANSWER_THEN);
        assert_int_equal(ask(SITE, "anna", NOW + 1001), OPTOUT_ANSWER_NO);
        marked_since = NOW + 1000; /* the last moment of the mark */
        assert_int_equal(ask(SITE, "anna", NOW), OPTOUT_ANSWER_THEN);
        marked_since = NOW + 1001;
        assert_int_equal(ask(SITE, "anna", NOW), OPTOUT_ANSWER_NO);
        marked_since = 0;
        reopen();
    }
    /* gone is the mark, not the knowledge that this receipt has lifted */
    marked_since = NOW + 1001;
    assert_false(lift(r.receipt, NOW + 2000, &is_free));
    put("anna", &again); /* and out again */
    assert_int_equal(ask(SITE, "anna", NOW - 1), OPTOUT_ANSWER_OUT);
    marked_since = 0;
}

static void eight_entries_a_tag_then_nothing_is_written(void **state)
{
    struct optout_result r[OPTOUT_ENTRIES_MAX + 2];
    uint8_t hash[32], commitment[32];
    bool is_free = false, known, standing;

    (void)state;
    for (unsigned i = 0; i < OPTOUT_ENTRIES_MAX; i++) {
        put("anna", &r[i]);
        assert_true(r[i].number > 0);
    }
    uint64_t newest = optout_newest(o, hash);
    for (unsigned i = 8; i < 10; i++) {
        put("anna", &r[i]);
        assert_int_equal(r[i].number, 0);
        assert_int_equal(strlen(r[i].receipt), strlen(r[0].receipt));
        assert_int_equal(optout_newest(o, hash), newest);
        assert_false(lift(r[i].receipt, NOW + 1, &is_free));
        assert_false(is_free);
        assert_int_equal(optout_receipt_state(o, slice_of(r[i].receipt), &known,
                                              &standing, commitment),
                         ST_OK);
        assert_false(known);
    }
    for (unsigned i = 0; i < OPTOUT_ENTRIES_MAX; i++) {
        assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
        assert_true(lift(r[i].receipt, NOW + 2 + i, &is_free));
    }
    assert_true(is_free);
    put("anna", &r[0]); /* eight at once, not eight for ever */
    assert_true(r[0].number > 0);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
}

static void wrong_receipts_lift_nothing(void **state)
{
    struct optout_result r;
    char bad[OPTOUT_RECEIPT_MAX + 1];
    bool lifted, is_free;

    (void)state;
    put("anna", &r);
    size_t len = strlen(r.receipt);
    for (size_t i = 0; i < len; i++) { /* every changed character */
        memcpy(bad, r.receipt, len + 1);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        lifted = true;
        assert_int_equal(
            optout_lift(o, (struct slice){bad, len}, NOW, &lifted, &is_free),
            ST_OK);
        assert_false(lifted);
        lifted = true; /* every cut */
        assert_int_equal(optout_lift(o, (struct slice){r.receipt, i}, NOW,
                                     &lifted, &is_free),
                         ST_OK);
        assert_false(lifted);
    }
    memcpy(bad, r.receipt, len);
    bad[len] = 'A';
    assert_int_equal(
        optout_lift(o, (struct slice){bad, len + 1}, NOW, &lifted, &is_free),
        ST_OK);
    assert_false(lifted);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
}

static void receipt_state_and_commitments(void **state)
{
    struct optout_result r;
    bool known, standing, lifted, is_free;
    uint8_t commitment[32], bytes[65536];

    (void)state;
    put("anna", &r);
    assert_int_equal(optout_receipt_state(o, slice_of(r.receipt), &known,
                                          &standing, commitment),
                     ST_OK);
    assert_true(known && standing);
    assert_int_equal(
        optout_lift(o, slice_of(r.receipt), NOW + 1, &lifted, &is_free), ST_OK);
    assert_memory_equal(commitment, r.commitment, 32);
    assert_int_equal(optout_receipt_state(o, slice_of(r.receipt), &known,
                                          &standing, commitment),
                     ST_OK);
    assert_true(known && !standing);
    /* Neither file holds the commitment itself: it would link to the log. */
    done(NULL);
    const char *const files[] = {journal, db};
    for (int f = 0; f < 2; f++) {
        int fd = open(files[f], O_RDONLY);
        ssize_t n = read(fd, bytes, sizeof(bytes));
        (void)close(fd);
        assert_true(n > 0);
        assert_null(memmem(bytes, (size_t)n, r.commitment, 32));
        assert_null(memmem(bytes, (size_t)n, "anna", 4));
    }
}

static void lift_all_lifts_every_entry(void **state)
{
    struct optout_result r[3];
    uint8_t commitments[OPTOUT_STANDING_MAX][32], first[32];
    unsigned count = 99;
    bool is_free;

    (void)state;
    for (int i = 0; i < 3; i++)
        put("anna", &r[i]);
    memcpy(first, r[0].commitment, sizeof(first));
    put("bert", &r[0]);
    assert_true(lift(r[1].receipt, NOW + 1, &is_free));
    reopen();
    assert_int_equal(
        optout_standing(o, SITE, SLICE("anna"), commitments, &count), ST_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(commitments[0], r[2].commitment, 32);
    assert_memory_equal(commitments[1], first, 32);
    assert_int_equal(
        optout_standing(o, SITE, SLICE("nobody"), commitments, &count), ST_OK);
    assert_int_equal(count, 0);
    assert_int_equal(optout_lift_all(o, SITE, SLICE("anna"), NOW + 2, &count),
                     ST_OK);
    assert_int_equal(count, 2);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_NO);
    assert_int_equal(ask(SITE, "bert", 0), OPTOUT_ANSWER_OUT);
    assert_false(lift(r[2].receipt, NOW + 3, &is_free));
    assert_int_equal(optout_lift_all(o, SITE, SLICE("nobody"), NOW, &count),
                     ST_OK);
    assert_int_equal(count, 0);
}

static void lifted_keys_are_erased_from_both_files(void **state)
{
    struct optout_result r;
    struct optout_change c;
    uint8_t record[RECORD];
    bool is_free;

    (void)state;
    put("anna", &r);
    done(NULL);
    save("kept");
    open_at(0, NULL);
    assert_true(lift(r.receipt, NOW + 1, &is_free));
    done(NULL);
    int fd = open(journal, O_RDWR);
    off_t at = (off_t)(OPTOUT_HEADER_BYTES + (r.number - 1) * RECORD);
    assert_int_equal(pread(fd, record, RECORD, at), RECORD);
    assert_int_equal(optout_record_decode(record, &c), ST_OK);
    assert_true(optout_change_key_erased(&c));
    /* A crash before the erasure: the next start erases. */
    memset(record + OPTOUT_ERASE_OFFSET, 7, 16);
    assert_int_equal(pwrite(fd, record, RECORD, at), RECORD);
    open_at(0, NULL);
    assert_int_equal(pread(fd, record, RECORD, at), RECORD);
    (void)close(fd);
    assert_int_equal(optout_record_decode(record, &c), ST_OK);
    assert_true(optout_change_key_erased(&c));
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
}

static void a_missing_file_opts_everybody_out(void **state)
{
    const char *const gone[] = {journal, db};

    (void)state;
    done(NULL);
    save("whole");
    for (int i = 0; i < 2; i++) {
        struct optout_result r;
        bool lifted, is_free;
        unsigned n;
        assert_int_equal(unlink(gone[i]), 0);
        open_at(0, NULL);
        assert_int_equal(optout_health_of(o), OPTOUT_MISSING);
        assert_int_equal(ask(SITE, "anybody", 0), OPTOUT_ANSWER_OUT);
        assert_int_equal(optout_set(o, SITE, SLICE("x"), NOW, &r), ST_DENIED);
        assert_int_equal(optout_lift(o, SLICE("lo1-"), NOW, &lifted, &is_free),
                         ST_DENIED);
        assert_int_equal(optout_lift_all(o, SITE, SLICE("x"), NOW, &n),
                         ST_DENIED);
        done(NULL);
        restore("whole");
    }
}

static void another_keys_list_is_foreign(void **state)
{
    struct optouts *f = NULL;

    (void)state;
    done(NULL);
    assert_int_equal(optout_open(journal, db, other_key, 0, NULL, &f), ST_OK);
    assert_int_equal(optout_health_of(f), OPTOUT_FOREIGN);
    optout_close(f);
}

static void two_lists_mixed_are_foreign(void **state)
{
    struct optout_result r;

    (void)state;
    put("anna", &r);
    done(NULL);
    save("one");
    (void)unlink(journal);
    (void)unlink(db);
    assert_int_equal(optout_create(journal, db, key), ST_OK);
    restore_one("one", "db", db);
    open_at(0, NULL);
    assert_int_equal(optout_health_of(o), OPTOUT_FOREIGN);
    assert_int_equal(ask(SITE, "x", 0), OPTOUT_ANSWER_OUT);
}

static void same_numbers_with_other_changes_are_foreign(void **state)
{
    struct optout_result r;

    (void)state;
    put("anna", &r);
    done(NULL);
    save("fork");
    open_at(0, NULL);
    put("bert", &r);
    done(NULL);
    save("bert");
    restore("fork");
    open_at(0, NULL);
    put("carl", &r); /* the same number as bert's */
    put("dora", &r);
    done(NULL);
    restore_one("bert", "db", db);
    open_at(0, NULL);
    assert_int_equal(optout_health_of(o), OPTOUT_FOREIGN);
}

static void power_loss_between_journal_and_store_is_evened_out(void **state)
{
    struct optout_result r;
    uint8_t hash[32], after[32];

    (void)state;
    put("anna", &r);
    done(NULL);
    save("old");
    open_at(0, NULL);
    put("bert", &r);
    uint64_t newest = optout_newest(o, hash);
    done(NULL);
    save("new");
    restore_one("old", "db", db); /* the store lost its last change */
    open_at(newest, hash);
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
    assert_int_equal(ask(SITE, "bert", 0), OPTOUT_ANSWER_OUT);
    done(NULL);
    restore_one("old", "journal", journal); /* and now only the store has it */
    open_at(newest, hash);
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
    assert_int_equal(ask(SITE, "bert", 0), OPTOUT_ANSWER_OUT);
    assert_int_equal(optout_newest(o, after), newest);
    assert_memory_equal(after, hash, 32);
    put("carl", &r);
    reopen();
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
    assert_int_equal(ask(SITE, "carl", 0), OPTOUT_ANSWER_OUT);
}

static void r60_an_older_copy_opts_everybody_out(void **state)
{
    struct optout_result r;
    uint8_t hash[32];

    (void)state;
    put("anna", &r);
    done(NULL);
    save("yesterday");
    open_at(0, NULL);
    put("bert", &r);
    uint64_t newest = optout_newest(o, hash);
    done(NULL);
    restore("yesterday");
    open_at(newest, hash);
    assert_int_equal(optout_health_of(o), OPTOUT_ROLLBACK);
    assert_int_equal(ask(SITE, "nobody", 0), OPTOUT_ANSWER_OUT);
    uint8_t told[32]; /* to log and epoch file: it must not become content */
    assert_int_equal(optout_newest(o, told), newest);
    assert_memory_equal(told, hash, sizeof(told));
    assert_int_equal(optout_accept_loss(o), ST_OK);
    assert_true(optout_newest(o, NULL) < newest);
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
    assert_int_equal(ask(SITE, "nobody", 0), OPTOUT_ANSWER_NO);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
    put("carl", &r); /* the number is reached again, by another change */
    done(NULL);
    open_at(newest, hash);
    assert_int_equal(optout_health_of(o), OPTOUT_ROLLBACK);
}

static void an_optout_at_an_unsound_list_survives_its_acceptance(void **state)
{
    struct optout_result r;
    char sites[1][65];
    unsigned count = 0;

    (void)state;
    done(NULL);
    assert_int_equal(unlink(db), 0);
    open_at(0, NULL);
    assert_int_equal(optout_set(o, SITE, SLICE("anna"), NOW, &r), ST_DENIED);
    assert_int_equal(optout_waiting(o), 1);
    assert_true(optout_waiting_sites(o, sites, 1, &count));
    assert_int_equal(count, 1);
    assert_true(slice_eq(slice_of(sites[0]), SITE));
    assert_int_equal(optout_accept_loss(o), ST_OK);
    assert_int_equal(optout_waiting(o), 0);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
    assert_int_equal(ask(SITE, "bert", 0), OPTOUT_ANSWER_NO);
    reopen();
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
}

static void loss_of_everything_can_be_accepted(void **state)
{
    (void)state;
    done(NULL);
    assert_int_equal(unlink(db), 0);
    assert_int_equal(truncate(journal, 5), 0);
    open_at(7, key);
    assert_int_equal(optout_health_of(o), OPTOUT_DAMAGED);
    assert_int_equal(optout_accept_loss(o), ST_OK);
    assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_NO);
    reopen();
    assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
}

/* Three entries and a site: short enough for every byte and every cut. */
static uint64_t make_small(uint8_t hash[32])
{
    struct optout_result r;

    put("anna", &r);
    put("bert", &r);
    put("carl", &r);
    uint64_t newest = optout_newest(o, hash);
    done(NULL);
    save("small");
    return newest;
}

static void a_cut_journal_is_filled_from_the_store(void **state)
{
    uint8_t hash[32], now[32];
    uint64_t newest = make_small(hash);
    off_t whole = (off_t)(OPTOUT_HEADER_BYTES + newest * RECORD);

    (void)state;
    for (off_t len = whole; len >= 0; len--) {
        restore("small");
        assert_int_equal(truncate(journal, len), 0);
        open_at(newest, hash);
        if (len < (off_t)OPTOUT_HEADER_BYTES) {
            assert_int_equal(optout_health_of(o), OPTOUT_DAMAGED);
            assert_int_equal(ask(SITE, "x", 0), OPTOUT_ANSWER_OUT);
        } else {
            assert_int_equal(optout_health_of(o), OPTOUT_SOUND);
            assert_int_equal(optout_newest(o, now), newest);
            assert_memory_equal(now, hash, 32);
            assert_int_equal(ask(SITE, "carl", 0), OPTOUT_ANSWER_OUT);
        }
        done(NULL);
    }
}

static void a_cut_of_both_is_noticed_by_the_number_seen(void **state)
{
    uint8_t hash[32];
    char empty_db[PATH_MAX];

    (void)state;
    done(NULL);
    path_of(empty_db, "empty.db");
    copy(db, empty_db); /* the store as it was before any change */
    open_at(0, NULL);
    uint64_t newest = make_small(hash);
    off_t whole = (off_t)(OPTOUT_HEADER_BYTES + newest * RECORD);
    for (off_t len = whole; len >= (off_t)OPTOUT_HEADER_BYTES; len -= 37) {
        restore("small");
        copy(empty_db, db);
        assert_int_equal(truncate(journal, len), 0);
        open_at(newest, hash);
        assert_int_equal(optout_health_of(o),
                         len == whole ? OPTOUT_SOUND : OPTOUT_ROLLBACK);
        done(NULL);
    }
}

static void a_changed_byte_never_loses_an_optout(void **state)
{
    uint8_t hash[32], byte;
    uint64_t newest = make_small(hash);
    off_t whole = (off_t)(OPTOUT_HEADER_BYTES + newest * RECORD);

    (void)state;
    for (off_t at = 0; at < whole; at++) {
        restore("small");
        int fd = open(journal, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        (void)close(fd);
        open_at(newest, hash);
        off_t in = at - (off_t)OPTOUT_HEADER_BYTES;
        bool last = in >= (off_t)((newest - 1) * RECORD);
        bool erasable =
            in >= 0 && in % (off_t)RECORD >= 80 && in % (off_t)RECORD < 96;
        /* The last one is taken from the store; keys are not chained. */
        enum optout_health want =
            last || erasable ? OPTOUT_SOUND : OPTOUT_DAMAGED;
        assert_int_equal(optout_health_of(o), want);
        assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
        assert_int_equal(ask(SITE, "carl", 0), OPTOUT_ANSWER_OUT);
        done(NULL);
    }
}

static void a_cut_store_never_loses_an_optout(void **state)
{
    struct stat st;
    uint8_t hash[32];
    uint64_t newest = make_small(hash);

    (void)state;
    assert_int_equal(stat(db, &st), 0);
    for (off_t len = st.st_size - 1; len >= 0; len -= len > 600 ? 509 : 1) {
        restore("small");
        assert_int_equal(truncate(db, len), 0);
        open_at(newest, hash);
        assert_int_equal(ask(SITE, "anna", 0), OPTOUT_ANSWER_OUT);
        assert_int_equal(ask(SITE, "carl", 0), OPTOUT_ANSWER_OUT);
        done(NULL);
    }
}

static enum status count_set(void *ctx, uint64_t number,
                             const uint8_t tag[TAG_BYTES])
{
    uint64_t *last = ctx;

    assert_true(number > last[0]);
    assert_int_equal(optout_lookup(o, tag, 0, 0), OPTOUT_ANSWER_OUT);
    last[0] = number;
    last[1]++;
    return last[1] == 100 ? ST_LIMIT : ST_OK;
}

static void many_and_each_set(void **state)
{
    static char ids[700][16];
    static struct optout_request requests[700];
    static struct optout_result results[700];
    uint64_t last[2] = {0, 0};
    uint8_t hash[32];

    (void)state;
    for (unsigned i = 0; i < 700; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "id%u", i);
        requests[i].site = i % 3 == 0 ? OTHER : SITE;
        requests[i].canonical = slice_of(ids[i]);
    }
    assert_int_equal(optout_set_many(o, requests, 700, NOW, results), ST_OK);
    assert_int_equal(optout_count(o), 700);
    assert_int_equal(optout_newest(o, hash), 702); /* and two sites */
    for (unsigned i = 0; i < 700; i++)
        assert_true(results[i].number > 0);
    assert_int_equal(optout_each_set(o, 0, count_set, last), ST_LIMIT);
    last[0] = results[690].number;
    last[1] = 0;
    assert_int_equal(optout_each_set(o, results[690].number, count_set, last),
                     ST_OK);
    assert_int_equal(last[1], 9);
    reopen();
    assert_int_equal(optout_count(o), 700);
    bool is_free;
    assert_true(lift(results[699].receipt, NOW + 1, &is_free));
    assert_true(is_free);
}

static volatile bool stop;
static void *reader(void *ctx)
{
    uint8_t tag[TAG_BYTES], hash[32];
    unsigned *answers = ctx;

    optout_tag_make(key, SITE, SLICE("id5"), tag);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        (void)optout_newest(o, hash);
        answers[optout_lookup(o, tag, NOW, 0)]++;
        (void)optout_count(o);
        (void)optout_has_site(o, SITE);
    }
    return NULL;
}

static void readers_run_beside_one_writer(void **state)
{
    pthread_t threads[2];
    unsigned answers[2][3] = {{0}};
    struct optout_result r;
    char id[16];
    bool is_free;

    (void)state;
    stop = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, answers[i]),
                         0);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(id, sizeof(id), "id%u", i % 200);
        put(id, &r);
        if (i % 5 == 0)
            assert_true(lift(r.receipt, NOW + i, &is_free));
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(optout_waiting(o), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || secrets_init() != ST_OK)
        return 1;
    path_of(journal, "optout_journal");
    path_of(db, "optout.db");
    return 0;
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
        CASE(an_empty_list_lets_everybody_in),
        CASE(r42_set_holds_at_once_and_after_restart),
        CASE(sites_are_noted_with_their_first_optout),
        CASE(a_receipt_lifts_its_own_entry_only),
        CASE(a_lifted_tag_stays_marked),
        CASE(eight_entries_a_tag_then_nothing_is_written),
        CASE(wrong_receipts_lift_nothing),
        CASE(receipt_state_and_commitments),
        CASE(lift_all_lifts_every_entry),
        CASE(lifted_keys_are_erased_from_both_files),
        CASE(a_missing_file_opts_everybody_out),
        CASE(another_keys_list_is_foreign),
        CASE(two_lists_mixed_are_foreign),
        CASE(same_numbers_with_other_changes_are_foreign),
        CASE(power_loss_between_journal_and_store_is_evened_out),
        CASE(r60_an_older_copy_opts_everybody_out),
        CASE(an_optout_at_an_unsound_list_survives_its_acceptance),
        CASE(loss_of_everything_can_be_accepted),
        CASE(a_cut_journal_is_filled_from_the_store),
        CASE(a_cut_of_both_is_noticed_by_the_number_seen),
        CASE(a_changed_byte_never_loses_an_optout),
        CASE(a_cut_store_never_loses_an_optout),
        CASE(many_and_each_set),
        CASE(readers_run_beside_one_writer),
    };

    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
