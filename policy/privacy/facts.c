#include "page.h"

/* The destinations of the view as bits, one pass for every question. */
static bool is_present(const struct page *p, unsigned destination)
{
    return (p->view->present >> destination & 1u) != 0;
}

/* ---- what --------------------------------------------------------------- */

static bool field_leaves(const struct page *p, const struct event_plan *e,
                         unsigned field)
{
    for (unsigned d = 0; d < p->view->policy->destination_count; d++)
        if (is_present(p, d) && e->to[d].purposes != 0 &&
            e->to[d].fields[field].kind != RULE_DROP)
            return true;
    return false;
}

static bool event_leaves(const struct page *p, const struct event_plan *e)
{
    for (unsigned d = 0; d < p->view->policy->destination_count; d++)
        if (is_present(p, d) && e->to[d].purposes != 0)
            return true;
    return false;
}

static void put_event(const struct page *p, const struct event_plan *e)
{
    bool first = true;

    buf_put(p->out, SLICE("<li>"));
    page_escape(p->out, e->label.len > 0 ? e->label : e->out_name);
    for (unsigned f = 0; f < e->field_count; f++) {
        if (!field_leaves(p, e, f))
            continue;
        const struct field_plan *plan = &e->fields[f];
        buf_put(p->out, first ? SLICE(": ") : SLICE("; "));
        page_escape(p->out, plan->label.len > 0 ? plan->label : plan->path);
        first = false;
    }
    buf_put(p->out, SLICE("</li>\n"));
}

/* Which identifiers and context values leave with any event: bits. */
static void with_events(const struct page *p, unsigned *out_ids,
                        unsigned *out_context)
{
    const struct policy *policy = p->view->policy;

    *out_ids = *out_context = 0;
    for (unsigned e = 0; e < policy->event_count; e++)
        for (unsigned d = 0; d < policy->destination_count; d++) {
            const struct delivery_plan *to = &policy->events[e].to[d];
            if (!is_present(p, d) || to->purposes == 0)
                continue;
            for (unsigned k = 0; k < ID_OTHER; k++)
                if (to->identifiers[k]->kind != RULE_DROP)
                    *out_ids |= 1u << k;
            for (unsigned k = 0; k < CTX_COUNT; k++)
                if (to->context[k]->kind != RULE_DROP)
                    *out_context |= 1u << k;
        }
}

static void put_item(const struct page *p, const char *text)
{
    buf_put(p->out, SLICE("<li>"));
    page_escape(p->out, slice_of(text));
    buf_put(p->out, SLICE("</li>\n"));
}

static void put_with_each(const struct page *p, unsigned ids, unsigned context)
{
    if (ids == 0 && context == 0)
        return;
    page_tagged(p, "h3", T_WITH_EACH);
    buf_put(p->out, SLICE("<ul>"));
    for (unsigned k = 0; k < ID_OTHER; k++)
        if ((ids >> k & 1u) != 0)
            put_item(p, p->words->id[k]);
    for (unsigned k = 0; k < CTX_COUNT; k++)
        if ((context >> k & 1u) != 0)
            put_item(p, p->words->context[k]);
    buf_put(p->out, SLICE("</ul>\n"));
}

static void put_what(const struct page *p)
{
    const struct policy *policy = p->view->policy;
    unsigned ids, context, events = 0;

    page_tagged(p, "h2", T_WHAT);
    for (unsigned e = 0; e < policy->event_count; e++)
        events += event_leaves(p, &policy->events[e]) ? 1 : 0;
    if (events == 0) {
        page_tagged(p, "p", T_WHAT_NOTHING);
        return;
    }
    with_events(p, &ids, &context);
    page_tagged(p, "p", T_WHAT_WORDS);
    if ((context >> CTX_IP & 1u) == 0)
        page_tagged(p, "p", T_WHAT_NO_ADDRESS);
    page_tagged(p, "h3", T_EVENTS);
    buf_put(p->out, SLICE("<ul>"));
    for (unsigned e = 0; e < policy->event_count; e++)
        if (event_leaves(p, &policy->events[e]))
            put_event(p, &policy->events[e]);
    buf_put(p->out, SLICE("</ul>\n"));
    put_with_each(p, ids, context);
}

