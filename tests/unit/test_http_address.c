/* The client's address behind trusted proxies. */
#include "lethe/gateway/http/address.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct conf_listen listen_conf = {
    .proxies = {{AF_INET, {127, 0, 0, 1}, 32},
                {AF_INET, {10, 16}, 12},
                {AF_INET6, {0x20, 0x01, 0x0d, 0xb8}, 33}},
    .proxy_count = 3,
};

static void expect_text(const struct address *a, const char *want)
{
    char text[ADDRESS_TEXT_MAX];

    address_format(a, text);
    assert_string_equal(text, want);
}

static void texts(void **state)
{
    static const struct {
        const char *in, *out; /* NULL = refused */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:8080", "192.0.2.1"},
        {"2001:DB8::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"", NULL},
        {"unknown", NULL},
        {"_hidden", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.1 x", NULL},
        {"[2001:db8::1", NULL},
        {"[2001:db8::1]x", NULL},
        {"[]", NULL},
        {"fe80::1%eth0", NULL},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001",
         NULL},
    };
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum status st = address_parse(slice_of(rows[i].in), &a);
        assert_int_equal(st, rows[i].out == NULL ? ST_SYNTAX : ST_OK);
        if (st == ST_OK)
            expect_text(&a, rows[i].out);
    }
}

static void networks(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"127.0.0.1", true},        {"127.0.0.2", false},
        {"10.16.0.0", true},        {"10.31.255.255", true},
        {"10.32.0.0", false},       {"10.15.255.255", false},
        {"2001:db8::1", true},      {"2001:db8:7fff::", true},
        {"2001:db8:8000::", false}, {"::ffff:127.0.0.1", true},
    };
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(address_parse(slice_of(rows[i].text), &a), ST_OK);
        assert_int_equal(address_is_proxy(&listen_conf, &a), rows[i].want);
    }
}

static void forwarded_from_the_right(void **state)
{
    static const struct {
        const char *peer, *first, *second, *want;
    } rows[] = {
        {"198.51.100.1", "203.0.113.7", NULL, "198.51.100.1"},
        {"127.0.0.1", NULL, NULL, "127.0.0.1"},
        {"127.0.0.1", "203.0.113.7", NULL, "203.0.113.7"},
        {"127.0.0.1", "1.1.1.1, 203.0.113.7", NULL, "203.0.113.7"},
        {"127.0.0.1", "1.1.1.1, 203.0.113.7, 10.16.0.1", NULL, "203.0.113.7"},
        {"127.0.0.1", "1.1.1.1", "203.0.113.7,10.16.0.1", "203.0.113.7"},
        {"127.0.0.1", "203.0.113.7", "10.16.0.2 , 10.16.0.1", "203.0.113.7"},
        {"127.0.0.1", "10.16.0.2", "10.16.0.1", "10.16.0.2"},
        {"127.0.0.1", "203.0.113.7, junk, 10.16.0.1", NULL, "10.16.0.1"},
        {"127.0.0.1", "203.0.113.7,", NULL, "127.0.0.1"},
        {"127.0.0.1", "junk", NULL, "127.0.0.1"},
        {"127.0.0.1", "", NULL, "127.0.0.1"},
        {"127.0.0.1", "[2001:db9::5]:77, 10.16.0.1:80", NULL, "2001:db9::5"},
        {"2001:db8::9", "::ffff:203.0.113.7", NULL, "203.0.113.7"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct beacon_header headers[3] = {
            {SLICE("x-forwarded-for"), slice_of(rows[i].first)},
            {SLICE("X"), SLICE("9.9.9.9")},
            {SLICE("X-Forwarded-For"), slice_of(rows[i].second)}};
        struct address peer;
        assert_int_equal(address_parse(slice_of(rows[i].peer), &peer), ST_OK);
        struct address got = address_client(&listen_conf, &peer, headers,
                                            rows[i].second != NULL  ? 3
                                            : rows[i].first != NULL ? 2
                                                                    : 0);
        expect_text(&got, rows[i].want);
    }
}

static void hops_are_limited(void **state)
{
    char list[1024] = "203.0.113.7";
    struct beacon_header header = {SLICE("X-Forwarded-For"), SLICE_NONE};
    struct address peer;
    size_t len = strlen(list);

    (void)state;
    assert_int_equal(address_parse(SLICE("127.0.0.1"), &peer), ST_OK);
    for (unsigned hops = 1; hops <= ADDRESS_HOPS_MAX; hops++) {
        header.value = (struct slice){list, len};
        struct address got = address_client(&listen_conf, &peer, &header, 1);
        expect_text(&got, "203.0.113.7");
        len += (size_t)snprintf(list + len, sizeof(list) - len, ",10.16.0.1");
    }
    header.value = (struct slice){list, len};
    struct address got = address_client(&listen_conf, &peer, &header, 1);
    expect_text(&got, "10.16.0.1");
}

static void socket_addresses(void **state)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct address a;

    (void)state;
    four.sin_addr.s_addr = htonl(0x7f000001);
    assert_int_equal(address_of((struct sockaddr *)&four, &a), ST_OK);
    expect_text(&a, "127.0.0.1");
    six.sin6_addr.s6_addr[10] = six.sin6_addr.s6_addr[11] = 0xff;
    six.sin6_addr.s6_addr[15] = 9;
    assert_int_equal(address_of((struct sockaddr *)&six, &a), ST_OK);
    expect_text(&a, "0.0.0.9");
    assert_int_equal(address_of(&other, &a), ST_TYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(networks),
        cmocka_unit_test(forwarded_from_the_right),
        cmocka_unit_test(hops_are_limited),
        cmocka_unit_test(socket_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
