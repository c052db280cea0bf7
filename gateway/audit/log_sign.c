/* log_sign.c - one question to the signer, and what becomes of its answer;
 * the same at start-up, when the log is held against what was signed. */
#include "log_publish.h"

#include "lethe/gateway/file.h"
#include "lethe/policy/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define START_MS         INT64_C(10000) /* for a signer that starts, too */
#define CHECKPOINT_MODE  0640
#define CHECKPOINT_BYTES 4096u
#define TRIES            3 /* of one question that the signer sets right */

/* The tree's first `size` leaves as the signer is asked for them. */
static enum status put_question(struct audit_log *l, uint64_t old,
                                uint64_t size, struct checkpoint *out_c,
                                struct buf *out)
{
    const struct tree_source tree = log_tree_source(&l->publisher->tree);
    struct tree_proof proof = {.count = 0};

    *out_c = (struct checkpoint){.origin = slice_of(l->origin), .size = size};
    enum status st = tree_root(&tree, size, out_c->root);
    if (st == ST_OK)
        st = tree_consistency(&tree, old, size, &proof);
    if (st != ST_OK)
        return st == ST_END ? ST_CORRUPT : st;
    signer_put(old, &proof, out_c, out);
    return out->failed ? ST_NOMEM : ST_OK;
}

/* The signed note, if the lines hold the log's signature of `c`. */
static enum status make_note(const struct audit_log *l,
                             const struct checkpoint *c, struct slice lines,
                             struct buf *out)
{
    struct note note;

    checkpoint_put(c, out);
    buf_put_char(out, '\n');
    buf_put(out, lines);
    if (out->failed)
        return ST_LIMIT;
    enum status st = note_read(buf_slice(out), &note);
    return st == ST_OK ? note_check(&note, &l->config.signing->key, NULL) : st;
}

static enum status publish(struct audit_log *l, const struct checkpoint *c,
                           struct slice lines)
{
    struct publisher *p = l->publisher;
    struct buf note;

    buf_init(&note, CHECKPOINT_BYTES);
    enum status st = make_note(l, c, lines, &note);
    if (st == ST_OK) {
        p->signer_size = c->size;
        if (c->size != p->size || c->size == 0)
            st = file_put(p->path, CHECKPOINT_MODE, buf_slice(&note));
    }
    buf_free(&note);
    if (st != ST_OK)
        return st;
    atomic_store(&p->good_mono, l->config.clock->mono_ms(l->config.clock->ctx));
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->size, c->size);
    pthread_cond_broadcast(&p->told);
    pthread_mutex_unlock(&p->lock);
    return ST_OK;
}

static void record_gap(struct audit_log *l, int64_t ms)
{
    char d[40];
    int n = snprintf(d, sizeof(d), "{\"ms\":%" PRId64 "}", ms);
    const struct audit_entry e = {.act = RECORD_SIGNER_GAP,
                                  .why = "timer",
                                  .out = AUDIT_OK,
                                  .d = {d, (size_t)n}};
    enum status st = audit_append(l, &e, false, NULL);

    if (st != ST_OK && st != ST_CLOSED)
        log_warn(LOG_AUDIT, "a gap of the signer could not be recorded");
}

/* What an answer means. ST_BUSY: it is no answer, or (with *out_again) the
 * signer has signed last what p->signer_size says now. */
static enum status take_answer(struct audit_log *l, const struct checkpoint *c,
                               const struct signer_reply *r, bool *out_again)
{
    struct publisher *p = l->publisher;

    switch (r->code) {
    case 200:
        return publish(l, c, buf_slice(&r->lines));
    case 404:
        return ST_UNKNOWN;
    case 409:
        if (!r->has_size || r->size == p->signer_size)
            return ST_MISMATCH;
        p->signer_size = r->size;
        if (r->size > p->tree.size)
            return ST_END;
        *out_again = true;
        return ST_BUSY;
    case 422:
        return ST_MISMATCH;
    default:
        return ST_BUSY;
    }
}

