/* log_fork.c - the first words of a log that goes on for another. */
#include "log_internal.h"

#include "lethe/policy/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void forget(const struct audit_log *l)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/%s", l->folder, AUDIT_FORK_FILE);
    if (unlink(path) != 0)
        log_warn(LOG_AUDIT, "audit/forked could not be removed");
}

enum status fork_find(struct audit_log *l, struct audit_recovery *found)
{
    enum status st = audit_fork_read(l->folder, &l->fork);

    if (st == ST_UNKNOWN)
        return ST_OK;
    if (st != ST_OK)
        return st;
    if (l->next_index > 0) { /* said already, or never carried out */
        forget(l);
        return ST_OK;
    }
    l->has_fork = true;
    found->newest_optout = l->fork.optout;
    memcpy(found->newest_hash, l->fork.optout_hash, HASH_BYTES);
    return ST_OK;
}

static void put_size_and_root(const struct audit_log *l, struct buf *out)
{
    buf_printf(out, "\"size\":%" PRIu64 ",\"root\":\"", l->fork.size);
    put_base64(out, l->fork.root, HASH_BYTES);
    buf_put(out, SLICE("\"}"));
}

void fork_put_prev(const struct audit_log *l, struct buf *out)
{
    if (!l->has_fork) {
        buf_put(out, SLICE("null"));
        return;
    }
    buf_printf(out, "{\"origin\":\"%s\",", l->fork.old);
    put_size_and_root(l, out);
}

enum status fork_put_record(struct audit_log *l)
{
    int64_t t = record_time(l);

    if (!l->has_fork)
        return ST_OK;
    buf_reset(&l->d);
    buf_printf(&l->d, "{\"old\":\"%s\",", l->fork.old);
    put_size_and_root(l, &l->d);
    if (l->d.failed)
        return ST_NOMEM;
    record_put(l,
               &(struct record_head){.act = RECORD_AUDIT_FORK,
                                     .who = SLICE("adm:local"),
                                     .why = slice_of(l->fork.why),
                                     .out = AUDIT_OK,
                                     .t_ms = t},
               buf_slice(&l->d));
    return ST_OK;
}

void fork_done(struct audit_log *l)
{
    if (l->has_fork)
        forget(l);
    l->has_fork = false;
}
