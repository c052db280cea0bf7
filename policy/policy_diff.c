/* What changes for people. Each change is told and judged; one that cannot
 * be shown to tighten counts as loosening. The hash of decisions is the net
 * beneath: a difference that no line here explains loosens too. */
#include "lethe/policy/policy_text.h"

#include "policy_diff.h"

#include <string.h>

/* Begin a line; the caller adds the words and a newline. */
void diff_begin(struct diff *x, enum turn turn)
{
    static const char *const marks[] = {
        [TIGHTER] = "less:   ", [LOOSER] = "more:   ", [CHANGED] = "change: "};

    if (turn != TIGHTER)
        x->loosens = true;
    x->lines++;
    buf_put(x->out, slice_of(marks[turn]));
}

int diff_purpose_in(const struct policy *p, struct slice name)
{
    for (unsigned i = 0; i < p->purpose_count; i++)
        if (slice_eq(p->purposes[i].name, name))
            return (int)i;
    return -1;
}

void diff_duration(struct diff *x, const char *what, struct slice name,
                   struct duration a, struct duration b)
{
    if (a.months == b.months && a.ms == b.ms)
        return;
    diff_begin(x, duration_compare(b, a) > 0 ? LOOSER : TIGHTER);
    buf_printf(x->out, "%s%.*s: ", what, SLICE_ARG(name));
    policy_duration_words(b, x->out);
    buf_put(x->out, SLICE(" instead of "));
    policy_duration_words(a, x->out);
    buf_put_char(x->out, '\n');
}

static bool same_rule(const struct diff *x, const struct rule *a,
                      const struct rule *b)
{
    struct buf one, two;

    buf_init(&one, 1u << 20);
    buf_init(&two, 1u << 20);
    rule_bytes(x->a, a, &one);
    rule_bytes(x->b, b, &two);
    bool same = !one.failed && !two.failed &&
                slice_eq(buf_slice(&one), buf_slice(&two));
    buf_free(&one);
    buf_free(&two);
    return same;
}

/* `a` NULL: there was no such rule. */
static void diff_rule(struct diff *x, struct slice where, struct slice what,
                      const char *dot, const struct destination_plan *to,
                      const struct rule *a, const struct rule *b)
{
    static const struct rule none = {.kind = RULE_DROP};
    const struct rule *from = a != NULL ? a : &none;
    const struct rule *into = b != NULL ? b : &none;

    if (same_rule(x, from, into))
        return;
    enum turn turn = into->kind == RULE_DROP   ? TIGHTER
                     : from->kind == RULE_DROP ? LOOSER
                                               : CHANGED;
    diff_begin(x, turn);
    buf_printf(x->out, "%.*s gets %.*s%s%.*s ", SLICE_ARG(to->name),
               SLICE_ARG(where), dot, SLICE_ARG(what));
    policy_rule_words(into, x->out);
    buf_put(x->out, SLICE("; was "));
    policy_rule_words(from, x->out);
    if (into->kind != RULE_DROP && !slice_eq(into->out_name, from->out_name))
        buf_printf(x->out, "; under the name %.*s", SLICE_ARG(into->out_name));
    buf_put_char(x->out, '\n');
}

static const struct event_plan *event_of(const struct policy *p,
                                         struct slice name)
{
    for (unsigned i = 0; i < p->event_count; i++)
        if (slice_eq(p->events[i].name, name))
            return &p->events[i];
    return NULL;
}

static int field_of(const struct event_plan *e, struct slice path)
{
    for (unsigned i = 0; e != NULL && i < e->field_count; i++)
        if (slice_eq(e->fields[i].path, path))
            return (int)i;
    return -1;
}

static const struct rule *field_rule(const struct event_plan *e, int d,
                                     struct slice path)
{
    int i = field_of(e, path);

    return i >= 0 && d >= 0 ? &e->to[d].fields[i] : NULL;
}

