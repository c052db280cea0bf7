/* The writer: bytes as another hand wrote them, batches, recovery, a disk
 * that is full or broken. Real files; the clock stands still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_fixture.h"
#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/tiles.h"
#include "verify_case.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_posix_fallocate(int fd, off_t at, off_t len);
int __wrap_posix_fallocate(int fd, off_t at, off_t len);

static _Atomic int room = -1; /* bytes the disk still takes; -1 = any */
static _Atomic bool sync_fails;
static _Atomic bool reserve_frees; /* giving the reserve back makes room */

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    if (room < 0)
        return __real_pwrite(fd, data, len, at);
    if (room == 0) {
        errno = ENOSPC;
        if (reserve_frees)
            room = 1 << 20;
        reserve_frees = false;
        return -1;
    }
    if (len > (size_t)room)
        len = (size_t)room;
    room -= (int)len;
    return __real_pwrite(fd, data, len, at);
}

int __wrap_fdatasync(int fd)
{
    if (!sync_fails)
        return __real_fdatasync(fd);
    errno = EIO;
    return -1;
}

int __wrap_posix_fallocate(int fd, off_t at, off_t len)
{
    (void)fd;
    (void)at;
    (void)len;
    return room < 0 || room > (1 << 16) ? 0 : ENOSPC;
}

static struct fixture fix;

static int setup(void **state)
{
    room = -1;
    sync_fails = reserve_frees = false;
    *state = &fix;
    return fixture_make(&fix) ? 0 : -1;
}

static int teardown(void **state)
{
    room = -1;
    sync_fails = false;
    fixture_drop(*state);
    return 0;
}

static void assert_sound(struct fixture *f, uint64_t records)
{
    struct verify_report r = verify_plain(f->folder, NULL);

    if (r.verdict != VERIFY_INCOMPLETE)
        print_message("%s\n", r.text);
    assert_int_equal(r.verdict, VERIFY_INCOMPLETE);
    if (records > 0)
        assert_int_equal(r.records, records);
}

static void assert_same_file(struct fixture *f, const char *name)
{
    size_t got_len, want_len;
    char *got = fixture_load(f->folder, name, &got_len);
    char *want = fixture_load("tests/data/audit/golden", name, &want_len);

    assert_non_null(got);
    assert_non_null(want);
    assert_int_equal(got_len, want_len);
    assert_memory_equal(got, want, want_len);
    free(got);
    free(want);
}

