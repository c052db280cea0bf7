#include "lethe/policy/consent_hear.h"

#include "lethe/policy/beacon.h"
#include "lethe/policy/form.h"
#include "lethe/policy/hit.h"
#include "lethe/policy/json_reader.h"
#include "lethe/policy/policy.h"

static const struct json_node *get(const struct json_node *object,
                                   struct slice key)
{
    const struct json_node *n =
        object == NULL ? NULL : json_member(object, key);

    return n == NULL || n->type == JSON_NULL ? NULL : n;
}

void consent_hear_tcf(struct consent_signals *io, struct slice text)
{
    if (text.len == 0)
        return;
    io->tcf_unclear |= io->tcf.len > 0 && !slice_eq(io->tcf, text);
    io->tcf = text;
}

static void hear_tcf_node(struct consent_signals *io, const struct json_node *n)
{
    if (n == NULL)
        return;
    if (n->type == JSON_STRING)
        consent_hear_tcf(io, n->text);
    else
        io->tcf_unclear = true;
}

/* An app may call a purpose of its own "tcf": then it says true or false. */
static void hear_object(struct consent_signals *io, const struct json_node *n)
{
    const struct json_node *tcf = get(n, SLICE("tcf"));

    io->denied |= io->app != NULL && io->app != n;
    io->app = n;
    if (tcf != NULL && tcf->type != JSON_TRUE && tcf->type != JSON_FALSE)
        hear_tcf_node(io, tcf);
}

void consent_hear_consent(struct consent_signals *io,
                          const struct json_node *consent)
{
    if (consent == NULL)
        return;
    if (consent->type == JSON_OBJECT)
        hear_object(io, consent);
    else
        io->denied = true;
}

void consent_hear_property(struct consent_signals *io,
                           const struct json_node *consent)
{
    if (consent == NULL)
        return;
    if (consent->type == JSON_OBJECT)
        hear_object(io, consent);
    else
        io->denied |= consent->type == JSON_FALSE ||
                      (consent->type == JSON_STRING &&
                       slice_eq_fold(consent->text, SLICE("denied")));
}

/* The member that should hold `type`; another type is a refusal. */
static const struct json_node *get_typed(struct consent_signals *io,
                                         const struct json_node *object,
                                         struct slice key, enum json_type type)
{
    const struct json_node *n = get(object, key);

    if (n == NULL || n->type == type)
        return n;
    io->denied = true;
    return NULL;
}

/* A list of ids, each a text. */
static const struct json_node *get_ids(struct consent_signals *io,
                                       const struct json_node *object,
                                       struct slice key)
{
    const struct json_node *list = get_typed(io, object, key, JSON_ARRAY);
    const struct json_node *n = list == NULL ? NULL : json_first(list);

    for (; n != NULL; n = json_next(list, n))
        io->denied |= n->type != JSON_STRING;
    return list;
}

void consent_hear_context(struct consent_signals *io,
                          const struct json_node *context)
{
    hear_tcf_node(io, get(context, SLICE("tcf")));
    const struct json_node *segment =
        get_typed(io, context, SLICE("consent"), JSON_OBJECT);
    const struct json_node *rudder =
        get_typed(io, context, SLICE("consentManagement"), JSON_OBJECT);

    io->categories =
        get_typed(io, segment, SLICE("categoryPreferences"), JSON_OBJECT);
    io->allowed_ids = get_ids(io, rudder, SLICE("allowedConsentIds"));
    io->denied_ids = get_ids(io, rudder, SLICE("deniedConsentIds"));
}

/* ---- signals of the policy's own ---------------------------------------- */

static bool is_one_of(const struct signal_rule *r, struct slice value)
{
    for (unsigned i = 0; i < r->is_count; i++)
        if (slice_eq_fold(r->is[i], value))
            return true;
    return r->is_count == 0;
}

