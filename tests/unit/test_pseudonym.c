/* Keyed hashes: the separations and sizes that the requirements ask for, and
 * the vectors that others (Python, the audit verifier) computed. */
#include "lethe/policy/pseudonym.h"

#include <inttypes.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_LEN 26u

static const uint8_t key_a[KEY_BYTES] = {1, 2, 3};
static const uint8_t key_b[KEY_BYTES] = {1, 2, 4};

static const struct pseudonym_scope scope = {SLICE_INIT("9f2c41d07a6be835"),
                                             SLICE_INIT("store"),
                                             SLICE_INIT("audience")};

struct text {
    char at[PSEUDONYM_TEXT_MAX];
};

static struct text make(const uint8_t *key, const struct pseudonym_scope *s,
                        enum id_kind kind, struct slice id, unsigned bits)
{
    struct text t = {{0}};

    assert_int_equal(pseudonym_make(key, s, kind, id, bits, SHAPE_BASE32, t.at),
                     TEXT_LEN);
    return t;
}

static struct slice number_id(char out[24], unsigned n)
{
    int len = snprintf(out, 24, "visitor-%u", n);

    return (struct slice){out, (size_t)len};
}

static int compare(const void *x, const void *y)
{
    return memcmp(x, y, TEXT_LEN);
}

/* Independent of the code under test: built as design.md writes it, with
 * libsodium's one-shot call over a hand-laid message. */
static void r4_pseudonym_is_the_written_construction(void **state)
{
    static const char message[] = "\0\0\0\x10"
                                  "9f2c41d07a6be835\0\0\0\x05store"
                                  "\0\0\0\x08"
                                  "audience\0\0\0\x07session\0\0\0\x03"
                                  "abc";
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t personal[16] = "lethe.pseud.v1";
    uint8_t digest[32], wide[17] = {0};
    uint8_t shape[4 + 5 + 4 + 3] = "\0\0\0\x05store\0\0\0\x03";
    char want[TEXT_LEN];

    (void)state;
    assert_int_equal(crypto_generichash_blake2b_salt_personal(
                         digest, 32, (const uint8_t *)message,
                         sizeof message - 1, key_a, 32, NULL, personal),
                     0);
    memcpy(shape + 13, digest, 3);
    shape[15] &= 0xf0; /* 20 bits */
    memcpy(personal, "lethe.shape.v1", 14);
    assert_int_equal(
        crypto_generichash_blake2b_salt_personal(wide, 16, shape, sizeof shape,
                                                 key_a, 32, NULL, personal),
        0);
    for (unsigned i = 0; i < TEXT_LEN; i++) {
        unsigned at = i * 5;
        unsigned two = (unsigned)wide[at / 8] << 8 | wide[at / 8 + 1];

        want[i] = letters[two >> (11 - at % 8) & 31];
    }
    struct text got = make(key_a, &scope, ID_SESSION, SLICE("abc"), 20);
    assert_memory_equal(got.at, want, TEXT_LEN);
}

/* The epoch key as written: "epoch" || secret under the master key. */
static void epoch_key_is_the_written_construction(void **state)
{
    uint8_t message[5 + 32] = "epoch";
    uint8_t want[32], got[32];

    (void)state;
    memcpy(message + 5, key_b, 32);
    crypto_generichash_blake2b(want, 32, message, sizeof message, key_a, 32);
    epoch_key_make(key_a, key_b, got);
    assert_memory_equal(got, want, 32);
}

static void r13_two_sites_share_no_pseudonym(void **state)
{
    enum { N = 10000 };
    struct pseudonym_scope other = scope;
    char(*all)[TEXT_LEN] = calloc(2 * N, TEXT_LEN);
    char id[24];
    unsigned shared = 0;

    (void)state;
    assert_non_null(all);
    other.site = SLICE("1111111111111111");
    for (unsigned i = 0; i < N; i++) {
        struct slice s = number_id(id, i);
        struct text a = make(key_a, &scope, ID_DEVICE, s, 128);
        struct text b = make(key_a, &other, ID_DEVICE, s, 128);
        memcpy(all[2 * i], a.at, TEXT_LEN);
        memcpy(all[2 * i + 1], b.at, TEXT_LEN);
    }
    qsort(all, 2 * N, TEXT_LEN, compare);
    for (unsigned i = 1; i < 2 * N; i++)
        shared += memcmp(all[i], all[i - 1], TEXT_LEN) == 0;
    assert_int_equal(shared, 0);
    free(all);
}

