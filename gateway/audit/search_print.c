/* search_print.c - results as JSON Lines, CSV or words. */
#include "search_internal.h"

#include "lethe/audit_codes.h"
#include "lethe/policy/base/clock.h"

#include <inttypes.h>
#include <string.h>

struct slice record_heading(void)
{
    return SLICE("i,t,act,who,why,out,d");
}

struct slice row_heading(void)
{
    return SLICE("i,row,t,site,act,rule,reason,source,destinations,ev,"
                 "classes");
}

/* Names of records are not the gateway's own word where somebody changed the
 * file: none of them becomes a formula or another column. */
static void put_csv(struct buf *b, struct slice s)
{
    bool plain = true;

    for (size_t i = 0; i < s.len; i++)
        plain = plain && s.at[i] != ',' && s.at[i] != '"';
    if (!plain)
        buf_put_char(b, '"');
    if (s.len > 0 && memchr("=+-@", s.at[0], 4) != NULL)
        buf_put_char(b, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '"')
            buf_put_char(b, '"');
        buf_put_char(b, s.at[i]);
    }
    if (!plain)
        buf_put_char(b, '"');
}

void put_record(struct buf *b, enum audit_format format,
                const struct record_view *r, struct slice line)
{
    const struct slice parts[] = {r->act, r->who, r->why, r->out};
    const char between = format == AUDIT_CSV ? ',' : ' ';
    char t[TIME_TEXT_MAX];

    if (format == AUDIT_JSONL) {
        buf_put(b, line);
        return;
    }
    (void)time_format(r->t_ms, true, t);
    buf_printf(b, "%" PRIu64 "%c%s%c", r->i, between, t, between);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (format == AUDIT_CSV)
            put_csv(b, parts[i]);
        else
            buf_put(b, parts[i]);
        buf_put_char(b, between);
    }
    if (format == AUDIT_CSV)
        put_csv(b, r->d);
    else
        buf_put(b, r->d);
}

static void put_classes(struct buf *b, uint32_t classes, const char *quote,
                        char between)
{
    bool any = false;

    for (unsigned bit = 0; bit < 32; bit++) {
        if ((classes >> bit & 1) == 0)
            continue;
        if (any)
            buf_put_char(b, between);
        buf_printf(b, "%s%s%s", quote, audit_class_name(bit), quote);
        any = true;
    }
}

static void put_row_json(struct buf *b, const struct row_place *p,
                         const char *t, const struct audit_row *r)
{
    buf_printf(b,
               "{\"i\":%" PRIu64 ",\"row\":%" PRIu32
               ",\"t\":\"%s\",\"site\":\"%s\",\"act\":\"%s\",\"rule\":%u,"
               "\"reason\":\"%s\",\"source\":\"%s\",\"destinations\":%u,"
               "\"ev\":\"%016" PRIx64 "\",\"classes\":[",
               p->index, p->row, t, p->site, audit_act_name(r->act), r->rule,
               audit_reason_name(r->reason), audit_source_name(r->source),
               r->destinations, r->ev);
    put_classes(b, r->classes, "\"", ',');
    buf_put(b, SLICE("]}"));
}

static void put_row_csv(struct buf *b, const struct row_place *p, const char *t,
                        const struct audit_row *r)
{
    buf_printf(b, "%" PRIu64 ",%" PRIu32 ",%s,", p->index, p->row, t);
    put_csv(b, slice_of(p->site));
    buf_printf(b, ",%s,%u,%s,%s,%u,%016" PRIx64 ",", audit_act_name(r->act),
               r->rule, audit_reason_name(r->reason),
               audit_source_name(r->source), r->destinations, r->ev);
    put_classes(b, r->classes, "", ' ');
}

/* For people: names in place of numbers. */
static void put_row_words(struct buf *b, const struct row_place *p,
                          const char *t, const struct audit_row *r)
{
    buf_printf(b, "%s %s %s", t, p->site, audit_act_name(r->act));
    for (unsigned k = 0; p->policy != NULL && k < p->policy->count; k++)
        if (r->destinations >> k & 1u)
            buf_printf(b, " %s", p->policy->names[k]);
    buf_printf(b, ", rule %u, %s, from %s, receipt %016" PRIx64, r->rule,
               audit_reason_name(r->reason), audit_source_name(r->source),
               r->ev);
    if (r->classes != 0)
        buf_put(b, SLICE(", minimised: "));
    put_classes(b, r->classes, "", ' ');
}

void put_row(struct buf *b, enum audit_format format,
             const struct row_place *place, const struct audit_row *r)
{
    char t[TIME_TEXT_MAX];

    (void)time_format(place->t_ms, true, t);
    switch (format) {
    case AUDIT_CSV:
        put_row_csv(b, place, t, r);
        break;
    case AUDIT_TEXT:
        put_row_words(b, place, t, r);
        break;
    case AUDIT_JSONL:
    default:
        put_row_json(b, place, t, r);
        break;
    }
}
