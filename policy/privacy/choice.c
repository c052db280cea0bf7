#include "page.h"

/* Nothing of what the button does reaches any page of the app. */
static bool is_powerless(const struct privacy_view *v)
{
    return v->foreign_count > 0 && v->near_count == 0;
}

static void put_result(const struct page *p, enum text_id id)
{
    buf_put(p->out, SLICE("<p class=\"done\" role=\"status\" tabindex=\"-1\" "
                          "autofocus>"));
    page_text(p, id);
    buf_put(p->out, SLICE("</p>\n"));
}

static void put_ids(const struct page *p)
{
    const struct privacy_view *v = p->view;
    struct buf number;

    buf_init(&number, 32);
    buf_put_i64_text(&number, v->ids);
    buf_put(p->out, SLICE("<p>"));
    page_fill(p,
              v->ids == 0   ? T_OUT_IDS_NONE
              : v->ids == 1 ? T_OUT_IDS_ONE
                            : T_OUT_IDS_MANY,
              buf_slice(&number), SLICE_NONE);
    buf_put(p->out, SLICE("</p>\n"));
    buf_free(&number);
    if (v->ids_left)
        page_tagged(p, "p", T_OUT_IDS_LEFT);
}

static void put_receipt(const struct page *p)
{
    if (p->view->receipt.len == 0)
        return;
    page_tagged(p, "h3", T_RECEIPT);
    buf_put(p->out, SLICE("<p><code id=\"receipt\">"));
    page_escape(p->out, p->view->receipt);
    buf_put(p->out, SLICE("</code></p>\n"));
    page_tagged(p, "p", T_RECEIPT_WORDS);
}

/* What has just happened. */
static void put_step(const struct page *p)
{
    switch (p->view->step) {
    case PRIVACY_SHOW:
        break;
    case PRIVACY_OUT:
        put_result(p, T_OUT_DONE);
        put_ids(p);
        put_receipt(p);
        break;
    case PRIVACY_BACK:
        put_result(p, T_BACK_DONE);
        break;
    case PRIVACY_FAILED:
        put_result(p, T_FAILED);
        break;
    case PRIVACY_LINK:
        put_result(p, T_LINK_ASK);
        break;
    case PRIVACY_ACCOUNT_OUT:
        put_result(p, T_LINK_DONE);
        put_receipt(p);
        break;
    case PRIVACY_LINK_OVER:
        put_result(p, T_LINK_OVER);
        break;
    }
}

static void put_form(const struct page *p, const char *choice,
                     enum text_id label, bool quiet)
{
    struct buf *out = p->out;

    buf_put(out, SLICE("<form method=\"post\" action=\""));
    page_escape(out, p->view->action);
    buf_printf(out, "?lang=%s\">", p->words->code);
    if (p->view->step == PRIVACY_LINK && label == T_LINK_BUTTON) {
        buf_put(out, SLICE("<input type=\"hidden\" name=\"link\" value=\""));
        page_escape(out, p->view->link);
        buf_put(out, SLICE("\">"));
    }
    buf_printf(out, "<button name=\"choice\" value=\"%s\"%s>", choice,
               quiet ? " class=\"quiet\"" : "");
    page_text(p, label);
    buf_put(out, SLICE("</button></form>\n"));
}

static void put_signals(const struct page *p)
{
    static const enum text_id gpc[] = {
        [SIGNAL_DENY] = T_GPC_DENY,
        [SIGNAL_DENY_CONSENT] = T_GPC_CONSENT,
        [SIGNAL_IGNORE] = T_GPC_IGNORED,
    };
    static const enum text_id dnt[] = {
        [SIGNAL_DENY] = T_DNT_DENY,
        [SIGNAL_DENY_CONSENT] = T_DNT_CONSENT,
        [SIGNAL_IGNORE] = T_DNT_IGNORED,
    };

    if (p->view->gpc)
        page_tagged(p, "p", gpc[p->view->policy->gpc]);
    if (p->view->dnt)
        page_tagged(p, "p", dnt[p->view->policy->dnt]);
}

