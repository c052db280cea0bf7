/* A policy that loads: the canonical form of what was resolved loads again,
 * to the same hash and the same rules; and it can be told in words. One that
 * does not load says why. */
#include "lethe/policy/policy_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX (32u << 20)

static struct policy_problems problems;

static void require(bool holds)
{
    if (!holds)
        abort();
}

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
    require(json_canonical(json_tree_root(p->resolved), &b) == ST_OK);
    require(load(buf_slice(&b), &again) == ST_OK);
    require(memcmp(p->hash, again->hash, sizeof(p->hash)) == 0);
    require(p->rule_count == again->rule_count);
    for (unsigned i = 1; i <= p->rule_count; i++)
        require(slice_eq(policy_rule_name(p, i), policy_rule_name(again, i)));
    buf_reset(&b);
    require(policy_show_words(p, &b) == ST_OK);
    require(policy_show_effective(p, &b) == ST_OK);
    require(policy_diff_words(p, p, &b, &loosens) == ST_OK && !loosens);
    buf_free(&b);
    policy_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *p = NULL;
    enum status st = load((struct slice){(const char *)data, size}, &p);

    if (st != ST_OK) {
        require(p == NULL);
        require(st == ST_NOMEM || problems.errors > 0);
        return 0;
    }
    require(problems.errors == 0);
    check_again(p);
    policy_unref(p);
    return 0;
}
