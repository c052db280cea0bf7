/* record_read.c - a record's fields in their fixed order. */
#include "read_internal.h"

#include "lethe/policy/base/clock.h"

#define U53_MAX   ((UINT64_C(1) << 53) - 1)
#define DEPTH_MAX 8u

bool take_text(struct slice *s, struct slice text)
{
    if (!slice_starts(*s, text))
        return false;
    *s = slice_skip(*s, text.len);
    return true;
}

bool take_uint(struct slice *s, uint64_t *out)
{
    unsigned long long v;
    size_t n = 0;

    while (n < s->len && s->at[n] >= '0' && s->at[n] <= '9')
        n++;
    if ((n > 1 && s->at[0] == '0') || !slice_to_u64(slice_head(*s, n), &v) ||
        v > U53_MAX)
        return false;
    *out = v;
    *s = slice_skip(*s, n);
    return true;
}

/* Characters up to the closing quote, which is taken too. */
static bool take_quoted(struct slice *s, struct slice *out)
{
    size_t n = 0;

    for (; n < s->len && s->at[n] != '"'; n++)
        if (s->at[n] < 0x20 || s->at[n] > 0x7E || s->at[n] == '\\')
            return false;
    if (n == s->len)
        return false;
    *out = slice_head(*s, n);
    *s = slice_skip(*s, n + 1);
    return true;
}

bool take_string(struct slice *s, struct slice *out)
{
    return take_text(s, SLICE("\"")) && take_quoted(s, out);
}

/* A time in its one form: whatever else time_parse() takes is no record. */
static bool take_time(struct slice *s, int64_t *out)
{
    char again[TIME_TEXT_MAX];
    struct slice text;

    if (!take_string(s, &text) || time_parse(text, out) != ST_OK)
        return false;
    size_t n = time_format(*out, true, again);
    return slice_eq(text, (struct slice){again, n});
}

static bool pass_value(struct slice *s, unsigned depth);

static bool pass_items(struct slice *s, bool object, unsigned depth)
{
    struct slice end = object ? SLICE("}") : SLICE("]"), key;

    if (depth == 0)
        return false;
    if (take_text(s, end))
        return true;
    for (;;) {
        if (object && (!take_string(s, &key) || !take_text(s, SLICE(":"))))
            return false;
        if (!pass_value(s, depth - 1))
            return false;
        if (take_text(s, end))
            return true;
        if (!take_text(s, SLICE(",")))
            return false;
    }
}

static bool pass_value(struct slice *s, unsigned depth)
{
    struct slice text;
    uint64_t v;

    if (s->len == 0)
        return false;
    switch (s->at[0]) {
    case '{':
    case '[': {
        bool object = s->at[0] == '{';
        *s = slice_skip(*s, 1);
        return pass_items(s, object, depth);
    }
    case '"':
        return take_string(s, &text);
    case '-':
        *s = slice_skip(*s, 1);
        return take_uint(s, &v);
    default:
        return take_text(s, SLICE("null")) || take_text(s, SLICE("true")) ||
               take_text(s, SLICE("false")) || take_uint(s, &v);
    }
}

bool record_read(struct slice line, struct record_view *out)
{
    struct slice s = line, d;

    if (line.len > READ_LINE_MAX || !take_text(&s, SLICE("{\"v\":1,\"i\":")) ||
        !take_uint(&s, &out->i) || !take_text(&s, SLICE(",\"t\":")) ||
        !take_time(&s, &out->t_ms) || !take_text(&s, SLICE(",\"act\":\"")) ||
        !take_quoted(&s, &out->act) || !take_text(&s, SLICE(",\"who\":\"")) ||
        !take_quoted(&s, &out->who) || !take_text(&s, SLICE(",\"why\":\"")) ||
        !take_quoted(&s, &out->why) || !take_text(&s, SLICE(",\"out\":\"")) ||
        !take_quoted(&s, &out->out) || !take_text(&s, SLICE(",\"d\":")))
        return false;
    d = s;
    if (!take_text(&s, SLICE("{")) || !pass_items(&s, true, DEPTH_MAX))
        return false;
    out->d = slice_head(d, d.len - s.len);
    return slice_eq(s, SLICE("}")) && (slice_eq(out->out, SLICE("ok")) ||
                                       slice_eq(out->out, SLICE("denied")) ||
                                       slice_eq(out->out, SLICE("failed")));
}

