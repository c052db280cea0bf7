/* rule_story.h - for tests of rules: a policy of one event whose field `f` has
 * the rule under test, and what leaves for a value of it. */
#ifndef TESTS_RULE_STORY_H
#define TESTS_RULE_STORY_H

#include "story.h"

#include "lethe/policy/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_MAX 8192

static struct policy_problems problems;

/* A policy whose one event has `fields`, and whose context is `context`. */
static inline struct policy *policy_of(const char *fields, const char *context)
{
    static char text[TEXT_MAX];
    struct policy *p = NULL;
    int n = snprintf(
        text, sizeof text,
        "{\"format\":1,\"policy\":\"t\",\"version\":\"1\","
        "\"controller\":{\"name\":\"A\",\"contact\":\"a@b.example\","
        "\"authority\":\"CNIL\"},"
        "\"hosting\":{\"region\":\"EU\",\"processors\":[\"H, DE\"]},"
        "\"purposes\":{\"audience\":{\"basis\":\"legitimate-interest\","
        "\"retention\":\"P13M\",\"text\":{\"en\":\"x\"}},"
        "\"second\":{\"basis\":\"legitimate-interest\","
        "\"retention\":\"P1D\",\"text\":{\"en\":\"x\"}}},"
        "\"unidentified\":\"allow\","
        "\"identifiers\":{\"session\":\"pseudonym\"},"
        "\"pseudonyms\":{\"rotate\":\"P1D\",\"at\":\"04:00Z\",\"bits\":24},"
        "\"context\":{%s},"
        "\"events\":{\"e\":{\"purpose\":[\"audience\"],\"fields\":{%s}}},"
        "\"destinations\":{\"d\":{\"role\":\"controller\",\"country\":\"FR\","
        "\"recipient\":\"ourselves\",\"purposes\":[\"audience\"]}},"
        "\"retention\":{\"spool\":\"PT72H\",\"dead\":\"P7D\","
        "\"audit_rows\":\"P14D\",\"audit_records\":\"P12M\"}}",
        context, fields);

    assert_true(n > 0 && n < (int)sizeof text);
    if (policy_load((struct slice){text, (size_t)n}, "t.json", policy_shipped,
                    NULL, &p, &problems) != ST_OK) {
        for (unsigned i = 0; i < problems.count; i++)
            print_message("%s\n", problems.list[i].text);
        fail_msg("policy refused: %s", fields);
    }
    return p;
}

static inline struct story open_rule(const char *rule)
{
    char fields[TEXT_MAX / 2];
    struct story s;

    assert_true(snprintf(fields, sizeof fields, "\"f\":%s", rule) <
                (int)sizeof fields);
    story_open(&s, policy_of(fields, ""));
    return s;
}

/* Copy what stands in "details" of the clean hit into `out`. */
static inline void details(struct story *s, const char *event,
                           char out[TEXT_MAX])
{
    const char *text, *end;

    if (!story_decide(s, slice_of(event)))
        fail_msg("no event: %s", event);
    text = story_clean(s, 0);
    assert_non_null(text);
    text = strstr(text, "\"details\":");
    assert_non_null(text);
    text += 10;
    end = strstr(text, "},\"purpose\"");
    if (end == NULL)
        end = strstr(text, "},\"context\"");
    assert_non_null(end);
    assert_true((size_t)(end - text) < TEXT_MAX - 2);
    memcpy(out, text, (size_t)(end - text) + 1);
    out[end - text + 1] = '\0';
}

/* Under the open rule, `value` (JSON) leaves as `want` (JSON), or not at all
 * if `want` is NULL. */
static inline void check(struct story *s, const char *value, const char *want)
{
    char event[TEXT_MAX], got[TEXT_MAX], whole[TEXT_MAX];

    (void)snprintf(event, sizeof event,
                   "{\"action\":\"e\",\"details\":{\"f\":%s}}", value);
    details(s, event, got);
    if (want == NULL)
        (void)snprintf(whole, sizeof whole, "{}");
    else
        (void)snprintf(whole, sizeof whole, "{\"f\":%s}", want);
    if (strcmp(got, whole) != 0)
        fail_msg("%s gave %s, not %s", value, got, whole);
}

struct pair {
    const char *value, *want;
};

static inline void check_all(const char *rule, const struct pair *pairs,
                             size_t n)
{
    struct story s = open_rule(rule);

    for (size_t i = 0; i < n; i++)
        check(&s, pairs[i].value, pairs[i].want);
    story_close(&s);
}

#define CHECK(rule, ...)                                                       \
    do {                                                                       \
        static const struct pair pairs[] = {__VA_ARGS__};                      \
        check_all(rule, pairs, sizeof pairs / sizeof pairs[0]);                \
    } while (0)

#endif
