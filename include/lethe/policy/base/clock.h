/* clock.h - time as an argument. policy/ never asks the system; the gateway
 * hands in milliseconds, tests hand in a fake. Also the text forms of times,
 * durations and sizes that policy, config, log and encoders share. */
#ifndef LETHE_POLICY_BASE_CLOCK_H
#define LETHE_POLICY_BASE_CLOCK_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

#define MS_PER_S   INT64_C(1000)
#define MS_PER_MIN (60 * MS_PER_S)
#define MS_PER_H   (60 * MS_PER_MIN)
#define MS_PER_DAY (24 * MS_PER_H)

/* A source of time. `wall_ms` is UTC since 1970, may step; `mono_ms` never
 * goes back and has no fixed origin. */
struct clock {
    int64_t (*wall_ms)(void *ctx);
    int64_t (*mono_ms)(void *ctx);
    void *ctx;
};

/* A duration as written: months are calendar months, the rest is exact. */
struct duration {
    int32_t months;
    int64_t ms;
};

/* "2026-11-22T09:00:00Z", or with ".123Z" when `with_ms`. */
#define TIME_TEXT_MAX 32
size_t time_format(int64_t wall_ms, bool with_ms, char out[TIME_TEXT_MAX]);

/* RFC 3339 date-time ("T" or a space, "Z" or an offset, any number of
 * fraction digits up to 9), years 1970-9999. Errors: ST_SYNTAX. */
enum status time_parse(struct slice text, int64_t *out_wall_ms) MUST_CHECK;

/* "2026-11-22". */
#define DAY_TEXT_MAX 11
void day_format(int64_t wall_ms, char out[DAY_TEXT_MAX]);

/* ISO 8601 duration: P[nY][nM][nW][nD][T[nH][nM][nS]], whole numbers up to
 * 99999, at least one part. Errors: ST_SYNTAX. */
enum status duration_parse(struct slice text, struct duration *out) MUST_CHECK;

/* `wall_ms` plus `d`: months first (day cut to the month's end), then ms. */
int64_t duration_after(int64_t wall_ms, struct duration d);
int64_t duration_before(int64_t wall_ms, struct duration d);

/* For comparing and for bounds only: a month counts 30 days. */
int64_t duration_rough_ms(struct duration d);

/* "2MiB", "20GiB", "512KiB", "4096B": a whole number and its unit.
 * Errors: ST_SYNTAX; ST_LIMIT (over 2^62). */
enum status size_parse(struct slice text, uint64_t *out_bytes) MUST_CHECK;

#endif