static char *records(struct fixture *f)
{
    size_t len;
    char *text = fixture_load(f->folder, SEG0, &len);

    assert_non_null(text);
    return text;
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

static unsigned count_records(struct fixture *f, const char *what)
{
    char *text = records(f);
    unsigned n = count_of(text, what);

    free(text);
    return n;
}

#define EV_A UINT64_C(0x0102030405060708)
#define EV_B UINT64_C(0x1112131415161718)
#define EV_E UINT64_C(0x3132333435363738)
#define SUB  UINT64_C(0xa1a2a3a4a5a6a7a8)

static struct audit_row row(enum audit_act act, uint64_t ev)
{
    return (struct audit_row){.act = (uint8_t)act, .ev = ev};
}

static void golden_rows(struct fixture *f, uint64_t policy)
{
    struct audit_row first[] = {
        {0, 1, 0, 0, 1, 3, 0, EV_A, SUB},
        {0, 2, 0, 12, 1, 1, 5, EV_B, SUB},
        {0, 3, 3, 13, 1, 2, 0, EV_B, SUB},
        {0, 3, 7, 31, 1, 3, 0, UINT64_C(0x2122232425262728), 0},
    };
    struct audit_row later[] = {
        {0, 4, 24, 0, 0, 1, 0, EV_A, 0},     {0, 2, 0, 12, 1, 3, 9, EV_E, 0},
        {0, 5, 17, 0, 0, 2, 0, EV_A, 0},     {0, 6, 19, 0, 0, 1, 0, EV_E, 0},
        {0, 7, 18, 0, 0, 2, 0, EV_E, 0},     {0, 8, 16, 0, 0, 1, 0, EV_B, 0},
        {0, 4, 24, 0, 0, 2, 0, EV_A + 9, 0},
    };
    struct group_rows head = {.site = MIXBOT,
                              .policy_index = policy,
                              .tag = "2026-11-22",
                              .time_ms = T0 + 500,
                              .count = 4,
                              .refused = {0, 0, 2, 0, 1}};
    struct group *g = fixture_group(&head, first);

    f->now = 500;
    audit_rows(f->log, &g, 1, 1, T0 + 500);
    group_unref(g);
    f->now = 1300;
    fixture_rows(f, MIXBOT, policy, 2, later, 7);
}

/* The checkpoint of what was written, made as signer and witness make it. */
static void golden_sign(struct fixture *f, struct tiles *t)
{
    struct checkpoint c = {.origin = SLICE("gw1.example.eu/audit"), .size = 10};
    struct tree_source tree = tiles_tree(t);
    struct note_signer log, witness;
    struct buf text, note;
    uint8_t seed[2 * NOTE_SEED_BYTES];

    for (unsigned i = 0; i < sizeof(seed); i++)
        seed[i] = (uint8_t)i;
    assert_int_equal(note_signer_make(c.origin, NOTE_ED25519, seed, &log),
                     ST_OK);
    assert_int_equal(note_signer_make(SLICE("witness.example.org/w1"),
                                      NOTE_COSIGNATURE, seed + NOTE_SEED_BYTES,
                                      &witness),
                     ST_OK);
    tiles_begin(t);
    assert_int_equal(tree_root(&tree, c.size, c.root), ST_OK);
    buf_init(&text, 4096);
    buf_init(&note, 4096);
    checkpoint_put(&c, &text);
    buf_put(&note, buf_slice(&text));
    buf_put_char(&note, '\n');
    assert_int_equal(note_sign(&log, buf_slice(&text), 0, &note), ST_OK);
    assert_int_equal(note_sign(&witness, buf_slice(&text), 1795338042, &note),
                     ST_OK);
    assert_true(fixture_save(f->folder, "checkpoint", note.data, note.len));
    buf_free(&text);
    buf_free(&note);
}

/* Checkpoint, tile and bundle of the folder that was written. */
static void golden_tiles(struct fixture *f)
{
    static const unsigned levels[] = {0, TILE_ENTRIES};
    struct tiles *t;

    assert_int_equal(tiles_open(f->folder, TILES_WORK_MAX, &t), ST_OK);
    golden_sign(f, t);
    assert_same_file(f, "checkpoint");
    for (unsigned i = 0; i < 2; i++) {
        const struct tile_name name = {.level = levels[i], .width = 10};
        char path[TILE_PATH_MAX];
        struct buf got;
        size_t want_len;
        tile_path(name.level, 0, name.width, path);
        char *want = fixture_load("tests/data/audit/golden", path, &want_len);
        assert_non_null(want);
        buf_init(&got, TILES_BYTES_MAX);
        assert_int_equal(tiles_get(t, &name, 10, &got), ST_OK);
        assert_int_equal(got.len, want_len);
        assert_memory_equal(got.data, want, want_len);
        buf_free(&got);
        free(want);
    }
    tiles_close(t);
}

static void golden_delivery(struct fixture *f)
{
    const struct audit_delivery_facts facts[] = {
        {"mixbot", "store", 7, 1, 1, 1, 1, 1, 1, 1},
        {"shop", "any", 0, 0, 0, 0, 0, 0, 0, 0},
    };

    assert_int_equal(audit_delivery(f->log, facts, 2), ST_OK);
}

/* tests/data/audit/gen.py, golden(). */
static void r40_writes_the_bytes_another_hand_wrote(void **state)
{
    struct fixture *f = *state;
    struct audit_row one = {0, 1, 0, 1, 1, 1, 0, EV_A + 1, 0};
    uint64_t policy;

    assert_int_equal(fixture_start(f), ST_OK);
    f->now = 20;
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    assert_int_equal(policy, 2);
    golden_rows(f, policy);
    f->now = 1500;
    golden_delivery(f);
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(f->safe, 2);
    fixture_rows(f, SHOP, policy, 3, &one, 1);
    f->now = 2000;
    assert_int_equal(
        fixture_policy(f,
                       "{\"pol\":\"e818c83a929e0faa9113c5602ee105dfd7beef5f4"
                       "ec4767af88e0e40c32f01c4\",\"old\":null}",
                       &policy),
        ST_OK);
    one.ev++;
    f->now = 2600;
    fixture_rows(f, SHOP, policy, 4, &one, 1);
    fixture_stop(f);
    assert_same_file(f, SEG0);
    assert_same_file(f, ROWS0);
    assert_sound(f, 10);
    golden_tiles(f);
}

static void one_batch_has_one_policy_and_one_tag(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = row(ACT_CLEARED, EV_A);
    struct group_rows head = {.site = MIXBOT, .tag = "2026-11-23", .count = 1};
    uint64_t a, b;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &a), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &b), ST_OK);
    fixture_rows(f, MIXBOT, a, 1, &r, 1);
    fixture_rows(f, MIXBOT, b, 2, &r, 1);
    head.policy_index = b;
    head.time_ms = T0;
    struct group *g = fixture_group(&head, &r);
    audit_rows(f->log, &g, 1, 3, T0);
    group_unref(g);
    assert_int_equal(fixture_entry(f, RECORD_TAG_NEW, NULL, "timer",
                                   SLICE("{\"tag\":\"2026-11-24\"}"), NULL),
                     ST_OK);
    assert_int_equal(count_records(f, "\"site\":\"mixbot\""), 3);
    assert_int_equal(f->safe, 3);
    fixture_stop(f);
    assert_sound(f, 0);
}

