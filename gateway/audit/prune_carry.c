/* prune_carry.c - the deletion itself. Oldest first, each on disk before the
 * next: whatever a crash leaves is a log that begins later, never one with a
 * hole. */
#include "prune_internal.h"

#include "lethe/gateway/audit/search.h"
#include "lethe/gateway/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINIMUM_MODE 0640

static enum status sync_part(const char *folder, enum prune_layer layer)
{
    char path[PRUNE_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, prune_part(layer));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return good ? ST_OK : ST_IO;
}

static enum status remove_going(const char *folder, enum prune_layer layer,
                                uint64_t first)
{
    char path[PRUNE_PATH_MAX];

    prune_path(folder, layer, first, GOING, path);
    enum status st =
        layer == PRUNE_RECORDS ? audit_index_remove(folder, first) : ST_OK;
    if (st == ST_OK)
        st = unlink(path) == 0 ? sync_part(folder, layer) : ST_IO;
    return st;
}

static enum status remove_file(const char *folder, enum prune_layer layer,
                               uint64_t first)
{
    char path[PRUNE_PATH_MAX], going[PRUNE_PATH_MAX];

    prune_path(folder, layer, first, "", path);
    prune_path(folder, layer, first, GOING, going);
    if (rename(path, going) != 0)
        return ST_IO;
    enum status st = sync_part(folder, layer);
    return st == ST_OK ? remove_going(folder, layer, first) : st;
}

/* What an earlier run has renamed: it was no longer part of the log. */
static enum status finish_going(const char *folder, enum prune_layer layer,
                                uint64_t to, struct prune_done *done)
{
    char suffix[24];
    uint64_t *list = NULL;
    size_t count = 0;

    (void)snprintf(suffix, sizeof(suffix), "%s%s", prune_suffix(layer), GOING);
    enum status st =
        log_files(folder, prune_part(layer), suffix, &list, &count);
    for (size_t i = 0; st == ST_OK && i < count && list[i] < to; i++) {
        st = remove_going(folder, layer, list[i]);
        done->files += st == ST_OK;
    }
    free(list);
    return st;
}

/* Without its records nobody knows when rows were: they are not held. */
static enum status is_held(const char *folder, const struct audit_orders *o,
                           uint64_t signed_size, uint64_t first, bool *out)
{
    int64_t from, to;
    enum status st = prune_span(folder, first, &from, &to);

    *out = st == ST_OK && prune_is_held(o, signed_size, from, to);
    return st == ST_END ? ST_OK : st;
}

/* `minimum-index`: where the log begins. */
static enum status put_minimum(const char *folder, uint64_t first)
{
    char path[PRUNE_PATH_MAX], says[32];
    struct buf old;

    int n = snprintf(says, sizeof(says), "%" PRIu64 "\n", first);
    struct slice text = {says, (size_t)n};
    (void)snprintf(path, sizeof(path), "%s/minimum-index", folder);
    bool same = file_read(path, sizeof(says), &old) == ST_OK &&
                slice_eq(buf_slice(&old), text);
    buf_free(&old);
    return same ? ST_OK : file_put(path, MINIMUM_MODE, text);
}

/* As it is on the disk now. */
static enum status write_minimum(const char *folder)
{
    uint64_t *list = NULL;
    size_t count = 0;

    enum status st = log_files(folder, "seg", ".jsonl", &list, &count);
    uint64_t first = st == ST_OK && count > 0 ? list[0] : 0;
    free(list);
    return st == ST_OK && first > 0 ? put_minimum(folder, first) : st;
}

static enum status remove_all(const char *folder, const struct audit_orders *o,
                              uint64_t signed_size, enum prune_layer layer,
                              const uint64_t *list, size_t count,
                              struct prune_done *done)
{
    uint64_t to = o->newest[layer].to;
    enum status st = ST_OK;

    for (size_t i = 0; i < count && list[i] < to; i++) {
        /* A hold that was set after the order counts, too. */
        st = is_held(folder, o, signed_size, list[i], &done->held);
        if (st != ST_OK || done->held)
            break;
        /* First said, then gone: who reads the log never misses anything that
         * it says is there. */
        if (layer == PRUNE_RECORDS)
            st = put_minimum(folder, i + 1 < count ? list[i + 1] : to);
        if (st == ST_OK)
            st = remove_file(folder, layer, list[i]);
        if (st != ST_OK)
            break;
        done->files++;
    }
    return st;
}

enum status prune_carry_out(const char *folder, const struct audit_orders *o,
                            uint64_t signed_size, enum prune_layer layer,
                            struct prune_done *out)
{
    const struct audit_order *order = &o->newest[layer];
    uint64_t *list = NULL;
    size_t count = 0;

    *out = (struct prune_done){.files = 0};
    if (order->index == ORDER_NONE)
        return ST_OK;
    out->waiting = signed_size != SIGNED_ALL && signed_size <= order->index;
    if (out->waiting)
        return ST_OK;
    enum status st = finish_going(folder, layer, order->to, out);
    if (st == ST_OK)
        st = log_files(folder, prune_part(layer), prune_suffix(layer), &list,
                       &count);
    if (st == ST_OK && layer == PRUNE_RECORDS && count > 0 &&
        list[0] < order->to)
        st = prune_write_totals(folder, order->to);
    if (st == ST_OK)
        st = remove_all(folder, o, signed_size, layer, list, count, out);
    free(list);
    if (st == ST_OK && layer == PRUNE_RECORDS)
        st = write_minimum(folder);
    return st;
}
