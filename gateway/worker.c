#include "lethe/gateway/worker.h"

#include "lethe/gateway/front.h"
#include "lethe/gateway/store/commit.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/log.h"

#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What other threads send a worker. */
enum letter_kind {
    LETTER_GROUP,  /* a group is on disk, or will never be */
    LETTER_RIGHTS, /* a rights job is done */
    LETTER_PAUSE,
    LETTER_RESUME,
    LETTER_TLS,
    LETTER_DRAIN,
    LETTER_STOP
};

struct letter {
    struct letter *next;
    enum letter_kind kind;
    enum status status;              /* LETTER_GROUP */
    struct http_exchange *exchanges; /* LETTER_GROUP, LETTER_RIGHTS */
    struct rights_job *job;          /* LETTER_RIGHTS */
    struct worker *worker;           /* whose it is, for callbacks */
    struct world *world;             /* LETTER_RESUME: a reference */
    struct tls_context *const *tls;  /* LETTER_TLS: one a listener, or NULL */
};

struct worker {
    unsigned number;
    const struct services *services;
    pthread_t thread;
    struct event_base *base;
    struct http_server *servers[CONF_LISTEN_MAX];
    unsigned server_count;
    struct event *tick;
    struct intake *intake;
    struct front front;
    int mail_fd;
    struct event *mail_event;
    pthread_mutex_t lock; /* of the mailbox */
    struct letter *first, **last;
    bool paused; /* decides nothing: requests are held */
    bool stopping;
    bool ticked; /* flush refusals with this turn */
    struct http_exchange *held, **held_tail;
    sem_t answered;     /* pause, TLS and stop are acknowledged here */
    unsigned in_flight; /* groups handed over and not yet back */
};

/* ---- mailbox ----------------------------------------------------------- */

static struct letter *letter_new(struct worker *w, enum letter_kind kind)
{
    struct letter *l = calloc(1, sizeof(*l));

    if (l != NULL) {
        l->kind = kind;
        l->worker = w;
    }
    return l;
}

static void post(struct worker *w, struct letter *l)
{
    const uint64_t one = 1;

    l->next = NULL;
    pthread_mutex_lock(&w->lock);
    bool was_empty = w->first == NULL;
    *w->last = l;
    w->last = &l->next;
    pthread_mutex_unlock(&w->lock);
    if (was_empty && write(w->mail_fd, &one, sizeof(one)) < 0)
        log_error(LOG_SERVE, "a worker's mailbox is full");
}

static struct letter *take_all(struct worker *w)
{
    uint64_t count;

    if (read(w->mail_fd, &count, sizeof(count)) < 0)
        count = 0; /* somebody was faster: the list decides */
    pthread_mutex_lock(&w->lock);
    struct letter *l = w->first;
    w->first = NULL;
    w->last = &w->first;
    pthread_mutex_unlock(&w->lock);
    return l;
}

/* ---- groups ------------------------------------------------------------ */

static void on_group_done(struct group *g, enum status st)
{
    struct letter *l = g->ctx;

    l->status = st;
    post(l->worker, l);
}

static void answer_waiting(struct worker *w, struct http_exchange *list,
                           enum status st)
{
    front_group_done(&w->front, list, st);
}

/* Hand over what this turn gathered, with those who wait for it. */
static void hand_over(struct worker *w, bool refusals_too)
{
    struct http_exchange *list = w->front.waiting;
    struct group *g = NULL;

    w->front.waiting = NULL;
    w->front.waiting_tail = &w->front.waiting;
    enum status st = intake_seal(w->intake, refusals_too, &g);
    struct letter *l = g != NULL ? letter_new(w, LETTER_GROUP) : NULL;
    if (g == NULL || l == NULL) {
        group_unref(g);
        if (st == ST_OK && (g != NULL || list != NULL))
            st = g != NULL ? ST_NOMEM : ST_OK;
        answer_waiting(w, list, st);
        return;
    }
    l->exchanges = list;
    g->on_done = on_group_done;
    g->ctx = l;
    w->in_flight++;
    commit_submit(w->services->commit, g);
}

/* ---- requests ---------------------------------------------------------- */

static void hold(struct worker *w, struct http_exchange *x)
{
    x->next = NULL;
    *w->held_tail = x;
    w->held_tail = &x->next;
}

