/* report_words.c - the record of processing for people: only what its JSON
 * says. */
#include "lethe/gateway/report.h"
#include "lethe/policy/policy_text.h"

#include <string.h>

static const struct json_value *at(const struct json_value *object,
                                   const char *name)
{
    return object == NULL ? NULL : json_get(object, name);
}

static struct slice text(const struct json_value *object, const char *name)
{
    const struct json_value *v = at(object, name);
    struct slice s = v == NULL ? SLICE_NONE : json_string(v);

    return s.at == NULL ? SLICE("") : s;
}

static const struct json_value *first(const struct json_value *object,
                                      const char *name)
{
    const struct json_value *v = at(object, name);

    return v == NULL ? NULL : json_child(v);
}

static void put_line(struct buf *out, const char *what, struct slice value)
{
    if (value.len > 0)
        buf_printf(out, "  %s: %.*s\n", what, SLICE_ARG(value));
}

/* A list of texts on one line. */
static void put_list(struct buf *out, const char *what,
                     const struct json_value *v)
{
    if (v == NULL)
        return;
    buf_printf(out, "  %s: ", what);
    for (; v != NULL; v = json_sibling(v)) {
        buf_put(out, json_string(v));
        buf_put(out, json_sibling(v) != NULL ? SLICE(", ") : SLICE(""));
    }
    buf_put_char(out, '\n');
}

static void put_duration(struct buf *out, struct slice iso)
{
    struct duration d;

    if (duration_parse(iso, &d) == ST_OK)
        policy_duration_words(d, out);
    else
        buf_put(out, iso);
}

static void put_controller(const struct json_value *p, struct buf *out)
{
    const struct json_value *c = at(p, "controller");

    buf_put(out, SLICE("\n(a) Who is responsible\n"));
    put_line(out, "controller", text(c, "name"));
    put_line(out, "contact", text(c, "contact"));
    put_list(out, "joint controllers", first(c, "joint"));
    put_line(out, "representative", text(c, "representative"));
    put_line(out, "data protection officer", text(c, "dpo"));
    put_line(out, "supervisory authority", text(c, "authority"));
}

static void put_purposes(const struct json_value *ropa,
                         const struct json_value *p, struct buf *out)
{
    buf_put(out, SLICE("\n(b) Purposes\n"));
    for (const struct json_value *v = first(p, "purposes"); v != NULL;
         v = json_sibling(v)) {
        struct slice words = text(at(v, "text"), "en");
        buf_printf(out, "  %.*s", SLICE_ARG(text(v, "name")));
        if (words.len > 0)
            buf_printf(out, " (%.*s)", SLICE_ARG(words));
        buf_printf(out, ": basis %.*s%s\n", SLICE_ARG(text(v, "basis")),
                   at(v, "exempt") != NULL && json_bool(at(v, "exempt"))
                       ? ", exempt from consent"
                       : "");
    }
    for (const struct json_value *v = first(ropa, "asserted_consents");
         v != NULL; v = json_sibling(v))
        buf_printf(out,
                   "  Consent to %.*s is declared by %.*s since %.*s; Lethe "
                   "saw none of it.\n",
                   SLICE_ARG(text(v, "purpose")),
                   SLICE_ARG(text(at(v, "asserted"), "by")),
                   SLICE_ARG(text(at(v, "asserted"), "since")));
}

/* What leaves of an event: identifiers and context by their own names. */
static void put_forms(const struct json_value *v, struct buf *out)
{
    for (; v != NULL; v = json_sibling(v))
        buf_printf(out, "; %.*s as %.*s", SLICE_ARG(json_name(v)),
                   SLICE_ARG(json_string(v)));
}

static void put_event(const struct json_value *e, struct buf *out)
{
    struct slice label = text(e, "label");

    buf_printf(out, "      %.*s", SLICE_ARG(text(e, "name")));
    if (label.len > 0)
        buf_printf(out, " (%.*s)", SLICE_ARG(label));
    put_forms(first(e, "identifiers"), out);
    put_forms(first(e, "context"), out);
    for (const struct json_value *f = first(e, "fields"); f != NULL;
         f = json_sibling(f)) {
        label = text(f, "label");
        buf_printf(out, "; %.*s", SLICE_ARG(text(f, "name")));
        if (label.len > 0)
            buf_printf(out, " (%.*s)", SLICE_ARG(label));
        buf_printf(out, " as %.*s", SLICE_ARG(text(f, "form")));
    }
    buf_put_char(out, '\n');
}

static void put_categories(const struct json_value *p, struct buf *out)
{
    buf_put(out, SLICE("\n(c) Categories of people and of data\n"));
    put_list(out, "people", first(p, "subjects"));
    for (const struct json_value *r = first(p, "recipients"); r != NULL;
         r = json_sibling(r)) {
        buf_printf(out, "    to %.*s\n", SLICE_ARG(text(r, "name")));
        if (first(r, "events") == NULL)
            buf_put(out, SLICE("      nothing\n"));
        for (const struct json_value *e = first(r, "events"); e != NULL;
             e = json_sibling(e))
            put_event(e, out);
    }
}

