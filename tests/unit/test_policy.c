#include "lethe/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h wants the four above first */
#include <cmocka.h>

static struct policy_problems problems;

static struct policy *load(struct slice text)
{
    struct policy *p = NULL;
    enum status st =
        policy_load(text, "p.json", policy_shipped, NULL, &p, &problems);

    for (unsigned i = 0; i < problems.count; i++)
        if (!problems.list[i].warning || st != ST_OK)
            print_message("%s:%u:%u: %s\n", problems.list[i].file,
                          problems.list[i].place.line,
                          problems.list[i].place.column, problems.list[i].text);
    assert_int_equal(st, ST_OK);
    return p;
}

static struct policy *load_mixbot(void)
{
    struct slice text;

    assert_int_equal(policy_shipped(NULL, SLICE("mixbot"), &text), ST_OK);
    return load(text);
}

static void mixbot_loads(void **state)
{
    (void)state;
    struct policy *p = load_mixbot();

    assert_int_equal(p->purpose_count, 2);
    assert_int_equal(p->destination_count, 5);
    assert_int_equal(p->event_count, 6);
    assert_string_equal(p->destinations[4].name.at != NULL ? "ga" : "", "ga");
    assert_int_equal(problems.errors, 0);
    for (unsigned i = 0; i < problems.count; i++)
        print_message("%s:%u:%u: %s\n", problems.list[i].file,
                      problems.list[i].place.line,
                      problems.list[i].place.column, problems.list[i].text);
    for (unsigned i = 1; i <= p->rule_count; i++)
        print_message("%u %.*s\n", i, SLICE_ARG(policy_rule_name(p, i)));
    print_message("%s\n", p->hash_text);
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixbot_loads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
