/* rules_apply.c - one value under one rule. A value of the wrong type is
 * dropped, whatever the rule's `other` says: `other` stands for a word that
 * was not listed, not for a thing that is no word. */
#include "lethe/policy/rules.h"

#include <assert.h>
#include <string.h>

/* Times in numbers are seconds below this, milliseconds above: 1e11 s is the
 * year 5138, 1e11 ms is 1973. */
#define SECONDS_BELOW INT64_C(100000000000)
#define TIME_MS_MAX   INT64_C(253402300799999) /* the year 9999's end */

static const char *const fate_names[FATE_COUNT] = {
    [FATE_SENT] = "sent",
    [FATE_CHANGED] = "changed",
    [FATE_RULE] = "dropped by rule",
    [FATE_TYPE] = "dropped: wrong type",
    [FATE_UNLISTED] = "dropped: not listed",
    [FATE_OUTSIDE] = "dropped: outside min and max",
    [FATE_PURPOSE] = "dropped: for another purpose",
    [FATE_NOMEM] = "out of memory",
};

const char *fate_name(enum fate f)
{
    assert((unsigned)f < FATE_COUNT);
    return fate_names[f];
}

int64_t time_floor(int64_t ms, int64_t round_ms)
{
    int64_t over = ms % round_ms;

    assert(round_ms > 0);
    return ms - (over < 0 ? over + round_ms : over);
}

static bool is_text(struct raw_value v, struct slice text)
{
    return v.type == JSON_STRING && slice_eq(v.text, text);
}

static enum fate apply_bool(struct raw_value v, struct clean_value *out)
{
    bool yes = v.type == JSON_TRUE || is_text(v, SLICE("true")) ||
               is_text(v, SLICE("1")) ||
               (v.type == JSON_NUMBER && slice_eq(v.text, SLICE("1")));
    bool no = v.type == JSON_FALSE || is_text(v, SLICE("false")) ||
              is_text(v, SLICE("0")) ||
              (v.type == JSON_NUMBER && slice_eq(v.text, SLICE("0")));

    if (!yes && !no)
        return FATE_TYPE;
    out->type = CLEAN_BOOL;
    out->truth = yes;
    return FATE_SENT;
}

static enum fate apply_number(const struct rule *r, struct raw_value v,
                              struct arena *a, struct clean_value *out)
{
    if (v.type != JSON_NUMBER && v.type != JSON_STRING)
        return FATE_TYPE;
    return number_rule_apply(r, v.text, a, out);
}

static int fold_char(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* The order that the policy's words are sorted in: bytes (in lower case where
 * the rule folds), then length. */
static int word_order(struct slice word, struct slice text, bool fold)
{
    size_t n = word.len < text.len ? word.len : text.len;

    for (size_t i = 0; i < n; i++) {
        int c = fold ? fold_char(text.at[i]) : (unsigned char)text.at[i];
        int d = (unsigned char)word.at[i] - c;

        if (d != 0)
            return d;
    }
    return (word.len > text.len) - (word.len < text.len);
}

/* `text` on the rule's list, or NULL. */
static const struct rule_word *find_word(const struct rule *r,
                                         struct slice text)
{
    unsigned low = 0, high = r->as.words.count;

    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        const struct rule_word *w = &r->as.words.words[mid];
        int order = word_order(w->text, text, r->as.words.fold);

        if (order == 0)
            return w;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static enum fate send_word(const struct rule *r, const struct rule_word *w,
                           struct slice was, struct clean_value *out)
{
    if (w == NULL && !r->as.words.has_other)
        return FATE_UNLISTED;
    out->type = CLEAN_STRING;
    out->text = w == NULL ? r->as.words.other : w->out;
    return slice_eq(out->text, was) ? FATE_SENT : FATE_CHANGED;
}

static enum fate apply_enum(const struct rule *r, struct raw_value v,
                            struct clean_value *out)
{
    struct slice text = slice_trim(v.text);

    if (v.type != JSON_STRING)
        return FATE_TYPE;
    return send_word(r, find_word(r, text), v.text, out);
}

/* What stands behind the last dot of a file name that has a stem. Paths of
 * any system end the name; nothing is decoded, so an encoded ending is simply
 * not listed. */
static struct slice ending(struct slice name)
{
    size_t at = name.len;

