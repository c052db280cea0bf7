/* Clean hits: what leaves for each of Mixbot's destinations, and that nothing
 * else does. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { STORE, FILE_, ANY, MP, GA, COUNT };

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

static const char *run(struct story *s, const char *event, unsigned d)
{
    assert_true(story_decide(s, slice_of(event)));
    return story_clean(s, d);
}

#define WIN                                                                    \
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, "    \
    "like Gecko) Chrome/120.0.0.0 Safari/537.36"
#define UPLOAD                                                                 \
    "{\"timestamp\":\"2026-11-22T08:59:59.999Z\",\"session_id\":\"s-1\","      \
    "\"user_id\":\"jane\",\"device_id\":\"dev-1\",\"group_id\":\"g-1\","       \
    "\"id\":\"e-1\",\"action\":\"File Uploaded\",\"details\":{"                \
    "\"file_size\":12345678,\"file_type\":\"audio/x-wav\","                    \
    "\"file_name\":\"C:\\\\jane\\\\demo.WAV\",\"bpm\":120},"                   \
    "\"consent\":{\"product\":true},\"context\":{\"ip\":\"192.0.2.7\","        \
    "\"url\":\"https://m.example/upload?u=jane\",\"title\":\"Jane's\","        \
    "\"referrer\":\"https://x.test/?q=jane\",\"language\":\"fr-FR\","          \
    "\"screen\":\"1920x1080\",\"campaign\":\"jane\",\"place\":\"Lyon\","       \
    "\"user_agent\":\"" WIN "\"}}"

/* Everything but the pseudonyms, byte for byte; the order of the details is
 * the policy's. */
static void mixbot_upload_as_each_destination_gets_it(void **state)
{
    struct story *s = *state;
    char want[1024], size[64];

    for (unsigned d = 0; d < COUNT; d++) {
        const char *got = run(s, UPLOAD, d);
        bool named = s->clean.field_count == 3;
        bool ending_first =
            named && slice_eq(s->clean.fields[0].name, SLICE("file_extension"));

        assert_non_null(got);
        assert_int_equal(named, d != GA);
        assert_int_equal(s->clean.ids[ID_SESSION].len, 26);
        assert_int_equal(s->clean.ids[ID_DEVICE].len, 26);
        (void)snprintf(size, sizeof size, "\"file_size\":%s",
                       d == GA ? "\"10485760-52428800\"" : "12582912");
        (void)snprintf(
            want, sizeof want,
            "{\"timestamp\":\"2026-11-22T08:59:00Z\",\"session_id\":\"%.26s\","
            "\"action\":\"file_upload\",\"details\":{%s%s,"
            "\"file_type\":\"audio/wav\"%s},\"device_id\":\"%.26s\",%s"
            "\"purpose\":\"%s\",\"id\":\"%.26s\"}",
            s->clean.ids[ID_SESSION].at,
            ending_first ? "\"file_extension\":\"wav\"," : "", size,
            named && !ending_first ? ",\"file_extension\":\"wav\"" : "",
            s->clean.ids[ID_DEVICE].at,
            d == GA ? ""
                    : "\"context\":{\"user_agent\":\"Chrome 120 / "
                      "Windows\",\"url\":\"/upload\"},",
            d < ANY ? "audience" : "product", s->clean.event_id.at);
        assert_string_equal(got, want);
    }
}

static void the_bare_event_holds_details_purpose_and_id(void **state)
{
    struct story *s = *state;
    const char *got = run(s, "{\"action\":\"page_view\"}", STORE);
    char want[256];

    (void)snprintf(want, sizeof want,
                   "{\"timestamp\":\"2026-11-22T09:00:00Z\",\"action\":"
                   "\"page_view\",\"details\":{},\"purpose\":\"audience\","
                   "\"id\":\"%.26s\"}",
                   s->clean.event_id.at);
    assert_string_equal(got, want);
    assert_int_equal(s->clean.classes, 0); /* cleared as it was */
}

static void classes_tell_what_was_stripped(void **state)
{
    struct story *s = *state;

    (void)run(s, UPLOAD, STORE);
    assert_int_equal(
        s->clean.classes,
        1u << CLASS_IDENTIFIER | 1u << CLASS_ADDRESS | 1u << CLASS_USER_AGENT |
            1u << CLASS_URL | 1u << CLASS_REFERRER | 1u << CLASS_TITLE |
            1u << CLASS_CAMPAIGN | 1u << CLASS_LANGUAGE | 1u << CLASS_SCREEN |
            1u << CLASS_TIME | 1u << CLASS_FILE_NAME | 1u << CLASS_NUMBER |
            1u << CLASS_VALUE | 1u << CLASS_UNKNOWN_FIELD |
            1u << CLASS_EVENT_ID | 1u << CLASS_PLACE);
    (void)run(s,
              "{\"action\":\"genre_detection\",\"details\":{\"genre\":7,"
              "\"confidence\":0.5}}",
              STORE);
    assert_int_equal(s->clean.classes, 1u << CLASS_WRONG_TYPE);
    (void)run(s,
              "{\"action\":\"genre_detection\",\"details\":{\"genre\":\"Pop\","
              "\"confidence\":0.5}}",
              STORE);
    assert_int_equal(s->clean.classes, 0);
}

