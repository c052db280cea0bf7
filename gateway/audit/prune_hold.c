/* prune_hold.c - holds; and what can be said of a log without a gateway. */
#include "prune_internal.h"

#include "log_internal.h"

#include "lethe/gateway/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define D_MAX 256u

static void make_id(char out[HOLD_ID_MAX])
{
    struct random_source r;
    uint32_t bits;

    random_init(&r);
    random_take(&r, &bits, sizeof(bits));
    random_wipe(&r);
    (void)snprintf(out, HOLD_ID_MAX, "%08" PRIx32, bits);
}

static enum status append(struct audit_log *log, const char *who,
                          const char *why, const struct audit_hold *h,
                          bool lift, uint64_t *out_index)
{
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX + 2] = "null";
    struct buf d;

    buf_init(&d, D_MAX);
    (void)time_format(h->from_ms, true, from);
    if (h->to_ms != HOLD_OPEN) {
        to[0] = '"';
        size_t n = time_format(h->to_ms, true, to + 1);
        memcpy(to + 1 + n, "\"", 2);
    }
    buf_printf(&d, "{\"id\":\"%s\",\"state\":\"%s\",\"from\":\"%s\",\"to\":%s}",
               h->id, lift ? "lift" : "set", from, to);
    const struct audit_entry e = {.act = RECORD_AUDIT_HOLD,
                                  .who = who,
                                  .why = why,
                                  .out = AUDIT_OK,
                                  .d = buf_slice(&d)};
    enum status st =
        d.failed ? ST_NOMEM : audit_append(log, &e, true, out_index);
    buf_free(&d);
    return st;
}

unsigned pruner_holds(struct pruner *p, struct audit_hold out[AUDIT_HOLDS_MAX])
{
    struct audit_orders *o = malloc(sizeof(*o));

    if (o == NULL)
        return 0;
    audit_orders_copy(pruner_log(p), o);
    unsigned n = orders_holds(o, pruner_signed(p), out);
    free(o);
    return n;
}

enum status pruner_hold(struct pruner *p, const char *who, const char *why,
                        int64_t from_ms, int64_t to_ms,
                        char out_id[HOLD_ID_MAX])
{
    struct audit_hold list[AUDIT_HOLDS_MAX],
        h = {.from_ms = from_ms, .to_ms = to_ms};
    uint64_t index;

    if (to_ms < from_ms)
        return ST_SYNTAX;
    pruner_pause(p);
    enum status st =
        pruner_holds(p, list) == AUDIT_HOLDS_MAX ? ST_LIMIT : ST_OK;
    if (st == ST_OK) {
        make_id(h.id);
        st = append(pruner_log(p), who, why, &h, false, &index);
    }
    pruner_go_on(p);
    if (st == ST_OK)
        memcpy(out_id, h.id, HOLD_ID_MAX);
    return st;
}

enum status pruner_lift(struct pruner *p, const char *who, const char *why,
                        const char *id, uint64_t *out_index)
{
    struct audit_hold list[AUDIT_HOLDS_MAX];
    unsigned n = pruner_holds(p, list);

    for (unsigned i = 0; i < n; i++)
        if (strcmp(list[i].id, id) == 0)
            return append(pruner_log(p), who, why, &list[i], true, out_index);
    return ST_UNKNOWN;
}

/* ---- without a gateway ----------------------------------------------------
 */

static enum status read_orders(const char *folder, struct audit_orders *o)
{
    char path[PRUNE_PATH_MAX];
    uint64_t *list = NULL;
    size_t count = 0, size = 0;
    char *text = NULL;
    ssize_t n;

    enum status st = log_files(folder, "seg", ".jsonl", &list, &count);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        prune_path(folder, PRUNE_RECORDS, list[i], "", path);
        FILE *f = fopen(path, "re");
        if (f == NULL) {
            st = ST_IO;
            break;
        }
        while ((n = getline(&text, &size, f)) > 0 && text[n - 1] == '\n')
            orders_take_line(o, (struct slice){text, (size_t)n - 1});
        st = ferror(f) ? ST_IO : ST_OK;
        (void)fclose(f);
    }
    free(text);
    free(list);
    return st;
}

enum status prune_look(const char *folder, int64_t now_ms,
                       struct prune_offline *out)
{
    struct audit_orders *o = malloc(sizeof(*o));

    if (o == NULL)
        return ST_NOMEM;
    orders_init(o);
    enum status st = read_orders(folder, o);
    for (unsigned i = 0; i < PRUNE_LAYERS && st == ST_OK; i++)
        st = prune_make_plan(folder, o, SIGNED_ALL, now_ms, (enum prune_layer)i,
                             &out->plans[i]);
    out->hold_count = orders_holds(o, SIGNED_ALL, out->holds);
    free(o);
    return st;
}
