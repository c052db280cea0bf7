/* cmd.h - the commands: `lethe COMMAND [ARGUMENTS]`. One table in main.c, one
 * function each in gateway/cmd/. Exit codes everywhere: 0 good, 1 found
 * wrong, 2 incomplete, 3 usage. Identifiers of people come from standard
 * input or a file, never from argv (R32). */
#ifndef LETHE_GATEWAY_CMD_CMD_H
#define LETHE_GATEWAY_CMD_CMD_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define CMD_OK              0
#define CMD_WRONG           1
#define CMD_INCOMPLETE      2
#define CMD_USAGE           3

#define CMD_OPTIONS_MAX     24u
#define CMD_POSITIONALS_MAX 64u

struct cmd_option {    /* what a command accepts besides --json and --help */
    const char *name;  /* "--config" */
    const char *value; /* "FILE", or NULL for a flag */
    const char *help;
};

struct cmd {
    const char *words;     /* "spool replay" */
    const char *arguments; /* "[DESTINATION]", for the usage line; "FILE..." */
    const char *help;      /* one sentence */
    const struct cmd_option *options;
    unsigned option_count;
    int (*run)(const struct cmd *self, int argc, char **argv);
};

/* What was given. */
struct cmd_line {
    const struct cmd *cmd;
    bool json;
    struct buf *answers; /* cmd_ask appends JSON answers here, a line each, and
                            prints nothing; NULL: it prints */
    const char *values[CMD_OPTIONS_MAX]; /* by option; a flag gives its name */
    const char *positionals[CMD_POSITIONALS_MAX];
    unsigned positional_count;
};

/* Parse argv (without the command's words). Returns -1 to go on, or an exit
 * code: --help was printed (0), usage (3, said on standard error). */
int cmd_parse(const struct cmd *c, int argc, char **argv, struct cmd_line *out);
/* Value of an option by name, or NULL. */
const char *cmd_value(const struct cmd_line *l, const char *name);
void cmd_help(const struct cmd *c);

/* Ask the running gateway of --config; prints its answer, returns its exit
 * code. `args` is a JSON object. `offline` (may be NULL) runs instead when no
 * gateway does. */
int cmd_ask(const struct cmd_line *l, struct slice args,
            int (*offline)(const struct cmd_line *l));

/* The token of --token-file in secret memory, for control_ask_as(); NULL
 * without the option. The caller gives it to secret_free(). Returns CMD_OK, or
 * CMD_WRONG after saying why. */
int cmd_read_token(const struct cmd_line *l, char **out);

/* Somebody is about to read the audit log: recorded, or noted for the next
 * start. Returns CMD_OK, or an exit code after saying why nothing may be
 * shown. */
struct cmd_reading {
    bool rows;       /* decisions, else records */
    bool taken_away; /* `audit export`, `audit prove` */
    bool counted;    /* `count` results are to be shown */
    uint64_t count;
    struct slice by; /* a JSON array of what is asked by, never for which value
                        (call_audit_read() knows the words) */
};
int cmd_note_reading(const struct cmd_line *l, const struct conf *c,
                     const struct cmd_reading *r);
/* 16 hex digits, as `Lethe-Receipt` and searches print them: CMD_OK, or
 * CMD_USAGE after saying so. */
int cmd_read_receipt(const char *text, uint64_t *out);
/* state_dir/audit, if it is there to be read: CMD_OK, or CMD_WRONG. */
int cmd_audit_folder(const struct conf *c, char out[CONF_PATH_MAX]);

/* cmd_parse, then at least `positionals_min` arguments and a working
 * libsodium: how the commands on a policy begin. */
int cmd_begin_policy(const struct cmd *self, int argc, char **argv,
                     unsigned positionals_min, struct cmd_line *l);

/* Print "lethe: text" on standard error; returns `code`. */
int cmd_fail(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The shared option --config. */
#define CMD_CONFIG_OPTION                                                      \
    {                                                                          \
        "--config", "FILE", "the gateway's lethe.json"                         \
    }

/* Where a role decides (storage.md section 1): for commands that ask. */
#define CMD_TOKEN_OPTION                                                       \
    {                                                                          \
        "--token-file", "FILE", "act with this token's role"                   \
    }

typedef int cmd_fn(const struct cmd *self, int argc, char **argv);
cmd_fn cmd_init, cmd_check, cmd_serve, cmd_signer, cmd_version;
cmd_fn cmd_remote; /* commands that only ask a running gateway */
cmd_fn cmd_person, cmd_request, cmd_subject, cmd_site, cmd_token,
    cmd_token_list;
cmd_fn cmd_policy_check, cmd_policy_explain, cmd_policy_test, cmd_policy_diff,
    cmd_policy_show, cmd_policy_draft, cmd_minimise;
cmd_fn cmd_audit_prune, cmd_audit_hold;
cmd_fn cmd_audit_search, cmd_audit_export, cmd_audit_verify, cmd_audit_check,
    cmd_audit_prove;
cmd_fn cmd_audit_fork, cmd_audit_canary;

/* The table, ended by .words == NULL: main.c. */
extern const struct cmd cmd_table[];

#endif
