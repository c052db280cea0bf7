/* Sweep sets: what waits of a person is not delivered any more (law 4). */
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/rights/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/lethe-sweep-XXXXXX";
static char path[64];
static struct spool_keys *keys;
static struct sweep *sweep;
static const uint8_t master[KEY_BYTES] = {5};
static const uint8_t anna[TAG_BYTES] = {1}, bert[TAG_BYTES] = {2};

static struct spool_key key_of(uint64_t destination, uint64_t epoch)
{
    struct spool_key k;

    assert_int_equal(spool_keys_get(keys, destination, epoch, 1, &k), ST_OK);
    return k;
}

static struct fragment fragment_of(const struct spool_key *k,
                                   const uint8_t tag[TAG_BYTES], uint64_t seen)
{
    struct fragment f = {.optout_seen = seen, .tag_count = 2};

    memset(f.tags[0], 0xee, TAG_BYTES);
    sweep_tag_make(k->key, tag, f.tags[1]);
    return f;
}

static bool hits(const struct spool_key *k, const uint8_t tag[TAG_BYTES],
                 uint64_t seen)
{
    struct fragment f = fragment_of(k, tag, seen);

    return sweep_hits(sweep, k->slot, k->use, &f);
}

static void add(uint64_t number, const uint8_t tag[TAG_BYTES])
{
    assert_int_equal(sweep_add(sweep, keys, number, tag), ST_OK);
}

static void an_optout_hits_what_was_looked_up_before_it(void **state)
{
    struct spool_key a = key_of(1, 1), b = key_of(2, 1);

    (void)state;
    assert_false(hits(&a, anna, 0));
    add(7, anna);
    assert_true(hits(&a, anna, 6));
    assert_true(hits(&b, anna, 0));
    assert_false(hits(&a, anna, 7)); /* its own lookup knew */
    assert_false(hits(&a, bert, 0));
    add(9, anna);
    add(8, anna); /* an older one never lowers the number */
    assert_true(hits(&a, anna, 8));
    assert_false(hits(&a, anna, 9));
}

static void a_fragment_without_tags_is_not_reached(void **state)
{
    struct spool_key a = key_of(1, 1);
    struct fragment f = {.optout_seen = 0};

    (void)state;
    add(1, anna);
    assert_false(sweep_hits(sweep, a.slot, a.use, &f));
}

static void a_key_made_after_the_optout_still_knows_it(void **state)
{
    (void)state;
    add(3, anna);
    struct spool_key late = key_of(4, 4);
    assert_true(hits(&late, anna, 2));
    assert_false(hits(&late, anna, 3));
}

static void a_slot_used_again_starts_anew(void **state)
{
    struct spool_key a = key_of(1, 1);
    struct fragment old = fragment_of(&a, anna, 0);

    (void)state;
    add(3, anna);
    assert_int_equal(spool_keys_destroy(keys, a.slot, a.use), ST_OK);
    sweep_forget(sweep, a.slot, a.use);
    assert_false(sweep_hits(sweep, a.slot, a.use, &old));
    struct spool_key again = key_of(9, 9);
    add(4, bert);
    if (again.slot == a.slot)
        assert_int_not_equal(again.use, a.use);
    assert_true(hits(&again, anna, 2));
    assert_true(hits(&again, bert, 2));
}

static void many_tags_fit(void **state)
{
    struct spool_key a = key_of(1, 1);
    uint8_t tag[TAG_BYTES] = {0};

    (void)state;
    for (uint64_t i = 1; i <= 5000; i++) {
        memcpy(tag, &i, sizeof(i));
        add(i, tag);
    }
    for (uint64_t i = 1; i <= 5000; i++) {
        memcpy(tag, &i, sizeof(i));
        assert_true(hits(&a, tag, i - 1));
        assert_false(hits(&a, tag, i));
    }
}

static void hold_is_seen(void **state)
{
    struct fragment f = {.tag_count = 1};

    (void)state;
    assert_false(sweep_is_held(sweep, 1));
    sweep_hold(sweep, true);
    assert_true(sweep_is_held(sweep, 1));
    sweep_hold(sweep, false);
    assert_false(sweep_is_held(sweep, 1));
    assert_true(sweep_hits(sweep, SPOOL_KEYS_MAX, 0, &f)); /* no such slot */
}

static void sites_are_held_one_by_one(void **state)
{
    static uint64_t sites[SWEEP_SITES_MAX + 1];

    (void)state;
    for (uint64_t i = 0; i < SWEEP_SITES_MAX; i++)
        sites[i] = i + 1;
    sweep_hold_sites(sweep, sites, 2);
    assert_true(sweep_is_held(sweep, 1));
    assert_true(sweep_is_held(sweep, 2));
    assert_false(sweep_is_held(sweep, 3));
    sweep_hold(sweep, true); /* the one does not end the other */
    assert_true(sweep_is_held(sweep, 3));
    sweep_hold(sweep, false);
    assert_true(sweep_is_held(sweep, 2));
    sweep_hold_sites(sweep, sites + 2, 1); /* in their place */
    assert_false(sweep_is_held(sweep, 1));
    assert_true(sweep_is_held(sweep, 3));
    sweep_hold_sites(sweep, sites, SWEEP_SITES_MAX);
    assert_true(sweep_is_held(sweep, SWEEP_SITES_MAX));
    assert_false(sweep_is_held(sweep, SWEEP_SITES_MAX + 1));
    sweep_hold_sites(sweep, sites, SWEEP_SITES_MAX + 1); /* too many: all */
    assert_true(sweep_is_held(sweep, SWEEP_SITES_MAX + 2));
    sweep_hold_sites(sweep, NULL, 0);
    assert_false(sweep_is_held(sweep, 1));
}

static int fresh(void **state)
{
    (void)state;
    (void)unlink(path);
    return spool_keys_open(path, master, &keys) != ST_OK ||
           sweep_new(&sweep) != ST_OK;
}

static int done(void **state)
{
    (void)state;
    sweep_free(sweep);
    spool_keys_close(keys);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || secrets_init() != ST_OK)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/spool.keys", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_optout_hits_what_was_looked_up_before_it),
        CASE(a_fragment_without_tags_is_not_reached),
        CASE(a_key_made_after_the_optout_still_knows_it),
        CASE(a_slot_used_again_starts_anew),
        CASE(many_tags_fit),
        CASE(hold_is_seen),
        CASE(sites_are_held_one_by_one),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
