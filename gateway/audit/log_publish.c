/* log_publish.c - the tree of what is on disk, signed once a second and
 * published as `checkpoint` (audit-format.md section 4, steps 3 to 5).
 *
 * A thread of its own, so that a slow signer holds nobody up: the audit's
 * thread hands over leaf hashes of lines that are synced, this one owns the
 * tree. Tiles are on disk before the signer is asked, and what the signer
 * answers is published after it has written it down. */
#include "log_publish.h"

#include "lethe/policy/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PUBLISH_MS     INT64_C(1000)
#define STILL_THERE_MS INT64_C(5000) /* asked also when nothing came */
#define STOP_S         5             /* for the end of the log, as a whole */
#define LEAVES_MAX     ((size_t)(2u << 20) * HASH_BYTES)

static int64_t mono_now(const struct audit_log *l)
{
    return l->config.clock->mono_ms(l->config.clock->ctx);
}

enum status publish_new(struct audit_log *l)
{
    pthread_condattr_t a;

    if (l->config.signing == NULL)
        return ST_OK;
    struct publisher *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return ST_NOMEM;
    log_tree_init(&p->tree, l->folder);
    (void)snprintf(p->path, sizeof(p->path), "%s/checkpoint", l->folder);
    buf_init(&p->leaves, LEAVES_MAX);
    buf_init(&p->taken, LEAVES_MAX);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &a);
    pthread_cond_init(&p->told, &a);
    pthread_condattr_destroy(&a);
    l->publisher = p;
    return ST_OK;
}

void publish_free(struct audit_log *l)
{
    struct publisher *p = l->publisher;

    if (p == NULL)
        return;
    buf_free(&p->leaves);
    buf_free(&p->taken);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->told);
    pthread_mutex_destroy(&p->lock);
    free(p);
    l->publisher = NULL;
}

/* ---- leaves ---------------------------------------------------------------
 */

enum status publish_resume(struct audit_log *l, uint64_t first)
{
    return l->publisher == NULL ? ST_OK
                                : log_tree_resume(&l->publisher->tree, first);
}

enum status publish_found(struct audit_log *l, struct slice line)
{
    uint8_t leaf[HASH_BYTES];

    if (l->publisher == NULL)
        return ST_OK;
    merkle_leaf(line.at, line.len, leaf);
    uint64_t before = l->publisher->tree.size;
    enum status st = log_tree_add(&l->publisher->tree, leaf);
    /* No room for a tile: it is tried again before anything is signed. */
    return l->publisher->tree.size > before ? ST_OK : st;
}

void publish_lines(struct audit_log *l, struct slice lines)
{
    struct publisher *p = l->publisher;
    uint8_t leaf[HASH_BYTES];

    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    while (lines.len > 0) {
        size_t end = slice_find(lines, '\n');
        merkle_leaf(lines.at, end, leaf);
        buf_put_bytes(&p->leaves, leaf, HASH_BYTES);
        lines = slice_skip(lines, end + 1);
    }
    bool lost = p->leaves.failed;
    pthread_mutex_unlock(&p->lock);
    if (lost)
        log_break(l, ST_NOMEM);
}

/* What was handed over goes into the tree. ST_FULL: the rest waits. */
static enum status grow(struct publisher *p)
{
    enum status st = ST_OK;

    if (p->taken_at == p->taken.len) {
        buf_reset(&p->taken);
        p->taken_at = 0;
        pthread_mutex_lock(&p->lock);
        struct buf empty = p->taken;
        p->taken = p->leaves;
        p->leaves = empty;
        pthread_mutex_unlock(&p->lock);
    }
    while (st == ST_OK && p->taken_at < p->taken.len) {
        uint64_t before = p->tree.size;
        st = log_tree_add(&p->tree,
                          (const uint8_t *)p->taken.data + p->taken_at);
        p->taken_at += p->tree.size > before ? HASH_BYTES : 0;
    }
    return st == ST_OK ? log_tree_settle(&p->tree) : st;
}

/* ---- the thread -------------------------------------------------------------
 */

static bool is_final(enum status st)
{
    return st == ST_MISMATCH || st == ST_END || st == ST_CORRUPT ||
           st == ST_IO || st == ST_NOMEM;
}

static bool is_due(struct audit_log *l, bool last)
{
    struct publisher *p = l->publisher;
    int64_t mono = mono_now(l);
    bool grown = p->tree.size > p->size;

    pthread_mutex_lock(&p->lock);
    bool wanted = p->wanted > p->size && p->tree.size >= p->wanted;
    pthread_mutex_unlock(&p->lock);
    if (grown && (last || wanted))
        return true;
    return mono - p->tried_mono >= PUBLISH_MS &&
           (grown || mono - p->good_mono >= STILL_THERE_MS);
}

static enum status work(struct audit_log *l, bool last)
{
    struct publisher *p = l->publisher;
    enum status st = grow(p);

