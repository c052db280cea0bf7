/* The verifier against logs that somebody changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_fixture.h"
#include "lethe/audit_codes.h"
#include "verify_case.h"

#include <sys/stat.h>

#define BATCHES 6u
#define POLICY_TO                                                              \
    "{\"site\":\"mixbot\",\"pol\":\"4e32b77515a54d2479a884639edd3bbc\","       \
    "\"old\":null,\"dst\":[\"store\",\"file\"]}"

struct log_bytes {
    char *seg, *rows;
    size_t seg_len, rows_len;
};

static struct fixture fix;
static struct log_bytes good;

/* Six seconds of two sites, with denials, sweeps and deliveries. */
static int make_log(void **state)
{
    struct fixture *f = &fix;
    uint64_t policy;

    *state = f;
    if (!fixture_make(f) || fixture_start(f) != ST_OK ||
        fixture_policy(f, POLICY_TO, &policy) != ST_OK)
        return -1;
    for (unsigned i = 0; i < BATCHES; i++) {
        struct audit_row rows[] = {
            {0, ACT_CLEARED, 0, 3, 1, 1, 0, 100 + i, 7},
            {0, ACT_MINIMISED, 0, 4, 1, 1, 9, 200 + i, 7},
            {0, ACT_DROPPED, REASON_GPC, 5, 1, 2, 0, 200 + i, 7},
            {0, ACT_DROPPED, REASON_NO_CONSENT, 6, 1, 3, 0, 300 + i, 0},
            {0, ACT_SWEPT, REASON_OPTED_OUT_THEN, 0, 0, 1, 0, 100, 0}};
        struct audit_delivery_facts d = {"mixbot", "store", 10 + i, 3, 0,
                                         0,        0,       0,      0, 7 + i};
        fixture_rows(f, i % 2 == 0 ? MIXBOT : SHOP, policy, i + 1, rows, 5);
        f->now += 1500;
        if (fixture_read(f) != ST_OK || audit_delivery(f->log, &d, 1) != ST_OK)
            return -1;
    }
    fixture_stop(f);
    good.seg = fixture_load(f->folder, SEG0, &good.seg_len);
    good.rows = fixture_load(f->folder, ROWS0, &good.rows_len);
    return good.seg != NULL && good.rows != NULL ? 0 : -1;
}

static int drop_log(void **state)
{
    free(good.seg);
    free(good.rows);
    fixture_drop(*state);
    return 0;
}

static void put_back(struct fixture *f)
{
    assert_true(fixture_save(f->folder, SEG0, good.seg, good.seg_len));
    assert_true(fixture_save(f->folder, ROWS0, good.rows, good.rows_len));
}

static struct verify_report verify(struct fixture *f)
{
    struct verify_report r = verify_plain(f->folder, NULL);

    return r;
}

static void a_sound_log_is_not_called_signed(void **state)
{
    struct verify_report r = verify(*state);

    assert_int_equal(r.verdict, VERIFY_INCOMPLETE);
    assert_non_null(strstr(r.text, "not signed"));
    assert_int_equal(r.decisions, 3 * BATCHES);
    assert_int_equal(r.rows, 5 * BATCHES);
    assert_int_equal(r.batches, BATCHES + 1);
}

static void another_hands_log_is_sound(void **state)
{
    struct verify_report r = verify_plain("tests/data/audit/golden", NULL);

    (void)state;
    assert_int_equal(r.verdict, VERIFY_INCOMPLETE);
    assert_int_equal(r.records, 10);
    assert_int_equal(r.rows, 13);
}

/* The k-th place of `what` in the good records, and which record it is in. */
static size_t place(const char *what, unsigned k, uint64_t *out_index)
{
    const char *at = good.seg;

    *out_index = 0;
    for (at = strstr(at, what); at != NULL && k > 0; k--)
        at = strstr(at + 1, what);
    if (at == NULL)
        return SIZE_MAX;
    for (const char *p = good.seg; p < at; p++)
        *out_index += *p == '\n';
    return (size_t)(at - good.seg);
}