/* ---- why and who -------------------------------------------------------- */

/* The policy's words for a purpose: in this language, in English, its name. */
static struct slice purpose_words(const struct page *p, struct slice name)
{
    const struct json_value *purposes = json_get(p->root, "purposes");
    const struct json_value *text = NULL;

    for (const struct json_value *v = json_child(purposes); v != NULL;
         v = json_sibling(v))
        if (slice_eq(json_name(v), name))
            text = json_get(v, "text");
    struct slice own = json_string(json_get(text, p->words->code));
    struct slice english = json_string(json_get(text, "en"));
    return own.len > 0 ? own : english.len > 0 ? english : name;
}

static void put_why(const struct page *p)
{
    const struct policy *policy = p->view->policy;
    struct buf kept;

    buf_init(&kept, 256);
    page_tagged(p, "h2", T_WHY);
    buf_put(p->out, SLICE("<ul>"));
    for (unsigned i = 0; i < policy->purpose_count; i++) {
        const struct purpose_plan *u = &policy->purposes[i];
        buf_put(p->out, SLICE("<li><strong>"));
        page_escape(p->out, purpose_words(p, u->name));
        buf_put(p->out, SLICE("</strong><br>"));
        page_escape(p->out, slice_of(p->words->basis[u->basis]));
        if (u->exempt) {
            buf_put(p->out, SLICE("; "));
            page_escape(p->out, slice_of(p->words->exempt));
        }
        buf_put(p->out, SLICE("; "));
        buf_reset(&kept);
        page_duration(p, u->retention, &kept);
        page_fill(p, T_KEPT, buf_slice(&kept), SLICE_NONE);
        buf_put(p->out, SLICE("</li>\n"));
    }
    buf_put(p->out, SLICE("</ul>\n"));
    buf_free(&kept);
}

static const char *role_words(const struct page *p, struct slice role)
{
    if (slice_eq(role, SLICE("controller")))
        return p->words->role[PRIVACY_CONTROLLER];
    return p->words->role[slice_eq(role, SLICE("processor")) ? PRIVACY_PROCESSOR
                                                             : PRIVACY_JOINT];
}

static void put_recipient(const struct page *p,
                          const struct destination_plan *d)
{
    struct buf purposes;

    buf_init(&purposes, 1u << 16);
    for (unsigned i = 0; i < d->purpose_count; i++) {
        buf_put(&purposes, i == 0 ? SLICE("") : SLICE("; "));
        buf_put(&purposes,
                purpose_words(
                    p, p->view->policy->purposes[d->purpose_order[i]].name));
    }
    buf_put(p->out, SLICE("<li><strong>"));
    page_escape(p->out, d->recipient);
    buf_put(p->out, SLICE("</strong><br>"));
    page_escape(p->out, slice_of(role_words(p, d->role)));
    buf_put(p->out, SLICE("; "));
    page_fill(p, T_COUNTRY, d->country, SLICE_NONE);
    if (d->transfer.len > 0) {
        buf_put(p->out, SLICE("; "));
        page_fill(p, T_TRANSFER, d->transfer, SLICE_NONE);
    }
    buf_put(p->out, SLICE("<br>"));
    page_fill(p, T_FOR, buf_slice(&purposes), SLICE_NONE);
    buf_put(p->out, SLICE("</li>\n"));
    buf_free(&purposes);
}

