/* Proofs to take away: against the vector of another hand, each byte of it
 * changed, and at their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lethe/gateway/audit/tlog/proof.h"
#include "lethe/gateway/file.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS "tests/data/audit/vectors.json"
#define START   "c2sp.org/tlog-proof@v1\n"
#define HASH    "iGh38DFn8DuV7dc0GSO7V/IWnUCVRNRWA5ul2T24GgE=\n"
#define NOTE    "log.example\n1\n" HASH "\n\xe2\x80\x94 log.example AAAAAAA=\n"

static struct buf vectors;
static uint8_t extra[PROOF_EXTRA_MAX];

/* The string behind `"key": `, with its escapes undone; the caller frees. */
static char *vector(const char *key)
{
    char name[64];
    size_t n = 0;

    (void)snprintf(name, sizeof(name), "\"%s\": \"", key);
    const char *at = strstr(vectors.data, name);
    assert_non_null(at);
    at += strlen(name);
    char *out = malloc(strlen(at));
    assert_non_null(out);
    for (; *at != '"'; at++) {
        unsigned code;
        if (*at != '\\') {
            out[n++] = *at;
        } else if (at[1] == 'n') {
            out[n++] = '\n';
            at++;
        } else { /* the one other escape there: an em dash */
            assert_int_equal(sscanf(at, "\\u%4x", &code), 1);
            assert_int_equal(code, 0x2014);
            memcpy(out + n, "\xe2\x80\x94", 3);
            n += 3;
            at += 5;
        }
    }
    out[n] = '\0';
    return out;
}

static int setup(void **state)
{
    (void)state;
    if (sodium_init() < 0 || file_read(VECTORS, 1u << 20, &vectors) != ST_OK)
        return -1;
    buf_put_char(&vectors, '\0');
    return vectors.failed ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&vectors);
    return 0;
}

/* The record that stands in the vector's extra: its second line. */
static void record_leaf(struct slice held, uint8_t out[HASH_BYTES])
{
    struct slice rest = slice_skip(held, slice_find(held, '\n') + 1);

    merkle_leaf(rest.at, slice_find(rest, '\n'), out);
}

static void vector_is_read_checked_and_written(void **state)
{
    char *text = vector("decision_proof"), *vkey = vector("vkey");
    uint8_t leaf[HASH_BYTES];
    struct tlog_proof p;
    struct checkpoint c;
    struct note_key key;
    struct note note;
    struct buf again;

    (void)state;
    assert_int_equal(proof_read(slice_of(text), extra, &p), ST_OK);
    assert_int_equal(p.index, 2);
    assert_int_equal(p.path.count, 3);
    assert_true(slice_starts(p.extra, SLICE("audit-decision v1\n{\"v\":1,")));
    record_leaf(p.extra, leaf);
    assert_int_equal(note_key_read(slice_of(vkey), &key), ST_OK);
    assert_int_equal(proof_check(&p, leaf, &key, &note, &c), ST_OK);
    assert_int_equal(c.size, 7);
    assert_int_equal(note.count, 2);
    buf_init(&again, PROOF_BYTES_MAX);
    assert_int_equal(proof_put(&p, &again), ST_OK);
    assert_true(slice_eq(buf_slice(&again), slice_of(text)));
    buf_free(&again);
    free(text);
    free(vkey);
}

/* The base64 digits of what follows the record in the vector's extra. */
static void find_row_digits(const char *text, size_t *from, size_t *to)
{
    struct tlog_proof p;

    assert_int_equal(proof_read(slice_of(text), extra, &p), ST_OK);
    struct slice row = p.extra;
    for (unsigned line = 0; line < 2; line++)
        row = slice_skip(row, slice_find(row, '\n') + 1);
    size_t start = sizeof(START "extra ") - 1;
    *from = start + (size_t)(row.at - p.extra.at) / 3 * 4;
    *to = start + (p.extra.len + 2) / 3 * 4;
}

