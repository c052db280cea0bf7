/* Fragments: what is put comes out; nothing that is not whole is read; a
 * sealed blob opens only where it belongs. */
#include "lethe/gateway/store/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key_bytes[KEY_BYTES] = {1, 2, 3};
static const struct spool_key key = {
    .slot = 7, .use = 3, .destination = 0x1122334455667788u, .key = key_bytes};

static struct fragment sample(void)
{
    struct fragment f = {.ev = 0xfedcba9876543210u,
                         .expires_ms = 1795305600000,
                         .optout_seen = 12,
                         .rule = 513,
                         .source = 4,
                         .gpc = true,
                         .decides = {1, 2, 3, 4, 5, 6, 7, 8},
                         .tag_count = 2};

    memset(f.tags[0], 0xaa, TAG_BYTES);
    memset(f.tags[1], 0xbb, TAG_BYTES);
    f.group = SLICE("group");
    f.body = SLICE("{\"a\":1}");
    return f;
}

static void assert_same(const struct fragment *a, const struct fragment *b)
{
    assert_true(a->ev == b->ev);
    assert_true(a->expires_ms == b->expires_ms);
    assert_true(a->optout_seen == b->optout_seen);
    assert_int_equal(a->rule, b->rule);
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->gpc, b->gpc);
    assert_memory_equal(a->decides, b->decides, 8);
    assert_int_equal(a->tag_count, b->tag_count);
    assert_memory_equal(a->tags, b->tags, a->tag_count * TAG_BYTES);
    assert_true(slice_eq(a->group, b->group));
    assert_true(slice_eq(a->body, b->body));
}

static void what_is_put_comes_out_in_order(void **state)
{
    struct clean_hit clean = {0};
    struct fragment a = sample(), b = sample(), got;
    struct buf blob;

    (void)state;
    b.gpc = false;
    b.tag_count = 0;
    b.group = b.body = SLICE_NONE;
    b.expires_ms = -1;
    buf_init(&blob, 4096);
    fragment_put(&blob, &clean, &a);
    fragment_copy(&blob, &b);
    assert_false(blob.failed);
    struct slice rest = buf_slice(&blob);
    assert_int_equal(fragment_next(&rest, &got), ST_OK);
    assert_same(&got, &a);
    assert_int_equal(fragment_next(&rest, &got), ST_OK);
    assert_same(&got, &b);
    assert_int_equal(fragment_next(&rest, &got), ST_END);
    buf_free(&blob);
}

static void a_blob_cut_anywhere_is_corrupt(void **state)
{
    struct fragment a = sample(), got, before;
    struct buf blob;

    (void)state;
    memset(&before, 0x5a, sizeof(before));
    buf_init(&blob, 4096);
    fragment_copy(&blob, &a);
    for (size_t len = 1; len < blob.len; len++) {
        /* A copy of just these bytes: the sanitizer sees reads beyond. */
        char *cut = malloc(len);
        memcpy(cut, blob.data, len);
        struct slice rest = {cut, len};
        got = before;
        assert_int_equal(fragment_next(&rest, &got), ST_CORRUPT);
        assert_memory_equal(&got, &before, sizeof(got));
        assert_int_equal(rest.len, len);
        free(cut);
    }
    buf_free(&blob);
}

static void limits_hold_and_one_beyond_is_refused(void **state)
{
    static char big[FRAGMENT_BODY_MAX + 1];
    struct fragment f = sample(), got;
    struct buf blob;

    (void)state;
    buf_init(&blob, 1u << 20);
    f.body = (struct slice){big, FRAGMENT_BODY_MAX};
    f.group = (struct slice){big, FRAGMENT_GROUP_MAX};
    f.tag_count = FRAGMENT_TAGS_MAX;
    fragment_copy(&blob, &f);
    assert_false(blob.failed);
    struct slice rest = buf_slice(&blob);
    assert_int_equal(fragment_next(&rest, &got), ST_OK);
    assert_same(&got, &f);
    size_t whole = blob.len;
    struct fragment wrong[3] = {f, f, f};
    wrong[0].body.len++;
    wrong[1].group.len++;
    wrong[2].tag_count++;
    for (unsigned i = 0; i < 3; i++) {
        blob.failed = false;
        fragment_copy(&blob, &wrong[i]);
        assert_true(blob.failed);
        assert_int_equal(blob.len, whole);
    }
    buf_free(&blob);
}