/* The present epoch is over: nothing more is decided with it. */
static bool world_is_over(struct worker *w)
{
    const struct clock *clock = w->services->clock;
    const struct world *world = intake_world(w->intake);

    return clock->wall_ms(clock->ctx) >= world->valid_until_ms;
}

static void on_request(void *ctx, struct http_exchange *x)
{
    struct worker *w = ctx;

    if (w->paused) {
        hold(w, x);
        return;
    }
    if (world_is_over(w)) {
        hand_over(w, false);
        hold(w, x);
        w->paused = true; /* until the next world comes */
        w->services->world_is_over(w->services->ctx);
        return;
    }
    if (!intake_has_room(w->intake, x->request.body_len))
        hand_over(w, false);
    front_handle(&w->front, x);
}

static void on_refused(void *ctx, int status, const struct http_request *head,
                       struct http_answer *answer)
{
    struct worker *w = ctx;

    if (intake_world(w->intake) != NULL)
        front_refused(&w->front, status, head, answer);
}

static void on_rights_done(struct rights_job *job)
{
    struct letter *l = job->ctx;

    l->job = job;
    post(l->worker, l);
}

static bool ask_rights(void *ctx, struct rights_job *job,
                       struct http_exchange *x)
{
    struct worker *w = ctx;
    struct letter *l = letter_new(w, LETTER_RIGHTS);

    if (l == NULL)
        return false;
    l->exchanges = x;
    job->ctx = l;
    job->done = on_rights_done;
    if (rights_submit(w->services->rights, job) == ST_OK)
        return true;
    free(l);
    return false;
}

/* ---- letters ----------------------------------------------------------- */

static void resume(struct worker *w, struct letter *l)
{
    struct http_exchange *x = w->held;

    if (intake_set_world(w->intake, l->world) != ST_OK) {
        log_error(LOG_SERVE, "out of memory: a worker cannot go on");
        abort(); /* fail closed: never decide with a half-made world */
    }
    world_unref(l->world);
    w->held = NULL;
    w->held_tail = &w->held;
    w->paused = false;
    while (x != NULL) {
        struct http_exchange *next = x->next;
        on_request(w, x);
        x = next;
    }
}

static void use_tls(struct worker *w, struct tls_context *const *list)
{
    for (unsigned i = 0; i < w->server_count; i++)
        if (list[i] != NULL)
            http_server_use_tls(w->servers[i], list[i]);
    sem_post(&w->answered);
}

static void open_letter(struct worker *w, struct letter *l)
{
    switch (l->kind) {
    case LETTER_GROUP:
        w->in_flight--;
        answer_waiting(w, l->exchanges, l->status);
        break;
    case LETTER_RIGHTS:
        front_rights_done(&w->front, l->exchanges, l->job);
        break;
    case LETTER_PAUSE:
        w->paused = true;
        if (intake_world(w->intake) != NULL)
            hand_over(w, true);
        sem_post(&w->answered);
        break;
    case LETTER_RESUME:
        resume(w, l);
        break;
    case LETTER_TLS:
        use_tls(w, l->tls);
        break;
    case LETTER_DRAIN:
        for (unsigned i = 0; i < w->server_count; i++)
            http_server_drain(w->servers[i]);
        break;
    case LETTER_STOP:
        w->stopping = true;
        break;
    default:
        assert(false);
    }
    free(l);
}

static void on_mail(evutil_socket_t fd, short what, void *ctx)
{
    struct worker *w = ctx;
    struct letter *l = take_all(w);

    (void)fd;
    (void)what;
    while (l != NULL) {
        struct letter *next = l->next;
        open_letter(w, l);
        l = next;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct worker *w = ctx;

    (void)fd;
    (void)what;
    w->ticked = true;
}

/* ---- thread ------------------------------------------------------------ */

static void turn(struct worker *w)
{
    (void)event_base_loop(w->base, EVLOOP_ONCE);
    if (!w->paused &&
        (w->ticked || !intake_is_empty(w->intake) || w->front.waiting != NULL))
        hand_over(w, w->ticked);
    w->ticked = false;
    for (unsigned i = 0; i < w->server_count; i++)
        http_server_flush(w->servers[i]);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    while (!w->stopping || w->in_flight > 0)
        turn(w);
    return NULL;
}

static void clear(struct worker *w)
{
    for (unsigned i = 0; i < w->server_count; i++)
        http_server_close(w->servers[i]);
    intake_free(w->intake);
    if (w->tick != NULL)
        event_free(w->tick);
    if (w->mail_event != NULL)
        event_free(w->mail_event);
    if (w->base != NULL)
        event_base_free(w->base);
    if (w->mail_fd >= 0)
        (void)close(w->mail_fd);
    (void)pthread_mutex_destroy(&w->lock);
    (void)sem_destroy(&w->answered);
    free(w);
}

static enum status open_events(struct worker *w)
{
    const struct timeval second = {.tv_sec = 1};

    w->base = event_base_new();
    w->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->base == NULL || w->mail_fd < 0)
        return ST_NOMEM;
    w->mail_event =
        event_new(w->base, w->mail_fd, EV_READ | EV_PERSIST, on_mail, w);
    w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
    if (w->mail_event == NULL || w->tick == NULL ||
        event_add(w->mail_event, NULL) != 0 || event_add(w->tick, &second) != 0)
        return ST_NOMEM;
    return ST_OK;
}