static enum status sign_once(struct audit_log *l, uint64_t size,
                             bool *out_again)
{
    const struct audit_signing *signing = l->config.signing;
    struct signer_reply r = {.code = 0};
    struct checkpoint c;
    struct buf body;

    *out_again = false;
    buf_init(&body, SIGNER_BODY_MAX);
    enum status st =
        put_question(l, l->publisher->signer_size, size, &c, &body);
    if (st == ST_OK) {
        st = signing->ask(signing->ctx, buf_slice(&body), &r);
        /* Whatever kept it from answering is no reason to stop. */
        st = st == ST_OK        ? take_answer(l, &c, &r, out_again)
             : st == ST_TIMEOUT ? ST_TIMEOUT
                                : ST_CLOSED;
        if (r.gap_ms > 0)
            record_gap(l, r.gap_ms);
        buf_free(&r.lines);
    }
    buf_free(&body);
    return st;
}

enum status publish_sign(struct audit_log *l, uint64_t size)
{
    enum status st = ST_BUSY;
    bool again = true;

    for (unsigned i = 0; i < TRIES && again; i++) {
        /* Never less than it has: that is what it would refuse. */
        if (size < l->publisher->signer_size)
            size = l->publisher->signer_size;
        st = sign_once(l, size, &again);
    }
    return st;
}

/* ---- at start ---------------------------------------------------------------
 */

/* What was published last. ST_UNKNOWN: nothing, or nothing that counts. */
static enum status read_published(struct audit_log *l, struct checkpoint *out,
                                  struct buf *text)
{
    struct note note;
    enum status st = file_read(l->publisher->path, CHECKPOINT_BYTES, text);

    if (st != ST_OK)
        return ST_UNKNOWN;
    if (note_read(buf_slice(text), &note) == ST_OK &&
        note_check(&note, &l->config.signing->key, NULL) == ST_OK &&
        checkpoint_read(note.text, out) == ST_OK &&
        slice_eq(out->origin, slice_of(l->origin)))
        return ST_OK;
    log_warn(LOG_AUDIT, "audit/checkpoint is not this log's; the signer's own "
                        "state counts");
    return ST_UNKNOWN;
}

static enum status check_published(struct audit_log *l)
{
    struct publisher *p = l->publisher;
    const struct tree_source tree = log_tree_source(&p->tree);
    uint8_t root[HASH_BYTES];
    struct checkpoint c = {.size = 0};
    struct buf text;

    enum status st = read_published(l, &c, &text);
    buf_free(&text);
    if (st != ST_OK)
        return ST_OK;
    p->signer_size = c.size;
    if (c.size > p->tree.size)
        return ST_END;
    st = tree_root(&tree, c.size, root);
    if (st == ST_OK && memcmp(root, c.root, HASH_BYTES) != 0)
        st = ST_MISMATCH;
    if (st == ST_OK)
        atomic_store(&p->size, c.size);
    return st == ST_END ? ST_CORRUPT : st;
}

void publish_pause(long ms)
{
    const struct timespec t = {0, ms * 1000000L};

    (void)nanosleep(&t, NULL);
}

static void say_why(const struct publisher *p, enum status st)
{
    if (st == ST_MISMATCH)
        log_error(LOG_AUDIT, "records that were signed have changed",
                  LOG_NUM("records", p->tree.size),
                  LOG_NUM("signed", p->signer_size));
    if (st == ST_END)
        log_error(LOG_AUDIT, "records that were signed are missing",
                  LOG_NUM("records", p->tree.size),
                  LOG_NUM("signed", p->signer_size));
}

enum status publish_begin(struct audit_log *l)
{
    struct publisher *p = l->publisher;
    int64_t left = START_MS;

    if (p == NULL)
        return ST_OK;
    enum status st = log_tree_settle(&p->tree);
    if (st == ST_OK)
        st = check_published(l);
    if (st == ST_OK)
        st = publish_sign(l, p->size);
    for (; left > 0 && (st == ST_CLOSED || st == ST_BUSY);
         left -= PUBLISH_WAIT_MS) {
        publish_pause(PUBLISH_WAIT_MS);
        st = publish_sign(l, p->size);
    }
    say_why(p, st);
    return st;
}