static bool take_counts(struct slice *s, struct read_counts *out)
{
    return take_text(s, SLICE("\"in\":")) && take_uint(s, &out->in) &&
           take_text(s, SLICE(",\"fwd\":")) && take_uint(s, &out->fwd) &&
           take_text(s, SLICE(",\"mod\":")) && take_uint(s, &out->mod) &&
           take_text(s, SLICE(",\"drop\":")) && take_uint(s, &out->drop);
}

/* [[a,b,...,count],...] with `width` numbers each, the opening bracket past;
 * in rising order, each kind once. */
static bool take_entries(struct slice *s, unsigned width,
                         struct read_entry out[READ_TALLY], size_t *out_count)
{
    uint64_t last = 0;
    size_t n = 0;

    if (take_text(s, SLICE("]"))) {
        *out_count = 0;
        return true;
    }
    do {
        uint64_t v[4] = {0};
        if (n == READ_TALLY || !take_text(s, SLICE("[")))
            return false;
        for (unsigned k = 4 - width; k < 4; k++)
            if ((k > 4 - width && !take_text(s, SLICE(","))) ||
                !take_uint(s, &v[k]) || (k < 3 && v[k] > UINT16_MAX))
                return false;
        uint64_t kind = v[0] << 32 | v[1] << 16 | v[2];
        if (!take_text(s, SLICE("]")) || v[3] == 0 || (n > 0 && kind <= last))
            return false;
        last = kind;
        out[n++] = (struct read_entry){(uint32_t)v[0], (uint32_t)v[1],
                                       (uint32_t)v[2], v[3]};
    } while (take_text(s, SLICE(",")));
    *out_count = n;
    return take_text(s, SLICE("]"));
}

static bool take_null_or_string(struct slice *s, struct slice *out)
{
    *out = SLICE_NONE;
    return take_text(s, SLICE("null")) || take_string(s, out);
}

static bool take_span(struct slice *s, struct batch_view *b)
{
    b->has_policy = !take_text(s, SLICE("{\"pol\":null"));
    if (b->has_policy &&
        (!take_text(s, SLICE("{\"pol\":")) || !take_uint(s, &b->policy)))
        return false;
    b->site = SLICE_NONE;
    if (take_text(s, SLICE(",\"site\":\"")) && !take_quoted(s, &b->site))
        return false;
    return take_text(s, SLICE(",\"t0\":")) && take_time(s, &b->t0_ms) &&
           take_text(s, SLICE(",\"t1\":")) && take_time(s, &b->t1_ms);
}

static bool take_rest(struct slice *s, struct batch_view *b)
{
    uint64_t number;
    struct slice hash;

    b->ref_count = b->ex_count = 0;
    if (take_text(s, SLICE(",\"ref\":[")) &&
        !take_entries(s, 2, b->ref, &b->ref_count))
        return false;
    if (take_text(s, SLICE(",\"oo\":")) &&
        (!take_uint(s, &number) || !take_text(s, SLICE(",\"ooh\":")) ||
         !take_string(s, &hash) || hash.len != 44))
        return false;
    if (take_text(s, SLICE(",\"ex\":[")) &&
        !take_entries(s, 4, b->ex, &b->ex_count))
        return false;
    return slice_eq(*s, SLICE("}"));
}

bool batch_read(struct slice d, struct batch_view *b)
{
    struct slice s = d;

    return take_span(&s, b) && take_text(&s, SLICE(",")) &&
           take_counts(&s, &b->counts) && take_text(&s, SLICE(",\"by\":[")) &&
           take_entries(&s, 3, b->by, &b->by_count) &&
           take_text(&s, SLICE(",\"n\":")) && take_uint(&s, &b->n) &&
           take_text(&s, SLICE(",\"root\":")) &&
           take_null_or_string(&s, &b->root) &&
           take_text(&s, SLICE(",\"tag\":")) &&
           take_null_or_string(&s, &b->tag) &&
           take_text(&s, SLICE(",\"cum\":{")) && take_counts(&s, &b->cum) &&
           take_text(&s, SLICE("}")) && take_rest(&s, b);
}
