/* The vendors' forms of a clean hit, byte for byte. */
#include "lethe/policy/wire.h"

#include "lethe/policy/base/arena.h"
#include "lethe/policy/json_reader.h"
#include "lethe/policy/pseudonym.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "765432765432765432abcdefgh"

struct fixture {
    struct buf group, body;
    struct clean_value fields[64];
    struct clean_hit hit;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    buf_init(&f->group, WIRE_GROUP_MAX);
    buf_init(&f->body, 1u << 20);
    f->hit.event = SLICE("file_upload");
    f->hit.event_id = SLICE(ID_A);
    f->hit.fields = f->fields;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    buf_free(&f->group);
    buf_free(&f->body);
    free(f);
    return 0;
}

static void add(struct fixture *f, const char *name, enum clean_type type,
                const char *text)
{
    f->fields[f->hit.field_count++] =
        (struct clean_value){.name = slice_of(name),
                             .type = type,
                             .truth = text == NULL,
                             .text = slice_of(text)};
}

static void fill(struct fixture *f)
{
    static const struct clean_value items[] = {
        {.type = CLEAN_STRING, .text = SLICE_INIT("a\"b")},
        {.type = CLEAN_NUMBER, .text = SLICE_INIT("2")},
        {.type = CLEAN_BOOL, .truth = true},
    };

    f->hit.has_time = true;
    f->hit.time_ms = INT64_C(1795340580000);
    f->hit.ids[ID_SESSION] = SLICE(ID_B);
    f->hit.ids[ID_DEVICE] = SLICE("qqqqqqqqqqqqqqqqqqqqqqqqqq");
    f->hit.visitor = f->hit.ids[ID_DEVICE];
    f->hit.context[CTX_URL] = (struct clean_value){
        .name = SLICE("url"), .type = CLEAN_STRING, .text = SLICE("/upload")};
    add(f, "file_size", CLEAN_NUMBER, "48234496");
    add(f, "success", CLEAN_BOOL, NULL);
    add(f, "session_id", CLEAN_STRING, "x\ny");
    add(f, "tags", CLEAN_LIST, "");
    f->fields[3].items = items;
    f->fields[3].item_count = 3;
}

static void encode(struct fixture *f, enum wire_form form)
{
    buf_reset(&f->group);
    buf_reset(&f->body);
    wire_encode(form, &f->hit, NULL, &f->group, &f->body);
    assert_false(f->body.failed || f->group.failed);
}

static void assert_buf(const struct buf *b, const char *want)
{
    if (b->len != strlen(want) || memcmp(b->data, want, b->len) != 0)
        fail_msg("got  %.*s\nwant %s", (int)b->len, b->data, want);
}

static void mixpanel_has_what_it_needs(void **state)
{
    struct fixture *f = *state;

    fill(f);
    encode(f, WIRE_MIXPANEL);
    assert_int_equal(f->group.len, 0);
    assert_buf(&f->body,
               "\"distinct_id\":\"qqqqqqqqqqqqqqqqqqqqqqqqqq\","
               "\"device_id\":\"qqqqqqqqqqqqqqqqqqqqqqqqqq\","
               "\"session_id\":\"" ID_B "\",\"$insert_id\":\"" ID_A "\","
               "\"ip\":0,\"time\":1795340580000,\"$current_url\":\"/upload\","
               "\"file_size\":48234496,\"success\":true,"
               "\"field_session_id\":\"x\\ny\",\"tags\":[\"a\\\"b\",2,true]},"
               "\"event\":\"file_upload\"}");
}

static void mixpanel_without_a_visitor_is_nobody(void **state)
{
    struct fixture *f = *state;

    f->hit.event = SLICE("page_view");
    encode(f, WIRE_MIXPANEL);
    assert_buf(&f->body, "\"distinct_id\":\"\",\"$insert_id\":\"" ID_A "\","
                         "\"ip\":0},\"event\":\"$mp_web_page_view\"}");
}

/* The numbers were computed apart from this code: the low 62 of the 65 bits of
 * 13 characters. */
