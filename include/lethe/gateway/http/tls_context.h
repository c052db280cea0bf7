/* tls_context.h - a certificate, its key and the rules of TLS, loaded once and
 * shared by all servers of a listener, whatever thread they are on. Loading
 * can fail, putting it to use cannot (http_server_use_tls()): a reload loads
 * all of them before the first server gets a new one. */
#ifndef LETHE_GATEWAY_HTTP_TLS_CONTEXT_H
#define LETHE_GATEWAY_HTTP_TLS_CONTEXT_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/status.h"

struct tls_context; /* opaque; immutable once made, counted */

/* Load what `conf` names. The caller owns *out. Errors: ST_CRYPTO, ST_NOMEM. */
enum status tls_context_new(const struct conf_tls *conf,
                            struct tls_context **out) MUST_CHECK;
/* One more owner; from any thread. */
struct tls_context *tls_context_ref(struct tls_context *t);
/* One owner less. Sessions made from it live on. NULL is allowed. */
void tls_context_free(struct tls_context *t);

#endif
