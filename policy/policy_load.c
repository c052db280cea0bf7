#include "policy_inside.h"

#include "lethe/policy/pseudonym.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CANONICAL_MAX (16u << 20)

static void say(struct policy_problems *problems, const char *file,
                const struct json_complaint *c)
{
    struct policy_problem *one = &problems->list[problems->count++];

    *one = (struct policy_problem){.place = c->place};
    (void)snprintf(one->file, sizeof(one->file), "%s", file);
    (void)snprintf(one->text, sizeof(one->text), "%s", c->text);
    problems->errors++;
}

static enum status read_tree(struct slice text, const char *file,
                             struct json_tree **out,
                             struct policy_problems *problems)
{
    struct json_complaint c = {.place = {0, 0}};
    enum status st = json_tree_read(text, true, out, &c);

    if (st == ST_SYNTAX || (st == ST_LIMIT && c.text[0] != '\0'))
        say(problems, file, &c);
    else if (st == ST_LIMIT)
        say(problems, file,
            &(struct json_complaint){
                {1, 1}, "is too large or nests too deep for a policy"});
    if (st == ST_OK && json_kind_of(json_tree_root(*out)) != JSON_KIND_OBJECT) {
        say(problems, file,
            &(struct json_complaint){{1, 1},
                                     "a policy is one object; begin with {"});
        json_tree_free(*out);
        return ST_TYPE;
    }
    return st;
}

/* The tree that `own` extends: an empty one if it extends nothing. */
static enum status read_base(const struct json_tree *own, const char *file,
                             policy_source *source, void *source_ctx,
                             struct json_tree **out,
                             struct policy_problems *problems)
{
    const struct json_value *v = json_get(json_tree_root(own), "extends");
    struct slice text = SLICE("{}"), name = SLICE_NONE;
    char base_file[80];

    if (v != NULL && json_kind_of(v) != JSON_KIND_NULL) {
        name = json_string(v);
        if (name.len == 0 || name.len > POLICY_NAME_MAX || source == NULL ||
            source(source_ctx, name, &text) != ST_OK) {
            struct json_complaint c = {.place = json_place_of(own, v)};
            (void)snprintf(c.text, sizeof(c.text),
                           "extends: names no profile that is here; write one "
                           "such as \"cnil-strict\"");
            say(problems, file, &c);
            return ST_TYPE;
        }
    }
    (void)snprintf(base_file, sizeof(base_file), "%.*s", SLICE_ARG(name));
    enum status st = read_tree(text, base_file, out, problems);
    if (st == ST_OK && json_get(json_tree_root(*out), "extends") != NULL) {
        struct json_complaint c = {.place = json_place_of(own, v)};
        (void)snprintf(c.text, sizeof(c.text),
                       "extends: names a file that extends another; one level "
                       "is allowed");
        say(problems, file, &c);
        json_tree_free(*out);
        return ST_TYPE;
    }
    return st;
}

static enum status resolve(struct slice text, const char *file,
                           policy_source *source, void *source_ctx,
                           struct json_tree **out, struct slice *out_extends,
                           struct arena *a, struct policy_problems *problems)
{
    struct json_tree *own = NULL, *base = NULL;
    enum status st = read_tree(text, file, &own, problems);

    if (st != ST_OK)
        return st;
    st = read_base(own, file, source, source_ctx, &base, problems);
    if (st == ST_OK) {
        const struct json_value *v = json_get(json_tree_root(own), "extends");
        if (v != NULL)
            *out_extends = arena_copy(a, json_string(v));
        st = json_merge(base, own, out);
        json_tree_free(base);
    }
    json_tree_free(own);
    return st;
}

/* SHA-256 over the canonical form of what was resolved. `extends` is done by
 * then and is taken out, so that the form loads again to the same hash. That
 * tree becomes p->resolved; it has no places, which l->tree keeps. */
static enum status hash_resolved(struct load *l)
{
    struct policy *p = l->p;
    static const char digits[] = "0123456789abcdef";
    struct json_complaint c;
    struct json_tree *without = NULL, *flat = NULL;
    struct buf b;

