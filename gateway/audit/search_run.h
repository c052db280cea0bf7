/* search_run.h - one search at work: search.c walks, search_match.c judges. */
#ifndef GATEWAY_AUDIT_SEARCH_RUN_H
#define GATEWAY_AUDIT_SEARCH_RUN_H

#include "search_internal.h"

enum search_pass { PASS_COUNT, PASS_SHOW };

/* A row as four words of its own bytes: those that must be as asked. */
struct row_shape {
    uint64_t want[4], mask[4];
};

struct search {
    const struct audit_query *q;
    const struct audit_reader *to;
    enum search_pass pass;
    bool stopped, overflowed;
    struct audit_found found;
    struct buf text, kept;
    struct segments files;
    int64_t *begins;    /* t of each segment's first record */
    uint64_t last_size; /* of the newest segment, when the search began */
    struct batch_view *batch;
    struct window lines, row_bytes;
    struct search_index index; /* of the segment at `indexed_at` */
    bool indexed;
    size_t indexed_at;
    uint16_t site_number; /* of q->site in this index; 0 none */
    int record_act;       /* q->act; ACT_CODE_OTHER: no act of this build */
    int row_act;          /* q->act; 0: no row act */
    struct row_shape shape;
    struct known_policies policies;
};

/* search.c */
bool search_wants_text(const struct search *s);
/* One more result, its line in s->text if it is wanted. */
enum status search_hit(struct search *s, uint64_t index,
                       uint32_t row) MUST_CHECK;
/* Not behind q->after. */
bool search_passed(const struct search *s, uint64_t index, uint32_t row);
void search_gap(struct search *s, enum audit_gap_kind kind, uint64_t count,
                int64_t from_ms, int64_t to_ms);

/* search_match.c */
void search_prepare(struct search *s);
enum status search_record(struct search *s, const struct index_entry *e,
                          uint64_t index) MUST_CHECK;
enum status search_batch(struct search *s, const struct index_entry *e,
                         uint64_t index) MUST_CHECK;

#endif
