/* log.c - the audit log's life: open, start, take in, stop. */
#include "log_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE  0750
#define SEG_OUT_CAP  (64u << 20)
#define ROWS_OUT_CAP (512u << 20)
#define D_CAP        (2u * AUDIT_RECORD_MAX)

static enum status make_folder(const char *path)
{
    return mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST ? ST_OK : ST_IO;
}

static enum status make_folders(struct audit_log *l)
{
    char path[PATH_BYTES];
    enum status st = make_folder(l->folder);

    (void)snprintf(path, sizeof(path), "%s/seg", l->folder);
    if (st == ST_OK)
        st = make_folder(path);
    (void)snprintf(path, sizeof(path), "%s/rows", l->folder);
    if (st == ST_OK)
        st = make_folder(path);
    (void)snprintf(l->names.path, sizeof(l->names.path), "%s/sites", l->folder);
    if (st == ST_OK)
        st = file_append_open(&l->names);
    (void)snprintf(path, sizeof(path), "%s/reserve", l->folder);
    if (st != ST_OK)
        return st;
    l->reserve_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return l->reserve_fd >= 0 ? folder_sync(l) : ST_IO;
}

static void init_sync(struct audit_log *l)
{
    pthread_condattr_t a;

    pthread_mutex_init(&l->orders_lock, NULL);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &a);
    pthread_cond_init(&l->done, NULL);
    pthread_condattr_destroy(&a);
}

static struct audit_log *log_new(const struct audit_config *config)
{
    struct audit_log *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    l->config = *config;
    l->seg.fd = l->rows.fd = l->names.fd = l->reserve_fd = -1;
    l->last_policy = UINT64_MAX;
    orders_init(&l->orders);
    buf_init(&l->seg_out, SEG_OUT_CAP);
    buf_init(&l->rows_out, ROWS_OUT_CAP);
    buf_init(&l->d, D_CAP);
    init_sync(l);
    l->folder = strdup(config->folder);
    l->node = strdup(config->node);
    l->origin = strdup(config->origin);
    return l;
}

static void log_free(struct audit_log *l)
{
    for (unsigned i = 0; i < l->site_count; i++) {
        buf_free(&l->sites[i]->rows);
        free(l->sites[i]);
    }
    while (l->found_first != NULL) {
        struct audit_found_rows *f = l->found_first;
        l->found_first = f->next;
        free(f);
    }
    free(l->sites);
    free(l->policies);
    file_close(&l->seg);
    file_close(&l->rows);
    file_close(&l->names);
    if (l->reserve_fd >= 0)
        (void)close(l->reserve_fd);
    buf_free(&l->seg_out);
    buf_free(&l->rows_out);
    buf_free(&l->d);
    publish_free(l);
    pthread_cond_destroy(&l->wake);
    pthread_cond_destroy(&l->done);
    pthread_mutex_destroy(&l->orders_lock);
    pthread_mutex_destroy(&l->lock);
    free(l->folder);
    free(l->node);
    free(l->origin);
    free(l);
}

enum status audit_open(const struct audit_config *config,
                       struct audit_log **out, struct audit_recovery *out_found)
{
    struct audit_recovery found = {0};
    struct audit_log *l = log_new(config);
    enum status st = ST_NOMEM;

    if (l == NULL)
        return ST_NOMEM;
    if (l->folder == NULL || l->node == NULL || l->origin == NULL)
        goto fail;
    st = publish_new(l);
    if (st == ST_OK)
        st = make_folders(l);
    if (st == ST_OK)
        st = recover_read(l, &found);
    if (st == ST_OK)
        st = fork_find(l, &found);
    if (st != ST_OK)
        goto fail;
    *out_found = found;
    *out = l;
    return ST_OK;

fail:
    log_free(l);
    return st;
}

static struct audit_found_rows *found_new(const struct group_rows *site,
                                          uint32_t skip, const uint8_t *rows)
{
    size_t bytes = (size_t)(site->count - skip) * ROW_BYTES;
    struct audit_found_rows *f = malloc(sizeof(*f) + bytes);

    if (f == NULL)
        return NULL;
    f->next = NULL;
    f->head = *site;
    f->head.count -= skip;
    if (bytes > 0)
        memcpy(f->rows, rows + (size_t)skip * ROW_BYTES, bytes);
    return f;
}

enum status audit_recover_rows(void *log, const struct group_rows *site,
                               uint64_t rows_before, const uint8_t *rows)
{
    struct audit_log *l = log;
    struct audit_site *s = site_add(l, site->site);

    if (s == NULL)
        return ST_LIMIT;
    uint64_t have = s->total + s->found;
    if (rows_before + site->count <= have)
        return ST_OK;
    if (rows_before > have) { /* a damaged group, or a log cut from outside */
        s->gap += rows_before - have;
        s->total += rows_before - have;
        /* How many an unreadable log counted before its fork is not known. */
        l->rows_lost += l->has_fork && have == 0 ? 0 : rows_before - have;
        have = rows_before;
    }
    struct audit_found_rows *f =
        found_new(site, (uint32_t)(have - rows_before), rows);
    if (f == NULL)
        return ST_NOMEM;
    if (l->found_last == NULL)
        l->found_first = f;
    else
        l->found_last->next = f;
    l->found_last = f;
    s->found += f->head.count;
    l->rows_rebuilt += f->head.count;
    return ST_OK;
}

