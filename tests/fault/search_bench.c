/* search_bench.c [ROWS [FOLDER]] - how long a search over a log of ROWS
 * decisions takes (10,000,000 if left out). Writes a log of the real format,
 * every sum and root in it right, into FOLDER (kept) or one of its own, then
 * asks by receipt, person, reason, rule, destination and time, each with warm
 * files, and prints the slowest: `audit_search_s N`. */
#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/merkle.h"
#include "lethe/gateway/audit/row.h"
#include "lethe/gateway/audit/search.h"
#include "lethe/policy/base/clock.h"

#include "../unit/folder.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define T0            INT64_C(1795338000000) /* 2026-11-22T09:00:00.000Z */
#define ROWS_A_BATCH  1000u
#define BATCH_MS      1000
#define SEGMENT_LINES 1024u
#define POLICY                                                                 \
    "4e32b77515a54d2479a884639edd3bbc7733369e96ae41f6f437a2ed18fe33e2"
#define KINDS 4u

struct writing {
    const char *folder;
    FILE *lines, *rows;
    uint64_t index, done, state;
    uint64_t cum[4]; /* in, fwd, mod, drop */
    int64_t t;
};

/* Every row is one of these; the last is rare. */
static const struct audit_row kinds[KINDS] = {
    {.act = ACT_CLEARED, .source = SOURCE_PLAIN, .destinations = 1},
    {.act = ACT_MINIMISED,
     .rule = 12,
     .source = SOURCE_PLAIN,
     .destinations = 3,
     .classes = 5},
    {.act = ACT_DROPPED, .rule = 22, .reason = REASON_NO_CONSENT},
    {.act = ACT_DROPPED, .rule = 31, .reason = REASON_LATE},
};

