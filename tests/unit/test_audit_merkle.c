/* Rows and the tree against vectors of another hand (tests/data/audit). */
#include "lethe/gateway/audit/merkle.h"
#include "lethe/gateway/audit/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTORS "tests/data/audit/golden/vectors.txt"

static void to_base64(const uint8_t *in, char out[45])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned i = 0; i < 43; i++) {
        unsigned bit = i * 6, byte = bit / 8;
        unsigned two = (unsigned)in[byte] << 8 | (byte < 31 ? in[byte + 1] : 0);
        out[i] = digits[two >> (10 - bit % 8) & 63];
    }
    out[43] = '=';
    out[44] = '\0';
}

static void assert_hash(const uint8_t hash[HASH_BYTES], const char *expected)
{
    char text[45];

    to_base64(hash, text);
    assert_string_equal(text, expected);
}

static void check_trivial(unsigned count, const char *expected)
{
    struct merkle_stack m = {.size = 0};
    uint8_t hash[HASH_BYTES];
    char text[24];

    for (unsigned i = 0; i < count; i++) {
        int n = snprintf(text, sizeof(text), "{\"i\":%u}", i);
        merkle_leaf(text, (size_t)n, hash);
        merkle_add(&m, hash);
    }
    merkle_root(&m, hash);
    assert_hash(hash, expected);
}

static void check_row(const char *hex, const char *expected,
                      struct merkle_stack *m)
{
    uint8_t bytes[ROW_BYTES], again[ROW_BYTES], hash[HASH_BYTES];
    struct audit_row r;

    for (unsigned i = 0; i < ROW_BYTES; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    row_decode(bytes, &r);
    row_encode(&r, again);
    assert_memory_equal(bytes, again, ROW_BYTES);
    merkle_leaf(bytes, sizeof(bytes), hash);
    assert_hash(hash, expected);
    merkle_add(m, hash);
}

static void vectors_of_another_hand_hold(void **state)
{
    struct merkle_stack rows = {.size = 0}, tree = {.size = 0};
    uint8_t hash[HASH_BYTES], roots[16][HASH_BYTES];
    char *line = NULL, a[80], b[80];
    size_t size = 0;
    ssize_t n;
    unsigned checks = 0, number;
    FILE *f = fopen(VECTORS, "re");

    (void)state;
    assert_non_null(f);
    while ((n = getline(&line, &size, f)) > 0) {
        checks++;
        line[n - 1] = '\0';
        if (sscanf(line, "row %79s %79s", a, b) == 2) {
            check_row(a, b, &rows);
        } else if (sscanf(line, "root %u %79s", &number, a) == 2) {
            assert_int_equal(rows.size, number);
            merkle_root(&rows, hash);
            assert_hash(hash, a);
        } else if (sscanf(line, "empty %79s", a) == 1) {
            merkle_root(&tree, hash);
            assert_hash(hash, a);
        } else if (sscanf(line, "record %79s", a) == 1) {
            const char *text = line + 7 + 44 + 1;
            merkle_leaf(text, (size_t)(line + n - 1 - text), hash);
            assert_hash(hash, a);
            merkle_add(&tree, hash);
            merkle_root(&tree, roots[tree.size]);
        } else if (sscanf(line, "tree %u %79s", &number, a) == 2) {
            assert_hash(roots[number], a);
        } else if (sscanf(line, "trivial %u %79s", &number, a) == 2) {
            check_trivial(number, a);
        } else {
            fail();
        }
    }
    assert_int_equal(checks, 3 + 2 + 7 + 2 + 2);
    free(line);
    (void)fclose(f);
}

/* MTH by its definition, for sizes whose shapes differ. */
static void root_by_definition(uint8_t (*leaves)[HASH_BYTES], size_t n,
                               uint8_t out[HASH_BYTES])
{
    uint8_t left[HASH_BYTES], right[HASH_BYTES];
    size_t k = 1;

    if (n == 1) {
        memcpy(out, leaves[0], HASH_BYTES);
        return;
    }
    while (k * 2 < n)
        k *= 2;
    root_by_definition(leaves, k, left);
    root_by_definition(leaves + k, n - k, right);
    merkle_node(left, right, out);
}

static void stack_gives_the_defined_root_of_every_size(void **state)
{
    static uint8_t leaves[300][HASH_BYTES];
    struct merkle_stack m = {.size = 0};
    uint8_t want[HASH_BYTES], got[HASH_BYTES];

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        merkle_leaf(&i, sizeof(i), leaves[i]);
        merkle_add(&m, leaves[i]);
        root_by_definition(leaves, i + 1, want);
        merkle_root(&m, got);
        assert_memory_equal(got, want, HASH_BYTES);
    }
}

static void every_field_of_a_row_has_its_place(void **state)
{
    struct audit_row r = {.t_us = 0x01020304,
                          .act = 5,
                          .reason = 6,
                          .rule = 0x0708,
                          .source = 0x090A,
                          .destinations = 0x0B0C,
                          .classes = 0x0D0E0F10,
                          .ev = 0x1112131415161718,
                          .sub = 0x191A1B1C1D1E1F20};
    uint8_t bytes[ROW_BYTES];

    (void)state;
    row_encode(&r, bytes);
    for (unsigned i = 0; i < ROW_BYTES; i++)
        assert_int_equal(bytes[i], i + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_another_hand_hold),
        cmocka_unit_test(stack_gives_the_defined_root_of_every_size),
        cmocka_unit_test(every_field_of_a_row_has_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
