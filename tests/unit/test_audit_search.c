/* The search over logs made at random, beside a list of what was written; its
 * index damaged, foreign and stale; pruned logs; the forms of the answer. */
#include "lethe/audit_codes.h"
#include "lethe/gateway/audit/row.h"
#include "lethe/gateway/audit/search.h"
#include "lethe/policy/base/clock.h"

#include "../../gateway/audit/search_internal.h"
#include "folder.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CASE(f)     cmocka_unit_test(f)

#define T0          INT64_C(1795338000000) /* 2026-11-22T09:00:00.000Z */
#define RECORDS_MAX 1400u
#define ROWS_MAX    20000u
#define SEGMENT     256u
#define SITES       3u
#define TAGS        2u
#define ROUNDS      16u
#define QUESTIONS   40u

static const char *const sites[SITES] = {"mixbot", "shop", "shop-b"};
static const char *const tags[TAGS] = {"2026-11-22", "2026-11-23"};
static const char *const destinations[] = {"store", "file", "tor", "nobody"};
static const char *const outs[] = {"ok", "denied", "failed"};
static const char *const acts[] = {"batch",       "gate.start",
                                   "policy.load", "destination.pause",
                                   "audit.read",  "zzz.later"};
static const char *const whos[] = {"gw:gw1", "adm:local"};
/* Which bit is which, by the number of the policy.load's kind. */
static const char *const bits[2][3] = {{"store", "file", NULL},
                                       {"file", "tor", "store"}};

struct known_record {
    int64_t t;
    unsigned act, out, who, site; /* site: SITES = none */
    const char *destination;
};
struct known_row {
    uint64_t index;
    uint32_t k;
    int64_t t;
    struct audit_row r;
    unsigned site, policy_kind, tag;
    bool named; /* it is known which bit is which */
};

/* A log and what is in it. */
struct log {
    char folder[64];
    uint64_t state;
    struct known_record records[RECORDS_MAX];
    struct known_row rows[ROWS_MAX];
    uint64_t count, row_count;
    uint64_t policy;
    unsigned policy_kind;
    bool has_policy;
    int64_t t, t1;
    unsigned mode; /* 0 all, 1 dropped, 2 none */
    FILE *lines, *bytes;
};

static uint64_t draw(struct log *l, uint64_t below) /* splitmix64 */
{
    uint64_t z = l->state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % below;
}

/* ---- writing ----------------------------------------------------------------
 */

static void close_segment(struct log *l)
{
    if (l->lines != NULL) {
        assert_int_equal(fclose(l->lines), 0);
        assert_int_equal(fclose(l->bytes), 0);
    }
    l->lines = l->bytes = NULL;
}

static const char *path_of(const struct log *l, const char *part,
                           uint64_t first, const char *end)
{
    static char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s/%012" PRIu64 ".%s", l->folder,
                   part, first, end);
    return path;
}

static struct known_record *put(struct log *l, unsigned act, const char *d)
{
    struct known_record *r = &l->records[l->count];
    char t[TIME_TEXT_MAX];

    if (l->count % SEGMENT == 0)
        close_segment(l);
    if (l->lines == NULL) {
        uint64_t first = l->count / SEGMENT * SEGMENT;
        l->lines = fopen(path_of(l, "seg", first, "jsonl"), "ae");
        l->bytes = fopen(path_of(l, "rows", first, "rows"), "ae");
        assert_true(l->lines != NULL && l->bytes != NULL);
    }
    *r = (struct known_record){.t = l->t,
                               .act = act,
                               .out = act == 0 ? 0 : (unsigned)draw(l, 3),
                               .who = act == 0 ? 0 : (unsigned)draw(l, 2),
                               .site = SITES};
    (void)time_format(l->t, true, t);
    (void)fprintf(l->lines,
                  "{\"v\":1,\"i\":%" PRIu64 ",\"t\":\"%s\",\"act\":\"%s\","
                  "\"who\":\"%s\",\"why\":\"timer\",\"out\":\"%s\","
                  "\"d\":%s}\n",
                  l->count, t, acts[act], whos[r->who], outs[r->out], d);
    l->count++;
    return r;
}

static void draw_row(struct log *l, bool first, struct audit_row *r)
{
    *r = (struct audit_row){
        .t_us = (uint32_t)draw(l, 3) * 1000000u,
        .act = (uint8_t)(first ? 1 + draw(l, 3) : 4 + draw(l, 5)),
        .reason = (uint8_t)draw(l, 26),
        .rule = (uint16_t)draw(l, 70),
        .source = 1,
        .destinations = (uint16_t)draw(l, 8),
        .classes = (uint32_t)draw(l, 16),
        .ev = 1 + draw(l, 400),
        .sub = draw(l, 9),
    };
}