static bool purposes_grew(const struct diff *x, uint16_t a, uint16_t b)
{
    for (unsigned i = 0; i < x->b->purpose_count; i++) {
        int k = diff_purpose_in(x->a, x->b->purposes[i].name);
        if ((b & (1u << i)) != 0 && (k < 0 || (a & (1u << k)) == 0))
            return true;
    }
    return false;
}

static void event_line(struct diff *x, enum turn turn,
                       const struct destination_plan *to,
                       const struct event_plan *e, const char *words)
{
    diff_begin(x, turn);
    buf_printf(x->out, "%.*s %s %.*s\n", SLICE_ARG(to->name), words,
               SLICE_ARG(e->name));
}

/* One event to one destination; -1: there was, or is, no such destination. */
static void diff_delivery(struct diff *x, const struct event_plan *a, int da,
                          const struct event_plan *b, int db)
{
    uint16_t had = a != NULL && da >= 0 ? a->to[da].purposes : 0;
    uint16_t has = b != NULL && db >= 0 ? b->to[db].purposes : 0;

    if (has == 0 && had != 0)
        event_line(x, TIGHTER, &x->a->destinations[da], a,
                   "no longer gets the event");
    if (has == 0)
        return;
    const struct destination_plan *to = &x->b->destinations[db];
    if (had == 0)
        event_line(x, LOOSER, to, b, "newly gets the event");
    else if (purposes_grew(x, had, has))
        event_line(x, LOOSER, to, b, "gets for a further purpose the event");
    else if (purposes_grew(&(struct diff){.a = x->b, .b = x->a}, has, had))
        event_line(x, TIGHTER, to, b, "gets for fewer purposes the event");
    for (unsigned i = 0; i < b->field_count; i++)
        diff_rule(x, b->name, b->fields[i].path, ".", to,
                  had != 0 ? field_rule(a, da, b->fields[i].path) : NULL,
                  &b->to[db].fields[i]);
    for (unsigned i = 0; had != 0 && i < a->field_count; i++)
        if (field_of(b, a->fields[i].path) < 0)
            diff_rule(x, b->name, a->fields[i].path, ".", to,
                      &a->to[da].fields[i], NULL);
}

static void diff_with_events(struct diff *x, int da, int db)
{
    const struct delivery_plan *a, *b;

    if (da < 0 || db < 0 || x->a->event_count == 0 || x->b->event_count == 0)
        return;
    a = &x->a->events[0].to[da];
    b = &x->b->events[0].to[db];
    for (unsigned k = 0; k < ID_OTHER; k++)
        diff_rule(x, SLICE(""), slice_of(id_kind_name((enum id_kind)k)), "",
                  &x->b->destinations[db], a->identifiers[k],
                  b->identifiers[k]);
    for (unsigned k = 0; k < CTX_COUNT; k++)
        diff_rule(x, SLICE(""), slice_of(context_key_name((enum context_key)k)),
                  "", &x->b->destinations[db], a->context[k], b->context[k]);
}