static void ga4_has_what_it_needs(void **state)
{
    struct fixture *f = *state;

    fill(f);
    f->hit.ids[ID_USER] = SLICE(ID_A);
    encode(f, WIRE_GA4);
    assert_buf(&f->group, "277094665.554189329 " ID_A " 1795340580000000");
    assert_buf(&f->body,
               "{\"name\":\"file_upload\",\"params\":{"
               "\"engagement_time_msec\":1,\"session_id\":2111729504,"
               "\"event_id\":\"" ID_A "\",\"page_location\":\"/upload\","
               "\"file_size\":48234496,\"success\":\"true\","
               "\"field_session_id\":\"x\\ny\",\"tags\":\"a\\\"b,2,true\"}}");
}

static void ga4_group_reads_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct wire_ga4_group g;

    encode(f, WIRE_GA4);
    wire_ga4_group_read(buf_slice(&f->group), &g);
    assert_true(slice_eq(g.client_id, SLICE("1.1"))); /* the event id is 0 */
    assert_null(g.user_id.at);
    assert_null(g.time_micros.at);
    fill(f);
    f->hit.ids[ID_USER] = SLICE(ID_B);
    encode(f, WIRE_GA4);
    wire_ga4_group_read(buf_slice(&f->group), &g);
    assert_true(slice_eq(g.user_id, SLICE(ID_B)));
    assert_true(slice_eq(g.time_micros, SLICE("1795340580000000")));
    f->hit.visitor = f->hit.ids[ID_USER]; /* it is the client id already */
    encode(f, WIRE_GA4);
    wire_ga4_group_read(buf_slice(&f->group), &g);
    assert_null(g.user_id.at);
}

/* R6: whatever the pseudonym, both halves are positive numbers of 31 bits. */
static void R6_ga4_client_ids_are_two_numbers_of_31_bits(void **state)
{
    static const char *const ids[] = {ID_A, ID_B, "77777777777777777777777777",
                                      "a2a2a2a2a2a2a2a2a2a2a2a2a2"};
    struct fixture *f = *state;
    struct wire_ga4_group g;
    unsigned long long a, b;

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        f->hit.visitor = slice_of(ids[i]);
        encode(f, WIRE_GA4);
        wire_ga4_group_read(buf_slice(&f->group), &g);
        size_t dot = slice_find(g.client_id, '.');
        assert_true(slice_to_u64(slice_head(g.client_id, dot), &a));
        assert_true(slice_to_u64(slice_skip(g.client_id, dot + 1), &b));
        assert_true(a >= 1 && a <= UINT64_C(1) << 31);
        assert_true(b >= 1 && b <= UINT64_C(1) << 31);
    }
}

#define VISITORS 10000

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* The value at [i][0] becomes its rank. */
static void to_ranks(double values[VISITORS])
{
    static double pairs[VISITORS][2];

    for (unsigned i = 0; i < VISITORS; i++) {
        pairs[i][0] = values[i];
        pairs[i][1] = i;
    }
    qsort(pairs, VISITORS, sizeof(pairs[0]), compare);
    for (unsigned i = 0; i < VISITORS; i++)
        values[(unsigned)pairs[i][1]] = i;
}

