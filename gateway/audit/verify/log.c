/* log.c - the log's files from its first record to its last, its tree beside
 * the signed one, and the verdict. */
#include "parts.h"

#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH_BYTES 4200u
#define FILE_MAX   (UINT64_C(1) << 30) /* a segment is 64 MiB and a line */

bool v_fault(struct verify *v, uint64_t index, const char *form, ...)
{
    va_list args;

    if (index >= v->bad)
        return false;
    v->bad = index;
    va_start(args, form);
    (void)vsnprintf(v->what, sizeof(v->what), form, args);
    va_end(args);
    return false;
}

struct fact *v_fact_find(struct verify *v, enum kind kind, struct text name)
{
    const struct list *l = &v->lists[kind];

    for (size_t k = l->count; k > 0; k--)
        if (v_is(name, l->at[k - 1].name))
            return &l->at[k - 1];
    return NULL;
}

struct fact *v_fact_add(struct verify *v, enum kind kind, struct text name)
{
    struct list *l = &v->lists[kind];
    struct fact *f = reallocarray(l->at, l->count + 1, sizeof(*f));

    if (f == NULL) {
        v->cannot = "there is not enough memory";
        return &v->spare;
    }
    l->at = f;
    f += l->count++;
    *f = (struct fact){.met = false};
    (void)snprintf(f->name, sizeof(f->name), "%.*s", (int)name.len, name.at);
    return f;
}

void v_unload(struct text t)
{
    free((void *)(uintptr_t)t.at);
}

struct text v_load(struct verify *v, const char *form, ...)
{
    char path[PATH_BYTES];
    struct text t = {NULL, 0};
    va_list args;

    int n = snprintf(path, sizeof(path), "%s/", v->wish->folder);
    va_start(args, form);
    (void)vsnprintf(path + n, sizeof(path) - (size_t)n, form, args);
    va_end(args);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return t;
    if (fseek(f, 0, SEEK_END) == 0 && (uint64_t)ftell(f) < FILE_MAX) {
        size_t size = (size_t)ftell(f);
        char *at = malloc(size + 1);
        rewind(f);
        t = (struct text){at, at == NULL ? 0 : fread(at, 1, size, f)};
        if (at != NULL)
            at[t.len] = '\0';
        /* It is t's now, and the caller's. */
        /* cppcheck-suppress memleak */
    }
    if (t.at == NULL || ferror(f))
        v->cannot = "a file cannot be read";
    (void)fclose(f);
    return t;
}

/* The hash of the n-th perfect subtree of 256^level leaves, from its tile, a
 * full one or the widest. Tiles are derived, and believed only where a signed
 * root agrees. */
static bool tile_hash(struct verify *v, unsigned level, uint64_t n,
                      uint8_t out[HASH])
{
    uint64_t at = (uint64_t)(level + 1) << 56 | n / TILE;
    char name[64], rest[64];

    if (v->tile_at != at) {
        struct text t = {NULL, 0};
        (void)snprintf(name, sizeof(name), "%03u", (unsigned)(n / TILE % 1000));
        for (uint64_t k = n / TILE / 1000; k > 0; k /= 1000) {
            memcpy(rest, name, sizeof(rest));
            (void)snprintf(name, sizeof(name), "x%03u/%.48s",
                           (unsigned)(k % 1000), rest);
        }
        t = v_load(v, "tile/%u/%s", level, name);
        for (unsigned width = TILE - 1; t.at == NULL && width > 0; width--)
            t = v_load(v, "tile/%u/%s.p/%u", level, name, width);
        v->tile_at = at;
        v->tile_width = t.len > sizeof(v->tile) ? 0 : t.len / HASH;
        if (v->tile_width > 0)
            memcpy(v->tile, t.at, v->tile_width * HASH);
        v_unload(t);
    }
    if (n % TILE >= v->tile_width)
        return false;
    memcpy(out, v->tile + n % TILE * HASH, HASH);
    return true;
}

/* At the size of a checkpoint: is this its tree? */
static void check_anchors(struct verify *v)
{
    uint8_t lines[HASH], tiles[HASH];
    struct list *l = &v->lists[ANCHOR];
    uint64_t next = NONE;

    if (v->lines.size != v->next_anchor)
        return;
    v_tree_root(&v->lines, lines);
    v_tree_root(&v->tiles, tiles);
    for (struct fact *a = l->at; a < l->at + l->count; a++) {
        if (a->index > v->lines.size && a->index < next)
            next = a->index;
        if (a->index != v->lines.size)
            continue;
        a->met = true;
        if (memcmp(lines, a->root, HASH) == 0) {
            v->right = a->index;
        } else if (v->wrong == NONE) {
            v->wrong = a->index;
            v->tiles_right = memcmp(tiles, a->root, HASH) == 0;
        }
    }
    v->next_anchor = next;
}

