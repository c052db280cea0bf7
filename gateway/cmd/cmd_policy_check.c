/* cmd_policy_check.c - `policy check`: what a load would say, and with
 * --profile the evidence sheet, requirement by requirement. */
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/cmd/sample.h"
#include "lethe/policy/policy_judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SHEET_MAX (4u << 20)

static const char *const states[] = {
    [VERDICT_HELD] = "held",
    [VERDICT_MET] = "met",
    [VERDICT_DEVIATION] = "deviation",
    [VERDICT_BROKEN] = "broken",
};

/* The sheet as it grows: lines for people, or the items of a JSON list. */
struct sheet {
    const struct policy *p;
    struct buf *out;
    bool json;
    unsigned broken, deviations;
    struct slice destination; /* of the line before */
};

static void put_json(struct sheet *s, const struct policy_verdict *v)
{
    struct buf *b = s->out;

    buf_put(b, s->destination.at != NULL ? SLICE(",") : SLICE(""));
    buf_put(b, SLICE("{\"destination\":"));
    buf_put_json_string(b, v->destination);
    buf_printf(b, ",\"requirement\":\"R%u\",\"state\":\"%s\",\"what\":",
               v->requirement, states[v->state]);
    buf_put_json_string(b, slice_of(v->what));
    if (v->rule > 0) {
        buf_put(b, SLICE(",\"rule\":"));
        buf_put_json_string(b, policy_rule_name(s->p, v->rule));
    }
    if (v->why.at != NULL) {
        buf_put(b, SLICE(",\"why\":"));
        buf_put_json_string(b, v->why);
    }
    buf_put_char(b, '}');
}

static void put_line(struct sheet *s, const struct policy_verdict *v)
{
    struct buf *b = s->out;

    if (s->destination.at != v->destination.at)
        buf_printf(b, "destination %.*s\n", SLICE_ARG(v->destination));
    buf_printf(b, "  R%-3u %-10s %s", v->requirement, states[v->state],
               v->what);
    if (v->why.at != NULL)
        buf_printf(b, ": %.*s", SLICE_ARG(v->why));
    if (v->rule > 0)
        buf_printf(b, " (%.*s)", SLICE_ARG(policy_rule_name(s->p, v->rule)));
    buf_put_char(b, '\n');
}

static void on_verdict(void *ctx, const struct policy_verdict *v)
{
    struct sheet *s = ctx;

    s->broken += v->state == VERDICT_BROKEN;
    s->deviations += v->state == VERDICT_DEVIATION;
    if (s->json)
        put_json(s, v);
    else
        put_line(s, v);
    s->destination = v->destination;
}

static bool find_profile(const char *name, enum profile *out)
{
    for (unsigned i = PROFILE_NONE + 1; i < PROFILE_COUNT; i++)
        if (slice_eq(slice_of(name), slice_of(profile_name((enum profile)i)))) {
            *out = (enum profile)i;
            return true;
        }
    return false;
}

static void put_problems(const struct policy_problems *problems, struct buf *b)
{
    buf_put(b, SLICE(",\"problems\":["));
    for (unsigned i = 0; i < problems->count; i++) {
        const struct policy_problem *p = &problems->list[i];
        buf_printf(b, "%s{\"file\":", i > 0 ? "," : "");
        buf_put_json_string(b, slice_of(p->file));
        buf_printf(b, ",\"line\":%u,\"column\":%u,\"warning\":%s,\"text\":",
                   p->place.line, p->place.column,
                   p->warning ? "true" : "false");
        buf_put_json_string(b, slice_of(p->text));
        buf_put_char(b, '}');
    }
    buf_put_char(b, ']');
}

static void put_name(const struct policy *p, struct buf *b)
{
    buf_put(b, SLICE(",\"policy\":"));
    buf_put_json_string(b, p->name);
    buf_put(b, SLICE(",\"version\":"));
    buf_put_json_string(b, p->version);
    buf_printf(b, ",\"hash\":\"%s\"", p->hash_text);
}

/* The bits that tell visitors apart once a pseudonym has its destination's
 * shape: all of them, since base32 carries the widest that a policy allows. */
static unsigned effective_bits(const struct destination_plan *d)
{
    return d->bits;
}

