/* audit_words.c - what a proof says, in words and as JSON. */
#include "audit_check.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"

#include <inttypes.h>

#define DESTINATIONS_MAX 16u /* bits of a row's set */
#define CLASSES_MAX      32u

/* Row acts as sentences: a cleared row says "allowed to go", no more. */
static const char *const acts[ACT_COUNT] = {
    [0] = "unknown",
    [ACT_CLEARED] = "allowed to go as it was",
    [ACT_MINIMISED] = "allowed to go, with fields stripped or replaced",
    [ACT_DROPPED] = "not allowed to go",
    [ACT_SWEPT] = "taken back before it went: the person opted out",
    [ACT_EXPIRED] = "not delivered in time, and deleted",
    [ACT_DEAD] = "could not be delivered, kept as a dead letter",
    [ACT_REFUSED] = "refused by the recipient",
    [ACT_PURGED] = "deleted while it waited: the policy had changed",
};

const char *check_verdict(int code)
{
    return code == CMD_OK      ? "proved"
           : code == CMD_WRONG ? "wrong"
                               : "incomplete";
}

/* The set's destinations by name, or by their number in the policy. */
static void put_destinations(struct buf *out, const struct evidence_facts *f,
                             const struct evidence_facts *policy,
                             const char *quote, const char *between)
{
    bool any = false;

    for (unsigned k = 0; k < DESTINATIONS_MAX; k++) {
        struct slice name;
        if ((f->row.destinations >> k & 1u) == 0)
            continue;
        buf_printf(out, "%s", any ? between : "");
        any = true;
        if (policy != NULL && evidence_destination(policy->d, k, &name))
            buf_printf(out, "%s%.*s%s", quote, SLICE_ARG(name), quote);
        else
            buf_printf(out, "%u", k);
    }
}

static void put_classes(struct buf *out, const struct evidence_facts *f,
                        const char *quote, const char *between)
{
    bool any = false;

    for (unsigned bit = 0; bit < CLASSES_MAX; bit++) {
        if ((f->row.classes >> bit & 1u) == 0)
            continue;
        buf_printf(out, "%s%s%s%s", any ? between : "", quote,
                   audit_class_name(bit), quote);
        any = true;
    }
}

/* ---- for people ---------------------------------------------------------- */

static void row_words(struct buf *out, const struct evidence_facts *f,
                      const struct evidence_facts *policy)
{
    char t[TIME_TEXT_MAX];

    (void)time_format(f->when_ms, true, t);
    buf_printf(out, "  time          %s\n", t);
    if (f->site.at != NULL)
        buf_printf(out, "  site          %.*s\n", SLICE_ARG(f->site));
    buf_printf(out, "  came as       %s\n", audit_source_name(f->row.source));
    buf_printf(out, "  the event     was %s\n",
               acts[f->row.act < ACT_COUNT ? f->row.act : 0]);
    buf_printf(out, "  destinations  ");
    put_destinations(out, f, policy, "", ", ");
    buf_printf(out, "%s\n",
               f->row.destinations == 0 ? "none"
               : policy == NULL         ? " (numbers of the policy's list)"
                                        : "");
    if (f->row.classes != 0) {
        buf_printf(out, "  stripped      ");
        put_classes(out, f, "", ", ");
        buf_printf(out, "\n");
    }
    buf_printf(out, "  by rule       ");
    if (f->row.rule == 0)
        buf_printf(out, "none");
    else
        buf_printf(out, "%u", f->row.rule);
    buf_printf(out, " of policy %.*s", SLICE_ARG(slice_skip(f->why, 4)));
    if (f->has_policy)
        buf_printf(out, ", in force since record %" PRIu64, f->policy);
    buf_printf(out, "\n  reason        %s\n", audit_reason_name(f->row.reason));
    buf_printf(out, "  receipt       %016" PRIx64 "\n", f->row.ev);
}

static void record_words(struct buf *out, const struct checked *c)
{
    const struct evidence_facts *f = &c->facts;
    char t[TIME_TEXT_MAX];

    (void)time_format(f->t_ms, true, t);
    buf_printf(out,
               "  time          %s\n  what          %.*s (%.*s)\n"
               "  by            %.*s\n  because of    %.*s\n"
               "  details       %.*s\n",
               t, SLICE_ARG(f->act), SLICE_ARG(f->out), SLICE_ARG(f->who),
               SLICE_ARG(f->why), SLICE_ARG(f->d));
    if (c->is_persons)
        buf_printf(out,
                   "  person        it holds the commitment of this receipt "
                   "and identifier\n");
}

static void words(struct buf *out, const struct checked *c,
                  const struct evidence_facts *policy)
{
    buf_printf(out, "%s: %s: ", c->path, check_verdict(c->code));
    if (c->text[0] != '\0')
        buf_printf(out, "%s\n", c->text);
    if (!c->is_read)
        return;
    if (c->text[0] == '\0')
        buf_printf(out,
                   "the log %.*s holds %s record %" PRIu64
                   ", by a signed checkpoint of %" PRIu64 " records\n",
                   SLICE_ARG(c->head.origin),
                   c->evidence.has_row ? "this decision in its" : "this as its",
                   c->facts.index, c->head.size);
    if (c->evidence.has_row)
        row_words(out, &c->facts, policy);
    else
        record_words(out, c);
}

/* ---- JSON ---------------------------------------------------------------- */

static void row_json(struct buf *out, const struct evidence_facts *f,
                     const struct evidence_facts *policy)
{
    char t[TIME_TEXT_MAX];

    (void)time_format(f->when_ms, true, t);
    buf_printf(out,
               ",\"decision\":{\"t\":\"%s\",\"site\":\"%.*s\","
               "\"act\":\"%s\",\"rule\":%u,\"reason\":\"%s\","
               "\"source\":\"%s\",\"destinations\":[",
               t, SLICE_ARG(f->site), audit_act_name(f->row.act), f->row.rule,
               audit_reason_name(f->row.reason),
               audit_source_name(f->row.source));
    put_destinations(out, f, policy, "\"", ",");
    buf_printf(out, "],\"classes\":[");
    put_classes(out, f, "\"", ",");
    buf_printf(out, "],\"receipt\":\"%016" PRIx64 "\"}", f->row.ev);
}

/* The path is the caller's own text and may be anything: it stays out. */
static void json_of(struct buf *out, const struct checked *c,
                    const struct evidence_facts *policy)
{
    buf_printf(out, "{\"verdict\":\"%s\",\"message\":", check_verdict(c->code));
    buf_put_json_string(out, slice_of(c->text));
    if (c->is_read) {
        buf_put(out, SLICE(",\"origin\":"));
        buf_put_json_string(out, c->head.origin);
        buf_printf(
            out, ",\"size\":%" PRIu64 ",\"index\":%" PRIu64 ",\"person\":%s",
            c->head.size, c->facts.index, c->is_persons ? "true" : "false");
        if (c->evidence.has_row)
            row_json(out, &c->facts, policy);
        buf_printf(out, ",\"record\":%.*s", SLICE_ARG(c->evidence.record));
    }
    buf_printf(out, "}");
}

void check_put(const struct checked *c, const struct evidence_facts *policy,
               bool json, struct buf *out)
{
    if (json)
        json_of(out, c, policy);
    else
        words(out, c, policy);
}
