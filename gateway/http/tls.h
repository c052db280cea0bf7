/* tls.h - TLS under a connection: OpenSSL on the connection's own socket, so
 * that plain and encrypted connections share one way through conn.c, and
 * decrypted bytes lie only in buffers that are wiped. No tickets and no
 * session cache: a resumed session would be an identifier. */
#ifndef LETHE_GATEWAY_HTTP_TLS_H
#define LETHE_GATEWAY_HTTP_TLS_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/status.h"

#include <stddef.h>
#include <sys/types.h>

struct tls_context; /* certificate, key and rules */
struct tls_session; /* one connection */

/* Not bytes: what to wait for. */
#define TLS_END        0  /* the peer has closed */
#define TLS_WANT_READ  -1 /* try again when readable */
#define TLS_WANT_WRITE -2 /* try again when writable */
#define TLS_FAILED     -3

/* Load what `conf` names. The caller owns *out. Errors: ST_CRYPTO. */
enum status tls_context_new(const struct conf_tls *conf,
                            struct tls_context **out) MUST_CHECK;
/* Sessions made from it live on. NULL is allowed. */
void tls_context_free(struct tls_context *t);

/* A server's side on `fd`, which stays the caller's. NULL on failure. */
struct tls_session *tls_session_new(struct tls_context *t, int fd);
/* 1 when done, else one of the above. */
ssize_t tls_handshake(struct tls_session *s);
/* Bytes (> 0) or one of the above. */
ssize_t tls_read(struct tls_session *s, void *out, size_t len);
ssize_t tls_write(struct tls_session *s, const void *bytes, size_t len);
/* Say goodbye, once, without waiting for an answer. */
void tls_goodbye(struct tls_session *s);
void tls_session_free(struct tls_session *s); /* NULL is allowed */

#endif