/* A record that would pass 8,192 bytes closes first; nothing is lost. */
static void a_batch_closes_before_its_record_is_too_long(void **state)
{
    struct fixture *f = *state;
    static struct audit_row rows[3000];
    uint64_t policy;

    for (unsigned i = 0; i < 3000; i++) {
        rows[i] = row(ACT_DROPPED, i / 3);
        rows[i].rule = (uint16_t)(65535 - i % 700);
        rows[i].reason = (uint8_t)(200 + i % 50);
    }
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, rows, 3000);
    fixture_stop(f);
    assert_true(count_records(f, "\"site\":\"mixbot\"") > 1);
    assert_int_equal(count_records(f, "\"cum\":{\"in\":1000,"), 1);
    assert_sound(f, 0);
}

static void a_batch_holds_65536_rows_and_not_one_more(void **state)
{
    struct fixture *f = *state;
    struct audit_row *rows = calloc(65537, sizeof(*rows));
    uint64_t policy;

    assert_non_null(rows);
    for (unsigned i = 0; i < 65537; i++)
        rows[i] = row(ACT_CLEARED, i + 1);
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, rows, 65537);
    fixture_stop(f);
    assert_int_equal(count_records(f, "\"n\":65536,"), 1);
    assert_int_equal(count_records(f, "\"n\":1,"), 1);
    assert_sound(f, 0);
    free(rows);
}

static void modes_keep_fewer_rows_and_the_same_counts(void **state)
{
    struct fixture *f = *state;
    struct audit_row rows[] = {row(ACT_CLEARED, 1), row(ACT_DROPPED, 1),
                               row(ACT_DROPPED, 2), row(ACT_SWEPT, 1)};
    uint64_t policy;

    rows[1].rule = 4;
    rows[2].rule = 5;
    f->config.rows = ROWS_DROPPED;
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, rows, 4);
    fixture_stop(f);
    assert_int_equal(count_records(f, "\"n\":3,"), 1);
    assert_sound(f, 0);
    f->config.rows = ROWS_NONE;
    assert_int_equal(fixture_start(f), ST_OK);
    fixture_rows(f, MIXBOT, policy, 2, rows, 4);
    fixture_stop(f);
    assert_int_equal(count_records(f, "\"cum\":{\"in\":4,"), 1);
    assert_sound(f, 0);
}

/* Requests that name no site are told by the next heartbeat, in a second. */
static void refusals_without_a_site_are_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct group_rows head = {.refused = {3, 4, 0, 0, 0}};

    assert_int_equal(fixture_start(f), ST_OK);
    struct group *g = fixture_group(&head, NULL);
    audit_rows(f->log, &g, 1, 1, T0);
    group_unref(g);
    assert_int_equal(fixture_read(f), ST_OK);
    f->now = 1000;
    assert_int_equal(fixture_read(f), ST_OK);
    fixture_stop(f);
    assert_int_equal(count_records(f, "\"ref\":[[400,3],[404,4]]"), 1);
    assert_sound(f, 0);
}

