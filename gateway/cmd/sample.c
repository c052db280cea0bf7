#include "lethe/gateway/cmd/sample.h"

#include "lethe/gateway/file.h"
#include "lethe/gateway/random.h"
#include "lethe/policy/consent.h"
#include "lethe/policy/consent_hear.h"
#include "lethe/policy/decide.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/explain.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/minimise.h"
#include "lethe/policy/naming.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (64u << 20)
#define FLUSH_BYTES (1u << 20)

/* ---- policies ------------------------------------------------------------ */

void sample_print_problems(const struct policy_problems *problems)
{
    for (unsigned i = 0; i < problems->count; i++) {
        const struct policy_problem *p = &problems->list[i];
        (void)fprintf(stderr, "%s:%u:%u: %s%s\n", p->file, p->place.line,
                      p->place.column, p->warning ? "warning: " : "", p->text);
    }
}

enum status sample_policy_read(const char *path, struct policy **out,
                               struct policy_problems *problems)
{
    struct buf text;

    problems->count = problems->errors = 0;
    buf_init(&text, 0);
    enum status st = file_read(path, JSON_FILE_MAX, &text);
    struct slice source = buf_slice(&text);
    if (st == ST_IO && errno == ENOENT &&
        policy_shipped(NULL, slice_of(path), &source) == ST_OK)
        st = ST_OK;
    if (st != ST_OK)
        (void)fprintf(stderr, "lethe: %s: %s\n", path,
                      st == ST_IO ? strerror(errno) : status_name(st));
    else
        st = policy_load(source, path, policy_shipped, NULL, out, problems);
    buf_free(&text);
    return st;
}

enum status sample_policy(const char *path, struct policy **out)
{
    struct policy_problems *problems = calloc(1, sizeof(*problems));

    if (problems == NULL)
        return ST_NOMEM;
    enum status st = sample_policy_read(path, out, problems);
    sample_print_problems(problems);
    free(problems);
    return st;
}

/* ---- events -------------------------------------------------------------- */

struct sample {
    struct sample_run *run;
    struct arena *arena;
    int64_t received_ms; /* of the line at hand */
    struct minimise_keys keys;
    uint8_t epoch_keys[POLICY_DESTINATIONS_MAX][KEY_BYTES];
    struct random_source random;
    struct buf *out;
    struct hit_view view; /* of the hit at hand */
};

static void fill_keys(struct sample *s)
{
    random_init(&s->random);
    memset(s->epoch_keys, 0, sizeof(s->epoch_keys));
    if (!s->run->fixed_keys)
        random_take(&s->random, s->epoch_keys, sizeof(s->epoch_keys));
    s->keys = (struct minimise_keys){.site = SLICE("sample")};
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++)
        s->keys.epoch_keys[d] = s->epoch_keys[d];
}

static void put_name(struct sample *s, unsigned d, const char *what)
{
    buf_put(s->out, SLICE("{\"destination\":"));
    buf_put_json_string(s->out, s->run->policy->destinations[d].name);
    buf_printf(s->out, ",\"%s\":", what);
}

static enum status put_clean(struct sample *s, const struct hit *h,
                             const struct verdict *v, unsigned d)
{
    struct clean_hit clean;

    hit_view_make(v->event, h, &s->view);
    enum status st = minimise(s->run->policy, h, &s->view, v, d, &s->keys,
                              s->received_ms, s->arena, &clean);
    if (st != ST_OK)
        return st;
    if (!s->run->bare)
        put_name(s, d, "event");
    clean_hit_encode_plain(&clean, s->run->policy, s->out);
    buf_put(s->out, s->run->bare ? SLICE("\n") : SLICE("}\n"));
    s->run->cleared++;
    return s->out->failed ? ST_LIMIT : ST_OK;
}

