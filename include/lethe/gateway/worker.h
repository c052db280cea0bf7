/* worker.h - one thread with its own event base, its own listening sockets
 * (SO_REUSEPORT) and its own intake. A turn of its loop reads all ready
 * sockets, gathers what they brought, hands the group over, and answers what
 * has become durable (design.md section 2 "loop pass"). */
#ifndef LETHE_GATEWAY_WORKER_H
#define LETHE_GATEWAY_WORKER_H

#include "lethe/gateway/conf.h"
#include "lethe/gateway/services.h"
#include "lethe/gateway/world.h"
#include "lethe/policy/base/status.h"

struct tls_context;
struct worker;

/* Open all listeners of `c` and start the thread, paused: nothing is decided
 * until worker_resume(). Errors: as http_server_open(), ST_NOMEM; *out_listen
 * is the listener that failed. */
enum status worker_start(unsigned number, const struct conf *c,
                         const struct services *services, struct worker **out,
                         unsigned *out_listen) MUST_CHECK;

/* The port of listener `index`. */
unsigned worker_port(const struct worker *w, unsigned index);

/* The barrier of a world switch. worker_pause() asks; worker_await_pause()
 * returns when the worker has handed over what it gathered and decides
 * nothing more (requests wait); worker_resume() gives the next world and
 * lets it go on. Supervisor only. */
void worker_pause(struct worker *w);
void worker_await_pause(struct worker *w);
void worker_resume(struct worker *w, struct world *next);

/* New connections are shown these certificates: one a listener, NULL where
 * it has no TLS; borrowed for the call, which waits. It cannot fail. */
void worker_use_tls(struct worker *w, struct tls_context *const *list);

/* Stop accepting; open connections end after their request. */
void worker_drain(struct worker *w);
unsigned worker_connections(const struct worker *w);

/* End the thread, close everything, free. */
void worker_stop(struct worker *w);

#endif
