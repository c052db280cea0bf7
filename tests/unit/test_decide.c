/* Verdicts on Mixbot's own policy: who gets which event, and why not. */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { STORE, FILE_, ANY, MP, GA, COUNT };
#define ALL  0x1fu
#define OWN  (1u << STORE | 1u << FILE_)
#define SENT (1u << ANY | 1u << MP | 1u << GA)

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

static void expect(struct story *s, const char *event, unsigned cleared,
                   enum audit_reason reason)
{
    assert_true(story_decide(s, slice_of(event)));
    assert_int_equal(s->v.cleared, cleared);
    for (unsigned d = 0; d < COUNT; d++) {
        bool is = (cleared >> d & 1u) != 0;

        assert_int_equal(s->v.to[d].cleared, is);
        assert_int_equal(s->v.to[d].reason, is ? REASON_NONE : reason);
    }
}

#define HEAD "{\"session_id\":\"abc\",\"action\":\"page_view\""

static void without_consent_the_own_two_get_it(void **state)
{
    struct story *s = *state;

    expect(s, HEAD "}", OWN, REASON_NO_CONSENT);
    for (unsigned d = 0; d < COUNT; d++) {
        assert_int_equal(s->v.to[d].rule, s->v.event->number);
        assert_true(s->v.to[d].rule > 0);
    }
    assert_int_equal(s->v.to[STORE].purpose, 0);
}

static void with_consent_all_five_get_it(void **state)
{
    struct story *s = *state;

    expect(s, HEAD ",\"consent\":{\"product\":true}}", ALL, REASON_NONE);
    assert_int_equal(s->v.to[STORE].purpose, 0);
    assert_int_equal(s->v.to[GA].purpose, 1);
    expect(s, HEAD ",\"consent\":{\"analytics\":true}}", ALL, REASON_NONE);
    expect(s, HEAD ",\"consent\":{\"product\":false}}", OWN, REASON_APP_DENIED);
    expect(s, HEAD ",\"consent\":\"denied\"}", 0, REASON_CONSENT_DENIED);
}

static void signals_and_optouts_reach_every_destination(void **state)
{
    struct story *s = *state;

    expect(s,
           HEAD ",\"consent\":{\"product\":true},\"context\":{\"gpc\":true}}",
           OWN, REASON_GPC);
    expect(s,
           HEAD ",\"consent\":{\"product\":true},\"context\":{\"dnt\":true}}",
           0, REASON_DNT);
    s->optout = OPTOUT_LISTED;
    expect(s, HEAD ",\"consent\":{\"product\":true}}", 0, REASON_OPTED_OUT);
    s->optout = OPTOUT_CANNOT_TELL;
    expect(s, HEAD "}", 0, REASON_OPTOUT_UNREADABLE);
}

static void r9_unknown_events_are_denied(void **state)
{
    struct story *s = *state;

    expect(s, "{\"action\":\"jane@x.test\"}", 0, REASON_UNKNOWN_EVENT);
    assert_null(s->v.event);
    assert_int_equal(s->v.to[0].rule, 0);
    expect(s, "{\"action\":\"Page_View\"}", 0, REASON_UNKNOWN_EVENT);
    expect(s, "{\"action\":\"page_view \"}", 0, REASON_UNKNOWN_EVENT);
    expect(s, "{\"action\":\"\"}", 0, REASON_UNKNOWN_EVENT);
    expect(s, "{\"session_id\":\"abc\"}", 0, REASON_UNKNOWN_EVENT);
    expect(s, "{\"action\":\"profile_update\"}", 0, REASON_PROFILE_UPDATE);
}

/* A wildcard was not written with profile calls in mind. */
static void a_wildcard_never_takes_profile_updates(void **state)
{
    static const struct slice names[] = {SLICE_INIT("\"page_view\": {"),
                                         SLICE_INIT("\"*\": {\"as\":\"x\",")};
    static struct policy_problems problems;
    struct story *s = *state;
    struct policy *p = NULL;
    struct slice text;
    struct buf b;
    const char *at;

    assert_int_equal(policy_shipped(NULL, SLICE("mixbot"), &text), ST_OK);
    at = memmem(text.at, text.len, names[0].at, names[0].len);
    assert_non_null(at);
    buf_init(&b, 1u << 20);
    buf_put_bytes(&b, text.at, (size_t)(at - text.at));
    buf_put(&b, names[1]);
    at += names[0].len;
    buf_put_bytes(&b, at, text.len - (size_t)(at - text.at));
    assert_int_equal(policy_load(buf_slice(&b), "p.json", policy_shipped, NULL,
                                 &p, &problems),
                     ST_OK);
    buf_free(&b);
    policy_unref(s->p);
    s->p = p;
    expect(s, "{\"action\":\"whatever\"}", OWN, REASON_NO_CONSENT);
    expect(s, "{\"action\":\"profile_update\"}", 0, REASON_PROFILE_UPDATE);
}

