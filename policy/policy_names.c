#include "policy_inside.h"

#include <assert.h>

static const char *const rule_kinds[RULE_KIND_COUNT] = {
    [RULE_DROP] = "drop",           [RULE_BOOL] = "bool",
    [RULE_NUMBER] = "number",       [RULE_ENUM] = "enum",
    [RULE_EXTENSION] = "extension", [RULE_URL] = "url",
    [RULE_HOST] = "host",           [RULE_TIME] = "time",
    [RULE_PSEUDONYM] = "pseudonym", [RULE_PLACE] = "place",
    [RULE_CLASS] = "class",         [RULE_CONSTANT] = "constant",
};

static const char *const profiles[PROFILE_COUNT] = {
    [PROFILE_NONE] = "none",
    [PROFILE_CNIL_STRICT] = "cnil-strict",
    [PROFILE_CNIL_PRAGMATIC] = "cnil-pragmatic",
    [PROFILE_CNIL_EXEMPT] = "cnil-exempt",
};

static const char *const bases[BASIS_COUNT] = {
    [BASIS_CONSENT] = "consent",
    [BASIS_LEGITIMATE_INTEREST] = "legitimate-interest",
    [BASIS_CONTRACT] = "contract",
    [BASIS_LEGAL_OBLIGATION] = "legal-obligation",
    [BASIS_PUBLIC_TASK] = "public-task",
    [BASIS_VITAL_INTERESTS] = "vital-interests",
};

const char *rule_kind_name(enum rule_kind kind)
{
    assert((unsigned)kind < RULE_KIND_COUNT);
    return rule_kinds[kind];
}

const char *profile_name(enum profile profile)
{
    assert((unsigned)profile < PROFILE_COUNT);
    return profiles[profile];
}

const char *basis_name(enum basis basis)
{
    assert((unsigned)basis < BASIS_COUNT);
    return bases[basis];
}

struct slice policy_rule_name(const struct policy *p, unsigned number)
{
    if (number < 1 || number > p->listing->count)
        return SLICE("");
    return p->listing->rules[number - 1].name;
}

static void list(struct load *l, const struct at *at, const struct listed *one)
{
    size_t count = l->listed.len / sizeof(*one);

    if (count == POLICY_RULES_MAX) {
        if (!l->too_many)
            problem(l, at, "is rule %u; at most %u fit into a policy",
                    POLICY_RULES_MAX + 1, POLICY_RULES_MAX);
        l->too_many = true;
        return;
    }
    buf_put_bytes(&l->listed, one, sizeof(*one));
    if (l->listed.failed)
        l->nomem = true;
}

static uint16_t next_number(const struct load *l)
{
    return (uint16_t)(l->listed.len / sizeof(struct listed) + 1);
}

void list_rule(struct load *l, const struct at *at, struct rule *r,
               const struct event_plan *of, int destination)
{
    struct listed one = {load_path(l, at), r, of, destination, at->v};

    r->number = next_number(l);
    list(l, at, &one);
}

void list_event(struct load *l, const struct at *at, struct event_plan *e)
{
    struct listed one = {load_path(l, at), NULL, e, -1, at->v};

    e->number = next_number(l);
    list(l, at, &one);
}
