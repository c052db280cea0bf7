/* subject.h - what a file or database destination holds of one person: found,
 * exported, erased (GDPR Art. 15, 17, 20; R46, R47). People are known by the
 * pseudonyms of the epoch in force alone, so only what was written since it
 * began is looked at. On the destination's own thread, like sink.h. */
#ifndef LETHE_GATEWAY_SINK_SUBJECT_H
#define LETHE_GATEWAY_SINK_SUBJECT_H

#include "lethe/gateway/sink/sink.h"

struct subject_names {
    const struct slice *names; /* pseudonyms, by subject_name_order() */
    unsigned count;
    bool in_fields; /* some field of an event leaves as a pseudonym, too */
    int64_t since_ms;
};

/* The order of the names, for qsort() and bsearch(): of struct slice, by their
 * bytes, the shorter first where one begins the other. */
int subject_name_order(const void *a, const void *b);

/* One event as it lies there, as a JSON object without a newline. */
typedef enum status subject_line_fn(void *ctx, struct slice line);

/* Call `each` (may be NULL) for every event of the person, oldest first, and,
 * with `erase`, remove them: from the table, from free pages (secure_delete)
 * and from the write-ahead log. *out_rows is set on errors too. *out_pending:
 * a reader still holds the log; its end cleans it (retention tries each
 * minute). Errors: what `each` returned, ST_BUSY, ST_IO, ST_FULL, ST_NOMEM. */
enum status sqlite_sink_subject(struct sqlite_sink *s,
                                const struct subject_names *names, bool erase,
                                subject_line_fn *each, void *ctx,
                                uint64_t *out_rows,
                                bool *out_pending) MUST_CHECK;

/* The same for the daily files of one purpose; `s` is the sink that writes
 * them. A file that loses lines is written anew beside itself and put in its
 * place, synced: a crash leaves the one or the other. Lines longer than
 * SUBJECT_LINE_MAX end it with ST_LIMIT. */
#define SUBJECT_LINE_MAX (1u << 20)
enum status jsonl_subject(struct file_sink *s,
                          const struct subject_names *names, bool erase,
                          subject_line_fn *each, void *ctx,
                          uint64_t *out_rows) MUST_CHECK;

/* How long the file of `day` is now; 0 if there is none. For the mark.
 * Errors: ST_IO. */
enum status jsonl_length(struct file_sink *s, uint32_t day,
                         uint64_t *out_length) MUST_CHECK;

#endif
