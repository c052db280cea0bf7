/* tls.h - TLS under a connection: OpenSSL on the connection's own socket, so
 * that plain and encrypted connections share one way through conn.c, and
 * decrypted bytes lie only in buffers that are wiped. No tickets and no
 * session cache: a resumed session would be an identifier. */
#ifndef LETHE_GATEWAY_HTTP_TLS_H
#define LETHE_GATEWAY_HTTP_TLS_H

#include "lethe/gateway/http/tls_context.h"

#include <stddef.h>
#include <sys/types.h>

struct tls_session; /* one connection */

/* Not bytes: what to wait for. */
#define TLS_END        0  /* the peer has closed */
#define TLS_WANT_READ  -1 /* try again when readable */
#define TLS_WANT_WRITE -2 /* try again when writable */
#define TLS_FAILED     -3

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
