/* segments.c - the files of the log, one after the other, for readers. */
#include "read_internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_DIGITS 12u

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static enum status list_add(struct segments *s, uint64_t first)
{
    uint64_t *more = realloc(s->first, (s->count + 1) * sizeof(*more));

    if (more == NULL)
        return ST_NOMEM;
    s->first = more;
    s->first[s->count++] = first;
    return ST_OK;
}

enum status segments_open(const char *folder, struct segments *out)
{
    struct segments s = {.count = 0};
    char path[READ_PATH_MAX];
    enum status st = ST_OK;
    struct dirent *e;

    if (snprintf(s.folder, sizeof(s.folder), "%s", folder) >=
        (int)sizeof(s.folder))
        return ST_IO;
    (void)snprintf(path, sizeof(path), "%s/seg", s.folder);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return ST_IO;
    while (st == ST_OK && (e = readdir(dir)) != NULL) {
        struct slice name = slice_of(e->d_name);
        unsigned long long first;
        if (name.len == NAME_DIGITS + 6 && slice_ends(name, SLICE(".jsonl")) &&
            slice_to_u64(slice_head(name, NAME_DIGITS), &first))
            st = list_add(&s, first);
    }
    (void)closedir(dir);
    if (st != ST_OK) {
        segments_close(&s);
        return st;
    }
    if (s.count > 0)
        qsort(s.first, s.count, sizeof(*s.first), by_number);
    *out = s;
    return ST_OK;
}

static void close_files(struct segments *s)
{
    if (s->lines != NULL)
        (void)fclose(s->lines);
    if (s->rows != NULL)
        (void)fclose(s->rows);
    s->lines = s->rows = NULL;
}

enum status segments_next(struct segments *s)
{
    char path[READ_PATH_MAX];

    close_files(s);
    if (s->at == s->count)
        return ST_END;
    uint64_t first = s->first[s->at];
    (void)snprintf(path, sizeof(path), "%s/seg/%012" PRIu64 ".jsonl", s->folder,
                   first);
    s->lines = fopen(path, "re");
    if (s->lines == NULL)
        return ST_IO;
    (void)snprintf(path, sizeof(path), "%s/rows/%012" PRIu64 ".rows", s->folder,
                   first);
    s->rows = fopen(path, "re");
    if (s->rows == NULL && errno != ENOENT)
        return ST_IO;
    s->at++;
    return ST_OK;
}

enum status segments_line(struct segments *s, struct slice *out,
                          bool *out_whole)
{
    ssize_t n = getline(&s->text, &s->text_size, s->lines);

    if (n <= 0)
        return ferror(s->lines) ? ST_IO : ST_END;
    *out_whole = s->text[n - 1] == '\n';
    *out = (struct slice){s->text, (size_t)n - *out_whole};
    return ST_OK;
}

void segments_close(struct segments *s)
{
    close_files(s);
    free(s->first);
    free(s->text);
    *s = (struct segments){.count = 0};
}
