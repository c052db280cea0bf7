/* Retention of the audit log itself, over years of a clock that the tests move:
 * nothing goes that the log does not order, nothing that is held, and a log
 * that lost its beginning goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_fixture.h"
#include "lethe/gateway/audit/prune.h"
#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"

#include <inttypes.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DAY       MS_PER_DAY
#define DAILY     300u   /* records: a segment a day, about */
#define INDEX_MAX 40000u /* no log here has more records */
#define HEX       "4e32b77515a54d2479a884639edd3bbc7733369e96ae41f6f437a2ed18fe33e2"
#define KEEP_12   "{\"rows\":\"P14D\",\"records\":\"P12M\"}"
#define KEEP_1    "{\"rows\":\"P1D\",\"records\":\"P30D\"}"

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static _Atomic int steps = -1; /* until the power goes; -1 = never */

static void step(void)
{
    if (steps == 0)
        _exit(9);
    if (steps > 0)
        steps--;
}

int __wrap_rename(const char *from, const char *to)
{
    step();
    return __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
    step();
    return __real_unlink(path);
}

int __wrap_fsync(int fd)
{
    step();
    return __real_fsync(fd);
}

/* ---- a log, its pruner, and the years --------------------------------------
 */

struct rig {
    struct fixture f;
    struct pruner *p;
    _Atomic uint64_t covered; /* by the checkpoint */
    uint64_t sequence;
    uint64_t policy; /* index of the newest policy.load of mixbot */
};

static uint64_t covered(void *ctx)
{
    return ((struct rig *)ctx)->covered;
}

static void load(struct rig *r, const char *site, const char *keep)
{
    char d[400];

    (void)snprintf(d, sizeof(d),
                   "{\"site\":\"%s\",\"pol\":\"" HEX "\",\"old\":null,"
                   "\"dst\":[],\"keep\":%s,\"codes\":\"x\"}",
                   site, keep);
    assert_int_equal(fixture_policy(&r->f, d, &r->policy), ST_OK);
}

static void new_pruner(struct rig *r, bool is_signed)
{
    const struct prune_parts parts = {.folder = r->f.folder,
                                      .clock = &r->f.clock,
                                      .log = r->f.log,
                                      .signed_size = is_signed ? covered : NULL,
                                      .ctx = r};

    assert_int_equal(pruner_new(&parts, &r->p), ST_OK);
}

static void stop(struct rig *r)
{
    pruner_stop(r->p);
    r->p = NULL;
    fixture_stop(&r->f);
}

static void start(struct rig *r, bool is_signed)
{
    assert_int_equal(fixture_start(&r->f), ST_OK);
    new_pruner(r, is_signed);
}

static struct rig *make(bool is_signed)
{
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    assert_true(fixture_make(&r->f));
    start(r, is_signed);
    return r;
}

static void drop(struct rig *r)
{
    pruner_stop(r->p);
    fixture_drop(&r->f);
    free(r);
}

static void event(struct rig *r, uint64_t site)
{
    const struct audit_row row = {.act = 3, .reason = 3, .ev = 1 + r->sequence};

    fixture_rows(&r->f, site, r->policy, ++r->sequence, &row, 1);
}

/* So many days, each with an event and a segment's worth of records. */
static void live(struct rig *r, unsigned days)
{
    struct audit_entry e = {RECORD_AUDIT_READ, NULL, "timer", AUDIT_OK,
                            SLICE("{}")};

    for (unsigned d = 0; d < days; d++) {
        event(r, MIXBOT);
        for (unsigned i = 0; i < DAILY; i++)
            assert_int_equal(audit_append(r->f.log, &e, i + 1 == DAILY, NULL),
                             ST_OK);
        r->f.now += DAY;
    }
}