static void put_button(const struct page *p)
{
    const struct privacy_view *v = p->view;

    if (v->step == PRIVACY_LINK) {
        put_form(p, "account", T_LINK_BUTTON, false);
        return;
    }
    page_tagged(p, "p", v->flag ? T_STATE_OUT : T_STATE_IN);
    if (v->flag)
        put_form(p, "in", T_BUTTON_IN, true);
    else
        put_form(p, "out", T_BUTTON_OUT, false);
}

static void put_origins(const struct page *p, const struct slice *origins,
                        unsigned count)
{
    buf_put(p->out, SLICE("<ul>"));
    for (unsigned i = 0; i < count; i++) {
        buf_put(p->out, SLICE("<li>"));
        page_escape(p->out, origins[i]);
        buf_put(p->out, SLICE("</li>"));
    }
    buf_put(p->out, SLICE("</ul>\n"));
}

/* Does any destination get an identifier that outlives a visit? */
static bool outlives_visit(const struct privacy_view *v)
{
    const struct policy *p = v->policy;

    for (unsigned e = 0; e < p->event_count; e++)
        for (unsigned d = 0; d < p->destination_count; d++)
            for (unsigned k = 0; k < ID_OTHER; k++)
                if (k != ID_SESSION && p->events[e].to[d].purposes != 0 &&
                    p->events[e].to[d].identifiers[k]->kind != RULE_DROP)
                    return true;
    return p->optout_identifier_count > 0;
}

static void put_reach(const struct page *p)
{
    const struct privacy_view *v = p->view;

    page_tagged(p, "h2", T_REACH);
    page_tagged(p, "p", T_REACH_FLAG);
    if (v->near_count > 0) {
        page_tagged(p, "p", T_REACH_NEAR);
        put_origins(p, v->near, v->near_count);
    }
    if (!outlives_visit(v))
        page_tagged(p, "p", T_REACH_VISIT);
    page_tagged(p, "p", T_REACH_OTHER);
}

static void put_returns(const struct page *p)
{
    const struct privacy_view *v = p->view;

    buf_put(p->out, SLICE("<ul>"));
    for (unsigned i = 0; i < v->return_count; i++) {
        buf_put(p->out, SLICE("<li><a rel=\"noreferrer\" href=\""));
        page_escape(p->out, slice_of(v->returns[i]));
        buf_put(p->out, SLICE("#lethe-optout=1\">"));
        page_escape(p->out, slice_of(v->returns[i]));
        buf_put(p->out, SLICE("</a></li>"));
    }
    buf_put(p->out, SLICE("</ul>\n"));
}

static void put_foreign(const struct page *p)
{
    const struct privacy_view *v = p->view;

    page_tagged(p, "h2", T_FOREIGN);
    page_tagged(p, "p", T_FOREIGN_WHY);
    put_origins(p, v->foreign, v->foreign_count);
    page_tagged(p, "p",
                v->return_count == 0 ? T_FOREIGN_ASK : T_FOREIGN_RETURN);
    if (v->return_count > 0)
        put_returns(p);
}

void page_choice(const struct page *p)
{
    const struct privacy_view *v = p->view;

    buf_put(p->out, SLICE("<section class=\"box\" aria-labelledby=\"choice\">"
                          "<h2 id=\"choice\">"));
    page_text(p, T_CHOICE);
    buf_put(p->out, SLICE("</h2>\n"));
    put_step(p);
    put_signals(p);
    if (!is_powerless(v) || v->step == PRIVACY_LINK)
        put_button(p);
    if (v->foreign_count > 0)
        put_foreign(p);
    if (v->foreign_count == 0 && v->return_count > 0) {
        page_tagged(p, "p", T_NEAR_RETURN);
        put_returns(p);
    }
    buf_put(p->out, SLICE("</section>\n"));
    if (!is_powerless(v))
        put_reach(p);
    page_tagged(p, "p", T_GPC_HOW);
    page_tagged(p, "p", T_ACCOUNT_HOW);
    buf_put(p->out, SLICE("<p class=\"soft\">"));
    page_text(p, T_COOKIE);
    buf_put(p->out, SLICE("</p>\n"));
}
