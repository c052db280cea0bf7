#include "lethe/gateway/metrics.h"

#include "lethe/policy/consent.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DESTINATION_SLOTS (METRICS_DESTINATIONS_MAX + 1)
#define SITE_SLOTS        (METRICS_SITES_MAX + 1)

static const char *const outcome_names[OUTCOME_COUNT] = {
    [OUTCOME_CLEARED] = "cleared",   [OUTCOME_DROPPED] = "dropped",
    [OUTCOME_ACCEPTED] = "accepted", [OUTCOME_REFUSED] = "refused",
    [OUTCOME_SWEPT] = "swept",       [OUTCOME_EXPIRED] = "expired",
    [OUTCOME_PURGED] = "purged",     [OUTCOME_DEAD] = "dead",
};

/* The statuses that a request can be answered with; others count as 0. */
static const int statuses[] = {0,   200, 204, 303, 400, 401, 403,
                               404, 405, 408, 411, 413, 414, 415,
                               429, 431, 500, 501, 503, 505};
#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))

/* One site's counters, made when the site is first counted. */
struct site_counts {
    uint64_t events[DESTINATION_SLOTS][OUTCOME_COUNT][REASON_COUNT];
    uint64_t requests[SOURCE_COUNT][STATUS_COUNT];
    uint64_t unknown_fields;
    uint64_t consent[CONSENT_HEARD_SETS][2];
};
static struct site_counts *sites[SITE_SLOTS];

const char *metrics_outcome_name(enum metrics_outcome outcome)
{
    assert((unsigned)outcome < OUTCOME_COUNT);
    return outcome_names[outcome];
}

static struct site_counts *counts_of(unsigned site)
{
    unsigned slot = site < METRICS_SITES_MAX ? site : METRICS_SITES_MAX;
    struct site_counts *have = __atomic_load_n(&sites[slot], __ATOMIC_ACQUIRE);

