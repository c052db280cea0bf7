/* forward_world.h - a journal, a committer, keys and a recorder, for the
 * tests of the forwarders. Each test program includes it once. */
#ifndef LETHE_TESTS_FORWARD_WORLD_H
#define LETHE_TESTS_FORWARD_WORLD_H

#include "lethe/audit_codes.h"
#include "lethe/gateway/forward.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/sink/sink.h"
#include "lethe/policy/pseudonym.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "http_recorder.h"

#define WALL_START INT64_C(1795338000000) /* 2026-11-22T09:00:00Z */
#define ROWS_MAX   4096
#define WAIT_MS    20000

/* ---- a clock that runs and can jump ---- */

static int64_t jumped; /* atomic */
static int64_t real_start;

static inline int64_t real_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t fake_mono(void *ctx)
{
    (void)ctx;
    return real_ms() + __atomic_load_n(&jumped, __ATOMIC_RELAXED);
}

static inline int64_t fake_wall(void *ctx)
{
    return WALL_START + fake_mono(ctx) - real_start;
}

static const struct clock fake_clock = {fake_wall, fake_mono, NULL};

/* ---- the world ---- */

struct world {
    char folder[64];
    struct journal *journal;
    struct commit *commit;
    struct outage *outage;
    struct spool_keys *keys;
    struct sweep *sweep;
    struct forward *forward; /* atomic: the committer pokes it */
    struct policy policy;
    struct event_plan events[2];
    struct conf_destination conf[2];
    struct forward_destination dest[2];
    unsigned dest_count;
    struct sealer sealer;
    struct recorder web;
    pthread_mutex_t lock;
    struct audit_row rows[ROWS_MAX];
    unsigned row_count;
    pthread_mutex_t done_lock;
    unsigned done;
};

static struct world w;
static const uint8_t master[KEY_BYTES] = {9, 8, 7};

static inline void on_synced(void *ctx, struct group *const *groups,
                             unsigned count, uint64_t sequence, int64_t now_ms)
{
    (void)ctx;
    (void)sequence;
    (void)now_ms;
    pthread_mutex_lock(&w.lock);
    for (unsigned i = 0; i < count; i++)
        for (size_t at = 0; at < groups[i]->rows.len && w.row_count < ROWS_MAX;
             at += ROW_BYTES)
            row_decode((const uint8_t *)groups[i]->rows.data + at,
                       &w.rows[w.row_count++]);
    struct forward *f = w.forward;
    if (f != NULL)
        forward_poke(f);
    pthread_mutex_unlock(&w.lock);
}

static const struct commit_hooks hooks = {.on_synced = on_synced};

static inline void make_policy(void)
{
    struct destination_plan *d = w.policy.destinations;

    w.policy.refs = 1000; /* never freed */
    w.policy.purpose_count = 2;
    w.policy.purposes[0].name = SLICE("audience");
    w.policy.purposes[0].retention = (struct duration){.ms = 10 * MS_PER_DAY};
    w.policy.purposes[1].name = SLICE("product");
    w.policy.purposes[1].retention = (struct duration){.ms = 5 * MS_PER_DAY};
    w.policy.keep_spool = (struct duration){.ms = 72 * MS_PER_H};
    w.policy.keep_dead = (struct duration){.ms = 7 * MS_PER_DAY};
    w.policy.destination_count = 2;
    d[0].purpose_count = d[1].purpose_count = 1;
    w.policy.events = w.events;
    w.policy.event_count = 2;
    for (unsigned e = 0; e < 2; e++)
        for (unsigned i = 0; i < 2; i++)
            w.events[e].to[i].decides[0] = (uint8_t)(e + 1);
}

static inline void add_destination(enum destination_type type, char *where)
{
    unsigned i = w.dest_count++;

    w.conf[i] = (struct conf_destination){.type = type,
                                          .url = where,
                                          .path = where,
                                          .batch = 200,
                                          .timeout_ms = 60000,
                                          .concurrency = 2,
                                          .mode = 0600};
    w.dest[i] = (struct forward_destination){.key = 100 + i,
                                             .destination_index = i,
                                             .site_number = 77,
                                             .policy_index = 3,
                                             .conf = &w.conf[i],
                                             .policy = &w.policy,
                                             .plan = i};
}

static inline void configure(void)
{
    assert_int_equal(
        forward_configure(w.forward, w.dest, w.dest_count, "2026-11-22"),
        ST_OK);
}