    enum status st =
        json_tree_read(SLICE("{\"extends\":null}"), false, &without, &c);
    if (st != ST_OK)
        return st;
    buf_init(&b, CANONICAL_MAX);
    st = json_merge(l->tree, without, &flat);
    if (st == ST_OK)
        st = json_canonical(json_tree_root(flat), &b);
    if (st == ST_OK) {
        sha256_hash(b.data, b.len, p->hash);
        for (unsigned i = 0; i < 32; i++) {
            p->hash_text[2 * i] = digits[p->hash[i] >> 4];
            p->hash_text[2 * i + 1] = digits[p->hash[i] & 15];
        }
        p->hash_text[64] = '\0';
        p->resolved = flat;
        flat = NULL;
    }
    buf_free(&b);
    json_tree_free(flat);
    json_tree_free(without);
    return st;
}

/* Numbers are settled: the list becomes an array that lives in the arena. */
static void finish_listing(struct load *l)
{
    struct policy_listing *listing = load_alloc(l, 1, sizeof(*listing));
    size_t count = l->listed.len / sizeof(struct listed);
    struct listed *rules = load_alloc(l, count, sizeof(*rules));

    if (listing == NULL || rules == NULL)
        return;
    memcpy(rules, l->listed.data, l->listed.len);
    *listing = (struct policy_listing){rules, (unsigned)count, l->tree};
    l->p->listing = listing;
    l->p->rule_count = (unsigned)count;
}

static enum status compile(struct load *l)
{
    struct at root = {NULL, SLICE_NONE, json_tree_root(l->tree)};

    l->identifiers = load_alloc(l, ID_COUNT, sizeof(struct rule));
    l->context = load_alloc(l, CTX_COUNT, sizeof(struct rule));
    if (l->nomem)
        return ST_NOMEM;
    read_general(l, &root);
    read_purposes(l, &root);
    read_identifiers(l, &root);
    read_context(l, &root);
    read_events(l, &root);
    read_destinations(l, &root);
    if (l->nomem)
        return ST_NOMEM;
    if (l->problems->errors > 0)
        return ST_TYPE;
    naming_make(l);
    finish_listing(l);
    if (l->nomem)
        return ST_NOMEM;
    profiles_check(l, &root);
    warn_careless(l, &root);
    if (l->problems->errors > 0)
        return ST_TYPE;
    decides_make(l);
    return l->nomem ? ST_NOMEM : hash_resolved(l);
}

enum status policy_load(struct slice text, const char *file,
                        policy_source *source, void *source_ctx,
                        struct policy **out, struct policy_problems *problems)
{
    struct arena *a = arena_new(POLICY_ARENA_MAX);
    struct load l = {.a = a, .file = file, .problems = problems};

    problems->count = problems->errors = 0;
    if (a == NULL)
        return ST_NOMEM;
    buf_init(&l.listed, POLICY_RULES_MAX * sizeof(struct listed));
    enum status st = ST_NOMEM;
    l.p = arena_zalloc(a, 1, sizeof(*l.p));
    if (l.p == NULL)
        goto fail;
    st = resolve(text, file, source, source_ctx, &l.tree, &l.extends, a,
                 problems);
    if (st != ST_OK)
        goto fail;
    l.p->refs = 1;
    l.p->memory = a;
    l.p->extends = l.extends;
    l.p->file = load_copy(&l, slice_of(file));
    st = compile(&l);
    if (st != ST_OK)
        goto fail;
    buf_free(&l.listed);
    *out = l.p;
    return ST_OK;
fail:
    buf_free(&l.listed);
    json_tree_free(l.tree);
    arena_free(a);
    return st;
}

struct policy *policy_ref(struct policy *p)
{
    __atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void policy_unref(struct policy *p)
{
    if (p == NULL)
        return;
    unsigned before = __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL);
    assert(before > 0);
    if (before > 1)
        return;
    json_tree_free(p->resolved);
    json_tree_free(p->listing->tree);
    arena_free(p->memory);
}