static unsigned files(struct rig *r, const char *part, uint64_t *out_first)
{
    char path[128];
    unsigned n = 0;

    *out_first = UINT64_MAX;
    for (uint64_t i = 0; i < INDEX_MAX; i += 256) {
        (void)snprintf(path, sizeof(path), "%s/%s/%012" PRIu64 ".%s",
                       r->f.folder, part, i, part[0] == 's' ? "jsonl" : "rows");
        if (access(path, F_OK) != 0)
            continue;
        n++;
        *out_first = *out_first == UINT64_MAX ? i : *out_first;
    }
    return n;
}

static uint64_t first_of(struct rig *r, const char *part)
{
    uint64_t first;

    (void)files(r, part, &first);
    return first;
}

static unsigned count_of(struct rig *r, const char *part)
{
    uint64_t first;

    return files(r, part, &first);
}

static void run(struct rig *r)
{
    assert_int_equal(pruner_run(r->p), ST_OK);
}

/* Orders, then what they order. */
static void prune(struct rig *r)
{
    run(r);
    r->covered = audit_synced_size(r->f.log);
    run(r);
}

static struct prune_facts facts(struct rig *r, enum prune_layer layer)
{
    struct prune_facts x;

    pruner_facts(r->p, layer, &x);
    return x;
}

/* The k-th line of the log that has `what`, into `out`. */
static bool line_with(struct rig *r, const char *what, unsigned k, char *out,
                      size_t size)
{
    char path[128];
    bool found = false;

    for (uint64_t i = 0; i < INDEX_MAX && !found; i += 256) {
        (void)snprintf(path, sizeof(path), "%s/seg/%012" PRIu64 ".jsonl",
                       r->f.folder, i);
        FILE *f = fopen(path, "re");
        while (f != NULL && !found && fgets(out, (int)size, f) != NULL)
            found = strstr(out, what) != NULL && k-- == 0;
        if (f != NULL)
            (void)fclose(f);
    }
    return found;
}

static unsigned count_lines(struct rig *r, const char *what)
{
    char line[8300];
    unsigned n = 0;

    while (line_with(r, what, n, line, sizeof(line)))
        n++;
    return n;
}

static void checkpoint_write(struct rig *r, uint64_t size)
{
    static const uint8_t seed[NOTE_SEED_BYTES] = {1};
    struct checkpoint c = {.origin = SLICE("gw1.example.eu/audit"),
                           .size = size};
    struct note_signer s;
    struct buf text, note;

    memset(c.root, 0x5a, sizeof(c.root));
    buf_init(&text, 1000);
    buf_init(&note, 2000);
    checkpoint_put(&c, &text);
    assert_int_equal(note_signer_make(c.origin, NOTE_ED25519, seed, &s), ST_OK);
    buf_put(&note, buf_slice(&text));
    buf_put_char(&note, '\n');
    assert_int_equal(note_sign(&s, buf_slice(&text), 0, &note), ST_OK);
    assert_true(fixture_save(r->f.folder, "checkpoint", note.data, note.len));
    buf_free(&text);
    buf_free(&note);
}

/* Where minimum-index says that the log begins. */
static uint64_t minimum_of(struct rig *r)
{
    size_t len;
    char *text = fixture_load(r->f.folder, "minimum-index", &len);
    uint64_t v = text == NULL ? 0 : strtoull(text, NULL, 10);

    free(text);
    return v;
}

/* ---- tests ------------------------------------------------------------------
 */

static void rows_and_records_go_each_in_their_time(void **state)
{
    struct rig *r = make(false);
    struct prune_facts x;

    (void)state;
    load(r, "mixbot", KEEP_12);
    live(r, 10);
    prune(r);
    assert_int_equal(first_of(r, "rows"), 0); /* nothing is 14 days old */
    live(r, 10);
    prune(r);
    x = facts(r, PRUNE_ROWS);
    assert_true(first_of(r, "rows") > 0);
    assert_int_equal(first_of(r, "seg"), 0);
    assert_int_equal(x.overdue_ms, 0);
    assert_false(x.held || x.waiting);
    assert_true(x.oldest_ms > 0 &&
                x.oldest_ms >= fixture_wall(&r->f) - 16 * DAY);
    unsigned kept = count_of(r, "rows");
    assert_true(kept >= 12 && kept <= 18);

    /* A policy of today does not yet order what went long ago. */
    assert_int_equal(count_lines(r, "\"audit.prune\""), 1);
    load(r, "mixbot", KEEP_12);
    r->f.now += 400 * DAY;
    live(r, 3);
    prune(r);
    assert_true(first_of(r, "seg") > 0);
    assert_true(count_of(r, "seg") <= 5);
    drop(r);
}

