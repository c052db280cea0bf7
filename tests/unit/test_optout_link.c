/* Sealed links, the cookies of SDKs, and which hosts are one site. */
#include "lethe/gateway/http/same_site.h"
#include "lethe/gateway/rights/optout_link.h"
#include "lethe/policy/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define NOW 1764000000000

static const uint8_t key[KEY_BYTES] = {1, 2, 3};
static const struct slice site = SLICE_INIT("9f2c41d07a6be835");

static int set_up(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

static void make(const struct slice *ids, unsigned count, struct buf *out)
{
    buf_init(out, OPTOUT_LINK_TEXT_MAX);
    assert_int_equal(optout_link_make(key, site, ids, count, NOW + 1000, out),
                     ST_OK);
}

static enum status open_text(struct slice text)
{
    struct optout_link link;

    return optout_link_open(key, site, text, NOW, &link);
}

static void a_link_gives_back_what_went_in_and_shows_none_of_it(void **state)
{
    const struct slice ids[] = {SLICE("account-4711"), SLICE("jane@x.example")};
    struct optout_link link;
    struct buf a, b;

    (void)state;
    make(ids, 2, &a);
    make(ids, 2, &b);
    assert_false(slice_eq(buf_slice(&a), buf_slice(&b)));
    buf_put_char(&a, '\0');
    assert_null(strstr(a.data, "4711"));
    a.len--;
    assert_int_equal(optout_link_open(key, site, buf_slice(&a), NOW, &link),
                     ST_OK);
    assert_int_equal(link.id_count, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_true(slice_eq(link.ids[i], ids[i]));
    /* its last millisecond, and the one after */
    assert_int_equal(
        optout_link_open(key, site, buf_slice(&a), NOW + 999, &link), ST_OK);
    assert_int_equal(
        optout_link_open(key, site, buf_slice(&a), NOW + 1000, &link),
        ST_CLOSED);
    buf_free(&a);
    buf_free(&b);
}

static void another_site_or_key_does_not_open_it(void **state)
{
    const uint8_t other[KEY_BYTES] = {1, 2, 4};
    const struct slice id = SLICE("a");
    struct optout_link link;
    struct buf text;

    (void)state;
    make(&id, 1, &text);
    assert_int_equal(
        optout_link_open(other, site, buf_slice(&text), NOW, &link), ST_CRYPTO);
    assert_int_equal(optout_link_open(key, SLICE("9f2c41d07a6be836"),
                                      buf_slice(&text), NOW, &link),
                     ST_CRYPTO);
    buf_free(&text);
}

static void no_changed_byte_passes(void **state)
{
    const struct slice id = SLICE("account-4711");
    struct buf text;

    (void)state;
    make(&id, 1, &text);
    for (size_t i = 0; i < text.len; i++)
        for (int with = 0; with < 256; with++) {
            char was = text.data[i];
            if ((char)with == was)
                continue;
            text.data[i] = (char)with;
            if (open_text(buf_slice(&text)) == ST_OK)
                fail_msg("byte %zu as %d", i, with);
            text.data[i] = was;
        }
    for (size_t len = 0; len < text.len; len++)
        if (open_text(slice_head(buf_slice(&text), len)) == ST_OK)
            fail_msg("cut to %zu", len);
    buf_put_char(&text, 'A');
    assert_int_not_equal(open_text(buf_slice(&text)), ST_OK);
    buf_free(&text);
}

static void limits_of_links(void **state)
{
    static char long_id[OPTOUT_LINK_ID_MAX + 1];
    struct slice ids[OPTOUT_LINK_IDS_MAX + 1];
    struct buf text;

    (void)state;
    memset(long_id, 'x', sizeof(long_id));
    for (unsigned i = 0; i <= OPTOUT_LINK_IDS_MAX; i++)
        ids[i] = SLICE("id");
    make(ids, OPTOUT_LINK_IDS_MAX, &text);
    assert_int_equal(open_text(buf_slice(&text)), ST_OK);
    buf_reset(&text);
    assert_int_equal(optout_link_make(key, site, ids, OPTOUT_LINK_IDS_MAX + 1,
                                      NOW + 1, &text),
                     ST_LIMIT);
    assert_int_equal(optout_link_make(key, site, ids, 0, NOW + 1, &text),
                     ST_LIMIT);
    ids[0] = (struct slice){long_id, OPTOUT_LINK_ID_MAX};
    assert_int_equal(optout_link_make(key, site, ids, 1, NOW + 1, &text),
                     ST_OK);
    assert_int_equal(open_text(buf_slice(&text)), ST_OK);
    buf_reset(&text);
    ids[0].len++;
    assert_int_equal(optout_link_make(key, site, ids, 1, NOW + 1, &text),
                     ST_LIMIT);
    /* each fits, all together do not */
    for (unsigned i = 0; i < 4; i++)
        ids[i] = (struct slice){long_id, OPTOUT_LINK_ID_MAX};
    assert_int_equal(optout_link_make(key, site, ids, 4, NOW + 1, &text),
                     ST_LIMIT);
    buf_reset(&text);
    assert_int_equal(optout_link_make(key, site, ids, 3, NOW + 1, &text),
                     ST_OK);
    assert_int_equal(open_text(buf_slice(&text)), ST_OK);
    buf_free(&text);
}

/* ---- cookies ------------------------------------------------------------ */

#define IDS 4u

/* The identifiers of a Cookie header, joined by commas. */
static void cookies(const char *header, const char *want, bool want_left)
{
    const struct beacon_header headers[] = {
        {SLICE("Accept"), SLICE("_ga=GA1.1.9.9")},
        {SLICE("cookie"), slice_of(header)},
    };
    struct arena *a = arena_new(1u << 20);
    struct slice ids[IDS];
    unsigned count = 0;
    bool left = false;
    char got[400] = "";
    size_t len = 0;

    assert_int_equal(dialect_cookie_ids(headers, 2, a, ids, IDS, &count, &left),
                     ST_OK);
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%.*s",
                                i == 0 ? "" : ",", (int)ids[i].len, ids[i].at);
    assert_string_equal(got, want);
    assert_int_equal(left, want_left);
    arena_free(a);
}

static void cookies_of_sdks(void **state)
{
    (void)state;
    cookies("", "", false);
    cookies("_ga=GA1.2.111.222; other=1", "111.222", false);
    cookies("a=b;_ga=GA1.1.111.222;_ga_ABC=GS1.1.1700000000.3.1", "111.222",
            false);
    cookies("_ga=; _ga=nonsense; lethe_optout=1", "", false);
    cookies("mp_0123456789abcdef0123456789abcdef_mixpanel="
            "%7B%22distinct_id%22%3A%20%22%24device%3Aab-1%22%2C%22%24device_"
            "id%22%3A%20%22ab-1%22%2C%22%24user_id%22%3A%22u7%22%7D",
            "ab-1,u7", false);
    cookies("mp_t_mixpanel={\"distinct_id\":4711}", "4711", false);
    cookies("mp_t_mixpanel=%7B%22distinct_id%22%3A; _ga=GA1.1.5.6", "5.6",
            false);
    cookies("mp_t_mixpanel=[1]; mp_t_mixpanel=\"x\"; "
            "mp_t_mixpanel={\"distinct_id\":{\"a\":1}}",
            "", false);
    cookies("_ga=GA1.1.1.1; mp_a_mixpanel={\"distinct_id\":\"b\",\"$device_id\""
            ":\"c\",\"$user_id\":\"d\"}",
            "1.1,b,c,d", false);
    cookies("_ga=GA1.1.1.1; mp_a_mixpanel={\"distinct_id\":\"b\",\"$device_id\""
            ":\"c\",\"$user_id\":\"d\"}; mp_e_mixpanel={\"distinct_id\":\"e\"}",
            "1.1,b,c,d", true);
}

/* ---- sites -------------------------------------------------------------- */

static void sites_as_browsers_see_them(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"shop.example.org", "stats.example.org", true},
        {"example.org", "STATS.Example.ORG", true},
        {"example.org.", "example.org", true},
        {"example.org", "example.com", false},
        {"a.co.uk", "b.co.uk", false}, /* a public suffix */
        {"a.b.co.uk", "c.b.co.uk", true},
        {"co.uk", "co.uk", true},
        {"jane.github.io", "joe.github.io", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "10.0.0.1", false},
        {"[::1]", "[::1]", true},
        {"[::1]", "[::2]", false},
        {"localhost", "localhost", true},
        {"localhost", "127.0.0.1", false},
        {"xn--mnchen-3ya.de", "www.xn--mnchen-3ya.de", true},
        {"", "", false},
    };
    char longest[255];

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (hosts_same_site(slice_of(rows[i].a), slice_of(rows[i].b)) !=
            rows[i].same)
            fail_msg("row %u", i);
    memset(longest, 'a', sizeof(longest));
    struct slice name = {longest, 253};
    assert_true(hosts_same_site(name, name));
    name.len++;
    assert_false(hosts_same_site(name, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_gives_back_what_went_in_and_shows_none_of_it),
        cmocka_unit_test(another_site_or_key_does_not_open_it),
        cmocka_unit_test(no_changed_byte_passes),
        cmocka_unit_test(limits_of_links),
        cmocka_unit_test(cookies_of_sdks),
        cmocka_unit_test(sites_as_browsers_see_them),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