static bool begins(const uint8_t *digest, size_t len, const uint8_t *wide)
{
    return memcmp(digest, wide, len < 16 ? len : 16) == 0;
}

/* Nobody who lacks the key finds the identifier behind a pseudonym by trying
 * small numbers under hashes without a key or with a guessable one. */
static void r21_brute_force_of_unkeyed_hashes_finds_nothing(void **state)
{
    static const char *const guesses[] = {"",       "lethe.pseud.v1",
                                          "store",  "audience",
                                          "mixbot", "9f2c41d07a6be835"};
    uint8_t wide[16] = {0}, digest[64];
    uint32_t held = 0;
    unsigned bits = 0, n = 0;
    struct text target = make(key_a, &scope, ID_USER, SLICE("4711"), 128);

    (void)state;
    for (unsigned i = 0; i < TEXT_LEN && n < 16; i++) {
        char c = target.at[i];
        unsigned v = c >= 'a' ? (unsigned)(c - 'a') : (unsigned)(c - '2') + 26;
        held = held << 5 | v;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            wide[n++] = (uint8_t)(held >> bits);
        }
    }
    for (unsigned i = 0; i < 20000; i++) {
        char id[24];
        size_t len = (size_t)snprintf(id, sizeof id, "%u", i);
        const uint8_t *m = (const uint8_t *)id;

        crypto_hash_sha256(digest, m, len);
        assert_false(begins(digest, 32, wide));
        crypto_hash_sha512(digest, m, len);
        assert_false(begins(digest, 64, wide));
        crypto_generichash_blake2b(digest, 16, m, len, NULL, 0);
        assert_false(begins(digest, 16, wide));
        for (size_t g = 0; g < sizeof guesses / sizeof guesses[0]; g++) {
            uint8_t key[32] = {0};
            struct text t;

            memcpy(key, guesses[g], strlen(guesses[g]));
            t = make(key, &scope, ID_USER, (struct slice){id, len}, 128);
            assert_memory_not_equal(t.at, target.at, TEXT_LEN);
            crypto_generichash_blake2b(digest, 32, m, len, key, 32);
            assert_false(begins(digest, 32, wide));
        }
    }
}

static void r22_two_installs_differ(void **state)
{
    uint8_t secret[32] = {9}, one[32], two[32];
    char id[24];

    (void)state;
    epoch_key_make(key_a, secret, one);
    epoch_key_make(key_b, secret, two);
    for (unsigned i = 0; i < 1000; i++) {
        struct slice s = number_id(id, i);
        struct text a = make(one, &scope, ID_USER, s, 128);
        struct text b = make(two, &scope, ID_USER, s, 128);
        assert_memory_not_equal(a.at, b.at, TEXT_LEN);
    }
}

/* R23: site, destination, purpose, kind and epoch each make another text;
 * all 32 combinations differ pairwise, for pseudonyms and event ids. */
static void r23_five_way_matrix_differs_pairwise(void **state)
{
    struct text all[32];
    char ids[16][EVENT_ID_TEXT_BYTES];

    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        struct pseudonym_scope s = {(i & 1) ? SLICE("site-a") : SLICE("site-b"),
                                    (i & 2) ? SLICE("store") : SLICE("file"),
                                    (i & 4) ? SLICE("audience")
                                            : SLICE("product")};
        const uint8_t *key = (i & 8) ? key_a : key_b;

        all[i] =
            make(key, &s, (i & 16) ? ID_USER : ID_DEVICE, SLICE("same"), 128);
        if (i < 16)
            event_id_make(key, &s, SLICE("same"), ids[i]);
    }
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(all[i].at, all[k].at, TEXT_LEN);
        for (unsigned k = 0; k < 16; k++)
            assert_memory_not_equal(all[i].at, ids[k], TEXT_LEN);
        for (unsigned k = 0; i < 16 && k < i; k++)
            assert_memory_not_equal(ids[i], ids[k], TEXT_LEN);
    }
}

