#include "lethe/gateway/audit_desk.h"

#include "lethe/gateway/audit/tiles.h"
#include "lethe/policy/base/log.h"

#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REST_S      10 /* without work: then files are let go */
#define MINIMUM_MAX 24u

struct desk_job {
    struct desk_job *next;
    struct audit_ask ask;
    struct http_exchange *x;
    enum status st;
    struct buf body;
};

struct desk_list {
    struct desk_job *first, **last;
};

struct desk_reader {
    char who[16];
    int64_t until_ms;
};

struct audit_desk {
    struct tiles *tiles; /* the thread's */
    struct event *done_event;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct desk_list asked, done; /* under lock */
    bool stopping;                /* under lock */
    struct desk_reader readers[AUDIT_DESK_READERS];
};

enum status audit_ask_read(struct slice target, struct audit_ask *out)
{
    const struct slice prefix = SLICE("/audit/");
    struct slice path = slice_skip(target, prefix.len);
    struct audit_ask ask = {.what = AUDIT_ASKED_TILE};
    enum status st = ST_OK;

    if (!slice_starts(target, prefix))
        return ST_SYNTAX;
    if (slice_eq(path, SLICE("checkpoint")))
        ask.what = AUDIT_ASKED_CHECKPOINT;
    else if (slice_eq(path, SLICE("minimum-index")))
        ask.what = AUDIT_ASKED_MINIMUM;
    else
        st = tile_name_read(path, &ask.tile);
    if (st == ST_OK)
        *out = ask;
    return st;
}

/* ---- lists ----------------------------------------------------------------
 */

static void list_init(struct desk_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct desk_list *l, struct desk_job *j)
{
    j->next = NULL;
    *l->last = j;
    l->last = &j->next;
}

static struct desk_job *list_take(struct desk_list *l)
{
    struct desk_job *j = l->first;

    if (j != NULL && (l->first = j->next) == NULL)
        l->last = &l->first;
    return j;
}

static void job_free(struct desk_job *j)
{
    buf_free(&j->body);
    free(j);
}

/* ---- the thread ------------------------------------------------------------
 */

static enum status make_tile(struct tiles *t, struct desk_job *j)
{
    struct checkpoint c;
    struct buf note;

    buf_init(&note, NOTE_BYTES_MAX);
    enum status st = tiles_checkpoint(t, &note, &c);
    if (st == ST_OK)
        st = tiles_get(t, &j->ask.tile, c.size, &j->body);
    buf_free(&note);
    return st;
}

static enum status make(struct tiles *t, struct desk_job *j)
{
    struct checkpoint c;
    uint64_t minimum;
    enum status st = ST_OK;

    switch (j->ask.what) {
    case AUDIT_ASKED_CHECKPOINT:
        return tiles_checkpoint(t, &j->body, &c);
    case AUDIT_ASKED_MINIMUM:
        st = tiles_minimum(t, &minimum);
        if (st == ST_OK)
            buf_printf(&j->body, "%" PRIu64 "\n", minimum);
        return st;
    case AUDIT_ASKED_TILE:
    default:
        return make_tile(t, j);
    }
}

/* The next job; NULL after REST_S without one. */
static struct desk_job *wait_for_job(struct audit_desk *d)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += REST_S;
    while (!d->stopping && d->asked.first == NULL &&
           pthread_cond_timedwait(&d->wake, &d->lock, &until) == 0)
        ;
    return list_take(&d->asked);
}

