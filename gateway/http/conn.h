/* conn.h - one connection and its server, as server.c, conn.c, conn_read.c,
 * request.c and answer.c share them.
 *
 *   HANDSHAKE -> READING <-> WAITING      an exchange is with the handler
 *                   |           |
 *                   v           v
 *                CLOSING      GONE        the client left; wait for the answer
 *                   |
 *                LINGER                   answered; drop what still arrives */
#ifndef LETHE_GATEWAY_HTTP_CONN_H
#define LETHE_GATEWAY_HTTP_CONN_H

#include "lethe/gateway/http/address.h"
#include "lethe/gateway/http/parser.h"
#include "lethe/gateway/http/server.h"
#include "tls.h"
#include "wire.h"

#include <event2/event.h>
#include <event2/event_struct.h>

/* Idle ones that a server keeps. Giving one back unmaps memory, which stops
 * every thread for a moment: keep as many as there may be answers waiting for
 * one sync. What they hold is only what requests touched. */
#define ARENAS_KEPT_MAX   1024u
#define LARGE_ARENAS_KEPT 8u
#define REFUSED_MAX       64u /* connections over the limit that get an answer */
#define ACCEPTS_MAX       64u  /* in one go */
#define SWEEP_MS_MAX      1000 /* how late a time limit may bite */
#define NEVER_MS          INT64_MAX

enum conn_state {
    CONN_HANDSHAKE,
    CONN_READING,
    CONN_WAITING,
    CONN_CLOSING,
    CONN_LINGER,
    CONN_GONE
};

struct conn {
    struct http_exchange x; /* first: an exchange leads back to its conn */
    struct http_server *server;
    struct conn *prev, *next;             /* all of the server's */
    struct conn *dirty_prev, *dirty_next; /* have something to send */
    bool dirty;
    enum conn_state state;
    int fd;
    struct event read_ev, write_ev;
    bool reading, writing; /* the events are added */
    struct tls_session *tls;
    struct http_parser parser;
    struct wire in, out;
    size_t out_sent; /* bytes of `out` that have left */
    size_t out_mark; /* ... when out_deadline_ms was set */
    char *inflated;  /* the body after gzip, or NULL */
    size_t inflated_len;
    size_t arena_held;       /* of the budget, for an arena that waits */
    int64_t deadline_ms;     /* of what the state waits for */
    int64_t out_deadline_ms; /* of the client's reading */
    unsigned requests;
    size_t lingered; /* bytes thrown away */
    bool begun;      /* a request's first byte is there */
    bool continued;  /* "100 Continue" was sent */
    bool eof;        /* the client will send no more */
    bool advancing;  /* conn_advance() is at work: it goes on by itself */
    bool stalled;    /* whole requests may lie in `in`, unparsed */
    bool linger;     /* close only after the client has stopped sending */
    bool head_only;  /* the request is a HEAD */
    bool keep_alive; /* the request allows another one */
    bool proxied;    /* the peer is a trusted proxy */
    struct address peer;
};

struct http_server {
    struct event_base *base;
    const struct conf_listen *listen;
    struct http_limits limits;
    struct http_handlers handlers;
    struct tls_context *tls;
    struct event accept_ev, sweep_ev, flush_ev;
    int fd; /* -1 once draining */
    bool accept_paused, draining, flush_planned;
    bool started; /* the events are assigned */
    struct conn *conns;
    struct conn *dirty, *dirty_last;
    _Atomic unsigned count; /* read by the thread that drains, too */
    _Atomic unsigned *open; /* what the limit counts: limits.open or `count` */
    size_t body_cap;        /* bytes of the largest input buffer */
    struct wire_budget budget;
    struct arena *arenas[ARENAS_KEPT_MAX];
    unsigned large_arenas; /* of them, arena_is_large() */
    unsigned arena_count;
};

/* server.c: a connection is gone and makes room. */
void server_leave_place(struct http_server *s);

/* conn.c. Everything that may free `c` says so. */
int64_t conn_now_ms(void);
/* Takes `fd` and its place in the count (server_leave_place()) in any case; may
 * free at once. `over`: it gets a 503 and goes. */
void conn_open(struct http_server *s, int fd, const struct address *peer,
               bool over);
void conn_close(struct conn *c); /* frees, unless an exchange is out: GONE */
void conn_free(struct conn *c);
void conn_mark_dirty(struct conn *c);
void conn_unmark_dirty(struct conn *c);
void conn_send(struct conn *c);                    /* may free */
void conn_check_time(struct conn *c, int64_t now); /* may free */
void conn_want_read(struct conn *c, bool on);
bool conn_is_backlogged(const struct conn *c);
/* Call back in this turn or the next, as if there were something to read. */
void conn_resume_soon(struct conn *c);
#define CONN_IO_END    0
#define CONN_IO_AGAIN  -1
#define CONN_IO_FAILED -2
ssize_t conn_recv(struct conn *c, char *out, size_t len); /* bytes or these */

/* conn_read.c: bytes in, requests out. Both may free. `fresh`: the socket was
 * said to be readable. */
void conn_on_readable(struct conn *c, bool fresh);
void conn_look_while_waiting(struct conn *c);
/* The request is over: wipe it, be ready for the next, or close. */
void conn_end_request(struct conn *c, bool close);
/* Answer `status` and close; tells the handler's counters. */
void conn_refuse(struct conn *c, int status);

/* request.c: hand the complete request over; 0 or the status to refuse. */
int request_dispatch(struct conn *c);
/* The head that the parser has read whole, without a body, into c->x. */
void request_take_head(struct conn *c);
void request_clear(struct conn *c); /* body, arena, pointers */

/* answer.c: the bytes of `a` into c->out. False: no memory. */
bool answer_write(struct conn *c, const struct http_answer *a, bool close);

/* server.c */
struct arena *server_take_arena(struct http_server *s);
void server_give_arena(struct http_server *s, struct arena *a);

#endif