static void an_order_says_all_of_it(void **state)
{
    struct rig *r = make(true);
    char line[8300], want[200];

    (void)state;
    load(r, "mixbot", KEEP_12);
    checkpoint_write(r, 77);
    live(r, 16);
    run(r);
    assert_true(line_with(r, "\"audit.prune\"", 0, line, sizeof(line)));
    (void)snprintf(want, sizeof(want),
                   "\"act\":\"audit.prune\",\"who\":\"gw:gw1\",\"why\":\"ret:"
                   "rows\",\"out\":\"ok\",\"d\":{\"layer\":\"rows\",\"from\":0,"
                   "\"to\":");
    assert_non_null(strstr(line, want));
    char *to = strstr(line, "\"to\":");
    uint64_t end = strtoull(to + 5, NULL, 10);
    assert_true(end > 0 && end % 256 == 0);
    /* 16 days after T0, less 14 */
    (void)snprintf(want, sizeof(want),
                   ",\"cutoff\":\"2026-11-24T09:00:00.000Z\",\"keep\":\"P14D\","
                   "\"pol\":%" PRIu64 ",\"size\":77,\"root\":\"WlpaWlpa",
                   r->policy);
    assert_non_null(strstr(line, want));
    assert_non_null(strstr(line, "\"cum0\":{\"in\":0,\"fwd\":0,\"mod\":0,"
                                 "\"drop\":0},\"cum1\":{\"in\":"));
    assert_null(strstr(line, "\"cum1\":{\"in\":0,"));

    /* The next begins where this one ended, in totals too. */
    char *cum1 = strdup(strstr(line, "\"cum1\":") + 7);
    r->covered = audit_synced_size(r->f.log);
    run(r);
    live(r, 5);
    run(r);
    assert_true(line_with(r, "\"audit.prune\"", 1, line, sizeof(line)));
    (void)snprintf(want, sizeof(want), "\"from\":%" PRIu64 ",", end);
    assert_non_null(strstr(line, want));
    *strchr(cum1, '}') = '\0';
    (void)snprintf(want, sizeof(want), "\"cum0\":%s}", cum1);
    assert_non_null(strstr(line, want));
    free(cum1);
    drop(r);
}

static void nothing_goes_before_its_order_is_signed(void **state)
{
    struct rig *r = make(true);

    (void)state;
    load(r, "mixbot", KEEP_12);
    live(r, 20);
    run(r); /* no checkpoint at all: not even an order */
    assert_int_equal(count_lines(r, "\"audit.prune\""), 0);
    assert_true(facts(r, PRUNE_ROWS).waiting);
    assert_true(facts(r, PRUNE_ROWS).overdue_ms > 0);
    checkpoint_write(r, 100);
    r->covered = 100;
    run(r);
    assert_int_equal(count_lines(r, "\"audit.prune\""), 1);
    run(r);
    run(r);
    assert_int_equal(count_lines(r, "\"audit.prune\""), 1);
    assert_int_equal(first_of(r, "rows"), 0);
    assert_true(facts(r, PRUNE_ROWS).waiting);

    char line[8300];
    assert_true(line_with(r, "\"audit.prune\"", 0, line, sizeof(line)));
    uint64_t index = strtoull(strstr(line, "\"i\":") + 4, NULL, 10);
    r->covered = index; /* all but the order */
    run(r);
    assert_int_equal(first_of(r, "rows"), 0);
    r->covered = index + 1;
    run(r);
    assert_true(first_of(r, "rows") > 0);
    assert_false(facts(r, PRUNE_ROWS).waiting);
    drop(r);
}

