/* audit_fixture.h - a log in a folder of its own, under a clock that stands
 * still; for the audit's unit tests and fuzz targets. */
#ifndef TESTS_UNIT_AUDIT_FIXTURE_H
#define TESTS_UNIT_AUDIT_FIXTURE_H

#include "lethe/gateway/audit/log.h"

#include "folder.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define T0     INT64_C(1795338000000) /* 2026-11-22T09:00:00.000Z */
#define MIXBOT UINT64_C(0x9f2c41d07a3be835)
#define SHOP   UINT64_C(0x1111222233334444)

struct fixture {
    char folder[64];
    _Atomic int64_t now;  /* ms since T0, both clocks */
    _Atomic int64_t skew; /* of the wall clock alone */
    struct clock clock;
    struct audit_config config;
    struct audit_log *log;
    struct audit_recovery found;
    _Atomic uint64_t safe;
    _Atomic int broken;
    const char *mixbot; /* its label */
};

static inline int64_t fixture_wall(void *ctx)
{
    struct fixture *f = ctx;

    return T0 + f->now + f->skew;
}

static inline int64_t fixture_mono(void *ctx)
{
    struct fixture *f = ctx;

    return 5000 + f->now;
}

static inline void fixture_optouts(void *ctx, uint64_t *number,
                                   uint8_t hash[32])
{
    (void)ctx;
    *number = 7;
    for (unsigned i = 0; i < 32; i++)
        hash[i] = (uint8_t)i;
}

static inline void fixture_safe(void *ctx, uint64_t sequence)
{
    ((struct fixture *)ctx)->safe = sequence;
}

static inline void fixture_broken(void *ctx, enum status st)
{
    ((struct fixture *)ctx)->broken = (int)st;
}

static inline const char *fixture_label(void *ctx, uint64_t site)
{
    struct fixture *f = ctx;

    if (site == MIXBOT)
        return f->mixbot;
    return site == SHOP ? "shop" : NULL;
}

static inline bool fixture_make(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    memcpy(f->folder, "/tmp/lethe-audit-XXXXXX", 24);
    if (mkdtemp(f->folder) == NULL)
        return false;
    f->mixbot = "mixbot";
    f->clock = (struct clock){fixture_wall, fixture_mono, f};
    f->config = (struct audit_config){.folder = f->folder,
                                      .node = "gw1",
                                      .origin = "gw1.example.eu/audit",
                                      .rows = ROWS_ALL,
                                      .time_step_ms = 1000,
                                      .clock = &f->clock,
                                      .optouts = fixture_optouts,
                                      .rows_safe = fixture_safe,
                                      .on_broken = fixture_broken,
                                      .ctx = f,
                                      .version = "0.1.0"};
    return true;
}

static inline enum status fixture_open(struct fixture *f)
{
    f->log = NULL;
    return audit_open(&f->config, &f->log, &f->found);
}

static inline enum status fixture_start(struct fixture *f)
{
    enum status st = fixture_open(f);

    return st == ST_OK ? audit_start(f->log, &f->found, fixture_label, f) : st;
}

static inline void fixture_stop(struct fixture *f)
{
    audit_stop(f->log);
    f->log = NULL;
}

static inline void fixture_drop(struct fixture *f)
{
    audit_stop(f->log);
    (void)folder_remove(f->folder);
}

/* Append and wait: all that was handed over before is in the log then. */
static inline enum status fixture_entry(struct fixture *f,
                                        enum audit_record_act act,
                                        const char *who, const char *why,
                                        struct slice d, uint64_t *out_index)
{
    struct audit_entry e = {act, who, why, AUDIT_OK, d};

    return audit_append(f->log, &e, true, out_index);
}

static inline enum status fixture_policy(struct fixture *f, const char *d,
                                         uint64_t *out_index)
{
    return fixture_entry(f, RECORD_POLICY_LOAD, "adm:9f2c41d07a3e",
                         "chg:CR-118", slice_of(d), out_index);
}

static inline enum status fixture_read(struct fixture *f)
{
    return fixture_entry(f, RECORD_AUDIT_READ, "adm:9f2c41d07a3e",
                         "ticket:DPO-7", SLICE("{\"from\":0,\"to\":3}"), NULL);
}

#define POLICY_41                                                              \
    "{\"pol\":\"4e32b77515a54d2479a884639edd3bbc7733369e96ae41f6f437a2ed18fe3" \
    "3e2\",\"old\":null}"

/* One group with one site's rows. */
static inline struct group *fixture_group(const struct group_rows *head,
                                          const struct audit_row *rows)
{
    struct group *g = group_new();
    struct group_rows *s = group_add_rows(g);
    uint8_t bytes[ROW_BYTES];

    *s = *head;
    s->offset = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        row_encode(&rows[i], bytes);
        buf_put_bytes(&g->rows, bytes, sizeof(bytes));
    }
    return g;
}

static inline void fixture_rows(struct fixture *f, uint64_t site,
                                uint64_t policy, uint64_t sequence,
                                const struct audit_row *rows, uint32_t count)
{
    struct group_rows head = {.site = site,
                              .policy_index = policy,
                              .tag = "2026-11-22",
                              .time_ms = fixture_wall(f),
                              .count = count};
    struct group *g = fixture_group(&head, rows);

    audit_rows(f->log, &g, 1, sequence, fixture_wall(f));
    group_unref(g);
}

static inline char *fixture_load(const char *folder, const char *name,
                                 size_t *out_len)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *in = fopen(path, "re");
    *out_len = 0;
    if (in == NULL)
        return NULL;
    char *data = malloc(8 << 20);
    *out_len = data == NULL ? 0 : fread(data, 1, (8 << 20) - 1, in);
    if (data != NULL)
        data[*out_len] = '\0';
    (void)fclose(in);
    return data;
}

static inline bool fixture_save(const char *folder, const char *name,
                                const void *data, size_t len)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return false;
    bool ok = fwrite(data, 1, len, out) == len;
    return fclose(out) == 0 && ok;
}

#define SEG0  "seg/000000000000.jsonl"
#define ROWS0 "rows/000000000000.rows"

#endif
