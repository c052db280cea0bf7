/* The synchronous sinks of one destination: a file a purpose, or a database.
 */
#include "lethe/gateway/forward_inner.h"

#include "lethe/policy/base/log.h"

#include <stdlib.h>
#include <string.h>

bool files_know(const struct destination *d, struct slice purpose)
{
    if (d->type != DESTINATION_JSONL || d->out.count <= 1)
        return true;
    for (unsigned i = 0; i < d->out.count; i++)
        if (slice_eq(purpose, slice_of(d->out.purposes[i])))
            return true;
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_place(const struct file_sinks *s,
                       const struct conf_destination *c)
{
    return s->path != NULL && same_text(s->path, c->path) &&
           same_text(s->group, c->group) && s->mode == c->mode;
}

static enum status list_purposes(const struct forward_destination *d,
                                 struct file_sinks *out)
{
    const struct destination_plan *plan = &d->policy->destinations[d->plan];

    for (unsigned i = 0; i < plan->purpose_count; i++) {
        const struct purpose_plan *p =
            &d->policy->purposes[plan->purpose_order[i]];
        if (p->name.len > POLICY_NAME_MAX)
            return ST_LIMIT;
        memcpy(out->purposes[i], p->name.at, p->name.len);
        out->purposes[i][p->name.len] = '\0';
        out->keep[i] = p->retention;
    }
    out->count = plan->purpose_count;
    return ST_OK;
}

static struct file_sink *take_file(struct file_sinks *former,
                                   const char *purpose)
{
    for (unsigned i = 0; i < former->count; i++)
        if (strcmp(former->purposes[i], purpose) == 0) {
            struct file_sink *s = former->files[i];
            former->files[i] = NULL;
            return s;
        }
    return NULL;
}

/* The mark's length is that of one file: a destination of several purposes
 * has none (jsonl.c). */
static enum status open_new(const struct forward_destination *d,
                            const struct mark *mark, struct file_sinks *former,
                            struct file_sinks *out)
{
    struct mark at = {0};
    enum status r = ST_OK;
    bool keep = same_place(former, d->conf);

    if (d->conf->type == DESTINATION_SQLITE)
        return keep ? ST_OK : sqlite_sink_open(d->conf, &out->db);
    if (former->path == NULL && out->count == 1)
        at = *mark;
    for (unsigned i = 0; r == ST_OK && i < out->count; i++) {
        bool has = false;
        for (unsigned k = 0; keep && k < former->count; k++)
            has = has || strcmp(former->purposes[k], out->purposes[i]) == 0;
        if (!has)
            r = jsonl_open(d->conf, out->purposes[i], &at, &out->files[i]);
    }
    return r;
}

/* Opens what the former list lacks; files_take() moves the rest over. */
enum status files_open(const struct forward_destination *d,
                       const struct mark *mark, struct file_sinks *former,
                       struct file_sinks *out)
{
    struct file_sinks s = {.mode = d->conf->mode};
    enum status r = ST_NOMEM;

    s.path = strdup(d->conf->path);
    if (d->conf->group != NULL)
        s.group = strdup(d->conf->group);
    if (s.path != NULL && (d->conf->group == NULL || s.group != NULL))
        r = list_purposes(d, &s);
    if (r == ST_OK)
        r = open_new(d, mark, former, &s);
    if (r != ST_OK) {
        files_close(&s);
        return r;
    }
    *out = s;
    return ST_OK;
}

/* On the destination's thread: `from` becomes the set in use. */
void files_take(struct file_sinks *from, struct file_sinks *to)
{
    bool keep = to->path != NULL && from->path != NULL &&
                same_text(to->path, from->path) &&
                same_text(to->group, from->group) && to->mode == from->mode;

    for (unsigned i = 0; keep && i < from->count; i++)
        if (from->files[i] == NULL)
            from->files[i] = take_file(to, from->purposes[i]);
    if (keep && from->db == NULL) {
        from->db = to->db;
        to->db = NULL;
    }
    files_close(to);
    *to = *from;
    memset(from, 0, sizeof(*from));
}

void files_close(struct file_sinks *s)
{
    for (unsigned i = 0; i < s->count; i++)
        jsonl_close(s->files[i]);
    sqlite_sink_close(s->db);
    free(s->path);
    free(s->group);
    memset(s, 0, sizeof(*s));
}

/* A position that this journal has not reached is of another state folder: it
 * is set back at once, lest it skip later. */
enum status files_position(const struct forward *f, const struct file_sinks *s,
                           const struct mark *mark, uint64_t *out_sequence,
                           uint32_t *out_fragment)
{
    const uint64_t key = mark->destination;
    uint64_t sequence = 0;
    uint32_t fragment = 0;
    enum status r = sqlite_sink_position(s->db, key, &sequence, &fragment);

    if (r == ST_OK && sequence > 0 &&
        sequence >= journal_next_sequence(f->parts.journal)) {
        log_warn(LOG_SINK, "a database's position is of another state");
        sequence = mark->sequence;
        fragment = mark->fragment;
        r = sqlite_sink_write(s->db, key, sequence, fragment, NULL, 0, 0);
    }
    if (r != ST_OK)
        return r;
    *out_sequence = sequence;
    *out_fragment = fragment;
    return ST_OK;
}

static enum status write_lines(struct destination *d, const struct batch *b,
                               const struct fragment *f)
{
    unsigned at = 0;
    uint64_t length = 0;
    uint32_t day = 0;

    for (unsigned i = 0; d->out.count > 1 && i < d->out.count; i++)
        if (slice_eq(f[0].group, slice_of(d->out.purposes[i])))
            at = i;
    if (d->out.files[at] == NULL)
        return ST_IO;
    enum status r = jsonl_write(d->out.files[at], f, b->count, forward_wall(d),
                                &length, &day);
    if (r == ST_OK && d->out.count == 1) {
        d->mark.file_length = length;
        d->mark.file_day = day;
        d->mark_moved = true;
    }
    return r;
}

/* Rows are out of the way when they are on disk already (send_all() waits for
 * them) or in the batch being written: a database has one at a time. */
static bool is_past(const struct item *i)
{
    return i->state != ITEM_READY;
}

/* Where nothing is left before: batches of a shuffled window take from
 * anywhere, and start skips all that lies before the position. */
static void position_after(const struct destination *d, uint64_t *out_sequence,
                           uint32_t *out_fragment)
{
    *out_sequence = d->db_sequence;
    *out_fragment = d->db_fragment;
    for (const struct block *k = d->first; k != NULL; k = k->next) {
        uint32_t n = k->passed;
        if (k->from_outage)
            continue;
        while (n < k->count && is_past(&k->items[n]))
            n++;
        *out_sequence = k->sequence;
        *out_fragment = k->first + n;
        if (n < k->count)
            return;
    }
}

enum status files_write(struct destination *d, const struct batch *b,
                        const struct fragment *f)
{
    uint64_t sequence;
    uint32_t fragment;

    if (d->type == DESTINATION_JSONL)
        return write_lines(d, b, f);
    position_after(d, &sequence, &fragment);
    enum status r = sqlite_sink_write(d->out.db, d->now.key, sequence, fragment,
                                      f, b->count, forward_wall(d));
    if (r == ST_OK) {
        d->db_sequence = sequence;
        d->db_fragment = fragment;
    }
    return r;
}
