#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/read.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/control.h"
#include "lethe/gateway/state.h"
#include "lethe/policy/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The audit folder of --config. */
static int find_folder(const struct cmd_line *l, char out[CONF_PATH_MAX],
                       char socket[CONF_PATH_MAX])
{
    const char *config = cmd_value(l, "--config");
    struct conf_complaint complaint;
    struct conf *c = NULL;

    if (config == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", l->cmd->words);
    if (conf_load(config, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    bool fits =
        state_path(c, "audit", out) && state_path(c, "control.sock", socket);
    conf_free(c);
    return fits ? CMD_OK : cmd_fail(CMD_WRONG, "state_dir is too long a path");
}

static int reason_number(const char *name)
{
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (strcmp(audit_reason_name(i), name) == 0)
            return (int)i;
    return -1;
}

static int read_number(const char *text, unsigned long long max, int *out)
{
    unsigned long long v;

    if (!slice_to_u64(slice_of(text), &v) || v > max)
        return cmd_fail(CMD_USAGE, "%s is no number up to %llu", text, max);
    *out = (int)v;
    return CMD_OK;
}

static int read_time(const char *text, int64_t *out)
{
    if (text != NULL && time_parse(slice_of(text), out) != ST_OK)
        return cmd_fail(CMD_USAGE,
                        "%s is no time such as "
                        "2026-11-22T09:00:00Z",
                        text);
    return CMD_OK;
}

static int read_query(const struct cmd_line *l, struct audit_query *q)
{
    const char *rule = cmd_value(l, "--rule");
    const char *reason = cmd_value(l, "--reason");
    const char *limit = cmd_value(l, "--limit");
    int most = 0, code;

    *q = (struct audit_query){.rule = -1, .reason = -1};
    q->act = cmd_value(l, "--act");
    q->site = cmd_value(l, "--site");
    q->rows = cmd_value(l, "--rows") != NULL || rule != NULL || reason != NULL;
    q->csv = cmd_value(l, "--csv") != NULL;
    code = read_time(cmd_value(l, "--from"), &q->from_ms);
    if (code == CMD_OK)
        code = read_time(cmd_value(l, "--to"), &q->to_ms);
    if (code == CMD_OK && rule != NULL)
        code = read_number(rule, 65535, &q->rule);
    if (code == CMD_OK && limit != NULL)
        code = read_number(limit, 1000000000, &most);
    q->limit = (unsigned)most;
    if (code == CMD_OK && reason != NULL) {
        q->reason = reason_number(reason);
        if (q->reason < 0)
            code = cmd_fail(CMD_USAGE,
                            "%s is no reason; docs/audit.md lists "
                            "them",
                            reason);
    }
    return code;
}

static bool print_line(void *ctx, struct slice line)
{
    (void)ctx;
    return fwrite(line.at, 1, line.len, stdout) == line.len &&
           fputc('\n', stdout) != EOF;
}

/* Who reads the log is in the log, when a gateway runs to write it. */
static void tell_gateway(const char *socket, uint64_t found)
{
    struct control_answer answer;
    char args[64];

    control_answer_init(&answer);
    int n = snprintf(args, sizeof(args), "{\"found\":%llu}",
                     (unsigned long long)found);
    enum status st = control_ask(socket, "audit read",
                                 (struct slice){args, (size_t)n}, &answer);
    if (st != ST_OK && st != ST_UNKNOWN)
        (void)cmd_fail(CMD_WRONG, "the gateway did not record this search");
    control_answer_free(&answer);
}

int cmd_audit_search(const struct cmd *self, int argc, char **argv)
{
    char folder[CONF_PATH_MAX], socket[CONF_PATH_MAX];
    struct audit_query q;
    struct cmd_line l;
    uint64_t found = 0;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    code = read_query(&l, &q);
    if (code == CMD_OK)
        code = find_folder(&l, folder, socket);
    if (code != CMD_OK)
        return code;
    enum status st = audit_search(folder, &q, print_line, NULL, &found);
    if (st != ST_OK)
        return cmd_fail(CMD_WRONG, "the audit log cannot be read: %s",
                        status_name(st));
    tell_gateway(socket, found);
    return CMD_OK;
}

static void print_progress(void *ctx, uint64_t records, uint64_t rows)
{
    (void)ctx;
    (void)fprintf(stderr, "\r%llu records, %llu rows",
                  (unsigned long long)records, (unsigned long long)rows);
}

static int print_report(const struct cmd_line *l, const struct audit_report *r)
{
    static const char *const words[] = {"sound", "tampered", "incomplete"};

    if (l->json)
        (void)printf("{\"verdict\":\"%s\",\"records\":%llu,\"batches\":%llu,"
                     "\"rows\":%llu,\"decisions\":%llu,\"bad_index\":%llu,"
                     "\"message\":\"%s\"}\n",
                     words[r->verdict], (unsigned long long)r->records,
                     (unsigned long long)r->batches,
                     (unsigned long long)r->rows,
                     (unsigned long long)r->decisions,
                     (unsigned long long)r->bad_index, r->text);
    else
        (void)printf("%s\n", r->text);
    return r->verdict == AUDIT_SOUND      ? CMD_OK
           : r->verdict == AUDIT_TAMPERED ? CMD_WRONG
                                          : CMD_INCOMPLETE;
}

int cmd_audit_verify(const struct cmd *self, int argc, char **argv)
{
    char folder[CONF_PATH_MAX], socket[CONF_PATH_MAX];
    struct audit_report report;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (l.positional_count == 1)
        (void)snprintf(folder, sizeof(folder), "%s", l.positionals[0]);
    else if ((code = find_folder(&l, folder, socket)) != CMD_OK)
        return code;
    bool tty = isatty(STDERR_FILENO) == 1;
    enum status st =
        audit_verify_rows(folder, tty ? print_progress : NULL, NULL, &report);
    if (tty)
        (void)fputc('\n', stderr);
    if (st != ST_OK)
        return cmd_fail(CMD_WRONG, "the audit log cannot be read: %s",
                        status_name(st));
    return print_report(&l, &report);
}