static void silence_is_a_heartbeat_each_minute(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_start(f), ST_OK);
    f->now = 59999;
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(count_records(f, "\"batch\""), 1);
    f->now = 60000;
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(count_records(f, "\"batch\""), 2);
    fixture_stop(f);
    assert_sound(f, 0);
}

static void a_stepped_clock_is_said_and_time_never_goes_back(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = row(ACT_CLEARED, 1);
    uint64_t policy;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    f->skew = -1000; /* not more than a second: nothing to say */
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(count_records(f, "clock.step"), 0);
    f->skew = -3600 * 1000;
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(count_records(f, "clock.step"), 1);
    fixture_rows(f, MIXBOT, policy, 1, &r, 1);
    f->now = 5000;
    assert_int_equal(fixture_read(f), ST_OK);
    fixture_stop(f);
    assert_int_equal(count_records(f, "clock.step"), 1);
    assert_sound(f, 0);
}

static void an_entry_must_obey_the_grammar(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "{}x",
                                      "{\"a\":1.5}",
                                      "{\"a\": 1}",
                                      "{\"a\":01}",
                                      "{\"a\":\"\x7f\"}",
                                      "{\"a\":\"\\n\"}",
                                      "[]",
                                      "{\"a\"}",
                                      "{\"a\":9007199254740992}",
                                      "{\"a\":[[[[[[[[1]]]]]]]]}"};
    static const char *const good[] = {"{}", "{\"a\":9007199254740991}",
                                       "{\"a\":[-1,null,true,\"x y\"]}",
                                       "{\"a\":[[[[[[[1]]]]]]]}"};
    static const char *const whys[] = {"later", "pol:", "pol:a b", "sub:x",
                                       "art:123456789012345678901234567890123"};
    struct fixture *f = *state;

    assert_int_equal(fixture_start(f), ST_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(fixture_entry(f, RECORD_OPTOUT_SET, "api:x", "art:21",
                                       slice_of(bad[i]), NULL),
                         ST_SYNTAX);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(fixture_entry(f, RECORD_OPTOUT_SET, "api:x", "art:21",
                                       slice_of(good[i]), NULL),
                         ST_OK);
    for (size_t i = 0; i < sizeof(whys) / sizeof(whys[0]); i++)
        assert_int_equal(fixture_entry(f, RECORD_OPTOUT_SET, NULL, whys[i],
                                       SLICE("{}"), NULL),
                         ST_SYNTAX);
    assert_int_equal(
        fixture_entry(f, RECORD_OPTOUT_SET, "bob", "boot", SLICE("{}"), NULL),
        ST_SYNTAX);
    assert_int_equal(fixture_policy(f, "{\"pol\":\"zz\"}", NULL), ST_SYNTAX);
    fixture_stop(f);
    assert_sound(f, 0);
}

static void an_entry_of_8192_bytes_is_the_longest(void **state)
{
    struct fixture *f = *state;
    static char d[9000];
    /* act 10, who 6, why 4, "failed" 6, frame 100, quotes and key 8 */
    size_t text = 8192 - 100 - 10 - 6 - 4 - 6 - 8;

    memset(d, 'x', sizeof(d));
    memcpy(d, "{\"a\":\"", 6);
    memcpy(d + 6 + text, "\"}", 2);
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_entry(f, RECORD_OPTOUT_SET, NULL, "boot",
                                   (struct slice){d, text + 8}, NULL),
                     ST_OK);
    memcpy(d + 6 + text, "x\"}", 3);
    assert_int_equal(fixture_entry(f, RECORD_OPTOUT_SET, NULL, "boot",
                                   (struct slice){d, text + 9}, NULL),
                     ST_SYNTAX);
    fixture_stop(f);
    assert_sound(f, 0);
}

