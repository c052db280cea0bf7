/* cmd_request.c - the register of people's requests, asked of the running
 * gateway. */
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/policy/json_tree.h"

#include <stdio.h>
#include <string.h>

#define ARGS_MAX 8192u

static void put_member(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(out, ",\"%s\":", name);
    buf_put_json_string(out, slice_of(value));
}

int cmd_request(const struct cmd *self, int argc, char **argv)
{
    static const char *const names[] = {"site",     "kind", "ticket",
                                        "received", "why",  "outcome"};
    bool of_one = strcmp(self->words, "request extend") == 0 ||
                  strcmp(self->words, "request close") == 0;
    struct cmd_line l;
    struct buf args;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (l.positional_count != (of_one ? 1u : 0u))
        return cmd_fail(CMD_USAGE,
                        of_one ? "give the id of one request"
                               : "%s takes no argument",
                        self->words);
    buf_init(&args, ARGS_MAX);
    buf_printf(&args, "{\"all\":%s",
               cmd_value(&l, "--all") != NULL ? "true" : "false");
    if (of_one)
        put_member(&args, "id", l.positionals[0]);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char option[16];
        (void)snprintf(option, sizeof(option), "--%s", names[i]);
        put_member(&args, names[i], cmd_value(&l, option));
    }
    buf_put_char(&args, '}');
    code = args.failed ? cmd_fail(CMD_USAGE, "arguments are too long")
                       : cmd_ask(&l, buf_slice(&args), NULL);
    buf_free(&args);
    return code;
}