static enum status put_now(struct audit_log *l, enum audit_record_act act)
{
    int64_t t = record_time(l);
    enum status st = segment_roll(l, t);

    if (st != ST_OK || l->d.failed)
        return st == ST_OK ? ST_NOMEM : st;
    log_orders(l, l->next_index, t, slice_of(audit_record_act_name(act)),
               SLICE("boot"), buf_slice(&l->d));
    record_put(
        l,
        &(struct record_head){
            .act = act, .why = SLICE("boot"), .out = AUDIT_OK, .t_ms = t},
        buf_slice(&l->d));
    return ST_OK;
}

static enum status put_start(struct audit_log *l)
{
    buf_reset(&l->d);
    buf_printf(&l->d,
               "{\"ver\":\"%s\",\"origin\":\"%s\",\"rows\":\"%s\",\"prev\":",
               l->config.version == NULL ? "0" : l->config.version, l->origin,
               rows_mode_name(l->config.rows));
    fork_put_prev(l, &l->d);
    buf_put_char(&l->d, '}');
    if (!record_d_ok(buf_slice(&l->d)))
        return ST_SYNTAX;
    return put_now(l, RECORD_GATE_START);
}

static enum status put_found_rows(struct audit_log *l)
{
    int64_t mono = l->config.clock->mono_ms(l->config.clock->ctx);
    enum status st = ST_OK;

    while (st == ST_OK && l->found_first != NULL) {
        struct audit_found_rows *f = l->found_first;
        if (l->has_fork) /* a record of the old log */
            f->head.policy_index = POLICY_NONE;
        st = batch_add(l, &f->head, f->rows, mono, 0);
        if (st != ST_OK)
            return st;
        l->found_first = f->next;
        free(f);
    }
    l->found_last = NULL;
    return batch_close_all(l);
}

static enum status put_recovered(struct audit_log *l,
                                 const struct audit_recovery *found)
{
    if (found->cut_bytes == 0 && l->rows_rebuilt == 0 && found->rows_cut == 0 &&
        l->rows_lost == 0)
        return ST_OK;
    buf_reset(&l->d);
    buf_printf(&l->d,
               "{\"records\":%" PRIu64 ",\"cut\":%" PRIu64
               ",\"rebuilt\":%" PRIu64 ",\"rows_cut\":%" PRIu64
               ",\"lost\":%" PRIu64 "}",
               found->records, found->cut_bytes, l->rows_rebuilt,
               found->rows_cut, l->rows_lost);
    return put_now(l, RECORD_GATE_RECOVERED);
}

static enum status put_beginning(struct audit_log *l,
                                 const struct audit_recovery *found)
{
    const struct clock *c = l->config.clock;
    enum status st = put_start(l);

    if (st == ST_OK && !l->has_base) {
        l->heartbeat_t1 = l->last_t;
        l->has_base = true;
    }
    if (st == ST_OK)
        st = fork_put_record(l);
    l->clock_offset = c->wall_ms(c->ctx) - c->mono_ms(c->ctx);
    if (st == ST_OK)
        st = put_found_rows(l);
    if (st == ST_OK)
        st = put_recovered(l, found);
    /* Batches' times start here, not where the gateway stopped once. */
    if (st == ST_OK)
        st = heartbeat_put(l);
    if (st == ST_OK)
        st = log_flush(l);
    if (st == ST_OK)
        fork_done(l);
    return st;
}

static bool node_ok(const char *node)
{
    char who[80];
    int n = snprintf(who, sizeof(who), "gw:%s", node);

    return n > 0 && (size_t)n < sizeof(who) &&
           record_who_ok((struct slice){who, (size_t)n});
}

enum status audit_start(struct audit_log *l, const struct audit_recovery *found,
                        const char *(*site_label)(void *ctx, uint64_t site),
                        void *ctx)
{
    enum status st;

    if (!node_ok(l->node))
        return ST_SYNTAX;
    l->site_label = site_label;
    l->label_ctx = ctx;
    st = publish_begin(l);
    if (st != ST_OK)
        return st;
    (void)reserve_make(l);
    st = put_beginning(l, found);
    if (st != ST_OK)
        return st;
    if (pthread_create(&l->thread, NULL, log_thread, l) != 0)
        return ST_NOMEM;
    l->running = true;
    return publish_start(l);
}

/* Put an item at the queue's end. False when the log is stopping. */
bool log_push(struct audit_log *l, struct audit_item *it, bool hurry)
{
    if (l->stopping)
        return false;
    if (l->last == NULL)
        l->first = it;
    else
        l->last->next = it;
    l->last = it;
    l->queued++;
    if (hurry || l->queued >= QUEUE_WAKE_GROUPS) {
        l->hurry = true;
        pthread_cond_signal(&l->wake);
    }
    return true;
}