static unsigned tally(const struct audit_row *rows, unsigned n, bool ex,
                      char *out, size_t room)
{
    size_t len = 0;
    unsigned sum = 0;

    out[0] = '\0';
    for (unsigned act = ex ? 4 : 0; act <= (ex ? 8 : 0); act++)
        for (unsigned kind = 0; n > 0 && kind < 70 * 26; kind++) {
            unsigned count = 0;
            for (unsigned i = 0; i < n; i++)
                count +=
                    (rows[i].act >= 4) == ex && (!ex || rows[i].act == act) &&
                    rows[i].rule == kind / 26 && rows[i].reason == kind % 26;
            if (count == 0)
                continue;
            char head[8] = "";
            if (ex)
                (void)snprintf(head, sizeof(head), "%u,", act);
            len += (size_t)snprintf(out + len, room - len, "%s[%s%u,%u,%u]",
                                    len > 0 ? "," : "", head, kind / 26,
                                    kind % 26, count);
            sum += count;
        }
    return sum;
}

static void put_batch(struct log *l)
{
    unsigned n = (unsigned)draw(l, 12), written = 0;
    unsigned site = (unsigned)draw(l, SITES), tag = (unsigned)draw(l, TAGS);
    unsigned acts_seen[4] = {0};
    struct audit_row rows[12];
    char by[2000], ex[2000], d[6000], t0[TIME_TEXT_MAX], t1[TIME_TEXT_MAX],
        policy[24] = "null";
    bool kept[12];

    for (unsigned i = 0; i < n; i++) {
        draw_row(l, i == 0 || draw(l, 3) > 0, &rows[i]);
        kept[i] = l->mode == 0 || (l->mode == 1 && rows[i].act >= 3);
        written += kept[i];
        if (rows[i].act < 4)
            acts_seen[rows[i].act]++;
    }
    (void)tally(rows, n, false, by, sizeof(by));
    unsigned exceptions = tally(rows, n, true, ex, sizeof(ex));
    if (l->has_policy)
        (void)snprintf(policy, sizeof(policy), "%" PRIu64, l->policy);
    (void)time_format(l->t1, true, t0);
    int64_t begin = l->t1;
    l->t = l->t1 = l->t1 + 3000;
    (void)time_format(l->t, true, t1);
    (void)snprintf(
        d, sizeof(d),
        "{\"pol\":%s,\"site\":\"%s\",\"t0\":\"%s\",\"t1\":\"%s\",\"in\":%u,"
        "\"fwd\":%u,\"mod\":%u,\"drop\":%u,\"by\":[%s],\"n\":%u,\"root\":null,"
        "\"tag\":\"%s\",\"cum\":{\"in\":0,\"fwd\":0,\"mod\":0,\"drop\":0}%s%s%"
        "s}",
        policy, sites[site], t0, t1, n - exceptions, acts_seen[1], acts_seen[2],
        acts_seen[3], by, written, tags[tag], exceptions > 0 ? ",\"ex\":[" : "",
        exceptions > 0 ? ex : "", exceptions > 0 ? "]" : "");
    put(l, 0, d)->site = site;
    for (unsigned i = 0, k = 0; i < n; i++) {
        uint8_t bytes[ROW_BYTES];
        if (!kept[i])
            continue;
        row_encode(&rows[i], bytes);
        assert_int_equal(fwrite(bytes, ROW_BYTES, 1, l->bytes), 1);
        l->rows[l->row_count++] = (struct known_row){
            l->count - 1, k++,          begin + rows[i].t_us / 1000,
            rows[i],      site,         l->policy_kind,
            tag,          l->has_policy};
    }
}

static void put_other(struct log *l)
{
    unsigned kind = 1 + (unsigned)draw(l, 5), site = (unsigned)draw(l, SITES);
    const char *to = destinations[draw(l, 3)];
    char d[300] = "{}";

    if (kind == 2) {
        l->policy = l->count;
        l->policy_kind = (unsigned)draw(l, 2);
        l->has_policy = true;
        (void)snprintf(d, sizeof(d), "{\"site\":\"%s\",\"dst\":[%s]}",
                       sites[site],
                       l->policy_kind == 0 ? "\"store\",\"file\""
                                           : "\"file\",\"tor\",\"store\"");
    } else if (kind == 3) {
        (void)snprintf(d, sizeof(d),
                       "{\"site\":\"%s\",\"destination\":\"%s\",\"count\":1}",
                       sites[site], to);
    }
    struct known_record *r = put(l, kind, d);
    if (kind == 2 || kind == 3)
        r->site = site;
    if (kind == 3)
        r->destination = to;
}

static void grow(struct log *l, unsigned records)
{
    for (unsigned i = 0; i < records && l->count < RECORDS_MAX; i++)
        if (draw(l, 10) < 7 && l->row_count + 12 < ROWS_MAX)
            put_batch(l);
        else
            put_other(l);
    if (l->lines != NULL) {
        (void)fflush(l->lines);
        (void)fflush(l->bytes);
    }
}