/* Refused, or of another entry, or unsigned; but for the row and its path,
 * which the record's own root binds, and which are for their own reader. */
static void each_bit_counts(void **state)
{
    char *text = vector("decision_proof"), *vkey = vector("vkey");
    size_t len = strlen(text), row, row_end;
    const char *witness = strstr(text, "\xe2\x80\x94 witness");
    struct note_key key;

    (void)state;
    find_row_digits(text, &row, &row_end);
    assert_int_equal(note_key_read(slice_of(vkey), &key), ST_OK);
    for (size_t i = 0; text + i < witness; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t leaf[HASH_BYTES];
            struct tlog_proof p;
            struct checkpoint c;
            struct note note;

            text[i] = (char)(text[i] ^ (1 << bit));
            if (proof_read((struct slice){text, len}, extra, &p) == ST_OK &&
                slice_starts(p.extra, SLICE("audit-decision v1\n"))) {
                record_leaf(p.extra, leaf);
                if (proof_check(&p, leaf, &key, &note, &c) == ST_OK)
                    assert_true(i >= row && i < row_end);
            }
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
    free(text);
    free(vkey);
}

static void another_log_or_entry_is_not_proved(void **state)
{
    char *text = vector("decision_proof"), *vkey = vector("vkey");
    char *witness = vector("witness_vkey");
    uint8_t leaf[HASH_BYTES];
    struct tlog_proof p;
    struct checkpoint c;
    struct note_key key;
    struct note note;

    (void)state;
    assert_int_equal(proof_read(slice_of(text), extra, &p), ST_OK);
    record_leaf(p.extra, leaf);
    /* The witness has signed it, too; but it is not the witness's log. */
    assert_int_equal(note_key_read(slice_of(witness), &key), ST_OK);
    assert_int_equal(proof_check(&p, leaf, &key, &note, &c), ST_UNKNOWN);
    assert_int_equal(note_key_read(slice_of(vkey), &key), ST_OK);
    for (uint64_t i = 0; i < 9; i++) {
        p.index = i;
        assert_int_equal(proof_check(&p, leaf, &key, &note, &c),
                         i == 2 ? ST_OK : ST_MISMATCH);
    }
    p.index = 2;
    leaf[31] ^= 1;
    assert_int_equal(proof_check(&p, leaf, &key, &note, &c), ST_MISMATCH);
    free(text);
    free(vkey);
    free(witness);
}

static enum status read_text(const char *text)
{
    struct tlog_proof p;

    return proof_read(slice_of(text), extra, &p);
}

static void texts_that_are_no_proof(void **state)
{
    static const char *const bad[] = {
        "",
        START,
        START "index 0\n",
        START "index 0\n\n",
        START "\n" NOTE,
        START "index 0\n" NOTE,
        START "index\n\n" NOTE,
        START "index \n\n" NOTE,
        START "index 00\n\n" NOTE,
        START "index 01\n\n" NOTE,
        START "index -1\n\n" NOTE,
        START "index 18446744073709551616\n\n" NOTE,
        START "index 0 \n\n" NOTE,
        START "index 0\r\n\n" NOTE,
        START "extra \nindex 0\n\n" NOTE,
        START "extra AA\nindex 0\n\n" NOTE,
        START "extra AB==\nindex 0\n\n" NOTE,
        START "extra AA==AA==\nindex 0\n\n" NOTE,
        START "extra AA\x80=\nindex 0\n\n" NOTE,
        START "extra AA==\nextra AA==\nindex 0\n\n" NOTE,
        START "index 0\nextra AA==\n\n" NOTE,
        START "index 0\nAA==\n\n" NOTE,
        START "\nindex 0\n\n" NOTE,
        "c2sp.org/tlog-proof@v1 \nindex 0\n\n" NOTE,
        "c2sp.org/tlog-proof@v2\nindex 0\n\n" NOTE,
        "c2sp.org/tlog-proof@v1",
        "\n" START "index 0\n\n" NOTE,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (read_text(bad[i]) != ST_SYNTAX)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(read_text(START "index 0\n\n" NOTE), ST_OK);
    assert_int_equal(read_text(START "index 18446744073709551615\n" HASH "\n"
                                     "any"),
                     ST_OK);
    assert_int_equal(read_text(START "extra AA==\nindex 0\n\n" NOTE), ST_OK);
}

/* `hashes` lines and `extra` bytes: written and read again, or neither. */
static enum status there_and_back(unsigned hashes, size_t extra_len,
                                  size_t note_len)
{
    static uint8_t held[PROOF_EXTRA_MAX + 1];
    static char note[NOTE_BYTES_MAX + 1];
    struct tlog_proof p = {.index = UINT64_MAX}, q;
    struct buf b;

    memset(note, 'x', sizeof(note));
    p.extra = (struct slice){(const char *)held, extra_len};
    p.path.count = hashes;
    p.checkpoint = (struct slice){note, note_len};
    buf_init(&b, PROOF_BYTES_MAX);
    enum status st = proof_put(&p, &b);
    if (st == ST_OK)
        st = proof_read(buf_slice(&b), extra, &q);
    if (st == ST_OK) {
        assert_int_equal(q.path.count, hashes);
        assert_true(slice_eq(q.extra, p.extra));
        assert_true(slice_eq(q.checkpoint, p.checkpoint));
    }
    buf_free(&b);
    return st;
}

static void at_its_limits_and_beyond(void **state)
{
    char *text = malloc(PROOF_BYTES_MAX + 1);

    (void)state;
    assert_int_equal(
        there_and_back(TREE_PROOF_MAX, PROOF_EXTRA_MAX, NOTE_BYTES_MAX), ST_OK);
    assert_int_equal(there_and_back(TREE_PROOF_MAX, PROOF_EXTRA_MAX + 1, 1),
                     ST_LIMIT);
    assert_int_equal(there_and_back(0, 0, NOTE_BYTES_MAX + 1), ST_LIMIT);
    assert_int_equal(there_and_back(0, 1, 1), ST_OK);
    assert_int_equal(there_and_back(0, 0, 0), ST_SYNTAX);
    for (unsigned hashes = TREE_PROOF_MAX; hashes < TREE_PROOF_MAX + 2;
         hashes++) {
        struct buf b;
        buf_init(&b, PROOF_BYTES_MAX);
        buf_put(&b, SLICE(START "index 0\n"));
        for (unsigned i = 0; i < hashes; i++)
            buf_put(&b, SLICE(HASH));
        buf_put(&b, SLICE("\n" NOTE));
        buf_put_char(&b, '\0');
        assert_int_equal(read_text(b.data),
                         hashes == TREE_PROOF_MAX ? ST_OK : ST_SYNTAX);
        buf_free(&b);
    }
    assert_non_null(text);
    memset(text, 'A', PROOF_BYTES_MAX + 1);
    memcpy(text, START "index 0\n\n", sizeof(START "index 0\n\n") - 1);
    struct tlog_proof p;
    assert_int_equal(
        proof_read((struct slice){text, PROOF_BYTES_MAX}, extra, &p), ST_OK);
    assert_int_equal(
        proof_read((struct slice){text, PROOF_BYTES_MAX + 1}, extra, &p),
        ST_LIMIT);
    memset(text, 'A', PROOF_BYTES_MAX);
    memcpy(text, START "extra ", sizeof(START "extra ") - 1);
    text[PROOF_BYTES_MAX - 1] = '\n';
    assert_int_equal(
        proof_read((struct slice){text, PROOF_BYTES_MAX}, extra, &p), ST_LIMIT);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_is_read_checked_and_written),
        cmocka_unit_test(each_bit_counts),
        cmocka_unit_test(another_log_or_entry_is_not_proved),
        cmocka_unit_test(texts_that_are_no_proof),
        cmocka_unit_test(at_its_limits_and_beyond),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
