/* Rates: at the limit and one beyond, a new minute, a full table. The clock
 * and the hash are the test's. */
#include "lethe/gateway/http/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned keys_made;
static uint8_t last_key[16];
static size_t last_len;

/* FNV with the key in front; good enough for a test. */
static uint64_t test_hash(const uint8_t key[16], const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t h = UINT64_C(14695981039346656037);

    memcpy(last_key, key, sizeof(last_key));
    last_len = len;
    for (size_t i = 0; i < 16; i++)
        h = (h ^ key[i]) * UINT64_C(1099511628211);
    for (size_t i = 0; i < len; i++)
        h = (h ^ at[i]) * UINT64_C(1099511628211);
    return h;
}

static void test_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, (int)++keys_made, len);
}

static struct rate *make(unsigned per_minute)
{
    keys_made = 0;
    struct rate *r = rate_new(per_minute, test_hash, test_random, NULL);
    assert_non_null(r);
    return r;
}

static void the_limit_and_one_beyond(void **state)
{
    struct rate *r = make(3);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(r, SLICE("192.0.2.1"), 59999));
    assert_false(rate_take(r, SLICE("192.0.2.1"), 59999));
    assert_true(rate_take(r, SLICE("192.0.2.2"), 59999));
    assert_true(rate_take(r, SLICE("192.0.2.1"), 60000));
    rate_free(r);
}

static void none_means_no_limit(void **state)
{
    struct rate *r = make(0);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(rate_take(r, SLICE("192.0.2.1"), 1));
    rate_free(r);
}

static void the_key_lives_a_minute(void **state)
{
    struct rate *r = make(3);
    uint8_t first[16];

    (void)state;
    assert_true(rate_take(r, SLICE("192.0.2.1"), 0));
    memcpy(first, last_key, sizeof(first));
    assert_true(rate_take(r, SLICE("192.0.2.1"), 59999));
    assert_memory_equal(first, last_key, sizeof(first));
    assert_true(rate_take(r, SLICE("192.0.2.1"), 60000));
    assert_memory_not_equal(first, last_key, sizeof(first));
    assert_int_equal(keys_made, 2);
    rate_free(r);
}

static void ipv6_counts_by_its_64(void **state)
{
    struct rate *r = make(1);

    (void)state;
    assert_true(rate_take(r, SLICE("2001:db8:0:1::1"), 0));
    assert_int_equal(last_len, 8);
    assert_false(rate_take(r, SLICE("2001:db8:0:1:ffff::2"), 0));
    assert_true(rate_take(r, SLICE("2001:db8:0:2::1"), 0));
    assert_true(rate_take(r, SLICE("not:an:address"), 0));
    rate_free(r);
}

/* 200,000 addresses in one minute: memory stays, nobody new is shut out, and
 * the one who floods is still held. */
static void a_full_table_shuts_nobody_out(void **state)
{
    struct rate *r = make(5);
    char address[32];

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(rate_take(r, SLICE("192.0.2.1"), 0));
    for (int i = 0; i < 200000; i++) {
        int len = snprintf(address, sizeof(address), "10.%d.%d.%d", i >> 16,
                           i >> 8 & 255, i & 255);
        assert_true(rate_take(r, (struct slice){address, (size_t)len}, 30000));
    }
    assert_false(rate_take(r, SLICE("192.0.2.1"), 59000));
    rate_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_and_one_beyond),
        cmocka_unit_test(none_means_no_limit),
        cmocka_unit_test(the_key_lives_a_minute),
        cmocka_unit_test(ipv6_counts_by_its_64),
        cmocka_unit_test(a_full_table_shuts_nobody_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
