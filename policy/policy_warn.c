/* What is allowed but seldom meant. */
#include "policy_inside.h"

static bool any_pseudonym(const struct load *l, unsigned d, enum id_kind kind)
{
    for (unsigned i = 0; i < l->p->event_count; i++)
        if (l->p->events[i].to[d].purposes != 0 &&
            l->p->events[i].to[d].identifiers[kind]->kind == RULE_PSEUDONYM)
            return true;
    return false;
}

static void warn_destination(struct load *l, const struct at *at, unsigned d)
{
    const struct destination_plan *dest = &l->p->destinations[d];
    struct duration month = {0, 28 * MS_PER_DAY};
    struct at bits;
    bool ids = false, reached = false;

    for (unsigned k = 0; k < ID_OTHER; k++)
        ids |= any_pseudonym(l, d, (enum id_kind)k);
    for (unsigned i = 0; i < l->p->event_count; i++)
        reached |= l->p->events[i].to[d].purposes != 0;
    if (!reached)
        warning(l, at,
                "no event shares a purpose with it; nothing will ever "
                "reach it");
    if (ids && slice_eq(dest->role, SLICE("processor")) &&
        duration_compare(dest->rotate, month) < 0)
        warning(l, at,
                "pseudonyms change within the month; a vendor that "
                "bills monthly users will count one visitor up to %d "
                "times",
                (int)(30 * MS_PER_DAY /
                      (dest->rotate.ms > 0 ? dest->rotate.ms : MS_PER_DAY)));
    for (unsigned k = 0; k < dest->visitor_count; k++)
        if (at_get(at, "visitor", &bits) &&
            !any_pseudonym(l, d, dest->visitor[k]))
            warning(l, &bits, "names \"%s\", which is dropped for it",
                    id_kind_name(dest->visitor[k]));
}

static void warn_purposes(struct load *l, const struct at *root)
{
    struct at all;
    unsigned i = 0;

    if (!at_get(root, "purposes", &all))
        return;
    for (const struct json_value *v = json_child(all.v); v != NULL;
         v = json_sibling(v), i++) {
        const struct purpose_plan *p = &l->p->purposes[i];
        struct at m = at_child(&all, v), text;
        bool yes = p->asserted || p->app_count > 0 ||
                   (l->p->enforce_tcf && p->tcf != 0) ||
                   (l->p->enforce_consent_mode &&
                    (p->consent_mode_analytics || p->consent_mode_ads));
        if (p->basis == BASIS_CONSENT && !yes)
            warning(l, &m,
                    "rests on consent, but nothing says how a yes is "
                    "seen; all of its events will be dropped: add "
                    "\"consent\": {\"app\": [...]} or \"asserted\"");
        if (!at_get(&m, "text", &text))
            warning(l, &m,
                    "has no \"text\"; visitors will read its name "
                    "alone");
    }
}

/* A "no" tied to a session ends with it (policy-language.md). */
static void warn_session_only(struct load *l, const struct at *root)
{
    struct at m = {NULL, SLICE_NONE, NULL};
    bool session = false, lasting = l->p->optout_identifier_count > 0;

    for (unsigned d = 0; d < l->p->destination_count; d++) {
        session |= any_pseudonym(l, d, ID_SESSION);
        lasting |= any_pseudonym(l, d, ID_DEVICE) ||
                   any_pseudonym(l, d, ID_USER) ||
                   any_pseudonym(l, d, ID_GROUP);
    }
    if (session && !lasting)
        warning(l, at_get(root, "identifiers", &m) ? &m : root,
                "the session is the only identifier, so a person's no lasts "
                "one visit; let the app send \"consent\": \"denied\" from its "
                "own storage, or add a lasting identifier");
}

static void warn_events(struct load *l, const struct at *root)
{
    struct at all;
    unsigned i = 0;

    if (!at_get(root, "events", &all))
        return;
    for (const struct json_value *v = json_child(all.v); v != NULL;
         v = json_sibling(v), i++) {
        struct at m = at_child(&all, v);
        bool reaches = false;
        for (unsigned d = 0; d < l->p->destination_count; d++)
            reaches |= l->p->events[i].to[d].purposes != 0;
        if (!reaches && l->p->destination_count > 0)
            warning(l, &m,
                    "no destination shares a purpose with it; it will "
                    "go nowhere");
    }
}

void warn_careless(struct load *l, const struct at *root)
{
    struct at all;
    unsigned d = 0;

    warn_purposes(l, root);
    warn_session_only(l, root);
    warn_events(l, root);
    if (!at_get(root, "destinations", &all))
        return;
    for (const struct json_value *v = json_child(all.v); v != NULL;
         v = json_sibling(v), d++) {
        struct at m = at_child(&all, v);
        warn_destination(l, &m, d);
    }
}
