/* cmd_audit_query.c - from options to a query. */
#include "audit_query.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define U53_MAX   ((UINT64_C(1) << 53) - 1)
#define LIMIT_MAX 1000000000u

static int reason_number(const char *name)
{
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (strcmp(audit_reason_name(i), name) == 0)
            return (int)i;
    return -1;
}

static int read_number(const char *text, unsigned long long max, uint64_t *out)
{
    unsigned long long v;

    if (!slice_to_u64(slice_of(text), &v) || v > max)
        return cmd_fail(CMD_USAGE, "%s is no number up to %llu", text, max);
    *out = v;
    return CMD_OK;
}

static int read_time(const char *text, int64_t *out)
{
    if (text != NULL && time_parse(slice_of(text), out) != ST_OK)
        return cmd_fail(CMD_USAGE, "%s is no time such as 2026-11-22T09:00:00Z",
                        text);
    return CMD_OK;
}

bool audit_query_is_export(const struct cmd_line *l)
{
    return strcmp(l->cmd->words, "audit export") == 0;
}

static int read_format(const struct cmd_line *l, struct audit_query *q)
{
    static const char *const names[] = {"jsonl", "csv", "text"};
    const char *name = cmd_value(l, "--format");
    bool export = audit_query_is_export(l);
    unsigned count = export ? 2 : 3, i = 0;

    q->format = !l->json && !export && isatty(STDOUT_FILENO) == 1 ? AUDIT_TEXT
                                                                  : AUDIT_JSONL;
    if (name == NULL)
        return CMD_OK;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    if (i == count)
        return cmd_fail(CMD_USAGE, "--format is %sjsonl or csv",
                        export ? "" : "text, ");
    q->format = (enum audit_format)i;
    return l->json && q->format != AUDIT_JSONL
               ? cmd_fail(CMD_USAGE, "--json is --format jsonl")
               : CMD_OK;
}

static int read_names(const struct cmd_line *l, struct audit_query *q)
{
    const char *reason = cmd_value(l, "--reason");
    const char *receipt = cmd_value(l, "--receipt");
    const char *outcome = cmd_value(l, "--outcome");

    q->act = cmd_value(l, "--act");
    q->who = cmd_value(l, "--who");
    q->site = cmd_value(l, "--site");
    q->destination = cmd_value(l, "--destination");
    q->outcome = outcome;
    if (outcome != NULL && strcmp(outcome, "ok") != 0 &&
        strcmp(outcome, "denied") != 0 && strcmp(outcome, "failed") != 0)
        return cmd_fail(CMD_USAGE, "--outcome is ok, denied or failed");
    if (reason != NULL && (q->reason = reason_number(reason)) < 0)
        return cmd_fail(CMD_USAGE, "%s is no reason; docs/audit.md lists them",
                        reason);
    return receipt != NULL ? cmd_read_receipt(receipt, &q->ev) : CMD_OK;
}

/* "12" or "12.3": behind it in the order asked for. */
static int read_after(const struct cmd_line *l, struct audit_query *q)
{
    const char *text = cmd_value(l, "--after");
    struct slice s = text == NULL ? SLICE_NONE : slice_of(text);
    size_t dot = slice_find(s, '.');
    bool has_row = dot < s.len;
    unsigned long long index,
        row = q->newest_first || !q->rows ? 0 : UINT32_MAX;

    if (text == NULL)
        return CMD_OK;
    if (!slice_to_u64(slice_head(s, dot), &index) || index > U53_MAX ||
        (has_row && (!q->rows || !slice_to_u64(slice_skip(s, dot + 1), &row) ||
                     row >= UINT32_MAX)))
        return cmd_fail(CMD_USAGE,
                        "--after is the number of a record, or of a decision "
                        "as 12.3");
    q->has_after = true;
    q->after = index;
    q->after_row = (uint32_t)row;
    return CMD_OK;
}

static int read_numbers(const struct cmd_line *l, struct audit_query *q)
{
    const char *rule = cmd_value(l, "--rule");
    const char *limit = cmd_value(l, "--limit");
    uint64_t number = 0;
    int code = CMD_OK;

    if (rule != NULL) {
        code = read_number(rule, UINT16_MAX, &number);
        q->rule = (int)number;
    }
    if (code == CMD_OK && limit != NULL)
        code = read_number(limit, LIMIT_MAX, &q->limit);
    return code;
}

int audit_query_read(const struct cmd_line *l, struct audit_query *q)
{
    *q = (struct audit_query){.rule = -1, .reason = -1};
    q->newest_first = cmd_value(l, "--reverse") != NULL;
    q->count_only = cmd_value(l, "--count") != NULL;
    q->no_index = cmd_value(l, "--no-index") != NULL;
    q->person = cmd_value(l, "--ids") != NULL;
    int code = read_names(l, q);
    if (code == CMD_OK)
        code = read_format(l, q);
    if (code == CMD_OK)
        code = read_time(cmd_value(l, "--from"), &q->from_ms);
    if (code == CMD_OK)
        code = read_time(cmd_value(l, "--to"), &q->to_ms);
    if (code == CMD_OK)
        code = read_numbers(l, q);
    q->rows = cmd_value(l, "--rows") != NULL || q->ev != 0 || q->rule >= 0 ||
              q->reason >= 0 || q->person;
    if (code == CMD_OK && q->rows && (q->who != NULL || q->outcome != NULL))
        code = cmd_fail(CMD_USAGE, "--who and --outcome are of records; of a "
                                   "decision ask --act");
    return code == CMD_OK ? read_after(l, q) : code;
}

void audit_query_put_by(const struct audit_query *q, struct buf *out)
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
        {q->who != NULL, "who"},
        {q->outcome != NULL, "outcome"},
        {q->person, "person"},
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

void audit_query_put_place(const struct audit_query *q,
                           const struct audit_found *found, struct buf *out)
{
    buf_printf(out, "%" PRIu64, found->last);
    if (q->rows)
        buf_printf(out, ".%" PRIu32, found->last_row);
}
