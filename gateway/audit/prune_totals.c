/* prune_totals.c - what deleted records leave behind: running totals, and the
 * rows each site had in them, a line "<first> <site, 16 hex digits> <rows>" for
 * each file that may become the log's first. */
#include "prune_internal.h"

#include "lethe/gateway/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOTALS_MAX  (64u << 20)
#define TOTALS_MODE 0640

struct site_total {
    uint64_t site, rows;
};

struct counting {
    const char *folder;
    struct audit_names names;
    struct site_total *sites;
    size_t site_count;
    struct audit_counts cum;
    bool by_site;
    uint64_t index;
};

static enum status add_rows(struct counting *c, uint64_t site, uint64_t rows)
{
    size_t i = 0;

    while (i < c->site_count && c->sites[i].site != site)
        i++;
    if (i == c->site_count) {
        void *more = realloc(c->sites, (i + 1) * sizeof(*c->sites));
        if (more == NULL)
            return ST_NOMEM;
        c->sites = more;
        c->sites[c->site_count++] = (struct site_total){.site = site};
    }
    c->sites[i].rows += rows;
    return ST_OK;
}

static enum status add_known(void *ctx, uint64_t site, uint64_t rows)
{
    return add_rows(ctx, site, rows);
}

static enum status take_line(struct counting *c, struct slice line)
{
    struct slice d = field_after(line, "\"d\":"), site;
    uint64_t number;

    if (!slice_eq(field_text(field_after(line, "\"act\":\"")), SLICE("batch")))
        return ST_OK;
    field_counts(field_after(d, "\"cum\":{"), &c->cum);
    site = field_after(d, "\"site\":\"");
    if (!c->by_site || site.at == NULL)
        return ST_OK;
    if (!names_find(&c->names, field_text(site), c->index, &number))
        return ST_CORRUPT;
    return add_rows(c, number, field_rows(d));
}

static enum status take_file(struct counting *c, uint64_t first)
{
    char path[PRUNE_PATH_MAX];
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    enum status st = ST_OK;

    prune_path(c->folder, PRUNE_RECORDS, first, "", path);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return ST_IO;
    c->index = first;
    for (; st == ST_OK && (n = getline(&text, &size, f)) > 0; c->index++)
        st = take_line(c, (struct slice){text, (size_t)n});
    if (st == ST_OK && ferror(f))
        st = ST_IO;
    free(text);
    (void)fclose(f);
    return st;
}

enum status prune_count(const char *folder, uint64_t from, uint64_t to,
                        const struct audit_counts *cum0,
                        struct audit_counts *out_cum1)
{
    struct counting c = {.folder = folder, .cum = *cum0};
    uint64_t *list = NULL;
    size_t count = 0;
    enum status st = log_files(folder, "seg", ".jsonl", &list, &count);

    for (size_t i = 0; st == ST_OK && i < count; i++)
        if (list[i] >= from && list[i] < to)
            st = take_file(&c, list[i]);
    free(list);
    if (st == ST_OK)
        *out_cum1 = c.cum;
    return st;
}

/* ---- the file -------------------------------------------------------------
 */

static bool totals_path(const char *folder, char out[PRUNE_PATH_MAX])
{
    return snprintf(out, PRUNE_PATH_MAX, "%s/totals", folder) <
           (int)PRUNE_PATH_MAX;
}

static bool parse(struct slice line, uint64_t *first, struct site_total *out)
{
    char text[80];

    if (line.len >= sizeof(text))
        return false;
    memcpy(text, line.at, line.len);
    text[line.len] = '\0';
    return sscanf(text, "%" SCNu64 " %16" SCNx64 " %" SCNu64, first, &out->site,
                  &out->rows) == 3;
}

/* *out_found: there is a line for `first`. `same` (may be NULL) gets these. */
static enum status read_file(const char *folder, uint64_t first,
                             enum status (*add)(void *ctx, uint64_t site,
                                                uint64_t rows),
                             void *ctx, bool *out_found, struct buf *same)
{
    char path[PRUNE_PATH_MAX];
    struct buf text;
    enum status st = totals_path(folder, path)
                         ? file_read(path, TOTALS_MAX, &text)
                         : ST_LIMIT;

    *out_found = false;
    if (st != ST_OK)
        return st == ST_IO ? ST_OK : st; /* none yet */
    struct slice s = buf_slice(&text);
    while (st == ST_OK && s.len > 0) {
        size_t end = slice_find(s, '\n');
        struct slice line = slice_head(s, end);
        struct site_total t;
        uint64_t at;
        s = slice_skip(s, end + 1);
        if (!parse(line, &at, &t))
            st = ST_CORRUPT;
        if (st == ST_OK && at == first) {
            *out_found = true;
            st = t.site == 0 ? ST_OK : add(ctx, t.site, t.rows);
        }
        if (st == ST_OK && at == first && same != NULL)
            buf_printf(same, "%.*s\n", SLICE_ARG(line));
    }
    buf_free(&text);
    return st;
}

enum status prune_read_totals(const char *folder, uint64_t first,
                              enum status (*add)(void *ctx, uint64_t site,
                                                 uint64_t rows),
                              void *ctx)
{
    bool found;

    return read_file(folder, first, add, ctx, &found, NULL);
}

static void put_totals(const struct counting *c, uint64_t first,
                       struct buf *out)
{
    /* Site 0: a line for a log in which no site had any row. */
    buf_printf(out, "%" PRIu64 " %016x 0\n", first, 0u);
    for (size_t i = 0; i < c->site_count; i++)
        buf_printf(out, "%" PRIu64 " %016" PRIx64 " %" PRIu64 "\n", first,
                   c->sites[i].site, c->sites[i].rows);
}

static enum status ignore(void *ctx, uint64_t site, uint64_t rows)
{
    (void)ctx;
    (void)site;
    (void)rows;
    return ST_OK;
}

/* Lines for each file behind the first, up to the one that begins at `to`. */
static enum status count_all(struct counting *c, const uint64_t *list,
                             size_t count, uint64_t to, struct buf *out)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i + 1 < count && list[i] < to; i++) {
        st = take_file(c, list[i]);
        if (st == ST_OK)
            put_totals(c, list[i + 1], out);
    }
    return st;
}

enum status prune_write_totals(const char *folder, uint64_t to)
{
    struct counting c = {.folder = folder, .by_site = true};
    char path[PRUNE_PATH_MAX];
    uint64_t *list = NULL;
    size_t count = 0;
    struct buf text;
    bool found = false;

    buf_init(&text, TOTALS_MAX);
    enum status st = log_files(folder, "seg", ".jsonl", &list, &count);
    if (st == ST_OK)
        st = read_file(folder, to, ignore, NULL, &found, NULL);
    if (st == ST_OK && !found && count > 0) {
        (void)snprintf(path, sizeof(path), "%s/sites", folder);
        st = names_read(path, &c.names);
        if (st == ST_OK)
            st = read_file(folder, list[0], add_known, &c, &found, &text);
        if (st == ST_OK)
            st = count_all(&c, list, count, to, &text);
        if (st == ST_OK && (text.failed || !totals_path(folder, path)))
            st = ST_LIMIT;
        if (st == ST_OK)
            st = file_put(path, TOTALS_MODE, buf_slice(&text));
    }
    buf_free(&text);
    free(c.names.list);
    free(c.sites);
    free(list);
    return st;
}
