/* Bytes of a client -> plain dialect -> Mixbot's policy -> clean hits. Nothing
 * leaves that is not explained: every text is a constant of the policy, a
 * pseudonym, a rounded time or a user-agent class; every number is a multiple
 * of its step; and no identifier is its own pseudonym. Consent is granted to
 * all, so that every rule of every destination is met. */
#include "fuzz.h"
#include "lethe/policy/decide.h"
#include "lethe/policy/dialect.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/minimise.h"

#include <stdlib.h>
#include <string.h>

const char *__lsan_default_options(void);

/* The policy lives as long as the process, in memory that LeakSanitizer does
 * not search for pointers. */
const char *__lsan_default_options(void)
{
    return "detect_leaks=0";
}

#define NOW_MS INT64_C(1795338042123)

static struct {
    struct policy *p;
    struct slice text;
    struct arena *a;
    struct arena *parse;
    struct arena *again; /* of the second time around */
    struct buf out, out_again;
    struct minimise_keys keys;
    uint8_t epoch[KEY_BYTES];
} f;

static void set_up(void)
{
    static struct policy_problems problems;

    check(policy_shipped(NULL, SLICE("mixbot"), &f.text) == ST_OK);
    check(policy_load(f.text, "mixbot.json", policy_shipped, NULL, &f.p,
                      &problems) == ST_OK);
    f.a = arena_new(64u << 20);
    f.parse = arena_new(64u << 20);
    f.again = arena_new(64u << 20);
    check(f.a != NULL && f.parse != NULL && f.again != NULL);
    buf_init(&f.out, 1u << 20);
    buf_init(&f.out_again, 1u << 20);
    memset(f.epoch, 9, sizeof f.epoch);
    f.keys.site = SLICE("9f2c41d07a6be835");
    for (unsigned d = 0; d < POLICY_DESTINATIONS_MAX; d++)
        f.keys.epoch_keys[d] = f.epoch;
}

static bool is_pseudonym(struct slice s)
{
    if (s.len != 26)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '2' && c <= '7'))
            return false;
    }
    return true;
}

/* The policy's own text holds `s` in quotes. */
static bool is_constant(struct slice s)
{
    static const struct slice made[] = {
        SLICE_INIT("<10485760"), SLICE_INIT("10485760-52428800"),
        SLICE_INIT(">=52428800"), SLICE_INIT("Bot"), SLICE_INIT("Other")};
    char quoted[80];

    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        if (slice_eq(s, made[i]))
            return true;
    }
    if (s.len > sizeof quoted - 2)
        return false;
    quoted[0] = quoted[s.len + 1] = '"';
    memcpy(quoted + 1, s.at, s.len);
    return memmem(f.text.at, f.text.len, quoted, s.len + 2) != NULL;
}

/* "Family 123 / System" of the families and systems we know. */
static bool is_class(struct slice s)
{
    static const struct slice families[] = {
        SLICE_INIT("Chrome "),  SLICE_INIT("Edge "),
        SLICE_INIT("Firefox "), SLICE_INIT("Safari "),
        SLICE_INIT("Opera "),   SLICE_INIT("Samsung Internet ")};
    static const struct slice systems[] = {
        SLICE_INIT(" / Other"),   SLICE_INIT(" / Windows"),
        SLICE_INIT(" / macOS"),   SLICE_INIT(" / Linux"),
        SLICE_INIT(" / Android"), SLICE_INIT(" / iOS")};
    unsigned long long major;

    for (size_t i = 0; i < 36; i++) {
        struct slice head = families[i / 6], tail = systems[i % 6];
        struct slice v = slice_skip(s, head.len);

        if (!slice_starts(s, head) || !slice_ends(v, tail))
            continue;
        v.len -= tail.len;
        return slice_to_u64(v, &major) && major >= 1 && major <= 999;
    }
    return false;
}

static void check_number(const struct json_node *n)
{
    static const struct {
        struct slice key;
        double step, most;
    } rows[] = {{SLICE_INIT("file_size"), 1048576, 2147483648},
                {SLICE_INIT("confidence"), 0.1, 1},
                {SLICE_INIT("duration_s"), 0.1, 600}};
    char text[JSON_NUMBER_MAX + 1];
    double v, steps;

    memcpy(text, n->text.at, n->text.len);
    text[n->text.len] = '\0';
    v = strtod(text, NULL);
    for (size_t i = 0; i < 3; i++) {
        if (!slice_eq(n->key, rows[i].key))
            continue;
        steps = v / rows[i].step;
        check(v >= 0 && v <= rows[i].most);
        double off = steps - (double)(int64_t)(steps + 0.5);
        check(off < 1e-6 && off > -1e-6);
        return;
    }
    abort();
}

static void check_text(const struct json_node *n, const struct hit *h)
{
    int64_t ms;

    if (slice_eq(n->key, SLICE("timestamp"))) {
        check(time_parse(n->text, &ms) == ST_OK);
        check(ms % MS_PER_MIN == 0 && ms <= NOW_MS);
        return;
    }
    if (slice_eq(n->key, SLICE("session_id")) ||
        slice_eq(n->key, SLICE("device_id")) || slice_eq(n->key, SLICE("id"))) {
        check(is_pseudonym(n->text));
        check(!slice_eq(n->text, h->client_id));
        for (unsigned i = 0; i < h->identifier_count; i++)
            check(!slice_eq(n->text, h->identifiers[i].exact));
        return;
    }
    if (slice_eq(n->key, SLICE("user_agent")))
        check(is_constant(n->text) || is_class(n->text));
    else
        check(is_constant(n->text));
}

