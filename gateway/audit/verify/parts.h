/* parts.h - what the verifier's own files share. */
#ifndef GATEWAY_AUDIT_VERIFY_PARTS_H
#define GATEWAY_AUDIT_VERIFY_PARTS_H

#include "lethe/gateway/audit/verify.h"

#include <glob.h>
#include <stddef.h>
#include <stdio.h>

#define HASH        32u
#define ROW         32u
#define TILE        256u
#define LINE_BYTES  8192u
#define ENTRIES_MAX 1024u /* of one by or ex; a line holds fewer */
#define BATCH_ROWS  65536u
#define NONE        VERIFY_NONE

struct text { /* borrowed bytes */
    const char *at;
    size_t len;
};

/* ---- hash.c: RFC 6962 and base64 ---- */
struct tree { /* one perfect subtree a bit of size */
    uint8_t peak[64][HASH];
    uint64_t size;
};
void v_hash_bytes(const void *data, size_t len, uint8_t out[HASH]);
void v_hash_leaf(const void *data, size_t len, uint8_t out[HASH]);
/* A perfect subtree of 2^level leaves; size must be a multiple of that. */
void v_tree_add(struct tree *t, unsigned level, const uint8_t hash[HASH]);
void v_tree_root(const struct tree *t, uint8_t out[HASH]);
/* Exactly `len` bytes (192 at most) in their one spelling. */
void v_base64_put(const uint8_t hash[HASH], char out[45]);
bool v_base64_take(struct text s, uint8_t *out, size_t len);

/* ---- read.c: fields in their fixed order ---- */
/* Move *s past what `form` says, or leave it and return false. ' stands for
 * ", and each of these takes a pointer: %u number (uint64_t), %t time in
 * quotes (int64_t), %s string in quotes, %n that or null (.at NULL), %l the
 * rest of a line, %w up to a blank, %v any value (struct text). */
bool v_take(struct text *s, const char *form, ...);
/* What stands behind the first `form` without %; empty: nothing does. */
struct text v_after(struct text s, const char *form);
bool v_is(struct text a, const char *b);
/* t_ms less an ISO 8601 duration, by the calendar. */
bool v_time_before(int64_t t_ms, struct text duration, int64_t *out);

/* ---- note.c: checkpoints and who signed them ---- */
struct checkpoint {                  /* borrows from its text */
    struct text body, origin, lines; /* lines: of signatures, may be empty */
    uint64_t size;
    uint8_t root[HASH];
};
bool v_checkpoint_read(struct text s, struct checkpoint *out);
struct judgement {
    bool valid; /* key and policy can be read */
    bool keyed; /* they name a log */
    bool signed_by_log, forged, quorum;
};
struct judgement v_note_judge(const struct checkpoint *c, const char *key,
                              const char *policy);

/* ---- record.c, rows.c, gaps.c, log.c ---- */
struct entry {
    uint64_t kind, count, seen; /* kind: act, rule and reason in one */
};
struct batch {
    uint64_t policy, n, here[4], cum[4]; /* in, fwd, mod, drop */
    struct text site, root, tag;
    int64_t t0, t1;
    size_t count[2];
    struct entry list[2][ENTRIES_MAX]; /* by, ex */
};
struct record {
    uint64_t i;
    int64_t t;
    struct text act, who, why, out, d;
};

/* What the log said before, and what is to be settled at its end. */
enum kind {
    SITE,
    POLICY,
    KEEP,
    TAG,
    TOTALS,
    HOLD,
    GAP,
    ROWS,
    ANCHOR,
    SEGMENT,
    KINDS
};
struct fact {
    char name[96];  /* site, policy's hash, tag, site and destination */
    uint64_t index; /* the record that says so; ANCHOR: its size; SEGMENT: its
                       first */
    uint64_t from, to;      /* records that are missing */
    int64_t t0, t1, cutoff; /* a span; of what is missing: as far as known */
    uint64_t total[6], cum[4];
    char keep[2][24]; /* rows, records */
    uint8_t root[HASH];
    bool met;
};
struct list {
    struct fact *at;
    size_t count;
};
#define LATEST ((struct text){"", 0}) /* of facts without names */
enum mode { MODE_ALL, MODE_DROPPED, MODE_NONE, MODE_UNKNOWN };

struct verify {
    const struct verify_wish *wish;
    struct verify_report *report;
    struct list lists[KINDS];
    struct fact spare; /* where memory ended */
    const char *cannot;
    uint64_t bad, position; /* of the line that is read */
    char what[320];
    FILE *rows;
    struct tree lines, tiles;       /* of what is read; of what tiles say */
    uint64_t differs, wrong, right; /* first record that is not its tile's;
                                       sizes at which roots were */
    bool tiles_right, unhashed;     /* a missing range has no tiles */
    uint8_t tile[TILE * HASH];
    uint64_t tile_at, tile_width;
    uint64_t signed_size;
    char origin[256]; /* of the checkpoint */
    int64_t last_t, idle_t1, covered_t, tail_t;
    bool keyed, witnessed;
    bool adopt_cum, adopt_time; /* behind a missing range */
    uint64_t cum[4], segment, covered, next_anchor;
    enum mode mode;
    struct batch batch;
    int64_t told;
};

/* A whole file below the folder, with a NUL behind it, or .at NULL. */
struct text v_load(struct verify *v, const char *form, ...);
void v_unload(struct text t);
/* Files below the folder; * and ? of the folder's own name are no pattern. */
bool v_list_files(struct verify *v, const char *pattern, glob_t *out);
void v_scan(struct verify *v);
/* Keep the fault of the lowest record; returns false. */
bool v_fault(struct verify *v, uint64_t index, const char *form, ...)
    __attribute__((format(printf, 3, 4)));
struct fact *v_fact_add(struct verify *v, enum kind kind, struct text name);
struct fact *v_fact_find(struct verify *v, enum kind kind, struct text name);
bool v_record_read(struct text line, struct record *out);
bool v_record_check(struct verify *v, const struct record *r);
/* The rows of v->batch, which is record `i`. */
bool v_rows_check(struct verify *v, uint64_t i);
/* An audit.prune record; and at the end: is it all missing by order? */
void v_prune_take(struct verify *v, const struct record *r);
void v_gaps_check(struct verify *v);

#endif