static struct log *make_log(uint64_t seed)
{
    struct log *l = calloc(1, sizeof(*l));
    char path[100];

    assert_non_null(l);
    memcpy(l->folder, "/tmp/lethe-search-XXXXXX", 25);
    assert_non_null(mkdtemp(l->folder));
    (void)snprintf(path, sizeof(path), "%s/seg", l->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/rows", l->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    l->state = seed;
    l->t = l->t1 = T0;
    l->mode = (unsigned)draw(l, 6);
    l->mode = l->mode < 3 ? 0 : l->mode - 3;
    grow(l, 1 + (unsigned)draw(l, 1100));
    return l;
}

static void drop_log(struct log *l)
{
    close_segment(l);
    (void)folder_remove(l->folder);
    free(l);
}

/* ---- asking
 * ------------------------------------------------------------------ */

struct answer {
    enum status st;
    bool recorded;
    struct audit_found told, found;
    struct buf text;
    uint64_t lines;
};

static bool on_record(void *ctx, const struct audit_found *found)
{
    struct answer *a = ctx;

    assert_false(a->recorded);
    assert_int_equal(a->lines, 0);
    a->recorded = true;
    a->told = *found;
    return true;
}

static bool on_line(void *ctx, struct slice line)
{
    struct answer *a = ctx;

    assert_true(a->recorded);
    a->lines++;
    buf_put(&a->text, line);
    buf_put_char(&a->text, '\n');
    return true;
}

static struct answer ask(const struct log *l, const struct audit_query *q)
{
    struct answer a = {.lines = 0};
    struct audit_reader to = {on_record, on_line, &a};

    buf_init(&a.text, 256u << 20);
    a.st = audit_search(l->folder, q, &to, &a.found);
    buf_put_char(&a.text, '\0');
    assert_false(a.text.failed);
    if (a.st == ST_OK) {
        assert_true(a.recorded);
        assert_int_equal(a.told.count, a.found.count);
    }
    return a;
}

static void same_answer(const struct log *l, const struct audit_query *q,
                        const struct answer *want)
{
    struct answer a = ask(l, q);

    assert_int_equal(a.st, want->st);
    assert_string_equal(a.text.data, want->text.data);
    assert_memory_equal(&a.found, &want->found, sizeof(a.found));
    buf_free(&a.text);
}

/* What the list of what was written says. `first`: records before are pruned,
 * `first_row`: rows of records before. */
struct expected {
    uint64_t first, first_rows;
};

static bool in_time(const struct audit_query *q, int64_t t)
{
    return (q->from_ms == 0 || t >= q->from_ms) &&
           (q->to_ms == 0 || t < q->to_ms);
}

static bool record_expected(const struct log *l, const struct audit_query *q,
                            uint64_t i)
{
    const struct known_record *r = &l->records[i];

    if (q->has_after && (q->newest_first ? i >= q->after : i <= q->after))
        return false;
    return in_time(q, r->t) &&
           (q->act == NULL || strcmp(q->act, acts[r->act]) == 0) &&
           (q->who == NULL || strcmp(q->who, whos[r->who]) == 0) &&
           (q->outcome == NULL || strcmp(q->outcome, outs[r->out]) == 0) &&
           (q->site == NULL ||
            (r->site < SITES && strcmp(q->site, sites[r->site]) == 0)) &&
           (q->destination == NULL ||
            (r->destination != NULL &&
             strcmp(q->destination, r->destination) == 0));
}

static bool is_of(const struct known_row *r, const char *destination)
{
    for (unsigned k = 0; r->named && k < 3; k++)
        if (bits[r->policy_kind][k] != NULL &&
            strcmp(bits[r->policy_kind][k], destination) == 0)
            return (r->r.destinations >> k & 1) != 0;
    return false;
}

static bool row_expected(const struct known_row *r, const struct audit_query *q)
{
    bool later =
        r->index > q->after || (r->index == q->after && r->k > q->after_row);
    bool earlier =
        r->index < q->after || (r->index == q->after && r->k < q->after_row);
    bool person = !q->person;

    for (unsigned i = 0; i < q->mark_count; i++)
        person = person || (strcmp(q->marks[i].tag, tags[r->tag]) == 0 &&
                            q->marks[i].sub == r->r.sub && r->r.sub != 0);
    return (!q->has_after || (q->newest_first ? earlier : later)) && person &&
           in_time(q, r->t) &&
           (q->act == NULL || strcmp(q->act, audit_act_name(r->r.act)) == 0) &&
           (q->rule < 0 || r->r.rule == q->rule) &&
           (q->reason < 0 || r->r.reason == q->reason) &&
           (q->ev == 0 || r->r.ev == q->ev) &&
           (q->site == NULL || strcmp(q->site, sites[r->site]) == 0) &&
           (q->destination == NULL || is_of(r, q->destination));
}

/* The lines of `a` begin as the list says, in its order, none left out. */
static void check_answer(const struct log *l, const struct audit_query *q,
                         const struct answer *a, struct expected e)
{
    const char *at = a->text.data;
    uint64_t total = q->rows ? l->row_count : l->count, found = 0;

    assert_int_equal(a->st, ST_OK);
    for (uint64_t n = 0; n < total; n++) {
        uint64_t i = q->newest_first ? total - 1 - n : n;
        char begin[64];
        if (q->limit > 0 && found == q->limit)
            break;
        if (q->rows ? l->rows[i].index < e.first_rows ||
                          !row_expected(&l->rows[i], q)
                    : i < e.first || !record_expected(l, q, i))
            continue;
        found++;
        if (q->count_only)
            continue;
        if (q->rows)
            (void)snprintf(begin, sizeof(begin),
                           "{\"i\":%" PRIu64 ",\"row\":%" PRIu32 ",\"t\":",
                           l->rows[i].index, l->rows[i].k);
        else
            (void)snprintf(begin, sizeof(begin),
                           "{\"v\":1,\"i\":%" PRIu64 ",\"t\":", i);
        assert_memory_equal(at, begin, strlen(begin));
        at = strchr(at, '\n') + 1;
    }
    assert_int_equal(*at, '\0');
    assert_int_equal(a->found.count, found);
    assert_int_equal(a->found.stopped, q->limit > 0 && found == q->limit);
}

/* A question at random; `marks` has room for two. */
static struct audit_query draw_query(struct log *l, struct audit_mark *marks)
{
    struct audit_query q = {.rule = -1, .reason = -1, .rows = draw(l, 2) == 0};
    int64_t length = l->t - T0 + 1;