static void a_hold_keeps_what_it_spans(void **state)
{
    struct rig *r = make(true);
    char id[HOLD_ID_MAX], second[HOLD_ID_MAX];
    struct audit_hold list[AUDIT_HOLDS_MAX];
    uint64_t lift;

    (void)state;
    checkpoint_write(r, 1);
    load(r, "mixbot", KEEP_12);
    live(r, 20);
    assert_int_equal(pruner_hold(r->p, "adm:9f2c41d07a3e", "tkt:DPO-9",
                                 T0 + 2 * DAY, T0 + 3 * DAY, id),
                     ST_OK);
    assert_int_equal(strlen(id), 8);
    prune(r);
    uint64_t first = first_of(r, "rows"); /* days 0 and 1 are gone */
    assert_true(first > 0 && first <= 3 * DAILY);
    assert_true(facts(r, PRUNE_ROWS).held);
    assert_int_equal(facts(r, PRUNE_ROWS).overdue_ms, 0);
    live(r, 5);
    prune(r);
    assert_int_equal(first_of(r, "rows"), first);

    assert_int_equal(
        pruner_lift(r->p, "adm:9f2c41d07a3e", "tkt:DPO-9", "0", &lift),
        ST_UNKNOWN);
    assert_int_equal(
        pruner_lift(r->p, "adm:9f2c41d07a3e", "tkt:DPO-9", id, &lift), ST_OK);
    r->covered = lift; /* written, not signed */
    run(r);
    assert_int_equal(first_of(r, "rows"), first);
    assert_int_equal(pruner_holds(r->p, list), 1);
    assert_string_equal(list[0].why, "tkt:DPO-9");
    r->covered = lift + 1;
    assert_int_equal(pruner_holds(r->p, list), 0);
    run(r);
    /* Ordered now; a second hold comes before the signature. */
    assert_int_equal(first_of(r, "rows"), first);
    assert_int_equal(
        pruner_hold(r->p, NULL, "tkt:DPO-10", T0, HOLD_OPEN, second), ST_OK);
    r->covered = audit_synced_size(r->f.log);
    run(r);
    assert_int_equal(first_of(r, "rows"), first);
    assert_true(facts(r, PRUNE_ROWS).held);

    /* A restart forgets neither. */
    stop(r);
    start(r, true);
    load(r, "mixbot", KEEP_12);
    prune(r);
    assert_int_equal(first_of(r, "rows"), first);
    assert_int_equal(pruner_holds(r->p, list), 1);
    assert_true(list[0].from_ms == T0 && list[0].to_ms == HOLD_OPEN);
    assert_int_equal(pruner_lift(r->p, NULL, "tkt:DPO-10", second, &lift),
                     ST_OK);
    r->covered = audit_synced_size(r->f.log);
    run(r);
    assert_true(first_of(r, "rows") > first);
    drop(r);
}

static void holds_are_so_many_and_no_more(void **state)
{
    struct rig *r = make(false);
    char id[HOLD_ID_MAX], first[HOLD_ID_MAX] = "";
    uint64_t index;

    (void)state;
    for (unsigned i = 0; i < AUDIT_HOLDS_MAX; i++) {
        assert_int_equal(pruner_hold(r->p, NULL, "tkt:1", T0, T0 + i, id),
                         ST_OK);
        if (i == 0)
            memcpy(first, id, sizeof(first));
    }
    assert_int_equal(pruner_hold(r->p, NULL, "tkt:1", T0, T0, id), ST_LIMIT);
    assert_int_equal(pruner_hold(r->p, NULL, "tkt:1", T0, T0 - 1, id),
                     ST_SYNTAX);
    assert_int_equal(pruner_hold(r->p, NULL, "because", T0, T0, id), ST_LIMIT);
    assert_int_equal(pruner_lift(r->p, NULL, "because", first, &index),
                     ST_SYNTAX);
    assert_int_equal(pruner_lift(r->p, NULL, "tkt:1", first, &index), ST_OK);
    assert_int_equal(pruner_hold(r->p, NULL, "because", T0, T0, id), ST_SYNTAX);
    assert_int_equal(pruner_hold(r->p, NULL, "tkt:1", T0, T0, id), ST_OK);
    drop(r);
}