static void delivery_conserves_fragments(void **state)
{
    struct fixture *f = *state;
    struct audit_delivery_facts facts[100];

    for (unsigned i = 0; i < 100; i++)
        facts[i] = (struct audit_delivery_facts){
            "mixbot", "store", 28 + i, 1 + i, 2, 3, 4, 5, 6, 7};
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(audit_delivery(f->log, facts, 100), ST_OK);
    fixture_stop(f);
    assert_true(count_records(f, "\"act\":\"delivery\"") > 1);
    assert_int_equal(count_records(f, "\"dst\":\"store\""), 100);
    assert_sound(f, 0);
    facts[0].waiting++;
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(audit_delivery(f->log, facts, 1), ST_OK);
    fixture_stop(f);
    struct verify_report r = verify_plain(f->folder, NULL);

    assert_int_equal(r.verdict, VERIFY_TAMPERED);
}

/* Recovery: what the journal holds and records do not is written then. */
static void rows_of_a_crash_are_rebuilt_once(void **state)
{
    struct fixture *f = *state;
    struct audit_row rows[] = {row(ACT_CLEARED, 1), row(ACT_DROPPED, 1),
                               row(ACT_DROPPED, 2), row(ACT_CLEARED, 3)};
    struct group_rows head = {.site = MIXBOT, .tag = "2026-11-22"};
    uint8_t bytes[4 * ROW_BYTES];

    for (unsigned i = 0; i < 4; i++)
        row_encode(&rows[i], bytes + (size_t)i * ROW_BYTES);
    rows[1].rule = 9;
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &head.policy_index), ST_OK);
    fixture_rows(f, MIXBOT, head.policy_index, 1, rows, 2);
    fixture_stop(f);

    f->now = 4000;
    f->mixbot = "renamed"; /* the id counts, not the name */
    head.time_ms = T0 + 3000;
    assert_int_equal(fixture_open(f), ST_OK);
    assert_int_equal(f->found.newest_optout, 7);
    assert_int_equal(f->found.newest_hash[31], 31);
    head.count = 2;
    assert_int_equal(audit_recover_rows(f->log, &head, 0, bytes), ST_OK);
    assert_int_equal(
        audit_recover_rows(f->log, &head, 2, bytes + 2 * ROW_BYTES), ST_OK);
    assert_int_equal(audit_start(f->log, &f->found, fixture_label, f), ST_OK);
    assert_int_equal(count_records(f, "\"rebuilt\":2,"), 1);
    assert_int_equal(count_records(f, "\"site\":\"renamed\""), 1);
    assert_int_equal(count_records(f, "\"cum\":{\"in\":3,"), 2);
    fixture_stop(f);

    assert_int_equal(fixture_open(f), ST_OK);
    assert_int_equal(
        audit_recover_rows(f->log, &head, 2, bytes + 2 * ROW_BYTES), ST_OK);
    head.count = 4; /* a group half in records */
    assert_int_equal(audit_recover_rows(f->log, &head, 3, bytes), ST_OK);
    assert_int_equal(audit_start(f->log, &f->found, fixture_label, f), ST_OK);
    assert_int_equal(count_records(f, "\"rebuilt\":3,"), 1);
    fixture_stop(f);
    assert_sound(f, 0);
}

/* Groups that the journal lost leave a hole that is said once, not a log
 * that takes the same rows again at each start. */
static void lost_groups_are_said_once(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = row(ACT_CLEARED, 1);
    struct group_rows head = {.site = MIXBOT, .tag = "x", .count = 1};
    uint8_t bytes[ROW_BYTES];

    row_encode(&r, bytes);
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &head.policy_index), ST_OK);
    fixture_stop(f);
    assert_int_equal(fixture_open(f), ST_OK);
    assert_int_equal(audit_recover_rows(f->log, &head, 5, bytes), ST_OK);
    assert_int_equal(audit_start(f->log, &f->found, fixture_label, f), ST_OK);
    fixture_stop(f);
    assert_int_equal(count_records(f, "\"lost\":5}"), 1);
    assert_int_equal(fixture_open(f), ST_OK);
    assert_int_equal(audit_recover_rows(f->log, &head, 5, bytes), ST_OK);
    assert_int_equal(audit_start(f->log, &f->found, fixture_label, f), ST_OK);
    fixture_stop(f);
    assert_int_equal(count_records(f, "gate.recovered"), 1);
    assert_sound(f, 0);
}