static void put_recipients(const struct json_value *ropa,
                           const struct json_value *p, struct buf *out)
{
    buf_put(out, SLICE("\n(d) Recipients\n"));
    for (const struct json_value *r = first(p, "recipients"); r != NULL;
         r = json_sibling(r)) {
        buf_printf(out, "  %.*s: %.*s in %.*s, as %.*s",
                   SLICE_ARG(text(r, "name")), SLICE_ARG(text(r, "recipient")),
                   SLICE_ARG(text(r, "country")), SLICE_ARG(text(r, "role")));
        for (const struct json_value *u = first(r, "purposes"); u != NULL;
             u = json_sibling(u))
            buf_printf(out, "%s%.*s",
                       u == first(r, "purposes") ? ", for " : ", ",
                       SLICE_ARG(json_string(u)));
        buf_put_char(out, '\n');
    }
    put_line(out, "the gateway itself runs in",
             text(at(p, "hosting"), "region"));
    buf_put(out, SLICE("\n(e) Transfers to third countries\n"));
    if (first(ropa, "transfers") == NULL)
        buf_put(out, SLICE("  none\n"));
    for (const struct json_value *t = first(ropa, "transfers"); t != NULL;
         t = json_sibling(t))
        buf_printf(
            out, "  %.*s: %.*s in %.*s, on the ground of %.*s\n",
            SLICE_ARG(text(t, "destination")), SLICE_ARG(text(t, "recipient")),
            SLICE_ARG(text(t, "country")), SLICE_ARG(text(t, "safeguard")));
}

static void put_erasure(const struct json_value *ropa, struct buf *out)
{
    static const char *const words[][2] = {
        {"events", "events"},
        {"pseudonym-secret", "secrets of pseudonyms"},
        {"waiting", "events that wait for delivery"},
        {"undeliverable", "events that could not be delivered"},
        {"audit-rows", "rows of decisions"},
        {"audit-records", "records of the audit log"},
        {"day-key", "keys to find a person's rows, after their day"},
        {"requests", "requests of people, after their end"},
    };

    buf_put(out, SLICE("\n(f) When it is erased\n"));
    for (const struct json_value *l = first(ropa, "erasure"); l != NULL;
         l = json_sibling(l)) {
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            if (slice_eq(text(l, "what"), slice_of(words[i][0])))
                buf_printf(out, "  %s", words[i][1]);
        if (text(l, "of").len > 0)
            buf_printf(out, " for %.*s", SLICE_ARG(text(l, "of")));
        buf_printf(out, ", %.*s: after ", SLICE_ARG(text(l, "where")));
        put_duration(out, text(l, "limit"));
        buf_put(out, slice_eq(text(l, "enforced_by"), SLICE("recipient"))
                         ? SLICE("; by the recipient, who has to see to it\n")
                         : SLICE("\n"));
    }
}

/* ---- (g) ----------------------------------------------------------------- */

static bool is_true(const struct json_value *object, const char *name)
{
    const struct json_value *v = at(object, name);

    return v != NULL && json_bool(v);
}

static unsigned long long whole(const struct json_value *object,
                                const char *name)
{
    const struct json_value *v = at(object, name);

    return v == NULL ? 0 : (unsigned long long)json_number(v);
}

static void put_connections(const struct json_value *s, struct buf *out)
{
    for (const struct json_value *l = first(s, "listeners"); l != NULL;
         l = json_sibling(l)) {
        struct slice tls = text(l, "tls");
        bool none = slice_eq(tls, SLICE("none"));
        buf_printf(
            out, "  listens for %.*s at %.*s, %s%.*s%s\n",
            SLICE_ARG(text(l, "for")), SLICE_ARG(text(l, "address")),
            none ? "without TLS" : "by TLS ", none ? 0 : (int)tls.len, tls.at,
            is_true(l, "this_machine_only") ? ", from this machine only" : "");
    }
    for (const struct json_value *d = first(s, "destinations"); d != NULL;
         d = json_sibling(d)) {
        buf_printf(out, "  %.*s (%.*s): ", SLICE_ARG(text(d, "destination")),
                   SLICE_ARG(text(d, "type")));
        if (at(d, "mode") != NULL)
            buf_printf(out, "files of mode %.*s", SLICE_ARG(text(d, "mode")));
        else
            buf_put(out, is_true(d, "encrypted") ? SLICE("by TLS")
                                                 : SLICE("unencrypted"));
        buf_printf(out, "; pseudonyms of %llu bits, new every ",
                   whole(d, "pseudonym_bits"));
        put_duration(out, text(d, "pseudonyms_change_after"));
        buf_printf(out, "; checked as %.*s\n",
                   SLICE_ARG(text(d, "checked_as")));
    }
}