static void *desk_thread(void *desk)
{
    struct audit_desk *d = desk;

    pthread_mutex_lock(&d->lock);
    while (!d->stopping) {
        struct desk_job *j = wait_for_job(d);
        pthread_mutex_unlock(&d->lock);
        if (j != NULL)
            j->st = make(d->tiles, j);
        else
            tiles_rest(d->tiles);
        pthread_mutex_lock(&d->lock);
        if (j == NULL)
            continue;
        list_add(&d->done, j);
        event_active(d->done_event, 0, 0);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* ---- answers ---------------------------------------------------------------
 */

static void add_header(struct http_answer *a, struct slice name,
                       struct slice value)
{
    a->headers[a->header_count++] = (struct beacon_header){name, value};
}

static int status_of(enum status st)
{
    return st == ST_OK        ? 200
           : st == ST_UNKNOWN ? 404
           : st == ST_CLOSED  ? 410
           : st == ST_BUSY    ? 503
                              : 500;
}

/* A full tile or bundle never changes; a partial one neither, but clients must
 * be able to do without it. All of it is for the bearer alone. */
static struct slice caching(const struct audit_ask *ask)
{
    if (ask->what != AUDIT_ASKED_TILE)
        return SLICE("no-store");
    return ask->tile.width == TILE_WIDTH
               ? SLICE("private, max-age=31536000, immutable")
               : SLICE("private, max-age=3600");
}

static void answer(struct desk_job *j)
{
    struct http_answer a;
    int status = status_of(j->st);

    if (status == 200) {
        a = (struct http_answer){
            .status = 200,
            .content_type = j->ask.what == AUDIT_ASKED_TILE
                                ? SLICE("application/octet-stream")
                                : SLICE("text/plain; charset=utf-8"),
            .body = buf_slice(&j->body),
        };
        add_header(&a, SLICE("Cache-Control"), caching(&j->ask));
        add_header(&a, SLICE("X-Content-Type-Options"), SLICE("nosniff"));
    } else {
        http_error_answer(status, &a);
    }
    if (status == 500)
        log_error(LOG_AUDIT, "the audit log cannot be shown to an auditor",
                  LOG_NAME("why", status_name(j->st)));
    http_answer(j->x, &a);
}

static void on_done(evutil_socket_t fd, short what, void *ctx)
{
    struct audit_desk *d = ctx;
    struct desk_job *j;

    (void)fd;
    (void)what;
    do {
        pthread_mutex_lock(&d->lock);
        j = list_take(&d->done);
        pthread_mutex_unlock(&d->lock);
        if (j != NULL) {
            answer(j);
            job_free(j);
        }
    } while (j != NULL);
}

void audit_desk_ask(struct audit_desk *d, const struct audit_ask *ask,
                    struct http_exchange *x)
{
    struct desk_job *j = calloc(1, sizeof(*j));

    if (j == NULL) {
        struct http_answer a;
        http_error_answer(503, &a);
        http_answer(x, &a);
        return;
    }
    j->ask = *ask;
    j->x = x;
    buf_init(&j->body, TILES_BYTES_MAX);
    pthread_mutex_lock(&d->lock);
    list_add(&d->asked, j);
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

/* ---- who has read -----------------------------------------------------------
 */

bool audit_desk_is_read_by(struct audit_desk *d, const char *who,
                           int64_t mono_ms)
{
    struct desk_reader *oldest = &d->readers[0];

    for (unsigned i = 0; i < AUDIT_DESK_READERS; i++) {
        struct desk_reader *r = &d->readers[i];
        if (strcmp(r->who, who) == 0) {
            if (mono_ms < r->until_ms)
                return true;
            oldest = r;
            break;
        }
        if (r->until_ms < oldest->until_ms)
            oldest = r;
    }
    (void)snprintf(oldest->who, sizeof(oldest->who), "%s", who);
    oldest->until_ms = mono_ms + AUDIT_DESK_READING_MS;
    return false;
}

void audit_desk_unread(struct audit_desk *d, const char *who)
{
    for (unsigned i = 0; i < AUDIT_DESK_READERS; i++)
        if (strcmp(d->readers[i].who, who) == 0)
            d->readers[i] = (struct desk_reader){.until_ms = 0};
}

/* ---- life
 * -------------------------------------------------------------------- */

enum status audit_desk_open(struct event_base *base, const char *folder,
                            struct audit_desk **out)
{
    struct audit_desk *d = calloc(1, sizeof(*d));
    pthread_condattr_t attr;

    if (d == NULL)
        return ST_NOMEM;
    list_init(&d->asked);
    list_init(&d->done);
    enum status st = tiles_open(folder, TILES_WORK_MAX, &d->tiles);
    d->done_event = event_new(base, -1, EV_PERSIST, on_done, d);
    if (st == ST_OK && d->done_event == NULL)
        st = ST_NOMEM;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (st == ST_OK && pthread_create(&d->thread, NULL, desk_thread, d) != 0)
        st = ST_NOMEM;
    if (st == ST_OK) {
        *out = d;
        return ST_OK;
    }
    if (d->done_event != NULL)
        event_free(d->done_event);
    tiles_close(d->tiles);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
    return st;
}

void audit_desk_close(struct audit_desk *d)
{
    struct desk_job *j;

    if (d == NULL)
        return;
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    while ((j = list_take(&d->asked)) != NULL ||
           (j = list_take(&d->done)) != NULL)
        job_free(j);
    event_free(d->done_event);
    tiles_close(d->tiles);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
