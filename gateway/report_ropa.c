#include "lethe/gateway/report.h"

#include "lethe/gateway/rights/register.h"
#include "lethe/policy/json_put.h"
#include "lethe/policy/notice.h"

#include <string.h>

static const struct world_destination *set_up(const struct report_view *v,
                                              unsigned d)
{
    return ((unsigned)v->site->present >> d & 1u) != 0 ? v->site->to[d] : NULL;
}

/* What people are told, word for word: the record cannot say another thing
 * than the notice. */
static enum status put_processing(const struct report_view *v, struct buf *out)
{
    char base[CONF_NAME_MAX + 8];
    size_t len = strlen(v->site->conf->name);

    memcpy(base, "/s/", 3);
    memcpy(base + 3, v->site->conf->name, len);
    return notice_put(
        &(struct notice_view){.policy = v->site->policy,
                              .present = v->site->present,
                              .since_ms = v->site->policy_since_ms,
                              .base = {base, len + 3}},
        out);
}

/* Consents that nobody saw: declared in the policy, with whose word. */
static enum status put_asserted(const struct report_view *v, struct buf *out)
{
    const struct policy *p = v->site->policy;
    const struct json_value *purposes =
        json_get(json_tree_root(p->resolved), "purposes");
    struct json_put l = json_put_begin(out, '[');
    enum status st = ST_OK;

    for (const struct json_value *u = json_child(purposes);
         st == ST_OK && u != NULL; u = json_sibling(u)) {
        const struct json_value *consent = json_get(u, "consent");
        const struct json_value *asserted =
            consent == NULL ? NULL : json_get(consent, "asserted");
        if (asserted == NULL || json_kind_of(asserted) != JSON_KIND_OBJECT)
            continue;
        json_put_next(&l);
        struct json_put one = json_put_begin(out, '{');
        json_put_text(&one, "purpose", json_name(u));
        st = json_put_copy(&one, "asserted", consent);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
    return st;
}

static const struct json_value *destination_of(const struct policy *p,
                                               struct slice name)
{
    const struct json_value *all =
        json_get(json_tree_root(p->resolved), "destinations");
    const struct json_value *v = json_child(all);

