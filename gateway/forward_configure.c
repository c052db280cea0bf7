/* The list of destinations: all of the next one is prepared first, then
 * nothing can fail. Everything that touches a destination is a call to its
 * thread. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- making and freeing ---- */

/* A built-in sink shares the threads of network destinations. */
static enum destination_type type_of(const struct forward_destination *from)
{
    return from->builtin != NULL ? DESTINATION_HTTP : from->conf->type;
}

static void set_plan(struct destination *d)
{
    const struct destination_plan *p =
        &d->now.policy->destinations[d->now.plan];

    d->concurrency =
        destination_is_network(d->type) ? d->now.conf->concurrency : 1;
    if (d->concurrency == 0)
        d->concurrency = 1;
    d->boundary_ms =
        p->release_boundary && d->now.builtin == NULL ? p->time_round_ms : 0;
}

static unsigned batch_of(const struct conf_destination *c)
{
    return c->batch == 0 ? 1 : c->batch;
}

static enum status destination_new(struct forward *f,
                                   const struct forward_destination *from,
                                   struct destination **out)
{
    struct destination *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return ST_NOMEM;
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->rows_end, NULL);
    d->now = *from;
    d->now.policy = policy_ref(from->policy);
    d->type = type_of(from);
    d->ticket_open = 1;
    d->outage_waits = true;
    random_init(&d->random);
    sealer_init(&d->sealer);
    buf_init(&d->sealed, 32u << 20);
    buf_init(&d->again_sealed, 32u << 20);
    buf_init(&d->rows, 4u << 20);
    buf_init(&d->flying, 4u << 20);
    set_plan(d);
    journal_get_mark(f->parts.journal, from->key, &d->mark);
    d->mark.destination = from->key;
    d->batch_max = d->scratch_size = batch_of(from->conf);
    d->scratch = calloc(d->scratch_size, sizeof(*d->scratch));
    enum status r =
        d->scratch == NULL ? ST_NOMEM : decides_build(from, &d->decides);
    if (r != ST_OK) {
        destination_free(d);
        return r;
    }
    *out = d;
    return ST_OK;
}

static void free_memory(struct destination *d)
{
    while (d->again != NULL) {
        struct batch *b = d->again;
        d->again = b->next;
        batch_free(b);
    }
    while (d->first != NULL) {
        struct block *b = d->first;
        d->first = b->next;
        block_free(d, b);
    }
}

void destination_free(struct destination *d)
{
    if (d == NULL)
        return;
    assert(d->in_flight == 0 && d->rows_state != ROWS_FLYING);
    free_memory(d);
    while (d->old != NULL) {
        struct old_sink *o = d->old;
        d->old = o->next;
        net_sink_close(o->sink);
        free(o);
    }
    net_sink_close(d->net);
    files_close(&d->out);
    policy_unref(d->now.policy);
    buf_free(&d->sealed);
    buf_free(&d->again_sealed);
    buf_free(&d->rows);
    buf_free(&d->flying);
    free(d->decides.slots);
    free(d->queue);
    free(d->scratch);
    random_wipe(&d->random);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->rows_end);
    free(d);
}

/* ---- configure: prepare all, then nothing can fail ---- */

struct next {
    struct destination *dest; /* new or kept */
    bool is_new, is_kept_thread;
    struct forward_destination now;
    struct forward_thread *thread; /* of a new one */
    struct net_sink *net;
    struct file_sinks out;
    struct decide_set decides;
    struct old_sink *old; /* room to put the former sink */
    struct fragment *scratch;
    uint64_t db_sequence;
    uint32_t db_fragment;
    const char *day_tag;
};

static struct destination *find(const struct forward *f, uint64_t key)
{
    for (unsigned i = 0; i < f->dest_count; i++)
        if (f->dests[i]->now.key == key)
            return f->dests[i];
    return NULL;
}

static enum status choose_thread(struct forward *f, struct next *n)
{
    if (!destination_is_network(type_of(&n->now)))
        return thread_new(f, false, &n->thread);
    n->is_kept_thread = true;
    n->thread = f->net[f->net_next++ % f->net_count];
    return ST_OK;
}

static enum status prepare_sinks(const struct forward *f, struct next *n)
{
    struct mark mark;

