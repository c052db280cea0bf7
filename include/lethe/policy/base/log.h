/* log.h - what the operator reads. Fixed text, numbers and enum names only:
 * there is no way to print a run-time string, so no client text can get in.
 *
 *   log_warn(LOG_SPOOL, "spool is full", LOG_NUM("bytes", n));
 *   log_error(LOG_AUDIT, "cannot write", LOG_NAME("why", status_name(st)));
 *
 * The lowest layers return an error; intake, forward and serve log it. */
#ifndef LETHE_POLICY_BASE_LOG_H
#define LETHE_POLICY_BASE_LOG_H

#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR, /* somebody must act now */
    LOG_LEVEL_WARN,  /* somebody should look today */
    LOG_LEVEL_INFO,  /* what an operator wants to know happened */
    LOG_LEVEL_DEBUG  /* for developers; still without content */
};

enum log_area {
    LOG_HTTP,
    LOG_INTAKE,
    LOG_POLICY,
    LOG_CONFIG,
    LOG_KEYS,
    LOG_OPTOUT,
    LOG_COMMIT,
    LOG_SPOOL,
    LOG_FORWARD,
    LOG_SINK,
    LOG_AUDIT,
    LOG_RETENTION,
    LOG_ADMIN,
    LOG_SERVE,
    LOG_AREA_COUNT
};

struct log_value {
    const char *key;  /* literal; NULL ends the list */
    const char *name; /* an enum's name from a table of ours, or NULL */
    int64_t number;   /* when name is NULL */
};

#define LOG_NUM(k, n)          ((struct log_value){"" k, 0, (int64_t)(n)})
#define LOG_NAME(k, enum_name) ((struct log_value){"" k, (enum_name), 0})

#define LOG_END                ((struct log_value){0, 0, 0})
#define log_error(...)         log_write(LOG_LEVEL_ERROR, __VA_ARGS__, LOG_END)
#define log_warn(...)          log_write(LOG_LEVEL_WARN, __VA_ARGS__, LOG_END)
#define log_info(...)          log_write(LOG_LEVEL_INFO, __VA_ARGS__, LOG_END)
#define log_debug(...)         log_write(LOG_LEVEL_DEBUG, __VA_ARGS__, LOG_END)

/* Where lines go: set once by the gateway before threads start. `sink` gets
 * the finished line without its newline. NULL silences all. */
typedef void log_sink(enum log_level level, const char *line);
void log_set(log_sink *sink, enum log_level most_detailed, int as_json);

/* Format and hand to the sink. At most LOG_BURST lines a second a text; more
 * are counted, and the count is printed with the next line of that text.
 * Thread-safe. */
#define LOG_BURST 20
void log_write(enum log_level level, enum log_area area, const char *text,
               ... /* struct log_value, the last one LOG_END */);

const char *log_area_name(enum log_area area);
const char *log_level_name(enum log_level level);

#endif
