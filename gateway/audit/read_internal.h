/* read_internal.h - what search and proofs share. Nothing here is the
 * writer's: a mistake there must not hide itself here. */
#ifndef GATEWAY_AUDIT_READ_INTERNAL_H
#define GATEWAY_AUDIT_READ_INTERNAL_H

#include "lethe/gateway/audit/row.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdio.h>

#define READ_LINE_MAX 8192u
#define READ_PATH_MAX 4200u
#define READ_TALLY    1024u /* entries of one `by` or `ex`; a line has fewer */
#define READ_ROWS_MAX 65536u

/* A record's fields, borrowed from its line. */
struct record_view {
    uint64_t i;
    int64_t t_ms;
    struct slice act, who, why, out, d;
};

/* Fixed order, exact grammar. False: the line is no record. */
bool record_read(struct slice line, struct record_view *out);

struct read_counts {
    uint64_t in, fwd, mod, drop;
};

struct read_entry { /* of by (act 0), ex, ref (rule 0) */
    uint32_t act, rule, reason;
    uint64_t count;
};

struct batch_view {
    bool has_policy; /* false: "pol":null */
    uint64_t policy;
    struct slice site; /* .at NULL: a heartbeat */
    int64_t t0_ms, t1_ms;
    struct read_counts counts, cum;
    uint64_t n;
    struct slice root; /* base64; .at NULL: null */
    struct slice tag;
    struct read_entry by[READ_TALLY], ex[READ_TALLY], ref[READ_TALLY];
    size_t by_count, ex_count, ref_count;
};

/* The d of a batch record. Logs from before site, ref, oo, ooh and ex lack
 * those keys; where one stands, it stands in its place. */
bool batch_read(struct slice d, struct batch_view *out);

/* Small pieces, for delivery records too. */
bool take_text(struct slice *s, struct slice text);
bool take_uint(struct slice *s, uint64_t *out);
bool take_string(struct slice *s, struct slice *out);

/* Walk over the segments in order. */
struct segments {
    char folder[READ_PATH_MAX - 64];
    uint64_t *first; /* indexes, ascending */
    size_t count, at;
    FILE *lines, *rows; /* of the open segment; rows NULL: no such file */
    char *text;
    size_t text_size;
};

/* Errors: ST_IO, ST_NOMEM. */
enum status segments_open(const char *folder, struct segments *out) MUST_CHECK;
/* Open the next segment. Errors: ST_END, ST_IO. */
enum status segments_next(struct segments *s) MUST_CHECK;
/* The next line without its newline; *out_whole is false for a last line that
 * has none. Errors: ST_END, ST_IO. */
enum status segments_line(struct segments *s, struct slice *out,
                          bool *out_whole) MUST_CHECK;
void segments_close(struct segments *s);

#endif
