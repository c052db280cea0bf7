/* calls.h - what a running gateway can be asked, by the control socket and by
 * /api/ alike: one table, one function each. Runs on the supervisor's thread.
 */
#ifndef LETHE_GATEWAY_CALLS_H
#define LETHE_GATEWAY_CALLS_H

#include "lethe/gateway/control.h"
#include "lethe/gateway/gateway.h"

typedef void call_fn(struct gateway *g, const struct control_call *call,
                     struct control_answer *out);

call_fn call_status, call_reload;
call_fn call_keys_status, call_keys_rotate, call_keys_destroy;
call_fn call_retention_status, call_retention_run;
call_fn call_spool_status, call_spool_dead, call_spool_replay, call_spool_purge;
call_fn call_destination_list, call_destination_test, call_destination_pause,
    call_destination_resume;
call_fn call_token_add, call_token_list, call_token_revoke;
call_fn call_subject_optout, call_subject_optin, call_subject_status;
call_fn call_subject_accept_loss;
call_fn call_request_open, call_request_list, call_request_extend,
    call_request_close;
call_fn call_subject_find, call_subject_export, call_subject_erase;
call_fn call_site_list, call_site_retire;
call_fn call_audit_settle, call_audit_read, call_audit_person, call_audit_prune;
call_fn call_report_ropa;
call_fn call_hold_set, call_hold_lift, call_hold_list;
call_fn call_audit_canary, call_audit_canary_result;

/* The lists of tokens and sites, for commands without a gateway, too. */
void calls_print_tokens(struct tokens *tokens, struct control_answer *out);
void calls_print_sites(const struct state *state, const struct conf *c,
                       struct control_answer *out);

/* Plans of both layers, and holds, likewise. */
void calls_print_plans(const struct prune_plan plans[PRUNE_LAYERS],
                       struct control_answer *out);
void calls_print_holds(const struct audit_hold *list, unsigned count,
                       struct control_answer *out);
/* The audit log's lines of `retention status`, as members of an array that is
 * open; `first`: it is empty still. True if something is overdue. */
bool calls_put_audit_retention(struct gateway *g, bool first,
                               struct control_answer *out);

/* Fail a call: exit code, one line for people, {"error":...} as data. */
void call_fail(struct control_answer *out, int code, const char *error,
               const char *message);

/* args.<name> as text, or NULL if absent or no string. */
const char *call_text(const struct control_call *call, const char *name);

/* The destination that args.site (may be left out when there is one site)
 * and args.destination name; NULL after failing the call. */
const struct world_destination *call_destination(
    struct gateway *g, const struct control_call *call,
    struct control_answer *out);
/* The same for args.site alone. */
const struct world_site *call_site(struct gateway *g,
                                   const struct control_call *call,
                                   struct control_answer *out);

/* Opt the identifiers of the call out; then out->text tells the receipts, and
 * "receipts":[..] stands at the end of out->data. False: the call failed. */
bool call_opt_out(struct gateway *g, const struct control_call *call,
                  struct control_answer *out);

/* "3d 4h", "12 min", "5 s" of a duration, for tables. */
void call_age(int64_t ms, char out[32]);

#endif