/* R24: no two spellings share a message, wherever the border moves. */
static void r24_borders_between_parts_count(void **state)
{
    struct pseudonym_scope one = scope, two = scope;
    uint8_t tag_one[TAG_BYTES], tag_two[TAG_BYTES];
    struct text a, b;

    (void)state;
    one.site = SLICE("ab"), one.destination = SLICE("c");
    two.site = SLICE("a"), two.destination = SLICE("bc");
    a = make(key_a, &one, ID_USER, SLICE("x"), 128);
    b = make(key_a, &two, ID_USER, SLICE("x"), 128);
    assert_memory_not_equal(a.at, b.at, TEXT_LEN);

    optout_tag_make(key_a, SLICE("ab"), SLICE("c"), tag_one);
    optout_tag_make(key_a, SLICE("a"), SLICE("bc"), tag_two);
    assert_memory_not_equal(tag_one, tag_two, TAG_BYTES);
    assert_true(subject_mark_make(key_a, SLICE("ab"), SLICE("c")) !=
                subject_mark_make(key_a, SLICE("a"), SLICE("bc")));
}

/* R24: identifiers are exact bytes: NFC, NFD, case and escapes all differ. */
static void r24_identifiers_are_exact_bytes(void **state)
{
    static const struct slice forms[] = {
        SLICE_INIT("ren\xc3\xa9"), SLICE_INIT("rene\xcc\x81"),
        SLICE_INIT("REN\xc3\x89"), SLICE_INIT("ren%C3%A9"), SLICE_INIT("")};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned k = 0; k < i; k++) {
            struct text a = make(key_a, &scope, ID_USER, forms[i], 128);
            struct text b = make(key_a, &scope, ID_USER, forms[k], 128);
            assert_memory_not_equal(a.at, b.at, TEXT_LEN);
        }
    }
}

/* How many of N ids share their pseudonym with another one. */
static double shared_share(unsigned n, unsigned bits)
{
    char(*all)[TEXT_LEN] = calloc(n, TEXT_LEN);
    unsigned shared = 0;
    char id[24];

    assert_non_null(all);
    for (unsigned i = 0; i < n; i++) {
        struct text t = make(key_a, &scope, ID_USER, number_id(id, i), bits);
        memcpy(all[i], t.at, TEXT_LEN);
    }
    qsort(all, n, TEXT_LEN, compare);
    for (unsigned i = 0; i < n; i++) {
        bool before = i > 0 && compare(all[i], all[i - 1]) == 0;
        bool after = i + 1 < n && compare(all[i], all[i + 1]) == 0;
        shared += before || after;
    }
    free(all);
    return (double)shared / n;
}

static void r25_collisions_are_as_configured(void **state)
{
    double at_16 = shared_share(10000, 16);

    (void)state;
    assert_true(at_16 > 0.12 && at_16 < 0.16);
    assert_true(shared_share(10000, 24) < 0.002);
    assert_true(shared_share(10000, 128) == 0);
}

/* Exactly 2^bits values stay: with 8 bits, 256 texts and no more. */
static void r25_eight_bits_are_256_values(void **state)
{
    char seen[300][TEXT_LEN];
    unsigned count = 0;
    char id[24];

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        struct text t = make(key_a, &scope, ID_USER, number_id(id, i), 8);
        unsigned k = 0;

        while (k < count && compare(seen[k], t.at) != 0)
            k++;
        if (k == count) {
            assert_true(count < 256);
            memcpy(seen[count++], t.at, TEXT_LEN);
        }
    }
    assert_int_equal(count, 256);
}

/* Chi-square of the letters at each place over sequential ids: no order,
 * prefix or length shows. 31 degrees of freedom; 80 is beyond 1 in 10^5. */
static void r26_output_is_uniform(void **state)
{
    enum { N = 10000 };
    static unsigned counts[TEXT_LEN][32];
    char id[24];

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        struct text t = make(key_a, &scope, ID_USER, number_id(id, i), 24);
        for (unsigned k = 0; k < TEXT_LEN; k++) {
            char c = t.at[k];
            counts[k][c >= 'a' ? c - 'a' : c - '2' + 26]++;
        }
    }
    for (unsigned k = 0; k + 1 < TEXT_LEN; k++) { /* the last holds 3 bits */
        double expected = N / 32.0, chi = 0;
        for (unsigned v = 0; v < 32; v++)
            chi += (counts[k][v] - expected) * (counts[k][v] - expected) /
                   expected;
        assert_true(chi < 80);
    }
}

static void every_width_is_taken_and_none_is_another(void **state)
{
    (void)state;
    for (unsigned bits = 9; bits <= 128; bits++) {
        struct text a = make(key_a, &scope, ID_USER, SLICE("x"), bits);
        struct text b = make(key_a, &scope, ID_USER, SLICE("x"), 8);
        assert_memory_not_equal(a.at, b.at, TEXT_LEN);
    }
}

