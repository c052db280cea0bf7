/* Profiles are checks: each R-number that rules can show is tested against
 * the resolved rules of a destination. */
#include "policy_profile.h"

#include "lethe/policy/policy_judge.h"

#include <stdio.h>

/* What no rule can break: the language has no word for it, or the gateway's
 * own code and its tests hold it. NULL stands for that. */
#define STRICT 1u
#define EXEMPT 2u
#define ALWAYS 4u
static const struct {
    unsigned number;
    unsigned in;
    profile_check *check;
    const char *what;
} table[] = {
    {1, ALWAYS, NULL, "no address reaches a destination"},
    {2, ALWAYS, NULL, "no destination is given or left to guess an address"},
    {3, ALWAYS, NULL, "no place finer than the gateway made itself"},
    {4, ALWAYS, NULL, "every identifier is replaced"},
    {5, ALWAYS, NULL, "pseudonyms change with the period"},
    {6, ALWAYS, NULL, "no clock inside an identifier survives"},
    {7, STRICT, r7_referrer, "the page that led here"},
    {8, STRICT, NULL, "no query, fragment or path as the client wrote it"},
    {9, STRICT, NULL, "only what a rule names leaves"},
    {10, STRICT, r10_campaign, "campaign values and click ids"},
    {11, STRICT, r11_device, "browser, language and screen"},
    {12, STRICT, r12_lasting, "lasting and cross-site identifiers"},
    {13, ALWAYS, NULL, "two sites share no pseudonym"},
    {14, STRICT, r14_time, "times and counters of the SDK"},
    {15, ALWAYS, NULL, "consent fields are the gateway's own"},
    {16, STRICT, NULL, "no file name or path leaves"},
    {17, STRICT, r17_title, "titles and search words"},
    {18, STRICT, NULL, "the client never touches the destination"},
    {19, ALWAYS, NULL, "who hosts, and where, is declared"},
    {21, STRICT, NULL, "keyed hashes with random secrets"},
    {22, STRICT, NULL, "two installs share no pseudonym"},
    {23, STRICT, NULL, "site, destination, purpose and kind are kept apart"},
    {24, STRICT, NULL, "identifiers are hashed without ambiguity"},
    {25, STRICT, r25_shared, "visitors can share a pseudonym"},
    {26, STRICT, NULL, "pseudonyms tell nothing of order or length"},
    {27, STRICT, NULL, "the secret is destroyed at the rotation"},
    {28, STRICT, NULL, "no table leads back or to the next period"},
    {39, EXEMPT, r39_storage, "data is kept 25 months at most"},
    {49, STRICT, r49_gpc, "Global Privacy Control counts"},
    {51, ALWAYS, NULL, "role and transfer are declared"},
    {64, STRICT, r64_dnt, "Do Not Track counts"},
    {72, STRICT, NULL, "no part of an address leaves"},
    {75, EXEMPT, r75_exempt,
     "own statistics, told, opposable and linked to nothing"},
};

static bool applies(unsigned in, enum profile profile)
{
    if (profile == PROFILE_NONE)
        return (in & ALWAYS) != 0;
    return (in & EXEMPT) == 0 || profile == PROFILE_CNIL_EXEMPT;
}

static void say(struct load *l, const struct view *v, unsigned number,
                const struct finding *f)
{
    struct at where = *v->at;
    struct slice rule = policy_rule_name(l->p, f->rule);

    if (f->rule > 0 && l->p->listing->rules[f->rule - 1].v != NULL)
        where =
            (struct at){NULL, SLICE_NONE, l->p->listing->rules[f->rule - 1].v};
    problem(l, &where,
            "%.*s%sdestination %.*s breaks R%u of %s: %s; or give a reason in "
            "its \"deviations\": {\"R%u\": \"why\"}",
            SLICE_ARG(rule), f->rule > 0 && where.up == NULL ? ": " : "",
            SLICE_ARG(v->dest->name), number, profile_name(v->dest->profile),
            f->why, number);
}