static void the_longest_policy_in_force_counts(void **state)
{
    struct rig *r = make(false);
    uint64_t mixbot;
    char line[8300], want[40];

    (void)state;
    load(r, "mixbot", KEEP_12);
    mixbot = r->policy;
    load(r, "shop", KEEP_1);
    live(r, 10);
    prune(r);
    assert_int_equal(first_of(r, "rows"), 0); /* P14D is longer than P1D */
    live(r, 8);
    prune(r);
    assert_true(line_with(r, "\"audit.prune\"", 0, line, sizeof(line)));
    (void)snprintf(want, sizeof(want), "\"pol\":%" PRIu64 ",", mixbot);
    assert_non_null(strstr(line, "\"keep\":\"P14D\""));
    assert_non_null(strstr(line, want));
    uint64_t first = first_of(r, "rows");

    /* A shorter one counts from its record on, not before. */
    prune(r);
    assert_int_equal(first_of(r, "rows"), first);
    load(r, "mixbot", KEEP_1);
    prune(r);
    assert_true(first_of(r, "rows") > first);
    assert_true(count_of(r, "rows") <= 4);
    drop(r);
}

static void a_site_that_is_gone_keeps_nothing(void **state)
{
    struct rig *r = make(false);
    struct audit_entry e = {RECORD_CONFIG_LOAD, NULL, "chg:reload", AUDIT_OK,
                            SLICE("{\"sites\":1}")};

    (void)state;
    load(r, "mixbot", KEEP_12);
    live(r, 8);
    load(r, "renamed", KEEP_1); /* by a reload, which says so behind it */
    prune(r);
    assert_int_equal(first_of(r, "rows"), 0);
    assert_int_equal(audit_append(r->f.log, &e, true, NULL), ST_OK);
    prune(r);
    assert_true(first_of(r, "rows") > 0);
    drop(r);
}

static void no_policy_no_deletion(void **state)
{
    struct rig *r = make(false);

    (void)state;
    live(r, 20);
    prune(r);
    assert_int_equal(first_of(r, "rows"), 0);
    load(r, "mixbot", "{\"rows\":\"P14\",\"records\":\"P12M\"}");
    prune(r);
    assert_int_equal(first_of(r, "rows"), 0);
    load(r, "mixbot", KEEP_12);
    stop(r);
    start(r, false); /* a start has no policy until one is loaded */
    prune(r);
    assert_int_equal(first_of(r, "rows"), 0);
    load(r, "mixbot", KEEP_12);
    prune(r);
    assert_true(first_of(r, "rows") > 0);
    drop(r);
}

static void the_policy_in_force_is_not_pruned(void **state)
{
    struct rig *r = make(false);

    (void)state;
    load(r, "mixbot", KEEP_1);
    live(r, 50);
    prune(r);
    assert_true(first_of(r, "rows") > 0);
    assert_int_equal(first_of(r, "seg"), 0);
    assert_true(pruner_wants_policies(r->p));
    assert_false(pruner_wants_policies(r->p));
    assert_true(facts(r, PRUNE_RECORDS).overdue_ms > 0);
    load(r, "mixbot", KEEP_1);
    prune(r);
    assert_true(first_of(r, "seg") > 0);
    assert_false(pruner_wants_policies(r->p));
    assert_int_equal(facts(r, PRUNE_RECORDS).overdue_ms, 0);
    drop(r);
}

/* The journal counts a site's rows from its first; the log must not think that
 * those of deleted records were lost, nor write any twice. */
