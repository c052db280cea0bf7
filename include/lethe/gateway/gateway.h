/* gateway.h - the running gateway: what serve.c builds in order, what the
 * supervisor (the main thread) keeps going, what commands look at. Included
 * by serve.c, supervisor.c, reload.c, admin.c and calls_*.c only. */
#ifndef LETHE_GATEWAY_GATEWAY_H
#define LETHE_GATEWAY_GATEWAY_H

#include "lethe/gateway/audit/kept.h"
#include "lethe/gateway/audit/log.h"
#include "lethe/gateway/audit/prune.h"
#include "lethe/gateway/audit/witness.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/control.h"
#include "lethe/gateway/forward.h"
#include "lethe/gateway/http/rate.h"
#include "lethe/gateway/http/server.h"
#include "lethe/gateway/keys/epochs.h"
#include "lethe/gateway/policy_versions.h"
#include "lethe/gateway/rights/optout.h"
#include "lethe/gateway/rights/service.h"
#include "lethe/gateway/rights/sweep.h"
#include "lethe/gateway/services.h"
#include "lethe/gateway/signer_link.h"
#include "lethe/gateway/state.h"
#include "lethe/gateway/store/commit.h"
#include "lethe/gateway/store/journal.h"
#include "lethe/gateway/store/outage.h"
#include "lethe/gateway/store/spool_keys.h"
#include "lethe/gateway/tokens.h"
#include "lethe/gateway/worker.h"
#include "lethe/gateway/world.h"

#include <pthread.h>
#include <stdatomic.h>

#define GATEWAY_WORKERS_MAX 64u
#define GATEWAY_REPORT_MAX  8192u /* bytes of what a reload says */

struct request_register;

struct gateway {
    const char *conf_path;
    const struct clock *clock;
    struct state *state;
    uint8_t *master, *optout_key; /* KEY_BYTES, locked */
    struct epochs *epochs;
    pthread_mutex_t epochs_lock;
    struct optouts *optouts;
    struct spool_keys *spool_keys;
    struct sweep *sweep;
    struct journal *journal;
    struct outage *outage;
    struct signer_link *signer;
    struct audit_signing signing;
    struct audit_log *audit;
    struct pruner *pruner;
    struct audit_kept *kept;
    struct witnesses *witnesses;
    struct commit *commit;
    struct forward *forward;
    struct rights *rights;
    struct tokens *tokens;
    struct policy_versions *versions;
    struct request_register *requests;
    int64_t requests_due_ms; /* wall clock: when to look at them again */
    struct rate *optout_rate, *events_rate;
    struct services services;
    _Atomic unsigned connections; /* open on all public listeners */
    struct worker *workers[GATEWAY_WORKERS_MAX];
    unsigned worker_count;
    struct event_base *base;
    struct control *control;
    struct http_server *admin;
    struct audit_desk *desk; /* of the admin listener */
    struct world *world;     /* the supervisor's reference */
    int64_t started_ms;
    int64_t reloaded_ms;
    bool reload_ok;
    int64_t delivery_due_ms; /* monotonic */
    int64_t consent_due_ms;  /* monotonic */
    int64_t roll_due_ms;     /* monotonic: journal_roll */
    unsigned ticks;
    bool stopping;
    bool hurry; /* stopping, and asked once more: wait for nobody */
    int exit_code;
    _Atomic bool broken; /* audit or journal cannot be written */
    _Atomic bool over;   /* a worker found its world over */
    /* The canary run whose result is not recorded yet; sent 0: none. */
    char canary_site[CONF_NAME_MAX + 1];
    unsigned canary_sent;
};

/* Wall clock now, and seconds-free monotonic time. */
int64_t gateway_now(const struct gateway *g);
int64_t gateway_mono(const struct gateway *g);

/* Append a record made by `format` (a JSON object without spaces) by `who`
 * (NULL: this gateway). Logs what fails. */
