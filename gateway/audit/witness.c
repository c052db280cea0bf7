/* witness.c - rounds of asking: the same checkpoint to everybody, what each
 * said, and what all of them signed into audit/cosigned. */
#include "lethe/gateway/audit/witness.h"

#include "lethe/gateway/audit/tiles.h"
#include "lethe/gateway/audit/tlog/witness.h"
#include "lethe/gateway/file.h"
#include "lethe/policy/base/log.h"
#include "witness_internal.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_MODE   0640
#define REQUEST_CAP (NOTE_BYTES_MAX + 64u * 45u + 64u)
#define ROUND_NONE  INT64_MIN
#define ATTEMPTS    2u /* the second with the size that the first 409 told */

struct witness {
    struct witnesses *all;
    const struct conf_witness *conf;
    unsigned number; /* in the config, from 0 */
    struct note_key key;
    bool plain;
    /* Its thread's. */
    struct tiles *tiles;
    uint64_t known; /* leaves that it signed for last, as far as we know */
    int64_t round;  /* asked last */
    pthread_t thread;
    bool running;
    struct witness_facts facts; /* under the lock */
};

struct witnesses {
    struct witnesses_config config;
    char folder[PATH_MAX - 64];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Atomic bool stopping;
    /* The round; under the lock. */
    int64_t round;
    struct buf note;  /* the checkpoint that is asked about */
    struct buf lines; /* cosignatures of it so far */
    unsigned answered;
    struct witness list[CONF_WITNESSES_MAX];
};

const char *witness_state_name(enum witness_state s)
{
    static const char *const words[WITNESS_STATE_COUNT] = {
        [WITNESS_NOT_ASKED] = "was not asked yet",
        [WITNESS_COSIGNS] = "cosigns",
        [WITNESS_SILENT] = "does not answer",
        [WITNESS_TLS] = "has a certificate that does not hold",
        [WITNESS_REFUSES] = "refuses",
        [WITNESS_UNREADABLE] = "answers what no witness does",
        [WITNESS_WRONG_SIGNED] = "gave a signature that is not its own",
        [WITNESS_KNOWS_MORE] = "KNOWS MORE RECORDS THAN THIS LOG HAS",
        [WITNESS_DISAGREES] = "SIGNED ANOTHER LOG UNDER THIS NAME",
        [WITNESS_NO_PROOF] = "was not asked: the proof could not be made",
    };

    return words[s];
}

/* ---- the round ------------------------------------------------------------
 */

/* What they signed, beside the log's own signature. Under the lock. */
static void keep_cosigned(struct witnesses *w)
{
    char path[PATH_MAX];
    struct buf all;

    if (w->lines.len == 0)
        return;
    (void)snprintf(path, sizeof(path), "%s/cosigned", w->folder);
    buf_init(&all, NOTE_BYTES_MAX);
    buf_put(&all, buf_slice(&w->note));
    buf_put(&all, buf_slice(&w->lines));
    enum status st =
        all.failed ? ST_LIMIT : file_put(path, FILE_MODE, buf_slice(&all));
    if (st != ST_OK)
        log_warn(LOG_AUDIT, "cosignatures could not be kept",
                 LOG_NAME("why", status_name(st)));
    buf_free(&all);
    buf_reset(&w->lines);
}

/* The note that round `round` is about into `out`; the first who comes takes
 * the newest. Errors: ST_UNKNOWN (nothing was signed yet), those of reading. */
static enum status join_round(struct witness *o, int64_t round, struct buf *out)
{
    struct witnesses *w = o->all;
    struct checkpoint c;
    enum status st = ST_OK;

    pthread_mutex_lock(&w->lock);
    if (w->round != round) {
        keep_cosigned(w); /* somebody has not answered in the last one */
        st = tiles_checkpoint(o->tiles, &w->note, &c);
        if (st == ST_OK && c.size == 0)
            st = ST_UNKNOWN; /* a new log: there is nothing to witness */
        w->round = st == ST_OK ? round : ROUND_NONE;
        w->answered = 0;
    }
    buf_reset(out);
    if (st == ST_OK)
        buf_put(out, buf_slice(&w->note));
    pthread_mutex_unlock(&w->lock);
    return st == ST_OK && out->failed ? ST_NOMEM : st;
}

static void leave_round(struct witness *o, int64_t round, struct slice line)
{
    struct witnesses *w = o->all;

    pthread_mutex_lock(&w->lock);
    if (w->round == round) {
        buf_put(&w->lines, line);
        if (++w->answered == w->config.count)
            keep_cosigned(w);
    }
    pthread_mutex_unlock(&w->lock);
}

/* ---- one question -----------------------------------------------------------
 */

struct question {
    struct slice note;
    struct note parts;
    struct checkpoint c;
    struct buf line; /* what came of it */
};