static void diff_terms(struct diff *x, const struct destination_plan *a,
                       const struct destination_plan *b)
{
    if (!slice_eq(a->recipient, b->recipient) ||
        !slice_eq(a->country, b->country) || !slice_eq(a->role, b->role) ||
        !slice_eq(a->transfer, b->transfer)) {
        diff_begin(x, CHANGED);
        buf_printf(x->out, "%.*s is %.*s in %.*s, was %.*s in %.*s\n",
                   SLICE_ARG(b->name), SLICE_ARG(b->recipient),
                   SLICE_ARG(b->country), SLICE_ARG(a->recipient),
                   SLICE_ARG(a->country));
    }
    if (a->profile != b->profile) {
        diff_begin(x, a->profile == PROFILE_NONE ? TIGHTER : CHANGED);
        buf_printf(x->out, "%.*s is checked as %s, was %s\n",
                   SLICE_ARG(b->name), profile_name(b->profile),
                   profile_name(a->profile));
    }
    if (a->bits != b->bits) {
        diff_begin(x, b->bits > a->bits ? LOOSER : TIGHTER);
        buf_printf(x->out, "pseudonyms for %.*s keep %u bits, were %u\n",
                   SLICE_ARG(b->name), b->bits, a->bits);
    }
    diff_duration(x, "pseudonyms live for ", b->name, a->rotate, b->rotate);
    if (a->rotate_at_ms != b->rotate_at_ms ||
        a->release_boundary != b->release_boundary ||
        a->tcf_vendor != b->tcf_vendor ||
        a->visitor_count != b->visitor_count ||
        memcmp(a->visitor, b->visitor, sizeof(a->visitor)) != 0) {
        diff_begin(x, CHANGED);
        buf_printf(x->out,
                   "%.*s: visitor, release, vendor number or the hour "
                   "of the change\n",
                   SLICE_ARG(b->name));
    }
}

static void diff_destination(struct diff *x, unsigned db)
{
    const struct destination_plan *b = &x->b->destinations[db];
    int da = policy_find_destination(x->a, b->name);

    if (da < 0) {
        diff_begin(x, LOOSER);
        buf_printf(x->out, "a new recipient: %.*s in %.*s (%.*s)\n",
                   SLICE_ARG(b->recipient), SLICE_ARG(b->country),
                   SLICE_ARG(b->name));
    } else {
        diff_terms(x, &x->a->destinations[da], b);
    }
    diff_with_events(x, da, (int)db);
    for (unsigned i = 0; i < x->b->event_count; i++) {
        const struct event_plan *e = &x->b->events[i];
        diff_delivery(x, event_of(x->a, e->name), da, e, (int)db);
    }
    for (unsigned i = 0; i < x->a->event_count; i++) {
        const struct event_plan *e = &x->a->events[i];
        if (event_of(x->b, e->name) == NULL)
            diff_delivery(x, e, da, NULL, -1);
    }
}

static void name_line(struct diff *x, struct slice name,
                      const struct event_plan *was, const struct event_plan *is)
{
    diff_begin(x, LOOSER);
    buf_printf(x->out, "events called \"%.*s\" count as %.*s", SLICE_ARG(name),
               SLICE_ARG(is->name));
    if (was != NULL)
        buf_printf(x->out, ", were %.*s", SLICE_ARG(was->name));
    buf_put_char(x->out, '\n');
}

/* A name that `after` treats as another event than `before` did. */
static void diff_name(struct diff *x, struct slice name)
{
    const struct event_plan *was = policy_find_event(x->a, name);
    const struct event_plan *is = policy_find_event(x->b, name);

    if (is != NULL && (was == NULL || !slice_eq(was->name, is->name) ||
                       !slice_eq(was->out_name, is->out_name)))
        name_line(x, name, was, is);
}

static bool has_name(const struct policy_index *index, struct slice name)
{
    for (uint32_t i = 0; i <= index->mask; i++)
        if (index->slots[i].name.at != NULL &&
            slice_eq(index->slots[i].name, name))
            return true;
    return false;
}

/* Names that clients may use: those of `after`, and those of `before` that a
 * wildcard of `after` may have caught. */
static void diff_names(struct diff *x)
{
    for (uint32_t i = 0; i <= x->b->index->mask; i++)
        if (x->b->index->slots[i].name.at != NULL)
            diff_name(x, x->b->index->slots[i].name);
    for (uint32_t i = 0; i <= x->a->index->mask; i++)
        if (x->a->index->slots[i].name.at != NULL &&
            !has_name(x->b->index, x->a->index->slots[i].name))
            diff_name(x, x->a->index->slots[i].name);
    for (unsigned i = 0; i < x->a->index->prefix_count; i++) {
        const struct event_plan *was = x->a->index->prefixes[i];
        const struct event_plan *is = policy_find_event(x->b, was->name);
        if (is != NULL && !slice_eq(is->name, was->name))
            name_line(x, was->name, was, is);
    }
}