/* Lengths one beyond each limit in stored bytes, and unknown flags. */
static void stored_lengths_over_the_limits_are_corrupt(void **state)
{
    static char bytes[1u << 20];
    struct fragment f = sample(), got;
    struct buf blob;

    (void)state;
    buf_init(&blob, 4096);
    fragment_copy(&blob, &f);
    static const struct {
        size_t at;
        unsigned char value;
    } wrong[] = {{0, 2},
                 {1, FRAGMENT_TAGS_MAX + 1},
                 {2, FRAGMENT_GROUP_MAX + 1},
                 {8, 4} /* body: 262144 and the 7 that were there */};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, blob.data, blob.len);
        bytes[wrong[i].at] = (char)wrong[i].value;
        struct slice rest = {bytes, sizeof(bytes)};
        assert_int_equal(fragment_next(&rest, &got), ST_CORRUPT);
    }
    buf_free(&blob);
}

static void sealed_opens_only_with_its_own_key_place_and_count(void **state)
{
    static const uint8_t other_bytes[KEY_BYTES] = {9};
    struct sealer s;
    struct buf sealed, plain;

    (void)state;
    buf_init(&sealed, 4096);
    buf_init(&plain, 4096);
    sealer_init(&s);
    assert_int_equal(blob_seal(&s, &key, 2, SLICE("some bytes"), &sealed),
                     ST_OK);
    assert_int_equal(sealed.len, 10 + BLOB_OVERHEAD);
    assert_int_equal(blob_open(&key, 2, buf_slice(&sealed), &plain), ST_OK);
    assert_true(slice_eq(buf_slice(&plain), SLICE("some bytes")));
    struct spool_key wrong[4] = {key, key, key, key};
    wrong[0].slot++;
    wrong[1].use++;
    wrong[2].destination++;
    wrong[3].key = other_bytes;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(blob_open(&wrong[i], 2, buf_slice(&sealed), &plain),
                         ST_CRYPTO);
        assert_int_equal(plain.len, 0);
    }
    assert_int_equal(blob_open(&key, 3, buf_slice(&sealed), &plain), ST_CRYPTO);
    buf_free(&sealed);
    buf_free(&plain);
}

static void a_changed_bit_or_a_cut_anywhere_does_not_open(void **state)
{
    struct sealer s;
    struct buf sealed, plain;

    (void)state;
    buf_init(&sealed, 4096);
    buf_init(&plain, 4096);
    sealer_init(&s);
    assert_int_equal(blob_seal(&s, &key, 1, SLICE("x1"), &sealed), ST_OK);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(blob_open(&key, 1, buf_slice(&sealed), &plain),
                         ST_CRYPTO);
        sealed.data[i] ^= 1;
        struct slice cut = {sealed.data, i};
        assert_int_equal(blob_open(&key, 1, cut, &plain), ST_CRYPTO);
    }
    buf_free(&sealed);
    buf_free(&plain);
}

static void nonces_never_repeat(void **state)
{
    struct sealer s, t;
    struct buf a, b;

    (void)state;
    buf_init(&a, 4096);
    buf_init(&b, 4096);
    sealer_init(&s);
    sealer_init(&t);
    assert_memory_not_equal(s.prefix, t.prefix, sizeof(s.prefix));
    assert_int_equal(blob_seal(&s, &key, 1, SLICE_NONE, &a), ST_OK);
    assert_int_equal(blob_seal(&s, &key, 1, SLICE_NONE, &b), ST_OK);
    assert_memory_not_equal(a.data, b.data, BLOB_NONCE_BYTES);
    s.counter = UINT64_MAX;
    assert_int_equal(blob_seal(&s, &key, 1, SLICE_NONE, &b), ST_LIMIT);
    buf_free(&a);
    buf_free(&b);
}

static void an_empty_blob_seals_and_a_full_buffer_refuses(void **state)
{
    struct sealer s;
    struct buf sealed, plain;

    (void)state;
    buf_init(&sealed, BLOB_OVERHEAD);
    buf_init(&plain, 16);
    sealer_init(&s);
    assert_int_equal(blob_seal(&s, &key, 0, SLICE("a"), &sealed), ST_LIMIT);
    assert_int_equal(sealed.len, 0);
    assert_int_equal(blob_seal(&s, &key, 0, SLICE_NONE, &sealed), ST_OK);
    assert_int_equal(blob_open(&key, 0, buf_slice(&sealed), &plain), ST_OK);
    assert_int_equal(plain.len, 0);
    buf_free(&sealed);
    buf_free(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_out_in_order),
        cmocka_unit_test(a_blob_cut_anywhere_is_corrupt),
        cmocka_unit_test(limits_hold_and_one_beyond_is_refused),
        cmocka_unit_test(stored_lengths_over_the_limits_are_corrupt),
        cmocka_unit_test(sealed_opens_only_with_its_own_key_place_and_count),
        cmocka_unit_test(a_changed_bit_or_a_cut_anywhere_does_not_open),
        cmocka_unit_test(nonces_never_repeat),
        cmocka_unit_test(an_empty_blob_seals_and_a_full_buffer_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