static enum status put_request(struct witness *o, const struct question *q,
                               struct buf *out)
{
    const struct tree_source tree = tiles_tree(o->tiles);
    struct tree_proof proof;

    tiles_begin(o->tiles);
    enum status st = tree_consistency(&tree, o->known, q->c.size, &proof);
    if (st != ST_OK)
        return st;
    buf_reset(out);
    witness_put(o->known, &proof, q->note, out);
    return out->failed ? ST_NOMEM : ST_OK;
}

static enum witness_state cosigned(struct witness *o, struct question *q,
                                   const struct witness_answer *a)
{
    uint64_t time_s;
    enum status st = witness_take_line(buf_slice(&a->body), q->parts.text,
                                       &o->key, &time_s, &q->line);

    if (st == ST_OK) {
        o->known = q->c.size;
        return WITNESS_COSIGNS;
    }
    return st == ST_CRYPTO || st == ST_UNKNOWN ? WITNESS_WRONG_SIGNED
                                               : WITNESS_UNREADABLE;
}

/* It signed for another size than we said. *again: ask once more. */
static enum witness_state another_size(struct witness *o,
                                       const struct question *q,
                                       const struct witness_answer *a,
                                       bool *again)
{
    uint64_t said = o->known, size;

    if (witness_read_size(buf_slice(&a->body), &size) != ST_OK)
        return WITNESS_UNREADABLE;
    if (size == said) /* of the same size, and yet not the same */
        return size == q->c.size ? WITNESS_DISAGREES : WITNESS_REFUSES;
    o->known = size <= q->c.size ? size : 0; /* 0: let it tell again */
    *again = size <= q->c.size;
    return *again ? WITNESS_REFUSES : WITNESS_KNOWS_MORE;
}

static enum witness_state judge(struct witness *o, struct question *q,
                                const struct witness_answer *a, bool *again)
{
    *again = false;
    if (a->tls_failed)
        return WITNESS_TLS;
    if (a->body.failed)
        return WITNESS_UNREADABLE;
    if (a->status == 0 || a->status >= 500)
        return WITNESS_SILENT;
    if (a->status == 200)
        return cosigned(o, q, a);
    if (a->status == 409)
        return another_size(o, q, a, again);
    return a->status == 422 ? WITNESS_DISAGREES : WITNESS_REFUSES;
}

static enum witness_state ask(struct witness *o, struct question *q,
                              int *out_status)
{
    enum witness_state state = WITNESS_NO_PROOF;
    struct witness_answer a;
    struct buf body;
    bool again = true;

    buf_init(&body, REQUEST_CAP);
    for (unsigned i = 0; again && i < ATTEMPTS; i++) {
        if (o->known > q->c.size)
            o->known = 0;
        state = WITNESS_NO_PROOF;
        again = false;
        if (put_request(o, q, &body) != ST_OK)
            break;
        witness_http_post(o->conf, o->plain, o->all->config.timeout_ms,
                          buf_slice(&body), &o->all->stopping, &a);
        state = judge(o, q, &a, &again);
        *out_status = a.status;
        buf_free(&a.body);
    }
    buf_free(&body);
    return state;
}

/* ---- what is told
 * ------------------------------------------------------------ */

/* Each change once: the same failure every minute would hide all else. */
static void say(const struct witness *o, enum witness_state before,
                enum witness_state now)
{
    if (before == now ||
        (now == WITNESS_COSIGNS && before == WITNESS_NOT_ASKED))
        return;
    if (now == WITNESS_COSIGNS)
        log_info(LOG_AUDIT, "a witness cosigns again",
                 LOG_NUM("witness", o->number));
    else if (now == WITNESS_KNOWS_MORE || now == WITNESS_DISAGREES ||
             now == WITNESS_WRONG_SIGNED)
        log_error(LOG_AUDIT, "a witness objects", LOG_NUM("witness", o->number),
                  LOG_NAME("it", witness_state_name(now)));
    else
        log_warn(LOG_AUDIT, "a witness has not cosigned",
                 LOG_NUM("witness", o->number),
                 LOG_NAME("it", witness_state_name(now)));
}

static void note_outcome(struct witness *o, enum witness_state state,
                         int status, uint64_t size)
{
    const struct clock *clock = o->all->config.clock;
    struct witness_facts *f = &o->facts;

    pthread_mutex_lock(&o->all->lock);
    enum witness_state before = f->state;
    f->state = state;
    f->status = status;
    if (state == WITNESS_COSIGNS) {
        f->cosigned++;
        f->size = size;
        f->signed_ms = clock->wall_ms(clock->ctx);
    } else {
        f->failed++;
    }
    pthread_mutex_unlock(&o->all->lock);
    say(o, before, state);
}