static enum status open_servers(struct worker *w, const struct conf *c,
                                unsigned *out_listen)
{
    const struct http_limits limits = {
        .connections = c->limit_connections,
        .open = w->services->connections,
        .body = c->limit_body,
        .inflated = c->limit_inflated,
        .request_ms = c->limit_request_ms,
    };
    const struct http_handlers handlers = {on_request, on_refused, w};

    for (unsigned i = 0; i < c->listen_count; i++) {
        enum status st = http_server_open(w->base, &c->listen[i], true, &limits,
                                          &handlers, &w->servers[i]);
        if (st != ST_OK) {
            *out_listen = i;
            return st;
        }
        w->server_count = i + 1;
    }
    return ST_OK;
}

enum status worker_start(unsigned number, const struct conf *c,
                         const struct services *services, struct worker **out,
                         unsigned *out_listen)
{
    struct worker *w = calloc(1, sizeof(*w));
    enum status st = ST_NOMEM;

    if (w == NULL)
        return ST_NOMEM;
    w->number = number;
    w->services = services;
    w->paused = true;
    w->last = &w->first;
    w->held_tail = &w->held;
    w->front.waiting_tail = &w->front.waiting;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)sem_init(&w->answered, 0, 0);
    w->intake = intake_new(services);
    w->front.services = services;
    w->front.intake = w->intake;
    w->front.ask_rights = ask_rights;
    w->front.ctx = w;
    if (w->intake != NULL)
        st = open_events(w);
    if (st == ST_OK)
        st = open_servers(w, c, out_listen);
    if (st == ST_OK && pthread_create(&w->thread, NULL, work, w) != 0)
        st = ST_NOMEM;
    if (st != ST_OK) {
        clear(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

unsigned worker_port(const struct worker *w, unsigned index)
{
    return index < w->server_count ? http_server_port(w->servers[index]) : 0;
}

/* ---- the supervisor's side --------------------------------------------- */

static struct letter *must_letter(struct worker *w, enum letter_kind kind)
{
    struct letter *l = letter_new(w, kind);

    if (l == NULL) {
        log_error(LOG_SERVE, "out of memory");
        abort();
    }
    return l;
}

void worker_pause(struct worker *w)
{
    post(w, must_letter(w, LETTER_PAUSE));
}

static void await(struct worker *w)
{
    while (sem_wait(&w->answered) != 0)
        continue; /* interrupted by a signal */
}

void worker_await_pause(struct worker *w)
{
    await(w);
}

void worker_resume(struct worker *w, struct world *next)
{
    struct letter *l = must_letter(w, LETTER_RESUME);

    l->world = world_ref(next);
    post(w, l);
}

void worker_use_tls(struct worker *w, struct tls_context *const *list)
{
    struct letter *l = must_letter(w, LETTER_TLS);

    l->tls = list;
    post(w, l);
    await(w);
}

void worker_drain(struct worker *w)
{
    post(w, must_letter(w, LETTER_DRAIN));
}

unsigned worker_connections(const struct worker *w)
{
    unsigned count = 0;

    for (unsigned i = 0; i < w->server_count; i++)
        count += http_server_connections(w->servers[i]);
    return count;
}

void worker_stop(struct worker *w)
{
    if (w == NULL)
        return;
    post(w, must_letter(w, LETTER_STOP));
    (void)pthread_join(w->thread, NULL);
    clear(w);
}