    if (n->now.builtin != NULL)
        return ST_OK;
    if (destination_is_network(n->now.conf->type))
        return net_sink_open(n->thread->loop, n->now.conf, false, &n->net);
    journal_get_mark(f->parts.journal, n->now.key, &mark);
    mark.destination = n->now.key;
    enum status r = files_open(&n->now, &mark, &n->dest->out, &n->out);
    if (r == ST_OK && n->out.db != NULL)
        r = files_position(f, &n->out, &mark, &n->db_sequence, &n->db_fragment);
    return r;
}

static enum status prepare(struct forward *f,
                           const struct forward_destination *from,
                           struct next *n)
{
    struct destination *d = find(f, from->key);
    enum status r;

    n->now = *from;
    n->is_new = d == NULL || d->type != type_of(from);
    if (n->is_new) {
        r = choose_thread(f, n);
        if (r == ST_OK)
            r = destination_new(f, from, &n->dest);
        if (r == ST_OK)
            n->dest->thread = n->thread;
    } else {
        n->dest = d;
        n->thread = d->thread;
        n->scratch = calloc(batch_of(from->conf), sizeof(*n->scratch));
        n->old = calloc(1, sizeof(*n->old));
        r = n->scratch == NULL || n->old == NULL
                ? ST_NOMEM
                : decides_build(from, &n->decides);
    }
    return r == ST_OK ? prepare_sinks(f, n) : r;
}

static void undo(struct next *n)
{
    net_sink_close(n->net);
    files_close(&n->out);
    free(n->decides.slots);
    free(n->old);
    free(n->scratch);
    if (n->is_new) {
        destination_free(n->dest);
        if (n->thread != NULL && !n->is_kept_thread)
            thread_end(n->thread, 0);
    }
}

static void take_sinks(struct destination *d, struct next *n)
{
    if (n->out.db != NULL) {
        d->db_sequence = n->db_sequence;
        d->db_fragment = n->db_fragment;
    }
    if (!destination_is_network(d->type)) {
        files_take(&n->out, &d->out);
        if (d->out.count != 1 && d->mark.file_day != 0) {
            d->mark.file_day = 0;
            d->mark.file_length = 0;
            d->mark_moved = true;
        }
        return;
    }
    if (d->net != NULL && n->old != NULL) {
        n->old->sink = d->net;
        n->old->next = d->old;
        d->old = n->old;
        n->old = NULL;
    }
    d->net = n->net;
    n->net = NULL;
}

static void run_add(struct forward_thread *t, struct call *c)
{
    struct next *n = c->arg;
    struct destination *d = n->dest;

    /* A former one of the same key may just have moved it. */
    journal_get_mark(t->f->parts.journal, d->now.key, &d->mark);
    d->mark.destination = d->now.key;
    take_sinks(d, n);
    memcpy(d->day_tag, n->day_tag, sizeof(d->day_tag));
    d->next = t->dests;
    t->dests = d;
    settle_facts(d); /* before anybody can ask */
}

static void run_update(struct forward_thread *t, struct call *c)
{
    struct next *n = c->arg;
    struct destination *d = n->dest;
    struct policy *former = d->now.policy;

    (void)t;
    d->now = n->now;
    d->now.policy = policy_ref(n->now.policy);
    policy_unref(former);
    free(d->decides.slots);
    d->decides = n->decides;
    n->decides.slots = NULL;
    d->batch_max = batch_of(n->now.conf);
    if (d->batch_max > d->scratch_size) { /* older batches keep their size */
        struct fragment *former_scratch = d->scratch;
        d->scratch = n->scratch;
        d->scratch_size = d->batch_max;
        n->scratch = former_scratch;
    }
    memcpy(d->day_tag, n->day_tag, sizeof(d->day_tag));
    set_plan(d);
    take_sinks(d, n);
    d->retry_at = 0; /* what was wrong may be right now */
    send_recheck(d);
    settle_facts(d);
}

/* No present rule has what waits of a destination that is gone (storage.md
 * section 2): counted and audited like all that tightening purges. */
