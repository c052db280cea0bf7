/* Which site? Every combination of hints against a model, and the forms of
 * hosts and origins. */
#include "lethe/gateway/http/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct conf_site sites[2] = {
    {.id = "9f2c41d07a6be835",
     .name = "alpha",
     .hosts = {"t.alpha.example", "[2001:db8::1]", "Mixed.Example"},
     .host_count = 3,
     .origins = {{ORIGIN_EXACT, "https://alpha.example", NULL},
                 {ORIGIN_SUBDOMAINS, ".alpha.example", "https"},
                 {ORIGIN_ANY_PORT, "localhost", "http"},
                 {ORIGIN_EXACT, "http://alpha.example:3000", NULL}},
     .origin_count = 4,
     .keys = {"key-a", "G-ALPHA"},
     .key_count = 2},
    {.id = "0123456789abcdef0",
     .name = "beta",
     .hosts = {"t.beta.example", "::2"},
     .host_count = 2,
     .origins = {{ORIGIN_EXACT, "https://beta.example", NULL}},
     .origin_count = 1,
     .keys = {"key-b"},
     .key_count = 1},
};
static const struct conf two = {.sites = sites, .site_count = 2};
static const struct conf one = {.sites = sites, .site_count = 1};

/* Of each hint: absent, site 0, site 1, none of them. */
static const char *const paths[] = {NULL, "alpha", "0123456789abcdef0", "no"};
static const char *const keys[] = {NULL, "G-ALPHA", "key-b", "no"};
static const char *const hosts[] = {NULL, "T.Alpha.example:8080",
                                    "t.beta.example", "other.example"};
static const char *const origins[] = {NULL, "https://x.alpha.example",
                                      "https://beta.example",
                                      "https://evil.example"};

/* What design.md section 2 says, written another way than the code. */
static int model(unsigned path, unsigned key, unsigned host, unsigned origin,
                 unsigned count)
{
    unsigned seen[2] = {0, 0};
    const unsigned hints[] = {path, key, host, origin};

    for (unsigned i = 0; i < 4; i++) {
        unsigned hint = hints[i];
        bool unknown = hint == 3 || hint > count;
        if (i < 2 && unknown)
            return -404;
        if (hint != 0 && !unknown)
            seen[hint - 1]++;
    }
    if (seen[0] > 0 && seen[1] > 0)
        return -400;
    if (seen[0] > 0 || seen[1] > 0)
        return seen[0] > 0 ? 0 : 1;
    return count == 1 ? 0 : -404;
}

static void every_combination_of_hints(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        unsigned p = i & 3, k = i >> 2 & 3, h = i >> 4 & 3, o = i >> 6;
        const struct slice key = slice_of(keys[k]);
        struct site_hints hints = {.path_site = slice_of(paths[p]),
                                   .keys = &key,
                                   .key_count = key.at != NULL,
                                   .host = slice_of(hosts[h]),
                                   .origin = slice_of(origins[o])};
        assert_int_equal(site_resolve(&two, &hints), model(p, k, h, o, 2));
        assert_int_equal(site_resolve(&one, &hints), model(p, k, h, o, 1));
    }
}

static void every_key_must_lead_to_the_site(void **state)
{
    static const struct slice agree[] = {SLICE_INIT("key-b"),
                                         SLICE_INIT("key-b2")};
    static const struct slice differ[] = {SLICE_INIT("G-ALPHA"),
                                          SLICE_INIT("key-b")};
    struct conf_site more[2] = {sites[0], sites[1]};
    struct conf c = {.sites = more, .site_count = 2};
    struct site_hints hints = {.keys = agree, .key_count = 2};

    (void)state;
    more[1].keys[1] = "key-b2";
    more[1].key_count = 2;
    assert_int_equal(site_resolve(&c, &hints), 1);
    assert_int_equal(site_resolve(&two, &hints), -404);
    hints.keys = differ;
    assert_int_equal(site_resolve(&c, &hints), -400);
}

static void sites_that_share_a_hint_need_another(void **state)
{
    struct conf_site shared[2] = {sites[0], sites[0]};
    struct conf c = {.sites = shared, .site_count = 2};
    struct site_hints hints = {.origin = SLICE("https://alpha.example")};

    (void)state;
    shared[1].name = "gamma";
    shared[1].id = "aaaaaaaaaaaaaaaa";
    shared[1].keys[0] = "key-c";
    shared[1].key_count = 1;
    assert_int_equal(site_resolve(&c, &hints), -400);
    const struct slice key = SLICE_INIT("key-c");
    hints.keys = &key;
    hints.key_count = 1;
    assert_int_equal(site_resolve(&c, &hints), 1);
    hints.path_site = SLICE("alpha");
    assert_int_equal(site_resolve(&c, &hints), -400);
}

