#include "policy_case.h"

#define EVENTS "\"events\": {"
#define FIELDS "\"A page was opened\", \"fields\": {"

/* The Mixbot policy with `more` right behind the first `behind`, loaded. */
static enum status load_more(const char *behind, const struct buf *more)
{
    struct slice text = shipped_mixbot();
    size_t len = slice_of(behind).len, at = 0;
    struct policy *p = NULL;
    struct buf b;

    while (memcmp(text.at + at, behind, len) != 0)
        at++;
    buf_init(&b, TEXT_MAX);
    buf_put_bytes(&b, text.at, at + len);
    buf_put(&b, buf_slice(more));
    buf_put(&b, slice_skip(text, at + len));
    assert_false(b.failed);
    enum status st = try_load(buf_slice(&b), &p);
    if (st == ST_OK)
        policy_unref(p);
    buf_free(&b);
    return st;
}

static enum status load_fields(unsigned count, const char *rule)
{
    struct buf more;

    buf_init(&more, TEXT_MAX);
    for (unsigned i = 0; i < count; i++)
        buf_printf(&more, "%s\"x%u\": %s", i > 0 ? ", " : "", i, rule);
    enum status st = load_more(FIELDS, &more);
    buf_free(&more);
    return st;
}

static enum status load_events(unsigned events, unsigned fields)
{
    struct buf more;

    buf_init(&more, TEXT_MAX);
    for (unsigned i = 0; i < events; i++) {
        buf_printf(&more, "\"e%u\": {\"purpose\": \"audience\", \"fields\": {",
                   i);
        for (unsigned k = 0; k < fields; k++)
            buf_printf(&more, "%s\"f%u\": \"drop\"", k > 0 ? ", " : "", k);
        buf_put(&more, SLICE("}},\n"));
    }
    enum status st = load_more(EVENTS, &more);
    buf_free(&more);
    return st;
}

static void fields_are_limited(void **state)
{
    (void)state;
    assert_int_equal(load_fields(POLICY_FIELDS_MAX, "\"bool\""), ST_OK);
    assert_int_equal(load_fields(POLICY_FIELDS_MAX + 1, "\"bool\""), ST_TYPE);
    assert_int_equal(problems.errors, 1);
}

static void events_are_limited(void **state)
{
    (void)state;
    assert_int_equal(load_events(POLICY_EVENTS_MAX - 6, 0), ST_OK);
    assert_int_equal(load_events(POLICY_EVENTS_MAX - 5, 0), ST_TYPE);
}

/* Audit rows hold a rule's number in 16 bits: more must be refused. Mixbot
 * itself has 33 rules. */
static void rules_are_limited_to_what_rows_can_name(void **state)
{
    (void)state;
    assert_int_equal(load_events(238, 250), ST_OK);
    assert_int_equal(load_events(240, 250), ST_TYPE);
    assert_int_equal(problems.errors, 1);
}

static enum status load_words(const char *kind, unsigned count, size_t len)
{
    struct buf more;

    buf_init(&more, TEXT_MAX);
    buf_printf(&more, "\"x\": {%s", kind);
    for (unsigned i = 0; i < count; i++)
        buf_printf(&more, "%s\"/%0*u\"", i > 0 ? "," : "", (int)len - 1, i);
    buf_put(&more, SLICE("]"));
    if (kind[1] == 'u')
        buf_put_char(&more, '}');
    buf_put_char(&more, '}');
    enum status st = load_more(FIELDS, &more);
    buf_free(&more);
    return st;
}

static void words_are_limited(void **state)
{
    (void)state;
    assert_int_equal(load_words("\"enum\": [", POLICY_ENUM_MAX, 8), ST_OK);
    assert_int_equal(load_words("\"enum\": [", POLICY_ENUM_MAX + 1, 8),
                     ST_TYPE);
    assert_int_equal(load_words("\"enum\": [", 2, 200), ST_OK);
    assert_int_equal(load_words("\"enum\": [", 2, 201), ST_TYPE);
    assert_int_equal(load_words("\"url\": {\"paths\": [", POLICY_ENUM_MAX, 8),
                     ST_OK);
    assert_int_equal(
        load_words("\"url\": {\"paths\": [", POLICY_ENUM_MAX + 1, 8), ST_TYPE);
}

/* More mistakes than the list holds are counted and do not overflow it. */
static void problems_are_capped(void **state)
{
    (void)state;
    assert_int_equal(load_fields(200, "\"keep\""), ST_TYPE);
    assert_int_equal(problems.count, POLICY_PROBLEMS_MAX);
    assert_int_equal(problems.errors, 200);
}

/* Everything that an officer may write long stays within its text. */
static void long_names_are_cut_in_problems(void **state)
{
    struct buf more;

    (void)state;
    buf_init(&more, TEXT_MAX);
    buf_put(&more, SLICE("\"x\": \"drop\"}}, \""));
    for (unsigned i = 0; i < 100000; i++)
        buf_put(&more, SLICE("long"));
    buf_put(&more, SLICE("\": {\"purpose\": \"nope\", \"fields\": {"));
    assert_int_equal(load_more(FIELDS, &more), ST_TYPE);
    for (unsigned i = 0; i < problems.count; i++)
        assert_true(memchr(problems.list[i].text, '\0',
                           sizeof(problems.list[i].text)) != NULL);
    buf_free(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_limited),
        cmocka_unit_test(events_are_limited),
        cmocka_unit_test(rules_are_limited_to_what_rows_can_name),
        cmocka_unit_test(words_are_limited),
        cmocka_unit_test(problems_are_capped),
        cmocka_unit_test(long_names_are_cut_in_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
