/* The pool refills across its edge, and what was handed out is gone. */
#include "lethe/gateway/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool all_zero(const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] != 0)
            return false;
    return true;
}

static void taken_bytes_are_wiped_from_the_pool(void **state)
{
    struct random_source r;
    uint8_t out[100];

    (void)state;
    random_init(&r);
    random_take(&r, out, sizeof(out));
    assert_false(all_zero(out, sizeof(out)));
    assert_int_equal(r.used, sizeof(out));
    assert_true(all_zero(r.pool, sizeof(out)));
    assert_false(all_zero(r.pool + sizeof(out), 100));
    random_wipe(&r);
    assert_true(all_zero(r.pool, sizeof(r.pool)));
}

static void any_length_is_filled_to_its_last_byte(void **state)
{
    static const size_t lens[] = {0,    1,    8,    4088, 4095,
                                  4096, 4097, 9000, 7,    4090};
    struct random_source r;
    uint8_t out[9000 + 1];

    (void)state;
    random_init(&r);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        bool last_seen = lens[i] == 0;
        for (int tries = 0; tries < 20 && !last_seen; tries++) {
            memset(out, 0, sizeof(out));
            random_take(&r, out, lens[i]);
            last_seen = out[lens[i] - 1] != 0;
            assert_int_equal(out[lens[i]], 0);
        }
        assert_true(last_seen);
    }
}

static void numbers_do_not_repeat_over_refills(void **state)
{
    struct random_source r;
    uint64_t seen[2000];

    (void)state;
    random_init(&r);
    for (size_t i = 0; i < 2000; i++) {
        seen[i] = random_u64(&r);
        for (size_t k = 0; k < i; k++)
            assert_true(seen[k] != seen[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_bytes_are_wiped_from_the_pool),
        cmocka_unit_test(any_length_is_filled_to_its_last_byte),
        cmocka_unit_test(numbers_do_not_repeat_over_refills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