static void empty_hints_name_nothing(void **state)
{
    static const struct slice empty = SLICE_INIT(""),
                              upper = SLICE_INIT("KEY-A");
    struct site_hints hints = {.keys = &empty, .key_count = 1};

    (void)state;
    assert_int_equal(site_resolve(&one, &hints), -404);
    hints = (struct site_hints){.path_site = SLICE("")};
    assert_int_equal(site_resolve(&one, &hints), -404);
    hints = (struct site_hints){.host = SLICE(""), .origin = SLICE("")};
    assert_int_equal(site_resolve(&one, &hints), 0);
    hints = (struct site_hints){.keys = &upper, .key_count = 1};
    assert_int_equal(site_resolve(&one, &hints), -404);
}

static void host_forms(void **state)
{
    static const struct {
        const char *host;
        int want;
    } rows[] = {
        {"t.alpha.example", 0},
        {"T.ALPHA.EXAMPLE", 0},
        {"t.alpha.example:443", 0},
        {"t.alpha.example.", 0},
        {"t.alpha.example.:80", 0},
        {"mixed.example", 0},
        {"[2001:db8::1]", 0},
        {"[2001:DB8::1]:8080", 0},
        {"2001:db8::1", 0},
        {"[::2]:1", 1},
        {"::2", 1},
        {"alpha.example", -404},
        {"xt.alpha.example", -404},
        {"t.alpha.example.evil", -404},
        {"t.alpha.example@x", -404},
        {"[::3]", -404},
        {"t.alpha.example:x", -404},
        {"", -404},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct site_hints hints = {.host = slice_of(rows[i].host)};
        assert_int_equal(site_resolve(&two, &hints), rows[i].want);
    }
}

static void origin_forms(void **state)
{
    static const struct {
        const char *origin;
        bool want;
    } rows[] = {
        {"https://alpha.example", true},
        {"HTTPS://Alpha.Example", true},
        {"http://alpha.example", false},
        {"http://alpha.example:3000", true},
        {"http://alpha.example:3001", false},
        {"https://alpha.example:443", false},
        {"https://alpha.example/", false},
        {"https://alpha.example.", false},
        {"https://a.alpha.example", true},
        {"https://a.b.alpha.example", true},
        {"https://A.ALPHA.example", true},
        {"http://a.alpha.example", false},
        {"https://a.alpha.example:8443", false},
        {"https://.alpha.example", false},
        {"https://evilalpha.example", false},
        {"https://alpha.example.evil.example", false},
        {"https://evil.example/.alpha.example", false},
        {"https://evil.example?.alpha.example", false},
        {"https://evil.example#.alpha.example", false},
        {"https://evil@a.alpha.example", false},
        {"http://localhost", true},
        {"http://localhost:3000", true},
        {"http://localhost:x", false},
        {"https://localhost:3000", false},
        {"http://localhost.evil.example", false},
        {"http://evillocalhost:80", false},
        {"http://x.localhost:80", false},
        {"null", false},
        {"", false},
        {"://alpha.example", false},
        {"https:alpha.example", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (site_has_origin(&sites[0], slice_of(rows[i].origin)) !=
            rows[i].want)
            fail_msg("%s", rows[i].origin);
}

static void listed_for_the_path_or_for_any(void **state)
{
    struct slice beta = SLICE("https://beta.example");

    (void)state;
    assert_true(site_origin_listed(&two, SLICE_NONE, beta));
    assert_true(site_origin_listed(&two, SLICE("beta"), beta));
    assert_false(site_origin_listed(&two, SLICE("alpha"), beta));
    assert_false(site_origin_listed(&two, SLICE("none"), beta));
    assert_false(site_origin_listed(&two, SLICE(""), beta));
    assert_false(site_origin_listed(&one, SLICE_NONE, beta));
    assert_false(site_origin_listed(&two, SLICE_NONE, SLICE("null")));
}

static void the_path_is_split(void **state)
{
    static const struct {
        const char *path, *site, *rest; /* site NULL = not there */
    } rows[] = {
        {"/s/alpha/v1/events", "alpha", "/v1/events"},
        {"/s/alpha/", "alpha", "/"},
        {"/s/alpha", NULL, NULL},
        {"/s/", NULL, NULL},
        {"/s//v1/events", NULL, NULL},
        {"/sx/alpha/", NULL, NULL},
        {"/v1/s/alpha/", NULL, NULL},
        {"/s/a/s/b/", "a", "/s/b/"},
        {"", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice path = slice_of(rows[i].path), site = SLICE("untouched");
        bool got = site_split_path(&path, &site);
        assert_int_equal(got, rows[i].site != NULL);
        const char *want_site = got ? rows[i].site : "untouched";
        const char *want_path = got ? rows[i].rest : rows[i].path;
        assert_true(slice_eq(site, slice_of(want_site)));
        assert_true(slice_eq(path, slice_of(want_path)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_of_hints),
        cmocka_unit_test(every_key_must_lead_to_the_site),
        cmocka_unit_test(sites_that_share_a_hint_need_another),
        cmocka_unit_test(empty_hints_name_nothing),
        cmocka_unit_test(host_forms),
        cmocka_unit_test(origin_forms),
        cmocka_unit_test(listed_for_the_path_or_for_any),
        cmocka_unit_test(the_path_is_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
