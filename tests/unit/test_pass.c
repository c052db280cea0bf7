/* A pass at its limits: what does not fit is refused and leaves what is there
 * whole, to be sealed as it was (R50: intake.c then drops that event alone). */
#include "lethe/gateway/pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define NOW INT64_C(1795305600000)
#define TO  4u /* destinations */

static const uint8_t key_bytes[KEY_BYTES] = {1, 2, 3};
static char bytes[FRAGMENT_BODY_MAX + 1];

struct rig {
    struct sealer sealer;
    struct world_destination to[TO];
    struct world_site site;
    struct world world;
    struct pass *pass;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));

    if (r == NULL || sodium_init() < 0)
        return -1;
    memset(bytes, 'x', sizeof(bytes));
    sealer_init(&r->sealer);
    for (unsigned d = 0; d < TO; d++) {
        r->to[d].key = 100 + d;
        r->to[d].spool = (struct spool_key){
            .slot = d, .use = 1, .destination = 100 + d, .key = key_bytes};
        r->site.to[d] = &r->to[d];
    }
    r->world = (struct world){.refs = 1, .sites = &r->site, .site_count = 1};
    r->pass = pass_new(&r->sealer);
    *state = r;
    return r->pass == NULL ? -1 : (int)pass_set_world(r->pass, &r->world);
}

static int teardown(void **state)
{
    struct rig *r = *state;

    pass_free(r->pass); /* ours is the last reference, and never given up */
    free(r);
    return 0;
}

static enum status put(struct rig *r, unsigned d, uint64_t ev, size_t len)
{
    struct clean_hit clean = {0};
    struct fragment f = {.ev = ev, .expires_ms = NOW, .body = {bytes, len}};

    return pass_put(r->pass, &r->site, d, &clean, &f);
}

/* As many of `len` as there is room for. */
static unsigned fill(struct rig *r, unsigned d, size_t len)
{
    unsigned n = 0;

    while (n < PASS_FRAGMENTS_MAX && put(r, d, n, len) == ST_OK)
        n++;
    return n;
}

static struct group *seal(struct rig *r)
{
    struct group *g;

    assert_int_equal(pass_seal(r->pass, NOW, 0, false, &g), ST_OK);
    assert_non_null(g);
    assert_true(pass_is_empty(r->pass));
    return g;
}

/* The blob opens, and its fragments are the numbers from 0 on. */
static void assert_whole(const struct rig *r, const struct group *g,
                         unsigned blob, unsigned d, unsigned count)
{
    const struct group_blob *b = &g->blobs[blob];
    struct slice sealed = {g->sealed.data + b->offset, b->len};
    struct fragment f;
    struct buf plain;

    assert_true(b->destination == r->to[d].key);
    assert_int_equal(b->count, count);
    buf_init(&plain, PASS_PLAIN_MAX);
    assert_int_equal(blob_open(&r->to[d].spool, count, sealed, &plain), ST_OK);
    struct slice rest = buf_slice(&plain);
    for (unsigned n = 0; n < count; n++) {
        assert_int_equal(fragment_next(&rest, &f), ST_OK);
        assert_true(f.ev == n);
    }
    assert_int_equal(fragment_next(&rest, &f), ST_END);
    buf_free(&plain);
}

static void one_fragment_at_its_limit_and_one_beyond(void **state)
{
    struct rig *r = *state;

    assert_int_equal(put(r, 0, 0, FRAGMENT_BODY_MAX + 1), ST_LIMIT);
    assert_true(pass_is_empty(r->pass));
    assert_int_equal(put(r, 0, 0, FRAGMENT_BODY_MAX), ST_OK);
    struct group *g = seal(r);
    assert_whole(r, g, 0, 0, 1);
    group_unref(g);
}