static void put_drop(struct sample *s, const struct verdict *v, unsigned d)
{
    s->run->dropped++;
    if (s->run->bare)
        return;
    put_name(s, d, "dropped");
    buf_printf(s->out, "\"%s\"}\n", audit_reason_name(v->to[d].reason));
}

static enum status put_explanation(struct sample *s, const struct hit *h)
{
    const struct policy *p = s->run->policy;
    struct explain_case c = {
        .p = p,
        .h = h,
        .optout = OPTOUT_NONE,
        .present = (uint16_t)((1u << p->destination_count) - 1),
        .now_ms = s->received_ms,
    };

    random_take(&s->random, c.throwaway, sizeof(c.throwaway));
    enum status st = explain(&c, s->run->json ? EXPLAIN_JSON : EXPLAIN_TEXT,
                             s->arena, s->out);
    wipe(&c, sizeof(c));
    return st;
}

static enum status on_hit(void *ctx, struct hit *h)
{
    struct sample *s = ctx;
    const struct policy *p = s->run->policy;
    uint16_t all = (uint16_t)((1u << p->destination_count) - 1);
    struct consent consent;
    struct verdict v;
    enum status st = ST_OK;

    if (s->run->explain)
        return put_explanation(s, h);
    if (!s->run->fixed_keys)
        random_take(&s->random, s->keys.fresh_id, sizeof(s->keys.fresh_id));
    st = hit_add_named(p, h, &s->view, s->arena);
    if (st != ST_OK)
        return st;
    consent_hear_fields(p, h->fields, &h->signals);
    consent_decide(p, &h->signals, s->received_ms, OPTOUT_NONE, &consent);
    decide(p, h, &consent, all, s->received_ms, &v);
    for (unsigned d = 0; st == ST_OK && d < p->destination_count; d++) {
        if (s->run->destination >= 0 && (unsigned)s->run->destination != d)
            continue;
        if (((unsigned)v.cleared >> d & 1u) != 0)
            st = put_clean(s, h, &v, d);
        else
            put_drop(s, &v, d);
    }
    return st;
}

static enum status run_line(struct sample *s, const struct dialect_route *route,
                            char *line, size_t len)
{
    struct dialect_call call;
    struct beacon b = {
        .method = SLICE("POST"),
        .path = SLICE("/v1/events"),
        .content_type = SLICE("application/json"),
        .body = line,
        .body_len = len,
        .received_ms = s->run->now_ms,
    };

    s->received_ms = b.received_ms;
    s->run->events++;
    dialect_begin(&call, route, &b, s->arena);
    enum status st = dialect_read(&call);
    if (st == ST_OK)
        st = dialect_decode(&call, on_hit, s);
    arena_reset(s->arena);
    if (st == ST_SYNTAX || st == ST_TYPE) {
        s->run->bad++;
        st = ST_OK;
    }
    return st;
}

enum status sample_events(struct sample_run *run, char *text, size_t len,
                          struct buf *out, void (*flush)(struct buf *out))
{
    bool known;
    const struct dialect_route *route =
        dialect_find(SLICE("POST"), SLICE("/v1/events"), &known);
    struct sample *s = calloc(1, sizeof(*s));
    enum status st = ST_OK;

    if (s == NULL)
        return ST_NOMEM;
    s->run = run;
    s->out = out;
    s->arena = arena_new(ARENA_BYTES);
    if (s->arena == NULL) {
        free(s);
        return ST_NOMEM;
    }
    fill_keys(s);
    while (len > 0 && st == ST_OK) {
        size_t end = slice_find((struct slice){text, len}, '\n');
        if (slice_trim((struct slice){text, end}).len > 0)
            st = run_line(s, route, text, end);
        text += end < len ? end + 1 : end;
        len -= end < len ? end + 1 : end;
        if (flush != NULL && out->len > FLUSH_BYTES)
            flush(out);
    }
    arena_free(s->arena);
    random_wipe(&s->random);
    wipe(s, sizeof(*s));
    free(s);
    return st;
}
