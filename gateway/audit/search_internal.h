/* search_internal.h - what the files of the search share. */
#ifndef GATEWAY_AUDIT_SEARCH_INTERNAL_H
#define GATEWAY_AUDIT_SEARCH_INTERNAL_H

#include "lethe/gateway/audit/search.h"
#include "read_internal.h"

#include <sys/stat.h>

#define NO_POLICY        UINT64_MAX
#define NAME_MAX_BYTES   32u
#define DESTINATIONS_MAX 16u /* bits of a row's set */
#define ACT_CODE_BATCH   0u
#define ACT_CODE_OTHER   255u /* an act that this build does not know */
#define INDEX_ENTRIES_MAX                                                      \
    (UINT64_C(1) << 21) /* a segment has 64 MiB, a record more than 64 bytes   \
                         */
#define INDEX_NAMES_MAX 16384u

/* What the index says of one record. In the file as it is in memory. */
struct index_entry {
    uint64_t line_at; /* in the segment */
    int64_t t_ms;
    /* The rest is zero but in batches. */
    int64_t t0_ms;
    uint64_t first_row; /* in the rows file, in rows */
    uint64_t policy;    /* index of a policy.load; NO_POLICY */
    uint64_t rules;     /* bit rule % 64: may be among its rows */
    uint64_t unwritten; /* decisions and exceptions without a row */
    uint32_t line_len;
    uint32_t rows;
    uint32_t reasons;   /* bit reason % 32 */
    uint16_t site, tag; /* number of a name; 0 none */
    uint8_t act;        /* enum audit_record_act, or ACT_CODE_OTHER */
    uint8_t row_acts;   /* bit act % 8 */
    uint8_t out;        /* enum audit_outcome */
    uint8_t spare[5];
};

struct index_name {
    char text[NAME_MAX_BYTES + 1];
};

struct search_index {
    struct index_entry *entries;
    size_t count, room;
    struct index_name *names; /* names[0] is number 1 */
    size_t name_count, name_room;
};

/* ---- search_index.c ------------------------------------------------------ */

/* From the first `size` bytes of the segment at `path`. `closed`: its last
 * line must be whole. Errors: ST_IO, ST_CORRUPT, ST_NOMEM, ST_UNKNOWN (no such
 * segment). */
enum status audit_index_build(const char *path, uint64_t first, uint64_t size,
                              bool closed, struct batch_view *scratch,
                              struct search_index *out) MUST_CHECK;
void audit_index_free(struct search_index *x);
/* 0 if the index has no such name; it is then in none of its records. */
uint16_t audit_index_name(const struct search_index *x, struct slice name);

/* ---- search_index_file.c ------------------------------------------------- */

/* Which segment an index is of. */
struct index_source {
    int fd;
    uint64_t first;
    struct stat about; /* of fd */
};

/* The index in `bytes`, if it is undamaged and of this segment. Takes over
 * nothing. Errors: ST_CORRUPT (make it anew), ST_NOMEM. */
enum status audit_index_parse(struct slice bytes, const struct index_source *of,
                              struct search_index *out) MUST_CHECK;
/* False: it could not be kept, which only costs time. */
bool audit_index_keep(const char *folder, const struct index_source *of,
                      const struct search_index *x);
/* Errors: ST_CORRUPT (none, damaged or of another segment), ST_NOMEM. */
enum status audit_index_load(const char *folder, const struct index_source *of,
                             struct search_index *out) MUST_CHECK;

/* ---- search_files.c ------------------------------------------------------ */

/* A file read a window at a time, in either direction. */
struct window {
    int fd; /* -1: no such file */
    uint64_t at;
    size_t len, room;
    uint8_t *data;
};
/* Errors: ST_UNKNOWN (no such file), ST_IO. */
enum status window_open(struct window *w, const char *path) MUST_CHECK;
/* `len` bytes at `at`, good until the next call; NULL: they cannot be read. */
const uint8_t *window_get(struct window *w, uint64_t at, size_t len,
                          bool backward);
void window_close(struct window *w); /* keeps the memory */
void window_free(struct window *w);

/* ---- search_policy.c ----------------------------------------------------- */

/* What a policy.load said: bit k of a row is names[k]. */
struct known_policy {
    uint64_t index;
    bool found;
    unsigned count;
    char names[DESTINATIONS_MAX][NAME_MAX_BYTES + 1];
};
struct known_policies {
    struct known_policy *list;
    size_t count, room;
};
/* *out is NULL where the log has no such policy.load any more. Errors: ST_IO,
 * ST_NOMEM. */
enum status policy_find(struct known_policies *known, const struct segments *in,
                        uint64_t index,
                        const struct known_policy **out) MUST_CHECK;
/* The bit of a destination; 0: it has no such. */
unsigned policy_bit(const struct known_policy *p, const char *name);

/* ---- search_print.c ------------------------------------------------------ */

struct slice record_heading(void);
struct slice row_heading(void);
void put_record(struct buf *b, enum audit_format format,
                const struct record_view *r, struct slice line);
struct row_place {
    uint64_t index; /* of its record */
    uint32_t row;   /* in its batch */
    int64_t t_ms;
    const char *site;
    const struct known_policy *policy; /* may be NULL */
};
/* `sub` stays out: whoever may look for a person has the identifier. */
void put_row(struct buf *b, enum audit_format format,
             const struct row_place *place, const struct audit_row *r);

#endif
