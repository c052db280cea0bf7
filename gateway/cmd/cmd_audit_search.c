/* cmd_audit_search.c - `audit search`: cmd_note_reading() comes before
 * anything is shown. */
#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/read.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/policy/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BY_MAX 160u

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
        return cmd_fail(CMD_USAGE, "%s is no time such as 2026-11-22T09:00:00Z",
                        text);
    return CMD_OK;
}

static int read_format(const struct cmd_line *l, enum audit_format *out)
{
    static const char *const names[] = {"jsonl", "csv", "text"};
    const char *name = cmd_value(l, "--format");

    *out = !l->json && isatty(STDOUT_FILENO) == 1 ? AUDIT_TEXT : AUDIT_JSONL;
    if (name == NULL)
        return CMD_OK;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum audit_format)i;
            return l->json && *out != AUDIT_JSONL
                       ? cmd_fail(CMD_USAGE, "--json is --format jsonl")
                       : CMD_OK;
        }
    return cmd_fail(CMD_USAGE, "--format is text, jsonl or csv");
}

static int read_names(const struct cmd_line *l, struct audit_query *q)
{
    const char *reason = cmd_value(l, "--reason");
    const char *receipt = cmd_value(l, "--receipt");

    q->act = cmd_value(l, "--act");
    q->site = cmd_value(l, "--site");
    q->destination = cmd_value(l, "--destination");
    if (reason != NULL && (q->reason = reason_number(reason)) < 0)
        return cmd_fail(CMD_USAGE, "%s is no reason; docs/audit.md lists them",
                        reason);
    return receipt != NULL ? cmd_read_receipt(receipt, &q->ev) : CMD_OK;
}

static int read_query(const struct cmd_line *l, struct audit_query *q)
{
    const char *rule = cmd_value(l, "--rule");
    const char *limit = cmd_value(l, "--limit");
    int most = 0;

    *q = (struct audit_query){.rule = -1, .reason = -1};
    int code = read_names(l, q);
    if (code == CMD_OK)
        code = read_format(l, &q->format);
    if (code == CMD_OK)
        code = read_time(cmd_value(l, "--from"), &q->from_ms);
    if (code == CMD_OK)
        code = read_time(cmd_value(l, "--to"), &q->to_ms);
    if (code == CMD_OK && rule != NULL)
        code = read_number(rule, 65535, &q->rule);
    if (code == CMD_OK && limit != NULL)
        code = read_number(limit, 1000000000, &most);
    q->limit = (unsigned)most;
    q->rows = cmd_value(l, "--rows") != NULL || q->ev != 0 || q->rule >= 0 ||
              q->reason >= 0;
    return code;
}

/* What is asked by, never for which value. */
static void put_by(const struct audit_query *q, struct buf *out)
{
    const struct {
        bool asked;
        const char *name;
    } all[] = {
        {q->from_ms != 0 || q->to_ms != 0, "time"},
        {q->act != NULL, "act"},
        {q->rule >= 0, "rule"},
        {q->reason >= 0, "reason"},
        {q->site != NULL, "site"},
        {q->destination != NULL, "destination"},
        {q->ev != 0, "receipt"},
    };
    bool first = true;

    buf_put_char(out, '[');
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!all[i].asked)
            continue;
        buf_printf(out, "%s\"%s\"", first ? "" : ",", all[i].name);
        first = false;
    }
    buf_put_char(out, ']');
}

static bool print_line(void *ctx, struct slice line)
{
    (void)ctx;
    return fwrite(line.at, 1, line.len, stdout) == line.len &&
           fputc('\n', stdout) != EOF;
}

static int note_search(const struct cmd_line *l, const struct conf *c,
                       const struct audit_query *q)
{
    struct buf by;

    buf_init(&by, BY_MAX);
    put_by(q, &by);
    int code = cmd_note_reading(l, c, q->rows, buf_slice(&by));
    buf_free(&by);
    return code;
}

static int search(const struct cmd_line *l, const struct conf *c,
                  const struct audit_query *q)
{
    char folder[CONF_PATH_MAX];
    uint64_t found = 0;
    int code = cmd_audit_folder(c, folder);

    if (code == CMD_OK)
        code = note_search(l, c, q);
    if (code != CMD_OK)
        return code;
    enum status st = audit_search(folder, q, print_line, NULL, &found);
    if (fflush(stdout) != 0 && st == ST_OK)
        st = ST_IO;
    return st == ST_OK ? CMD_OK
                       : cmd_fail(CMD_WRONG, "the audit log cannot be read: %s",
                                  status_name(st));
}

int cmd_audit_search(const struct cmd *self, int argc, char **argv)
{
    const char *config;
    struct conf_complaint complaint;
    struct conf *c = NULL;
    struct audit_query q;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    code = read_query(&l, &q);
    if (code != CMD_OK)
        return code;
    config = cmd_value(&l, "--config");
    if (config == NULL)
        return cmd_fail(CMD_USAGE, "%s needs --config FILE", self->words);
    if (conf_load(config, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    code = search(&l, c, &q);
    conf_free(c);
    return code;
}
