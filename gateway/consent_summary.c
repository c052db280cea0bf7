#include "lethe/gateway/gateway.h"
#include "lethe/gateway/metrics.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/consent.h"

#include <inttypes.h>

#define SUMMARY_MAX  4096u
#define SUMMARY_FULL (SUMMARY_MAX - 64u) /* an entry has at most 47 bytes */

static void write_down(struct gateway *g, const struct world_site *s,
                       struct buf *list)
{
    if (list->len == 0)
        return;
    (void)gateway_record(g, RECORD_CONSENT_SUMMARY, NULL, "timer", false, NULL,
                         "{\"site\":\"%s\",\"pol\":%" PRIu64 ",\"n\":[%.*s]}",
                         s->conf->name, s->policy_index,
                         SLICE_ARG(buf_slice(list)));
    buf_reset(list);
}

static void record_site(struct gateway *g, const struct world_site *s,
                        struct buf *list)
{
    for (unsigned heard = 0; heard < CONSENT_HEARD_SETS; heard++) {
        uint64_t opened = metrics_take_consent(s->index, heard, true);
        uint64_t closed = metrics_take_consent(s->index, heard, false);
        if (opened + closed == 0)
            continue;
        if (list->len > SUMMARY_FULL)
            write_down(g, s, list);
        buf_printf(list, "%s[%u,%" PRIu64 ",%" PRIu64 "]",
                   list->len > 0 ? "," : "", heard, opened, closed);
    }
    write_down(g, s, list);
}

void consent_summary_record(struct gateway *g)
{
    struct buf list;

    buf_init(&list, SUMMARY_MAX);
    for (unsigned i = 0; i < g->world->site_count; i++)
        record_site(g, &g->world->sites[i], &list);
    buf_free(&list);
}
