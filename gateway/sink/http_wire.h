/* http_wire.h - what one destination's uploads look like: its URL, what stands
 * around the events, and what its answers mean. No network here. Included by
 * gateway/sink/http*.c and probe.c alone. */
#ifndef LETHE_GATEWAY_SINK_HTTP_WIRE_H
#define LETHE_GATEWAY_SINK_HTTP_WIRE_H

#include "lethe/gateway/sink/sink.h"

#define NET_ANSWER_MAX (1u << 20) /* bytes of an answer that is read */

struct net_wire {
    enum destination_type type;
    enum mixpanel_api api;
    bool testing; /* `destination test`: nobody's event, nothing kept */
    char *url;    /* secret memory: it may hold an API secret */
    char *before; /* around the events of one upload */
    char *after;
    char *item_before;  /* before each event; secret memory or NULL */
    char *bearer;       /* the whole Authorization line; secret, or NULL */
    char *user;         /* Basic user name without a password; secret or NULL */
    char *content_type; /* the whole Content-Type line */
};

/* Reads the destination's secret now. On an error nothing is kept.
 * Errors: ST_DENIED (with the key fault logged), ST_SYNTAX (template),
 * ST_NOMEM. */
enum status net_wire_open(const struct conf_destination *d, bool testing,
                          struct net_wire *out) MUST_CHECK;
void net_wire_close(struct net_wire *w); /* wipes; a zeroed one is fine */

/* Append one upload of `count` fragments of one group; check out->failed.
 * Testing, `count` is 0: an empty upload, or for GA4, whose validation address
 * wants an event, a made-up one. */
void net_wire_join(const struct net_wire *w, const struct fragment *f,
                   unsigned count, struct buf *out);

/* What its answers say is in their body, too: read it. */
bool net_wire_reads_answers(const struct net_wire *w);

/* Correct *io, which was made of the status alone, by the body of the answer.
 * NET_PARTIAL fills `failed` (room for `count`) with the positions of the
 * events that were refused, ascending, and io->failed points to it. The body
 * may be written to; nothing of it is kept (R18). */
void net_wire_judge(const struct net_wire *w, char *body, size_t len,
                    unsigned count, unsigned *failed, struct net_outcome *io);

#endif
