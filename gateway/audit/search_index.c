/* search_index.c - what a search needs to know of each record of a segment,
 * so that it reads few lines and only rows that may match.
 *
 * Of the rows themselves it only holds what their batch record counts; the
 * answer is always read from the log. */
#include "search_internal.h"

#include "lethe/gateway/audit/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct building {
    struct search_index x;
    struct batch_view *batch;
    uint64_t next_row;
    uint16_t last_site, last_tag; /* most names come again at once */
};

void audit_index_free(struct search_index *x)
{
    free(x->entries);
    free(x->names);
    *x = (struct search_index){.count = 0};
}

static bool is_name(const struct search_index *x, uint16_t number,
                    struct slice name)
{
    return number > 0 && slice_eq(slice_of(x->names[number - 1].text), name);
}

uint16_t audit_index_name(const struct search_index *x, struct slice name)
{
    for (size_t i = 0; i < x->name_count; i++)
        if (is_name(x, (uint16_t)(i + 1), name))
            return (uint16_t)(i + 1);
    return 0;
}

static enum status name_number(struct search_index *x, struct slice name,
                               uint16_t *inout_last)
{
    if (name.at == NULL || is_name(x, *inout_last, name))
        return ST_OK;
    uint16_t number = audit_index_name(x, name);
    if (number == 0) {
        if (name.len > NAME_MAX_BYTES || x->name_count == INDEX_NAMES_MAX)
            return ST_CORRUPT;
        if (x->name_count == x->name_room) {
            size_t room = x->name_room == 0 ? 16 : 2 * x->name_room;
            struct index_name *more =
                reallocarray(x->names, room, sizeof(*more));
            if (more == NULL)
                return ST_NOMEM;
            x->names = more;
            x->name_room = room;
        }
        struct index_name *n = &x->names[x->name_count++];
        *n = (struct index_name){{0}};
        memcpy(n->text, name.at, name.len);
        number = (uint16_t)x->name_count;
    }
    *inout_last = number;
    return ST_OK;
}

static struct index_entry *new_entry(struct search_index *x)
{
    if (x->count == x->room) {
        size_t room = x->room == 0 ? 1024 : 2 * x->room;
        struct index_entry *more =
            reallocarray(x->entries, room, sizeof(*more));
        if (more == NULL)
            return NULL;
        x->entries = more;
        x->room = room;
    }
    struct index_entry *e = &x->entries[x->count++];
    *e = (struct index_entry){.act = ACT_CODE_OTHER, .policy = NO_POLICY};
    return e;
}

static uint64_t note_kinds(struct index_entry *e, const struct read_entry *list,
                           size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        e->rules |= UINT64_C(1) << (list[i].rule % 64);
        e->reasons |= UINT32_C(1) << (list[i].reason % 32);
        if (list[i].act != 0)
            e->row_acts |= (uint8_t)(1u << (list[i].act % 8));
        sum += list[i].count;
    }
    return sum;
}

static enum status note_batch(struct building *b, struct index_entry *e,
                              struct slice d)
{
    struct batch_view *v = b->batch;
    enum status st;

    if (!batch_read(d, v) || v->n > READ_ROWS_MAX)
        return ST_CORRUPT;
    st = name_number(&b->x, v->site, &b->last_site);
    if (st == ST_OK)
        st = name_number(&b->x, v->tag, &b->last_tag);
    if (st != ST_OK)
        return st;
    e->t0_ms = v->t0_ms;
    e->first_row = b->next_row;
    e->policy = v->has_policy ? v->policy : NO_POLICY;
    e->rows = (uint32_t)v->n;
    e->site = v->site.at == NULL ? 0 : b->last_site;
    e->tag = v->tag.at == NULL ? 0 : b->last_tag;
    uint64_t decided =
        note_kinds(e, v->by, v->by_count) + note_kinds(e, v->ex, v->ex_count);
    e->unwritten = decided > v->n ? decided - v->n : 0;
    e->row_acts |=
        (uint8_t)((v->counts.fwd > 0) << 1 | (v->counts.mod > 0) << 2 |
                  (v->counts.drop > 0) << 3);
    b->next_row += v->n;
    return ST_OK;
}

static enum status note_line(struct building *b, uint64_t index,
                             uint64_t line_at, struct slice line)
{
    static const char *const outs[] = {"ok", "denied", "failed"};
    struct record_view r;

    if (!record_read(line, &r) || r.i != index ||
        b->x.count == INDEX_ENTRIES_MAX)
        return ST_CORRUPT;
    struct index_entry *e = new_entry(&b->x);
    if (e == NULL)
        return ST_NOMEM;
    e->line_at = line_at;
    e->line_len = (uint32_t)line.len;
    e->t_ms = r.t_ms;
    for (unsigned i = 0; i < RECORD_ACT_COUNT; i++)
        if (slice_eq(r.act,
                     slice_of(audit_record_act_name((enum audit_record_act)i))))
            e->act = (uint8_t)i;
    for (unsigned i = 0; i < sizeof(outs) / sizeof(outs[0]); i++)
        if (slice_eq(r.out, slice_of(outs[i])))
            e->out = (uint8_t)i;
    return e->act == ACT_CODE_BATCH ? note_batch(b, e, r.d) : ST_OK;
}

static enum status note_file(struct building *b, FILE *in, uint64_t first,
                             uint64_t size, bool closed)
{
    size_t room = 0;
    uint64_t at = 0;
    char *text = NULL;
    enum status st = ST_OK;

    while (st == ST_OK && at < size) {
        ssize_t n = getline(&text, &room, in);
        if (n <= 0) {
            st = ferror(in) ? ST_IO : closed ? ST_CORRUPT : ST_END;
            break;
        }
        /* The last line of a segment that grows may be in the writing. */
        if (text[n - 1] != '\n' || at + (uint64_t)n > size) {
            st = closed ? ST_CORRUPT : ST_END;
            break;
        }
        st = note_line(b, first + b->x.count, at,
                       (struct slice){text, (size_t)n - 1});
        at += (uint64_t)n;
    }
    free(text);
    return st == ST_END ? ST_OK : st;
}

enum status audit_index_build(const char *path, uint64_t first, uint64_t size,
                              bool closed, struct batch_view *scratch,
                              struct search_index *out)
{
    struct building b = {.batch = scratch};
    FILE *in = fopen(path, "re");

    if (in == NULL)
        return errno == ENOENT ? ST_UNKNOWN : ST_IO;
    enum status st = note_file(&b, in, first, size, closed);
    (void)fclose(in);
    if (st == ST_OK)
        *out = b.x;
    else
        audit_index_free(&b.x);
    return st;
}