    if (st == ST_OK && is_due(l, last)) {
        p->tried_mono = mono_now(l);
        st = publish_sign(l, p->tree.size);
        if (st != ST_OK && !is_final(st))
            log_warn(LOG_AUDIT,
                     "the log could not be signed; it is tried "
                     "again",
                     LOG_NAME("why", status_name(st)));
    }
    if (is_final(st)) {
        log_error(LOG_AUDIT, "the log cannot be signed",
                  LOG_NAME("why", status_name(st)));
        log_break(l, st);
    }
    return st;
}

static void record_blocked(struct audit_log *l, const char *d)
{
    const struct audit_entry e = {.act = RECORD_AUDIT_BLOCKED,
                                  .why = "timer",
                                  .out = AUDIT_FAILED,
                                  .d = slice_of(d)};
    enum status st = audit_append(l, &e, false, NULL);

    if (st != ST_OK && st != ST_CLOSED)
        log_error(LOG_AUDIT, "a record could not be written",
                  LOG_NAME("why", status_name(st)));
}

/* Events wait while nobody signs. It is told when it begins and when it is
 * over; a full disk, which keeps everything from being signed, is told already.
 */
static void watch_age(struct audit_log *l)
{
    struct publisher *p = l->publisher;
    int64_t now = mono_now(l), age = now - p->good_mono;
    char d[80];

    if (!p->blocked && age > AUDIT_UNSIGNED_MS && !audit_is_blocked(l)) {
        p->blocked_mono = now;
        atomic_store(&p->blocked, true);
        log_error(LOG_AUDIT, "the log is not being signed: nothing is accepted",
                  LOG_NUM("ms", age));
        record_blocked(l, "{\"cause\":\"signer\",\"state\":\"begin\"}");
    } else if (p->blocked && age <= AUDIT_UNSIGNED_MS) {
        atomic_store(&p->blocked, false);
        log_info(LOG_AUDIT, "the log is signed again",
                 LOG_NUM("ms", now - p->blocked_mono));
        (void)snprintf(d, sizeof(d),
                       "{\"cause\":\"signer\",\"state\":\"end\",\"ms\":%" PRId64
                       "}",
                       now - p->blocked_mono);
        record_blocked(l, d);
    }
}

/* Wait for a wish or the tick; true when this is the last pass. */
static bool rest(struct publisher *p)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PUBLISH_WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&p->lock);
    if (!p->stopping)
        (void)pthread_cond_timedwait(&p->wake, &p->lock, &until);
    bool last = p->stopping;
    pthread_mutex_unlock(&p->lock);
    return last;
}

/* As well as it goes: the next start does the rest. */
static void sign_the_end(struct audit_log *l)
{
    const struct publisher *p = l->publisher;
    struct timespec now, until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_S;
    do {
        if (audit_is_broken(l) ||
            (work(l, true) == ST_OK && p->size == p->tree.size))
            return;
        publish_pause(PUBLISH_WAIT_MS);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < until.tv_sec);
    log_warn(LOG_AUDIT, "the end of the log is not signed",
             LOG_NUM("records", p->tree.size), LOG_NUM("signed", p->size));
}

static void *publish_thread(void *log)
{
    struct audit_log *l = log;
    struct publisher *p = l->publisher;

    while (!rest(p)) {
        if (audit_is_broken(l))
            continue;
        (void)work(l, false);
        watch_age(l);
    }
    sign_the_end(l);
    return NULL;
}

enum status publish_start(struct audit_log *l)
{
    struct publisher *p = l->publisher;

    if (p == NULL)
        return ST_OK;
    if (pthread_create(&p->thread, NULL, publish_thread, l) != 0)
        return ST_NOMEM;
    p->running = true;
    return ST_OK;
}

void publish_stop(struct audit_log *l)
{
    struct publisher *p = l->publisher;

    if (p == NULL || !p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_cond_broadcast(&p->told);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
}

/* ---- for everybody ----------------------------------------------------------
 */

uint64_t audit_signed_size(const struct audit_log *l)
{
    return l->publisher == NULL ? 0 : l->publisher->size;
}

int64_t audit_signed_age_ms(const struct audit_log *l)
{
    const struct publisher *p = l->publisher;

    return p == NULL || !p->running ? 0 : mono_now(l) - p->good_mono;
}

bool audit_is_unsigned(const struct audit_log *l)
{
    return l->publisher != NULL && l->publisher->blocked;
}

enum status audit_wait_signed(struct audit_log *l, uint64_t index,
                              int64_t timeout_ms)
{
    struct publisher *p = l->publisher;
    struct timespec until;
    int rc = 0;

    if (p == NULL)
        return ST_OK;
    if (audit_signed_age_ms(l) > AUDIT_DEAF_MS)
        timeout_ms = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / MS_PER_S);
    until.tv_nsec += (long)(timeout_ms % MS_PER_S) * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&p->lock);
    while (p->size <= index && rc == 0 && !p->stopping && !audit_is_broken(l)) {
        if (p->wanted <= index)
            p->wanted = index + 1;
        pthread_cond_signal(&p->wake);
        rc = pthread_cond_timedwait(&p->told, &p->lock, &until);
    }
    bool covered = p->size > index;
    bool over = p->stopping || audit_is_broken(l);
    pthread_mutex_unlock(&p->lock);
    return covered ? ST_OK : over ? ST_CLOSED : ST_TIMEOUT;
}
