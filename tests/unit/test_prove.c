/* Proofs made from a log's folder: the vector of another hand byte for byte;
 * what a proof says, and when it says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/prove.h"
#include "lethe/gateway/file.h"

#include <sodium.h>

#define LOG7  "tests/data/audit/log7"
#define EV    UINT64_C(0x1112131415161718)
#define BATCH 2u

static struct buf vectors;
static char folder[64];
static uint8_t extra[PROOF_EXTRA_MAX];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/lethe-prove-XXXXXX");
    if (sodium_init() < 0 || mkdtemp(folder) == NULL ||
        file_read("tests/data/audit/vectors.json", 1u << 20, &vectors) != ST_OK)
        return -1;
    buf_put_char(&vectors, '\0');
    return vectors.failed ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&vectors);
    return folder_remove(folder);
}

/* The vector's text; the caller frees. */
static char *decision_vector(void)
{
    const char *at = strstr(vectors.data, "\"decision_proof\": \"");
    size_t n = 0;

    assert_non_null(at);
    at = strchr(strchr(at, ':'), '"') + 1;
    char *out = malloc(strlen(at));
    assert_non_null(out);
    for (; *at != '"'; at++) {
        if (at[0] == '\\' && at[1] == 'n') {
            out[n++] = '\n';
            at++;
        } else if (strncmp(at, "\\u2014", 6) == 0) {
            memcpy(out + n, "\xe2\x80\x94", 3);
            n += 3;
            at += 5;
        } else {
            assert_true(*at != '\\');
            out[n++] = *at;
        }
    }
    out[n] = '\0';
    return out;
}

struct got {
    unsigned count;
    struct proved_row last;
    char text[PROOF_BYTES_MAX];
    size_t len;
};

static enum status keep(void *ctx, const struct proved_row *row)
{
    struct got *g = ctx;

    g->count++;
    g->last = *row;
    memcpy(g->text, row->proof.at, row->proof.len);
    g->len = row->proof.len;
    return ST_OK;
}

static struct got got;

static enum status prove_in(const char *where, uint64_t index, uint64_t ev)
{
    struct prover *p;
    enum status st = prover_open(where, &p);

    got.count = 0;
    if (st != ST_OK)
        return st;
    st = prover_rows(p, index, ev, keep, &got);
    prover_close(p);
    return st;
}

static void the_vector_is_made_byte_for_byte(void **state)
{
    char *want = decision_vector();

    (void)state;
    assert_int_equal(prove_in(LOG7, BATCH, EV), ST_OK);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.text, want, got.len);
    assert_int_equal(got.last.row.rule, 12);
    assert_true(got.last.has_policy);
    assert_int_equal(got.last.policy, 1);
    free(want);
}

static void what_is_not_there_is_not_proved(void **state)
{
    struct prover *p;
    struct buf b;

    (void)state;
    assert_int_equal(prove_in(LOG7, BATCH, EV + 1), ST_OK);
    assert_int_equal(got.count, 0);
    assert_int_equal(prove_in(LOG7, 0, EV), ST_TYPE);
    assert_int_equal(prove_in(LOG7, 7, EV), ST_BUSY);
    assert_int_equal(prove_in(LOG7, UINT64_MAX, EV), ST_BUSY);
    assert_int_equal(prove_in("/nonexistent", BATCH, EV), ST_UNKNOWN);
    assert_int_equal(prover_open(LOG7, &p), ST_OK);
    assert_int_equal(prover_size(p), 7);
    buf_init(&b, PROOF_BYTES_MAX);
    for (uint64_t i = 0; i < 9; i++) {
        struct tlog_proof proof;
        struct evidence e;
        struct evidence_facts f;
        buf_reset(&b);
        assert_int_equal(prover_record(p, i, &b), i < 7 ? ST_OK : ST_BUSY);
        if (i >= 7)
            continue;
        assert_int_equal(proof_read(buf_slice(&b), extra, &proof), ST_OK);
        assert_int_equal(proof.index, i);
        assert_int_equal(evidence_read(proof.extra, &e), ST_OK);
        assert_false(e.has_row);
        assert_int_equal(evidence_facts(&e, i, &f), ST_OK);
        assert_int_equal(evidence_facts(&e, i + 1, &f), ST_MISMATCH);
    }
    buf_free(&b);
    prover_close(p);
}

/* ---- damaged and pruned logs --------------------------------------------- */

static void put_file(const char *name, struct slice bytes)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
    (void)unlink(path);
    assert_int_equal(file_create(path, 0600, bytes), ST_OK);
}

/* A copy of log7 with bit 0 of one byte of one file turned (`at` SIZE_MAX:
 * none); `leave_out` is not copied. */
