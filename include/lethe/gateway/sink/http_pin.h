/* http_pin.h - how every request of ours goes out: all of curl's defaults that
 * reach beyond the configured URL are pinned here, once: no proxy, no netrc, no
 * cookies, no redirects, no plain http off loopback. */
#ifndef LETHE_GATEWAY_SINK_HTTP_PIN_H
#define LETHE_GATEWAY_SINK_HTTP_PIN_H

#include "lethe/policy/base/status.h"

#include <curl/curl.h>
#include <stdbool.h>

/* curl made ready for the process, once. Errors: ST_NOMEM. */
enum status http_client_start(void) MUST_CHECK;

/* https anywhere, http on loopback, nothing else; no user in the URL.
 * *out_plain: it is http. Errors: ST_SYNTAX, ST_DENIED, ST_NOMEM. */
enum status http_check_url(const char *url, bool *out_plain) MUST_CHECK;

/* `ca`: trust this PEM file and no other; NULL: the system's. The timeout is
 * for the whole transfer. `ca` is borrowed until the transfer's end. */
CURLcode http_pin(CURL *easy, bool plain_http, const char *ca, long timeout_ms);

/* The certificate or its name did not hold: nothing was sent. */
bool http_is_tls_failure(CURLcode code);

#endif