    if (draw(l, 3) == 0)
        q.from_ms = T0 + (int64_t)draw(l, (uint64_t)length);
    if (draw(l, 3) == 0)
        q.to_ms = T0 + (int64_t)draw(l, (uint64_t)length);
    if (draw(l, 3) == 0)
        q.site = sites[draw(l, SITES)];
    if (draw(l, 4) == 0)
        q.destination = destinations[draw(l, 4)];
    if (draw(l, 4) == 0)
        q.act = q.rows ? audit_act_name(1 + (unsigned)draw(l, 8))
                       : acts[draw(l, 6)];
    q.newest_first = draw(l, 2) == 0;
    q.no_index = draw(l, 6) == 0;
    q.count_only = draw(l, 8) == 0;
    if (draw(l, 4) == 0)
        q.limit = 1 + draw(l, 20);
    if (draw(l, 4) == 0) {
        q.has_after = true;
        q.after = draw(l, l->count + 3);
        q.after_row = q.rows ? (uint32_t)draw(l, 8) : 0;
    }
    if (!q.rows) {
        q.who = draw(l, 4) == 0 ? whos[draw(l, 2)] : NULL;
        q.outcome = draw(l, 4) == 0 ? outs[draw(l, 3)] : NULL;
        return q;
    }
    q.rule = draw(l, 4) == 0 ? (int)draw(l, 70) : -1;
    q.reason = draw(l, 4) == 0 ? (int)draw(l, 26) : -1;
    q.ev = draw(l, 6) == 0 ? 1 + draw(l, 400) : 0;
    q.person = draw(l, 4) == 0;
    for (unsigned i = 0; q.person && i < draw(l, 3); i++) {
        (void)snprintf(marks[i].tag, sizeof(marks[i].tag), "%s",
                       tags[draw(l, TAGS)]);
        marks[i].sub = draw(l, 9);
        q.mark_count = i + 1;
    }
    q.marks = marks;
    return q;
}

static void check_many(struct log *l, struct expected e)
{
    struct audit_mark marks[3];

    for (unsigned i = 0; i < QUESTIONS; i++) {
        struct audit_query q = draw_query(l, marks);
        struct answer a = ask(l, &q);
        check_answer(l, &q, &a, e);
        q.no_index = !q.no_index;
        same_answer(l, &q, &a);
        buf_free(&a.text);
    }
}

static void the_answer_is_what_was_written(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct log *l = make_log(seed);
        check_many(l, (struct expected){0, 0});
        grow(l, 1 + (unsigned)draw(l, 200)); /* the last segment's index */
        check_many(l, (struct expected){0, 0});
        drop_log(l);
    }
}

/* A log of at least three segments with rows of every decision. */
static struct log *make_long(uint64_t seed)
{
    struct log *l = make_log(seed);

    l->mode = 0;
    while (l->count <= 2 * SEGMENT + 20)
        grow(l, 100);
    return l;
}

#define EVERY .rule = -1, .reason = -1

static const struct audit_query all_records = {EVERY};
static const struct audit_query all_rows = {EVERY, .rows = true};