static void copy_log(const char *leave_out, const char *name, size_t at)
{
    static const char *const names[] = {"checkpoint", "seg/000000000000.jsonl",
                                        "rows/000000000000.rows",
                                        "tile/0/000.p/7"};

    assert_int_equal(folder_remove(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[256];
        struct buf b;
        if (leave_out != NULL && strcmp(names[i], leave_out) == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", LOG7, names[i]);
        assert_int_equal(file_read(path, 1u << 20, &b), ST_OK);
        if (name != NULL && strcmp(names[i], name) == 0)
            b.data[at % b.len] = (char)(b.data[at % b.len] ^ 1);
        put_file(names[i], buf_slice(&b));
        buf_free(&b);
    }
}

static void a_log_that_lost_files(void **state)
{
    (void)state;
    copy_log(NULL, NULL, SIZE_MAX);
    assert_int_equal(prove_in(folder, BATCH, EV), ST_OK);
    copy_log("tile/0/000.p/7", NULL, SIZE_MAX);
    assert_int_equal(prove_in(folder, BATCH, EV), ST_OK);
    assert_int_equal(got.count, 1);
    copy_log("rows/000000000000.rows", NULL, SIZE_MAX);
    assert_int_equal(prove_in(folder, BATCH, EV), ST_CLOSED);
    copy_log("checkpoint", NULL, SIZE_MAX);
    assert_int_equal(prove_in(folder, BATCH, EV), ST_UNKNOWN);
    copy_log("seg/000000000000.jsonl", NULL, SIZE_MAX);
    put_file("seg/000000000256.jsonl", SLICE_NONE);
    assert_int_equal(prove_in(folder, BATCH, EV), ST_CLOSED);
}

/* Whatever bit is turned: the same proof, or none. */
static void a_changed_log_proves_nothing_else(void **state)
{
    static const struct {
        const char *name;
        size_t size;
    } files[] = {{"seg/000000000000.jsonl", 1676},
                 {"rows/000000000000.rows", 96},
                 {"tile/0/000.p/7", 224}};
    char *want = decision_vector();
    unsigned refused = 0;

    (void)state;
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++)
        for (size_t at = 0; at < files[f].size; at += 7) {
            copy_log(NULL, files[f].name, at);
            enum status st = prove_in(folder, BATCH, EV);
            if (st == ST_OK && got.count == 1) {
                assert_int_equal(got.len, strlen(want));
                assert_memory_equal(got.text, want, got.len);
            } else
                refused++;
        }
    assert_true(refused > 50);
    free(want);
}

/* ---- evidence ------------------------------------------------------------ */

#define LINE                                                                   \
    "{\"v\":1,\"i\":4,\"t\":\"2026-11-22T09:00:01.000Z\",\"act\":\"gate."      \
    "stop\","                                                                  \
    "\"who\":\"gw:gw1\",\"why\":\"boot\",\"out\":\"ok\",\"d\":{}}\n"
#define HEX16 "00000000000000000000000000000000"
#define HASH  "iGh38DFn8DuV7dc0GSO7V/IWnUCVRNRWA5ul2T24GgE=\n"

static void texts_that_are_no_evidence(void **state)
{
    static const char *const bad[] = {
        "",
        "audit-record v1\n",
        "audit-record v1",
        "audit-record v2\n" LINE,
        "audit-record v1\n" LINE "x",
        "audit-record v1\n" LINE "\n",
        "audit-record v1\n" LINE "row 0 of 1 " HEX16 HEX16 "\n",
        "audit-decision v1\n" LINE,
        "audit-decision v1\n" LINE "row 0 of 0 " HEX16 HEX16 "\n",
        "audit-decision v1\n" LINE "row 1 of 1 " HEX16 HEX16 "\n",
        "audit-decision v1\n" LINE "row 00 of 1 " HEX16 HEX16 "\n",
        "audit-decision v1\n" LINE "row 0 of 1 " HEX16 HEX16,
        "audit-decision v1\n" LINE "row 0 of 1 " HEX16 "\n",
        "audit-decision v1\n" LINE "row 0 of 1 " HEX16 HEX16 "0\n",
        "audit-decision v1\n" LINE "row 0 of 1  " HEX16 HEX16 "\n",
        "audit-decision v1\n" LINE "row 0 of 1 A" HEX16 HEX16 "\n",
        "audit-decision v1\n" LINE "row 0 of 1 " HEX16 HEX16 "\n\n",
        "audit-decision v1\n" LINE "row 0 of 1 " HEX16 HEX16 "\n" HASH "x",
    };
    struct evidence e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (evidence_read(slice_of(bad[i]), &e) != ST_SYNTAX)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(evidence_read(SLICE("audit-record v1\n" LINE), &e), ST_OK);
    assert_int_equal(
        evidence_read(SLICE("audit-decision v1\n" LINE
                            "row 65535 of 65536 " HEX16 HEX16 "\n" HASH HASH),
                      &e),
        ST_OK);
    assert_int_equal(e.path.count, 2);
    assert_int_equal(evidence_read(SLICE("audit-decision v1\n" LINE
                                         "row 0 of 65537 " HEX16 HEX16 "\n"),
                                   &e),
                     ST_LIMIT);
}

static enum status put_and_read(unsigned hashes, size_t record_len)
{
    static char line[EVIDENCE_RECORD_MAX + 1];
    struct evidence e = {.has_row = true, .at = 1, .rows = EVIDENCE_ROWS_MAX},
                    again;
    struct buf b;

    memset(line, 'x', sizeof(line));
    e.record = (struct slice){line, record_len};
    e.path.count = hashes;
    buf_init(&b, PROOF_EXTRA_MAX);
    enum status st = evidence_put(&e, &b);
    if (st == ST_OK)
        st = evidence_read(buf_slice(&b), &again);
    if (st == ST_OK)
        assert_true(slice_eq(again.record, e.record) &&
                    again.path.count == hashes && again.at == 1);
    buf_free(&b);
    return st;
}

static void evidence_at_its_limits(void **state)
{
    static char long_one[EVIDENCE_RECORD_MAX + 32];
    struct evidence e;

    (void)state;
    assert_int_equal(put_and_read(EVIDENCE_PATH_MAX, EVIDENCE_RECORD_MAX),
                     ST_OK);
    assert_int_equal(put_and_read(EVIDENCE_PATH_MAX + 1, 5), ST_LIMIT);
    assert_int_equal(put_and_read(0, EVIDENCE_RECORD_MAX + 1), ST_LIMIT);
    memset(long_one, 'x', sizeof(long_one));
    memcpy(long_one, "audit-record v1\n", 16);
    long_one[16 + EVIDENCE_RECORD_MAX + 1] = '\n';
    assert_int_equal(
        evidence_read((struct slice){long_one, 18 + EVIDENCE_RECORD_MAX}, &e),
        ST_LIMIT);
}

/* Every bit of the row and of its path counts. */
static void a_row_is_bound_by_its_record(void **state)
{
    char *text = decision_vector();
    struct tlog_proof p;
    struct evidence e;
    struct evidence_facts f;

    (void)state;
    assert_int_equal(proof_read(slice_of(text), extra, &p), ST_OK);
    assert_int_equal(evidence_read(p.extra, &e), ST_OK);
    assert_int_equal(evidence_facts(&e, BATCH, &f), ST_OK);
    assert_int_equal(f.row.ev, EV);
    assert_int_equal(f.row.act, ACT_MINIMISED);
    assert_int_equal(f.row.classes, 5);
    assert_int_equal(f.policy, 1);
    assert_null(f.site.at); /* these vectors are older than `site` */
    for (unsigned bit = 0; bit < 8 * ROW_BYTES; bit++) {
        e.row[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(evidence_facts(&e, BATCH, &f), ST_MISMATCH);
        e.row[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (unsigned k = 0; k < e.path.count; k++) {
        e.path.hashes[k][k] ^= 1;
        assert_int_equal(evidence_facts(&e, BATCH, &f), ST_MISMATCH);
        e.path.hashes[k][k] ^= 1;
    }
    for (uint64_t at = 0; at < 3; at++) {
        e.at = at;
        assert_int_equal(evidence_facts(&e, BATCH, &f),
                         at == 1 ? ST_OK : ST_MISMATCH);
    }
    e.at = 1;
    e.rows = 4;
    assert_int_equal(evidence_facts(&e, BATCH, &f), ST_MISMATCH);
    e.rows = 3;
    e.path.count = 1;
    assert_int_equal(evidence_facts(&e, BATCH, &f), ST_MISMATCH);
    free(text);
}

static void destinations_by_their_bit(void **state)
{
    const struct slice d =
        SLICE("{\"site\":\"dst\",\"pol\":\"x\",\"dst\":[\"store\",\"file\"],"
              "\"keep\":{}}");
    struct slice name;

    (void)state;
    assert_true(evidence_destination(d, 0, &name));
    assert_true(slice_eq(name, SLICE("store")));
    assert_true(evidence_destination(d, 1, &name));
    assert_true(slice_eq(name, SLICE("file")));
    assert_false(evidence_destination(d, 2, &name));
    assert_false(evidence_destination(SLICE("{\"dst\":[]}"), 0, &name));
    assert_false(evidence_destination(SLICE("{}"), 0, &name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_is_made_byte_for_byte),
        cmocka_unit_test(what_is_not_there_is_not_proved),
        cmocka_unit_test(a_log_that_lost_files),
        cmocka_unit_test(a_changed_log_proves_nothing_else),
        cmocka_unit_test(texts_that_are_no_evidence),
        cmocka_unit_test(evidence_at_its_limits),
        cmocka_unit_test(a_row_is_bound_by_its_record),
        cmocka_unit_test(destinations_by_their_bit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