    if (site == METRICS_UNCOUNTED)
        return NULL;
    if (have != NULL)
        return have;
    struct site_counts *fresh = calloc(1, sizeof(*fresh));
    if (fresh == NULL)
        return NULL;
    if (__atomic_compare_exchange_n(&sites[slot], &have, fresh, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    free(fresh);
    return have;
}

static void add(uint64_t *counter, uint64_t count)
{
    (void)__atomic_add_fetch(counter, count, __ATOMIC_RELAXED);
}

static uint64_t read_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void metrics_event(unsigned site, unsigned destination,
                   enum metrics_outcome outcome, unsigned reason,
                   uint64_t count)
{
    struct site_counts *c = counts_of(site);
    unsigned d = destination < METRICS_DESTINATIONS_MAX
                     ? destination
                     : METRICS_DESTINATIONS_MAX;

    if (c != NULL && (unsigned)outcome < OUTCOME_COUNT)
        add(&c->events[d][outcome][reason < REASON_COUNT ? reason : 0], count);
}

uint64_t metrics_event_count(unsigned site, unsigned destination,
                             enum metrics_outcome outcome, unsigned reason)
{
    struct site_counts *c = counts_of(site);

    if (c == NULL || destination > METRICS_DESTINATIONS_MAX ||
        (unsigned)outcome >= OUTCOME_COUNT || reason >= REASON_COUNT)
        return 0;
    return read_counter(&c->events[destination][outcome][reason]);
}

static unsigned status_slot(int status)
{
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        if (statuses[i] == status)
            return i;
    return 0;
}

void metrics_request(unsigned site, unsigned source, int status)
{
    struct site_counts *c = counts_of(site);

    if (c != NULL)
        add(&c->requests[source < SOURCE_COUNT ? source : 0]
                        [status_slot(status)],
            1);
}

void metrics_unknown_fields(unsigned site, uint64_t count)
{
    struct site_counts *c = count > 0 ? counts_of(site) : NULL;

    if (c != NULL)
        add(&c->unknown_fields, count);
}

void metrics_consent(unsigned site, unsigned heard, bool opened)
{
    struct site_counts *c = counts_of(site);

    if (c != NULL && heard < CONSENT_HEARD_SETS)
        add(&c->consent[heard][opened], 1);
}

uint64_t metrics_take_consent(unsigned site, unsigned heard, bool opened)
{
    struct site_counts *c = counts_of(site);

    if (c == NULL || heard >= CONSENT_HEARD_SETS)
        return 0;
    return __atomic_exchange_n(&c->consent[heard][opened], 0, __ATOMIC_RELAXED);
}

/* Whether somebody opted out or just never said yes is nobody's business who
 * reads metrics: all of these share one label. */
static bool is_permission(unsigned reason)
{
    switch (reason) {
    case REASON_NO_CONSENT:
    case REASON_CONSENT_DENIED:
    case REASON_APP_DENIED:
    case REASON_OPTED_OUT:
    case REASON_OPTOUT_COOKIE:
    case REASON_OPTED_OUT_THEN:
    case REASON_GPC:
    case REASON_DNT:
    case REASON_CONSENT_MODE:
    case REASON_TCF:
    case REASON_SIGNAL:
        return true;
    default:
        return false;
    }
}

static const char *destination_label(const struct metrics_names *names,
                                     unsigned site, unsigned d)
{
    return d == METRICS_DESTINATIONS_MAX
               ? ""
               : names->destination(names->ctx, site, d);
}

static void print_line(const struct metrics_names *names, unsigned site,
                       unsigned d, enum metrics_outcome outcome,
                       const char *reason, uint64_t count, struct buf *out)
{
    const char *site_name =
        site == METRICS_SITES_MAX ? "" : names->site(names->ctx, site);
    const char *destination = destination_label(names, site, d);

    if (count == 0 || site_name == NULL || destination == NULL)
        return;
    buf_printf(out,
               "lethe_events_total{site=\"%s\",destination=\"%s\","
               "outcome=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
               site_name, destination, outcome_names[outcome], reason, count);
}

static void print_events(const struct metrics_names *names, unsigned site,
                         const struct site_counts *c, struct buf *out)
{
    for (unsigned d = 0; d < DESTINATION_SLOTS; d++) {
        for (unsigned o = 0; o < OUTCOME_COUNT; o++) {
            uint64_t permission = 0;
            for (unsigned r = 0; r < REASON_COUNT; r++) {
                uint64_t n = read_counter(&c->events[d][o][r]);
                if (is_permission(r))
                    permission += n;
                else
                    print_line(names, site, d, o, audit_reason_name(r), n, out);
            }
            print_line(names, site, d, o, "no-permission", permission, out);
        }
    }
}

static void print_requests(const struct metrics_names *names, unsigned site,
                           const struct site_counts *c, struct buf *out)
{
    const char *name =
        site == METRICS_SITES_MAX ? "" : names->site(names->ctx, site);

    if (name == NULL)
        return;
    for (unsigned s = 0; s < SOURCE_COUNT; s++)
        for (unsigned i = 0; i < STATUS_COUNT; i++) {
            uint64_t n = read_counter(&c->requests[s][i]);
            if (n > 0)
                buf_printf(out,
                           "lethe_requests_total{site=\"%s\",dialect=\"%s\","
                           "status=\"%d\"} %" PRIu64 "\n",
                           name, audit_source_name(s), statuses[i], n);
        }
}

static void print_unknown(const struct metrics_names *names, unsigned site,
                          const struct site_counts *c, struct buf *out)
{
    const char *name =
        site == METRICS_SITES_MAX ? "" : names->site(names->ctx, site);

    if (name != NULL)
        buf_printf(out, "lethe_unknown_fields_total{site=\"%s\"} %" PRIu64 "\n",
                   name, read_counter(&c->unknown_fields));
}

typedef void print_site(const struct metrics_names *names, unsigned site,
                        const struct site_counts *c, struct buf *out);

static void print_family(const struct metrics_names *names, const char *name,
                         const char *help, print_site *print, struct buf *out)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
    for (unsigned s = 0; s < SITE_SLOTS; s++) {
        const struct site_counts *c =
            __atomic_load_n(&sites[s], __ATOMIC_ACQUIRE);
        if (c != NULL)
            print(names, s, c, out);
    }
}

#define GAUGES_MAX 8192u

static void print_gauges(const struct metrics_names *names, struct buf *out)
{
    struct metrics_gauge *list = calloc(GAUGES_MAX, sizeof(*list));
    const char *family = "";

    if (list == NULL)
        return;
    unsigned count = names->gauges(names->ctx, list, GAUGES_MAX);
    for (unsigned i = 0; i < count; i++) {
        const struct metrics_gauge *g = &list[i];
        if (strcmp(family, g->name) != 0)
            buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", g->name, g->help,
                       g->name);
        family = g->name;
        if (g->labels[0] != '\0')
            buf_printf(out, "%s{%s} %.17g\n", g->name, g->labels, g->value);
        else
            buf_printf(out, "%s %.17g\n", g->name, g->value);
    }
    free(list);
}

void metrics_print(const struct metrics_names *names, struct buf *out)
{
    print_family(names, "lethe_events_total",
                 "Events by destination and what became of them.", print_events,
                 out);
    print_family(names, "lethe_requests_total",
                 "Requests answered, by dialect and status.", print_requests,
                 out);
    print_family(names, "lethe_unknown_fields_total",
                 "Fields that no rule names, dropped.", print_unknown, out);
    if (names->gauges != NULL)
        print_gauges(names, out);
}

uint64_t metrics_total(enum metrics_outcome outcome)
{
    uint64_t sum = 0;

    for (unsigned s = 0; s < SITE_SLOTS; s++) {
        const struct site_counts *c =
            __atomic_load_n(&sites[s], __ATOMIC_ACQUIRE);
        for (unsigned d = 0; c != NULL && d < DESTINATION_SLOTS; d++)
            for (unsigned r = 0; r < REASON_COUNT; r++)
                sum += read_counter(&c->events[d][outcome][r]);
    }
    return sum;
}

void metrics_clear(void)
{
    for (unsigned s = 0; s < SITE_SLOTS; s++)
        if (sites[s] != NULL)
            memset(sites[s], 0, sizeof(*sites[s]));
}
