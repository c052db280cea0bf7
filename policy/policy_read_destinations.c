#include "policy_inside.h"

#include <stdlib.h>
#include <string.h>

/* States of the European Economic Area: no transfer tool is needed. */
static const char eea[] = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT "
                          "LI LT LU LV MT NL NO PL PT RO SE SI SK ";

static bool in_eea(struct slice country)
{
    for (const char *c = eea; *c != '\0'; c += 3)
        if (memcmp(c, country.at, 2) == 0)
            return true;
    return false;
}

/* Who gets it, in which role, where, and on what ground it may go there
 * (R51). */
static void read_recipient(struct load *l, const struct at *at,
                           struct destination_plan *d)
{
    static const char *const roles[] = {"controller", "processor",
                                        "joint-controller", NULL};
    static const char *const tools[] = {"adequacy", "DPF",        "SCC",
                                        "BCR",      "derogation", NULL};
    struct at m;

    if (at_need(l, at, "role", "\"controller\" or \"processor\"", &m)) {
        int w = want_word(l, &m, roles);
        d->role = slice_of(w >= 0 ? roles[w] : "");
    }
    if (at_need(l, at, "recipient", "who receives the data", &m))
        (void)want_text(l, &m, POLICY_PROSE_MAX, &d->recipient);
    if (at_get(at, "transfer", &m)) {
        int w = want_word(l, &m, tools);
        d->transfer = slice_of(w >= 0 ? tools[w] : "");
    }
    if (!at_need(l, at, "country", "two letters such as \"FR\"", &m) ||
        !want_text(l, &m, POLICY_NAME_MAX, &d->country))
        return;
    struct slice c = d->country;
    if (c.len != 2 || c.at[0] < 'A' || c.at[0] > 'Z' || c.at[1] < 'A' ||
        c.at[1] > 'Z')
        problem(l, &m, "is no country; write its two letters such as \"FR\"");
    else if (!in_eea(c) && !at_get(at, "transfer", &m))
        problem(l, &m,
                "is missing; %.*s is outside the EEA: write what the "
                "transfer stands on: adequacy, DPF, SCC, BCR or "
                "derogation",
                SLICE_ARG(c));
}

static void read_visitor(struct load *l, const struct at *at,
                         struct destination_plan *d)
{
    struct slice *list;
    struct at m;
    unsigned count;

    if (!at_get(at, "visitor", &m) ||
        !want_texts(l, &m, false, ID_OTHER, POLICY_NAME_MAX, &list, &count))
        return;
    for (unsigned i = 0; i < count; i++) {
        unsigned k = 0;
        while (k < ID_OTHER &&
               !slice_eq(list[i], slice_of(id_kind_name((enum id_kind)k))))
            k++;
        if (k == ID_OTHER)
            problem(l, &m,
                    "\"%.*s\" is no identifier; write user, device, "
                    "session or group",
                    SLICE_ARG(slice_head(list[i], 64)));
        else
            d->visitor[d->visitor_count++] = (enum id_kind)k;
    }
}

/* "R7": what profiles name; the reason is checked here, its use there. */
static void read_deviations(struct load *l, const struct at *at)
{
    struct at all;
    struct slice s;
    unsigned long long n;

    if (!at_get(at, "deviations", &all) ||
        !want_kind(l, &all, JSON_KIND_OBJECT, "{\"R7\": \"why\"}"))
        return;
    for (const struct json_value *v = json_child(all.v); v != NULL;
         v = json_sibling(v)) {
        struct at m = at_child(&all, v);
        if (m.key.len < 2 || m.key.at[0] != 'R' ||
            !slice_to_u64(slice_skip(m.key, 1), &n) || n < 1 || n > 84)
            problem(l, &m, "is no requirement; write one from R1 to R84");
        (void)want_text(l, &m, POLICY_PROSE_MAX, &s);
    }
}

static void read_settings(struct load *l, const struct at *at,
                          struct destination_plan *d)
{
    static const char *const profiles[] = {"cnil-strict", "cnil-pragmatic",
                                           "cnil-exempt", NULL};
    static const char *const release[] = {"live", "boundary", NULL};
    struct at m;

