/* control.h - commands to a running gateway: control.sock in state_dir, 0600,
 * peer credentials checked (owner or root; recorded as adm:local). One JSON
 * object a line each way:
 *   {"command":"status","args":{...},"token":"..."}
 *   {"exit":0,"text":"for people","data":{...}}      (last line)
 *   {"progress":"..."}                               (before it, any number)
 */
#ifndef LETHE_GATEWAY_CONTROL_H
#define LETHE_GATEWAY_CONTROL_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/json_tree.h"

#include <stdbool.h>

#define CONTROL_LINE_MAX (8u << 20)

struct event_base;
struct control;
struct token_facts;

struct control_answer {
    int exit;        /* the command's exit code */
    int status;      /* HTTP's, where `exit` does not tell it: 403, 404; or 0 */
    struct buf text; /* for people, ends with a newline */
    struct buf data; /* a JSON value for --json */
};

struct control_call {
    struct slice command;            /* "subject optout" */
    const struct json_value *args;   /* object, never NULL */
    const char *who;                 /* "adm:local" or a token's */
    unsigned role;                   /* enum token_role bits allowed */
    const struct token_facts *token; /* whose; NULL: the socket's own user */
    void *connection;                /* for control_progress */
};
typedef void control_fn(void *ctx, const struct control_call *call,
                        struct control_answer *out);

/* Listen at `path` on `base` (the supervisor's). */
enum status control_open(struct event_base *base, const char *path,
                         control_fn *on_call, void *ctx,
                         struct control **out) MUST_CHECK;
void control_close(struct control *c);

/* Tokens that calls may name; without them, a call with a token is refused. */
struct tokens;
void control_use_tokens(struct control *c, struct tokens *tokens);

/* One line of progress to the caller, sent at once as far as that goes
 * without waiting. Only while `call` is being answered. */
void control_progress(const struct control_call *call, struct slice text);

#define CONTROL_CONNECTIONS_MAX 32u
#define CONTROL_TIMEOUT_S       30 /* for a caller's line, and to read ours */

/* The commands' side: connect, send, wait for the answer (progress lines go
 * to stderr). ST_UNKNOWN: no gateway runs there. ST_DENIED, ST_IO. */
enum status control_ask(const char *path, const char *command,
                        struct slice args_json,
                        struct control_answer *out) MUST_CHECK;
/* As control_ask, with a token (NULL = none): it narrows the call to the
 * token's role and name. */
enum status control_ask_as(const char *path, const char *command,
                           struct slice args_json, const char *token,
                           struct control_answer *out) MUST_CHECK;
void control_answer_init(struct control_answer *a);
void control_answer_free(struct control_answer *a);

#endif
