/* sink.h - how a batch of fragments reaches one destination. Sinks see
 * fragments (clean, wire-ready), never hits or requests. */
#ifndef LETHE_GATEWAY_SINK_SINK_H
#define LETHE_GATEWAY_SINK_SINK_H

#include "lethe/gateway/conf.h"
#include "lethe/gateway/store/fragment.h"
#include "lethe/gateway/store/journal.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

/* ---- files and databases: synchronous, on the destination's own thread -- */

struct file_sink; /* jsonl.c */
/* Cut the file of the mark's day back to the mark's length (storage.md 2).
 * Errors: ST_IO, ST_DENIED (mode, owner, group). */
enum status jsonl_open(const struct conf_destination *d, const char *purpose,
                       const struct mark *mark,
                       struct file_sink **out) MUST_CHECK;
/* Append each body and a newline to user_analytics.<purpose>.<UTC day>.jsonl
 * (name from `path`), fdatasync, and tell where the file now ends.
 * Errors: ST_IO, ST_FULL. Nothing or all counts as written. */
enum status jsonl_write(struct file_sink *s, const struct fragment *f,
                        unsigned count, int64_t now_ms, uint64_t *out_length,
                        uint32_t *out_day) MUST_CHECK;
void jsonl_close(struct file_sink *s);
/* Remove whole files whose day ended before `before_ms`.
 * *out_oldest_ms: start of the oldest day left, 0 if none. *out_files and
 * *out_bytes are set on errors too. */
enum status jsonl_expire(const char *path, const char *purpose,
                         int64_t before_ms, uint64_t *out_files,
                         uint64_t *out_bytes,
                         int64_t *out_oldest_ms) MUST_CHECK;

struct sqlite_sink; /* sqlite.c */
/* Opens or creates the database: user_actions(timestamp, action, details,
 * session_id, user_id, device_id, group_id, context, purpose, event_id,
 * written_ms), secure_delete on, WAL, synchronous FULL. */
enum status sqlite_sink_open(const struct conf_destination *d,
                             struct sqlite_sink **out) MUST_CHECK;
/* The position its newest transaction holds (exactly once): zero if none. */
enum status sqlite_sink_position(struct sqlite_sink *s, uint64_t destination,
                                 uint64_t *out_sequence,
                                 uint32_t *out_fragment) MUST_CHECK;
/* Insert all and the position in one transaction. A body is the plain form.
 * Errors: ST_IO, ST_FULL, ST_BUSY. */
enum status sqlite_sink_write(struct sqlite_sink *s, uint64_t destination,
                              uint64_t sequence, uint32_t fragment,
                              const struct fragment *f, unsigned count,
                              int64_t now_ms) MUST_CHECK;
/* Delete rows of `purpose` written before `before_ms`. Done only when
 * wal_checkpoint(TRUNCATE) came back without a busy reader; else
 * *out_pending and it is tried again. *out_rows is set on errors too. */
enum status sqlite_sink_expire(struct sqlite_sink *s, const char *purpose,
                               int64_t before_ms, uint64_t *out_rows,
                               int64_t *out_oldest_ms,
                               bool *out_pending) MUST_CHECK;
void sqlite_sink_close(struct sqlite_sink *s);

/* ---- network: asynchronous, libcurl multi on a forwarder's event base ---- */

struct net_sink; /* http.c; one a destination */
struct net_loop; /* libcurl multi on one event base; one a forwarder thread */
struct net_transfer;
struct event_base;

enum status net_loop_open(struct event_base *base,
                          struct net_loop **out) MUST_CHECK;
void net_loop_close(struct net_loop *l);

enum net_result {
    NET_ACCEPTED,  /* 2xx */
    NET_PARTIAL,   /* all but the named events were accepted */
    NET_RETRY,     /* no answer, 408, 429, 5xx, or what no event can help
                      (3xx, 401, 403, 404, 405, 407): again later */
    NET_REFUSED,   /* any other answer: halve, then dead-letter */
    NET_TLS_FAILED /* certificate or name: not sent; retry, tls.fail record */
};
struct net_outcome {
    enum net_result result;
    int status;             /* HTTP status, or 0 */
    int64_t retry_after_ms; /* from the answer; 0 none */
    /* NET_PARTIAL: positions in the batch, ascending; valid during the call */
    const unsigned *failed;
    unsigned failed_count;
};
typedef void net_done_fn(void *ctx, struct net_transfer *t,
                         const struct net_outcome *outcome);

/* Uploads as the destination's type has them: JSON arrays or a template
 * (http), /import or /track (mixpanel), Measurement Protocol (ga4).
 * `testing`: for `destination test`; GA4 then means its validation address.
 * Plain http off loopback, redirects, proxies, netrc, cookies: refused or
 * off (design.md section 4). Reads secrets now. Errors: ST_DENIED (with the
 * key fault logged), ST_SYNTAX (URL), ST_NOMEM. */
enum status net_sink_open(struct net_loop *l, const struct conf_destination *d,
                          bool testing, struct net_sink **out) MUST_CHECK;
/* Send one batch, all of one group. `gpc`: add Sec-GPC: 1. The body is copied.
 * `done` is called once on the loop's thread unless the transfer is cut first.
 */
enum status net_send(struct net_sink *s, const struct fragment *f,
                     unsigned count, bool gpc, net_done_fn *done, void *ctx,
                     struct net_transfer **out) MUST_CHECK;
/* Stop it; `done` is not called. *out_sent: the body had been wholly written
 * to the socket already. */
void net_cut(struct net_transfer *t, bool *out_sent);
/* The body is wholly written: cutting would take nothing back. */
bool net_is_sent(const struct net_transfer *t);
void net_sink_close(struct net_sink *s); /* cuts what runs */

#endif
