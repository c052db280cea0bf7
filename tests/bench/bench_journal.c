/* bench_journal.c - what a durable group costs, on the disk that holds the
 * folder given: one thread, one journal group after another, events of 230
 * bytes and a row each. Prints "name value unit" lines. */
#include "lethe/gateway/store/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define A           UINT64_C(0xaaaa)
#define EVENT_BYTES 230u
#define SECONDS     2

static double now_s(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Bytes that no layer below can pack; the same in every run (xorshift). */
static char next_byte(void)
{
    static uint32_t x = 2463534242u;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return (char)(x >> 24);
}

static struct group *make_group(unsigned events)
{
    struct group *g = group_new();
    struct group_blob *b = g == NULL ? NULL : group_add_blob(g);
    struct group_rows *r = b == NULL ? NULL : group_add_rows(g);

    if (r == NULL)
        return NULL;
    for (unsigned i = 0; i < events * EVENT_BYTES; i++)
        buf_put_char(&g->sealed, next_byte());
    for (unsigned i = 0; i < events * ROW_BYTES; i++)
        buf_put_char(&g->rows, next_byte());
    *b = (struct group_blob){
        .destination = A, .use = 1, .count = events, .len = g->sealed.len};
    *r = (struct group_rows){.site = 1, .tag = "2026-11-22", .count = events};
    return g;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int measure(struct journal *j, unsigned events)
{
    static int64_t syncs[1u << 20];
    struct group *g = make_group(events);
    size_t n = 0;
    double start = now_s(), end = start;

    if (g == NULL)
        return 1;
    while (end - start < SECONDS && n < sizeof(syncs) / sizeof(syncs[0])) {
        struct mark m = {.destination = A,
                         .sequence = journal_next_sequence(j)};
        if (journal_append(j, &g, 1, (int64_t)(end * 1000)) != ST_OK)
            return 1;
        journal_set_mark(j, &m); /* all but the newest is delivered */
        journal_rows_safe(j, m.sequence);
        syncs[n++] = journal_sync_us(j);
        end = now_s();
    }
    group_unref(g);
    qsort(syncs, n, sizeof(syncs[0]), by_value);
    double seconds = end - start;
    printf("journal_groups_%u %.0f groups/s\n", events, (double)n / seconds);
    printf("journal_events_%u %.0f events/s\n", events,
           (double)n * events / seconds);
    printf("journal_sync_p50_%u %lld us\n", events, (long long)syncs[n / 2]);
    printf("journal_sync_p99_%u %lld us\n", events,
           (long long)syncs[n * 99 / 100]);
    return 0;
}

int main(int argc, char **argv)
{
    const struct journal_limits limits = {.spool_bytes = UINT64_C(8) << 30};
    const uint64_t readers[] = {A};
    struct journal_recovery found;
    struct journal *j;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: bench_journal FOLDER\n");
        return 3;
    }
    if (journal_open(argv[1], &limits, &j, &found) != ST_OK)
        return 1;
    journal_set_readers(j, readers, 1);
    int rc =
        measure(j, 15) != 0 || measure(j, 256) != 0 || measure(j, 16000) != 0;
    journal_close(j);
    return rc;
}
