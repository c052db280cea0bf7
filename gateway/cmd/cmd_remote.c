/* cmd_remote.c - commands that only ask a running gateway. */
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/policy/json_tree.h"

#include <stdio.h>
#include <string.h>

#define ARGS_MAX 8192u

static void put_member(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
    buf_put_json_string(out, slice_of(value));
}

/* One positional argument: the destination, or the id. */
static const char *positional_name(const struct cmd *c)
{
    return strncmp(c->words, "token", 5) == 0 ? "id" : "destination";
}

int cmd_remote(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    struct buf args;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    buf_init(&args, ARGS_MAX);
    buf_put_char(&args, '{');
    put_member(&args, "site", cmd_value(&l, "--site"));
    if (l.positional_count > 0)
        put_member(&args, positional_name(self), l.positionals[0]);
    if (cmd_value(&l, "--dead") != NULL)
        buf_printf(&args, "%s\"dead\":true", args.len > 1 ? "," : "");
    if (cmd_value(&l, "--exposed") != NULL)
        buf_printf(&args, "%s\"exposed\":true", args.len > 1 ? "," : "");
    buf_put_char(&args, '}');
    code = args.failed ? cmd_fail(CMD_USAGE, "arguments are too long")
                       : cmd_ask(&l, buf_slice(&args), NULL);
    buf_free(&args);
    return code;
}
