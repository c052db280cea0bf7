/* http_inner.h - shared by http.c (destinations, transfers) and http_loop.c
 * (curl on libevent); nobody else includes it. */
#ifndef LETHE_GATEWAY_SINK_HTTP_INNER_H
#define LETHE_GATEWAY_SINK_HTTP_INNER_H

#include "lethe/gateway/sink/sink.h"

#include <curl/curl.h>

struct event;

struct net_loop {
    struct event_base *base;
    struct event *timer;
    CURLM *multi;
};

/* A transfer has ended: tell its owner and free it. */
void net_finish(struct net_transfer *t, CURLcode code);

#endif