static uint64_t next_random(struct writing *w) /* splitmix64 */
{
    uint64_t z = w->state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static bool put_line(struct writing *w, const char *act, const char *why,
                     const char *d)
{
    char t[TIME_TEXT_MAX], path[4300];

    if (w->lines == NULL || w->index % SEGMENT_LINES == 0) {
        if (w->lines != NULL && (fclose(w->lines) | fclose(w->rows)) != 0)
            return false;
        (void)snprintf(path, sizeof(path), "%s/seg/%012" PRIu64 ".jsonl",
                       w->folder, w->index);
        w->lines = fopen(path, "we");
        (void)snprintf(path, sizeof(path), "%s/rows/%012" PRIu64 ".rows",
                       w->folder, w->index);
        w->rows = fopen(path, "we");
        if (w->lines == NULL || w->rows == NULL)
            return false;
    }
    (void)time_format(w->t, true, t);
    return fprintf(w->lines,
                   "{\"v\":1,\"i\":%" PRIu64 ",\"t\":\"%s\",\"act\":\"%s\","
                   "\"who\":\"gw:gw1\",\"why\":\"%s\",\"out\":\"ok\","
                   "\"d\":%s}\n",
                   w->index++, t, act, why, d) > 0;
}

/* `count` rows, and what their record says of them. */
static void make_rows(struct writing *w, unsigned count, uint8_t *rows,
                      unsigned by_kind[KINDS], char root[45])
{
    struct merkle_stack tree = {.size = 0};
    uint8_t hash[HASH_BYTES];

    for (unsigned k = 0; k < count; k++) {
        uint64_t v = next_random(w);
        unsigned kind = v % 5000 == 0 ? 3 : (unsigned)(v >> 32) % 3;
        struct audit_row r = kinds[kind];
        r.t_us = 0;
        r.ev = next_random(w) | 1;
        r.sub = v % 8 == 0 ? 0 : next_random(w) % 100000 + 1;
        row_encode(&r, rows + (size_t)k * ROW_BYTES);
        merkle_leaf(rows + (size_t)k * ROW_BYTES, ROW_BYTES, hash);
        merkle_add(&tree, hash);
        by_kind[kind]++;
    }
    merkle_root(&tree, hash);
    (void)sodium_bin2base64(root, 45, hash, sizeof(hash),
                            sodium_base64_VARIANT_ORIGINAL);
}

static bool put_batch(struct writing *w, unsigned count)
{
    static uint8_t rows[ROWS_A_BATCH * ROW_BYTES];
    char d[1200], root[45], by[200], t0[TIME_TEXT_MAX], t1[TIME_TEXT_MAX];
    unsigned n[KINDS] = {0};
    size_t len = 0;

    make_rows(w, count, rows, n, root);
    for (unsigned k = 0; k < KINDS; k++)
        if (n[k] > 0)
            len += (size_t)snprintf(by + len, sizeof(by) - len, "%s[%u,%u,%u]",
                                    len > 0 ? "," : "", kinds[k].rule,
                                    kinds[k].reason, n[k]);
    (void)time_format(w->t, true, t0);
    w->t += BATCH_MS;
    (void)time_format(w->t, true, t1);
    w->cum[0] += count;
    w->cum[1] += n[0];
    w->cum[2] += n[1];
    w->cum[3] += n[2] + n[3];
    w->done += count;
    (void)snprintf(
        d, sizeof(d),
        "{\"pol\":1,\"site\":\"mixbot\",\"t0\":\"%s\",\"t1\":\"%s\","
        "\"in\":%u,\"fwd\":%u,\"mod\":%u,\"drop\":%u,\"by\":[%s],\"n\":%u,"
        "\"root\":\"%s\",\"tag\":\"2026-11-22\",\"cum\":{\"in\":%" PRIu64
        ",\"fwd\":%" PRIu64 ",\"mod\":%" PRIu64 ",\"drop\":%" PRIu64 "}}",
        t0, t1, count, n[0], n[1], n[2] + n[3], by, count, root, w->cum[0],
        w->cum[1], w->cum[2], w->cum[3]);
    return put_line(w, "batch", "pol:4e32b77515a54d24", d) &&
           fwrite(rows, ROW_BYTES, count, w->rows) == count;
}

static bool write_log(struct writing *w, uint64_t rows)
{
    char path[4300];

    (void)snprintf(path, sizeof(path), "%s/seg", w->folder);
    bool good = mkdir(path, 0700) == 0;
    (void)snprintf(path, sizeof(path), "%s/rows", w->folder);
    good = good && mkdir(path, 0700) == 0;
    good = good &&
           put_line(w, "gate.start", "boot",
                    "{\"ver\":\"0\",\"origin\":\"gw1.example.eu/audit\","
                    "\"rows\":\"all\"}") &&
           put_line(w, "policy.load", "boot",
                    "{\"site\":\"mixbot\",\"pol\":\"" POLICY
                    "\",\"old\":null,\"dst\":[\"store\",\"file\"]}");
    while (good && w->done < rows)
        good = put_batch(w, rows - w->done < ROWS_A_BATCH
                                ? (unsigned)(rows - w->done)
                                : ROWS_A_BATCH);
    if (w->lines != NULL && (fclose(w->lines) | fclose(w->rows)) != 0)
        good = false;
    return good;
}

/* ---- asking -----------------------------------------------------------------
 */

static bool recorded(void *ctx, const struct audit_found *found)
{
    (void)ctx;
    (void)found;
    return true;
}

static bool shown(void *ctx, struct slice line)
{
    *(uint64_t *)ctx += line.len;
    return true;
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double ask(const char *folder, const char *name,
                  const struct audit_query *q)
{
    uint64_t bytes = 0;
    struct audit_reader to = {recorded, shown, &bytes};
    struct audit_found found;
    double began = now_s();
    enum status st = audit_search(folder, q, &to, &found);
    double took = now_s() - began;

    if (st != ST_OK || found.count == 0) {
        (void)fprintf(stderr, "%s: %s\n", name, status_name(st));
        exit(1);
    }
    (void)fprintf(stderr,
                  "  %-12s %.3f s, %" PRIu64 " found, %" PRIu64 " bytes\n",
                  name, took, found.count, bytes);
    return took;
}

#define ANY .rule = -1, .reason = -1, .rows = true

static double ask_all(const char *folder, int64_t end_ms, uint64_t last_ev)
{
    const struct audit_mark mark = {"2026-11-22", 4711};
    int64_t middle = (T0 + end_ms) / 2;
    const struct {
        const char *name;
        struct audit_query q;
    } asked[] = {
        {"first", {ANY, .count_only = true}}, /* makes the indexes */
        {"receipt", {ANY, .ev = last_ev}},
        {"person", {ANY, .person = true, .marks = &mark, .mark_count = 1}},
        {"reason", {.rule = -1, .reason = REASON_LATE, .rows = true}},
        {"rule", {.rule = 31, .reason = -1, .rows = true}},
        {"destination", {ANY, .destination = "file", .count_only = true}},
        {"time", {ANY, .from_ms = middle - 30000, .to_ms = middle + 30000}},
        {"newest", {ANY, .newest_first = true, .limit = 1000}},
        {"records", {.rule = -1, .reason = -1, .act = "policy.load"}},
    };
    double worst = 0;

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        double took = ask(folder, asked[i].name, &asked[i].q);
        if (took > worst)
            worst = took;
    }
    return worst;
}

int main(int argc, char **argv)
{
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    char own[] = "/tmp/lethe-search-XXXXXX";
    struct writing w = {.t = T0, .state = 7};

    w.folder = argc > 2 ? argv[2] : mkdtemp(own);
    if (sodium_init() < 0 || w.folder == NULL || rows == 0 ||
        !write_log(&w, rows)) {
        (void)fprintf(stderr, "the log could not be written\n");
        return 1;
    }
    /* The receipt of the last row of all. */
    struct writing again = {.state = 7};
    uint64_t ev = 0;
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t v = next_random(&again);
        ev = next_random(&again) | 1;
        if (v % 8 != 0)
            (void)next_random(&again);
    }
    double worst = ask_all(w.folder, w.t, ev);
    (void)printf("audit_search_s %.2f\n", worst);
    if (argc < 3)
        (void)folder_remove(own);
    return worst <= 2 ? 0 : 1;
}
