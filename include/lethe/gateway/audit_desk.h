/* audit_desk.h - the answers of /audit/ on the admin listener. A thread makes
 * them one after the other, so that what an auditor fetches never holds up the
 * supervisor; they are given on the base's own thread.
 *
 * Who may ask, and that an asking is on record, is the caller's matter. */
#ifndef LETHE_GATEWAY_AUDIT_DESK_H
#define LETHE_GATEWAY_AUDIT_DESK_H

#include "lethe/gateway/audit/tlog/tile_name.h"
#include "lethe/gateway/http/server.h"

enum audit_asked {
    AUDIT_ASKED_CHECKPOINT,
    AUDIT_ASKED_MINIMUM,
    AUDIT_ASKED_TILE
};
struct audit_ask {
    enum audit_asked what;
    struct tile_name tile; /* of AUDIT_ASKED_TILE */
};

/* What a request's target asks for: "/audit/checkpoint", "/audit/minimum-index"
 * or "/audit/" and a path of tlog-tiles, to the letter: no query, nothing
 * percent-encoded. Errors: ST_SYNTAX. */
enum status audit_ask_read(struct slice target,
                           struct audit_ask *out) MUST_CHECK;

struct audit_desk;

/* Serve `folder` (state_dir/audit) to requests of `base`'s servers; libevent
 * must know of threads. Errors: ST_NOMEM, ST_LIMIT. */
enum status audit_desk_open(struct event_base *base, const char *folder,
                            struct audit_desk **out) MUST_CHECK;

/* Answer `x`, later. 200; 404 not in this log, or nothing was signed yet; 410
 * pruned; 503 too many tiles are missing to make them now; 500 damage. */
void audit_desk_ask(struct audit_desk *d, const struct audit_ask *ask,
                    struct http_exchange *x);

/* Has this credential's reading been recorded within AUDIT_DESK_READING_MS?
 * If not, it counts as recorded from now on: record it before asking, and
 * call audit_desk_unread() if that fails. */
#define AUDIT_DESK_READING_MS INT64_C(600000)
#define AUDIT_DESK_READERS    16u /* remembered; the oldest makes room */
bool audit_desk_is_read_by(struct audit_desk *d, const char *who,
                           int64_t mono_ms);
void audit_desk_unread(struct audit_desk *d, const char *who);

/* Before the servers close: what is not answered yet never is by us. NULL is
 * allowed. */
void audit_desk_close(struct audit_desk *d);

#endif