static void pruned_parts_are_told(void **state)
{
    (void)state;
    for (uint64_t seed = 50; seed < 54; seed++) {
        struct log *l = make_long(seed);
        struct audit_query late = {EVERY, .rows = true};

        check_many(l, (struct expected){0, 0});
        assert_int_equal(unlink(path_of(l, "rows", 0, "rows")), 0);
        check_many(l, (struct expected){0, SEGMENT});
        struct answer a = ask(l, &all_rows);
        assert_true(a.found.gaps[AUDIT_GAP_ROWS].count > 0);
        assert_int_equal(a.found.gaps[AUDIT_GAP_RECORDS].count, 0);
        buf_free(&a.text);

        assert_int_equal(unlink(path_of(l, "seg", 0, "jsonl")), 0);
        assert_int_equal(audit_index_remove(l->folder, 0), 0);
        assert_int_equal(access(path_of(l, "idx", 0, "idx"), F_OK), -1);
        assert_int_equal(audit_index_remove(l->folder, 0), 0);
        a = ask(l, &all_records);
        assert_int_equal(a.found.gaps[AUDIT_GAP_RECORDS].count, SEGMENT);
        assert_int_equal(a.found.gaps[AUDIT_GAP_RECORDS].from_ms, 0);
        assert_int_equal(a.found.gaps[AUDIT_GAP_RECORDS].to_ms,
                         l->records[SEGMENT].t);
        check_answer(l, &all_records, &a, (struct expected){SEGMENT, SEGMENT});
        buf_free(&a.text);
        late.from_ms = l->records[SEGMENT].t;
        a = ask(l, &late);
        assert_int_equal(a.found.gaps[AUDIT_GAP_RECORDS].count, 0);
        buf_free(&a.text);
        drop_log(l);
    }
}

/* The policy in force at the beginning of the second segment is in the first.
 */
static void a_pruned_policy_has_no_names(void **state)
{
    struct log *l = make_long(77);
    struct audit_query q = {EVERY, .rows = true, .destination = "store"};

    (void)state;
    assert_int_equal(ask(l, &q).found.gaps[AUDIT_GAP_POLICY].count, 0);
    assert_int_equal(unlink(path_of(l, "seg", 0, "jsonl")), 0);
    assert_true(ask(l, &q).found.gaps[AUDIT_GAP_POLICY].count > 0);
    q.destination = NULL;
    assert_int_equal(ask(l, &q).found.gaps[AUDIT_GAP_POLICY].count, 0);
    drop_log(l);
}

static void a_missing_middle_is_told(void **state)
{
    struct log *l = make_long(78);

    (void)state;
    assert_int_equal(unlink(path_of(l, "seg", SEGMENT, "jsonl")), 0);
    struct answer a = ask(l, &all_records);
    assert_int_equal(a.found.gaps[AUDIT_GAP_RECORDS].count, SEGMENT);
    assert_int_equal(a.found.count, l->count - SEGMENT);
    buf_free(&a.text);
    drop_log(l);
}

static void whom_no_key_names_nobody_finds(void **state)
{
    struct log *l = make_long(79);
    struct audit_mark mark = {"2026-11-22", 3};
    struct audit_query q = {EVERY,           .rows = true,
                            .person = true,  .marks = &mark,
                            .mark_count = 1, .count_only = true};
    uint64_t first = 0;

    (void)state;
    for (uint64_t i = 0; i < l->row_count; i++)
        first += l->rows[i].tag == 0;
    struct answer a = ask(l, &q);
    assert_true(a.found.count > 0);
    assert_int_equal(a.found.gaps[AUDIT_GAP_IDENTITY].count,
                     l->row_count - first);
    q.mark_count = 0;
    a = ask(l, &q);
    assert_int_equal(a.found.count, 0);
    assert_int_equal(a.found.gaps[AUDIT_GAP_IDENTITY].count, l->row_count);
    q.mark_count = 1;
    mark.sub = 0; /* rows without a person are nobody's */
    assert_int_equal(ask(l, &q).found.count, 0);
    drop_log(l);
}

static void unwritten_rows_are_told(void **state)
{
    struct log *l = make_log(5);
    struct audit_query q = {EVERY, .rows = true, .count_only = true};

    (void)state;
    l->mode = 1;
    grow(l, 50);
    assert_true(ask(l, &q).found.gaps[AUDIT_GAP_UNWRITTEN].count > 0);
    q.from_ms = l->t;
    q.act = "dropped"; /* those have rows */
    assert_int_equal(ask(l, &q).found.gaps[AUDIT_GAP_UNWRITTEN].count, 0);
    int64_t then = l->t;
    l->mode = 2;
    grow(l, 50);
    q.from_ms = then + 1;
    assert_true(ask(l, &q).found.gaps[AUDIT_GAP_UNWRITTEN].count > 0);
    drop_log(l);
}

/* ---- the index
 * ---------------------------------------------------------------- */

