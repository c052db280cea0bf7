#include "lethe/policy/base/clock.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_PER_DAY 86400

struct date {
    int64_t year;
    int month; /* 1-12 */
    int day;   /* 1-31 */
};

/* Days since 1970-01-01 of a proleptic Gregorian date (era of 400 years). */
static int64_t days_from_date(struct date d)
{
    int64_t y = d.month <= 2 ? d.year - 1 : d.year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t month = (d.month + 9) % 12;
    int64_t day_of_year = (153 * month + 2) / 5 + d.day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static struct date date_from_days(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct date d;

    d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    d.year = yoe + era * 400 + (d.month <= 2);
    return d;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && a < 0);
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

/* `v` as `count` digits and then `end`; printf costs more than an event may. */
static char *put_digits(char *at, int64_t v, int count, char end)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + v % 10);
        v /= 10;
    }
    at[count] = end;
    return at + count + 1;
}

size_t time_format(int64_t wall_ms, bool with_ms, char out[TIME_TEXT_MAX])
{
    int64_t days = floor_div(wall_ms, MS_PER_DAY);
    int64_t ms = wall_ms - days * MS_PER_DAY;
    struct date d = date_from_days(days);
    int64_t s = ms / 1000;
    char *at = out;

    at = put_digits(at, (d.year % 10000 + 10000) % 10000, 4, '-');
    at = put_digits(at, d.month, 2, '-');
    at = put_digits(at, d.day, 2, 'T');
    at = put_digits(at, s / 3600, 2, ':');
    at = put_digits(at, s / 60 % 60, 2, ':');
    at = put_digits(at, s % 60, 2, with_ms ? '.' : 'Z');
    if (with_ms)
        at = put_digits(at, ms % 1000, 3, 'Z');
    *at = '\0';
    return (size_t)(at - out);
}

void day_format(int64_t wall_ms, char out[DAY_TEXT_MAX])
{
    char full[TIME_TEXT_MAX];

    (void)time_format(wall_ms, false, full);
    memcpy(out, full, DAY_TEXT_MAX - 1);
    out[DAY_TEXT_MAX - 1] = '\0';
}

/* `count` digits at *s into *out, moving *s on. */
static bool take_digits(struct slice *s, size_t count, int *out)
{
    int v = 0;

    if (s->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (s->at[i] < '0' || s->at[i] > '9')
            return false;
        v = v * 10 + (s->at[i] - '0');
    }
    *s = slice_skip(*s, count);
    *out = v;
    return true;
}

static bool take_char(struct slice *s, char a, char b)
{
    if (s->len == 0 || (s->at[0] != a && s->at[0] != b))
        return false;
    *s = slice_skip(*s, 1);
    return true;
}

static bool take_fraction(struct slice *s, int *out_ms)
{
    int ms = 0, digits = 0;

    while (s->len > 0 && s->at[0] >= '0' && s->at[0] <= '9') {
        if (digits < 3)
            ms = ms * 10 + (s->at[0] - '0');
        digits++;
        *s = slice_skip(*s, 1);
    }
    if (digits == 0 || digits > 9)
        return false;
    for (; digits < 3; digits++)
        ms *= 10;
    *out_ms = ms;
    return true;
}