static enum status push_rows(struct audit_log *l, struct group *g,
                             uint64_t sequence, int64_t mono_ms)
{
    struct audit_item *it = calloc(1, sizeof(*it));
    bool pushed;

    if (it == NULL)
        return ST_NOMEM;
    it->group = group_ref(g);
    it->sequence = sequence;
    it->mono_ms = mono_ms;
    pthread_mutex_lock(&l->lock);
    pushed = log_push(l, it, false);
    if (pushed && l->oldest_mono == 0)
        l->oldest_mono = mono_ms;
    pthread_mutex_unlock(&l->lock);
    if (pushed)
        return ST_OK;
    group_unref(g);
    free(it);
    return ST_CLOSED;
}

void audit_rows(struct audit_log *l, struct group *const *groups,
                unsigned count, uint64_t sequence, int64_t now_ms)
{
    const struct clock *c = l->config.clock;
    int64_t mono = c->mono_ms(c->ctx);

    (void)now_ms; /* each site's rows carry the time of their pass */
    for (unsigned i = 0; i < count; i++) {
        if (groups[i]->site_count == 0)
            continue;
        enum status st = push_rows(l, groups[i], sequence, mono);
        if (st != ST_OK)
            log_break(l, st);
    }
}

static bool entry_ok(const struct audit_log *l, struct slice who,
                     struct slice why, const struct audit_entry *e)
{
    size_t text = strlen(audit_record_act_name(e->act)) + why.len + e->d.len +
                  (who.len > 0 ? who.len : strlen(l->node) + 3) +
                  sizeof("failed") - 1;

    /* Batches name their policy by its hash. */
    if (e->act == RECORD_POLICY_LOAD && !policy_has_hash(e->d))
        return false;
    return (who.len == 0 || record_who_ok(who)) && record_why_ok(why) &&
           (unsigned)e->out <= AUDIT_FAILED && record_d_ok(e->d) &&
           text + RECORD_FRAME <= AUDIT_RECORD_MAX;
}

static struct audit_item *entry_item(const struct audit_entry *e,
                                     struct slice who, struct slice why)
{
    struct audit_item *it =
        calloc(1, sizeof(*it) + who.len + why.len + e->d.len);

    if (it == NULL)
        return NULL;
    it->act = e->act;
    it->out = e->out;
    it->who_len = who.len;
    it->why_len = why.len;
    it->d_len = e->d.len;
    if (who.len > 0)
        memcpy(it->text, who.at, who.len);
    memcpy(it->text + who.len, why.at, why.len);
    memcpy(it->text + who.len + why.len, e->d.at, e->d.len);
    return it;
}

enum status audit_append(struct audit_log *l, const struct audit_entry *e,
                         bool wait, uint64_t *out_index)
{
    struct slice who = slice_of(e->who), why = slice_of(e->why);
    struct audit_waiter w = {.done = false};
    enum status st = ST_OK;

    if (!entry_ok(l, who, why, e))
        return ST_SYNTAX;
    if (l->broken)
        return ST_IO;
    struct audit_item *it = entry_item(e, who, why);
    if (it == NULL)
        return ST_NOMEM;
    it->waiter = wait ? &w : NULL;
    pthread_mutex_lock(&l->lock);
    if (!log_push(l, it, wait)) {
        st = ST_CLOSED;
        free(it);
    }
    while (st == ST_OK && wait && !w.done)
        pthread_cond_wait(&l->done, &l->lock);
    pthread_mutex_unlock(&l->lock);
    if (st == ST_OK && wait)
        st = w.st;
    if (st == ST_OK && wait && out_index != NULL)
        *out_index = w.index;
    return st;
}

int64_t audit_lag_ms(const struct audit_log *l)
{
    int64_t oldest = l->oldest_mono;

    return oldest == 0
               ? 0
               : l->config.clock->mono_ms(l->config.clock->ctx) - oldest;
}

bool audit_is_broken(const struct audit_log *l)
{
    return l->broken;
}

bool audit_is_blocked(const struct audit_log *l)
{
    return l->blocked;
}

void audit_bytes(const struct audit_log *l, uint64_t *out_rows,
                 uint64_t *out_records)
{
    *out_rows = l->row_bytes;
    *out_records = l->record_bytes;
}

uint64_t audit_synced_size(const struct audit_log *l)
{
    return l->synced;
}

void audit_stop(struct audit_log *l)
{
    if (l == NULL)
        return;
    if (l->running) {
        pthread_mutex_lock(&l->lock);
        l->stopping = true;
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    publish_stop(l);
    log_free(l);
}

/* Ids are lower-case hex; a shorter or foreign one gives what it has. */
uint64_t site_number(struct slice site_id)
{
    uint64_t v = 0;

    for (size_t i = 0; i < site_id.len && i < 16; i++) {
        char c = site_id.at[i];
        v = v << 4 | (uint64_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    }
    return v;
}