/* One more visitor among n shares a pseudonym with this chance, in percent. */
static double shared_percent(unsigned bits, double n)
{
    return -100 * expm1(-(n - 1) * ldexp(1, -(int)bits));
}

static void put_bits(const struct policy *p, struct buf *b)
{
    buf_put(b, SLICE(",\"destinations\":["));
    for (unsigned i = 0; i < p->destination_count; i++) {
        const struct destination_plan *d = &p->destinations[i];
        buf_printf(b, "%s{\"name\":", i > 0 ? "," : "");
        buf_put_json_string(b, d->name);
        buf_printf(b,
                   ",\"effective_bits\":%u,\"shared_percent_of_10000\":%.3g}",
                   effective_bits(d), shared_percent(effective_bits(d), 1e4));
    }
    buf_put_char(b, ']');
}

static void print_bits(const struct policy *p)
{
    for (unsigned i = 0; i < p->destination_count; i++) {
        const struct destination_plan *d = &p->destinations[i];
        (void)printf("%.*s: pseudonyms of %u effective bits; of 10,000 "
                     "visitors in one period %.2g %% share one\n",
                     SLICE_ARG(d->name), effective_bits(d),
                     shared_percent(effective_bits(d), 1e4));
    }
}

static int verdict_code(const struct sheet *s)
{
    if (s->broken > 0)
        return CMD_WRONG;
    return s->deviations > 0 ? CMD_INCOMPLETE : CMD_OK;
}

static void print_json(const struct policy *p,
                       const struct policy_problems *problems,
                       const struct sheet *s, const char *profile)
{
    struct buf b;

    buf_init(&b, SHEET_MAX);
    buf_printf(&b, "{\"ok\":%s",
               p != NULL && s->broken == 0 ? "true" : "false");
    if (p != NULL)
        put_name(p, &b);
    put_problems(problems, &b);
    if (p != NULL)
        put_bits(p, &b);
    if (p != NULL && profile != NULL) {
        buf_printf(&b, ",\"profile\":\"%s\",\"requirements\":[", profile);
        buf_put(&b, buf_slice(s->out));
        buf_put_char(&b, ']');
    }
    buf_put(&b, SLICE("}\n"));
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_free(&b);
}

static void print_text(const char *path, const struct policy *p,
                       const struct sheet *s, const char *profile)
{
    (void)printf("%s: policy %.*s version %.*s is fine\n"
                 "%u events, %u destinations, %u rules, hash %s\n",
                 path, SLICE_ARG(p->name), SLICE_ARG(p->version),
                 p->event_count, p->destination_count, p->rule_count,
                 p->hash_text);
    print_bits(p);
    if (profile == NULL)
        return;
    (void)fwrite(s->out->data, 1, s->out->len, stdout);
    (void)printf("%s: %u broken, %u with a deviation\n", profile, s->broken,
                 s->deviations);
}

int cmd_policy_check(const struct cmd *self, int argc, char **argv)
{
    struct policy *p = NULL;
    struct cmd_line l;
    struct buf out;
    enum profile as = PROFILE_NONE;
    int code = cmd_begin_policy(self, argc, argv, 1, &l);

    if (code >= 0)
        return code;
    const char *profile = cmd_value(&l, "--profile");
    if (profile != NULL && !find_profile(profile, &as))
        return cmd_fail(CMD_USAGE, "--profile is one of cnil-strict, "
                                   "cnil-pragmatic and cnil-exempt");
    struct policy_problems *problems = calloc(1, sizeof(*problems));
    if (problems == NULL)
        return cmd_fail(CMD_WRONG, "%s", status_name(ST_NOMEM));
    buf_init(&out, SHEET_MAX);
    enum status st = sample_policy_read(l.positionals[0], &p, problems);
    struct sheet s = {.p = p, .out = &out, .json = l.json};
    if (!l.json)
        sample_print_problems(problems);
    if (st == ST_OK && profile != NULL)
        policy_judge(p, as, on_verdict, &s);
    if (l.json)
        print_json(p, problems, &s, profile);
    else if (st == ST_OK)
        print_text(l.positionals[0], p, &s, profile);
    free(problems);
    buf_free(&out);
    policy_unref(p);
    return st == ST_OK ? verdict_code(&s) : CMD_WRONG;
}