static bool same(struct slice a, struct slice b)
{
    return a.at != NULL && slice_eq(a, b);
}

static struct slice keep(struct slice s, char room[26])
{
    memcpy(room, s.at, 26);
    return (struct slice){room, 26};
}

/* Law 8: no two destinations share an identifier, event ids included. */
static void r23_destinations_share_no_identifier(void **state)
{
    struct story *s = *state;
    char room[COUNT][3][26];

    for (unsigned d = 0; d < COUNT; d++) {
        /* one key for all: the construction alone must separate them */
        s->keys.epoch_keys[d] = s->epoch[0];
        assert_non_null(run(s, UPLOAD, d));
        (void)keep(s->clean.ids[ID_SESSION], room[d][0]);
        (void)keep(s->clean.ids[ID_DEVICE], room[d][1]);
        (void)keep(s->clean.event_id, room[d][2]);
        for (unsigned e = 0; e < d; e++) {
            for (unsigned i = 0; i < 9; i++)
                assert_memory_not_equal(room[d][i / 3], room[e][i % 3], 26);
        }
    }
}

static void r5_the_same_in_an_epoch_another_in_the_next(void **state)
{
    struct story *s = *state;
    char room[2][26];
    struct slice id, event;

    assert_non_null(run(s, UPLOAD, STORE));
    id = keep(s->clean.ids[ID_SESSION], room[0]);
    event = keep(s->clean.event_id, room[1]);
    s->now_ms += MS_PER_H;
    assert_non_null(run(s, UPLOAD, STORE));
    assert_true(same(id, s->clean.ids[ID_SESSION]));
    assert_true(same(event, s->clean.event_id));
    s->epoch[STORE][0] ^= 1;
    assert_non_null(run(s, UPLOAD, STORE));
    assert_false(same(id, s->clean.ids[ID_SESSION]));
    assert_false(same(event, s->clean.event_id));
}

static void event_ids_follow_the_client_s_own_or_fresh_bytes(void **state)
{
    struct story *s = *state;
    char room[26];
    struct slice id;

    assert_non_null(run(s, UPLOAD, STORE));
    id = keep(s->clean.event_id, room);
    s->keys.fresh_id[0] ^= 1;
    assert_non_null(run(s, UPLOAD, STORE));
    assert_true(same(id, s->clean.event_id));
    assert_non_null(run(s, "{\"action\":\"page_view\"}", STORE));
    id = keep(s->clean.event_id, room);
    s->keys.fresh_id[0] ^= 1;
    assert_non_null(run(s, "{\"action\":\"page_view\"}", STORE));
    assert_false(same(id, s->clean.event_id));
}

static void kept_event_keys_give_the_same_ids(void **state)
{
    struct story *s = *state;
    uint8_t keys[POLICY_PURPOSES_MAX][EVENT_KEY_BYTES];
    char room[26];
    struct slice id;

    assert_non_null(run(s, UPLOAD, MP));
    id = keep(s->clean.event_id, room);
    for (unsigned i = 0; i < s->p->purpose_count; i++) {
        struct pseudonym_scope scope = {s->keys.site, SLICE("mp"),
                                        s->p->purposes[i].name};
        event_key_make(s->epoch[MP], &scope, keys[i]);
    }
    s->keys.event_keys[MP] = (const uint8_t(*)[EVENT_KEY_BYTES])keys;
    assert_non_null(run(s, UPLOAD, MP));
    assert_true(same(id, s->clean.event_id));
}

/* What a policy only looks up for opt-outs never leaves, whatever its rule. */
static void other_identifiers_are_never_sent(void **state)
{
    struct story *s = *state;
    struct delivery_plan *to;

    assert_true(story_decide(s, SLICE("{\"action\":\"page_view\"}")));
    to = &((struct event_plan *)(size_t)s->v.event)->to[STORE];
    to->identifiers[ID_OTHER] = to->identifiers[ID_SESSION];
    story_identify(&s->h, ID_OTHER, SLICE("jane"));
    assert_non_null(story_clean(s, STORE));
    assert_null(s->clean.ids[ID_OTHER].at);
}