static void assert_found(struct fixture *f, uint64_t index, const char *what,
                         unsigned k)
{
    struct verify_report r = verify(f);

    if (r.verdict != VERIFY_TAMPERED || r.bad_index != index)
        print_message("%s #%u in %u: %s\n", what, k, (unsigned)index, r.text);
    assert_int_equal(r.verdict, VERIFY_TAMPERED);
    assert_int_equal(r.bad_index, index);
}

static unsigned other_digit(char c)
{
    return (unsigned)('0' + (c - '0' + 1) % 10);
}

/* Each digit behind each of these keys, in each record that has it. */
static void r58_a_changed_number_is_found_and_named(void **state)
{
    static const char *const keys[] = {
        "\"in\":",  "\"fwd\":",     "\"mod\":",      "\"drop\":",
        "\"n\":",   "\"by\":[",     "\"ex\":[",      "\"i\":",
        "\"pol\":", "\"cleared\":", "\"accepted\":", "\"waiting\":"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        uint64_t index;
        size_t at;
        for (unsigned k = 0; (at = place(keys[i], k, &index)) != SIZE_MAX;
             k++) {
            at += strlen(keys[i]);
            while (strchr("[]0123456789,", good.seg[at]) != NULL) {
                char was = good.seg[at];
                if (was >= '0' && was <= '9') {
                    good.seg[at] = (char)other_digit(was);
                    put_back(f);
                    assert_found(f, index, keys[i], k);
                    good.seg[at] = was;
                } else if ((was == ']' && good.seg[at + 1] != ',') ||
                           good.seg[at + 1] == '"') {
                    break;
                }
                at++;
            }
        }
    }
    put_back(f);
}

static void r58_a_changed_time_is_found_and_named(void **state)
{
    static const char *const keys[] = {"\"t0\":\"", "\"t1\":\""};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        uint64_t index;
        size_t at;
        for (unsigned k = 0; (at = place(keys[i], k, &index)) != SIZE_MAX;
             k++) {
            at += strlen(keys[i]) + 22; /* the last digit */
            char was = good.seg[at];
            good.seg[at] = (char)other_digit(was);
            put_back(f);
            assert_found(f, index, keys[i], k);
            good.seg[at] = was;
        }
    }
    put_back(f);
}

/* Sums changed so that they agree with each other: the rows tell. */
static void r58_agreeing_lies_are_found(void **state)
{
    struct fixture *f = *state;
    uint64_t index;
    size_t at = place("\"fwd\":1,\"mod\":1,", 0, &index);

    assert_true(at != SIZE_MAX);
    memcpy(good.seg + at, "\"fwd\":2,\"mod\":0,", 16);
    size_t cum = place("\"fwd\":1,\"mod\":1,", 0, &index);
    memcpy(good.seg + cum, "\"fwd\":2,\"mod\":0,", 16);
    put_back(f);
    assert_found(f, index, "fwd and cum", 0);
    memcpy(good.seg + at, "\"fwd\":1,\"mod\":1,", 16);
    memcpy(good.seg + cum, "\"fwd\":1,\"mod\":1,", 16);
    put_back(f);
    assert_int_equal(verify(f).verdict, VERIFY_INCOMPLETE);
}

static void r58_a_changed_root_is_found(void **state)
{
    struct fixture *f = *state;
    uint64_t index;
    size_t at;

    for (unsigned k = 0; (at = place("\"root\":\"", k, &index)) != SIZE_MAX;
         k++) {
        for (size_t j = at + 8; j < at + 8 + 44; j++) {
            char was = good.seg[j];
            good.seg[j] = was == 'A' ? 'B' : 'A';
            put_back(f);
            assert_found(f, index, "root", k);
            good.seg[j] = was;
        }
    }
    put_back(f);
}

/* Every byte of every row. */
static void r58_a_changed_row_is_found_and_its_batch_named(void **state)
{
    struct fixture *f = *state;

    for (size_t at = 0; at < good.rows_len; at++) {
        uint64_t index;
        unsigned batch = (unsigned)(at / (5 * ROW_BYTES));
        (void)place("\"n\":5,", batch, &index);
        good.rows[at] ^= 0x10;
        assert_true(fixture_save(f->folder, ROWS0, good.rows, good.rows_len));
        assert_found(f, index, "row", (unsigned)at);
        good.rows[at] ^= 0x10;
    }
    put_back(f);
}