static inline void start(void)
{
    const struct forward_parts parts = {.journal = w.journal,
                                        .commit = w.commit,
                                        .outage = w.outage,
                                        .keys = w.keys,
                                        .sweep = w.sweep,
                                        .clock = &fake_clock,
                                        .threads = 1,
                                        .journal_bytes = 1u << 30,
                                        .journal_wait_ms = 15 * MS_PER_MIN};
    struct forward *f = NULL;

    assert_int_equal(forward_start(&parts, &f), ST_OK);
    pthread_mutex_lock(&w.lock);
    w.forward = f;
    pthread_mutex_unlock(&w.lock);
    configure();
}

static inline void stop(void)
{
    struct forward *f = w.forward;

    pthread_mutex_lock(&w.lock);
    w.forward = NULL;
    pthread_mutex_unlock(&w.lock);
    if (f == NULL)
        return;
    forward_stop(f, 1000); /* what was sent is answered */
    forward_poke(f);       /* as a committer does that ends later */
    forward_free(f);
}

static inline char *file_path(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", w.folder, name);
    return out;
}

static inline int world_setup(void **state)
{
    struct journal_limits limits = {.spool_bytes = UINT64_C(1) << 34};
    struct journal_recovery found;
    char path[128];

    (void)state;
    memset(&w, 0, sizeof(w));
    real_start = fake_mono(NULL);
    if (pipe(stop_pipe) != 0 || secrets_init() != ST_OK)
        return -1;
    snprintf(w.folder, sizeof(w.folder), "/tmp/lethe-forward-XXXXXX");
    if (mkdtemp(w.folder) == NULL)
        return -1;
    pthread_mutex_init(&w.lock, NULL);
    pthread_mutex_init(&w.done_lock, NULL);
    sealer_init(&w.sealer);
    make_policy();
    assert_int_equal(
        journal_open(file_path("journal", path), &limits, &w.journal, &found),
        ST_OK);
    assert_int_equal(outage_open(file_path("outage.db", path), &w.outage),
                     ST_OK);
    assert_int_equal(
        spool_keys_open(file_path("spool.keys", path), master, &w.keys), ST_OK);
    assert_int_equal(sweep_new(&w.sweep), ST_OK);
    assert_int_equal(commit_start(w.journal, &fake_clock, &hooks, &w.commit),
                     ST_OK);
    recorder_open(&w.web, 0);
    return 0;
}

static inline int world_teardown(void **state)
{
    (void)state;
    if (w.forward != NULL)
        stop();
    recorder_close(&w.web);
    commit_stop(w.commit);
    journal_close(w.journal);
    outage_close(w.outage);
    spool_keys_close(w.keys);
    sweep_free(w.sweep);
    close(stop_pipe[0]);
    close(stop_pipe[1]);
    return folder_remove(w.folder);
}

/* ---- events ---- */

static inline void on_put(struct group *g, enum status st)
{
    (void)g;
    pthread_mutex_lock(&w.done_lock);
    w.done += st == ST_OK;
    pthread_mutex_unlock(&w.done_lock);
}

struct put {
    unsigned from, count; /* numbers of events; also their `ev` */
    unsigned destination;
    uint64_t epoch;
    int64_t expires_ms; /* from now; 0 = 72 h */
    uint8_t event;      /* 1 or 2: which rule decided */
    const char *group, *word;
    unsigned pad;       /* bytes more in each body */
    bool id;            /* the body has an event id */
    const uint8_t *tag; /* opt-out tag of the event `tagged` */
    unsigned tagged;
};

static inline bool reached(bool (*is)(void *), void *ctx)
{
    int64_t end = real_ms() + WAIT_MS;
    const struct timespec tick = {.tv_nsec = 1000000};

    while (!is(ctx)) {
        if (real_ms() > end)
            return false;
        nanosleep(&tick, NULL);
    }
    return true;
}

static inline bool is_put(void *ctx)
{
    pthread_mutex_lock(&w.done_lock);
    bool is = w.done == *(unsigned *)ctx;
    pthread_mutex_unlock(&w.done_lock);
    return is;
}

static inline void put_body(const struct put *p, unsigned n, struct buf *out)
{
    buf_printf(out, "{\"n\":%u,\"word\":\"%s\"", n,
               p->word == NULL ? "" : p->word);
    if (p->id)
        buf_printf(out, ",\"id\":\"e%u\"", n);
    if (p->pad > 0) {
        buf_printf(out, ",\"pad\":\"");
        for (unsigned i = 0; i < p->pad; i++)
            buf_put_char(out, 'x');
        buf_put_char(out, '"');
    }
    buf_put_char(out, '}');
}

