/* What a file or database destination holds of one person, asked on its own
 * thread: between two batches, so that nothing is being written meanwhile. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/gateway/sink/subject.h"

struct subject_call {
    const struct subject_wish *wish;
    struct subject_result *result;
};

/* The mark must not point behind the end of a file that became shorter: what
 * is written next would be taken for written already, after a crash. */
static enum status follow_length(struct destination *d)
{
    uint64_t length = 0;

    if (d->out.count != 1 || d->mark.file_day == 0 || d->out.files[0] == NULL)
        return ST_OK;
    enum status r = jsonl_length(d->out.files[0], d->mark.file_day, &length);
    if (r == ST_OK && length != d->mark.file_length) {
        d->mark.file_length = length;
        d->mark_moved = true;
    }
    return r;
}

static enum status ask_files(struct destination *d,
                             const struct subject_call *c)
{
    enum status r = ST_OK;

    for (unsigned i = 0; r == ST_OK && i < d->out.count; i++) {
        uint64_t rows = 0;
        if (d->out.files[i] == NULL)
            continue;
        r = jsonl_subject(d->out.files[i], &c->wish->names, c->wish->erase,
                          c->wish->each, c->wish->ctx, &rows);
        c->result->rows += rows;
    }
    if (c->wish->erase) {
        enum status followed = follow_length(d);
        r = r == ST_OK ? followed : r;
    }
    return r;
}

static void run_subject(struct forward_thread *t, struct call *c)
{
    struct subject_call *s = c->arg;

    (void)t;
    c->result =
        c->dest->type == DESTINATION_JSONL
            ? ask_files(c->dest, s)
            : sqlite_sink_subject(c->dest->out.db, &s->wish->names,
                                  s->wish->erase, s->wish->each, s->wish->ctx,
                                  &s->result->rows, &s->result->pending);
    if (s->result->pending)
        c->dest->next_retention = 0; /* that cleans the log: soon */
}

enum status forward_subject(struct forward *f, uint64_t destination,
                            const struct subject_wish *wish,
                            struct subject_result *out)
{
    struct subject_call call = {wish, out};
    enum status r = ST_UNKNOWN;

    *out = (struct subject_result){0};
    pthread_mutex_lock(&f->config);
    for (unsigned i = 0; i < f->dest_count; i++) {
        struct destination *d = f->dests[i];
        if (d->now.key != destination)
            continue;
        /* Waited for to its end: the call borrows what is on this stack. */
        r = destination_is_network(d->type)
                ? ST_TYPE
                : call_now(d->thread, run_subject, d, &call);
    }
    pthread_mutex_unlock(&f->config);
    return r;
}
