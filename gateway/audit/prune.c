/* prune.c - the thread that prunes: what is ordered and signed goes, what is
 * due is ordered. */
#include "prune_internal.h"

#include "log_internal.h"

#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/file.h"
#include "lethe/policy/base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define D_MAX 1024u

struct pruner {
    struct prune_parts parts;
    char *folder;
    struct audit_orders orders; /* the thread's copy */
    pthread_mutex_t run;        /* one look at a time */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running;
    bool stopping, asked, due, waiting; /* under lock, as what follows */
    bool wants_policies, failing;
    int64_t next_ms; /* wall clock */
    struct prune_facts facts[PRUNE_LAYERS];
};

static int64_t wall_now(const struct pruner *p)
{
    return p->parts.clock->wall_ms(p->parts.clock->ctx);
}

uint64_t pruner_signed(const struct pruner *p)
{
    return p->parts.signed_size == NULL ? audit_synced_size(p->parts.log)
                                        : p->parts.signed_size(p->parts.ctx);
}

struct audit_log *pruner_log(struct pruner *p)
{
    return p->parts.log;
}

void pruner_pause(struct pruner *p)
{
    pthread_mutex_lock(&p->run);
}

void pruner_go_on(struct pruner *p)
{
    pthread_mutex_unlock(&p->run);
}

enum status pruner_new(const struct prune_parts *parts, struct pruner **out)
{
    struct pruner *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return ST_NOMEM;
    p->parts = *parts;
    p->folder = strdup(parts->folder);
    if (p->folder == NULL) {
        free(p);
        return ST_NOMEM;
    }
    pthread_mutex_init(&p->run, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    *out = p;
    return ST_OK;
}

/* ---- ordering -------------------------------------------------------------
 */

/* The newest published checkpoint. ST_BUSY: there is none yet. */
static enum status read_checkpoint(const struct pruner *p, uint64_t *out_size,
                                   uint8_t out_root[HASH_BYTES])
{
    char path[PRUNE_PATH_MAX];
    struct checkpoint c;
    struct note note;
    struct buf text;

    *out_size = 0;
    sha256(NULL, 0, out_root);
    if (p->parts.signed_size == NULL)
        return ST_OK;
    (void)snprintf(path, sizeof(path), "%s/checkpoint", p->folder);
    enum status st = file_read(path, NOTE_BYTES_MAX, &text);
    if (st == ST_OK)
        st = note_read(buf_slice(&text), &note);
    if (st == ST_OK)
        st = checkpoint_read(note.text, &c);
    if (st == ST_OK) {
        *out_size = c.size;
        memcpy(out_root, c.root, HASH_BYTES);
    }
    buf_free(&text);
    return st == ST_OK || st == ST_NOMEM ? st : ST_BUSY;
}

static void put_counts(struct buf *d, const char *name,
                       const struct audit_counts *c)
{
    buf_printf(d,
               ",\"%s\":{\"in\":%" PRIu64 ",\"fwd\":%" PRIu64
               ",\"mod\":%" PRIu64 ",\"drop\":%" PRIu64 "}",
               name, c->in, c->fwd, c->mod, c->drop);
}

static enum status append(struct pruner *p, enum prune_layer layer,
                          struct slice d)
{
    const struct audit_entry e = {.act = RECORD_AUDIT_PRUNE,
                                  .why = layer == PRUNE_ROWS ? "ret:rows"
                                                             : "ret:records",
                                  .out = AUDIT_OK,
                                  .d = d};
    uint64_t index;

