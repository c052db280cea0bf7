#include "lethe/gateway/audit/leaves.h"

#include "read_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK_EVERY 256u

struct leaves {
    char folder[READ_PATH_MAX];
    /* The segment that is open: records [first, next), NULL none. */
    FILE *file;
    uint64_t first, next;
    uint64_t at;  /* the record that comes next in `file` */
    off_t *marks; /* where record first + k * MARK_EVERY begins */
    size_t mark_count, mark_room;
    char *text;
    size_t text_size;
};

enum status leaves_open(const char *folder, struct leaves **out)
{
    struct leaves *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return ST_NOMEM;
    int n = snprintf(l->folder, sizeof(l->folder), "%s", folder);
    if (n < 0 || (size_t)n >= sizeof(((struct segments *)NULL)->folder)) {
        free(l);
        return ST_LIMIT;
    }
    *out = l;
    return ST_OK;
}

void leaves_rest(struct leaves *l)
{
    if (l->file != NULL)
        (void)fclose(l->file);
    l->file = NULL;
    l->mark_count = 0;
}

void leaves_close(struct leaves *l)
{
    if (l == NULL)
        return;
    leaves_rest(l);
    free(l->marks);
    free(l->text);
    free(l);
}

/* ---- finding the place --------------------------------------------------- */

static enum status open_segment(struct leaves *l, uint64_t first, uint64_t next)
{
    char path[READ_PATH_MAX + 32];

    leaves_rest(l);
    (void)snprintf(path, sizeof(path), "%s/seg/%012" PRIu64 ".jsonl", l->folder,
                   first);
    l->file = fopen(path, "re");
    if (l->file == NULL)
        return errno == ENOENT ? ST_END : ST_IO;
    l->first = l->at = first;
    l->next = next;
    return ST_OK;
}

/* Open the segment that holds `index`, or would. The newest one's end is not
 * known: its `next` is UINT64_MAX, and it is looked for again each time that
 * its lines end. */
static enum status find_segment(struct leaves *l, uint64_t index)
{
    struct segments list;
    size_t k;

    enum status st = segments_open(l->folder, &list);
    if (st != ST_OK)
        return st;
    for (k = list.count; k > 0 && list.first[k - 1] > index;)
        k--;
    if (k == 0)
        st = ST_END; /* pruned, or nothing was ever written */
    else
        st = open_segment(l, list.first[k - 1],
                          k < list.count ? list.first[k] : UINT64_MAX);
    segments_close(&list);
    return st;
}

static enum status add_mark(struct leaves *l, off_t where)
{
    if (l->mark_count == l->mark_room) {
        size_t room = l->mark_room == 0 ? 256 : 2 * l->mark_room;
        off_t *more = reallocarray(l->marks, room, sizeof(*more));
        if (more == NULL)
            return ST_NOMEM;
        l->marks = more;
        l->mark_room = room;
    }
    l->marks[l->mark_count++] = where;
    return ST_OK;
}

/* The line of record l->at. ST_END: there is none (yet); the file then has to
 * be positioned anew. */
static enum status next_line(struct leaves *l, struct slice *out)
{
    if ((l->at - l->first) % MARK_EVERY == 0 &&
        (l->at - l->first) / MARK_EVERY == l->mark_count) {
        enum status st = add_mark(l, ftello(l->file));
        if (st != ST_OK)
            return st;
    }
    ssize_t n = getline(&l->text, &l->text_size, l->file);
    if (n <= 0)
        return ferror(l->file) ? ST_IO : ST_END;
    if (l->text[n - 1] != '\n')
        return ST_END;
    if (n - 1 > (ssize_t)LEAF_BYTES_MAX)
        return ST_CORRUPT;
    l->at++;
    *out = (struct slice){l->text, (size_t)n - 1};
    return ST_OK;
}

/* Go to `index` within the open segment. */
static enum status seek(struct leaves *l, uint64_t index)
{
    struct slice line;
    enum status st = ST_OK;

    if (index < l->at || index - l->at >= MARK_EVERY) {
        uint64_t mark = (index - l->first) / MARK_EVERY;
        if (l->mark_count > 0 && mark >= l->mark_count)
            mark = l->mark_count - 1;
        if (mark >= l->mark_count)
            mark = 0;
        l->at = l->first + mark * MARK_EVERY;
        st = fseeko(l->file, l->mark_count > 0 ? l->marks[mark] : 0,
                    SEEK_SET) == 0
                 ? ST_OK
                 : ST_IO;
    }
    while (st == ST_OK && l->at < index)
        st = next_line(l, &line);
    return st;
}

/* ---- reading --------------------------------------------------------------
 */

static enum status read_one(struct leaves *l, uint64_t index, struct slice *out)
{
    enum status st = ST_OK;

    if (l->file == NULL || index < l->first || index >= l->next)
        st = find_segment(l, index);
    if (st == ST_OK)
        st = seek(l, index);
    if (st == ST_OK)
        st = next_line(l, out);
    return st;
}

enum status leaves_each(struct leaves *l, uint64_t from, uint64_t count,
                        leaf_fn *take, void *ctx)
{
    struct slice line;
    enum status st = ST_OK;

    for (uint64_t i = 0; i < count && st == ST_OK; i++) {
        st = read_one(l, from + i, &line);
        /* What was the newest segment may have got a successor, or been
         * pruned; its file is where nothing can be read on. */
        if (st == ST_END || st == ST_IO) {
            leaves_rest(l);
            if (st == ST_END)
                st = read_one(l, from + i, &line);
        }
        if (st != ST_OK)
            leaves_rest(l);
        if (st == ST_OK)
            st = take(ctx, line);
    }
    return st;
}