static double spearman(const double a[VISITORS], const double b[VISITORS])
{
    double sum = 0, n = VISITORS;

    for (unsigned i = 0; i < VISITORS; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return 1 - 6 * sum / (n * (n * n - 1));
}

/* A GA cookie's second half is the second of the first visit. */
static void R6_client_ids_say_nothing_of_the_first_visit(void **state)
{
    static double in[2][VISITORS], out[2][VISITORS];
    static const uint8_t key[KEY_BYTES] = {6};
    const struct pseudonym_scope scope = {SLICE("0123456789abcdef"),
                                          SLICE("ga"), SLICE("product")};
    struct fixture *f = *state;
    char cid[64], text[PSEUDONYM_TEXT_MAX];
    struct wire_ga4_group g;
    unsigned long long half;

    for (unsigned i = 0; i < VISITORS; i++) {
        unsigned mixed = i * 2654435761u >> 1;
        unsigned first = 1600000000u + i * 9000u;
        int len = snprintf(cid, sizeof(cid), "%u.%u", mixed, first);
        size_t n = pseudonym_make(key, &scope, ID_DEVICE,
                                  (struct slice){cid, (size_t)len}, 24,
                                  SHAPE_BASE32, text);
        f->hit.visitor = (struct slice){text, n};
        encode(f, WIRE_GA4);
        wire_ga4_group_read(buf_slice(&f->group), &g);
        size_t dot = slice_find(g.client_id, '.');
        in[0][i] = mixed;
        in[1][i] = first;
        assert_true(slice_to_u64(slice_head(g.client_id, dot), &half));
        out[0][i] = (double)half;
        assert_true(half != first && half != mixed);
        assert_true(slice_to_u64(slice_skip(g.client_id, dot + 1), &half));
        out[1][i] = (double)half;
        assert_true(half != first && half != mixed);
    }
    for (unsigned i = 0; i < 2; i++) {
        to_ranks(in[i]);
        to_ranks(out[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        double rho = spearman(in[i / 2], out[i % 2]);
        assert_true(rho > -0.05 && rho < 0.05);
    }
    double rho = spearman(out[0], out[1]);
    assert_true(rho > -0.05 && rho < 0.05);
}

static void ga4_names_and_texts_have_limits(void **state)
{
    struct fixture *f = *state;
    char text[104], *name = text;

    memset(text, 'n', 103);
    text[103] = '\0';
    f->hit.event = SLICE("2 big-event");
    add(f, name + 63, CLEAN_STRING, "v");                /* 40 bytes */
    add(f, "\xC3\xA9t\xC3\xA9", CLEAN_STRING, text + 3); /* 100 bytes */
    encode(f, WIRE_GA4);
    assert_non_null(strstr(f->body.data, "{\"name\":\"x2_big_event\","));
    assert_non_null(strstr(f->body.data, "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
                                         "nnnnn\":\"v\""));
    assert_non_null(strstr(f->body.data, "\"x__t__\":\""));
    assert_non_null(strstr(f->body.data, text + 3));

    f->hit.field_count = 0;
    text[99] = '\xC3'; /* a character over the 100th byte is left out whole */
    text[100] = '\xA9';
    text[101] = '\0';
    add(f, "t", CLEAN_STRING, text);
    encode(f, WIRE_GA4);
    text[99] = '\0';
    assert_non_null(strstr(f->body.data, text));
    assert_null(memchr(f->body.data, 0xC3, f->body.len));
}

static void ga4_has_25_parameters_at_most(void **state)
{
    struct fixture *f = *state;
    const struct json_node *root;
    struct arena *a = arena_new(1u << 20);
    static char names[30][8];

    for (unsigned i = 0; i < 30; i++) {
        snprintf(names[i], sizeof(names[i]), "f%u", i);
        add(f, names[i], CLEAN_NUMBER, "1");
    }
    encode(f, WIRE_GA4);
    assert_int_equal(json_read(a, f->body.data, f->body.len, &root, NULL),
                     ST_OK);
    assert_int_equal(json_member(root, SLICE("params"))->count, 25);
    f->hit.field_count = 23; /* and two of our own */
    encode(f, WIRE_GA4);
    assert_int_equal(json_read(a, f->body.data, f->body.len, &root, NULL),
                     ST_OK);
    assert_int_equal(json_member(root, SLICE("params"))->count, 25);
    arena_free(a);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(mixpanel_has_what_it_needs),
        T(mixpanel_without_a_visitor_is_nobody),
        T(ga4_has_what_it_needs),
        T(ga4_group_reads_as_it_was_written),
        T(R6_ga4_client_ids_are_two_numbers_of_31_bits),
        T(R6_client_ids_say_nothing_of_the_first_visit),
        T(ga4_names_and_texts_have_limits),
        T(ga4_has_25_parameters_at_most),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
