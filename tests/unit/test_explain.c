/* Explanations: what they say is what happens, and their pseudonyms are
 * nobody's. */
#include "story.h"

#include "lethe/policy/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static int open_story(void **state)
{
    static struct story s;

    story_open(&s, story_mixbot());
    *state = &s;
    return 0;
}

static int close_story(void **state)
{
    story_close(*state);
    return 0;
}

#define EVENT                                                                  \
    "{\"timestamp\":\"2026-11-22T08:59:59.999Z\",\"session_id\":\"s-1\","      \
    "\"user_id\":\"jane\",\"action\":\"File Uploaded\",\"details\":{"          \
    "\"file_size\":12345678,\"file_type\":[7],\"file_name\":\"C:\\\\jane\\\\a" \
    ".WAV\",\"b\\u001bpm\":{\"x\":1}},\"context\":{\"url\":"                   \
    "\"https://m.example/jane\",\"title\":\"Jane's\"}}"

static enum status run(struct story *s, const char *event,
                       enum explain_form form, struct buf *out)
{
    struct explain_case c = {
        .p = s->p, .h = &s->h, .present = 0xffff, .now_ms = STORY_NOW};

    c.throwaway[0] = 42;
    assert_true(story_decide(s, slice_of(event)));
    return explain(&c, form, s->a, out);
}

static const char *explained(struct story *s, const char *event,
                             enum explain_form form)
{
    buf_reset(&s->out);
    assert_int_equal(run(s, event, form, &s->out), ST_OK);
    buf_put_char(&s->out, '\0');
    assert_false(s->out.failed);
    return s->out.data;
}

static void text_names_every_value_its_rule_and_its_fate(void **state)
{
    static const char *const lines[] = {
        "event \"File Uploaded\" is \"file_upload\" by rule ",
        "store: cleared for audience by rule ",
        "  identifiers.session: \"s-1\" -> \"session\" \"",
        "  identifiers.user: \"jane\" dropped by rule ",
        "  context.url: \"https://m.example/jane\" -> \"url\" \"/other\", "
        "changed by rule ",
        "  context.title: \"Jane's\" dropped by rule",
        "  context.time: \"2026-11-22T08:59:59.999Z\" -> \"timestamp\" "
        "\"2026-11-22T08:59:00Z\", changed",
        "  fields.file_size: 12345678 -> \"file_size\" 12582912, changed by "
        "rule ",
        "  fields.file_type: [7] dropped: wrong type by rule ",
        "  fields.file_name: \"C:\\\\jane\\\\a.WAV\" -> \"file_extension\" "
        "\"wav\", changed by rule ",
        "  sends {\"timestamp\":\"2026-11-22T08:59:00Z\",",
        "ga: not cleared: no-consent by rule ",
        "not in the policy, dropped: \"b\\u001bpm\"\n"};
    const char *text = explained(*state, EVENT, EXPLAIN_TEXT);

    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const char *at = strstr(text, lines[i]);

        if (at == NULL)
            fail_msg("no \"%s\" in\n%s", lines[i], text);
        text = i == 0 ? text : at; /* they stand in this order */
    }
    /* no control character of a sample reaches the terminal */
    for (; *text != '\0'; text++)
        assert_true((unsigned char)*text >= 0x20 || *text == '\n');
}

static const struct json_node *parse(struct story *s, const char *text)
{
    struct slice copy = arena_copy(s->a, slice_of(text));
    const struct json_node *root = NULL;

    assert_int_equal(
        json_read(s->a, (char *)(size_t)copy.at, copy.len, &root, NULL), ST_OK);
    return root;
}

static void json_says_the_same_and_is_json(void **state)
{
    struct story *s = *state;
    const struct json_node *root = parse(s, explained(s, EVENT, EXPLAIN_JSON));
    const struct json_node *list = json_member(root, SLICE("destinations"));
    const struct json_node *one = json_first(list);
    const struct json_node *values = json_member(one, SLICE("values"));

    assert_int_equal(list->count, 5);
    assert_true(slice_eq(story_text(one, "purpose"), SLICE("audience")));
    assert_int_equal(values->count, 8);
    assert_int_equal(json_member(one, SLICE("sends"))->type, JSON_OBJECT);
    assert_int_equal(json_member(root, SLICE("unknown"))->count, 1);
    for (unsigned i = 0; i < 4; i++)
        one = json_next(list, one);
    assert_true(slice_eq(story_text(one, "name"), SLICE("ga")));
    assert_true(slice_eq(story_text(one, "reason"), SLICE("no-consent")));
    assert_null(json_member(one, SLICE("values")));
}

static void an_unknown_event_is_said_to_be_one(void **state)
{
    struct story *s = *state;
    const char *text =
        explained(s, "{\"action\":\"no\\u0007pe\"}", EXPLAIN_TEXT);

    assert_non_null(strstr(text, "event \"no\\u0007pe\" is not in the policy"));
    assert_non_null(strstr(text, "store: not cleared: unknown-event\n"));
    (void)parse(s, explained(s, "{\"action\":\"nope\"}", EXPLAIN_JSON));
}

/* R30: under no key of a destination's epoch, and another key each time. */
static void r30_pseudonyms_are_of_throwaway_keys(void **state)
{
    struct story *s = *state;
    char live[27] = {0};
    const char *text;

    assert_true(story_decide(s, SLICE(EVENT)));
    for (unsigned d = 0; d < 2; d++) {
        assert_true(story_decide(s, SLICE(EVENT)));
        assert_non_null(story_clean(s, d));
        memcpy(live, s->clean.ids[ID_SESSION].at, 26);
        text = explained(s, EVENT, EXPLAIN_TEXT);
        assert_null(strstr(text, live));
    }
}

static void what_it_sends_is_what_minimise_sends(void **state)
{
    struct story *s = *state;
    char text[16384];
    const char *sends, *end;

    (void)snprintf(text, sizeof text, "%s", explained(s, EVENT, EXPLAIN_TEXT));
    sends = strstr(text, "  sends ") + 8;
    end = strchr(sends, '\n');
    s->keys.site = SLICE("explain");
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++) {
        uint8_t master[KEY_BYTES] = {42}, secret[KEY_BYTES] = {(uint8_t)d};

        epoch_key_make(master, secret, s->epoch[d]);
    }
    memset(s->keys.fresh_id, 0, sizeof s->keys.fresh_id);
    s->keys.fresh_id[0] = 42;
    assert_true(story_decide(s, SLICE(EVENT)));
    assert_int_equal(strlen(story_clean(s, 0)), (size_t)(end - sends));
    assert_memory_equal(story_clean(s, 0), sends, (size_t)(end - sends));
}

static void a_full_buffer_is_a_limit(void **state)
{
    struct story *s = *state;

    for (size_t cap = 0; cap < 3000; cap += 61) {
        struct buf small;

        buf_init(&small, cap);
        assert_int_equal(run(s, EVENT, EXPLAIN_JSON, &small), ST_LIMIT);
        buf_free(&small);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_story, close_story)
    static const struct CMUnitTest tests[] = {
        TEST(text_names_every_value_its_rule_and_its_fate),
        TEST(json_says_the_same_and_is_json),
        TEST(an_unknown_event_is_said_to_be_one),
        TEST(r30_pseudonyms_are_of_throwaway_keys),
        TEST(what_it_sends_is_what_minimise_sends),
        TEST(a_full_buffer_is_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
