/* front_receipt.c - who asks, where a token may say it on the public listener,
 * and who is given the receipt of an event (docs/audit.md, "Receipts"). */
#include "lethe/gateway/front.h"
#include "lethe/policy/base/clock.h"

bool visit_has_app_token(const struct visit *v, struct token_facts *out)
{
    const struct services *s = v->front->services;
    const struct slice scheme = SLICE("Bearer ");
    struct slice bearer = http_header(&v->x->request, SLICE("authorization"));
    const char *site = intake_world(v->front->intake)->sites[v->site].conf->id;

    return slice_starts(bearer, scheme) &&
           tokens_check(s->tokens, slice_skip(bearer, scheme.len),
                        s->clock->wall_ms(s->clock->ctx), out) == ST_OK &&
           (out->role & ROLE_APP) != 0 && token_covers(out, site);
}

/* A page's script can leave none of these out. A cookie no server-side app
 * has, but an old browser that sends neither of the others might. */
static bool is_browser(const struct http_request *r)
{
    static const struct slice marks[] = {
        SLICE_INIT("origin"), SLICE_INIT("cookie"), SLICE_INIT("referer")};

    for (unsigned i = 0; i < r->header_count; i++) {
        struct slice name = r->headers[i].name;
        if (slice_eq_fold(slice_head(name, 10), SLICE("sec-fetch-")))
            return true;
        for (size_t k = 0; k < sizeof(marks) / sizeof(marks[0]); k++)
            if (slice_eq_fold(name, marks[k]))
                return true;
    }
    return false;
}

bool front_wants_receipt(const struct visit *v)
{
    const struct http_request *r = &v->x->request;
    struct token_facts who;

    return slice_eq(http_header(r, SLICE(FRONT_RECEIPT_NAME)), SLICE("1")) &&
           intake_world(v->front->intake)->conf->audit_rows == ROWS_ALL &&
           !is_browser(r) && visit_has_app_token(v, &who);
}
