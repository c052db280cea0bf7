#include "policy_inside.h"

#include <string.h>

static void read_head(struct load *l, const struct at *root)
{
    struct at m;

    if (at_need(l, root, "format", "1", &m) &&
        (json_kind_of(m.v) != JSON_KIND_NUMBER || json_number(m.v) < 1 ||
         json_number(m.v) > 1))
        problem(l, &m, "is not known to this build; write 1");
    if (at_need(l, root, "policy", "the policy's name", &m) &&
        want_text(l, &m, POLICY_NAME_MAX, &l->p->name) &&
        !name_plain(l->p->name))
        problem(l, &m, "is no name; use letters, digits, _ and -");
    if (at_need(l, root, "version", "a text such as \"1\"", &m))
        (void)want_text(l, &m, POLICY_NAME_MAX, &l->p->version);
}

static void want_prose(struct load *l, const struct at *parent, const char *key,
                       const char *right)
{
    struct at m;
    struct slice s;

    if (right != NULL ? at_need(l, parent, key, right, &m)
                      : at_get(parent, key, &m))
        (void)want_text(l, &m, POLICY_PROSE_MAX, &s);
}

static void want_prose_list(struct load *l, const struct at *parent,
                            const char *key, const char *right)
{
    struct at m;
    struct slice *list;
    unsigned count;

    if (right != NULL ? at_need(l, parent, key, right, &m)
                      : at_get(parent, key, &m))
        (void)want_texts(l, &m, false, POLICY_LIST_MAX, POLICY_PROSE_MAX, &list,
                         &count);
}

/* Who is responsible, and where it runs (R19, R52). */
static void read_people(struct load *l, const struct at *root)
{
    static const char *const controller[] = {
        "name", "contact", "dpo", "joint", "representative", "authority", NULL};
    static const char *const hosting[] = {"region", "processors", NULL};
    struct at m;

    if (at_need(l, root, "controller",
                "{\"name\": \"...\", \"contact\": \"...\"}", &m) &&
        want_keys(l, &m, controller)) {
        want_prose(l, &m, "name", "the controller's name and address");
        want_prose(l, &m, "contact", "how to reach the controller");
        want_prose(l, &m, "dpo", NULL);
        want_prose_list(l, &m, "joint", NULL);
        want_prose(l, &m, "representative", NULL);
        want_prose(l, &m, "authority", NULL);
    }
    if (at_need(l, root, "hosting",
                "{\"region\": \"EU\", \"processors\": [...]}", &m) &&
        want_keys(l, &m, hosting)) {
        want_prose(l, &m, "region", "where the gateway runs, such as \"EU\"");
        want_prose_list(l, &m, "processors",
                        "the list of hosting companies, [] if none");
    }
    want_prose_list(l, root, "subjects", NULL);
}

/* "04:00Z" */
static bool clock_time(struct slice s, int64_t *out_ms)
{
    if (s.len != 6 || s.at[2] != ':' || s.at[5] != 'Z')
        return false;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (s.at[i] < '0' || s.at[i] > '9'))
            return false;
    int hours = (s.at[0] - '0') * 10 + (s.at[1] - '0');
    int minutes = (s.at[3] - '0') * 10 + (s.at[4] - '0');
    if (hours > 23 || minutes > 59)
        return false;
    *out_ms = hours * MS_PER_H + minutes * MS_PER_MIN;
    return true;
}

void read_pseudonyms(struct load *l, const struct at *at,
                     struct destination_plan *d)
{
    static const char *const keys[] = {"rotate", "at", "bits", NULL};
    struct at m;
    struct slice s;

    if (!want_keys(l, at, keys))
        return;
    if (at_get(at, "rotate", &m) &&
        want_duration(l, &m, "PT1H", "P13M", &d->rotate) &&
        d->rotate.ms % MS_PER_H != 0)
        problem(l, &m, "has broken hours; write whole hours, days or months");
    if (at_get(at, "at", &m) && want_text(l, &m, 16, &s) &&
        !clock_time(s, &d->rotate_at_ms))
        problem(l, &m,
                "is no time of day; write one in UTC such as "
                "\"04:00Z\"");
    if (at_get(at, "bits", &m))
        (void)want_whole(l, &m, 8, 128, &d->bits);
}

static void read_optout_identifiers(struct load *l, const struct at *root)
{
    struct slice *list;
    struct at m;
    unsigned count;
    bool many, wildcard;

    if (!at_get(root, "optout_identifiers", &m) ||
        !want_texts(l, &m, false, POLICY_LIST_MAX, POLICY_PATH_MAX, &list,
                    &count))
        return;
    for (unsigned i = 0; i < count; i++)
        if (!path_check(list[i], &many, &wildcard) || wildcard)
            problem(l, &m,
                    "\"%.*s\" is no path to a field; write one such "
                    "as \"customer.number\"",
                    SLICE_ARG(slice_head(list[i], 64)));
    l->p->optout_identifiers = list;
    l->p->optout_identifier_count = count;
}

static void read_retention(struct load *l, const struct at *root)
{
    static const char *const keys[] = {"spool", "dead", "audit_rows",
                                       "audit_records", NULL};
    struct at all, m;

    if (!at_need(l, root, "retention",
                 "{\"spool\": \"PT72H\", \"dead\": \"P7D\", \"audit_rows\": "
                 "\"P14D\", \"audit_records\": \"P12M\"}",
                 &all) ||
        !want_keys(l, &all, keys))
        return;
    if (at_need(l, &all, "spool", "a duration such as \"PT72H\"", &m))
        (void)want_duration(l, &m, "PT1S", "P30D", &l->p->keep_spool);
    if (at_need(l, &all, "dead", "a duration such as \"P7D\"", &m))
        (void)want_duration(l, &m, "PT1S", "P90D", &l->p->keep_dead);
    if (at_need(l, &all, "audit_rows", "a duration such as \"P14D\"", &m))
        (void)want_duration(l, &m, "PT1S", "P13M", &l->p->keep_rows);
    if (at_need(l, &all, "audit_records", "a duration such as \"P12M\"", &m))
        (void)want_duration(l, &m, "P1D", "P36M", &l->p->keep_records);
}

void read_general(struct load *l, const struct at *root)
{
    static const char *const keys[] = {"format",
                                       "policy",
                                       "version",
                                       "extends",
                                       "controller",
                                       "hosting",
                                       "subjects",
                                       "purposes",
                                       "signals",
                                       "unidentified",
                                       "pseudonyms",
                                       "identifiers",
                                       "optout_identifiers",
                                       "context",
                                       "events",
                                       "destinations",
                                       "retention",
                                       NULL};
    static const char *const allow[] = {"deny", "allow", NULL};
    struct at m;

    (void)want_keys(l, root, keys);
    read_head(l, root);
    read_people(l, root);
    read_signals(l, root);
    if (at_get(root, "unidentified", &m))
        l->p->unidentified_allow = want_word(l, &m, allow) == 1;
    read_optout_identifiers(l, root);
    read_retention(l, root);
}