/* Every cut of the last commit opens again and goes on. */
static void r59_a_cut_anywhere_in_the_last_record_recovers(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = row(ACT_CLEARED, 1);
    uint64_t policy;
    size_t len, rows_len;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, &r, 1);
    fixture_stop(f);
    char *text = fixture_load(f->folder, SEG0, &len);
    char *rows = fixture_load(f->folder, ROWS0, &rows_len);
    char *stop = strstr(text, "{\"v\":1,\"i\":4,");
    assert_non_null(stop);
    for (size_t cut = (size_t)(stop - text); cut < len; cut += 7) {
        assert_true(fixture_save(f->folder, SEG0, text, cut));
        assert_true(fixture_save(f->folder, ROWS0, rows, rows_len));
        assert_int_equal(fixture_start(f), ST_OK);
        assert_int_equal(f->found.records, 4);
        assert_int_equal(f->found.cut_bytes, cut - (size_t)(stop - text));
        assert_int_equal(f->found.rows_cut, 0);
        fixture_stop(f);
        assert_sound(f, 0);
    }
    free(text);
    free(rows);
}

static void damage_before_the_end_refuses_to_start(void **state)
{
    struct fixture *f = *state;
    size_t len;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_read(f), ST_OK);
    fixture_stop(f);
    char *text = fixture_load(f->folder, SEG0, &len);
    char *second = strchr(text, '\n') + 1;
    second[20] = '\\';
    assert_true(fixture_save(f->folder, SEG0, text, len));
    assert_int_equal(fixture_open(f), ST_CORRUPT);
    second[20] = '\0'; /* the same for a byte that ends C strings */
    assert_true(fixture_save(f->folder, SEG0, text, len));
    assert_int_equal(fixture_open(f), ST_CORRUPT);
    free(text);
}

static void missing_rows_refuse_to_start(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = row(ACT_CLEARED, 1);
    uint64_t policy;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, &r, 1);
    fixture_stop(f);
    assert_true(fixture_save(f->folder, ROWS0, "", 0));
    assert_int_equal(fixture_open(f), ST_CORRUPT);
}

static void a_segment_closes_at_a_multiple_of_256_after_a_day(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = row(ACT_CLEARED, 1);
    uint64_t policy, index = 0;
    size_t len;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    f->now = 24 * 3600 * 1000;
    while (index < 254)
        assert_int_equal(fixture_entry(f, RECORD_OPTOUT_SET, NULL, "boot",
                                       SLICE("{}"), &index),
                         ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, &r, 1);
    f->now += 1000;
    assert_int_equal(fixture_read(f), ST_OK); /* batch 255, this one 256 */
    fixture_rows(f, MIXBOT, policy, 2, &r, 1);
    fixture_stop(f);
    char *text = fixture_load(f->folder, "seg/000000000256.jsonl", &len);
    assert_non_null(text);
    assert_int_equal(count_of(text, "\n"), 3);
    free(text);
    text = fixture_load(f->folder, "rows/000000000256.rows", &len);
    assert_int_equal(len, ROW_BYTES);
    free(text);
    assert_sound(f, 259);
    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(f->found.records, 259);
    fixture_stop(f);
    assert_sound(f, 0);
}

static void r59_a_full_disk_blocks_says_so_and_goes_on(void **state)
{
    struct fixture *f = *state;
    struct audit_row r = row(ACT_CLEARED, 1);
    uint64_t policy;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    fixture_rows(f, MIXBOT, policy, 1, &r, 1);
    assert_int_equal(fixture_read(f), ST_OK);
    room = 11; /* and the reserve holds nothing, either */
    f->now = 1000;
    assert_int_equal(fixture_read(f), ST_IO);
    assert_true(audit_is_blocked(f->log));
    assert_false(audit_is_broken(f->log));
    assert_int_equal(f->safe, 0);
    assert_true(audit_lag_ms(f->log) > 0);
    assert_sound(f, 4);
    room = -1;
    f->now = 3000;
    assert_int_equal(fixture_read(f), ST_OK);
    assert_false(audit_is_blocked(f->log));
    assert_int_equal(count_records(f, "\"state\":\"begin\""), 1);
    assert_int_equal(count_records(f, "\"state\":\"end\",\"ms\":2000"), 1);
    fixture_stop(f);
    assert_sound(f, 0);
}

