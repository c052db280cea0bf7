/* libcurl's multi interface on libevent: curl tells what to watch, libevent
 * watches. One loop a forwarder thread. */
#include "lethe/gateway/sink/http_inner.h"

#include "lethe/gateway/sink/http_pin.h"

#include <event2/event.h>
#include <stdlib.h>

static void reap(struct net_loop *l)
{
    int left;
    CURLMsg *m;

    while ((m = curl_multi_info_read(l->multi, &left)) != NULL) {
        char *t = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result; /* m dies with the handle */
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        net_finish((struct net_transfer *)(void *)t, code);
    }
}

static void on_socket_event(evutil_socket_t fd, short what, void *ctx)
{
    struct net_loop *l = ctx;
    int running, flags = 0;

    if ((what & EV_READ) != 0)
        flags |= CURL_CSELECT_IN;
    if ((what & EV_WRITE) != 0)
        flags |= CURL_CSELECT_OUT;
    (void)curl_multi_socket_action(l->multi, fd, flags, &running);
    reap(l);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct net_loop *l = ctx;
    int running;

    (void)fd;
    (void)what;
    (void)curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(l);
}

static int want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct net_loop *l = ctx;
    struct timeval tv = {.tv_sec = timeout_ms / 1000,
                         .tv_usec = timeout_ms % 1000 * 1000};

    (void)multi;
    if (timeout_ms < 0)
        return event_del(l->timer);
    return event_add(l->timer, &tv);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
                       void *socket_ctx)
{
    struct net_loop *l = ctx;
    struct event *ev = socket_ctx;
    int flags = EV_PERSIST;

    (void)easy;
    if (ev != NULL) {
        event_free(ev);
        (void)curl_multi_assign(l->multi, fd, NULL);
    }
    if (what == CURL_POLL_REMOVE)
        return 0;
    if ((what & CURL_POLL_IN) != 0)
        flags |= EV_READ;
    if ((what & CURL_POLL_OUT) != 0)
        flags |= EV_WRITE;
    ev = event_new(l->base, fd, (short)flags, on_socket_event, l);
    if (ev == NULL || event_add(ev, NULL) != 0) {
        if (ev != NULL)
            event_free(ev);
        return -1; /* curl fails its transfers: they are tried again */
    }
    (void)curl_multi_assign(l->multi, fd, ev);
    return 0;
}

enum status net_loop_open(struct event_base *base, struct net_loop **out)
{
    if (http_client_start() != ST_OK)
        return ST_NOMEM;
    struct net_loop *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return ST_NOMEM;
    l->base = base;
    l->timer = evtimer_new(base, on_timer, l);
    l->multi = curl_multi_init();
    if (l->timer == NULL || l->multi == NULL) {
        net_loop_close(l);
        return ST_NOMEM;
    }
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    *out = l;
    return ST_OK;
}

void net_loop_close(struct net_loop *l)
{
    if (l == NULL)
        return;
    if (l->multi != NULL)
        (void)curl_multi_cleanup(l->multi);
    if (l->timer != NULL)
        event_free(l->timer);
    free(l);
}