/* A deviation must be from something that could be broken and is. */
static void check_deviations(struct load *l, const struct view *v,
                             const struct at *all)
{
    for (const struct json_value *x = json_child(all->v); x != NULL;
         x = json_sibling(x)) {
        struct at m = at_child(all, x);
        unsigned long long n = 0;
        unsigned i = 0;
        struct finding f;
        (void)slice_to_u64(slice_skip(m.key, 1), &n);
        while (i < sizeof(table) / sizeof(table[0]) && table[i].number != n)
            i++;
        bool known = i < sizeof(table) / sizeof(table[0]) &&
                     applies(table[i].in, v->dest->profile);
        if (!known)
            warning(l, &m, "profile %s does not ask for this; remove it",
                    profile_name(v->dest->profile));
        else if (table[i].check == NULL)
            problem(l, &m,
                    "cannot be deviated from: the gateway holds it "
                    "whatever a policy says; remove it");
        else if (table[i].check(v, &f))
            warning(l, &m, "is met, so no deviation is needed; remove it");
    }
}

static void check_destination(struct load *l, const struct view *v)
{
    struct at deviations;
    struct finding f;

    bool any = at_get(v->at, "deviations", &deviations);
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char key[8];
        struct at m;
        if (table[i].check == NULL || !applies(table[i].in, v->dest->profile) ||
            table[i].check(v, &f))
            continue;
        (void)snprintf(key, sizeof(key), "R%u", table[i].number);
        if (!any || !at_get(&deviations, key, &m))
            say(l, v, table[i].number, &f);
    }
    if (any)
        check_deviations(l, v, &deviations);
}

/* Every row of one destination, for policy_judge(). */
static void judge_destination(const struct view *v, policy_verdict_fn *tell,
                              void *ctx)
{
    struct at deviations, why;
    bool any = at_get(v->at, "deviations", &deviations);

    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct policy_verdict r = {.destination = v->dest->name,
                                   .requirement = table[i].number,
                                   .state = VERDICT_HELD,
                                   .what = table[i].what};
        struct finding f = {0, NULL};
        char key[8];
        if (!applies(table[i].in, v->dest->profile))
            continue;
        (void)snprintf(key, sizeof(key), "R%u", table[i].number);
        if (table[i].check != NULL && table[i].check(v, &f)) {
            r.state = VERDICT_MET;
        } else if (table[i].check != NULL) {
            bool excused = any && at_get(&deviations, key, &why);
            r.state = excused ? VERDICT_DEVIATION : VERDICT_BROKEN;
            r.rule = f.rule;
            r.why = excused ? json_string(why.v) : slice_of(f.why);
        }
        tell(ctx, &r);
    }
}

void profiles_check(struct load *l, const struct at *root)
{
    struct at all;
    unsigned d = 0;

    if (!at_get(root, "destinations", &all))
        return;
    for (const struct json_value *x = json_child(all.v); x != NULL;
         x = json_sibling(x), d++) {
        struct at m = at_child(&all, x);
        const struct destination_plan *dest = &l->p->destinations[d];
        struct view v = {
            l, &m, d, dest, dest->profile == PROFILE_CNIL_PRAGMATIC, false};
        check_destination(l, &v);
    }
}

void policy_judge(const struct policy *p, enum profile as,
                  policy_verdict_fn *tell, void *ctx)
{
    /* the checks read the load and change nothing of it */
    struct load l = {.p = (struct policy *)(uintptr_t)p,
                     .tree = p->listing->tree};
    struct at root = {NULL, SLICE_NONE, json_tree_root(l.tree)}, all;
    const struct json_value *x =
        at_get(&root, "destinations", &all) ? json_child(all.v) : NULL;
    for (unsigned d = 0; x != NULL; x = json_sibling(x), d++) {
        struct destination_plan dest = p->destinations[d];
        struct at m = at_child(&all, x);
        struct view v = {&l, &m, d, &dest, as == PROFILE_CNIL_PRAGMATIC, true};
        dest.profile = as;
        judge_destination(&v, tell, ctx);
    }
}
