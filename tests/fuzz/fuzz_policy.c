/* A policy that loads: the canonical form of what was resolved loads again,
 * to the same hash and the same rules; and it can be told in words. One that
 * does not load says why. */
#include "fuzz.h"
#include "lethe/policy/policy_text.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (32u << 20)

static struct policy_problems problems;

static enum status load(struct slice text, struct policy **out)
{
    return policy_load(text, "fuzz.json", policy_shipped, NULL, out, &problems);
}

static void check_again(const struct policy *p)
{
    struct policy *again = NULL;
    struct buf b;
    bool loosens = true;

    buf_init(&b, TEXT_MAX);
    check(json_canonical(json_tree_root(p->resolved), &b) == ST_OK);
    check(load(buf_slice(&b), &again) == ST_OK);
    check(memcmp(p->hash, again->hash, sizeof(p->hash)) == 0);
    check(p->rule_count == again->rule_count);
    for (unsigned i = 1; i <= p->rule_count; i++)
        check(slice_eq(policy_rule_name(p, i), policy_rule_name(again, i)));
    buf_reset(&b);
    check(policy_show_words(p, &b) == ST_OK);
    check(policy_show_effective(p, &b) == ST_OK);
    check(policy_diff_words(p, p, &b, &loosens) == ST_OK && !loosens);
    buf_free(&b);
    policy_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *p = NULL;
    enum status st = load((struct slice){(const char *)data, size}, &p);

    if (st != ST_OK) {
        check(p == NULL);
        check(st == ST_NOMEM || problems.errors > 0);
        return 0;
    }
    check(problems.errors == 0);
    check_again(p);
    policy_unref(p);
    return 0;
}
