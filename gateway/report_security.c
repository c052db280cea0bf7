/* report_security.c - technical measures (GDPR Art. 30(1)(g)) as the gateway
 * runs, and what protects less than it does by default. */
#include "lethe/gateway/report.h"
#include "lethe/policy/json_put.h"

#include <netinet/in.h>

static const char *rows_word(enum conf_rows rows)
{
    switch (rows) {
    case ROWS_ALL:
        return "all";
    case ROWS_DROPPED:
        return "dropped";
    case ROWS_NONE:
        break;
    }
    return "none";
}

/* Only programs of this machine can connect. */
static bool is_local(const struct conf_listen *c)
{
    const void *at = &c->address;

    if (c->address.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)at)->sin_addr.s_addr) >> 24 ==
               127;
    return c->address.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)at)->sin6_addr);
}

static bool is_https(const struct conf_destination *c)
{
    return c->url == NULL || slice_starts(slice_of(c->url), SLICE("https://"));
}

static void put_listen(struct json_put *l, const struct conf_listen *c,
                       const char *what)
{
    json_put_next(l);
    struct json_put one = json_put_begin(l->out, '{');
    json_put_text(&one, "for", slice_of(what));
    json_put_text(&one, "address", slice_of(c->text));
    json_put_bool(&one, "this_machine_only", is_local(c));
    json_put_text(&one, "tls",
                  c->tls.certificate == NULL ? SLICE("none")
                  : c->tls.min_version >= 13 ? SLICE("1.3")
                                             : SLICE("1.2"));
    buf_put_char(l->out, '}');
}

static void put_listeners(const struct conf *c, struct buf *out)
{
    struct json_put l = json_put_begin(out, '[');

    for (unsigned i = 0; i < c->listen_count; i++)
        put_listen(&l, &c->listen[i], "events");
    if (c->admin.text != NULL)
        put_listen(&l, &c->admin, "admin");
    buf_put_char(out, ']');
}

static void put_destinations(const struct report_view *v, struct buf *out)
{
    const struct policy *p = v->site->policy;
    struct json_put l = json_put_begin(out, '[');

    for (unsigned d = 0; d < p->destination_count; d++) {
        const struct world_destination *to = v->site->to[d];
        if (to == NULL)
            continue;
        json_put_next(&l);
        struct json_put one = json_put_begin(out, '{');
        json_put_text(&one, "destination", p->destinations[d].name);
        json_put_text(&one, "type",
                      slice_of(destination_type_name(to->conf->type)));
        if (destination_is_network(to->conf->type))
            json_put_bool(&one, "encrypted", is_https(to->conf));
        else {
            json_put_key(&one, "mode");
            buf_printf(out, "\"%04o\"", to->conf->mode);
        }
        json_put_duration(&one, "pseudonyms_change_after",
                          p->destinations[d].rotate);
        json_put_whole(&one, "pseudonym_bits", p->destinations[d].bits);
        json_put_text(&one, "checked_as",
                      slice_of(profile_name(p->destinations[d].profile)));
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void put_audit(const struct report_view *v, struct buf *out)
{
    struct json_put l = json_put_begin(out, '{');

    json_put_text(&l, "rows", slice_of(rows_word(v->conf->audit_rows)));
    json_put_duration(&l, "time_step",
                      (struct duration){0, v->conf->audit_time_step_ms});
    json_put_whole(&l, "signed_records", v->signed_records);
    json_put_key(&l, "witnesses");
    struct json_put list = json_put_begin(out, '[');
    for (unsigned i = 0; i < v->witness_count; i++) {
        json_put_next(&list);
        struct json_put one = json_put_begin(out, '{');
        json_put_text(&one, "name", slice_of(v->witnesses[i].name));
        json_put_text(&one, "state",
                      slice_of(witness_state_name(v->witnesses[i].state)));
        buf_put_char(out, '}');
    }
    buf_put(out, SLICE("]}"));
}

void report_security(const struct report_view *v, struct buf *out)
{
    struct json_put l = json_put_begin(out, '{');

    json_put_key(&l, "listeners");
    put_listeners(v->conf, out);
    json_put_key(&l, "destinations");
    put_destinations(v, out);
    json_put_text(&l, "epoch_store", slice_of(v->epoch_place));
    json_put_whole(&l, "sealed_spool_keys", v->spool_keys);
    json_put_text(&l, "optout_list", slice_of(v->optout_list));
    json_put_key(&l, "audit");
    put_audit(v, out);
    buf_put_char(out, '}');
}

/* ---- less than by default ------------------------------------------------ */

static void put_weaker(struct json_put *l, const char *setting,
                       struct slice where, const char *means)
{
    json_put_next(l);
    struct json_put one = json_put_begin(l->out, '{');
    json_put_text(&one, "setting", slice_of(setting));
    json_put_text(&one, "where", where);
    json_put_text(&one, "means", slice_of(means));
    buf_put_char(l->out, '}');
}

static void put_weaker_connections(const struct report_view *v,
                                   struct json_put *l)
{
    const struct conf *c = v->conf;

    for (unsigned i = 0; i < c->listen_count; i++)
        if (c->listen[i].tls.certificate == NULL && !is_local(&c->listen[i]))
            put_weaker(l, "listen.tls", slice_of(c->listen[i].text),
                       "events come unencrypted from other machines");
    if (c->admin.text != NULL && c->admin.tls.certificate == NULL &&
        !is_local(&c->admin))
        put_weaker(l, "admin.tls", slice_of(c->admin.text),
                   "tokens and answers pass unencrypted");
    for (unsigned d = 0; d < v->site->policy->destination_count; d++) {
        const struct world_destination *to = v->site->to[d];
        if (to != NULL && destination_is_network(to->conf->type) &&
            !is_https(to->conf))
            put_weaker(l, "destination.url", slice_of(to->conf->name),
                       "events are delivered unencrypted");
    }
}

void report_weaker(const struct report_view *v, struct buf *out)
{
    const struct conf *c = v->conf;
    struct json_put l = json_put_begin(out, '[');

    if (c->subject_search_ms > MS_PER_DAY)
        put_weaker(&l, "audit.subject_search", SLICE_NONE,
                   "rows of one person can be found for longer than a day");
    if (c->audit_rows != ROWS_ALL)
        put_weaker(&l, "audit.rows", SLICE_NONE,
                   "some decisions can be counted, but not looked up");
    if (c->epoch_store == EPOCHS_DISK)
        put_weaker(&l, "epoch_store", SLICE_NONE,
                   "secrets of pseudonyms lie on a disk that may keep them");
    put_weaker_connections(v, &l);
    buf_put_char(out, ']');
}
