/* http_recorder.h - a real HTTP server on loopback, on a thread of its own,
 * that keeps what it took. */
#ifndef LETHE_TESTS_HTTP_RECORDER_H
#define LETHE_TESTS_HTTP_RECORDER_H

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODIES_MAX 4096

/* ---- a recorder of HTTP requests on a thread of its own ---- */

struct recorder {
    struct event_base *base;
    struct evhttp *http;
    struct event *stop;
    pthread_t thread;
    bool running;
    int fd;
    char url[64];
    pthread_mutex_t lock;
    int answer;         /* 0 = hang */
    const char *poison; /* bodies that hold it get 400 */
    const char *retry_after;
    char *bodies[BODIES_MAX];            /* of 2xx answers */
    unsigned body_count, requests, most; /* most events in a request */
};

static inline unsigned count_in(const char *text, const char *word)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static inline void on_request(struct evhttp_request *q, void *ctx)
{
    struct recorder *r = ctx;
    struct evbuffer *in = evhttp_request_get_input_buffer(q);
    size_t len = evbuffer_get_length(in);
    char *body = malloc(len + 1);

    evbuffer_copyout(in, body, len);
    body[len] = '\0';
    pthread_mutex_lock(&r->lock);
    int answer = r->answer;
    if (r->poison != NULL && strstr(body, r->poison) != NULL)
        answer = 400;
    if (r->retry_after != NULL)
        evhttp_add_header(evhttp_request_get_output_headers(q), "Retry-After",
                          r->retry_after);
    r->requests++;
    if (answer >= 200 && answer < 300 && r->body_count < BODIES_MAX) {
        unsigned events = count_in(body, "{\"n\":");
        r->most = events > r->most ? events : r->most;
        r->bodies[r->body_count++] = body;
        body = NULL;
    }
    pthread_mutex_unlock(&r->lock);
    free(body);
    if (answer != 0)
        evhttp_send_reply(q, answer, NULL, NULL);
}

static inline void *recorder_main(void *ctx)
{
    event_base_dispatch(((struct recorder *)ctx)->base);
    return NULL;
}

static inline void on_stop(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(ctx);
}

/* Listens; answers only from recorder_run() on. */
static inline void recorder_open(struct recorder *r, int receive_bytes)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);

    memset(r, 0, sizeof(*r));
    pthread_mutex_init(&r->lock, NULL);
    r->answer = 204;
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (receive_bytes > 0)
        setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                   sizeof(receive_bytes));
    assert_int_equal(bind(r->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(r->fd, 64), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&a, &len), 0);
    snprintf(r->url, sizeof(r->url), "http://127.0.0.1:%d/", ntohs(a.sin_port));
}

static int stop_pipe[2];

static inline void recorder_run(struct recorder *r)
{
    r->base = event_base_new();
    r->http = evhttp_new(r->base);
    evhttp_set_max_body_size(r->http, 64 << 20);
    evhttp_set_gencb(r->http, on_request, r);
    assert_int_equal(evhttp_accept_socket(r->http, r->fd), 0);
    r->stop = event_new(r->base, stop_pipe[0], EV_READ, on_stop, r->base);
    event_add(r->stop, NULL);
    r->running = pthread_create(&r->thread, NULL, recorder_main, r) == 0;
    assert_true(r->running);
}

static inline void recorder_close(struct recorder *r)
{
    if (r->running) {
        assert_int_equal(write(stop_pipe[1], "x", 1), 1);
        pthread_join(r->thread, NULL);
        event_free(r->stop);
        evhttp_free(r->http);
        event_base_free(r->base);
    } else {
        close(r->fd);
    }
    for (unsigned i = 0; i < r->body_count; i++)
        free(r->bodies[i]);
    pthread_mutex_destroy(&r->lock);
}

static inline void recorder_answers(struct recorder *r, int answer)
{
    pthread_mutex_lock(&r->lock);
    r->answer = answer;
    r->poison = NULL;
    r->retry_after = NULL;
    pthread_mutex_unlock(&r->lock);
}

static inline unsigned recorder_requests(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned n = r->requests;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* How often event `n` arrived. */
static inline unsigned recorder_has(struct recorder *r, unsigned n)
{
    char word[32];
    unsigned found = 0;

    snprintf(word, sizeof(word), "{\"n\":%u,", n);
    pthread_mutex_lock(&r->lock);
    for (unsigned i = 0; i < r->body_count; i++)
        found += count_in(r->bodies[i], word);
    pthread_mutex_unlock(&r->lock);
    return found;
}

#endif