static void a_pruned_log_goes_on(void **state)
{
    struct rig *r = make(false);
    const struct audit_row row = {.act = 3, .reason = 3, .ev = 99};
    struct group_rows head = {.site = MIXBOT, .tag = "2026-11-22", .count = 1};
    uint8_t bytes[ROW_BYTES];
    char line[8300];

    (void)state;
    load(r, "mixbot", KEEP_1);
    live(r, 50);
    event(r, SHOP);
    load(r, "mixbot", KEEP_1);
    prune(r);
    uint64_t first = first_of(r, "seg");
    assert_true(first > 0);
    assert_int_equal(minimum_of(r), first);
    stop(r);

    assert_int_equal(fixture_open(&r->f), ST_OK);
    assert_int_equal(r->f.found.cut_bytes + r->f.found.rows_cut, 0);
    row_encode(&row, bytes);
    /* 50 rows of mixbot are in records: the 51st is new, the 50th is not. */
    head.policy_index = r->policy;
    assert_int_equal(audit_recover_rows(r->f.log, &head, 49, bytes), ST_OK);
    assert_int_equal(audit_recover_rows(r->f.log, &head, 50, bytes), ST_OK);
    head.site = SHOP;
    assert_int_equal(audit_recover_rows(r->f.log, &head, 1, bytes), ST_OK);
    assert_int_equal(audit_start(r->f.log, &r->f.found, fixture_label, &r->f),
                     ST_OK);
    new_pruner(r, false);
    assert_true(line_with(r, "\"gate.recovered\"", 0, line, sizeof(line)));
    assert_non_null(strstr(line, "\"rebuilt\":2"));
    assert_non_null(strstr(line, "\"lost\":0"));

    /* Totals go on, and so does pruning. */
    load(r, "mixbot", KEEP_1);
    live(r, 40);
    load(r, "mixbot", KEEP_1);
    prune(r);
    assert_true(first_of(r, "seg") > first);
    stop(r);
    assert_int_equal(fixture_start(&r->f), ST_OK);
    /* 50 + 40 of mixbot, 1 of shop, the 2 that were rebuilt */
    assert_true(count_lines(r, "\"cum\":{\"in\":93,") > 0);
    assert_int_equal(count_lines(r, "\"cum\":{\"in\":94,"), 0);
    new_pruner(r, false);
    drop(r);
}

/* The journal's k-th row of mixbot: is it known, or new? */
static void assert_known(struct rig *r, uint64_t k, bool known)
{
    struct group_rows head = {.site = MIXBOT, .tag = "2026-11-22", .count = 1};
    const struct audit_row row = {.act = 3, .reason = 3, .ev = 99};
    unsigned rebuilt = count_lines(r, "\"rebuilt\":1,");
    uint8_t bytes[ROW_BYTES];

    stop(r);
    row_encode(&row, bytes);
    head.policy_index = r->policy;
    assert_int_equal(fixture_open(&r->f), ST_OK);
    assert_int_equal(audit_recover_rows(r->f.log, &head, k, bytes), ST_OK);
    assert_int_equal(audit_start(r->f.log, &r->f.found, fixture_label, &r->f),
                     ST_OK);
    new_pruner(r, true);
    assert_int_equal(count_lines(r, "\"rebuilt\":1,") - rebuilt, !known);
    assert_int_equal(
        count_lines(r, "\"lost\":") - count_lines(r, "\"lost\":0}"), 0);
    load(r, "mixbot", KEEP_1);
}

/* A hold stops a deletion half way; what is left is a log like any other, and
 * the totals of what went are counted once. */