static void purge_gone(struct destination *d)
{
    bool fine = true;

    if (d->purging)
        purge_end(d);
    move_purge_start(d, REASON_POLICY_CHANGED);
    while (fine && !move_purge_over(d)) {
        uint64_t before = d->purge_count;
        struct block *first = d->first;
        read_fill(d);
        fine = settle_land(d) && (d->purge_count != before ||
                                  d->first != first || d->journal_ended);
    }
    if (!fine)
        log_error(LOG_FORWARD, "what a removed destination left stays",
                  LOG_NUM("site", d->now.site_index));
    d->purging = false;
}

static void run_remove(struct forward_thread *t, struct call *c)
{
    struct destination **at = &t->dests, *d = c->dest;

    while (*at != d) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = d->next;
    send_cut_all(d);
    if (c->number != 0)
        purge_gone(d);
    settle_wait(d);
    settle_mark(d);
    if (d->purging)
        purge_end(d);
}

static void remove_gone(struct destination *d, bool for_good)
{
    struct forward_thread *t = d->thread;
    bool own_thread = !destination_is_network(d->type);

    struct call *c = call_new(run_remove, d, NULL);
    if (c == NULL) {
        log_error(LOG_FORWARD, "no memory to remove a destination");
        return; /* it stays on its thread; nothing is lost */
    }
    c->number = for_good;
    call_post(t, c);
    (void)call_wait(t->f, c, -1);
    call_unref(c);
    destination_free(d);
    if (own_thread)
        thread_end(t, 0);
}

static bool is_listed(const struct next *list, unsigned count,
                      const struct destination *d)
{
    for (unsigned i = 0; i < count; i++)
        if (list[i].dest == d)
            return true;
    return false;
}

/* Take the list over. Readers are told before a former one goes. */
static enum status commit_list(struct forward *f, struct next *list,
                               unsigned count, struct destination **dests,
                               uint64_t *keys)
{
    struct destination **former = f->dests;
    unsigned former_count = f->dest_count;
    enum status r = ST_OK;

    for (unsigned i = 0; i < count; i++) {
        dests[i] = list[i].dest;
        keys[i] = list[i].now.key;
    }
    journal_set_readers(f->parts.journal, keys, count);
    pthread_mutex_lock(&f->lock);
    f->dests = dests;
    f->dest_count = count;
    pthread_mutex_unlock(&f->lock);
    for (unsigned i = 0; i < former_count; i++)
        if (!is_listed(list, count, former[i]))
            remove_gone(former[i], find(f, former[i]->now.key) == NULL);
    for (unsigned i = 0; i < count; i++) {
        enum status one =
            call_now(list[i].thread, list[i].is_new ? run_add : run_update,
                     list[i].dest, &list[i]);
        r = one != ST_OK ? one : r;
    }
    free(former);
    return r;
}

static enum status configure(struct forward *f,
                             const struct forward_destination *list,
                             unsigned count, const char *day_tag)
{
    struct next *next = calloc(count + 1, sizeof(*next));
    struct destination **dests = calloc(count + 1, sizeof(void *));
    uint64_t *keys = calloc(count + 1, sizeof(*keys));
    enum status r =
        next == NULL || dests == NULL || keys == NULL ? ST_NOMEM : ST_OK;
    unsigned ready = 0;
    char tag[24] = {0};

    for (unsigned i = 0; i + 1 < sizeof(tag) && day_tag[i] != '\0'; i++)
        tag[i] = day_tag[i];
    for (; r == ST_OK && ready < count; ready++) {
        next[ready].day_tag = tag;
        r = prepare(f, &list[ready], &next[ready]);
    }
    if (r == ST_OK) {
        r = commit_list(f, next, count, dests, keys);
        for (unsigned i = 0; i < count; i++) {
            next[i].is_new = false;
            undo(&next[i]); /* what was not needed */
        }
        dests = NULL;
    } else {
        for (unsigned i = 0; i < ready; i++)
            undo(&next[i]);
    }
    free(next);
    free(dests);
    free(keys);
    return r;
}

enum status forward_configure(struct forward *f,
                              const struct forward_destination *list,
                              unsigned count, const char *day_tag)
{
    pthread_mutex_lock(&f->config);
    enum status r = configure(f, list, count, day_tag);
    pthread_mutex_unlock(&f->config);
    return r;
}