/* audit-format.md 3.5. */
static void commitment_is_the_published_vector(void **state)
{
    uint8_t key[16], out[32];
    char text[64];

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    subject_commitment_make(key, SLICE("user:4711"), out);
    sodium_bin2base64(text, sizeof text, out, 32,
                      sodium_base64_VARIANT_ORIGINAL);
    assert_string_equal(text, "lBZzkzL36OFiCD0+FqA+w4qKs7h1IZ4BtNA8M7xoATE=");
}

static void tags_are_the_written_constructions(void **state)
{
    static const char message[] = "\0\0\0\2ab\0\0\0\1c";
    uint8_t want[16], got[16], sweep[16];

    (void)state;
    crypto_generichash_blake2b(want, 16, (const uint8_t *)message,
                               sizeof message - 1, key_a, 32);
    optout_tag_make(key_a, SLICE("ab"), SLICE("c"), got);
    assert_memory_equal(got, want, 16);
    crypto_generichash_blake2b(want, 16, got, 16, key_b, 32);
    sweep_tag_make(key_b, got, sweep);
    assert_memory_equal(sweep, want, 16);
}

/* SipHash-2-4's published vector: key 00..0f, message 00..0e. */
static void siphash_is_the_published_vector(void **state)
{
    uint8_t key[16], message[15];

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    memcpy(message, key, sizeof message);
    assert_true(cache_hash(key, message, sizeof message) ==
                UINT64_C(0xa129ca6149be45e5));
}

static void marks_take_identifiers_of_any_length(void **state)
{
    static char at[MARK_DIRECT_MAX + 1];
    static const char lp[] = "\0\0\0\1s\0\0\0\2id";
    struct slice longest = {at, MARK_DIRECT_MAX};
    struct slice longer = {at, MARK_DIRECT_MAX + 1};
    uint64_t a, b;

    (void)state;
    memset(at, 'x', sizeof at);
    assert_true(subject_mark_make(key_a, SLICE("s"), SLICE("id")) ==
                cache_hash(key_a, lp, sizeof lp - 1));
    a = subject_mark_make(key_a, SLICE("s"), longest);
    b = subject_mark_make(key_a, SLICE("s"), longer);
    assert_true(a != b);
    at[MARK_DIRECT_MAX] = 'y';
    assert_true(b != subject_mark_make(key_a, SLICE("s"), longer));
    assert_true(b != subject_mark_make(key_b, SLICE("s"), longer));
}

static void sha256_and_plain_hash_are_themselves(void **state)
{
    uint8_t out[32];
    char hex[65];

    (void)state;
    sha256_hash("abc", 3, out);
    sodium_bin2hex(hex, sizeof hex, out, 32);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
                             "b00361a396177a9cb410ff61f20015ad");
    plain_hash("", 0, out);
    sodium_bin2hex(hex, sizeof hex, out, 32);
    assert_string_equal(hex, "0e5751c026e543b2e8ab2eb06099daa1"
                             "d1e5df47778f7787faab45cdf12fe3a8");
}

static void wipe_overwrites(void **state)
{
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t zero[8];

    (void)state;
    wipe(bytes, sizeof bytes);
    assert_memory_equal(bytes, zero, sizeof bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(r4_pseudonym_is_the_written_construction),
        cmocka_unit_test(epoch_key_is_the_written_construction),
        cmocka_unit_test(r13_two_sites_share_no_pseudonym),
        cmocka_unit_test(r21_brute_force_of_unkeyed_hashes_finds_nothing),
        cmocka_unit_test(r22_two_installs_differ),
        cmocka_unit_test(r23_five_way_matrix_differs_pairwise),
        cmocka_unit_test(r24_borders_between_parts_count),
        cmocka_unit_test(r24_identifiers_are_exact_bytes),
        cmocka_unit_test(r25_collisions_are_as_configured),
        cmocka_unit_test(r25_eight_bits_are_256_values),
        cmocka_unit_test(r26_output_is_uniform),
        cmocka_unit_test(every_width_is_taken_and_none_is_another),
        cmocka_unit_test(commitment_is_the_published_vector),
        cmocka_unit_test(tags_are_the_written_constructions),
        cmocka_unit_test(siphash_is_the_published_vector),
        cmocka_unit_test(marks_take_identifiers_of_any_length),
        cmocka_unit_test(sha256_and_plain_hash_are_themselves),
        cmocka_unit_test(wipe_overwrites),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