enum status gateway_record(struct gateway *g, enum audit_record_act act,
                           const char *who, const char *why, bool wait,
                           uint64_t *out_index, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* An act that loosens waits here until record `index` is signed. While we run
 * it does not wait long: it is asked for again. Errors: as audit_wait_signed();
 * logged. */
#define GATEWAY_SIGN_WAIT_MS  INT64_C(5000)
#define GATEWAY_START_WAIT_MS INT64_C(30000)
enum status gateway_wait_signed(struct gateway *g, uint64_t index,
                                int64_t ms) MUST_CHECK;

/* Is it ready to take events? `why` gets a fixed text if not. */
bool gateway_is_ready(const struct gateway *g, const char **out_why);

/* ---- supervisor.c ------------------------------------------------------ */

/* Make the next world from the present one's config and policies (a rotation
 * or a new day) and switch every worker to it at the barrier. */
enum status supervisor_renew(struct gateway *g) MUST_CHECK;
/* Switch to `next` (its reference is taken over). */
enum status supervisor_switch(struct gateway *g, struct world *next) MUST_CHECK;
/* Stop the workers deciding and wait until all they decided is on disk and
 * in the audit's hands; supervisor_switch() lets them go on. */
void supervisor_pause(struct gateway *g);
/* Pause was for nothing: go on in the present world. */
void supervisor_go_on(struct gateway *g);
/* Once a second. */
void supervisor_tick(struct gateway *g);
/* Delivery totals into the audit. */
void supervisor_record_deliveries(struct gateway *g);
/* retention.delete, tls.fail: what forwarders did since the last call. */
void supervisor_record_forward_news(struct gateway *g);
/* Destinations of a world to the forwarders and the journal, and those of the
 * canary's (NULL: none runs), which all lead into `sink`. */
enum status supervisor_configure(struct gateway *g, const struct world *w,
                                 const struct world *canary,
                                 const struct builtin_sink *sink) MUST_CHECK;

/* ---- consent_summary.c -------------------------------------------------- */

/* consent.summary: what was heard of consent since the last one, by site (R41,
 * R70). Before another world, and at the end. */
void consent_summary_record(struct gateway *g);

/* ---- reload.c ---------------------------------------------------------- */

/* Load the policy of every site of `c` and check that config and policies fit
 * each other. On failure `report` says why, for the operator.
 * Errors: ST_TYPE. The caller owns *out (site_count references). */
enum status reload_policies(const struct conf *c, struct policy ***out,
                            struct buf *report) MUST_CHECK;
void reload_free_policies(struct policy **list, unsigned count);
/* The same version with another content is a mistake or worse: was any of
 * these in force, ever, as something else? Then `report` names it. */
bool reload_versions_hold(const struct gateway *g, const struct conf *c,
                          struct policy *const *policies, struct buf *report);
/* They come into force. Errors: as policy_versions_note(). */
enum status reload_note_versions(struct gateway *g, const struct conf *c,
                                 struct policy *const *policies) MUST_CHECK;
/* policy.load records for every site, for the reason `why`; fills `indexes`.
 */
enum status reload_record_policies(struct gateway *g, const struct conf *c,
                                   struct policy *const *policies,
                                   const struct world *before, const char *why,
                                   uint64_t *indexes) MUST_CHECK;
/* May what is to come let something through that `before` did not? What cannot
 * be shown to tighten loosens. */
bool reload_loosens(const struct world *before, const struct conf *c,
                    struct policy *const *policies);
/* All or nothing; `report` tells what happened in words. */
enum status reload_all(struct gateway *g, const char *who,
                       struct buf *report) MUST_CHECK;

/* ---- admin.c, calls.c -------------------------------------------------- */

enum status admin_open(struct gateway *g) MUST_CHECK;
void admin_close(struct gateway *g);
/* The one entry of all commands to a running gateway: a control_fn. */
void calls_handle(void *gateway, const struct control_call *call,
                  struct control_answer *out);
/* The metrics page. */
void admin_metrics(struct gateway *g, struct buf *out);

#endif
