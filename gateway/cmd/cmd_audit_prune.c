/* cmd_audit_prune.c - `audit prune` and `audit hold`: asked of the running
 * gateway; what only looks works on the files, under the lock, too. */
#include "lethe/gateway/audit/prune.h"
#include "lethe/gateway/calls.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/state.h"
#include "lethe/gateway/system_clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 4096u

static int look(const struct conf *c, struct prune_offline *out)
{
    enum state_fault fault;
    struct state *state = NULL;
    char folder[CONF_PATH_MAX];

    if (!state_path(c, "audit", folder))
        return cmd_fail(CMD_WRONG, "state_dir is too long a path");
    if (state_open(c->state_dir, &state, &fault) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s: %s", c->state_dir,
                        state_fault_text(fault));
    enum status st = prune_look(folder, system_clock()->wall_ms(NULL), out);
    state_close(state);
    return st == ST_OK ? CMD_OK
                       : cmd_fail(CMD_WRONG, "the audit log cannot be read: %s",
                                  status_name(st));
}

/* No gateway runs: print the plans, or the holds. */
static int print_look(const struct cmd_line *l, bool holds)
{
    struct conf_complaint complaint;
    struct prune_offline *found = calloc(1, sizeof(*found));
    struct control_answer out;
    struct conf *c = NULL;
    int code = CMD_OK;

    if (found == NULL)
        return cmd_fail(CMD_WRONG, "out of memory");
    control_answer_init(&out);
    if (conf_load(cmd_value(l, "--config"), &c, &complaint) != ST_OK)
        code = cmd_fail(CMD_WRONG, "%s", complaint.text);
    else
        code = look(c, found);
    if (code == CMD_OK) {
        if (holds)
            calls_print_holds(found->holds, found->hold_count, &out);
        else
            calls_print_plans(found->plans, &out);
        struct slice text = buf_slice(l->json ? &out.data : &out.text);
        (void)printf("%.*s%s", SLICE_ARG(text), l->json ? "\n" : "");
    }
    control_answer_free(&out);
    conf_free(c);
    free(found);
    return code;
}

static int offline_plans(const struct cmd_line *l)
{
    return print_look(l, false);
}

static int offline_holds(const struct cmd_line *l)
{
    return print_look(l, true);
}

int cmd_audit_prune(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    bool dry = cmd_value(&l, "--dry-run") != NULL;
    return cmd_ask(&l, dry ? SLICE("{\"dry_run\":true}") : SLICE("{}"),
                   dry ? offline_plans : NULL);
}

static void put_member(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
    buf_put_json_string(out, slice_of(value));
}

/* "audit hold" and its verb are one command of the gateway. */
int cmd_audit_hold(const struct cmd *self, int argc, char **argv)
{
    static const char *const verbs[] = {"audit hold set", "audit hold lift",
                                        "audit hold list"};
    struct cmd as = *self;
    struct cmd_line l;
    struct buf args;
    int code = cmd_parse(self, argc, argv, &l);
    size_t i = 0;

    if (code >= 0)
        return code;
    const char *verb = l.positional_count > 0 ? l.positionals[0] : "";
    while (i < 3 && strcmp(verbs[i] + strlen("audit hold "), verb) != 0)
        i++;
    if (i == 3 || (l.positional_count == 2) != (i == 1))
        return cmd_fail(CMD_USAGE, "audit hold is set, lift ID, or list");
    as.words = verbs[i];
    l.cmd = &as;
    buf_init(&args, ARGS_MAX);
    buf_put_char(&args, '{');
    put_member(&args, "from", cmd_value(&l, "--from"));
    put_member(&args, "to", cmd_value(&l, "--to"));
    put_member(&args, "why", cmd_value(&l, "--why"));
    put_member(&args, "id", i == 1 ? l.positionals[1] : NULL);
    buf_put_char(&args, '}');
    code = args.failed
               ? cmd_fail(CMD_USAGE, "arguments are too long")
               : cmd_ask(&l, buf_slice(&args), i == 2 ? offline_holds : NULL);
    buf_free(&args);
    return code;
}