static void add_hash(struct verify *v, unsigned level, const uint8_t line[HASH],
                     const uint8_t tile[HASH])
{
    v_tree_add(&v->lines, level, line);
    v_tree_add(&v->tiles, level, tile);
    check_anchors(v);
}

/* A range that is missing: its hashes are in tiles. What the records told is
 * not known behind it. */
static void skip_gap(struct verify *v, uint64_t to)
{
    struct fact *gap = v_fact_add(v, GAP, LATEST);
    uint8_t hash[HASH];

    gap->from = gap->index = v->position;
    gap->to = to;
    gap->t0 = gap->t1 = v->last_t;
    gap->cutoff = v->last_t;
    memcpy(gap->total, v->cum, sizeof(v->cum));
    v->lists[SITE].count = v->lists[TOTALS].count = 0;
    v->adopt_cum = v->adopt_time = true;
    v->mode = MODE_UNKNOWN;
    while (!v->unhashed && v->position < to) {
        uint64_t n = v->position, leaves = 1;
        unsigned level = 0;
        while (!v->unhashed && !tile_hash(v, level, n / leaves, hash)) {
            leaves *= TILE;
            v->unhashed = ++level > 6 || n % leaves != 0 || n + leaves > to;
        }
        if (!v->unhashed)
            add_hash(v, 8 * level, hash, hash);
        v->position += leaves;
    }
    v->position = to;
}

static void take_line(struct verify *v, struct text line)
{
    uint8_t hash[HASH], tile[HASH];
    struct record r;

    if (v_record_read(line, &r))
        (void)v_record_check(v, &r);
    else
        (void)v_fault(v, v->position, "is not a record as they are written");
    if (v->position + 1 == v->covered)
        v->covered_t = v->last_t;
    if (v->position == v->covered)
        v->tail_t = v->last_t;
    v_hash_leaf(line.at, line.len < LINE_BYTES ? line.len : LINE_BYTES, hash);
    if (!tile_hash(v, 0, v->position, tile))
        memcpy(tile, hash, HASH);
    if (memcmp(tile, hash, HASH) != 0 && v->differs == NONE)
        v->differs = v->position;
    v->position++;
    if (!v->unhashed)
        add_hash(v, 0, hash, tile);
    if (v->wish->progress != NULL && v->told != time(NULL)) {
        v->told = time(NULL);
        v->wish->progress(v->wish->ctx, v->position, v->report->rows);
    }
}

static void scan_segment(struct verify *v, uint64_t first, bool last)
{
    struct text s = v_load(v, "seg/%012" PRIu64 ".jsonl", first);
    struct text all = s;
    const char *end;
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/rows/%012" PRIu64 ".rows",
                   v->wish->folder, first);
    v->rows = fopen(path, "re");
    v->segment = first;
    v_fact_add(v, SEGMENT, LATEST)->index = first;
    while (s.len > 0 && v->cannot == NULL) {
        end = memchr(s.at, '\n', s.len);
        if (end == NULL && last)
            break; /* being written, or never finished */
        struct text line = {s.at, end == NULL ? s.len : (size_t)(end - s.at)};
        if (end == NULL)
            (void)v_fault(v, v->position, "is cut off");
        take_line(v, line);
        s.len -= line.len + (end != NULL);
        s.at += line.len + (end != NULL);
    }
    if (!last && v->rows != NULL && fgetc(v->rows) != EOF)
        (void)v_fault(v, v->position - 1, "is followed by rows of no record");
    if (v->rows != NULL)
        (void)fclose(v->rows);
    v_unload(all);
}

bool v_list_files(struct verify *v, const char *pattern, glob_t *out)
{
    char path[2 * PATH_BYTES], *to = path;

    for (const char *c = v->wish->folder;
         *c != '\0' && to < path + 2 * PATH_BYTES - 128; c++) {
        *to++ = '\\';
        *to++ = *c;
    }
    (void)snprintf(to, 128, "/%s", pattern);
    return glob(path, 0, NULL, out) == 0;
}

void v_scan(struct verify *v)
{
    const char *digits = "seg/[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]"
                         "[0-9][0-9][0-9].jsonl";
    glob_t list = {.gl_pathc = 0};

    check_anchors(v);
    if (!v_list_files(v, digits, &list))
        list.gl_pathc = 0;
    for (size_t k = 0; k < list.gl_pathc && v->cannot == NULL; k++) {
        uint64_t first = strtoull(strrchr(list.gl_pathv[k], '/') + 1, NULL, 10);
        if (first < v->position || first % TILE != 0) {
            (void)v_fault(v, v->position,
                          "is missing: the next file begins at %" PRIu64,
                          first);
            break;
        }
        if (first > v->position)
            skip_gap(v, first);
        scan_segment(v, first, k + 1 == list.gl_pathc);
    }
    globfree(&list);
}