    return audit_append(p->parts.log, &e, true, &index);
}

/* The order for what the plan names. */
static enum status order(struct pruner *p, enum prune_layer layer,
                         const struct prune_plan *plan)
{
    const struct audit_counts *cum0 = &p->orders.newest[layer].cum1;
    struct audit_counts cum1;
    char cutoff[TIME_TEXT_MAX];
    uint8_t root[HASH_BYTES];
    uint64_t size;
    struct buf d;

    enum status st = read_checkpoint(p, &size, root);
    if (st == ST_OK)
        st = prune_count(p->folder, plan->from, plan->to, cum0, &cum1);
    if (st != ST_OK)
        return st;
    buf_init(&d, D_MAX);
    (void)time_format(plan->cutoff_ms, true, cutoff);
    buf_printf(&d,
               "{\"layer\":\"%s\",\"from\":%" PRIu64 ",\"to\":%" PRIu64
               ",\"cutoff\":\"%s\",\"keep\":\"%s\",\"pol\":%" PRIu64
               ",\"size\":%" PRIu64 ",\"root\":\"",
               prune_layer_name(layer), plan->from, plan->to, cutoff,
               plan->keep, plan->policy, size);
    put_base64(&d, root, HASH_BYTES);
    buf_put_char(&d, '"');
    put_counts(&d, "cum0", cum0);
    put_counts(&d, "cum1", &cum1);
    buf_put_char(&d, '}');
    st = d.failed ? ST_NOMEM : append(p, layer, buf_slice(&d));
    buf_free(&d);
    return st;
}

/* ---- one look -------------------------------------------------------------
 */

/* A file covers a day: it is late when all of it should have been gone. */
static int64_t overdue(const struct prune_plan *plan, bool held)
{
    return plan->due_ms > 0 && !held ? plan->cutoff_ms - plan->due_ms : 0;
}

static void publish(struct pruner *p, enum prune_layer layer,
                    const struct prune_plan *plan,
                    const struct prune_done *done, bool ordered, bool again)
{
    struct prune_facts *x = &p->facts[layer];

    pthread_mutex_lock(&p->lock);
    x->removed = done->files + (again ? x->removed : 0);
    x->last_run_ms = wall_now(p);
    x->oldest_ms = plan->oldest_ms;
    x->held = done->held || plan->held;
    x->waiting = done->waiting || ordered;
    x->overdue_ms = overdue(plan, x->held);
    p->waiting = p->waiting || x->waiting;
    p->wants_policies = p->wants_policies || plan->by_policy;
    pthread_mutex_unlock(&p->lock);
}

static enum status run_layer(struct pruner *p, enum prune_layer layer,
                             bool again)
{
    struct prune_done done;
    struct prune_plan plan;
    bool ordered = false;

    audit_orders_copy(p->parts.log, &p->orders);
    enum status st =
        prune_carry_out(p->folder, &p->orders, pruner_signed(p), layer, &done);
    if (st == ST_OK)
        st = prune_make_plan(p->folder, &p->orders, pruner_signed(p),
                             wall_now(p), layer, &plan);
    /* What is held back now is not gone beyond either. */
    if (st == ST_OK && plan.to > plan.from && !done.waiting && !done.held) {
        st = order(p, layer, &plan);
        ordered = st == ST_OK || st == ST_BUSY;
        st = st == ST_BUSY ? ST_OK : st; /* the signer starts still */
    }
    if (done.files > 0)
        log_info(LOG_RETENTION, "files of the audit log were deleted",
                 LOG_NAME("layer", prune_layer_name(layer)),
                 LOG_NUM("files", done.files));
    if (st == ST_OK)
        publish(p, layer, &plan, &done, ordered, again);
    return st;
}

/* After a failure the facts of the last good run stay; what is late then grows
 * later. */
static void finish(struct pruner *p, enum status st)
{
    pthread_mutex_lock(&p->lock);
    p->failing = st != ST_OK;
    pthread_mutex_unlock(&p->lock);
    if (st != ST_OK)
        log_error(LOG_RETENTION, "the audit log's old files cannot be removed",
                  LOG_NAME("why", status_name(st)));
}

enum status pruner_run(struct pruner *p)
{
    enum status st = ST_OK;

    pthread_mutex_lock(&p->run);
    pthread_mutex_lock(&p->lock);
    bool again = p->waiting && !p->due && !p->asked;
    p->due = p->asked = p->waiting = false;
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < PRUNE_LAYERS && st == ST_OK; i++)
        st = run_layer(p, (enum prune_layer)i, again);
    finish(p, st);
    pthread_mutex_unlock(&p->run);
    return st;
}

/* ---- the thread -----------------------------------------------------------
 */

static bool rest(struct pruner *p)
{
    pthread_mutex_lock(&p->lock);
    if (!p->stopping)
        pthread_cond_wait(&p->wake, &p->lock);
    bool go_on = !p->stopping;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

static void *prune_thread(void *pruner)
{
    struct pruner *p = pruner;

    while (rest(p)) {
        enum status st = pruner_run(p);
        (void)st; /* it has said so; the next look tries again */
    }
    return NULL;
}

enum status pruner_start(struct pruner *p)
{
    if (pthread_create(&p->thread, NULL, prune_thread, p) != 0)
        return ST_NOMEM;
    p->running = true;
    return ST_OK;
}

void pruner_stop(struct pruner *p)
{
    if (p == NULL)
        return;
    if (p->running) {
        pthread_mutex_lock(&p->lock);
        p->stopping = true;
        pthread_cond_signal(&p->wake);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->run);
    free(p->folder);
    free(p);
}

/* By the wall clock, as ages are; one that was put back must not make the next
 * look wait for its return. */
void pruner_tick(struct pruner *p)
{
    int64_t now = wall_now(p);

    pthread_mutex_lock(&p->lock);
    if (now >= p->next_ms || p->next_ms - now > PRUNE_EVERY_MS) {
        p->next_ms = now + PRUNE_EVERY_MS;
        p->due = true;
    }
    if (p->due || p->asked || p->waiting)
        pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void pruner_ask(struct pruner *p)
{
    pthread_mutex_lock(&p->lock);
    p->asked = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* ---- for others -----------------------------------------------------------
 */

void pruner_facts(struct pruner *p, enum prune_layer layer,
                  struct prune_facts *out)
{
    pthread_mutex_lock(&p->lock);
    *out = p->facts[layer];
    if (p->failing && out->last_run_ms > 0)
        out->overdue_ms += wall_now(p) - out->last_run_ms;
    pthread_mutex_unlock(&p->lock);
}

bool pruner_wants_policies(struct pruner *p)
{
    pthread_mutex_lock(&p->lock);
    bool wants = p->wants_policies;
    p->wants_policies = false;
    pthread_mutex_unlock(&p->lock);
    return wants;
}

enum status pruner_plan(struct pruner *p, enum prune_layer layer,
                        struct prune_plan *out)
{
    struct audit_orders *o = malloc(sizeof(*o));

    if (o == NULL)
        return ST_NOMEM;
    audit_orders_copy(p->parts.log, o);
    enum status st = prune_make_plan(p->folder, o, pruner_signed(p),
                                     wall_now(p), layer, out);
    free(o);
    return st;
}
