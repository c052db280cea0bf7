/* number_rule.c - numbers, in decimal: a client's exact text and an officer's
 * "0.1" mean the same tenth here, which they do not in binary. */
#include "lethe/policy/rules.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef __int128 wide;

#define DIGITS_MAX   27  /* significant digits kept: 10^27 * 10^9 fits */
#define EXPONENT_MAX 500 /* beyond every double */
#define SCALE_MAX    18  /* 10^18 is the largest power that fits 63 bits */

/* m * 10^e. Digits that did not fit were cut towards minus infinity, so that
 * a tie and what lies just below it stay apart. */
struct decimal {
    wide m;
    int e;
};

static int64_t power10(int n)
{
    int64_t v = 1;

    assert(n >= 0 && n <= SCALE_MAX);
    while (n-- > 0)
        v *= 10;
    return v;
}

/* Quotient towards minus infinity; b > 0. */
static wide floor_div(wide a, wide b)
{
    wide q = a / b;

    return a % b < 0 ? q - 1 : q;
}

struct reader {
    const char *at, *end;
};

static bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool skip_char(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

struct digits {
    wide m;
    int kept; /* significant digits in m */
    int e;
    bool cut; /* a digit other than 0 was cut */
    bool fraction;
};

static void take_digit(struct digits *d, int digit)
{
    if (d->kept < DIGITS_MAX) {
        d->m = d->m * 10 + digit;
        d->kept += d->m != 0;
        d->e -= d->fraction;
        return;
    }
    d->cut |= digit != 0;
    d->e += !d->fraction;
}

static bool take_digits(struct reader *r, struct digits *d)
{
    if (!is_digit(r))
        return false;
    for (; is_digit(r); r->at++)
        take_digit(d, *r->at - '0');
    return true;
}

static bool take_exponent(struct reader *r, int *e)
{
    bool minus;
    int v = 0;

    if (!skip_char(r, 'e') && !skip_char(r, 'E'))
        return true;
    minus = skip_char(r, '-');
    if (!minus)
        (void)skip_char(r, '+');
    if (!is_digit(r))
        return false;
    for (; is_digit(r); r->at++) {
        if (v < EXPONENT_MAX)
            v = v * 10 + (*r->at - '0');
    }
    *e += minus ? -v : v;
    return true;
}

/* RFC 8259's number grammar and nothing else. */
static bool decimal_read(struct slice text, struct decimal *out)
{
    struct reader r = {text.at, text.at + text.len};
    struct digits d = {0};
    bool minus;

    if (text.len == 0 || text.len > JSON_NUMBER_MAX)
        return false;
    minus = skip_char(&r, '-');
    if (skip_char(&r, '0')) {
        if (is_digit(&r))
            return false;
    } else if (!take_digits(&r, &d)) {
        return false;
    }
    d.fraction = true;
    if (skip_char(&r, '.') && !take_digits(&r, &d))
        return false;
    if (!take_exponent(&r, &d.e) || r.at != r.end)
        return false;
    out->m = minus ? -d.m - d.cut : d.m;
    out->e = d.e;
    return true;
}

static double decimal_double(struct decimal v)
{
    long double x = (long double)v.m;
    int e = v.e;

    if (v.m == 0)
        return 0;
    for (; e >= SCALE_MAX; e -= SCALE_MAX)
        x *= (long double)power10(SCALE_MAX);
    for (; e <= -SCALE_MAX; e += SCALE_MAX)
        x /= (long double)power10(SCALE_MAX);
    x = e < 0 ? x / (long double)power10(-e) : x * (long double)power10(e);
    return (double)x;
}

/* An officer's bound as it was written: whole ones exactly, others to the 15
 * digits that a double always keeps. */
static struct decimal decimal_of(double v)
{
    char text[JSON_NUMBER_MAX];
    struct decimal out = {0, 0};
    int n;

    if (v > -9e18 && v < 9e18 && v == (double)(int64_t)v)
        return (struct decimal){(int64_t)v, 0};
    n = snprintf(text, sizeof text, "%.15g", v);
    assert(n > 0 && n < (int)sizeof text);
    (void)decimal_read((struct slice){text, (size_t)n}, &out);
    return out;
}

/* v / step to the nearest whole number, ties up; step = unit * 10^-scale.
 * False: too large to count. */
static bool nearest(struct decimal v, int64_t unit, int scale, wide *out)
{
    wide num = v.m;
    wide den = unit;
    int x = v.e + scale;

    if (num == 0)
        x = 0;
    for (; x < -SCALE_MAX; x++)
        num = floor_div(num, 10);
    if (x < 0)
        den *= power10(-x);
    for (; x > 0; x--) {
        wide limit = (wide)power10(SCALE_MAX) * power10(SCALE_MAX) / 10;

        if (num > limit || num < -limit)
            return false;
        num *= 10;
    }
    *out = floor_div(2 * num + den, 2 * den);
    return true;
}

/* v * 10^-scale as text. */
static size_t print_scaled(wide v, int scale, char out[NUMBER_TEXT_MAX])
{
    char reversed[NUMBER_TEXT_MAX];
    wide rest = v < 0 ? -v : v;
    size_t n = 0, len = 0;

    for (int i = 0; rest != 0 || i <= scale; i++) {
        if (i == scale && scale > 0)
            reversed[n++] = '.';
        /* Most numbers fit 64 bits, where dividing is many times faster. */
        if (rest <= INT64_MAX) {
            reversed[n++] = (char)('0' + (int)((int64_t)rest % 10));
            rest = (int64_t)rest / 10;
        } else {
            reversed[n++] = (char)('0' + (int)(rest % 10));
            rest /= 10;
        }
        assert(n + 2 < NUMBER_TEXT_MAX);
    }
    if (v < 0)
        out[len++] = '-';
    while (n > 0)
        out[len++] = reversed[--n];
    return len;
}

/* "1.500000" -> "1.5": only where the rule has no `round` to say how many. */
static size_t trim_zeros(const char *text, size_t len)
{
    while (text[len - 1] == '0')
        len--;
    return text[len - 1] == '.' ? len - 1 : len;
}

static enum fate send_rounded(const struct rule *r, struct decimal v,
                              struct slice was, struct arena *a,
                              struct clean_value *out)
{
    bool round = r->as.number.has_round;
    int scale = round ? r->as.number.decimals : NUMBER_FREE_DECIMALS;
    char text[NUMBER_TEXT_MAX];
    int64_t unit = 1;
    wide steps;
    size_t len;

    if (scale < 0 || scale > NUMBER_DECIMALS_MAX)
        return FATE_RULE;
    if (round) {
        double scaled = r->as.number.round * (double)power10(scale);

        if (!(scaled >= 0.5 && scaled < 9e18))
            return FATE_RULE;
        unit = (int64_t)(scaled + 0.5);
    }
    if (!nearest(v, unit, scale, &steps))
        return FATE_OUTSIDE;
    len = print_scaled(steps * unit, scale, text);
    if (!round)
        len = trim_zeros(text, len);
    out->type = CLEAN_NUMBER;
    out->text = arena_copy(a, (struct slice){text, len});
    if (out->text.at == NULL)
        return FATE_NOMEM;
    return slice_eq(out->text, was) ? FATE_SENT : FATE_CHANGED;
}

static enum fate send_bucket(const struct rule *r, double v,
                             struct clean_value *out)
{
    unsigned i = 0;

    while (i < r->as.number.bucket_count && v >= r->as.number.buckets[i])
        i++;
    out->type = CLEAN_STRING;
    out->text = r->as.number.bucket_texts[i];
    return FATE_CHANGED;
}

enum fate number_rule_apply(const struct rule *r, struct slice text,
                            struct arena *a, struct clean_value *out)
{
    struct decimal v;
    double value;

    if (!decimal_read(text, &v))
        return FATE_TYPE;
    value = decimal_double(v);
    if (r->as.number.has_min && value < r->as.number.min) {
        if (!r->as.number.clamp)
            return FATE_OUTSIDE;
        value = r->as.number.min;
        v = decimal_of(value);
    } else if (r->as.number.has_max && value > r->as.number.max) {
        if (!r->as.number.clamp)
            return FATE_OUTSIDE;
        value = r->as.number.max;
        v = decimal_of(value);
    }
    if (r->as.number.bucket_count > 0)
        return send_bucket(r, value, out);
    /* Without a step or both ends nothing bounds what a number can tell. */
    if (!r->as.number.has_round &&
        !(r->as.number.has_min && r->as.number.has_max))
        return FATE_RULE;
    return send_rounded(r, v, text, a, out);
}

enum status number_to_i64(struct slice text, int64_t *out)
{
    struct decimal v;
    double rough;
    wide m;

    if (!decimal_read(text, &v))
        return ST_SYNTAX;
    rough = decimal_double(v);
    if (!(rough > -9e18 && rough < 9e18))
        return ST_LIMIT;
    m = v.m;
    for (; v.e < 0 && m != 0; v.e++)
        m /= 10;
    for (; v.e > 0 && m != 0; v.e--)
        m *= 10;
    *out = (int64_t)m;
    return ST_OK;
}
