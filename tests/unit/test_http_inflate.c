/* gzip bodies: caps, bombs, cuts, garbage. */
#include "lethe/gateway/http/inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

/* The test's own packer; `window` 31 = gzip, 15 = zlib. */
static struct slice pack(struct slice text, int window)
{
    z_stream z = {0};
    size_t room = text.len + 1024;
    Bytef *out = malloc(room);

    assert_non_null(out);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, 0), Z_OK);
    z.next_in = (z_const Bytef *)text.at;
    z.avail_in = (uInt)text.len;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t len = room - z.avail_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
    return (struct slice){(char *)out, len};
}

static char *zeros(size_t len)
{
    char *out = calloc(1, len > 0 ? len : 1);

    assert_non_null(out);
    return out;
}

static enum status sizes_only(struct slice packed, size_t cap, size_t *out_len)
{
    char *data = NULL;
    enum status st = inflate_gzip(packed, cap, &data, out_len);

    if (st == ST_OK)
        inflate_free(data, *out_len);
    else
        assert_null(data);
    return st;
}

static void round_trip(void **state)
{
    struct slice text = SLICE("[{\"action\":\"File Uploaded\"}]");
    struct slice packed = pack(text, 31);
    char *data;
    size_t len;

    (void)state;
    assert_true(body_is_gzip(packed));
    assert_int_equal(inflate_gzip(packed, 1000, &data, &len), ST_OK);
    assert_true(slice_eq((struct slice){data, len}, text));
    inflate_free(data, len);
    free((void *)(uintptr_t)packed.at);
}

static void cap_at_and_one_beyond(void **state)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 100000};
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *text = zeros(sizes[i]);
        struct slice packed = pack((struct slice){text, sizes[i]}, 31);
        assert_int_equal(sizes_only(packed, sizes[i], &len), ST_OK);
        assert_int_equal(len, sizes[i]);
        assert_int_equal(sizes_only(packed, sizes[i] + 1, &len), ST_OK);
        if (sizes[i] > 0)
            assert_int_equal(sizes_only(packed, sizes[i] - 1, &len), ST_LIMIT);
        free((void *)(uintptr_t)packed.at);
        free(text);
    }
}

static void a_bomb_stops_at_the_cap(void **state)
{
    size_t size = 64u << 20, len;
    char *text = zeros(size);
    struct slice packed = pack((struct slice){text, size}, 31);

    (void)state;
    free(text);
    assert_true(packed.len < 70000);
    assert_int_equal(sizes_only(packed, 20u << 20, &len), ST_LIMIT);
    free((void *)(uintptr_t)packed.at);
}

static void every_cut_and_every_changed_byte_is_refused(void **state)
{
    struct slice text = SLICE("some text, some text, some more text, 0123");
    struct slice packed = pack(text, 31);
    char copy[256];
    size_t len;

    (void)state;
    assert_true(packed.len + 1 < sizeof(copy));
    for (size_t cut = 0; cut < packed.len; cut++)
        assert_int_equal(sizes_only(slice_head(packed, cut), 1000, &len),
                         ST_SYNTAX);
    for (size_t i = 0; i < packed.len; i++) {
        if (i >= 4 && i < 10)
            continue; /* time, flags and system of the header mean nothing */
        memcpy(copy, packed.at, packed.len);
        copy[i] ^= 0x11;
        enum status st =
            sizes_only((struct slice){copy, packed.len}, 1000, &len);
        assert_int_equal(st, ST_SYNTAX);
    }
    memcpy(copy, packed.at, packed.len);
    copy[packed.len] = 'x';
    assert_int_equal(
        sizes_only((struct slice){copy, packed.len + 1}, 1000, &len),
        ST_SYNTAX);
    memcpy(copy + packed.len, packed.at, packed.len); /* a second member */
    assert_int_equal(
        sizes_only((struct slice){copy, 2 * packed.len}, 1000, &len),
        ST_SYNTAX);
    free((void *)(uintptr_t)packed.at);
}

static void only_gzip_is_gzip(void **state)
{
    struct slice text = SLICE("abcabcabc");
    struct slice zlib = pack(text, 15);
    struct slice raw = pack(text, -15);
    size_t len;

    (void)state;
    assert_false(body_is_gzip(SLICE("")));
    assert_false(body_is_gzip(SLICE("\x1f\x8b")));
    assert_false(body_is_gzip(SLICE("{\"a\":1}")));
    assert_int_equal(sizes_only(zlib, 1000, &len), ST_SYNTAX);
    assert_int_equal(sizes_only(raw, 1000, &len), ST_SYNTAX);
    assert_int_equal(sizes_only(text, 1000, &len), ST_SYNTAX);
    free((void *)(uintptr_t)zlib.at);
    free((void *)(uintptr_t)raw.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(cap_at_and_one_beyond),
        cmocka_unit_test(a_bomb_stops_at_the_cap),
        cmocka_unit_test(every_cut_and_every_changed_byte_is_refused),
        cmocka_unit_test(only_gzip_is_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
