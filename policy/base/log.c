#include "lethe/policy/base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 512
#define RATE_SLOTS     64

static const char *const area_names[LOG_AREA_COUNT] = {
    [LOG_HTTP] = "http",       [LOG_INTAKE] = "intake",
    [LOG_POLICY] = "policy",   [LOG_CONFIG] = "config",
    [LOG_KEYS] = "keys",       [LOG_OPTOUT] = "optout",
    [LOG_COMMIT] = "commit",   [LOG_SPOOL] = "spool",
    [LOG_FORWARD] = "forward", [LOG_SINK] = "sink",
    [LOG_AUDIT] = "audit",     [LOG_RETENTION] = "retention",
    [LOG_ADMIN] = "admin",     [LOG_SERVE] = "serve",
};
static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* The one log state of the process. */
static log_sink *the_sink;
static enum log_level the_level = LOG_LEVEL_INFO;
static int the_json;
static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;

struct rate {
    const char *text; /* literals have one address each */
    time_t second;
    unsigned lines;
    unsigned held; /* lines not printed */
};
static struct rate rates[RATE_SLOTS];

const char *log_area_name(enum log_area area)
{
    assert((unsigned)area < LOG_AREA_COUNT);
    return area_names[area];
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_set(log_sink *sink, enum log_level most_detailed, int as_json)
{
    pthread_mutex_lock(&the_lock);
    the_sink = sink;
    the_level = most_detailed;
    the_json = as_json;
    pthread_mutex_unlock(&the_lock);
}

/* Returns how many lines of this text were held back since the last one that
 * was printed, or -1 to hold this one back too. */
static int64_t rate_pass(const char *text)
{
    struct rate *r = &rates[((uintptr_t)text >> 3) % RATE_SLOTS];
    time_t now = time(NULL);

    if (r->text != text || r->second != now) {
        int64_t held = r->text == text ? r->held : 0;
        *r = (struct rate){.text = text, .second = now, .lines = 1};
        return held;
    }
    if (r->lines < LOG_BURST) {
        r->lines++;
        return 0;
    }
    r->held++;
    return -1;
}

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *l,
                                                           const char *format,
                                                           ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(l->text + l->len, sizeof(l->text) - l->len, format, args);
    va_end(args);
    if (n > 0) {
        l->len += (size_t)n;
        if (l->len >= sizeof(l->text))
            l->len = sizeof(l->text) - 1;
    }
}

static void line_value(struct line *l, const char *key, const char *name,
                       int64_t number)
{
    if (the_json && name != NULL)
        line_add(l, ",\"%s\":\"%s\"", key, name);
    else if (the_json)
        line_add(l, ",\"%s\":%" PRId64, key, number);
    else if (name != NULL)
        line_add(l, " %s=%s", key, name);
    else
        line_add(l, " %s=%" PRId64, key, number);
}

static void line_start(struct line *l, enum log_level level, enum log_area area,
                       const char *text)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    (void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    if (the_json)
        line_add(l,
                 "{\"t\":\"%s.%03ldZ\",\"level\":\"%s\",\"area\":\"%s\","
                 "\"msg\":\"%s\"",
                 stamp, now.tv_nsec / 1000000, level_names[level],
                 area_names[area], text);
    else
        line_add(l, "%s.%03ldZ %-5s %s: %s", stamp, now.tv_nsec / 1000000,
                 level_names[level], area_names[area], text);
}

void log_write(enum log_level level, enum log_area area, const char *text, ...)
{
    struct line l = {.len = 0};
    va_list values;

    pthread_mutex_lock(&the_lock);
    if (the_sink == NULL || level > the_level)
        goto out;
    int64_t held = rate_pass(text);
    if (held < 0)
        goto out;
    line_start(&l, level, area, text);
    va_start(values, text);
    for (;;) {
        struct log_value v = va_arg(values, struct log_value);
        if (v.key == NULL)
            break;
        line_value(&l, v.key, v.name, v.number);
    }
    va_end(values);
    if (held > 0)
        line_value(&l, "held_back", NULL, held);
    if (the_json)
        line_add(&l, "}");
    the_sink(level, l.text);
out:
    pthread_mutex_unlock(&the_lock);
}
