#include "lethe/gateway/calls.h"
#include "lethe/policy/base/log.h"

#include <stdio.h>
#include <string.h>

/* Who may ask what (design.md section 5, roles). The control socket's own
 * user may ask everything. A token that is limited to sites may only ask for
 * what is of one site, and names one of its own: the other answers are about
 * all of them. */
#define READERS (ROLE_AUDITOR | ROLE_OFFICER | ROLE_OPERATOR)

static const struct {
    const char *command;
    unsigned roles;
    bool of_site;
    call_fn *run;
} table[] = {
    {"status", READERS, false, call_status},
    {"reload", ROLE_OPERATOR, false, call_reload},
    {"keys status", READERS, false, call_keys_status},
    {"keys rotate", ROLE_OPERATOR, false, call_keys_rotate},
    {"keys destroy", ROLE_OPERATOR, false, call_keys_destroy},
    {"retention status", READERS, false, call_retention_status},
    {"retention run", ROLE_OPERATOR, false, call_retention_run},
    {"spool status", READERS, false, call_spool_status},
    {"spool dead", READERS, false, call_spool_dead},
    {"spool replay", ROLE_OPERATOR, true, call_spool_replay},
    {"spool purge", ROLE_OPERATOR, true, call_spool_purge},
    {"destination list", READERS, false, call_destination_list},
    {"destination test", ROLE_OPERATOR, true, call_destination_test},
    {"destination pause", ROLE_OPERATOR, true, call_destination_pause},
    {"destination resume", ROLE_OPERATOR, true, call_destination_resume},
    {"token add", 0, false, call_token_add},
    {"token list", ROLE_OPERATOR, false, call_token_list},
    {"token revoke", ROLE_OPERATOR, false, call_token_revoke},
    {"subject optout", ROLE_OFFICER | ROLE_APP, true, call_subject_optout},
    {"subject optin", ROLE_OFFICER | ROLE_APP, true, call_subject_optin},
    {"subject status", ROLE_OFFICER, true, call_subject_status},
    {"subject find", ROLE_OFFICER, true, call_subject_find},
    {"subject export", ROLE_OFFICER, true, call_subject_export},
    {"subject erase", ROLE_OFFICER, true, call_subject_erase},
    {"request open", ROLE_OFFICER | ROLE_APP, true, call_request_open},
    {"request list", ROLE_OFFICER, false, call_request_list},
    {"request extend", ROLE_OFFICER, false, call_request_extend},
    {"request close", ROLE_OFFICER, false, call_request_close},
    {"subject accept-loss", 0, false, call_subject_accept_loss},
    {"site list", READERS, false, call_site_list},
    {"site retire", 0, false, call_site_retire},
    {"audit canary", ROLE_OFFICER, true, call_audit_canary},
    {"audit canary result", ROLE_OFFICER, false, call_audit_canary_result},
    {"report ropa", ROLE_AUDITOR | ROLE_OFFICER, true, call_report_ropa},
    {"audit prune", ROLE_OFFICER, false, call_audit_prune},
    {"audit hold set", ROLE_OFFICER, false, call_hold_set},
    {"audit hold lift", ROLE_OFFICER, false, call_hold_lift},
    {"audit hold list", READERS, false, call_hold_list},
    {"audit settle", ROLE_AUDITOR | ROLE_OFFICER, false, call_audit_settle},
    {"audit read", ROLE_AUDITOR | ROLE_OFFICER, false, call_audit_read},
    {"audit person", ROLE_OFFICER, true, call_audit_person},
};
#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

void call_fail(struct control_answer *out, int code, const char *error,
               const char *message)
{
    out->exit = code;
    buf_reset(&out->text);
    buf_reset(&out->data);
    buf_printf(&out->text, "%s\n", message);
    buf_printf(&out->data, "{\"error\":\"%s\",\"message\":\"%s\"}", error,
               message);
}

const char *call_text(const struct control_call *call, const char *name)
{
    const struct json_value *v = json_get(call->args, name);

    return v != NULL && json_kind_of(v) == JSON_KIND_STRING ? json_string(v).at
                                                            : NULL;
}

const struct world_site *call_site(struct gateway *g,
                                   const struct control_call *call,
                                   struct control_answer *out)
{
    const char *name = call_text(call, "site");

    if (name == NULL && g->world->site_count == 1)
        return &g->world->sites[0];
    for (unsigned i = 0; name != NULL && i < g->world->site_count; i++) {
        const struct world_site *s = &g->world->sites[i];
        if (strcmp(s->conf->name, name) == 0 || strcmp(s->conf->id, name) == 0)
            return s;
    }
    call_fail(out, 3, "no-site",
              name == NULL ? "there are several sites: say which with --site"
                           : "there is no such site");
    return NULL;
}

const struct world_destination *call_destination(
    struct gateway *g, const struct control_call *call,
    struct control_answer *out)
{
    const struct world_site *s = call_site(g, call, out);
    const char *name = call_text(call, "destination");

    if (s == NULL)
        return NULL;
    for (unsigned d = 0; name != NULL && d < POLICY_DESTINATIONS_MAX; d++)
        if (s->to[d] != NULL && strcmp(s->to[d]->conf->name, name) == 0)
            return s->to[d];
    call_fail(out, 3, "no-destination",
              name == NULL ? "say which destination"
                           : "this site has no such destination");
    return NULL;
}

void call_age(int64_t ms, char out[32])
{
    int64_t s = ms / 1000;

    if (s >= 86400)
        (void)snprintf(out, 32, "%lldd %lldh", (long long)(s / 86400),
                       (long long)(s / 3600 % 24));
    else if (s >= 3600)
        (void)snprintf(out, 32, "%lldh %lldmin", (long long)(s / 3600),
                       (long long)(s / 60 % 60));
    else if (s >= 60)
        (void)snprintf(out, 32, "%lld min", (long long)(s / 60));
    else
        (void)snprintf(out, 32, "%lld s", (long long)s);
}

/* Is the call within the sites of its token? */
static bool covers(const struct gateway *g, const struct control_call *call,
                   bool of_site)
{
    const char *name = call_text(call, "site");
    const struct conf_site *s =
        name != NULL                ? conf_find_site(g->world->conf, name)
        : g->world->site_count == 1 ? g->world->sites[0].conf
                                    : NULL;

    return call->token == NULL || call->token->site_count == 0 ||
           (of_site && s != NULL && token_covers(call->token, s->id));
}

static void forbid(const struct control_call *call, struct control_answer *out,
                   const char *message)
{
    call_fail(out, 1, "forbidden", message);
    out->status = 403;
    log_warn(LOG_ADMIN, "a call was refused",
             LOG_NAME("role", token_role_name(call->role)));
}

void calls_handle(void *gateway, const struct control_call *call,
                  struct control_answer *out)
{
    struct gateway *g = gateway;

    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (!slice_eq(call->command, slice_of(table[i].command)))
            continue;
        if ((call->role & (table[i].roles | ROLE_LOCAL)) == 0)
            forbid(call, out, "this token's role may not do that");
        else if (!covers(g, call, table[i].of_site))
            forbid(call, out, "this token is limited to its sites");
        else
            table[i].run(g, call, out);
        return;
    }
    call_fail(out, 3, "no-command", "a running gateway has no such command");
    out->status = 404;
}