    while (v != NULL && !slice_eq(json_name(v), name))
        v = json_sibling(v);
    return v;
}

/* Requirements of its profile that a destination does not keep, and why. */
static void put_deviations(const struct report_view *v, struct buf *out)
{
    const struct policy *p = v->site->policy;
    struct json_put l = json_put_begin(out, '[');

    for (unsigned d = 0; d < p->destination_count; d++) {
        const struct json_value *at =
            destination_of(p, p->destinations[d].name);
        const struct json_value *all = at == NULL || set_up(v, d) == NULL
                                           ? NULL
                                           : json_get(at, "deviations");
        for (const struct json_value *one = all == NULL ? NULL
                                                        : json_child(all);
             one != NULL; one = json_sibling(one)) {
            json_put_next(&l);
            struct json_put o = json_put_begin(out, '{');
            json_put_text(&o, "destination", p->destinations[d].name);
            json_put_text(&o, "profile",
                          slice_of(profile_name(p->destinations[d].profile)));
            json_put_text(&o, "requirement", json_name(one));
            json_put_text(&o, "why", json_string(one));
            buf_put_char(out, '}');
        }
    }
    buf_put_char(out, ']');
}

/* (e): recipients outside the European Economic Area, and only those, name
 * what their transfer stands on (policy_load() sees to it). */
static void put_transfers(const struct report_view *v, struct buf *out)
{
    const struct policy *p = v->site->policy;
    struct json_put l = json_put_begin(out, '[');

    for (unsigned d = 0; d < p->destination_count; d++) {
        const struct destination_plan *to = &p->destinations[d];
        if (set_up(v, d) == NULL || to->transfer.len == 0)
            continue;
        json_put_next(&l);
        struct json_put one = json_put_begin(out, '{');
        json_put_text(&one, "destination", to->name);
        json_put_text(&one, "recipient", to->recipient);
        json_put_text(&one, "country", to->country);
        json_put_text(&one, "safeguard", to->transfer);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

/* ---- (f) ---------------------------------------------------------------- */

static void put_limit(struct json_put *l, const char *what, struct slice of,
                      const char *where, struct duration limit,
                      const char *enforced_by)
{
    json_put_next(l);
    struct json_put one = json_put_begin(l->out, '{');
    json_put_text(&one, "what", slice_of(what));
    json_put_text(&one, "of", of);
    json_put_text(&one, "where", slice_of(where));
    json_put_duration(&one, "limit", limit);
    json_put_text(&one, "enforced_by", slice_of(enforced_by));
    buf_put_char(l->out, '}');
}

static void put_erasure_at(const struct report_view *v, unsigned d,
                           struct json_put *l)
{
    const struct policy *p = v->site->policy;
    const struct destination_plan *to = &p->destinations[d];
    const struct conf_destination *c = v->site->to[d]->conf;
    bool network = destination_is_network(c->type);

    for (unsigned i = 0; i < p->purpose_count; i++)
        if (((unsigned)to->purposes >> i & 1u) != 0)
            put_limit(l, "events", p->purposes[i].name, c->name,
                      p->purposes[i].retention,
                      network ? "recipient" : "gateway");
    put_limit(l, "pseudonym-secret", SLICE_NONE, c->name, to->rotate,
              "gateway");
}

static void put_erasure(const struct report_view *v, struct buf *out)
{
    const struct policy *p = v->site->policy;
    struct json_put l = json_put_begin(out, '[');

    for (unsigned d = 0; d < p->destination_count; d++)
        if (set_up(v, d) != NULL)
            put_erasure_at(v, d, &l);
    put_limit(&l, "waiting", SLICE_NONE, "gateway", p->keep_spool, "gateway");
    put_limit(&l, "undeliverable", SLICE_NONE, "gateway", p->keep_dead,
              "gateway");
    put_limit(&l, "audit-rows", SLICE_NONE, "gateway", p->keep_rows, "gateway");
    put_limit(&l, "audit-records", SLICE_NONE, "gateway", p->keep_records,
              "gateway");
    put_limit(&l, "day-key", SLICE_NONE, "gateway",
              (struct duration){0, v->conf->subject_search_ms}, "gateway");
    put_limit(&l, "requests", SLICE_NONE, "gateway",
              (struct duration){0, REQUESTS_KEEP_MS}, "gateway");
    buf_put_char(out, ']');
}

/* ---- the rest ----------------------------------------------------------- */

/* Art. 30(2), for those who run the gateway for the controller. */
static enum status put_processor(const struct report_view *v, struct buf *out)
{
    const struct json_value *root = json_tree_root(v->site->policy->resolved);
    const struct json_value *controller = json_get(root, "controller");
    struct json_put l = json_put_begin(out, '{');

    enum status st = json_put_copy(&l, "processors", json_get(root, "hosting"));
    json_put_text(&l, "on_behalf_of",
                  json_string(json_get(controller, "name")));
    json_put_key(&l, "categories");
    buf_put(out, SLICE("[\"receiving\",\"deciding\",\"minimising\","
                       "\"pseudonymising\",\"delivering\",\"auditing\"]"));
    buf_put_char(out, '}');
    return st;
}

/* R56. What front_rights.c does; a test holds every answer against it. */
static void put_device_access(struct buf *out)
{
    buf_put(
        out,
        SLICE("{\"reads\":[{\"cookie\":\"lethe_optout\",\"when\":"
              "\"it comes with an event\"},{\"cookie\":\"of the "
              "SDKs in use\",\"when\":\"the person's own opt-out on "
              "the page of the site\"}],\"sets\":[{\"cookie\":\"lethe_optout\","
              "\"value\":\"1\",\"identifies\":false,\"when\":\"the "
              "person's own opt-out\"}],\"callers_need_consent\":"
              "true}"));
}

enum status report_ropa(const struct report_view *v, struct buf *out)
{
    struct json_put l = json_put_begin(out, '{');
    char made[TIME_TEXT_MAX];

    (void)time_format(v->now_ms, false, made);
    json_put_text(&l, "report", SLICE("ropa"));
    json_put_whole(&l, "format", 1);
    json_put_text(&l, "made", slice_of(made));
    json_put_text(&l, "site", slice_of(v->site->conf->name));
    json_put_key(&l, "processing");
    enum status st = put_processing(v, out);
    json_put_key(&l, "asserted_consents");
    if (st == ST_OK)
        st = put_asserted(v, out);
    json_put_key(&l, "transfers");
    put_transfers(v, out);
    json_put_key(&l, "erasure");
    put_erasure(v, out);
    json_put_key(&l, "security");
    report_security(v, out);
    json_put_key(&l, "deviations");
    put_deviations(v, out);
    json_put_key(&l, "weaker_settings");
    report_weaker(v, out);
    json_put_key(&l, "device_access");
    put_device_access(out);
    json_put_key(&l, "processor");
    if (st == ST_OK)
        st = put_processor(v, out);
    buf_put_char(out, '}');
    if (st == ST_OK && out->failed)
        st = ST_LIMIT;
    return st;
}