/* The whole value, or one part of a list with commas. */
static bool says(const struct signal_rule *r, struct slice value)
{
    if (is_one_of(r, slice_trim(value)))
        return true;
    while (value.len > 0) {
        size_t comma = slice_find(value, ',');
        if (is_one_of(r, slice_trim(slice_head(value, comma))))
            return true;
        value = slice_skip(value, comma + 1);
    }
    return false;
}

static void hear_rule(struct consent_signals *io, const struct signal_rule *r,
                      struct slice value)
{
    if (!says(r, value))
        return;
    if (r->then == SIGNAL_DENY)
        io->other = true;
    else
        io->other_own = true;
}

/* A value that is no text cannot be compared: it is heard as what it may say
 * worst. */
static void hear_field(struct consent_signals *io, const struct signal_rule *r,
                       const struct json_node *fields)
{
    const struct json_node *n = json_at_path(fields, r->name);

    if (n == NULL || n->type == JSON_NULL)
        return;
    if (n->type == JSON_TRUE)
        hear_rule(io, r, SLICE("true"));
    else if (n->type == JSON_FALSE)
        hear_rule(io, r, SLICE("false"));
    else if (n->type == JSON_STRING || n->type == JSON_NUMBER)
        hear_rule(io, r, n->text);
    else
        hear_rule(io, r, r->is_count > 0 ? r->is[0] : SLICE_NONE);
}

/* ---- requests ----------------------------------------------------------- */

static void hear_header(const struct policy *p, const struct beacon_header *h,
                        struct consent_signals *io)
{
    if (slice_eq_fold(h->name, SLICE("SP-Anonymous")))
        io->anonymous |= slice_trim(h->value).len > 0;
    for (unsigned i = 0; i < p->header_signal_count; i++)
        if (slice_eq_fold(h->name, p->header_signals[i].name))
            hear_rule(io, &p->header_signals[i], h->value);
}

enum status consent_hear_request(const struct policy *p, const struct beacon *b,
                                 struct arena *a, struct consent_signals *io)
{
    struct slice rest = b->query, name, value;

    for (unsigned i = 0; i < b->header_count; i++)
        hear_header(p, &b->headers[i], io);
    while (form_next(&rest, &name, &value)) {
        if (!slice_eq(name, SLICE("gdpr_consent")))
            continue;
        enum status st = form_decode(value, a, &value);
        if (st != ST_OK)
            return st;
        consent_hear_tcf(io, value);
    }
    return ST_OK;
}

/* ---- fields ------------------------------------------------------------- */

static const struct json_node *field_at(const struct json_node *fields,
                                        struct slice path)
{
    return path.len == 0 ? NULL : json_at_path(fields, path);
}

static bool says_yes(const struct json_node *n)
{
    if (n == NULL)
        return false;
    if (n->type == JSON_STRING || n->type == JSON_NUMBER)
        return slice_eq(n->text, SLICE("1")) ||
               slice_eq(n->text, SLICE("true"));
    return n->type == JSON_TRUE;
}

void consent_hear_fields(const struct policy *p, const struct json_node *fields,
                         struct consent_signals *io)
{
    if (fields == NULL)
        return;
    io->gpc |= says_yes(field_at(fields, p->gpc_property));
    io->dnt |= says_yes(field_at(fields, p->dnt_property));
    consent_hear_property(io, field_at(fields, p->consent_property));
    const struct json_node *tcf = field_at(fields, p->tcf_property);
    if (tcf != NULL && tcf->type != JSON_NULL)
        hear_tcf_node(io, tcf);
    for (unsigned i = 0; i < p->field_signal_count; i++)
        hear_field(io, &p->field_signals[i], fields);
}

void consent_hear_all(struct consent_signals *io,
                      const struct consent_signals *more)
{
    io->other |= more->other;
    io->other_own |= more->other_own;
    io->anonymous |= more->anonymous;
    io->tcf_unclear |= more->tcf_unclear;
    consent_hear_tcf(io, more->tcf);
}