static void encoding_fits_its_buffer_or_fails_whole(void **state)
{
    struct story *s = *state;
    struct buf small;
    size_t len;

    assert_non_null(run(s, UPLOAD, STORE));
    len = s->out.len - 1;
    for (size_t cap = 0; cap < len + 600; cap += 7) {
        buf_init(&small, cap);
        clean_hit_encode_plain(&s->clean, s->p, &small);
        assert_int_equal(small.len, small.failed ? 0 : len);
        assert_true(cap >= len || small.failed);
        buf_free(&small);
    }
    buf_init(&small, len + 600);
    clean_hit_encode_plain(&s->clean, s->p, &small);
    assert_false(small.failed);
    assert_memory_equal(small.data, s->out.data, len);
    buf_free(&small);
}

static void encoding_escapes_what_json_escapes(void **state)
{
    struct story *s = *state;
    struct clean_value v = {.name = SLICE("a\"\\\x01"),
                            .type = CLEAN_STRING,
                            .text = SLICE("\x1f\n\"\xc3\xa9")};
    const char *text;

    assert_non_null(run(s, "{\"action\":\"page_view\"}", STORE));
    s->clean.fields = &v;
    s->clean.field_count = 1;
    buf_reset(&s->out);
    clean_hit_encode_plain(&s->clean, s->p, &s->out);
    buf_put_char(&s->out, '\0');
    text = strstr(s->out.data, "\"details\":");
    assert_non_null(text);
    assert_memory_equal(text + 10,
                        "{\"a\\\"\\\\\\u0001\":"
                        "\"\\u001f\\u000a\\\"\xc3\xa9\"}",
                        34);
}

static void visitor_is_the_first_present_of_the_destination_s_list(void **state)
{
    struct story *s = *state;

    assert_non_null(run(s, UPLOAD, MP));
    assert_true(same(s->clean.visitor, s->clean.ids[ID_DEVICE]));
    assert_non_null(run(s,
                        "{\"action\":\"page_view\",\"session_id\":\"s\","
                        "\"consent\":{\"product\":true}}",
                        MP));
    assert_true(same(s->clean.visitor, s->clean.ids[ID_SESSION]));
    assert_non_null(run(s,
                        "{\"action\":\"page_view\",\"user_id\":\"s\","
                        "\"consent\":{\"product\":true}}",
                        MP));
    assert_null(s->clean.visitor.at);
    assert_null(s->clean.ids[ID_USER].at); /* R12: dropped by the policy */
}

static size_t fake_pseudonym(void *ctx, unsigned destination, unsigned purpose,
                             enum id_kind kind, struct slice identifier,
                             char out[PSEUDONYM_TEXT_MAX])
{
    int n = snprintf(out, PSEUDONYM_TEXT_MAX, "p%u%u%d%c", destination, purpose,
                     (int)kind, identifier.at[0]);

    ++*(unsigned *)ctx;
    return (size_t)n;
}

static void the_worker_s_cache_is_asked_for_pseudonyms(void **state)
{
    struct story *s = *state;
    unsigned calls = 0;

    s->keys.pseudonym = fake_pseudonym;
    s->keys.ctx = &calls;
    assert_non_null(run(s, UPLOAD, MP));
    assert_int_equal(calls, 2);
    assert_true(slice_eq(s->clean.ids[ID_SESSION], SLICE("p312s")));
    assert_true(slice_eq(s->clean.visitor, SLICE("p311d")));
}

static const char *at_time(struct story *s, const char *time)
{
    static char event[256];

    (void)snprintf(event, sizeof event,
                   "{\"action\":\"page_view\",\"timestamp\":\"%s\"}", time);
    return run(s, event, STORE);
}

/* R14: a rounded time, never the one that came in, nor one from the future. */
static void r14_times_are_rounded_down_and_never_ahead(void **state)
{
    struct story *s = *state;

    assert_non_null(
        strstr(at_time(s, "2026-11-21T23:59:59.5Z"), "2026-11-21T23:59:00Z"));
    assert_non_null(
        strstr(at_time(s, "2026-11-22T10:00:30+02:00"), "T08:00:00Z"));
    assert_non_null(
        strstr(at_time(s, "9999-12-31T23:59:59Z"), "2026-11-22T09:00:00Z"));
    assert_non_null(
        strstr(at_time(s, "2026-11-22T08:00:00Z"), "2026-11-22T08:00:00Z"));
    assert_int_equal(s->clean.classes, 0);
    assert_non_null(strstr(at_time(s, "no time"), "2026-11-22T09:00:00Z"));
}