static void a_deletion_half_done_is_sound(void **state)
{
    struct rig *r = make(true);
    char id[HOLD_ID_MAX];
    uint64_t lift;

    (void)state;
    checkpoint_write(r, 1);
    load(r, "mixbot", KEEP_1);
    live(r, 45);
    load(r, "mixbot", KEEP_1);
    run(r);
    assert_int_equal(
        pruner_hold(r->p, NULL, "tkt:1", T0 + 8 * DAY, HOLD_OPEN, id), ST_OK);
    r->covered = audit_synced_size(r->f.log);
    run(r);
    uint64_t first = first_of(r, "seg");
    assert_true(first > 0 && first <= 9 * DAILY);
    assert_true(facts(r, PRUNE_RECORDS).held);
    assert_known(r, 44, true);
    assert_int_equal(pruner_lift(r->p, NULL, "tkt:1", id, &lift), ST_OK);
    r->covered = audit_synced_size(r->f.log);
    prune(r); /* the rest of the first order, and a second one's */
    live(r, 5);
    prune(r);
    assert_true(first_of(r, "seg") > first);
    assert_int_equal(count_lines(r, "\"state\":\"lift\""), 1);
    assert_known(r, 49, true);
    assert_known(r, 50, false);
    drop(r);
}

/* A policy.load is gone; batches of events that it decided come still. */
static void batches_of_a_pruned_policy_keep_its_hash(void **state)
{
    struct rig *r = make(false);
    char line[8300], want[80];
    uint64_t old;

    (void)state;
    load(r, "mixbot", KEEP_1);
    old = r->policy;
    live(r, 50);
    load(r, "mixbot", KEEP_1);
    r->policy = old;
    prune(r);
    assert_true(first_of(r, "seg") > old);
    stop(r);
    start(r, false);
    event(r, MIXBOT);
    stop(r);
    (void)snprintf(want, sizeof(want),
                   "\"why\":\"pol:4e32b77515a54d24\",\"out\":\"ok\",\"d\":{"
                   "\"pol\":%" PRIu64 ",",
                   old);
    unsigned n = count_lines(r, want);
    assert_true(line_with(r, want, n - 1, line, sizeof(line)));
    assert_non_null(strstr(line, "\"in\":1,"));
    assert_int_equal(count_lines(r,
                                 "\"pol:none\",\"out\":\"ok\",\"d\":{\"pol\":"
                                 "null,\"site\""),
                     0);
    drop(r);
}

static void remove_file(struct rig *r, const char *part, uint64_t first)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s/%012" PRIu64 ".%s", r->f.folder,
                   part, first, part[0] == 's' ? "jsonl" : "rows");
    assert_int_equal(unlink(path), 0);
}

static void a_deletion_nobody_ordered_stops_the_start(void **state)
{
    static const char *const parts[] = {"rows", "seg"};

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned ordered = 0; ordered < 2; ordered++) {
            struct rig *r = make(false);
            load(r, "mixbot", KEEP_12);
            live(r, 20);
            if (ordered) /* of rows alone, and of the oldest alone */
                prune(r);
            stop(r);
            remove_file(r, parts[i], first_of(r, parts[i]));
            assert_int_equal(fixture_open(&r->f), ST_CORRUPT);
            drop(r);
        }
}

/* The power goes at each step of a deletion: what is left is a log that starts,
 * has lost nothing it should have, and finishes. */
static bool dies_at(int at)
{
    struct rig *r = make(false);
    int status;

    load(r, "mixbot", KEEP_1);
    live(r, 40);
    load(r, "mixbot", KEEP_1);
    run(r); /* orders */
    stop(r);
    unsigned rows = count_of(r, "rows"), records = count_of(r, "seg");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (fixture_start(&r->f) != ST_OK)
            _exit(1);
        new_pruner(r, false);
        steps = at;
        _exit(pruner_run(r->p) == ST_OK ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) &&
                (WEXITSTATUS(status) == 9 || WEXITSTATUS(status) == 0));
    /* What is gone was never said to be there. */
    assert_true(minimum_of(r) >= first_of(r, "seg"));
    start(r, false);
    run(r);
    assert_true(count_of(r, "rows") < rows);
    assert_true(count_of(r, "seg") < records);
    assert_int_equal(minimum_of(r), first_of(r, "seg"));
    assert_int_equal(count_lines(r, "\"audit.prune\""), 2);

    struct group_rows head = {.site = MIXBOT, .tag = "2026-11-22", .count = 1};
    uint8_t bytes[ROW_BYTES] = {0};
    stop(r);
    assert_int_equal(fixture_open(&r->f), ST_OK);
    assert_int_equal(audit_recover_rows(r->f.log, &head, 39, bytes), ST_OK);
    assert_int_equal(audit_start(r->f.log, &r->f.found, fixture_label, &r->f),
                     ST_OK);
    assert_int_equal(count_lines(r, "\"lost\":"), 0);
    drop(r);
    return WEXITSTATUS(status) == 9;
}

