/* search.h - reading the audit log: `audit search` and `audit export`.
 *
 * Each closed segment gets an index in audit/idx/, made by the first search
 * that needs it. It is derived and may be deleted at any time; one that is
 * not of exactly this segment, or damaged, is made anew (docs/audit.md). */
#ifndef LETHE_GATEWAY_AUDIT_SEARCH_H
#define LETHE_GATEWAY_AUDIT_SEARCH_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum audit_format { AUDIT_JSONL, AUDIT_CSV, AUDIT_TEXT };

/* How a person is called in the rows of one day key. */
#define AUDIT_TAG_MAX      24u
#define AUDIT_PERSON_IDS   8u
#define AUDIT_DAY_KEYS_MAX 64u
struct audit_mark {
    char tag[AUDIT_TAG_MAX];
    uint64_t sub;
};

struct audit_query {
    int64_t from_ms, to_ms;  /* from then on, before then; 0 = open end */
    const char *act;         /* record act or row act name; NULL = any */
    const char *who;         /* records; NULL = any */
    const char *outcome;     /* records: ok, denied or failed; NULL = any */
    int rule, reason;        /* of decisions; -1 = any */
    uint64_t ev;             /* receipt; 0 = any */
    const char *site;        /* label; NULL = any */
    const char *destination; /* name; NULL = any. Decisions: those that are of
                                it, by the policy.load in force then. Records:
                                those whose d names it. */
    bool person;             /* decisions with one of these marks */
    const struct audit_mark *marks;
    unsigned mark_count; /* at most AUDIT_PERSON_IDS of one tag */

    bool rows;         /* search decisions, else records */
    bool newest_first; /* else as they were written */
    bool has_after;    /* go on behind this record, or row of a record, */
    uint64_t after;    /* in the order asked for */
    uint32_t after_row;
    uint64_t limit;  /* results; 0 = no limit */
    bool count_only; /* no line is made */
    bool no_index;   /* read the segments themselves */
    enum audit_format format;
};

/* What was asked for and is not in the answer. */
enum audit_gap_kind {
    AUDIT_GAP_RECORDS,   /* records are not there: pruned, or removed */
    AUDIT_GAP_ROWS,      /* the records are there, their rows are not */
    AUDIT_GAP_UNWRITTEN, /* decided without a row (audit.rows) */
    AUDIT_GAP_IDENTITY,  /* under a day key that is gone (R43) */
    AUDIT_GAP_POLICY,    /* the policy in force is not there to name its
                            destinations */
    AUDIT_GAP_KINDS
};
struct audit_gap {
    uint64_t count;         /* 0: no gap of this kind. Records; else rows */
    int64_t from_ms, to_ms; /* from_ms 0: since the log's beginning */
};

struct audit_found {
    uint64_t count;
    bool stopped; /* by the limit: more may follow behind `last` */
    uint64_t last;
    uint32_t last_row;
    struct audit_gap gaps[AUDIT_GAP_KINDS];
};

/* Nothing is handed to line() before record() said that the reading is
 * written down; NULL: it was, before the search. Either may end the search by
 * returning false. */
struct audit_reader {
    bool (*record)(void *ctx, const struct audit_found *found);
    bool (*line)(void *ctx, struct slice line);
    void *ctx;
};

/* Both passes see the log as it was at the call. *out is set where the status
 * is ST_OK. CSV has its heading also without results. Errors: ST_IO,
 * ST_CORRUPT (a record cannot be read: `audit verify` names it), ST_NOMEM,
 * ST_DENIED (record() returned false). */
enum status audit_search(const char *folder, const struct audit_query *q,
                         const struct audit_reader *to,
                         struct audit_found *out) MUST_CHECK;

/* Delete the index of the segment that begins at `first`, with its segment;
 * none there is none to delete. Errors: ST_IO. */
enum status audit_index_remove(const char *folder, uint64_t first) MUST_CHECK;

#endif
