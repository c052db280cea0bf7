/* policy_case.h - loading the shipped Mixbot policy, whole or with one piece
 * replaced, for the tests of the policy engine. */
#ifndef TESTS_UNIT_POLICY_CASE_H
#define TESTS_UNIT_POLICY_CASE_H

#include "lethe/policy/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h wants the four above first */
#include <cmocka.h>

#define TEXT_MAX (4u << 20)

static struct policy_problems problems;

static inline enum status try_load(struct slice text, struct policy **out)
{
    return policy_load(text, "p.json", policy_shipped, NULL, out, &problems);
}

static inline struct policy *load(struct slice text)
{
    struct policy *p = NULL;
    enum status st = try_load(text, &p);

    for (unsigned i = 0; i < problems.count && st != ST_OK; i++)
        print_message("%s:%u:%u: %s\n", problems.list[i].file,
                      problems.list[i].place.line,
                      problems.list[i].place.column, problems.list[i].text);
    assert_int_equal(st, ST_OK);
    return p;
}

static inline struct slice shipped_mixbot(void)
{
    struct slice text;

    assert_int_equal(policy_shipped(NULL, SLICE("mixbot"), &text), ST_OK);
    return text;
}

/* The Mixbot policy with its first `from` made `to`. */
static inline struct policy *mixbot_with(const char *from, const char *to)
{
    struct slice text = shipped_mixbot();
    size_t len = slice_of(from).len, at = 0;
    struct buf b;

    while (at + len <= text.len && memcmp(text.at + at, from, len) != 0)
        at++;
    assert_true(at + len <= text.len);
    buf_init(&b, TEXT_MAX);
    buf_put_bytes(&b, text.at, at);
    buf_put(&b, slice_of(to));
    buf_put(&b, slice_skip(text, at + len));
    struct policy *p = load(buf_slice(&b));
    buf_free(&b);
    return p;
}

static inline const struct event_plan *event(const struct policy *p,
                                             const char *name)
{
    const struct event_plan *e = policy_find_event(p, slice_of(name));

    assert_non_null(e);
    return e;
}

static inline unsigned destination(const struct policy *p, const char *name)
{
    int d = policy_find_destination(p, slice_of(name));

    assert_true(d >= 0);
    return (unsigned)d;
}

#define assert_slice(s, text) assert_true(slice_eq(s, SLICE(text)))

#endif