static bool take_offset(struct slice *s, int *out_minutes)
{
    int sign, h, m;

    if (take_char(s, 'Z', 'z')) {
        *out_minutes = 0;
        return true;
    }
    sign = s->len > 0 && s->at[0] == '-' ? -1 : 1;
    if (!take_char(s, '+', '-') || !take_digits(s, 2, &h) ||
        !take_char(s, ':', ':') || !take_digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    *out_minutes = sign * (h * 60 + m);
    return true;
}

enum status time_parse(struct slice s, int64_t *out_wall_ms)
{
    int year, month, day, h, m, sec, ms = 0, offset;

    if (!take_digits(&s, 4, &year) || !take_char(&s, '-', '-') ||
        !take_digits(&s, 2, &month) || !take_char(&s, '-', '-') ||
        !take_digits(&s, 2, &day) || year < 1970 || month < 1 || month > 12 ||
        day < 1 || day > days_in_month(year, month))
        return ST_SYNTAX;
    if (!(take_char(&s, 'T', 't') || take_char(&s, ' ', ' ')) ||
        !take_digits(&s, 2, &h) || !take_char(&s, ':', ':') ||
        !take_digits(&s, 2, &m) || !take_char(&s, ':', ':') ||
        !take_digits(&s, 2, &sec) || h > 23 || m > 59 || sec > 60)
        return ST_SYNTAX;
    if (take_char(&s, '.', '.') && !take_fraction(&s, &ms))
        return ST_SYNTAX;
    if (!take_offset(&s, &offset) || s.len != 0)
        return ST_SYNTAX;
    int64_t days = days_from_date((struct date){year, month, day});
    *out_wall_ms = days * MS_PER_DAY + h * MS_PER_H + m * MS_PER_MIN +
                   sec * MS_PER_S + ms - offset * MS_PER_MIN;
    return ST_OK;
}

/* One "<digits><unit>" part; *out_unit is the unit letter. */
static bool take_part(struct slice *s, int64_t *out_value, char *out_unit)
{
    int64_t v = 0;
    size_t digits = 0;

    while (digits < s->len && s->at[digits] >= '0' && s->at[digits] <= '9')
        v = digits < 6 ? v * 10 + (s->at[digits] - '0') : v, digits++;
    if (digits == 0 || digits > 5 || digits >= s->len)
        return false;
    *out_value = v;
    *out_unit = s->at[digits];
    *s = slice_skip(*s, digits + 1);
    return true;
}

/* Parts must come in the order of `units`, each at most once. */
static bool take_parts(struct slice *s, bool dates, struct duration *out,
                       bool *any)
{
    const char *units = dates ? "YMWD" : "HMS";

    while (s->len > 0 && s->at[0] != 'T') {
        int64_t v;
        char unit;
        if (!take_part(s, &v, &unit))
            return false;
        const char *at = strchr(units, unit);
        if (at == NULL || unit == '\0')
            return false;
        switch (unit) {
        case 'Y':
            out->months += (int32_t)v * 12;
            break;
        case 'M':
            if (dates)
                out->months += (int32_t)v;
            else
                out->ms += v * MS_PER_MIN;
            break;
        case 'W':
            out->ms += v * 7 * MS_PER_DAY;
            break;
        case 'D':
            out->ms += v * MS_PER_DAY;
            break;
        case 'H':
            out->ms += v * MS_PER_H;
            break;
        default:
            out->ms += v * MS_PER_S;
            break;
        }
        units = at + 1;
        *any = true;
        if (*units == '\0')
            break;
    }
    return true;
}

enum status duration_parse(struct slice s, struct duration *out)
{
    struct duration d = {0, 0};
    bool any = false, any_time = false;

    if (!take_char(&s, 'P', 'P') || !take_parts(&s, true, &d, &any))
        return ST_SYNTAX;
    if (take_char(&s, 'T', 'T')) {
        if (!take_parts(&s, false, &d, &any_time) || !any_time)
            return ST_SYNTAX;
    }
    if (s.len != 0 || !(any || any_time))
        return ST_SYNTAX;
    *out = d;
    return ST_OK;
}

static int64_t shift(int64_t wall_ms, int64_t months, int64_t ms)
{
    int64_t days = floor_div(wall_ms, MS_PER_DAY);
    int64_t rest = wall_ms - days * MS_PER_DAY;

    if (months != 0) {
        struct date d = date_from_days(days);
        int64_t index = d.year * 12 + (d.month - 1) + months;
        d.year = floor_div(index, 12);
        d.month = (int)(index - d.year * 12) + 1;
        int last = days_in_month(d.year, d.month);
        d.day = d.day > last ? last : d.day;
        days = days_from_date(d);
    }
    return days * MS_PER_DAY + rest + ms;
}

int64_t duration_after(int64_t wall_ms, struct duration d)
{
    return shift(wall_ms, d.months, d.ms);
}

int64_t duration_before(int64_t wall_ms, struct duration d)
{
    return shift(wall_ms, -(int64_t)d.months, -d.ms);
}

int64_t duration_rough_ms(struct duration d)
{
    return d.months * 30 * MS_PER_DAY + d.ms;
}

enum status size_parse(struct slice text, uint64_t *out_bytes)
{
    static const struct {
        struct slice unit;
        unsigned shift;
    } units[] = {{SLICE_INIT("KiB"), 10},
                 {SLICE_INIT("MiB"), 20},
                 {SLICE_INIT("GiB"), 30},
                 {SLICE_INIT("TiB"), 40},
                 {SLICE_INIT("B"), 0}};
    unsigned long long v;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!slice_ends(text, units[i].unit))
            continue;
        struct slice digits = slice_head(text, text.len - units[i].unit.len);
        if (!slice_to_u64(digits, &v))
            return ST_SYNTAX;
        if (v > (UINT64_C(1) << 62) >> units[i].shift)
            return ST_LIMIT;
        *out_bytes = v << units[i].shift;
        return ST_OK;
    }
    return ST_SYNTAX;
}