static void r58_swapped_missing_and_doubled_rows_are_found(void **state)
{
    struct fixture *f = *state;
    uint64_t index;

    for (size_t k = 0; k + 1 < good.rows_len / ROW_BYTES; k++) {
        char bytes[64 * ROW_BYTES];
        (void)place("\"n\":5,", (unsigned)(k / 5), &index);
        memcpy(bytes, good.rows, good.rows_len);
        memcpy(bytes + k * ROW_BYTES, good.rows + (k + 1) * ROW_BYTES,
               ROW_BYTES);
        memcpy(bytes + (k + 1) * ROW_BYTES, good.rows + k * ROW_BYTES,
               ROW_BYTES);
        assert_true(fixture_save(f->folder, ROWS0, bytes, good.rows_len));
        assert_found(f, index, "swap", (unsigned)k);
        memcpy(bytes, good.rows, good.rows_len);
        memmove(bytes + k * ROW_BYTES, bytes + (k + 1) * ROW_BYTES,
                good.rows_len - (k + 1) * ROW_BYTES);
        assert_true(
            fixture_save(f->folder, ROWS0, bytes, good.rows_len - ROW_BYTES));
        assert_found(f, index, "missing", (unsigned)k);
    }
    put_back(f);
}

/* Line k of the good records: where it begins and the next one. */
static void line_at(unsigned k, size_t *from, size_t *to)
{
    const char *at = good.seg;

    while (k-- > 0)
        at = strchr(at, '\n') + 1;
    *from = (size_t)(at - good.seg);
    *to = (size_t)(strchr(at, '\n') + 1 - good.seg);
}

static unsigned line_count(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < good.seg_len; i++)
        n += good.seg[i] == '\n';
    return n;
}

static void r58_removed_lines_are_found(void **state)
{
    struct fixture *f = *state;
    char *bytes = malloc(good.seg_len);
    size_t from, to;

    assert_non_null(bytes);
    /* The first may have been pruned and the last is only under a signature. */
    for (unsigned k = 0; k + 1 < line_count(); k++) {
        line_at(k, &from, &to);
        memcpy(bytes, good.seg, from);
        memcpy(bytes + from, good.seg + to, good.seg_len - to);
        assert_true(
            fixture_save(f->folder, SEG0, bytes, good.seg_len - (to - from)));
        assert_found(f, k, "removed", k);
    }
    free(bytes);
    put_back(f);
}

static void r58_doubled_and_swapped_lines_are_found(void **state)
{
    struct fixture *f = *state;
    char *bytes = malloc(2 * good.seg_len);
    size_t from, to, end;

    assert_non_null(bytes);
    for (unsigned k = 0; k + 1 < line_count(); k++) {
        line_at(k, &from, &to);
        memcpy(bytes, good.seg, to);
        memcpy(bytes + to, good.seg + from, good.seg_len - from);
        assert_true(
            fixture_save(f->folder, SEG0, bytes, good.seg_len + to - from));
        assert_found(f, k + 1, "doubled", k);
        line_at(k + 1, &to, &end);
        memcpy(bytes, good.seg, good.seg_len);
        memcpy(bytes + from, good.seg + to, end - to);
        memcpy(bytes + from + end - to, good.seg + from, to - from);
        assert_true(fixture_save(f->folder, SEG0, bytes, good.seg_len));
        assert_found(f, k, "swapped", k);
    }
    free(bytes);
    put_back(f);
}

static void r58_lines_that_are_no_records_are_found(void **state)
{
    static const char *const lines[] = {"\n", "{}\n", "null\n", " \n"};
    struct fixture *f = *state;
    char *bytes = malloc(good.seg_len + 16);
    size_t from, to;

    assert_non_null(bytes);
    for (unsigned k = 0; k < line_count(); k++) {
        const char *line = lines[k % 4];
        size_t n = strlen(line);
        line_at(k, &from, &to);
        memcpy(bytes, good.seg, from);
        memcpy(bytes + from, line, n);
        memcpy(bytes + from + n, good.seg + from, good.seg_len - from);
        assert_true(fixture_save(f->folder, SEG0, bytes, good.seg_len + n));
        assert_found(f, k, "inserted", k);
    }
    free(bytes);
    put_back(f);
}

