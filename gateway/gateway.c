/* gateway.c - what everybody around the running gateway needs of it: the time,
 * a record in the audit log, whether it is ready. */
#include "lethe/gateway/gateway.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define RECORD_D_MAX 6144u

int64_t gateway_now(const struct gateway *g)
{
    return g->clock->wall_ms(g->clock->ctx);
}

int64_t gateway_mono(const struct gateway *g)
{
    return g->clock->mono_ms(g->clock->ctx);
}

enum status gateway_record(struct gateway *g, enum audit_record_act act,
                           const char *who, const char *why, bool wait,
                           uint64_t *out_index, const char *format, ...)
{
    char d[RECORD_D_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(d, sizeof(d), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(d))
        return ST_LIMIT;
    const struct audit_entry e = {
        .act = act,
        .who = who,
        .why = why,
        .out = act == RECORD_POLICY_REJECT ? AUDIT_FAILED : AUDIT_OK,
        .d = {d, (size_t)n},
    };
    enum status st = audit_append(g->audit, &e, wait, out_index);
    if (st != ST_OK)
        log_error(LOG_AUDIT, "a record could not be written",
                  LOG_NAME("act", audit_record_act_name(act)),
                  LOG_NAME("why", status_name(st)));
    return st;
}

enum status gateway_wait_signed(struct gateway *g, uint64_t index, int64_t ms)
{
    enum status st = audit_wait_signed(g->audit, index, ms);

    if (st != ST_OK)
        log_warn(LOG_AUDIT, "what allows more waits for a signature in vain",
                 LOG_NAME("why", status_name(st)));
    return st;
}

bool gateway_is_ready(const struct gateway *g, const char **out_why)
{
    *out_why = "ready";
    if (atomic_load(&g->broken))
        *out_why = "the audit log or the journal cannot be written";
    else if (g->world == NULL)
        *out_why = "starting";
    else if (gateway_now(g) >= g->world->valid_until_ms + 5 * MS_PER_S)
        *out_why = "a rotation is overdue";
    else if (commit_is_full(g->commit))
        *out_why = "the disk or the spool is full";
    else if (audit_lag_ms(g->audit) > 30 * MS_PER_S)
        *out_why = "the audit log is behind";
    else if (audit_is_unsigned(g->audit))
        *out_why = "the audit log is not being signed";
    else if (optout_health_of(g->optouts) != OPTOUT_SOUND)
        *out_why = "the opt-out list cannot be trusted: everyone is opted out";
    else
        return true;
    return false;
}