static void put_security(const struct json_value *ropa, struct buf *out)
{
    const struct json_value *s = at(ropa, "security"), *a = at(s, "audit");

    buf_put(out, SLICE("\n(g) Security measures, as they are now\n"));
    put_connections(s, out);
    put_line(out, "secrets of pseudonyms are kept in", text(s, "epoch_store"));
    buf_printf(out,
               "  what waits is sealed, under %llu keys that are destroyed "
               "with it\n  opt-out list: %.*s\n  audit log: rows of %.*s "
               "decisions, %llu records signed\n",
               whole(s, "sealed_spool_keys"), SLICE_ARG(text(s, "optout_list")),
               SLICE_ARG(text(a, "rows")), whole(a, "signed_records"));
    if (first(a, "witnesses") == NULL)
        buf_put(out, SLICE("  no witness outside remembers the log\n"));
    for (const struct json_value *w = first(a, "witnesses"); w != NULL;
         w = json_sibling(w))
        buf_printf(out, "  witness %.*s: %.*s\n", SLICE_ARG(text(w, "name")),
                   SLICE_ARG(text(w, "state")));
}

static void put_exceptions(const struct json_value *ropa, struct buf *out)
{
    buf_put(out, SLICE("\nDeviations from a profile\n"));
    if (first(ropa, "deviations") == NULL)
        buf_put(out, SLICE("  none\n"));
    for (const struct json_value *v = first(ropa, "deviations"); v != NULL;
         v = json_sibling(v))
        buf_printf(out, "  %.*s does not keep %.*s of %.*s: %.*s\n",
                   SLICE_ARG(text(v, "destination")),
                   SLICE_ARG(text(v, "requirement")),
                   SLICE_ARG(text(v, "profile")), SLICE_ARG(text(v, "why")));
    buf_put(out, SLICE("\nSettings that protect less than the default\n"));
    if (first(ropa, "weaker_settings") == NULL)
        buf_put(out, SLICE("  none\n"));
    for (const struct json_value *v = first(ropa, "weaker_settings"); v != NULL;
         v = json_sibling(v)) {
        struct slice where = text(v, "where");
        buf_printf(out, "  %.*s%s%.*s: %.*s\n", SLICE_ARG(text(v, "setting")),
                   where.len > 0 ? " " : "", SLICE_ARG(where),
                   SLICE_ARG(text(v, "means")));
    }
}

/* R56, and Art. 30(2). */
static void put_rest(const struct json_value *ropa, struct buf *out)
{
    const struct json_value *device = at(ropa, "device_access");
    const struct json_value *cookie = first(device, "sets");
    const struct json_value *p = at(ropa, "processor");

    buf_put(out, SLICE("\nWhat is read from or stored on people's devices "
                       "(ePrivacy Art. 5(3))\n"));
    for (const struct json_value *r = first(device, "reads"); r != NULL;
         r = json_sibling(r))
        buf_printf(out, "  read: cookie %.*s, when %.*s\n",
                   SLICE_ARG(text(r, "cookie")), SLICE_ARG(text(r, "when")));
    buf_printf(out,
               "  stored: cookie %.*s=%.*s, without an identifier, at %.*s\n"
               "  Whoever calls the gateway from a device answers for the "
               "call itself.\n",
               SLICE_ARG(text(cookie, "cookie")),
               SLICE_ARG(text(cookie, "value")),
               SLICE_ARG(text(cookie, "when")));
    buf_put(out, SLICE("\nFor those who run it for the controller (Art. "
                       "30(2))\n"));
    put_line(out, "on behalf of", text(p, "on_behalf_of"));
    put_list(out, "processors", first(p, "processors"));
    put_list(out, "what they do", first(p, "categories"));
    buf_put(out, SLICE("  transfers and measures: (e) and (g)\n"));
}

void report_ropa_words(const struct json_value *ropa, struct buf *out)
{
    const struct json_value *p = at(ropa, "processing");

    buf_printf(out,
               "Record of processing activities (GDPR Art. 30), site %.*s, "
               "made %.*s\nPolicy %.*s, version %.*s, in force since %.*s\n",
               SLICE_ARG(text(ropa, "site")), SLICE_ARG(text(ropa, "made")),
               SLICE_ARG(text(p, "policy")), SLICE_ARG(text(p, "version")),
               SLICE_ARG(text(p, "since")));
    put_controller(p, out);
    put_purposes(ropa, p, out);
    put_categories(p, out);
    put_recipients(ropa, p, out);
    put_erasure(ropa, out);
    put_security(ropa, out);
    put_exceptions(ropa, out);
    put_rest(ropa, out);
}