static void a_crash_anywhere_is_finished(void **state)
{
    int at = 0;

    (void)state;
    while (dies_at(at))
        at += at < 12 ? 1 : 17;
    assert_true(at > 40); /* it was a deletion of many files */
}

static void without_a_gateway_a_look_is_all(void **state)
{
    struct rig *r = make(false);
    struct prune_offline look;
    char id[HOLD_ID_MAX];

    (void)state;
    load(r, "mixbot", KEEP_12);
    live(r, 20);
    assert_int_equal(
        pruner_hold(r->p, NULL, "tkt:1", T0 + 30 * DAY, HOLD_OPEN, id), ST_OK);
    struct prune_plan plan;
    assert_int_equal(pruner_plan(r->p, PRUNE_ROWS, &plan), ST_OK);
    stop(r);
    assert_int_equal(prune_look(r->f.folder, fixture_wall(&r->f), &look),
                     ST_OK);
    assert_int_equal(look.hold_count, 1);
    assert_string_equal(look.holds[0].id, id);
    assert_true(look.plans[PRUNE_ROWS].files > 0);
    assert_int_equal(look.plans[PRUNE_ROWS].to, plan.to);
    assert_int_equal(look.plans[PRUNE_RECORDS].files, 0);
    assert_int_equal(first_of(r, "rows"), 0);
    drop(r);
}

static void the_thread_looks_each_hour_and_when_asked(void **state)
{
    struct rig *r = make(false);

    (void)state;
    load(r, "mixbot", KEEP_12);
    live(r, 20);
    assert_int_equal(pruner_start(r->p), ST_OK);
    for (unsigned i = 0; i < 2000 && first_of(r, "rows") == 0; i++) {
        pruner_tick(r->p);
        usleep(5000);
    }
    assert_true(first_of(r, "rows") > 0);
    uint64_t first = first_of(r, "rows");
    live(r, 3);
    r->f.now -= 3 * DAY - PRUNE_EVERY_MS + 1; /* not due yet */
    pruner_tick(r->p);
    r->f.now += 3 * DAY - PRUNE_EVERY_MS + 1;
    for (unsigned i = 0; i < 2000 && first_of(r, "rows") == first; i++) {
        pruner_ask(r->p);
        usleep(5000);
    }
    assert_true(first_of(r, "rows") > first);
    drop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_records_go_each_in_their_time),
        cmocka_unit_test(an_order_says_all_of_it),
        cmocka_unit_test(nothing_goes_before_its_order_is_signed),
        cmocka_unit_test(a_hold_keeps_what_it_spans),
        cmocka_unit_test(holds_are_so_many_and_no_more),
        cmocka_unit_test(the_longest_policy_in_force_counts),
        cmocka_unit_test(a_site_that_is_gone_keeps_nothing),
        cmocka_unit_test(no_policy_no_deletion),
        cmocka_unit_test(the_policy_in_force_is_not_pruned),
        cmocka_unit_test(a_pruned_log_goes_on),
        cmocka_unit_test(a_deletion_half_done_is_sound),
        cmocka_unit_test(batches_of_a_pruned_policy_keep_its_hash),
        cmocka_unit_test(a_deletion_nobody_ordered_stops_the_start),
        cmocka_unit_test(a_crash_anywhere_is_finished),
        cmocka_unit_test(without_a_gateway_a_look_is_all),
        cmocka_unit_test(the_thread_looks_each_hour_and_when_asked),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
