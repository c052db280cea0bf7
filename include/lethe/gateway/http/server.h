/* server.h - HTTP/1.1 on one event base, for the public and the admin
 * listener alike (design.md section 4: own strict parser on libevent's
 * `event`; bufferevents only for TLS).
 *
 * One request of a connection at a time: bytes of the next wait until the
 * answer to the first was given. An exchange stays valid until it is
 * answered, also when the client has gone (the answer is then dropped).
 * Everything here runs on the base's own thread. Never trusts bytes: every
 * limit below answers with its own status and closes. */
#ifndef LETHE_GATEWAY_HTTP_SERVER_H
#define LETHE_GATEWAY_HTTP_SERVER_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/beacon.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX     16384u  /* bytes of request line and headers: 431 */
#define HTTP_HEADERS_MAX  64u     /* header fields: 431 */
#define HTTP_TARGET_MAX   8192u   /* bytes of the request target: 414 */
#define HTTP_IDLE_MS      75000   /* keep-alive connection without a request */
#define HTTP_REQUESTS_MAX 100000u /* requests on one connection, then close */
#define HTTP_ARENA_MAX    (64u << 20)  /* bytes of one exchange's arena */
#define HTTP_MEMORY_MAX   (256u << 20) /* bytes of big bodies and arenas: 503 */
#define HTTP_LINGER_MS    2000 /* wait for a refused client to stop sending */
#define HTTP_LINGER_MAX   (16u << 20) /* bytes of it that are thrown away */
#define HTTP_BACKLOG_MAX  65536u /* bytes a client has not read: no new one */
#define HTTP_PIPELINE_MAX 32u    /* requests of one connection in one go */
#define HTTP_READ_RATE    16     /* bytes/ms a client must read on average */

struct event_base;
struct http_server;
struct tls_context;

struct http_limits {
    unsigned connections; /* open ones; more are answered 503 + close */
    /* Counts them for all servers that share this limit, whatever thread they
     * are on; it outlives them. NULL: the limit is this server's own. */
    _Atomic unsigned *open;
    uint64_t body;      /* bytes on the wire: 413 */
    uint64_t inflated;  /* bytes after gzip: 413 */
    int64_t request_ms; /* from the first byte to the last: 408 */
    int64_t idle_ms;    /* between requests; 0 = HTTP_IDLE_MS */
    uint64_t memory;    /* bodies and waiting arenas; 0 = HTTP_MEMORY_MAX */
};

/* A complete request, its body inflated (also where gzip shows only in its
 * first bytes). All borrowed from the connection, valid until the answer. */
struct http_request {
    struct slice method;
    struct slice target; /* raw */
    struct slice path;   /* percent-decoded where plain ASCII; no query */
    struct slice query;  /* raw, without '?' */
    struct slice host;   /* without the port; IPv6 in brackets */
    struct beacon_header headers[HTTP_HEADERS_MAX];
    unsigned header_count;
    char *body; /* may be written into */
    size_t body_len;
    char address[64];       /* the client's, after trusted proxies; text */
    bool secure;            /* came over TLS, or a trusted proxy says so */
    struct slice authority; /* host as sent, with its port */
};

struct http_exchange {
    struct http_request request;
    struct arena *arena;        /* at most HTTP_ARENA_MAX; wiped after the
                                 * answer */
    void *user;                 /* the handler's own */
    struct http_exchange *next; /* for the handler's lists */
};

#define HTTP_ANSWER_HEADERS_MAX 12u
struct http_answer {
    int status;
    struct slice content_type; /* SLICE_NONE: no body's type */
    struct slice body;         /* copied by http_answer() */
    struct beacon_header headers[HTTP_ANSWER_HEADERS_MAX];
    unsigned header_count;
    bool close; /* end the connection after it */
};

/* A request is complete. Answer it now, or keep `x` and answer later. */
typedef void http_on_request(void *ctx, struct http_exchange *x);

/* A request was refused before it was complete (400, 408, 413, 414, 415, 417,
 * 431, 501, 503, 505): for counters, and for headers that `answer`, the
 * constant one of this status, may get on top; the server sends it and closes.
 * `head` is the request without its body if the whole head was read, else
 * NULL; its path may still be percent-encoded. `answer` is NULL if there is
 * none to send. */
typedef void http_on_refused(void *ctx, int status,
                             const struct http_request *head,
                             struct http_answer *answer);

struct http_handlers {
    http_on_request *on_request;
    http_on_refused *on_refused;
    void *ctx;
};

/* Listen on l->address. `reuse_port` lets several workers share it; port 0
 * takes a free one (http_server_port tells which). The caller owns *out;
 * `base` and `l` outlive it. Errors: ST_IO (errno: EADDRINUSE ...),
 * ST_CRYPTO (certificate or key), ST_NOMEM. */
enum status http_server_open(struct event_base *base,
                             const struct conf_listen *l, bool reuse_port,
                             const struct http_limits *limits,
                             const struct http_handlers *handlers,
                             struct http_server **out) MUST_CHECK;

unsigned http_server_port(const struct http_server *s);

/* Answer `x`; it is gone afterwards. The bytes leave at the end of the pass
 * (http_server_flush) or at once if the socket takes them then. */
void http_answer(struct http_exchange *x, const struct http_answer *answer);

/* Send what the answers of this pass left to send. Call after each turn of
 * the event loop; who does not has it done by the loop's next turn. */
void http_server_flush(struct http_server *s);

/* New connections are shown this certificate (a reference is taken); those
 * that are open keep theirs. Only for a server that was opened with TLS. */
void http_server_use_tls(struct http_server *s, struct tls_context *tls);

/* Stop accepting; connections close after their present request. */
void http_server_drain(struct http_server *s);
unsigned http_server_connections(const struct http_server *s);

/* Close everything, answered or not, and free. NULL is allowed. */
void http_server_close(struct http_server *s);

/* Header of a request by name, ASCII case ignored; SLICE_NONE if absent, the
 * first if repeated. */
struct slice http_header(const struct http_request *r, struct slice name);

/* The answer of every error: {"error":"<enum>","message":"<fixed text>"}.
 * 503 and 429 carry Retry-After. */
void http_error_answer(int status, struct http_answer *out);

#endif
