#include "log_fields.h"

#include "lethe/policy/base/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_DIGITS 12u
#define PATH_BYTES  4200u

struct slice field_after(struct slice s, const char *key)
{
    struct slice k = slice_of(key);
    const char *at = s.len < k.len ? NULL : memmem(s.at, s.len, k.at, k.len);

    return at == NULL ? SLICE_NONE : slice_skip(s, (size_t)(at - s.at) + k.len);
}

uint64_t field_number(struct slice s)
{
    unsigned long long v = 0;
    size_t n = 0;

    while (n < s.len && s.at[n] >= '0' && s.at[n] <= '9')
        n++;
    return slice_to_u64(slice_head(s, n), &v) ? v : 0;
}

struct slice field_text(struct slice s)
{
    return slice_head(s, slice_find(s, '"'));
}

int64_t field_time(struct slice s)
{
    int64_t t = 0;

    return time_parse(field_text(s), &t) == ST_OK ? t : 0;
}

void field_counts(struct slice s, struct audit_counts *out)
{
    *out = (struct audit_counts){
        .in = field_number(field_after(s, "\"in\":")),
        .fwd = field_number(field_after(s, "\"fwd\":")),
        .mod = field_number(field_after(s, "\"mod\":")),
        .drop = field_number(field_after(s, "\"drop\":")),
    };
}

static uint64_t sum_exceptions(struct slice ex)
{
    uint64_t sum = 0;

    for (ex = slice_head(ex, slice_find(ex, '}')); ex.len > 0;) {
        size_t end = slice_find(ex, ']');
        size_t at = end;
        while (at > 0 && ex.at[at - 1] != ',')
            at--;
        sum += at == 0 ? 0 : field_number(slice_skip(ex, at));
        ex = slice_skip(ex, end + 1);
    }
    return sum;
}

uint64_t field_rows(struct slice d)
{
    return field_number(field_after(d, "\"in\":")) +
           sum_exceptions(field_after(d, "\"ex\":["));
}

/* ---- names ----------------------------------------------------------------
 */

static bool name_parse(struct slice line, struct audit_name *out)
{
    char text[128];

    if (line.len >= sizeof(text))
        return false;
    memcpy(text, line.at, line.len);
    text[line.len] = '\0';
    return sscanf(text, "%" SCNu64 " %16" SCNx64 " %32s %" SCNu64, &out->index,
                  &out->number, out->label, &out->gap) == 4;
}

enum status names_read(const char *path, struct audit_names *out)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    enum status st = ST_OK;
    FILE *in = fopen(path, "re");

    *out = (struct audit_names){.count = 0};
    if (in == NULL)
        return ST_IO;
    while (st == ST_OK && (n = getline(&text, &size, in)) > 0) {
        struct audit_name line;
        if (text[n - 1] != '\n' ||
            !name_parse((struct slice){text, (size_t)n - 1}, &line))
            break;
        void *more = realloc(out->list, (out->count + 1) * sizeof(*out->list));
        if (more == NULL) {
            st = ST_NOMEM;
            break;
        }
        out->list = more;
        out->list[out->count++] = line;
        out->good += (uint64_t)n;
    }
    free(text);
    (void)fclose(in);
    return st;
}

bool names_find(const struct audit_names *names, struct slice label,
                uint64_t index, uint64_t *out_number)
{
    for (size_t i = names->count; i > 0; i--) {
        const struct audit_name *n = &names->list[i - 1];
        if (n->index <= index && slice_eq(slice_of(n->label), label)) {
            *out_number = n->number;
            return true;
        }
    }
    return false;
}

/* ---- files ----------------------------------------------------------------
 */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static enum status list_add(const char *file, const char *suffix,
                            uint64_t **list, size_t *count)
{
    struct slice name = slice_of(file), end = slice_of(suffix);
    unsigned long long first;

    if (!slice_ends(name, end) || name.len != FILE_DIGITS + end.len ||
        !slice_to_u64(slice_head(name, FILE_DIGITS), &first))
        return ST_OK;
    uint64_t *more = realloc(*list, (*count + 1) * sizeof(**list));
    if (more == NULL)
        return ST_NOMEM;
    *list = more;
    more[(*count)++] = first;
    return ST_OK;
}

enum status log_files(const char *folder, const char *part, const char *suffix,
                      uint64_t **out, size_t *out_count)
{
    char path[PATH_BYTES];
    uint64_t *list = NULL;
    size_t count = 0;
    enum status st = ST_OK;
    struct dirent *e;

    if (snprintf(path, sizeof(path), "%s/%s", folder, part) >=
        (int)sizeof(path))
        return ST_IO;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return ST_IO;
    while (st == ST_OK && (e = readdir(dir)) != NULL)
        st = list_add(e->d_name, suffix, &list, &count);
    (void)closedir(dir);
    if (st != ST_OK) {
        free(list);
        return st;
    }
    if (count > 0)
        qsort(list, count, sizeof(*list), compare_u64);
    *out = list;
    *out_count = count;
    return ST_OK;
}
