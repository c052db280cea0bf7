/* address.h - whose request is it? The peer of the socket, or, where that is
 * a trusted proxy, what X-Forwarded-For says, read from the right. */
#ifndef LETHE_GATEWAY_HTTP_ADDRESS_H
#define LETHE_GATEWAY_HTTP_ADDRESS_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/beacon.h"

#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 64u
#define ADDRESS_HOPS_MAX 32u /* elements read from the right */

struct address {
    int family; /* AF_INET or AF_INET6; IPv4 in IPv6 becomes AF_INET */
    uint8_t bytes[16];
};

/* Errors: ST_TYPE (neither IPv4 nor IPv6). */
enum status address_of(const struct sockaddr *sa,
                       struct address *out) MUST_CHECK;

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80".
 * Errors: ST_SYNTAX. */
enum status address_parse(struct slice text, struct address *out) MUST_CHECK;

void address_format(const struct address *a, char out[ADDRESS_TEXT_MAX]);

/* `a` lies in one of the listener's trusted networks. */
bool address_is_proxy(const struct conf_listen *l, const struct address *a);

/* The client behind `peer`. From the right, the first hop that is no trusted
 * proxy; a hop that is no address ends the search at the last one that was,
 * since whoever wrote it is not to be believed. */
struct address address_client(const struct conf_listen *l,
                              const struct address *peer,
                              const struct beacon_header *headers,
                              unsigned count);

#endif
