/* prune_plan.c - which files are old enough, and what keeps them. */
#include "prune_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES (AUDIT_RECORD_MAX + 2u)
/* Rows of a segment's first batches are of this long before its first record,
 * at most: a heartbeat, and a second batch behind it. */
#define BEFORE_MS (2 * MS_PER_MIN)

const char *prune_part(enum prune_layer layer)
{
    return layer == PRUNE_ROWS ? "rows" : "seg";
}

const char *prune_suffix(enum prune_layer layer)
{
    return layer == PRUNE_ROWS ? ".rows" : ".jsonl";
}

void prune_path(const char *folder, enum prune_layer layer, uint64_t first,
                const char *more, char out[PRUNE_PATH_MAX])
{
    (void)snprintf(out, PRUNE_PATH_MAX, "%s/%s/%012" PRIu64 "%s%s", folder,
                   prune_part(layer), first, prune_suffix(layer), more);
}

static int64_t line_time(struct slice line)
{
    return field_time(field_after(line, "\"t\":\""));
}

/* The last whole line of what was read from a file's end. */
static struct slice last_line(struct slice s)
{
    while (s.len > 0 && s.at[s.len - 1] != '\n')
        s.len--;
    s.len -= s.len > 0;
    for (size_t at = s.len; at > 0; at--)
        if (s.at[at - 1] == '\n')
            return slice_skip(s, at);
    return s;
}

enum status prune_span(const char *folder, uint64_t first, int64_t *out_from,
                       int64_t *out_to)
{
    char path[PRUNE_PATH_MAX];
    char head[LINE_BYTES], tail[2 * LINE_BYTES];

    prune_path(folder, PRUNE_RECORDS, first, "", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? ST_END : ST_IO;
    off_t size = lseek(fd, 0, SEEK_END);
    off_t at = size > (off_t)sizeof(tail) ? size - (off_t)sizeof(tail) : 0;
    ssize_t n = pread(fd, head, sizeof(head), 0);
    ssize_t m = pread(fd, tail, sizeof(tail), at);
    (void)close(fd);
    if (size < 0 || n < 0 || m < 0)
        return ST_IO;
    struct slice line = {head, (size_t)n};
    size_t end = slice_find(line, '\n');
    if (end == line.len)
        return ST_END;
    *out_from = line_time(slice_head(line, end));
    *out_to = line_time(last_line((struct slice){tail, (size_t)m}));
    return ST_OK;
}

bool prune_is_held(const struct audit_orders *o, uint64_t signed_size,
                   int64_t from_ms, int64_t to_ms)
{
    return orders_held(o, signed_size, from_ms - BEFORE_MS, to_ms);
}

struct planning {
    const char *folder;
    const struct audit_orders *orders;
    uint64_t signed_size;
    uint64_t limit; /* of records: the rows that are ordered to go */
    uint64_t floor;
    enum prune_layer layer;
};

/* May the segment `first` .. `end` go? What keeps it is in the plan. */
static enum status look_at(const struct planning *p, uint64_t first,
                           uint64_t end, struct prune_plan *plan,
                           bool *out_goes)
{
    int64_t from, to;
    enum status st = prune_span(p->folder, first, &from, &to);

    *out_goes = false;
    if (st != ST_OK)
        return st;
    if (to >= plan->cutoff_ms)
        return ST_OK;
    plan->due_ms = plan->due_ms == 0 ? to : plan->due_ms;
    if (prune_is_held(p->orders, p->signed_size, from, to)) {
        plan->held = true;
        return ST_OK;
    }
    if (end > p->floor) {
        plan->by_policy = true;
        return ST_OK;
    }
    *out_goes = end <= p->limit;
    return ST_OK;
}

static enum status walk(const struct planning *p, const uint64_t *list,
                        size_t count, struct prune_plan *plan)
{
    int64_t last;
    bool goes = true;
    enum status st = ST_OK;

    plan->to = plan->from;
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        if (list[i] < plan->from)
            continue;
        if (plan->oldest_ms == 0)
            st = prune_span(p->folder, list[i], &plan->oldest_ms, &last);
        /* The last segment grows still. */
        if (st != ST_OK || !goes || i + 1 == count || plan->keep[0] == '\0')
            break;
        st = look_at(p, list[i], list[i + 1], plan, &goes);
        if (st == ST_OK && goes) {
            plan->to = list[i + 1];
            plan->files++;
        }
    }
    return st == ST_END ? ST_OK : st;
}

enum status prune_make_plan(const char *folder, const struct audit_orders *o,
                            uint64_t signed_size, int64_t now_ms,
                            enum prune_layer layer, struct prune_plan *out)
{
    const struct audit_order *before = &o->newest[layer];
    struct prune_plan plan = {.from = before->to};
    struct planning p = {.folder = folder,
                         .orders = o,
                         .signed_size = signed_size,
                         .limit = UINT64_MAX,
                         .floor = UINT64_MAX,
                         .layer = layer};
    const struct audit_keep *keep =
        orders_cutoff(o, layer, now_ms, &plan.cutoff_ms);
    uint64_t *list = NULL;
    size_t count = 0;

    if (keep != NULL) {
        memcpy(plan.keep, keep->text[layer], sizeof(plan.keep));
        plan.policy = keep->index;
    }
    if (layer == PRUNE_RECORDS) { /* no rows without their records */
        p.limit = o->newest[PRUNE_ROWS].to;
        p.floor = orders_floor(o, signed_size);
    }
    enum status st = log_files(folder, "seg", ".jsonl", &list, &count);
    if (st == ST_OK)
        st = walk(&p, list, count, &plan);
    free(list);
    if (st == ST_OK)
        *out = plan;
    return st;
}
