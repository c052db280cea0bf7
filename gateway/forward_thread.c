/* Threads of the forwarders and how others speak to them. The mailbox's event
 * has the higher priority: a sweep is carried out before curl may write. */
#include "lethe/gateway/forward_inner.h"

#include "lethe/policy/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int64_t forward_wall(const struct destination *d)
{
    const struct clock *c = d->thread->f->parts.clock;

    return c->wall_ms(c->ctx);
}

int64_t forward_mono(const struct destination *d)
{
    const struct clock *c = d->thread->f->parts.clock;

    return c->mono_ms(c->ctx);
}

struct call *call_new(call_fn *run, struct destination *d, void *arg)
{
    struct call *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->refs = 2; /* the caller's and the thread's */
    c->run = run;
    c->dest = d;
    c->arg = arg;
    return c;
}

void call_unref(struct call *c)
{
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(c);
}

void thread_wake(struct forward_thread *t)
{
    const uint64_t one = 1;

    if (write(t->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        log_error(LOG_FORWARD, "cannot wake a thread", LOG_NUM("errno", errno));
}

void call_post(struct forward_thread *t, struct call *c)
{
    pthread_mutex_lock(&t->lock);
    c->next = NULL;
    *t->calls_end = c;
    t->calls_end = &c->next;
    pthread_mutex_unlock(&t->lock);
    thread_wake(t);
}

void call_done(struct forward *f, struct call *c, enum status result)
{
    pthread_mutex_lock(&f->lock);
    c->result = result;
    c->done = true;
    pthread_cond_broadcast(&f->call_end);
    pthread_mutex_unlock(&f->lock);
    call_unref(c);
}

bool call_wait(struct forward *f, struct call *c, int64_t wait_ms)
{
    struct timespec end;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += wait_ms / 1000;
    end.tv_nsec += wait_ms % 1000 * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&f->lock);
    while (!c->done && rc == 0)
        rc = wait_ms < 0 ? pthread_cond_wait(&f->call_end, &f->lock)
                         : pthread_cond_timedwait(&f->call_end, &f->lock, &end);
    bool done = c->done;
    pthread_mutex_unlock(&f->lock);
    return done;
}

enum status call_now(struct forward_thread *t, call_fn *run,
                     struct destination *d, void *arg)
{
    struct call *c = call_new(run, d, arg);

    if (c == NULL)
        return ST_NOMEM;
    call_post(t, c);
    (void)call_wait(t->f, c, -1);
    enum status r = c->result;
    call_unref(c);
    return r;
}

static void run_calls(struct forward_thread *t)
{
    pthread_mutex_lock(&t->lock);
    struct call *c = t->calls;
    t->calls = NULL;
    t->calls_end = &t->calls;
    pthread_mutex_unlock(&t->lock);
    while (c != NULL) {
        struct call *next = c->next;
        c->run(t, c);
        if (!c->later)
            call_done(t->f, c, c->result);
        c = next;
    }
}

static bool all_quiet(const struct forward_thread *t)
{
    for (const struct destination *d = t->dests; d != NULL; d = d->next)
        if (d->in_flight > 0)
            return false;
    return true;
}

static void run_all(struct forward_thread *t)
{
    int64_t wait = FORWARD_TICK_MS;
    const struct clock *c = t->f->parts.clock;

    for (struct destination *d = t->dests; d != NULL; d = d->next) {
        int64_t w = destination_run(d);
        wait = w < wait ? w : wait;
    }
    if (t->ending && (all_quiet(t) || c->mono_ms(c->ctx) >= t->end_at)) {
        (void)event_base_loopbreak(t->base);
        return;
    }
    if (t->ending && wait > 10)
        wait = 10;
    const struct timeval tv = {.tv_sec = wait / 1000,
                               .tv_usec = wait % 1000 * 1000};
    (void)event_add(t->timer, &tv);
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
    struct forward_thread *t = ctx;
    uint64_t times;

    (void)what;
    if (read(fd, &times, sizeof(times)) < 0 && errno != EAGAIN)
        log_error(LOG_FORWARD, "cannot read a wake-up",
                  LOG_NUM("errno", errno));
    run_calls(t);
    run_all(t);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    run_calls(ctx);
    run_all(ctx);
}

static void *thread_main(void *arg)
{
    struct forward_thread *t = arg;

    if (event_base_dispatch(t->base) < 0)
        log_error(LOG_FORWARD, "a forwarder's loop failed");
    for (struct destination *d = t->dests; d != NULL; d = d->next) {
        send_cut_all(d);
        settle_wait(d);
        settle_mark(d);
        settle_facts(d);
    }
    return NULL;
}

static void thread_free(struct forward_thread *t)
{
    net_loop_close(t->loop);
    if (t->wake != NULL)
        event_free(t->wake);
    if (t->timer != NULL)
        event_free(t->timer);
    if (t->base != NULL)
        event_base_free(t->base);
    if (t->wake_fd >= 0)
        (void)close(t->wake_fd);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static enum status thread_parts(struct forward_thread *t, bool network)
{
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->base = event_base_new();
    if (t->wake_fd < 0 || t->base == NULL ||
        event_base_priority_init(t->base, 2) != 0)
        return ST_IO;
    t->wake = event_new(t->base, t->wake_fd, EV_READ | EV_PERSIST, on_wake, t);
    t->timer = evtimer_new(t->base, on_timer, t);
    if (t->wake == NULL || t->timer == NULL ||
        event_priority_set(t->wake, 0) != 0 || event_add(t->wake, NULL) != 0)
        return ST_NOMEM;
    return network ? net_loop_open(t->base, &t->loop) : ST_OK;
}

enum status thread_new(struct forward *f, bool network,
                       struct forward_thread **out)
{
    struct forward_thread *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return ST_NOMEM;
    t->f = f;
    t->wake_fd = -1;
    t->calls_end = &t->calls;
    (void)pthread_mutex_init(&t->lock, NULL);
    enum status r = thread_parts(t, network);
    if (r == ST_OK && pthread_create(&t->id, NULL, thread_main, t) != 0)
        r = ST_IO;
    if (r != ST_OK) {
        thread_free(t);
        return r;
    }
    *out = t;
    return ST_OK;
}

static void run_end(struct forward_thread *t, struct call *c)
{
    const struct clock *clock = t->f->parts.clock;

    t->end_at = clock->mono_ms(clock->ctx) + c->number;
    t->ending = true;
}

void thread_end(struct forward_thread *t, int64_t drain_ms)
{
    struct call *c = call_new(run_end, NULL, NULL);

    if (c == NULL) { /* no memory to be polite */
        (void)event_base_loopbreak(t->base);
        thread_wake(t);
    } else {
        c->number = drain_ms;
        call_post(t, c);
        call_unref(c);
    }
    (void)pthread_join(t->id, NULL);
    run_calls(t); /* nobody is left waiting */
    while (t->dests != NULL) {
        struct destination *d = t->dests;
        t->dests = d->next;
        destination_free(d);
    }
    thread_free(t);
}