    if (at_get(at, "profile", &m))
        d->profile = (enum profile)(want_word(l, &m, profiles) + 1);
    if (at_need(l, at, "purposes", "the purposes it may be used for", &m))
        (void)read_purpose_list(l, &m, &d->purposes, d->purpose_order,
                                &d->purpose_count);
    read_visitor(l, at, d);
    if (at_get(at, "tcf_vendor", &m))
        (void)want_whole(l, &m, 1, 65535, &d->tcf_vendor);
    if (at_get(at, "release", &m))
        d->release_boundary = want_word(l, &m, release) == 1;
    if (at_get(at, "pseudonyms", &m))
        read_pseudonyms(l, &m, d);
    read_deviations(l, at);
}

/* One override: kind replaced, the base's modifiers kept unless given. */
static void override(struct load *l, const struct at *at,
                     struct rule_spot *spot, const struct rule *base,
                     unsigned d, const struct event_plan *of, struct rule *out)
{
    spot->base = base;
    read_rule(l, at, spot, out);
    list_rule(l, at, out, of, (int)d);
}

static void override_identifiers(struct load *l, const struct at *rules,
                                 unsigned d, const struct rule **table)
{
    static const char *const keys[] = {"user", "device", "session", "group",
                                       NULL};
    struct at all, m;

    if (!at_get(rules, "identifiers", &all) || !want_keys(l, &all, keys))
        return;
    for (unsigned k = 0; k < ID_OTHER; k++) {
        struct rule_spot spot = {.place = PLACE_IDENTIFIER};
        struct rule *r = load_alloc(l, 1, sizeof(*r));
        if (r == NULL || !at_get(&all, id_kind_name((enum id_kind)k), &m))
            continue;
        override(l, &m, &spot, table[k], d, NULL, r);
        table[k] = r;
    }
}

static void override_context(struct load *l, const struct at *rules, unsigned d,
                             const struct rule **table)
{
    static const char *const keys[] = {
        "ip",       "place",    "user_agent", "language", "screen", "url",
        "referrer", "campaign", "title",      "time",     NULL};
    struct at all, m;

    if (!at_get(rules, "context", &all) || !want_keys(l, &all, keys))
        return;
    for (unsigned k = 0; k < CTX_COUNT; k++) {
        struct rule_spot spot = {.place = PLACE_CONTEXT,
                                 .context = (enum context_key)k};
        struct rule *r = load_alloc(l, 1, sizeof(*r));
        if (r == NULL ||
            !at_get(&all, context_key_name((enum context_key)k), &m))
            continue;
        override(l, &m, &spot, table[k], d, NULL, r);
        table[k] = r;
    }
}

static int find_field(const struct event_plan *e, struct slice path)
{
    for (unsigned i = 0; i < e->field_count; i++)
        if (slice_eq(e->fields[i].path, path))
            return (int)i;
    return -1;
}

static bool same_name(const struct rule *rules, unsigned a, unsigned b)
{
    return a != b && rules[a].kind != RULE_DROP && rules[b].kind != RULE_DROP &&
           slice_eq(rules[a].out_name, rules[b].out_name);
}

static void override_field(struct load *l, const struct at *at,
                           struct event_plan *e, unsigned d, struct rule *rules)
{
    int i = find_field(e, at->key);
    struct rule_spot spot = {.place = PLACE_FIELD};
    bool many;

    if (i < 0) {
        problem(l, at, "is no field of events.%.*s; describe it there first",
                SLICE_ARG(slice_head(e->name, 64)));
        return;
    }
    (void)path_check(at->key, &many, &spot.wildcard);
    struct rule base = rules[i];
    override(l, at, &spot, &base, d, e, &rules[i]);
    if (rules[i].kind != RULE_DROP && !name_leaves(rules[i].out_name))
        problem(l, at, "cannot leave under its own name; add \"as\"");
    for (unsigned k = 0; k < e->field_count; k++)
        if (same_name(rules, (unsigned)i, k))
            problem(l, at,
                    "leaves as \"%.*s\", as another field does; give "
                    "one of them another \"as\"",
                    SLICE_ARG(slice_head(rules[i].out_name, 64)));
}