/* A running gateway's last line and rows are no fault. */
static void an_unfinished_end_is_no_fault(void **state)
{
    struct fixture *f = *state;

    assert_true(fixture_save(f->folder, SEG0, good.seg, good.seg_len - 5));
    assert_int_equal(verify(f).verdict, VERIFY_INCOMPLETE);
    put_back(f);
    char *rows = calloc(1, good.rows_len + 40);
    assert_non_null(rows);
    memcpy(rows, good.rows, good.rows_len);
    assert_true(fixture_save(f->folder, ROWS0, rows, good.rows_len + 40));
    assert_int_equal(verify(f).verdict, VERIFY_INCOMPLETE);
    free(rows);
    put_back(f);
}

/* Checkpoints of tests/data/audit/vectors.json, without their signatures. */
#define LOG7 "tests/data/audit/log7"
#define CHECKPOINT7                                                            \
    "gw1.example.eu/audit\n7\nvSEJfn/U4WgOplQLGYLR4rlo6ihKeR56+i8LbEFNZfo=\n"
#define CHECKPOINT3                                                            \
    "gw1.example.eu/audit\n3\nwjqQPY6K9DuYk0uV38XqCzCqTKzJEePEeUmsFA8+17U=\n"
#define CHECKPOINT0                                                            \
    "gw1.example.eu/audit\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

static struct verify_report verify_since(const char *folder, const char *text)
{
    return verify_plain(folder, text);
}

static void another_hands_checkpoints_hold(void **state)
{
    struct verify_report r = verify_since(LOG7, CHECKPOINT7);

    (void)state;
    assert_int_equal(r.verdict, VERIFY_INCOMPLETE);
    assert_int_equal(r.size, 7);
    assert_non_null(strstr(CHECKPOINT7, r.root));
    assert_int_equal(verify_since(LOG7, CHECKPOINT3).verdict,
                     VERIFY_INCOMPLETE);
    assert_int_equal(verify_since(LOG7, CHECKPOINT0).verdict,
                     VERIFY_INCOMPLETE);
}

/* Also bytes that no sum binds: names, reasons, free text, the last record. */
static void r58_each_byte_is_bound_by_a_checkpoint(void **state)
{
    struct fixture *f = *state;
    size_t seg_len, rows_len;
    char *seg = fixture_load(LOG7, SEG0, &seg_len);
    char *rows = fixture_load(LOG7, ROWS0, &rows_len);

    assert_true(seg != NULL && rows != NULL);
    assert_true(fixture_save(f->folder, ROWS0, rows, rows_len));
    for (size_t at = 0; at < seg_len; at++) {
        seg[at] ^= 1;
        assert_true(fixture_save(f->folder, SEG0, seg, seg_len));
        assert_int_equal(verify_since(f->folder, CHECKPOINT7).verdict,
                         VERIFY_TAMPERED);
        seg[at] ^= 1;
    }
    for (size_t left = 0; left < seg_len; left++) { /* cut off anywhere */
        assert_true(fixture_save(f->folder, SEG0, seg, left));
        assert_int_equal(verify_since(f->folder, CHECKPOINT7).verdict,
                         VERIFY_TAMPERED);
    }
    free(seg);
    free(rows);
    put_back(f);
}