    while (at > 0 && name.at[at - 1] != '.' && name.at[at - 1] != '/' &&
           name.at[at - 1] != '\\')
        at--;
    if (at < 2 || name.at[at - 1] != '.' || name.at[at - 2] == '/' ||
        name.at[at - 2] == '\\')
        return SLICE_NONE;
    return slice_skip(name, at);
}

static enum fate apply_extension(const struct rule *r, struct raw_value v,
                                 struct clean_value *out)
{
    struct slice end = ending(slice_trim(v.text));
    const struct rule_word *w = NULL;

    if (v.type != JSON_STRING)
        return FATE_TYPE;
    if (end.len > 0)
        w = find_word(r, end);
    return send_word(r, w, v.text, out);
}

static enum fate apply_url(const struct rule *r, struct raw_value v,
                           struct clean_value *out)
{
    struct slice found;

    if (v.type != JSON_STRING)
        return FATE_TYPE;
    found = url_rule_match(r, v.text);
    if (found.at == NULL)
        return FATE_UNLISTED;
    out->type = CLEAN_STRING;
    out->text = found;
    return slice_eq(found, v.text) ? FATE_SENT : FATE_CHANGED;
}

static enum fate send_text(struct slice text, struct slice was, struct arena *a,
                           struct clean_value *out)
{
    out->type = CLEAN_STRING;
    out->text = arena_copy(a, text);
    if (out->text.at == NULL)
        return FATE_NOMEM;
    return slice_eq(text, was) ? FATE_SENT : FATE_CHANGED;
}

static enum fate apply_host(struct raw_value v, struct arena *a,
                            struct clean_value *out)
{
    char text[HOST_TEXT_MAX];
    size_t len;

    if (v.type != JSON_STRING)
        return FATE_TYPE;
    len = url_host(v.text, text);
    if (len == 0)
        return FATE_UNLISTED;
    return send_text((struct slice){text, len}, v.text, a, out);
}

static bool read_time(struct raw_value v, int64_t *out_ms)
{
    if (v.type == JSON_STRING)
        return time_parse(v.text, out_ms) == ST_OK;
    if (v.type != JSON_NUMBER || number_to_i64(v.text, out_ms) != ST_OK)
        return false;
    if (*out_ms < 0 || *out_ms > TIME_MS_MAX)
        return false;
    if (*out_ms < SECONDS_BELOW)
        *out_ms *= MS_PER_S;
    return true;
}

static enum fate apply_time(const struct rule *r, struct raw_value v,
                            struct arena *a, struct clean_value *out)
{
    char text[TIME_TEXT_MAX];
    int64_t ms;
    size_t len;

    if (!read_time(v, &ms))
        return FATE_TYPE;
    ms = time_floor(ms, r->as.time.round_ms);
    len = time_format(ms, ms % MS_PER_S != 0, text);
    return send_text((struct slice){text, len}, v.text, a, out);
}

static enum fate apply_class(struct raw_value v, struct arena *a,
                             struct clean_value *out)
{
    char text[AGENT_TEXT_MAX];

    if (v.type != JSON_STRING)
        return FATE_TYPE;
    size_t len = user_agent_class(v.text, text);
    return send_text((struct slice){text, len}, v.text, a, out);
}

static enum fate apply_constant(const struct rule *r, struct clean_value *out)
{
    out->type = CLEAN_STRING;
    out->text = r->as.constant;
    return FATE_CHANGED;
}

enum fate rule_apply(const struct rule *r, struct raw_value v, struct arena *a,
                     struct clean_value *out)
{
    *out = (struct clean_value){.name = r->out_name};
    switch (r->kind) {
    case RULE_BOOL:
        return apply_bool(v, out);
    case RULE_NUMBER:
        return apply_number(r, v, a, out);
    case RULE_ENUM:
        return apply_enum(r, v, out);
    case RULE_EXTENSION:
        return apply_extension(r, v, out);
    case RULE_URL:
        return apply_url(r, v, out);
    case RULE_HOST:
        return apply_host(v, a, out);
    case RULE_TIME:
        return apply_time(r, v, a, out);
    case RULE_CLASS:
        return apply_class(v, a, out);
    case RULE_CONSTANT:
        return apply_constant(r, out);
    case RULE_PLACE: /* made by the gateway from a table it does not have yet */
    case RULE_PSEUDONYM:
    case RULE_DROP:
    case RULE_KIND_COUNT:
        break;
    }
    return FATE_RULE;
}