static void the_reserve_takes_audit_blocked_at_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_start(f), ST_OK);
    room = 0;
    reserve_frees = true;
    assert_int_equal(fixture_read(f), ST_OK);
    assert_int_equal(count_records(f, "audit.blocked"), 2);
    assert_false(audit_is_blocked(f->log));
    fixture_stop(f);
    assert_sound(f, 0);
}

static void a_failed_sync_breaks_for_good(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_start(f), ST_OK);
    sync_fails = true;
    assert_int_equal(fixture_read(f), ST_IO);
    assert_int_equal(f->broken, ST_IO);
    sync_fails = false;
    assert_int_equal(fixture_read(f), ST_IO);
    assert_true(audit_is_broken(f->log));
}

static void a_file_moved_away_is_noticed(void **state)
{
    struct fixture *f = *state;
    char path[128];

    assert_int_equal(fixture_start(f), ST_OK);
    (void)snprintf(path, sizeof(path), "%s/%s", f->folder, SEG0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fixture_read(f), ST_IO);
    assert_int_equal(f->broken, ST_CORRUPT);
}

static void *many_rows(void *ctx)
{
    struct fixture *f = ctx;

    for (unsigned i = 0; i < 500; i++) {
        struct audit_row r = row(ACT_CLEARED, i + 1);
        fixture_rows(f, i % 2 == 0 ? MIXBOT : SHOP, 2, i + 1, &r, 1);
        f->now += 7;
    }
    return NULL;
}

/* For the thread sanitizer: rows, entries, gauges, all at once. */
static void many_threads_write_one_sound_log(void **state)
{
    struct fixture *f = *state;
    uint64_t policy, rows, bytes;
    pthread_t t;

    assert_int_equal(fixture_start(f), ST_OK);
    assert_int_equal(fixture_policy(f, POLICY_41, &policy), ST_OK);
    assert_int_equal(policy, 2);
    assert_int_equal(pthread_create(&t, NULL, many_rows, f), 0);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(fixture_read(f), ST_OK);
        assert_true(audit_lag_ms(f->log) >= 0);
        audit_bytes(f->log, &rows, &bytes);
    }
    assert_int_equal(pthread_join(t, NULL), 0);
    fixture_stop(f);
    assert_true(count_records(f, "\"cum\":{\"in\":500,") >= 1);
    assert_sound(f, 0);
}

static void site_numbers_are_the_first_eight_bytes(void **state)
{
    (void)state;
    assert_true(site_number(SLICE("9f2c41d07a3be835")) == MIXBOT);
    assert_true(site_number(SLICE("9f2c41d07a3be835ffff")) == MIXBOT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(r40_writes_the_bytes_another_hand_wrote),
        T(one_batch_has_one_policy_and_one_tag),
        T(a_batch_closes_before_its_record_is_too_long),
        T(a_batch_holds_65536_rows_and_not_one_more),
        T(modes_keep_fewer_rows_and_the_same_counts),
        T(refusals_without_a_site_are_in_the_log),
        T(silence_is_a_heartbeat_each_minute),
        T(a_stepped_clock_is_said_and_time_never_goes_back),
        T(an_entry_must_obey_the_grammar),
        T(an_entry_of_8192_bytes_is_the_longest),
        T(delivery_conserves_fragments),
        T(rows_of_a_crash_are_rebuilt_once),
        T(lost_groups_are_said_once),
        T(r59_a_cut_anywhere_in_the_last_record_recovers),
        T(damage_before_the_end_refuses_to_start),
        T(missing_rows_refuse_to_start),
        T(a_segment_closes_at_a_multiple_of_256_after_a_day),
        T(r59_a_full_disk_blocks_says_so_and_goes_on),
        T(the_reserve_takes_audit_blocked_at_once),
        T(a_failed_sync_breaks_for_good),
        T(a_file_moved_away_is_noticed),
        T(many_threads_write_one_sound_log),
        cmocka_unit_test(site_numbers_are_the_first_eight_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
