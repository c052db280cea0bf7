#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/gateway.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/serve.h"

#include <stdio.h>
#include <stdlib.h>

#define REPORT_MAX 65536u

int cmd_serve(const struct cmd *self, int argc, char **argv)
{
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (cmd_value(&l, "--config") == NULL)
        return cmd_fail(CMD_USAGE, "serve needs --config FILE");
    return serve_run(cmd_value(&l, "--config"));
}

static int check_key(const char *name, const char *path, const char *state_dir)
{
    enum key_fault fault = KEY_FAULT_NONE;
    uint8_t *key = NULL;

    if (keyfile_load(path, state_dir, &key, &fault) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s: %s: %s", name, path,
                        key_fault_text(fault));
    secret_free(key);
    return CMD_OK;
}

/* What a destination's shape takes from what the policy asks for: only config
 * and policy together show it. */
static void warn_shape(const struct conf_site *s, const struct policy *p,
                       const struct conf_destination *d)
{
    const struct destination_plan *plan =
        &p->destinations[policy_find_destination(p, slice_of(d->name))];
    unsigned carries = wire_identifier_bits(destination_wire(d->type));

    if (plan->bits > carries)
        (void)fprintf(stderr,
                      "warning: site %s, destination %s: pseudonyms of %u bits "
                      "are asked for, its form carries %u\n",
                      s->name, d->name, plan->bits, carries);
    if (d->type == DESTINATION_GA4 && plan->visitor_count == 0)
        (void)fprintf(stderr,
                      "warning: site %s, destination %s: without \"visitor\" "
                      "in the policy every event is a visitor of its own\n",
                      s->name, d->name);
}

static void warn_shapes(const struct conf *c, struct policy *const *policies)
{
    for (unsigned i = 0; i < c->site_count; i++)
        for (unsigned k = 0; k < c->sites[i].destination_count; k++)
            warn_shape(&c->sites[i], policies[i], &c->sites[i].destinations[k]);
}

static int check(const struct conf *c)
{
    struct policy **policies = NULL;
    struct buf report;

    buf_init(&report, REPORT_MAX);
    enum status st = reload_policies(c, &policies, &report);
    if (report.len > 0)
        (void)fwrite(report.data, 1, report.len, stderr);
    buf_free(&report);
    if (st != ST_OK)
        return CMD_WRONG;
    warn_shapes(c, policies);
    reload_free_policies(policies, c->site_count);
    int code = check_key("master_key", c->master_key_file, c->state_dir);
    if (code == CMD_OK && key_in_environment() != NULL)
        code = cmd_fail(CMD_WRONG, "%s: %s", key_in_environment(),
                        KEY_IN_ENVIRONMENT);
    if (code == CMD_OK)
        code = check_key("optout_key", c->optout_key_file, c->state_dir);
    return code;
}

int cmd_check(const struct cmd *self, int argc, char **argv)
{
    struct conf_complaint complaint;
    struct conf *c = NULL;
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (cmd_value(&l, "--config") == NULL)
        return cmd_fail(CMD_USAGE, "check needs --config FILE");
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    if (conf_load(cmd_value(&l, "--config"), &c, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    code = check(c);
    if (l.json)
        (void)printf("{\"ok\":%s}\n", code == CMD_OK ? "true" : "false");
    else if (code == CMD_OK)
        (void)printf("%s: config, policies and keys are fine\n", c->file);
    conf_free(c);
    return code;
}
