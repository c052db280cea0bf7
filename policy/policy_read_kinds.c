#include "policy_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MOST  9007199254740992.0 /* 2^53: exact as a double */
#define DECIMALS_MAX 9

/* The shortest decimal text that reads back as `value`. */
size_t number_text(double value, char out[32])
{
    int len = 0;

    for (int digits = 1; digits <= 17; digits++) {
        len = snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) >= value && strtod(out, NULL) <= value)
            break;
    }
    if (memchr(out, 'e', (size_t)len) != NULL && value >= -NUMBER_MOST &&
        value <= NUMBER_MOST && (double)(int64_t)value >= value &&
        (double)(int64_t)value <= value)
        len = snprintf(out, 32, "%.0f", value);
    return (size_t)len;
}

static bool want_number(struct load *l, const struct at *at, double *out)
{
    if (!want_kind(l, at, JSON_KIND_NUMBER, "a number"))
        return false;
    double v = json_number(at->v);
    if (!(v >= -NUMBER_MOST && v <= NUMBER_MOST)) {
        problem(l, at, "is too large; write a number up to 2^53");
        return false;
    }
    *out = v;
    return true;
}

/* Digits behind the point that `round` has; -1 if over DECIMALS_MAX. */
static int decimals_of(double round)
{
    for (int n = 0; n <= DECIMALS_MAX; n++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%.*f", n, round);
        double back = strtod(text, NULL);
        if (back >= round && back <= round)
            return n;
    }
    return -1;
}

static void read_round(struct load *l, const struct at *at, struct rule *out)
{
    double v;

    if (!want_number(l, at, &v))
        return;
    int decimals = v > 0 ? decimals_of(v) : -1;
    if (decimals < 0) {
        problem(l, at,
                "is not a step; write a number above 0 with at most %d "
                "decimals",
                DECIMALS_MAX);
        return;
    }
    out->as.number.has_round = true;
    out->as.number.round = v;
    out->as.number.decimals = decimals;
}

static struct slice bucket_text(struct load *l, const double *b, unsigned n,
                                unsigned i)
{
    char low[32], high[32], text[80];
    int len;

    if (i > 0)
        (void)number_text(b[i - 1], low);
    if (i < n)
        (void)number_text(b[i], high);
    if (i == 0)
        len = snprintf(text, sizeof(text), "<%s", high);
    else if (i == n)
        len = snprintf(text, sizeof(text), ">=%s", low);
    else
        len = snprintf(text, sizeof(text), "%s-%s", low, high);
    return load_copy(l, (struct slice){text, (size_t)len});
}

static void read_buckets(struct load *l, const struct at *at, struct rule *out)
{
    if (!want_kind(l, at, JSON_KIND_ARRAY, "a list of limits"))
        return;
    size_t count = json_size(at->v);
    if (count == 0 || count > POLICY_BUCKETS_MAX) {
        problem(l, at, "has %zu limits; write 1 to %u", count,
                POLICY_BUCKETS_MAX);
        return;
    }
    double *b = load_alloc(l, count, sizeof(*b));
    struct slice *texts = load_alloc(l, count + 1, sizeof(*texts));
    if (b == NULL || texts == NULL)
        return;
    unsigned n = 0;
    for (const struct json_value *v = json_child(at->v); v != NULL;
         v = json_sibling(v)) {
        struct at item = {at, SLICE_NONE, v};
        if (!want_number(l, &item, &b[n]))
            return;
        if (n > 0 && b[n] <= b[n - 1]) {
            problem(l, &item, "limits must rise; write them in order");
            return;
        }
        n++;
    }
    for (unsigned i = 0; i <= n; i++)
        texts[i] = bucket_text(l, b, n, i);
    out->as.number.bucket_count = n;
    out->as.number.buckets = b;
    out->as.number.bucket_texts = texts;
}

static void read_bounds(struct load *l, const struct at *at, struct rule *out)
{
    static const char *const words[] = {"drop", "clamp", NULL};
    struct at m;

    if (at_get(at, "min", &m))
        out->as.number.has_min = want_number(l, &m, &out->as.number.min);
    if (at_get(at, "max", &m))
        out->as.number.has_max = want_number(l, &m, &out->as.number.max);
    if (out->as.number.has_min && out->as.number.has_max &&
        out->as.number.min >= out->as.number.max)
        problem(l, &m, "is not above \"min\"; write a larger number");
    if (!at_get(at, "outside", &m))
        return;
    out->as.number.clamp = want_word(l, &m, words) == 1;
    if (!out->as.number.has_min && !out->as.number.has_max)
        problem(l, &m, "has no meaning without \"min\" or \"max\"; add one");
}

