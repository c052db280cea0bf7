/* log_fields.h - what the writer finds in its own records and files again: at
 * start-up, and before it deletes some of them. Records are taken to be as
 * the writer wrote them; whoever doubts that runs `audit verify`. */
#ifndef GATEWAY_AUDIT_LOG_FIELDS_H
#define GATEWAY_AUDIT_LOG_FIELDS_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

#define NAME_BYTES 33u /* of a site's name, with its NUL */

struct audit_counts {
    uint64_t in, fwd, mod, drop;
};

/* What follows the first `key` in `s`; .at NULL: it is not there. Strings hold
 * no quotes, so a key with its quotes is found nowhere else. */
struct slice field_after(struct slice s, const char *key);
/* What `s` begins with; 0 where it is none. */
uint64_t field_number(struct slice s);
int64_t field_time(struct slice s);
struct slice field_text(struct slice s); /* up to the closing quote */
/* Of a batch's d, or of an object in it. */
void field_counts(struct slice s, struct audit_counts *out);
/* Rows of a batch's d that are counted in it: the events' and its ex. */
uint64_t field_rows(struct slice d);

/* Which ids the sites' labels stood for: the file `sites` (log_batch.c). */
struct audit_name {
    uint64_t index, number, gap;
    char label[NAME_BYTES];
};
struct audit_names {
    struct audit_name *list;
    size_t count;
    uint64_t good; /* bytes of whole lines */
};
/* Errors: ST_IO, ST_NOMEM. The caller frees .list, also on error. */
enum status names_read(const char *path, struct audit_names *out) MUST_CHECK;
/* The id that `label` stood for at record `index`. */
bool names_find(const struct audit_names *n, struct slice label, uint64_t index,
                uint64_t *out_number);

/* Numbers of the files `<12 digits><suffix>` in `folder`/`part`, rising. The
 * caller frees *out. Errors: ST_IO, ST_NOMEM. */
enum status log_files(const char *folder, const char *part, const char *suffix,
                      uint64_t **out, size_t *out_count) MUST_CHECK;

#endif
