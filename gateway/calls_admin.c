#include "lethe/gateway/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens ------------------------------------------------------------- */

static unsigned read_roles(const struct control_call *call)
{
    const char *role = call_text(call, "role");

    return role == NULL ? 0 : token_role_of(slice_of(role));
}

/* args.sites as site ids; false after failing the call. */
static bool read_sites(struct gateway *g, const struct control_call *call,
                       const char **sites, unsigned *count,
                       struct control_answer *out)
{
    const struct json_value *list = json_get(call->args, "sites");

    *count = 0;
    for (const struct json_value *v = json_child(list); v != NULL;
         v = json_sibling(v)) {
        const struct conf_site *s =
            json_kind_of(v) == JSON_KIND_STRING
                ? conf_find_site(g->world->conf, json_string(v).at)
                : NULL;
        if (s == NULL || *count == TOKEN_SITES_MAX) {
            call_fail(out, 3, "no-site", "there is no such site");
            return false;
        }
        sites[(*count)++] = s->id;
    }
    return true;
}

void call_token_add(struct gateway *g, const struct control_call *call,
                    struct control_answer *out)
{
    const char *label = call_text(call, "label");
    const char *lasts = call_text(call, "expires");
    const char *sites[TOKEN_SITES_MAX];
    char text[TOKEN_TEXT_MAX], id[13];
    struct duration life = {0, 0};
    unsigned count, role = read_roles(call);

    if (role == 0 ||
        (lasts != NULL && duration_parse(slice_of(lasts), &life) != ST_OK)) {
        call_fail(out, 3, "usage",
                  "role is one of auditor, officer, operator, owner, app, "
                  "developer; expires is a duration such as P30D");
        return;
    }
    if (!read_sites(g, call, sites, &count, out))
        return;
    int64_t now = gateway_now(g);
    enum status st = tokens_add(
        g->tokens, role, sites, count, label == NULL ? "" : label,
        lasts == NULL ? 0 : duration_after(now, life), now, text, id);
    if (st != ST_OK) {
        call_fail(out, 1, status_name(st), "the token could not be stored");
        return;
    }
    (void)gateway_record(g, RECORD_TOKEN_ADD, call->who, "chg:token", true,
                         NULL, "{\"id\":\"%s\",\"role\":\"%s\"}", id,
                         token_role_name(role));
    buf_printf(&out->text, "token %s (role %s), shown this once:\n%s\n", id,
               token_role_name(role), text);
    buf_printf(&out->data, "{\"id\":\"%s\",\"role\":\"%s\",\"token\":\"%s\"}",
               id, token_role_name(role), text);
    wipe(text, sizeof(text));
}

void calls_print_tokens(struct tokens *tokens, struct control_answer *out)
{
    struct token_facts *list = calloc(TOKENS_MAX, sizeof(*list));

    if (list == NULL) {
        call_fail(out, 1, "nomem", "out of memory");
        return;
    }
    unsigned n = tokens_list(tokens, list, TOKENS_MAX);
    buf_put_char(&out->data, '[');
    for (unsigned i = 0; i < n; i++) {
        char until[TIME_TEXT_MAX] = "never";
        if (list[i].expires_ms > 0)
            (void)time_format(list[i].expires_ms, false, until);
        buf_printf(&out->text, "%s %-9s expires %s %s\n", list[i].id,
                   token_role_name(list[i].role), until, list[i].label);
        buf_printf(&out->data,
                   "%s{\"id\":\"%s\",\"role\":\"%s\",\"expires_ms\":%lld,"
                   "\"sites\":%u,\"label\":",
                   i == 0 ? "" : ",", list[i].id, token_role_name(list[i].role),
                   (long long)list[i].expires_ms, list[i].site_count);
        buf_put_json_string(&out->data, slice_of(list[i].label));
        buf_put_char(&out->data, '}');
    }
    buf_put_char(&out->data, ']');
    if (n == 0)
        buf_put(&out->text, SLICE("no tokens\n"));
    free(list);
}

void call_token_list(struct gateway *g, const struct control_call *call,
                     struct control_answer *out)
{
    (void)call;
    calls_print_tokens(g->tokens, out);
}

void call_token_revoke(struct gateway *g, const struct control_call *call,
                       struct control_answer *out)
{
    const char *id = call_text(call, "id");
    enum status st = id == NULL ? ST_UNKNOWN : tokens_revoke(g->tokens, id);

    if (st != ST_OK) {
        call_fail(out, st == ST_UNKNOWN ? 3 : 1, status_name(st),
                  st == ST_UNKNOWN ? "there is no such token"
                                   : "the token could not be revoked");
        return;
    }
    struct token_facts facts; /* the id is ours: 12 hex digits */
    (void)snprintf(facts.id, sizeof(facts.id), "%s", id);
    (void)gateway_record(g, RECORD_TOKEN_REVOKE, call->who, "chg:token", false,
                         NULL, "{\"id\":\"%s\"}", facts.id);
    buf_printf(&out->text, "token %s revoked\n", facts.id);
    buf_printf(&out->data, "{\"id\":\"%s\"}", facts.id);
}

/* ---- sites -------------------------------------------------------------- */

void calls_print_sites(const struct state *state, const struct conf *c,
                       struct control_answer *out)
{
    const char *id;

    buf_put_char(&out->data, '[');
    for (unsigned i = 0; (id = state_site(state, i)) != NULL; i++) {
        const struct conf_site *s = conf_find_site(c, id);
        buf_printf(&out->text, "%s %s\n", id,
                   s != NULL ? s->name : "(not in the config)");
        buf_printf(&out->data, "%s{\"id\":\"%s\",\"name\":\"%s\"}",
                   i == 0 ? "" : ",", id, s != NULL ? s->name : "");
    }
    buf_put_char(&out->data, ']');
}

void call_site_list(struct gateway *g, const struct control_call *call,
                    struct control_answer *out)
{
    (void)call;
    calls_print_sites(g->state, g->world->conf, out);
}

/* The secrets of its epochs, wherever they are kept (R27). */
static enum status forget_epochs(struct gateway *g, const struct conf_site *s)
{
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < s->destination_count; i++) {
        st = epochs_forget(g->epochs, slice_of(s->id),
                           slice_of(s->destinations[i].name));
        if (st == ST_UNKNOWN)
            st = ST_OK; /* no event has come for it yet */
    }
    return st;
}

/* Its epochs die with it; its opt-outs stay, in case it comes back. */
void call_site_retire(struct gateway *g, const struct control_call *call,
                      struct control_answer *out)
{
    const char *id = call_text(call, "id");

    if (id == NULL || conf_find_site(g->world->conf, id) == NULL) {
        call_fail(out, 3, "no-site", "give the id of a site of the state");
        return;
    }
    const struct conf_site *s = conf_find_site(g->world->conf, id);
    uint64_t index = 0;
    enum status st =
        gateway_record(g, RECORD_SITE_RETIRE, call->who, "chg:retire", true,
                       &index, "{\"site\":\"%s\"}", s->name);
    if (st == ST_OK)
        st = gateway_wait_signed(g, index, GATEWAY_SIGN_WAIT_MS);
    if (st == ST_OK)
        st = state_retire_site(g->state, slice_of(s->id));
    if (st == ST_OK)
        st = forget_epochs(g, s);
    if (st != ST_OK) {
        call_fail(out, 1, status_name(st), "the site could not be retired");
        return;
    }
    buf_printf(&out->text,
               "%s is retired; take it out of the config and reload\n",
               s->name);
    buf_printf(&out->data, "{\"retired\":\"%s\"}", s->id);
}