static void override_event(struct load *l, const struct at *at, unsigned d)
{
    static const char *const keys[] = {"fields", NULL};
    struct event_plan *e = NULL;
    struct at fields;

    for (unsigned i = 0; i < l->p->event_count; i++)
        if (slice_eq(l->p->events[i].name, at->key))
            e = &l->p->events[i];
    if (e == NULL) {
        problem(l, at, "is not in \"events\"; write an event's own name");
        return;
    }
    if (!want_keys(l, at, keys) || !at_get(at, "fields", &fields) ||
        !want_kind(l, &fields, JSON_KIND_OBJECT, "an object, field by field"))
        return;
    if (e->field_count > 0 && e->to[d].fields == NULL)
        return; /* the event's own fields were refused */
    struct rule *rules = load_alloc(l, e->field_count, sizeof(*rules));
    if (rules == NULL)
        return;
    if (e->field_count > 0)
        memcpy(rules, e->to[d].fields, e->field_count * sizeof(*rules));
    unsigned n;
    struct member *m = members_sorted(l, fields.v, &n);
    for (unsigned i = 0; i < n; i++) {
        struct at one = at_child(&fields, m[i].v);
        override_field(l, &one, e, d, rules);
    }
    e->to[d].fields = rules;
}

static void override_events(struct load *l, const struct at *events, unsigned d)
{
    unsigned n;
    struct member *m = members_sorted(l, events->v, &n);

    for (unsigned i = 0; i < n; i++) {
        struct at one = at_child(events, m[i].v);
        override_event(l, &one, d);
    }
}

static void read_overrides(struct load *l, const struct at *at, unsigned d)
{
    static const char *const keys[] = {"identifiers", "context", "events",
                                       NULL};
    const struct rule *ids[ID_COUNT], *context[CTX_COUNT];
    struct at rules, events;

    for (unsigned k = 0; k < ID_COUNT; k++)
        ids[k] = &l->identifiers[k];
    for (unsigned k = 0; k < CTX_COUNT; k++)
        context[k] = &l->context[k];
    if (at_get(at, "rules", &rules) && want_keys(l, &rules, keys)) {
        override_identifiers(l, &rules, d, ids);
        override_context(l, &rules, d, context);
        if (at_get(&rules, "events", &events) &&
            want_kind(l, &events, JSON_KIND_OBJECT,
                      "an object, event by event"))
            override_events(l, &events, d);
    }
    for (unsigned i = 0; i < l->p->event_count; i++) {
        struct delivery_plan *to = &l->p->events[i].to[d];
        memcpy(to->identifiers, ids, sizeof(ids));
        memcpy(to->context, context, sizeof(context));
        to->purposes =
            l->p->events[i].purposes & l->p->destinations[d].purposes;
    }
    if (context[CTX_TIME]->kind == RULE_TIME)
        l->p->destinations[d].time_round_ms =
            context[CTX_TIME]->as.time.round_ms;
}

static void read_destination(struct load *l, const struct at *at, unsigned i)
{
    static const char *const keys[] = {
        "role",       "country",    "recipient",  "transfer", "profile",
        "visitor",    "purposes",   "tcf_vendor", "release",  "rules",
        "pseudonyms", "deviations", NULL};
    struct destination_plan *d = &l->p->destinations[i];

    d->name = load_copy(l, at->key);
    if (!name_plain(at->key))
        problem(l, at, "is no name; use letters, digits, _ and -");
    if (!want_keys(l, at, keys))
        return;
    read_recipient(l, at, d);
    read_settings(l, at, d);
    read_overrides(l, at, i);
    struct at m;
    if (d->release_boundary && d->time_round_ms == 0 &&
        at_get(at, "release", &m))
        problem(l, &m,
                "cannot be \"boundary\" while the time is dropped; add "
                "{\"time\": {\"round\": \"PT1M\"}} to its context");
}

void read_destinations(struct load *l, const struct at *root)
{
    struct destination_plan start = {
        .bits = 24,
        .rotate = {0, MS_PER_DAY},
    };
    struct at all, m;

    if (at_get(root, "pseudonyms", &m))
        read_pseudonyms(l, &m, &start);
    if (!at_need(l, root, "destinations", "an object, one by one", &all) ||
        !want_kind(l, &all, JSON_KIND_OBJECT, "an object, one by one"))
        return;
    if (json_size(all.v) > POLICY_DESTINATIONS_MAX) {
        problem(l, &all, "has %zu destinations; at most %u are allowed",
                json_size(all.v), POLICY_DESTINATIONS_MAX);
        return;
    }
    unsigned n;
    struct member *list = members_sorted(l, all.v, &n);
    l->p->destination_count = n;
    for (unsigned i = 0; i < n; i++) {
        struct at one = at_child(&all, list[i].v);
        l->p->destinations[list[i].index] = start;
        read_destination(l, &one, list[i].index);
    }
}