static void aliases_lead_to_their_event(void **state)
{
    struct story *s = *state;

    expect(s, "{\"action\":\"File Uploaded\"}", OWN, REASON_NO_CONSENT);
    assert_true(slice_eq(s->v.event->out_name, SLICE("file_upload")));
}

static void unidentified_hits_follow_the_policy(void **state)
{
    struct story *s = *state;

    expect(s, "{\"action\":\"page_view\"}", OWN, REASON_NO_CONSENT);
    s->p->unidentified_allow = false;
    expect(s, "{\"action\":\"page_view\"}", 0, REASON_UNIDENTIFIED);
    expect(s, "{\"action\":\"page_view\",\"session_id\":\"\"}", 0,
           REASON_UNIDENTIFIED);
    expect(s, "{\"action\":\"page_view\",\"user_id\":\"u\"}", OWN,
           REASON_NO_CONSENT);
}

static void absent_destinations_are_left_out(void **state)
{
    struct story *s = *state;

    s->present = 1u << STORE | 1u << GA;
    assert_true(
        story_decide(s, SLICE(HEAD ",\"consent\":{\"product\":true}}")));
    assert_int_equal(s->v.cleared, s->present);
    assert_int_equal(s->v.to[FILE_].reason, REASON_NO_DESTINATION);
    assert_int_equal(s->v.to[MP].reason, REASON_NO_DESTINATION);
}

static void late_by_the_purpose_s_retention(void **state)
{
    struct story *s = *state;
    int64_t keep = duration_before(STORY_NOW, s->p->purposes[0].retention);

    assert_true(story_decide(s, SLICE(HEAD "}")));
    s->h.has_time = true;
    for (int late = 0; late < 2; late++) {
        s->h.time_ms = keep - late;
        decide(s->p, &s->h, &s->c, s->present, s->now_ms, &s->v);
        assert_int_equal(s->v.cleared, late ? 0 : OWN);
        if (late)
            assert_int_equal(s->v.to[STORE].reason, REASON_LATE);
        assert_int_equal(s->v.to[GA].reason, REASON_NO_CONSENT);
    }
    /* numbers no calendar holds */
    s->h.time_ms = INT64_MIN;
    decide(s->p, &s->h, &s->c, s->present, s->now_ms, &s->v);
    assert_int_equal(s->v.to[STORE].reason, REASON_LATE);
    s->h.time_ms = INT64_MAX;
    decide(s->p, &s->h, &s->c, s->present, s->now_ms, &s->v);
    assert_int_equal(s->v.cleared, OWN);
}

static void the_first_allowed_purpose_is_taken_in_order(void **state)
{
    struct story *s = *state;
    struct destination_plan *store = &s->p->destinations[STORE];

    store->purpose_order[0] = 1;
    store->purpose_order[1] = 0;
    store->purpose_count = 2;
    s->p->events[0].to[STORE].purposes = 3;
    assert_true(story_decide(s, SLICE(HEAD "}")));
    assert_ptr_equal(s->v.event, &s->p->events[0]);
    assert_true(s->v.to[STORE].cleared);
    assert_int_equal(s->v.to[STORE].purpose, 0);
    assert_true(
        story_decide(s, SLICE(HEAD ",\"consent\":{\"product\":true}}")));
    assert_int_equal(s->v.to[STORE].purpose, 1);
    /* all denied: the reason of the first in common */
    assert_true(story_decide(s, SLICE(HEAD ",\"consent\":{\"product\":false},"
                                           "\"context\":{\"dnt\":true}}")));
    assert_int_equal(s->v.to[STORE].reason, REASON_APP_DENIED);
    s->p->events[0].to[STORE].purposes = 0;
    assert_true(story_decide(s, SLICE(HEAD "}")));
    assert_int_equal(s->v.to[STORE].reason, REASON_NO_PURPOSE);
    /* a purpose too old to keep gives way to one that keeps longer */
    s->p->events[0].to[STORE].purposes = 3;
    s->p->purposes[1].retention = (struct duration){0, MS_PER_DAY};
    assert_true(story_decide(
        s, SLICE("{\"action\":\"page_view\",\"consent\":{\"product\":true},"
                 "\"timestamp\":\"2026-11-20T00:00:00Z\"}")));
    assert_int_equal(s->v.to[STORE].purpose, 0);
    assert_int_equal(s->v.to[GA].reason, REASON_LATE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_story, close_story)
    static const struct CMUnitTest tests[] = {
        TEST(without_consent_the_own_two_get_it),
        TEST(with_consent_all_five_get_it),
        TEST(signals_and_optouts_reach_every_destination),
        TEST(r9_unknown_events_are_denied),
        TEST(a_wildcard_never_takes_profile_updates),
        TEST(aliases_lead_to_their_event),
        TEST(unidentified_hits_follow_the_policy),
        TEST(absent_destinations_are_left_out),
        TEST(late_by_the_purpose_s_retention),
        TEST(the_first_allowed_purpose_is_taken_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