static void a_checkpoint_has_one_spelling(void **state)
{
    static const char root[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    static const char *const bad[] = {"%s\n00\n%s\n",
                                      "%s\n-0\n%s\n",
                                      "%s\n0\n%s",
                                      "\n0\n%.0s%s\n",
                                      "%s\n0\n%s\n\n",
                                      "%s\n0\n%s\nx\n",
                                      "%s\n9007199254740992\n%s\n"};
    char text[1024], origin[300];

    (void)state;
    for (size_t len = 0; len <= 256; len++) {
        memset(origin, 'o', len);
        origin[len] = '\0';
        (void)snprintf(text, sizeof(text), "%s\n0\n%s\n", origin, root);
        assert_int_equal(verify_plain("/nonexistent", text).verdict,
                         len > 0 && len <= 255 ? VERIFY_INCOMPLETE
                                               : VERIFY_USAGE);
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        (void)snprintf(text, sizeof(text), bad[k], "o", root);
        assert_int_equal(verify_plain("/nonexistent", text).verdict,
                         VERIFY_USAGE);
    }
#pragma GCC diagnostic pop
    (void)snprintf(text, sizeof(text), "o\n9007199254740991\n%s\n", root);
    assert_int_equal(verify_plain("/nonexistent", text).verdict,
                     VERIFY_TAMPERED);
}

/* minimum-index alone is never believed. */
static void a_log_without_its_beginning_is_not_sound(void **state)
{
    static const char line[] =
        "{\"v\":1,\"i\":256,\"t\":\"2026-11-22T09:00:00.000Z\","
        "\"act\":\"gate.start\",\"who\":\"gw:gw1\",\"why\":\"boot\","
        "\"out\":\"ok\",\"d\":{\"origin\":\"gw1.example.eu/audit\"}}\n";
    struct fixture *f = *state;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/" SEG0, f->folder);
    assert_int_equal(unlink(path), 0);
    assert_true(fixture_save(f->folder, "seg/000000000256.jsonl", line,
                             sizeof(line) - 1));
    assert_true(fixture_save(f->folder, "minimum-index", "256\n", 4));
    struct verify_report r = verify(f);
    assert_int_equal(r.verdict, VERIFY_TAMPERED);
    assert_int_equal(r.bad_index, 0);
    assert_non_null(strstr(r.text, "GAP NOT AUTHORISED"));
    (void)snprintf(path, sizeof(path), "%s/seg/000000000256.jsonl", f->folder);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/minimum-index", f->folder);
    assert_int_equal(unlink(path), 0);
    put_back(f);
}

#define VKEY7                                                                  \
    "gw1.example.eu/audit+b9f6bf80+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVT" \
    "G4"

static enum verify_verdict verdict7(const char *key, int64_t age_s,
                                    int64_t max_age_s)
{
    struct verify_wish wish = {.folder = LOG7,
                               .key = key,
                               .now_ms = T0 + 40000 + age_s * 1000,
                               .max_age_s = max_age_s};
    struct verify_report r;

    audit_verify(&wish, &r);
    return r.verdict;
}

static void another_hands_signature_holds_and_grows_old(void **state)
{
    (void)state;
    assert_int_equal(verdict7(VKEY7, 1000000, 0), VERIFY_SOUND);
    assert_int_equal(verdict7(VKEY7, 120, 120), VERIFY_SOUND);
    assert_int_equal(verdict7(VKEY7, 121, 120), VERIFY_INCOMPLETE);
    assert_int_equal(verdict7(NULL, 0, 0), VERIFY_INCOMPLETE);
    assert_int_equal(verdict7("gw1+b9f6bf80+AQOh", 0, 0), VERIFY_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_log_is_not_called_signed),
        cmocka_unit_test(another_hands_log_is_sound),
        cmocka_unit_test(r58_a_changed_number_is_found_and_named),
        cmocka_unit_test(r58_a_changed_time_is_found_and_named),
        cmocka_unit_test(r58_agreeing_lies_are_found),
        cmocka_unit_test(r58_a_changed_root_is_found),
        cmocka_unit_test(r58_a_changed_row_is_found_and_its_batch_named),
        cmocka_unit_test(r58_swapped_missing_and_doubled_rows_are_found),
        cmocka_unit_test(r58_removed_lines_are_found),
        cmocka_unit_test(r58_doubled_and_swapped_lines_are_found),
        cmocka_unit_test(r58_lines_that_are_no_records_are_found),
        cmocka_unit_test(an_unfinished_end_is_no_fault),
        cmocka_unit_test(another_hands_checkpoints_hold),
        cmocka_unit_test(another_hands_signature_holds_and_grows_old),
        cmocka_unit_test(r58_each_byte_is_bound_by_a_checkpoint),
        cmocka_unit_test(a_checkpoint_has_one_spelling),
        cmocka_unit_test(a_log_without_its_beginning_is_not_sound),
    };

    return cmocka_run_group_tests(tests, make_log, drop_log);
}