static void put_who(const struct page *p)
{
    const struct policy *policy = p->view->policy;
    const struct json_value *hosting = json_get(p->root, "hosting");

    page_tagged(p, "h2", T_WHO);
    if (p->view->present == 0) {
        page_tagged(p, "p", T_WHO_NOBODY);
    } else {
        buf_put(p->out, SLICE("<ul>"));
        for (unsigned d = 0; d < policy->destination_count; d++)
            if (is_present(p, d))
                put_recipient(p, &policy->destinations[d]);
        buf_put(p->out, SLICE("</ul>\n"));
    }
    buf_put(p->out, SLICE("<p>"));
    page_fill(p, T_HOSTED, json_string(json_get(hosting, "region")),
              SLICE_NONE);
    buf_put(p->out, SLICE("</p>\n<ul>"));
    for (const struct json_value *v =
             json_child(json_get(hosting, "processors"));
         v != NULL; v = json_sibling(v)) {
        buf_put(p->out, SLICE("<li>"));
        page_escape(p->out, json_string(v));
        buf_put(p->out, SLICE("</li>"));
    }
    buf_put(p->out, SLICE("</ul>\n"));
}

/* ---- how far back ------------------------------------------------------- */

#define SINGLE_OUT_BITS 64u /* R46: fewer never single anybody out */

static void put_reach_back(const struct page *p)
{
    const struct policy *policy = p->view->policy;
    struct duration longest = {0, 0};
    bool single = false;
    struct buf text;

    for (unsigned d = 0; d < policy->destination_count; d++) {
        const struct destination_plan *to = &policy->destinations[d];
        if (!is_present(p, d))
            continue;
        if (duration_rough_ms(to->rotate) > duration_rough_ms(longest))
            longest = to->rotate;
        single = single || to->bits >= SINGLE_OUT_BITS;
    }
    buf_init(&text, 256);
    page_tagged(p, "h2", T_LONG);
    buf_put(p->out, SLICE("<p>"));
    page_duration(p, longest, &text);
    page_fill(p, T_ROTATE, buf_slice(&text), SLICE_NONE);
    buf_put(p->out, SLICE("</p>\n"));
    page_tagged(p, "p", single ? T_SINGLE : T_SHARED);
    buf_reset(&text);
    page_duration(p, policy->keep_spool, &text);
    buf_put(p->out, SLICE("<p>"));
    page_fill(p, T_SPOOL, buf_slice(&text), SLICE_NONE);
    buf_put(p->out, SLICE("</p>\n"));
    buf_free(&text);
}

/* ---- rights ------------------------------------------------------------- */

static void put_filled(const struct page *p, enum text_id id, struct slice who)
{
    if (who.len == 0)
        return;
    buf_put(p->out, SLICE("<li>"));
    page_fill(p, id, who, SLICE_NONE);
    buf_put(p->out, SLICE("</li>\n"));
}

static void put_rights(const struct page *p)
{
    const struct json_value *c = json_get(p->root, "controller");
    struct slice authority = json_string(json_get(c, "authority"));
    struct buf who;

    buf_init(&who, 8192);
    buf_put(&who, json_string(json_get(c, "name")));
    buf_put(&who, SLICE(", "));
    buf_put(&who, json_string(json_get(c, "contact")));
    page_tagged(p, "h2", T_RIGHTS);
    page_tagged(p, "p", T_RIGHTS_WORDS);
    buf_put(p->out, SLICE("<ul>"));
    put_filled(p, T_CONTACT, buf_slice(&who));
    put_filled(p, T_DPO, json_string(json_get(c, "dpo")));
    put_filled(p, T_AUTHORITY, authority);
    buf_put(p->out, SLICE("</ul>\n"));
    page_tagged(p, "p", T_AUTHORITY_ANY);
    buf_free(&who);
}

void page_facts(const struct page *p)
{
    const struct policy *policy = p->view->policy;

    put_what(p);
    put_why(p);
    put_who(p);
    if (p->view->present != 0)
        put_reach_back(p);
    put_rights(p);
    buf_put(p->out, SLICE("<p class=\"soft\">"));
    page_fill(p, T_MADE, policy->name, policy->version);
    buf_put(p->out, SLICE("</p>\n"));
}
