/* site.h - which site is a request for? All hints that are present must lead
 * to one (design.md section 2, "Which site?"). Pure; tested as a table. */
#ifndef LETHE_GATEWAY_HTTP_SITE_H
#define LETHE_GATEWAY_HTTP_SITE_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/slice.h"

struct site_hints {
    struct slice path_site;   /* <name or id> of "/s/<site>/", or SLICE_NONE */
    const struct slice *keys; /* write keys in the request; borrowed */
    unsigned key_count;
    struct slice host;   /* Host header without the port */
    struct slice origin; /* Origin header */
};

/* Take "/s/<site>" off the front of `path`. False: not there, both
 * untouched. */
bool site_split_path(struct slice *path, struct slice *out_site);

/* The index of the one site, or -400 (hints disagree) or -404 (a path or key
 * that names none; no hint and several sites). */
int site_resolve(const struct conf *c, const struct site_hints *h);

/* `origin` is one of this site's. */
bool site_has_origin(const struct conf_site *s, struct slice origin);

/* For OPTIONS and errors: `origin` is listed for the site of the path hint,
 * or, without one, for any site. */
bool site_origin_listed(const struct conf *c, struct slice path_site,
                        struct slice origin);

#endif