void read_number(struct load *l, const struct at *at, struct rule *out)
{
    static const char *const keys[] = {"round",   "min",     "max",
                                       "outside", "buckets", NULL};
    struct at m;

    if (!want_keys(l, at, keys))
        return;
    out->kind = RULE_NUMBER;
    bool round = at_get(at, "round", &m);
    if (round)
        read_round(l, &m, out);
    read_bounds(l, at, out);
    if (at_get(at, "buckets", &m)) {
        if (json_size(at->v) > 1)
            problem(l, &m,
                    "cannot stand with \"round\", \"min\", \"max\" or "
                    "\"outside\"; buckets alone take every number");
        read_buckets(l, &m, out);
        return;
    }
    struct at low, high;
    bool both = at_get(at, "min", &low) && at_get(at, "max", &high);
    if (!round && !both)
        problem(l, at,
                "lets exact numbers through; add \"round\", \"buckets\", or "
                "both \"min\" and \"max\"");
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static struct slice folded(struct load *l, struct slice s)
{
    char *out = load_alloc(l, s.len > 0 ? s.len : 1, 1);

    if (out == NULL)
        return SLICE_NONE;
    for (size_t i = 0; i < s.len; i++)
        out[i] = lower(s.at[i]);
    return (struct slice){out, s.len};
}

static int word_compare(const void *x, const void *y)
{
    const struct rule_word *a = x, *b = y;
    size_t n = a->text.len < b->text.len ? a->text.len : b->text.len;
    int d = n > 0 ? memcmp(a->text.at, b->text.at, n) : 0;

    if (d != 0)
        return d;
    return (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

static bool has_word(const struct rule_word *words, unsigned n, struct slice s)
{
    for (unsigned i = 0; i < n; i++)
        if (slice_eq(words[i].text, s))
            return true;
    return false;
}

static bool is_listed(const struct slice *list, unsigned n, struct slice s)
{
    for (unsigned i = 0; i < n; i++)
        if (slice_eq(list[i], s))
            return true;
    return false;
}

/* A word that is compared: trimmed, since values are trimmed before. */
static bool word_add(struct load *l, const struct at *at, struct rule_word *to,
                     unsigned *n, struct slice text, struct slice out,
                     bool fold)
{
    if (slice_trim(text).len != text.len || text.len == 0) {
        problem(l, at, "begins or ends with a space; write it without");
        return false;
    }
    struct slice key = fold ? folded(l, text) : text;
    if (has_word(to, *n, key)) {
        problem(l, at, "\"%.*s\" stands here twice%s",
                SLICE_ARG(slice_head(text, 64)),
                fold ? " when case is ignored" : "");
        return false;
    }
    to[(*n)++] = (struct rule_word){key, out};
    return true;
}

struct enum_parts {
    struct slice *list;
    unsigned count;
    struct rule_word *words;
    unsigned used;
    bool fold;
};

/* `map`: first, so its words go in before the list's. */
static void read_map(struct load *l, const struct at *map, struct enum_parts *e,
                     const struct rule *out)
{
    for (const struct json_value *v = json_child(map->v); v != NULL;
         v = json_sibling(v)) {
        struct at one = at_child(map, v);
        struct slice to;
        if (!want_text(l, &one, POLICY_WORD_MAX, &to))
            return;
        if (!is_listed(e->list, e->count, to) &&
            !(out->as.words.has_other && slice_eq(out->as.words.other, to))) {
            problem(l, &one,
                    "leads to \"%.*s\", which is not in \"enum\"; list it "
                    "there too",
                    SLICE_ARG(slice_head(to, 64)));
            return;
        }
        if (one.key.len > POLICY_WORD_MAX) {
            problem(l, &one, "is longer than %u bytes", POLICY_WORD_MAX);
            return;
        }
        if (!word_add(l, &one, e->words, &e->used, load_copy(l, one.key), to,
                      e->fold))
            return;
    }
}

static void words_finish(struct rule *out, struct rule_word *words, unsigned n)
{
    if (n > 0)
        qsort(words, n, sizeof(*words), word_compare);
    out->as.words.words = words;
    out->as.words.count = n;
}

void read_enum(struct load *l, const struct at *rule, const struct at *at,
               struct rule *out)
{
    struct enum_parts e = {.fold = false};
    struct at m, map;
    size_t mapped = 0;

    out->kind = RULE_ENUM;
    if (!want_texts(l, at, false, POLICY_ENUM_MAX, POLICY_WORD_MAX, &e.list,
                    &e.count))
        return;
    if (e.count == 0)
        problem(l, at, "is empty; list the values that may leave");
    if (at_get(rule, "fold", &m) && want_bool(l, &m, &e.fold))
        out->as.words.fold = e.fold;
    if (at_get(rule, "other", &m) &&
        want_text(l, &m, POLICY_WORD_MAX, &out->as.words.other))
        out->as.words.has_other = true;
    bool has_map = at_get(rule, "map", &map);
    if (has_map && !want_kind(l, &map, JSON_KIND_OBJECT,
                              "an object: value seen -> value that leaves"))
        return;
    if (has_map)
        mapped = json_size(map.v);
    if (mapped > POLICY_ENUM_MAX) {
        problem(l, &map, "has %zu entries; at most %u are allowed", mapped,
                POLICY_ENUM_MAX);
        return;
    }
    e.words = load_alloc(l, e.count + mapped + 1, sizeof(*e.words));
    if (e.words == NULL)
        return;
    if (has_map)
        read_map(l, &map, &e, out);
    unsigned from_map = e.used;
    for (unsigned i = 0; i < e.count; i++) {
        struct slice key = e.fold ? folded(l, e.list[i]) : e.list[i];
        if (has_word(e.words, from_map, key))
            continue; /* the map has taken it: it goes first */
        if (!word_add(l, at, e.words, &e.used, e.list[i], e.list[i], e.fold))
            return;
    }
    words_finish(out, e.words, e.used);
}

static bool is_extension(struct slice s)
{
    if (s.len == 0 || s.len > 10)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = lower(s.at[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return true;
}

void read_extension(struct load *l, const struct at *at, struct rule *out)
{
    struct slice *list;
    unsigned count, used = 0;

    out->kind = RULE_EXTENSION;
    if (!want_texts(l, at, false, POLICY_ENUM_MAX, POLICY_WORD_MAX, &list,
                    &count))
        return;
    if (count == 0)
        problem(l, at, "is empty; list the endings that may leave");
    struct rule_word *words = load_alloc(l, count + 1, sizeof(*words));
    if (words == NULL)
        return;
    for (unsigned i = 0; i < count; i++) {
        if (!is_extension(list[i])) {
            problem(l, at,
                    "\"%.*s\" is no ending; write 1 to 10 letters and "
                    "digits without the dot",
                    SLICE_ARG(slice_head(list[i], 32)));
            return;
        }
        struct slice low = folded(l, list[i]);
        if (!word_add(l, at, words, &used, list[i], low, true))
            return;
    }
    out->as.words.fold = true; /* .WAV is .wav */
    words_finish(out, words, used);
}

/* "/", "/a/:x": nothing that a client's own words could ride on. */
static bool is_template(struct slice s, bool literal)
{
    if (s.len == 0 || s.at[0] != '/')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (strchr("?#%;@\\ \"<>", c) != NULL)
            return false;
        if (c == ':' && (literal || s.at[i - 1] != '/' || i + 1 == s.len ||
                         s.at[i + 1] == '/'))
            return false;
    }
    return true;
}

void read_url(struct load *l, const struct at *at, struct rule *out)
{
    static const char *const keys[] = {"paths", "other", NULL};
    struct at m;
    struct slice *list = NULL;
    unsigned count = 0;

    out->kind = RULE_URL;
    if (!want_keys(l, at, keys))
        return;
    if (at_get(at, "other", &m) &&
        want_text(l, &m, POLICY_WORD_MAX, &out->as.url.other)) {
        out->as.url.has_other = true;
        if (!is_template(out->as.url.other, true))
            problem(l, &m, "is no path; write one such as \"/other\"");
    }
    if (!at_need(l, at, "paths", "a list such as [\"/\", \"/result/:x\"]",
                 &m) ||
        !want_texts(l, &m, false, POLICY_ENUM_MAX, POLICY_WORD_MAX, &list,
                    &count))
        return;
    if (count == 0)
        problem(l, &m, "is empty; list the paths that may leave");
    for (unsigned i = 0; i < count; i++)
        if (!is_template(list[i], false))
            problem(l, &m,
                    "\"%.*s\" is no path; begin with \"/\", use \":x\" for a "
                    "whole part, leave out ? # %% ; @ and spaces",
                    SLICE_ARG(slice_head(list[i], 64)));
    out->as.url.paths = list;
    out->as.url.count = count;
}

void read_time(struct load *l, const struct at *at, struct rule *out)
{
    static const char *const keys[] = {"round", NULL};
    struct at m;
    struct duration d;

    out->kind = RULE_TIME;
    out->as.time.round_ms = MS_PER_DAY;
    if (!want_keys(l, at, keys) ||
        !at_need(l, at, "round", "a duration such as \"PT1M\"", &m) ||
        !want_duration(l, &m, "PT1S", "P31D", &d))
        return;
    if (d.months != 0)
        problem(l, &m, "counts months; write days, hours, minutes or seconds");
    else
        out->as.time.round_ms = d.ms;
}