static void expiry_is_the_spool_s_or_the_purpose_s(void **state)
{
    struct story *s = *state;

    (void)at_time(s, "2026-11-22T08:00:00Z");
    assert_true(s->clean.expires_ms == STORY_NOW + 72 * MS_PER_H);
    s->p->purposes[0].retention = (struct duration){0, 2 * MS_PER_H};
    (void)at_time(s, "2026-11-22T08:00:00Z");
    assert_true(s->clean.expires_ms ==
                STORY_NOW - 42123 + MS_PER_H); /* 10:00:00 */
    s->p->purposes[0].retention = (struct duration){1, 0};
    (void)at_time(s, "2026-10-23T00:00:00Z");
    assert_true(s->clean.expires_ms ==
                STORY_NOW - 42123 + 15 * MS_PER_H); /* 23 November */
    (void)run(s, "{\"action\":\"page_view\"}", STORE);
    assert_true(s->clean.expires_ms == STORY_NOW + 72 * MS_PER_H);
}

/* An event as it leaves is one that may come in again: names, values and
 * rounded numbers stay what they are. */
static void minimising_twice_is_minimising_once(void **state)
{
    static const char *const events[] = {
        UPLOAD,
        "{\"action\":\"Genre Detected\",\"details\":{\"genre\":\"drum & BASS\","
        "\"confidence\":0.8512}}",
        "{\"action\":\"Analysis Completed\",\"details\":{\"duration_s\":1e9,"
        "\"success\":\"1\"}}",
        "{\"action\":\"DAW Selected\",\"details\":{\"daw\":\"jane's\"}}",
        "{\"action\":\"feedback_download\",\"details\":{\"format\":\"pdf\"}}"};
    struct story *s = *state;
    char once[2048], twice[2048];

    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        const char *a, *b;

        (void)snprintf(once, sizeof once, "%s", run(s, events[i], STORE));
        (void)snprintf(twice, sizeof twice, "%s", run(s, once, STORE));
        a = strstr(once, "\"action\"");
        b = strstr(twice, "\"action\"");
        assert_non_null(a);
        assert_non_null(b);
        /* the ending of a name is no name: "wav" alone has none */
        char *ending = strstr(once, "\"file_extension\":\"wav\"");
        if (ending != NULL) {
            char *from = ending[-1] == ',' ? ending - 1 : ending;
            char *after = ending + 22;
            if (from == ending && *after == ',')
                after++;
            memmove(from, after, strlen(after) + 1);
        }
        assert_memory_equal(a, b, (size_t)(strstr(a, "},") - a));
    }
}

static size_t fill(struct arena *a, size_t units)
{
    size_t n = 0;

    while (n < units && arena_alloc(a, 16) != NULL)
        n++;
    return n;
}

/* With a little less memory than it takes, at every step: ST_NOMEM, and *out
 * stays as it was. */
static void no_memory_at_any_step_forwards_nothing(void **state)
{
    struct story *s = *state;
    struct arena *small = arena_new(64u << 10);
    enum status st = ST_NOMEM;
    size_t all, spare = 0;

    assert_non_null(small);
    all = fill(small, SIZE_MAX);
    for (; st == ST_NOMEM && spare < 200; spare++) {
        struct clean_hit out = {.destination = 77};

        assert_true(story_decide(s, SLICE(UPLOAD)));
        arena_reset(small);
        (void)fill(small, all - spare);
        st = minimise(s->p, &s->h, &s->view, &s->v, STORE, &s->keys, s->now_ms,
                      small, &out);
        assert_int_equal(out.destination, st == ST_OK ? STORE : 77);
    }
    assert_int_equal(st, ST_OK);
    assert_true(spare > 10);
    arena_free(small);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_story, close_story)
    static const struct CMUnitTest tests[] = {
        TEST(mixbot_upload_as_each_destination_gets_it),
        TEST(the_bare_event_holds_details_purpose_and_id),
        TEST(classes_tell_what_was_stripped),
        TEST(r23_destinations_share_no_identifier),
        TEST(r5_the_same_in_an_epoch_another_in_the_next),
        TEST(event_ids_follow_the_client_s_own_or_fresh_bytes),
        TEST(kept_event_keys_give_the_same_ids),
        TEST(other_identifiers_are_never_sent),
        TEST(encoding_fits_its_buffer_or_fails_whole),
        TEST(encoding_escapes_what_json_escapes),
        TEST(visitor_is_the_first_present_of_the_destination_s_list),
        TEST(the_worker_s_cache_is_asked_for_pseudonyms),
        TEST(r14_times_are_rounded_down_and_never_ahead),
        TEST(expiry_is_the_spool_s_or_the_purpose_s),
        TEST(minimising_twice_is_minimising_once),
        TEST(no_memory_at_any_step_forwards_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