static void a_full_destination_refuses_and_keeps_what_it_has(void **state)
{
    struct rig *r = *state;
    unsigned n = fill(r, 0, FRAGMENT_BODY_MAX);

    assert_int_equal(n, PASS_PLAIN_MAX / FRAGMENT_BODY_MAX - 1); /* heads */
    assert_int_equal(put(r, 0, n, FRAGMENT_BODY_MAX), ST_LIMIT);
    assert_int_equal(put(r, 0, n, 100), ST_OK); /* a smaller one fits */
    assert_int_equal(put(r, 1, 0, 100), ST_OK); /* and one to another */
    struct group *g = seal(r);
    assert_int_equal(g->blob_count, 2);
    assert_whole(r, g, 0, 0, n + 1);
    assert_whole(r, g, 1, 1, 1);
    group_unref(g);
}

static void all_destinations_together_have_a_limit(void **state)
{
    struct rig *r = *state;
    unsigned n[TO] = {0}, most = PASS_BYTES_MAX / FRAGMENT_BODY_MAX;
    unsigned sum = 0;

    for (unsigned d = 0; d < TO; d++) {
        n[d] = fill(r, d, FRAGMENT_BODY_MAX);
        sum += n[d];
    }
    /* The last one may begin where one byte is left. */
    assert_in_range(sum, most, most + 1);
    assert_int_equal(n[TO - 1], 0);
    for (unsigned d = 0; d < TO; d++)
        assert_int_equal(put(r, d, n[d], 1), ST_LIMIT);
    struct group *g = seal(r);
    for (unsigned d = 0; d < TO - 1; d++)
        assert_whole(r, g, d, d, n[d]);
    group_unref(g);
    assert_int_equal(put(r, TO - 1, 0, 1), ST_OK); /* the next pass has room */
}

static void undone_to_the_byte_also_at_the_limit(void **state)
{
    struct rig *r = *state;
    struct pass_point before;
    struct audit_row row = {.ev = 7};

    assert_int_equal(put(r, 0, 0, 100), ST_OK);
    assert_int_equal(pass_row(r->pass, &r->site, &row), ST_OK);
    pass_mark(r->pass, 0, &before);
    (void)fill(r, 0, FRAGMENT_BODY_MAX);
    (void)fill(r, 1, FRAGMENT_BODY_MAX);
    assert_int_equal(pass_row(r->pass, &r->site, &row), ST_OK);
    assert_true(pass_is_large(r->pass));
    pass_undo(r->pass, 0, &before);
    assert_false(pass_is_large(r->pass));
    struct group *g = seal(r);
    assert_int_equal(g->blob_count, 1);
    assert_whole(r, g, 0, 0, 1);
    assert_int_equal(g->sites[0].count, 1);
    group_unref(g);
}

/* intake.c lets a request in while this holds: its rows always fit then. */
static void rows_have_room_for_every_request_that_is_let_in(void **state)
{
    struct rig *r = *state;
    struct audit_row row = {.ev = 7};
    unsigned n = 0;

    while (!pass_is_large(r->pass) && n < PASS_ROWS_MAX) {
        assert_int_equal(pass_row(r->pass, &r->site, &row), ST_OK);
        n++;
    }
    /* The last that was let in came one row earlier. */
    assert_in_range(n, 1, PASS_ROWS_MAX - 1);
    assert_true(n - 1 + PASS_FRAGMENTS_MAX <= PASS_ROWS_MAX);
    while (n < PASS_ROWS_MAX) {
        assert_int_equal(pass_row(r->pass, &r->site, &row), ST_OK);
        n++;
    }
    assert_int_equal(pass_row(r->pass, &r->site, &row), ST_LIMIT);
    struct group *g = seal(r);
    assert_int_equal(g->sites[0].count, PASS_ROWS_MAX);
    group_unref(g);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_fragment_at_its_limit_and_one_beyond),
        T(a_full_destination_refuses_and_keeps_what_it_has),
        T(all_destinations_together_have_a_limit),
        T(undone_to_the_byte_also_at_the_limit),
        T(rows_have_room_for_every_request_that_is_let_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