static char *load(const char *path, size_t *len)
{
    FILE *in = fopen(path, "re");
    char *bytes = malloc(1 << 20);

    assert_non_null(in);
    assert_non_null(bytes);
    *len = fread(bytes, 1, 1 << 20, in);
    (void)fclose(in);
    return bytes;
}

static void save(const char *path, const char *bytes, size_t len)
{
    FILE *out = fopen(path, "we");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static void a_damaged_index_is_made_anew(void **state)
{
    struct log *l = make_long(80);
    struct audit_query q = {.rule = -1, .reason = REASON_GPC, .rows = true};
    struct answer want = ask(l, &q);
    char path[200];
    size_t len, again_len;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", path_of(l, "idx", 0, "idx"));
    char *good = load(path, &len);
    for (size_t i = 0; i < len; i += i < 200 || i + 200 > len ? 1 : 97) {
        good[i] ^= 0x10;
        save(path, good, len);
        good[i] ^= 0x10;
        same_answer(l, &q, &want);
        char *again = load(path, &again_len);
        assert_int_equal(again_len, len);
        assert_memory_equal(again, good, len);
        free(again);
    }
    for (size_t cut = 0; cut < len; cut += 1 + cut / 2) {
        save(path, good, cut);
        same_answer(l, &q, &want);
    }
    free(good);
    buf_free(&want.text);
    drop_log(l);
}

static void a_foreign_index_is_not_believed(void **state)
{
    struct log *l = make_long(81), *other = make_long(82);
    struct answer want = ask(l, &all_records), a = ask(other, &all_records);
    char path[200];
    size_t len;

    (void)state;
    char *bytes = load(path_of(other, "idx", 0, "idx"), &len);
    save(path_of(l, "idx", 0, "idx"), bytes, len);
    same_answer(l, &all_records, &want);
    free(bytes);
    bytes = load(path_of(l, "idx", SEGMENT, "idx"), &len);
    save(path_of(l, "idx", 0, "idx"), bytes, len);
    same_answer(l, &all_records, &want);
    free(bytes);
    /* A link in its place is not followed. */
    (void)snprintf(path, sizeof(path), "%s", path_of(other, "idx", 0, "idx"));
    assert_int_equal(unlink(path_of(l, "idx", 0, "idx")), 0);
    assert_int_equal(symlink(path, path_of(l, "idx", 0, "idx")), 0);
    same_answer(l, &all_records, &want);
    buf_free(&a.text);
    buf_free(&want.text);
    drop_log(l);
    drop_log(other);
}

/* The same length, other words: the index of before is not of this segment. */
static void a_changed_segment_has_no_index(void **state)
{
    struct log *l = make_long(83);
    struct audit_query q = {EVERY, .act = "gate.stop_"};
    char path[200];
    size_t len;

    (void)state;
    assert_int_equal(ask(l, &q).found.count, 0);
    (void)snprintf(path, sizeof(path), "%s", path_of(l, "seg", 0, "jsonl"));
    char *bytes = load(path, &len);
    char *at = strstr(bytes, "\"act\":\"gate.start\"");
    assert_non_null(at);
    memcpy(at, "\"act\":\"gate.stop_\"", 18);
    save(path, bytes, len);
    assert_int_equal(ask(l, &q).found.count, 1);
    free(bytes);
    drop_log(l);
}

static void a_search_that_may_write_nothing_answers(void **state)
{
    struct log *l = make_long(84);
    struct answer want = ask(l, &all_rows);
    char path[200];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/idx", l->folder);
    assert_int_equal(folder_remove(path), 0);
    FILE *in_its_place = fopen(path, "we");
    assert_non_null(in_its_place);
    (void)fclose(in_its_place);
    same_answer(l, &all_rows, &want);
    buf_free(&want.text);
    drop_log(l);
}

static void damaged_records_stop_a_search(void **state)
{
    struct log *l = make_long(85);
    char path[200];
    size_t len;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", path_of(l, "seg", 0, "jsonl"));
    char *bytes = load(path, &len);
    char *at = strstr(bytes, "\"v\":1,\"i\":7,");
    assert_non_null(at);
    at[10] = '8'; /* a number twice */
    save(path, bytes, len);
    struct answer a = ask(l, &all_records);
    assert_int_equal(a.st, ST_CORRUPT);
    assert_false(a.recorded);
    at[10] = '7';
    save(path, bytes, len - 1); /* a closed segment ends with a whole line */
    assert_int_equal(ask(l, &all_records).st, ST_CORRUPT);
    save(path, bytes, len);
    assert_int_equal(ask(l, &all_records).st, ST_OK);
    assert_int_equal(truncate(path_of(l, "rows", 0, "rows"), 33), 0);
    assert_int_equal(ask(l, &all_rows).st, ST_CORRUPT);
    free(bytes);
    drop_log(l);
}

/* ---- forms
 * --------------------------------------------------------------------- */

static bool refuse(void *ctx, const struct audit_found *found)
{
    (void)ctx;
    (void)found;
    return false;
}

static bool no_line(void *ctx, struct slice line)
{
    (void)ctx;
    (void)line;
    fail();
    return false;
}

static void what_is_not_recorded_is_not_shown(void **state)
{
    struct log *l = make_long(86);
    struct audit_reader to = {refuse, no_line, NULL};
    struct audit_found found;

    (void)state;
    assert_int_equal(audit_search(l->folder, &all_rows, &to, &found),
                     ST_DENIED);
    drop_log(l);
}

#define LINE(i, act, d)                                                        \
    "{\"v\":1,\"i\":" #i ",\"t\":\"2026-11-22T09:00:00.000Z\",\"act\":\"" act  \
    "\",\"who\":\"gw:gw1\",\"why\":\"timer\",\"out\":\"ok\",\"d\":" d "}\n"
#define BATCH(site)                                                            \
    "{\"pol\":0,\"site\":\"" site "\",\"t0\":\"2026-11-22T09:00:00.000Z\","    \
    "\"t1\":\"2026-11-22T09:00:00.000Z\",\"in\":1,\"fwd\":1,\"mod\":0,"        \
    "\"drop\":0,\"by\":[[3,0,1]],\"n\":1,\"root\":null,\"tag\":null,"          \
    "\"cum\":{\"in\":1,\"fwd\":1,\"mod\":0,\"drop\":0}}"

static struct log *make_small(const char *text)
{
    struct log *l = make_log(1);
    const struct audit_row row = {.act = ACT_CLEARED,
                                  .rule = 3,
                                  .source = SOURCE_PLAIN,
                                  .destinations = 2,
                                  .classes = 9,
                                  .ev = 201};
    char path[200];
    uint8_t bytes[ROW_BYTES];

    close_segment(l);
    (void)snprintf(path, sizeof(path), "%s/seg", l->folder);
    assert_int_equal(folder_remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    save(path_of(l, "seg", 0, "jsonl"), text, strlen(text));
    row_encode(&row, bytes);
    save(path_of(l, "rows", 0, "rows"), (const char *)bytes, ROW_BYTES);
    return l;
}

/* More than is kept of the first pass: found again, the same. */
static void a_long_answer_is_whole(void **state)
{
    static char text[12 << 20], filling[7900];
    size_t len = 0;

    (void)state;
    memset(filling, 'x', sizeof(filling) - 1);
    for (unsigned i = 0; i < 1300; i++)
        len += (size_t)snprintf(
            text + len, sizeof(text) - len,
            "{\"v\":1,\"i\":%u,\"t\":\"2026-11-22T09:00:00.000Z\",\"act\":"
            "\"gate.stop\",\"who\":\"gw:gw1\",\"why\":\"boot\",\"out\":\"ok\","
            "\"d\":{\"x\":\"%s\"}}\n",
            i, filling);
    struct log *l = make_small(text);
    struct answer a = ask(l, &all_records);
    assert_int_equal(a.found.count, 1300);
    assert_int_equal(a.text.len, len + 1);
    assert_string_equal(a.text.data, text);
    buf_free(&a.text);
    struct audit_query q = {EVERY, .newest_first = true, .limit = 1299};
    a = ask(l, &q);
    assert_int_equal(a.lines, 1299);
    assert_int_equal(a.found.last, 1);
    assert_true(a.found.stopped);
    buf_free(&a.text);
    drop_log(l);
}

/* A row is as old as its event, not as its record, which may be the first of
 * a later segment. */
static void rows_are_older_than_their_record(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (uint64_t seed = 90; seed < 96; seed++) {
        struct log *l = make_long(seed);
        struct audit_query q = {EVERY, .rows = true};
        for (uint64_t i = 0; i < l->row_count; i++) {
            if (l->rows[i].index == 0 || l->rows[i].index % SEGMENT != 0)
                continue;
            q.to_ms = l->rows[i].t + 1;
            struct answer a = ask(l, &q);
            check_answer(l, &q, &a, (struct expected){0, 0});
            buf_free(&a.text);
            seen++;
        }
        drop_log(l);
    }
    assert_true(seen > 6);
}

/* A window shows the bytes of the file, wherever it begins. */
static void a_window_shows_the_file(void **state)
{
    static uint8_t bytes[3 << 20];
    struct log *l = make_log(3);
    struct window w = {.fd = -1};
    char path[200];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)draw(l, 256);
    (void)snprintf(path, sizeof(path), "%s/bytes", l->folder);
    save(path, (const char *)bytes, sizeof(bytes));
    assert_int_equal(window_open(&w, path), ST_OK);
    for (unsigned i = 0; i < 400; i++) {
        size_t len = 1 + (size_t)draw(l, i % 9 == 0 ? 2 << 20 : 9000);
        uint64_t at = draw(l, sizeof(bytes));
        const uint8_t *shown = window_get(&w, at, len, i % 2 == 0);
        if (at + len > sizeof(bytes))
            assert_null(shown);
        else
            assert_memory_equal(shown, bytes + at, len);
    }
    const uint8_t *end = window_get(&w, sizeof(bytes) - 5, 5, true);
    assert_memory_equal(end, bytes + sizeof(bytes) - 5, 5);
    window_free(&w);
    drop_log(l);
}

static void answers_have_their_forms(void **state)
{
    struct log *l = make_small(
        LINE(0, "policy.load",
             "{\"site\":\"shop\",\"dst\":[\"store\",\"file\"]}")
            LINE(1, "batch", BATCH("shop")) "{\"v\":1,\"i\":2,\"t\":\"20");
    struct audit_query q = {EVERY, .rows = true};

    (void)state;
    assert_string_equal(
        ask(l, &q).text.data,
        "{\"i\":1,\"row\":0,\"t\":\"2026-11-22T09:00:00.000Z\",\"site\":"
        "\"shop\",\"act\":\"cleared\",\"rule\":3,\"reason\":\"none\","
        "\"source\":\"plain\",\"destinations\":2,\"ev\":\"00000000000000c9\","
        "\"classes\":[\"identifier\",\"url\"]}\n");
    q.format = AUDIT_CSV;
    assert_string_equal(
        ask(l, &q).text.data,
        "i,row,t,site,act,rule,reason,source,destinations,ev,classes\n"
        "1,0,2026-11-22T09:00:00.000Z,shop,cleared,3,none,plain,2,"
        "00000000000000c9,identifier url\n");
    q.format = AUDIT_TEXT;
    assert_string_equal(ask(l, &q).text.data,
                        "2026-11-22T09:00:00.000Z shop cleared file, rule 3, "
                        "none, from plain, receipt 00000000000000c9, "
                        "minimised: identifier url\n");
    q = (struct audit_query){EVERY, .act = "policy.load", .format = AUDIT_CSV};
    assert_string_equal(
        ask(l, &q).text.data,
        "i,t,act,who,why,out,d\n"
        "0,2026-11-22T09:00:00.000Z,policy.load,gw:gw1,timer,ok,"
        "\"{\"\"site\"\":\"\"shop\"\",\"\"dst\"\":[\"\"store\"\",\"\"file\"\"]}"
        "\"\n");
    q.format = AUDIT_TEXT;
    assert_string_equal(
        ask(l, &q).text.data,
        "0 2026-11-22T09:00:00.000Z policy.load gw:gw1 timer "
        "ok {\"site\":\"shop\",\"dst\":[\"store\",\"file\"]}\n");
    q = (struct audit_query){EVERY, .act = "none", .format = AUDIT_CSV};
    assert_string_equal(ask(l, &q).text.data, "i,t,act,who,why,out,d\n");
    q.count_only = true;
    assert_string_equal(ask(l, &q).text.data, "");
    drop_log(l);
}

/* A forged name is neither a formula nor a column. */
static void csv_holds_no_formula(void **state)
{
    static const struct {
        const char *line, *want;
    } cases[] = {
        {LINE(0, "batch", BATCH("=1+cmd,x")), ",\"'=1+cmd,x\",cleared,"},
        {LINE(0, "batch", BATCH("+1")), ",'+1,cleared,"},
        {LINE(0, "batch", BATCH("-1")), ",'-1,cleared,"},
        {LINE(0, "batch", BATCH("@SUM(A1)")), ",'@SUM(A1),cleared,"},
    };
    struct audit_query q = {EVERY, .rows = true, .format = AUDIT_CSV};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct log *l = make_small(cases[i].line);
        struct answer a = ask(l, &q);
        assert_non_null(strstr(a.text.data, cases[i].want));
        buf_free(&a.text);
        drop_log(l);
    }
    q.rows = false;
    struct log *l = make_small(LINE(0, "=act", "{}"));
    assert_non_null(strstr(ask(l, &q).text.data, ",'=act,gw:gw1,"));
    drop_log(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_answer_is_what_was_written),
        CASE(pruned_parts_are_told),
        CASE(a_pruned_policy_has_no_names),
        CASE(a_missing_middle_is_told),
        CASE(whom_no_key_names_nobody_finds),
        CASE(unwritten_rows_are_told),
        CASE(a_damaged_index_is_made_anew),
        CASE(a_foreign_index_is_not_believed),
        CASE(a_changed_segment_has_no_index),
        CASE(a_search_that_may_write_nothing_answers),
        CASE(damaged_records_stop_a_search),
        CASE(what_is_not_recorded_is_not_shown),
        CASE(a_long_answer_is_whole),
        CASE(rows_are_older_than_their_record),
        CASE(a_window_shows_the_file),
        CASE(answers_have_their_forms),
        CASE(csv_holds_no_formula),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
