/* same_site.h - whether a browser takes two hosts for one site, so that it
 * sends a SameSite=Lax cookie of the one with what a page of the other asks
 * for (RFC 6265bis 5.2; Public Suffix List, by libpsl). */
#ifndef LETHE_GATEWAY_HTTP_SAME_SITE_H
#define LETHE_GATEWAY_HTTP_SAME_SITE_H

#include "lethe/policy/base/slice.h"

#include <stdbool.h>

/* Hosts without ports, ASCII (IDN as xn--). Equal hosts are one site; so are
 * two names under one registrable domain. Addresses and names of which the
 * list knows none ("localhost") are one site with themselves alone. A name of
 * more than 253 bytes is nobody's. Any thread. */
bool hosts_same_site(struct slice a, struct slice b);

#endif