/* Ask about the round's checkpoint. Errors: ST_UNKNOWN, those of reading it. */
static enum status take_part(struct witness *o, int64_t round)
{
    const struct witnesses_config *config = &o->all->config;
    struct question q;
    struct buf note;
    int status = 0;

    buf_init(&note, NOTE_BYTES_MAX);
    buf_init(&q.line, NOTE_BYTES_MAX);
    enum status st = join_round(o, round, &note);
    q.note = buf_slice(&note);
    if (st == ST_OK)
        st = note_read(q.note, &q.parts);
    if (st == ST_OK)
        st = checkpoint_read(q.parts.text, &q.c);
    if (st == ST_OK) {
        enum witness_state state = ask(o, &q, &status);
        if (!o->all->stopping || state == WITNESS_COSIGNS)
            note_outcome(o, state, status, q.c.size);
        leave_round(o, round, buf_slice(&q.line));
        if (state == WITNESS_COSIGNS && config->anchored != NULL)
            config->anchored(config->ctx, o->conf->name, q.c.size);
    }
    buf_free(&q.line);
    buf_free(&note);
    return st;
}

/* ---- threads
 * ------------------------------------------------------------------ */

static int64_t round_now(const struct witnesses *w)
{
    const struct clock *c = w->config.clock;

    return c->mono_ms(c->ctx) / WITNESS_ROUND_MS;
}

static void wait_a_second(struct witnesses *w)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping &&
           pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&w->lock);
}

static void *witness_thread(void *witness)
{
    struct witness *o = witness;
    struct witnesses *w = o->all;

    while (!w->stopping) {
        int64_t round = round_now(w);
        /* Without a checkpoint yet the round begins when there is one. */
        if (round != o->round && take_part(o, round) == ST_OK)
            o->round = round;
        tiles_rest(o->tiles);
        wait_a_second(w);
    }
    return NULL;
}

void witnesses_round(struct witnesses *w)
{
    int64_t round;

    pthread_mutex_lock(&w->lock);
    round = w->round == ROUND_NONE ? 0 : w->round + 1;
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->config.count; i++) {
        enum status st = take_part(&w->list[i], round);
        if (st != ST_OK)
            log_debug(LOG_AUDIT, "nothing to witness",
                      LOG_NAME("why", status_name(st)));
    }
}

static enum status open_one(struct witnesses *w, unsigned i)
{
    struct witness *o = &w->list[i];

    *o = (struct witness){.all = w,
                          .conf = &w->config.list[i],
                          .number = i,
                          .round = ROUND_NONE,
                          .facts = {.name = w->config.list[i].name}};
    enum status st = note_key_read(slice_of(o->conf->key), &o->key);
    if (st == ST_OK)
        st = witness_http_check(o->conf->url, &o->plain);
    if (st == ST_OK)
        st = tiles_open(w->folder, TILES_WORK_MAX, &o->tiles);
    return st;
}

enum status witnesses_open(const struct witnesses_config *config,
                           struct witnesses **out)
{
    struct witnesses *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;
    enum status st = ST_OK;

    if (w == NULL)
        return ST_NOMEM;
    w->config = *config;
    if (w->config.timeout_ms == 0)
        w->config.timeout_ms = WITNESS_TIMEOUT_MS;
    w->round = ROUND_NONE;
    buf_init(&w->note, NOTE_BYTES_MAX);
    buf_init(&w->lines, NOTE_BYTES_MAX);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    int n = snprintf(w->folder, sizeof(w->folder), "%s", config->folder);
    if (n < 0 || (size_t)n >= sizeof(w->folder))
        st = ST_LIMIT;
    for (unsigned i = 0; st == ST_OK && i < config->count; i++)
        st = open_one(w, i);
    if (st != ST_OK) {
        witnesses_close(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

enum status witnesses_start(struct witnesses *w)
{
    for (unsigned i = 0; i < w->config.count; i++) {
        struct witness *o = &w->list[i];
        if (pthread_create(&o->thread, NULL, witness_thread, o) != 0)
            return ST_NOMEM;
        o->running = true;
    }
    return ST_OK;
}

unsigned witnesses_facts(struct witnesses *w, struct witness_facts *out,
                         unsigned max)
{
    unsigned n = 0;

    if (w == NULL)
        return 0;
    pthread_mutex_lock(&w->lock);
    for (; n < w->config.count && n < max; n++)
        out[n] = w->list[n].facts;
    pthread_mutex_unlock(&w->lock);
    return n;
}

void witnesses_close(struct witnesses *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < CONF_WITNESSES_MAX; i++) {
        if (w->list[i].running)
            (void)pthread_join(w->list[i].thread, NULL);
        tiles_close(w->list[i].tiles);
    }
    pthread_mutex_lock(&w->lock);
    keep_cosigned(w);
    pthread_mutex_unlock(&w->lock);
    buf_free(&w->note);
    buf_free(&w->lines);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
