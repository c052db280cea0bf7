#include "jsonl_inner.h"

#include "lethe/gateway/sink/owner.h"
#include "lethe/gateway/sink/subject.h"
#include "lethe/policy/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pass { /* over all files */
    struct file_sink *s;
    const struct subject_names *names;
    subject_line_fn *each;
    void *ctx;
    uint64_t rows;
};

int subject_name_order(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len == 0 ? 0 : memcmp(x->at, y->at, len);

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* A name between two quotes: a value of ours, wherever it stands. Whatever lies
 * between any two neighbouring quotes is looked up, so that no escape can hide
 * one. */
static bool is_theirs(const struct subject_names *names, struct slice line)
{
    size_t quote = slice_find(line, '"');

    while (quote < line.len) {
        line = slice_skip(line, quote + 1);
        quote = slice_find(line, '"');
        struct slice between = slice_head(line, quote);
        if (quote < line.len &&
            bsearch(&between, names->names, names->count, sizeof(between),
                    subject_name_order) != NULL)
            return true;
    }
    return false;
}

/* Walk the lines of `from`; those of others go to `to`, if there is one. A torn
 * last line is nobody's yet: it stays. */
static enum status walk(struct pass *p, FILE *from, FILE *to,
                        uint64_t *out_theirs)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    enum status r = ST_OK;

    while (r == ST_OK && (len = getline(&line, &room, from)) > 0) {
        struct slice s = {line, (size_t)len};
        if (s.len > SUBJECT_LINE_MAX)
            r = ST_LIMIT;
        else if (line[len - 1] == '\n' && is_theirs(p->names, s)) {
            (*out_theirs)++;
            if (p->each != NULL)
                r = p->each(p->ctx, slice_head(s, s.len - 1));
        } else if (to != NULL && fwrite(line, 1, s.len, to) != s.len)
            r = errno == ENOSPC ? ST_FULL : ST_IO;
    }
    free(line);
    return r == ST_OK && ferror(from) != 0 ? ST_IO : r;
}

static FILE *open_read(struct pass *p, const char *name)
{
    int fd = openat(p->s->folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

    if (f == NULL && fd >= 0)
        (void)close(fd);
    return f;
}

/* Mode, owner and group as the file's that it will replace. */
static FILE *open_anew(struct pass *p, const char *anew, FILE *like)
{
    struct stat st;
    int fd = openat(p->s->folder_fd, anew,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return NULL;
    FILE *f = fstat(fileno(like), &st) == 0 &&
                      fchown(fd, (uid_t)-1, st.st_gid) == 0 &&
                      fchmod(fd, st.st_mode & 0777u) == 0
                  ? fdopen(fd, "w")
                  : NULL;
    if (f == NULL)
        (void)close(fd);
    return f;
}

/* All of `to` on disk; closes it. */
static enum status finish(FILE *to, enum status r)
{
    if (r == ST_OK && (fflush(to) != 0 || fsync(fileno(to)) != 0))
        r = errno == ENOSPC ? ST_FULL : ST_IO;
    if (fclose(to) != 0 && r == ST_OK)
        r = ST_IO;
    return r;
}

/* Only read first: most files hold nothing of this person. */
static enum status erase_file(struct pass *p, const char *name)
{
    char anew[JSONL_NAME_MAX + sizeof(JSONL_ANEW)];
    uint64_t theirs = 0;
    FILE *from = open_read(p, name), *to = NULL;
    struct pass quiet = *p;

    (void)snprintf(anew, sizeof(anew), "%s" JSONL_ANEW, name);
    if (from == NULL)
        return ST_IO;
    (void)unlinkat(p->s->folder_fd, anew, 0);
    to = open_anew(p, anew, from);
    quiet.each = NULL;
    enum status r = to == NULL ? (errno == ENOSPC ? ST_FULL : ST_IO)
                               : walk(&quiet, from, to, &theirs);
    if (to != NULL)
        r = finish(to, r);
    (void)fclose(from);
    if (r == ST_OK &&
        (renameat(p->s->folder_fd, anew, p->s->folder_fd, name) != 0 ||
         fsync(p->s->folder_fd) != 0))
        r = ST_IO;
    if (r != ST_OK)
        (void)unlinkat(p->s->folder_fd, anew, 0);
    return r;
}

static enum status one_file(struct pass *p, const char *name, bool erase)
{
    FILE *from = open_read(p, name);
    uint64_t theirs = 0;

    if (from == NULL)
        return errno == ENOENT ? ST_OK : ST_IO;
    enum status r = walk(p, from, NULL, &theirs);
    (void)fclose(from);
    if (r == ST_OK && erase && theirs > 0)
        r = erase_file(p, name);
    if (r == ST_OK)
        p->rows += theirs;
    return r;
}

static int by_day(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

#define DAYS_MAX 4096u /* since an epoch began */

/* The days of the files that can hold something, in order. */
static enum status list_days(const struct pass *p, uint32_t *days,
                             unsigned *out_count)
{
    const struct dirent *entry;
    uint32_t first = jsonl_day_of(p->names->since_ms), day;
    DIR *dir = opendir(p->s->folder);

    *out_count = 0;
    if (dir == NULL)
        return ST_IO;
    while ((entry = readdir(dir)) != NULL)
        if (jsonl_name_day(p->s->stem, entry->d_name, &day) && day >= first &&
            *out_count < DAYS_MAX)
            days[(*out_count)++] = day;
    (void)closedir(dir);
    qsort(days, *out_count, sizeof(days[0]), by_day);
    return *out_count == DAYS_MAX ? ST_LIMIT : ST_OK;
}

enum status jsonl_subject(struct file_sink *s,
                          const struct subject_names *names, bool erase,
                          subject_line_fn *each, void *ctx, uint64_t *out_rows)
{
    struct pass p = {.s = s, .names = names, .each = each, .ctx = ctx};
    uint32_t *days = calloc(DAYS_MAX, sizeof(*days));
    char name[JSONL_NAME_MAX];
    unsigned count = 0;
    enum status r = days == NULL ? ST_NOMEM : list_days(&p, days, &count);

    for (unsigned i = 0; r == ST_OK && i < count; i++) {
        r = jsonl_day_name(s->stem, days[i], name);
        if (r == ST_OK)
            r = one_file(&p, name, erase);
    }
    free(days);
    *out_rows = p.rows;
    return r;
}

enum status jsonl_length(struct file_sink *s, uint32_t day,
                         uint64_t *out_length)
{
    char name[JSONL_NAME_MAX];
    struct stat st;
    enum status r = jsonl_day_name(s->stem, day, name);

    *out_length = 0;
    if (r != ST_OK)
        return r;
    if (fstatat(s->folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ST_OK : ST_IO;
    *out_length = (uint64_t)st.st_size;
    return ST_OK;
}