/* One blob, one group, synced when this returns. */
static inline struct spool_key put(struct put p)
{
    const struct clean_hit clean = {0};
    struct spool_key key;
    struct buf plain, body;
    struct group *g = group_new();
    unsigned want = w.done + 1;

    assert_int_equal(spool_keys_get(w.keys, w.dest[p.destination].key, p.epoch,
                                    fake_wall(NULL), &key),
                     ST_OK);
    buf_init(&plain, 16u << 20);
    buf_init(&body, 1u << 20);
    for (unsigned n = p.from; n < p.from + p.count; n++) {
        buf_reset(&body);
        put_body(&p, n, &body);
        struct fragment f = {
            .ev = n,
            .rule = 5,
            .source = 1,
            .expires_ms = fake_wall(NULL) +
                          (p.expires_ms == 0 ? 72 * MS_PER_H : p.expires_ms),
            .decides = {p.event == 0 ? 1 : p.event},
            .group = slice_of(p.group),
            .body = buf_slice(&body)};
        if (p.tag != NULL && n == p.tagged) {
            f.tag_count = 1;
            sweep_tag_make(key.key, p.tag, f.tags[0]);
        }
        fragment_put(&plain, &clean, &f);
    }
    assert_false(plain.failed);
    struct group_blob *b = group_add_blob(g);
    *b = (struct group_blob){.destination = w.dest[p.destination].key,
                             .slot = key.slot,
                             .use = key.use,
                             .count = p.count,
                             .expires_min_ms = fake_wall(NULL) + 72 * MS_PER_H};
    assert_int_equal(
        blob_seal(&w.sealer, &key, p.count, buf_slice(&plain), &g->sealed),
        ST_OK);
    b->len = g->sealed.len;
    g->on_done = on_put;
    buf_free(&plain);
    buf_free(&body);
    commit_submit(w.commit, g);
    assert_true(reached(is_put, &want));
    return key;
}

static inline void jump(int64_t ms)
{
    __atomic_add_fetch(&jumped, ms, __ATOMIC_RELAXED);
    if (w.forward != NULL)
        forward_poke(w.forward);
}

/* ---- questions ---- */

static inline struct forward_facts facts(unsigned destination)
{
    struct forward_facts list[4] = {{0}};
    unsigned n = forward_list(w.forward, list, 4);

    for (unsigned i = 0; i < n; i++)
        if (list[i].key == w.dest[destination].key)
            return list[i];
    return (struct forward_facts){0};
}

struct wanted { /* at least; compared to facts */
    unsigned destination;
    uint64_t accepted, refused, swept, expired, purged, dead;
    bool exactly_dead;
};

static inline bool has_facts(void *ctx)
{
    const struct wanted *want = ctx;
    struct forward_facts f = facts(want->destination);

    return f.accepted >= want->accepted && f.refused >= want->refused &&
           f.swept >= want->swept && f.expired >= want->expired &&
           f.purged >= want->purged &&
           (want->exactly_dead ? f.dead == want->dead : f.dead >= want->dead);
}

static inline void expect(struct wanted want)
{
    if (!reached(has_facts, &want)) {
        struct forward_facts f = facts(want.destination);
        print_message("facts: accepted %d refused %d swept %d expired %d "
                      "purged %d dead %d waiting %d failing %d\n",
                      (int)f.accepted, (int)f.refused, (int)f.swept,
                      (int)f.expired, (int)f.purged, (int)f.dead,
                      (int)f.waiting, f.failing);
        fail();
    }
}

static inline bool no_more_waits(void *ctx)
{
    uint64_t bytes, cleared;
    int64_t oldest = 0;

    journal_backlog(w.journal, w.dest[*(unsigned *)ctx].key, &bytes, &oldest,
                    &cleared);
    return oldest == 0;
}

static inline void expect_mark_past(unsigned destination)
{
    assert_true(reached(no_more_waits, &destination));
}

static inline unsigned rows_of(unsigned act, unsigned reason)
{
    unsigned n = 0;

    pthread_mutex_lock(&w.lock);
    for (unsigned i = 0; i < w.row_count; i++)
        n += w.rows[i].act == act && w.rows[i].reason == reason;
    pthread_mutex_unlock(&w.lock);
    return n;
}

struct wanted_rows {
    unsigned act, reason, count;
};

static inline bool has_rows(void *ctx)
{
    const struct wanted_rows *r = ctx;

    return rows_of(r->act, r->reason) == r->count;
}

/* Rows are seen a moment after their group is on disk. */
static inline void expect_rows(unsigned act, unsigned reason, unsigned count)
{
    struct wanted_rows r = {act, reason, count};

    assert_true(reached(has_rows, &r));
}

#endif
