/* cmd_signer.c - `lethe signer`: the process that signs the log. */
#include "lethe/gateway/audit/signer.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/serve.h"
#include "lethe/gateway/system_clock.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static int serve(const char *dir, struct slice origin, bool with_parent)
{
    char why[SIGNER_WHY_MAX];
    struct signer *s = NULL;

    if (signer_open(dir, origin, system_clock(), &s, why) != ST_OK)
        return cmd_fail(CMD_WRONG, "signer: %s: %s", dir, why);
    enum status st = signer_serve(s, dir, with_parent ? STDIN_FILENO : -1);
    signer_close(s);
    if (st == ST_EXISTS && with_parent)
        return CMD_INCOMPLETE; /* whoever asked says so, if it matters */
    if (st == ST_EXISTS)
        return cmd_fail(CMD_INCOMPLETE, "signer: %s: another one serves it",
                        dir);
    if (st == ST_CORRUPT)
        return cmd_fail(CMD_WRONG, "signer: %s: its state cannot be written",
                        dir);
    return st == ST_OK
               ? CMD_OK
               : cmd_fail(CMD_WRONG, "signer: %s: cannot listen there", dir);
}

static int run(const struct cmd_line *l, const struct conf *c)
{
    const char *dir = cmd_value(l, "--dir");
    bool with_parent = cmd_value(l, "--with-parent") != NULL;

    if (dir == NULL)
        dir = c->signer_dir;
    /* A terminal's or a service manager's signals to all are for the parent,
     * which needs its last signature; its end is ours. */
    if (with_parent) {
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
    }
    if (secrets_init() != ST_OK || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return cmd_fail(CMD_WRONG, "signer: this process cannot be closed off");
    serve_log(c);
    return serve(dir, c == NULL ? SLICE_NONE : slice_of(c->audit_origin),
                 with_parent);
}

int cmd_signer(const struct cmd *self, int argc, char **argv)
{
    struct conf_complaint complaint;
    struct conf *c = NULL;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    const char *file = cmd_value(&l, "--config");
    if (file == NULL && cmd_value(&l, "--dir") == NULL)
        return cmd_fail(CMD_USAGE, "signer needs --config FILE or --dir DIR");
    if (file != NULL && conf_load(file, &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    code = run(&l, c);
    conf_free(c);
    return code;
}
