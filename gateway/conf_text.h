/* conf_text.h - the grammars of texts in lethe.json: pure predicates, tested
 * through conf.h. Used by conf*.c alone. */
#ifndef LETHE_GATEWAY_CONF_TEXT_H
#define LETHE_GATEWAY_CONF_TEXT_H

#include "lethe/gateway/conf.h"

#include <stdbool.h>

bool conf_is_site_id(struct slice s);        /* 16..64 lower-case hex digits */
bool conf_is_site_name(struct slice s);      /* [a-z0-9-]{1,32}, not all hex */
bool conf_is_name(struct slice s);           /* [a-z0-9_-]{1,32} */
bool conf_is_measurement_id(struct slice s); /* [A-Za-z0-9-]{1,32} */
bool conf_is_key(struct slice s);            /* visible ASCII, at most 256 */
bool conf_is_host(struct slice s); /* name, IPv4 or [IPv6], any port */
bool conf_is_log_origin(struct slice s);
bool conf_is_header_text(struct slice s); /* one line of printable ASCII */
bool conf_is_template(struct slice s);    /* exactly one "{events}" */

/* https://..., or http://... to loopback; no user, space or fragment. */
bool conf_is_url(struct slice s);

/* The same, to which a path can be added: no query, no slash at the end. */
bool conf_is_url_prefix(struct slice s);
/* Verifier key of cosignatures (C2SP signed-note), in its one spelling. */
bool conf_is_witness_key(struct slice s);

/* "127.0.0.1:8080" or "[::1]:8080". */
bool conf_parse_address(struct slice s, struct conf_listen *out);
bool conf_address_is_loopback(const struct conf_listen *l);
/* Both would bind the same; port 0 is always another one. */
bool conf_same_address(const struct conf_listen *a,
                       const struct conf_listen *b);

/* "10.0.0.0/8", or an address alone; no bits set beyond the prefix. */
bool conf_parse_network(struct slice s, struct conf_network *out);

/* An octal mode such as "0640", never writable for others or executable. */
bool conf_parse_mode(struct slice s, unsigned *out);

/* Which kind of origin, and its scheme and text (slices of `s`). */
bool conf_parse_origin(struct slice s, enum origin_kind *out_kind,
                       struct slice *out_scheme, struct slice *out_text);

#endif
