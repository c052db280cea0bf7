/* canary.h - events that are known to be ours, with answers that are known
 * from the policy, sent the way of every event (docs/audit.md, "Canaries"):
 * intake, decision, minimising, group commit, journal, forwarder. What is
 * decided about them is proved from the log afterwards, by `audit canary`.
 *
 * They are events of a site of their own, CANARY_SITE_NAME, which has the
 * policy and the destinations of the site that is tested, for as long as a run
 * takes. Its destinations take everything and send nothing. No real site can
 * have that name (a dot), no request reaches it, and no counter counts it. */
#ifndef LETHE_GATEWAY_CANARY_H
#define LETHE_GATEWAY_CANARY_H

#include "lethe/gateway/world.h"
#include "lethe/policy/base/buf.h"

#define CANARY_SITE_ID   "6c65746865206361"
#define CANARY_SITE_NAME "lethe.canary"
#define CANARY_COUNT_MAX 1000u
#define CANARY_WAIT_MS   2000 /* for the built-in sink to have all of them */

enum canary_kind {
    CANARY_YES,     /* an event of the policy, with a yes to every purpose */
    CANARY_NO,      /* the same with "consent": "denied" */
    CANARY_UNKNOWN, /* an event that no policy names */
    CANARY_GPC,     /* a yes, and Sec-GPC beside it */
    CANARY_DNT,     /* a yes, and DNT beside it */
    CANARY_KINDS
};
const char *canary_kind_name(enum canary_kind kind);

/* One event and its right answer. It is read off the policy, by rules written
 * down a second time here: decide() and consent_decide() have no part in it. */
struct canary {
    enum canary_kind kind;
    struct slice event; /* its name; borrowed from the policy, or constant */
    uint16_t cleared;   /* destinations that it may go to */
    uint16_t rule;
    bool stripped; /* a field that the policy does not know must be gone */
    uint64_t ev;   /* its receipt, once it was sent */
    _Atomic uint16_t arrived; /* destinations whose sink has got it */
};

/* Canary `number` of a run: kinds in turn, events in turn. `present`: bit a
 * destination that the site has. */
void canary_make(const struct policy *p, uint16_t present, unsigned number,
                 struct canary *out);
/* As a client would send it. `session`: new for each. */
void canary_put(const struct policy *p, const struct canary *c,
                const char *session, int64_t now_ms, struct buf *out);

struct gateway;

struct canary_run {
    struct canary *sent; /* the caller's, `count` of them */
    unsigned count;
    int64_t since_ms;
};
/* Send run->count canaries under the policy of `s`; the supervisor's thread,
 * which waits until they are on disk and, for CANARY_WAIT_MS, delivered.
 * Errors: ST_BUSY (events are refused now), ST_DENIED (rows are left out),
 * ST_FULL, ST_IO, ST_LIMIT, ST_NOMEM. */
enum status canary_send(struct gateway *g, const struct world_site *s,
                        struct canary_run *run) MUST_CHECK;

#endif