/* Where a field is read from; kept in the tree alone. */
static void diff_places(struct diff *x, const struct json_value *a,
                        const struct json_value *b, const struct listed *one)
{
    static const char *const keys[] = {"from", "names"};
    struct buf was, is;

    buf_init(&was, JSON_FILE_MAX);
    buf_init(&is, JSON_FILE_MAX);
    for (unsigned i = 0; i < 2; i++) {
        const struct json_value *m = a != NULL ? json_get(a, keys[i]) : NULL;
        const struct json_value *n = b != NULL ? json_get(b, keys[i]) : NULL;
        if ((m != NULL && json_canonical(m, &was) != ST_OK) ||
            (n != NULL && json_canonical(n, &is) != ST_OK))
            x->st = ST_NOMEM;
        buf_put_char(&was, ';');
        buf_put_char(&is, ';');
    }
    if (!slice_eq(buf_slice(&was), buf_slice(&is))) {
        diff_begin(x, CHANGED);
        buf_printf(x->out, "where %.*s is read from\n", SLICE_ARG(one->name));
    }
    buf_free(&was);
    buf_free(&is);
}

static void diff_field_places(struct diff *x)
{
    unsigned next = 0;

    for (unsigned i = 0; i < x->b->listing->count; i++) {
        const struct listed *one = &x->b->listing->rules[i];
        const struct json_value *was = NULL;
        if (one->of == NULL || one->rule == NULL || one->destination >= 0)
            continue;
        /* Both lists run by name: the next one is mostly the right one. */
        bool found = false;
        for (unsigned k = 0; k < x->a->listing->count && !found; k++) {
            const struct listed *old =
                &x->a->listing->rules[(next + k) % x->a->listing->count];
            found = slice_eq(old->name, one->name);
            was = found ? old->v : NULL;
            next = found ? (next + k + 1) % x->a->listing->count : next;
        }
        if (found)
            diff_places(x, was, one->v, one);
    }
}

/* The net: decisions that changed although nothing was told. */
static bool decides_changed(const struct policy *a, const struct policy *b)
{
    for (unsigned i = 0; i < b->event_count; i++) {
        const struct event_plan *was = event_of(a, b->events[i].name);
        for (unsigned d = 0; d < b->destination_count; d++) {
            int k = policy_find_destination(a, b->destinations[d].name);
            if (was == NULL || k < 0 ||
                memcmp(was->to[k].decides, b->events[i].to[d].decides, 8) != 0)
                return true;
        }
    }
    return false;
}

enum status policy_diff_words(const struct policy *before,
                              const struct policy *after, struct buf *out,
                              bool *out_loosens)
{
    struct diff x = {.a = before, .b = after, .out = out};

    diff_purposes(&x);
    diff_general(&x);
    diff_names(&x);
    diff_field_places(&x);
    for (unsigned d = 0; d < after->destination_count; d++)
        diff_destination(&x, d);
    for (unsigned d = 0; d < before->destination_count; d++)
        if (policy_find_destination(after, before->destinations[d].name) < 0) {
            diff_begin(&x, TIGHTER);
            buf_printf(out, "%.*s gets nothing any more\n",
                       SLICE_ARG(before->destinations[d].recipient));
        }
    if (x.lines == 0 && decides_changed(before, after)) {
        diff_begin(&x, CHANGED);
        buf_put(out, SLICE("the order of purposes or another setting that "
                           "decides\n"));
    }
    if (x.lines == 0)
        buf_put(out, SLICE("Nothing changes for people: only words, labels or "
                           "the version.\n"));
    if (x.st != ST_OK)
        return x.st;
    if (out->failed)
        return ST_LIMIT;
    *out_loosens = x.loosens;
    return ST_OK;
}