static void check_node(const struct json_node *n, const struct hit *h)
{
    static const struct slice frame[] = {
        SLICE_INIT("timestamp"), SLICE_INIT("session_id"),
        SLICE_INIT("action"),    SLICE_INIT("details"),
        SLICE_INIT("device_id"), SLICE_INIT("context"),
        SLICE_INIT("purpose"),   SLICE_INIT("id")};
    bool known = n->key.at == NULL || is_constant(n->key);

    for (size_t i = 0; i < sizeof frame / sizeof frame[0]; i++)
        known |= slice_eq(n->key, frame[i]);
    check(known);
    if (n->type == JSON_STRING)
        check_text(n, h);
    else if (n->type == JSON_NUMBER)
        check_number(n);
    else
        check(n->type != JSON_NULL && n->type != JSON_ARRAY);
    for (const struct json_node *c = json_first(n); c != NULL;
         c = json_next(n, c))
        check_node(c, h);
}

static const struct json_node *read_clean(const struct clean_hit *clean,
                                          struct arena *a, struct buf *out)
{
    const struct json_node *root;

    buf_reset(out);
    clean_hit_encode_plain(clean, f.p, out);
    check(!out->failed);
    check(json_read(a, out->data, out->len, &root, NULL) == ST_OK);
    return root;
}

struct round { /* the second time around: minimise twice = once */
    const struct json_node *first;
    unsigned destination;
};

static void check_same(const struct json_node *a, const struct json_node *b)
{
    check(a != NULL && b != NULL && a->type == b->type);
    check(slice_eq(a->text, b->text));
}

/* What both have is equal. Pseudonyms are hashed again, and a field that has
 * another name outside than inside is not known the second time. */
static enum status sink_again(void *ctx, struct hit *h)
{
    static const struct slice kept[] = {SLICE_INIT("action"),
                                        SLICE_INIT("timestamp")};
    const struct round *r = ctx;
    struct consent all = {.allowed = 0xffff};
    struct hit_view view;
    struct clean_hit clean;
    struct verdict v;

    decide(f.p, h, &all, 0xffff, NOW_MS, &v);
    check(v.event != NULL);
    hit_view_make(v.event, h, &view);
    check(((unsigned)v.cleared >> r->destination & 1u) != 0);
    check(minimise(f.p, h, &view, &v, r->destination, &f.keys, NOW_MS, f.again,
                   &clean) == ST_OK);
    const struct json_node *second = read_clean(&clean, f.again, &f.out_again);
    for (size_t i = 0; i < 2; i++)
        check_same(json_member(r->first, kept[i]),
                   json_member(second, kept[i]));
    const struct json_node *was = json_member(r->first, SLICE("details"));
    const struct json_node *is = json_member(second, SLICE("details"));
    for (const struct json_node *c = is == NULL ? NULL : json_first(is);
         c != NULL; c = json_next(is, c))
        check_same(json_member(was, c->key), c);
    return ST_OK;
}

static void check_again(const struct json_node *first, struct slice text,
                        unsigned d)
{
    struct beacon b = {.method = SLICE("POST"),
                       .path = SLICE("/v1/events"),
                       .received_ms = NOW_MS};
    struct round r = {first, d};
    struct dialect_call call;
    bool method_ok;
    struct slice body;

    arena_reset(f.again);
    body = arena_copy(f.again, text);
    check(body.at != NULL);
    b.body = (char *)(size_t)body.at;
    b.body_len = body.len;
    dialect_begin(&call, dialect_find(b.method, b.path, &method_ok), &b,
                  f.again);
    check(dialect_read(&call) == ST_OK);
    check(dialect_decode(&call, sink_again, &r) == ST_OK);
    check(call.decoded.understood == 1);
}

static void check_clean(const struct hit *h, const struct hit_view *view,
                        const struct verdict *v, unsigned d)
{
    const struct json_node *root;
    struct clean_hit clean;
    struct slice text;

    check(minimise(f.p, h, view, v, d, &f.keys, NOW_MS, f.a, &clean) == ST_OK);
    check(clean.expires_ms >= NOW_MS - MS_PER_MIN);
    buf_reset(&f.out);
    clean_hit_encode_plain(&clean, f.p, &f.out);
    text = arena_copy(f.a, buf_slice(&f.out)); /* reading is in place */
    check(text.at != NULL);
    arena_reset(f.parse);
    root = read_clean(&clean, f.parse, &f.out);
    check_node(root, h);
    check_again(root, text, d);
}

static enum status sink(void *ctx, struct hit *h)
{
    struct consent all = {.allowed = 0xffff};
    struct hit_view view;
    struct verdict v;

    (void)ctx;
    decide(f.p, h, &all, 0xffff, NOW_MS, &v);
    if (v.event == NULL)
        return ST_OK;
    hit_view_make(v.event, h, &view);
    for (unsigned d = 0; d < f.p->destination_count; d++) {
        if (((unsigned)v.cleared >> d & 1u) != 0)
            check_clean(h, &view, &v, d);
    }
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct beacon b = {.method = SLICE("POST"),
                       .path = SLICE("/v1/events"),
                       .address = SLICE("203.0.113.77"),
                       .user_agent = SLICE("jane's browser"),
                       .received_ms = NOW_MS};
    const struct dialect_route *route;
    struct dialect_call call;
    bool method_ok;
    struct slice body;

    if (f.p == NULL)
        set_up();
    arena_reset(f.a);
    body = arena_copy(f.a, (struct slice){(const char *)data, size});
    if (body.at == NULL)
        return 0;
    b.body = (char *)(size_t)body.at;
    b.body_len = body.len;
    route = dialect_find(b.method, b.path, &method_ok);
    check(route != NULL && method_ok);
    dialect_begin(&call, route, &b, f.a);
    check(dialect_read(&call) == ST_OK);
    (void)!dialect_decode(&call, sink, NULL);
    return 0;
}
