/* witness_internal.h - what witness.c (rounds, threads) and witness_http.c (one
 * request) share. */
#ifndef GATEWAY_AUDIT_WITNESS_INTERNAL_H
#define GATEWAY_AUDIT_WITNESS_INTERNAL_H

#include "lethe/gateway/audit/witness.h"

#include <stdatomic.h>

/* curl made ready, and the URL looked at. Errors: ST_SYNTAX, ST_DENIED,
 * ST_NOMEM. */
enum status witness_http_check(const char *url, bool *out_plain) MUST_CHECK;

struct witness_answer {
    int status; /* 0: there was none */
    bool tls_failed;
    struct buf body;
};
/* POST `body` to the witness; waits at most `timeout_ms`, and not much longer
 * than until *stop. out->body is the caller's to free. */
void witness_http_post(const struct conf_witness *w, bool plain,
                       int64_t timeout_ms, struct slice body,
                       const _Atomic bool *stop, struct witness_answer *out);

#endif
