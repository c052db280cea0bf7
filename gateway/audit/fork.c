#include "lethe/gateway/audit/fork.h"

#include "log_internal.h"

#include "lethe/gateway/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTED_MAX   4096u
#define SITES_MAX   (1u << 20)
#define FOLDER_MODE 0750
#define NEXT_SITES  "sites.forked" /* becomes the new log's `sites` */

static bool path_of(const char *folder, const char *name, char out[PATH_BYTES])
{
    int n = snprintf(out, PATH_BYTES, "%s/%s", folder, name);

    return n > 0 && (size_t)n < PATH_BYTES;
}

uint64_t audit_fork_number(struct slice name, struct slice origin)
{
    unsigned long long n = 1;

    (void)slice_to_u64(slice_skip(name, origin.len + 1), &n);
    return n;
}

bool audit_fork_why_ok(const char *why)
{
    return record_why_ok(slice_of(why));
}

enum status audit_fork_name(struct slice old, struct slice origin,
                            char out[NOTE_NAME_MAX + 1])
{
    char name[NOTE_NAME_MAX + 32];

    if (!signer_is_of(old, origin) || origin.len > NOTE_NAME_MAX)
        return ST_SYNTAX;
    int n = snprintf(name, sizeof(name), "%.*s/%" PRIu64, SLICE_ARG(origin),
                     audit_fork_number(old, origin) + 1);
    if (n < 0 || (size_t)n > NOTE_NAME_MAX)
        return ST_LIMIT;
    memcpy(out, name, (size_t)n + 1);
    return ST_OK;
}

/* ---- the note -------------------------------------------------------------
 */

/* A checkpoint's three lines, then "<optouts>\n<their hash>\n<why>\n". */
static enum status note_fork(const char *folder, const struct audit_fork *f)
{
    struct checkpoint c = {.origin = slice_of(f->old), .size = f->size};
    char path[PATH_BYTES];
    struct buf text;

    if (!path_of(folder, AUDIT_FORK_FILE, path))
        return ST_LIMIT;
    memcpy(c.root, f->root, HASH_BYTES);
    buf_init(&text, NOTED_MAX);
    checkpoint_put(&c, &text);
    buf_printf(&text, "%" PRIu64 "\n", f->optout);
    hash_line_put(f->optout_hash, &text);
    buf_printf(&text, "%s\n", f->why);
    enum status st =
        text.failed ? ST_NOMEM : file_replace(path, buf_slice(&text));
    buf_free(&text);
    return st;
}

static bool take_line(struct slice *s, struct slice *out)
{
    size_t end = slice_find(*s, '\n');

    *out = slice_head(*s, end);
    *s = slice_skip(*s, end + 1);
    return out->len > 0;
}

static bool parse_fork(struct slice s, struct audit_fork *f)
{
    struct slice whole = s, line;
    struct checkpoint c;
    unsigned long long optout;

    for (unsigned i = 0; i < 3; i++)
        if (!take_line(&s, &line))
            return false;
    if (checkpoint_read(slice_head(whole, whole.len - s.len), &c) != ST_OK ||
        !take_line(&s, &line) || !slice_to_u64(line, &optout) ||
        !hash_line_take(&s, f->optout_hash) || !take_line(&s, &line) ||
        s.len > 0 || line.len >= AUDIT_FORK_WHY || !record_why_ok(line))
        return false;
    memcpy(f->old, c.origin.at, c.origin.len);
    f->size = c.size;
    memcpy(f->root, c.root, HASH_BYTES);
    f->optout = optout;
    memcpy(f->why, line.at, line.len);
    return true;
}

enum status audit_fork_read(const char *folder, struct audit_fork *out)
{
    struct audit_fork f = {.size = 0};
    char path[PATH_BYTES];
    struct buf text;

    if (!path_of(folder, AUDIT_FORK_FILE, path))
        return ST_LIMIT;
    enum status st = file_read(path, NOTED_MAX, &text);
    if (st == ST_IO && errno == ENOENT)
        st = ST_UNKNOWN;
    if (st == ST_OK && !parse_fork(buf_slice(&text), &f))
        st = ST_CORRUPT;
    buf_free(&text);
    if (st == ST_OK)
        *out = f;
    return st;
}

/* ---- the files ------------------------------------------------------------
 */

/* Each site's rows, which the journal counts on: the new log begins there. */
static enum status put_sites(const char *folder, const struct audit_log *l)
{
    char path[PATH_BYTES];
    struct buf text;

    if (!path_of(folder, NEXT_SITES, path))
        return ST_LIMIT;
    buf_init(&text, SITES_MAX);
    for (unsigned i = 0; l != NULL && i < l->site_count; i++) {
        const struct audit_site *s = l->sites[i];
        if (s->label[0] != '\0')
            buf_printf(&text, "0 %016" PRIx64 " %s %" PRIu64 "\n", s->number,
                       s->label, s->total);
    }
    enum status st =
        text.failed ? ST_LIMIT : file_put(path, 0640, buf_slice(&text));
    buf_free(&text);
    return st;
}

/* What the old records still tell, if they can be read. */
static enum status read_old(const char *folder, const struct clock *clock,
                            struct audit_fork *f, bool *out_readable)
{
    const struct audit_config config = {
        .folder = folder, .node = "fork", .origin = f->old, .clock = clock};
    struct audit_recovery found;
    struct audit_log *l = NULL;

    enum status st = audit_open(&config, &l, &found);
    *out_readable = st == ST_OK;
    if (st == ST_OK) {
        f->optout = found.newest_optout;
        memcpy(f->optout_hash, found.newest_hash, HASH_BYTES);
    }
    if (st == ST_OK || st == ST_CORRUPT || st == ST_END)
        st = put_sites(folder, l);
    audit_stop(l);
    return st;
}

static bool stays(const char *name)
{
    static const char *const names[] = {".",   "..",      AUDIT_FORK_FILE,
                                        "old", "reserve", NEXT_SITES};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum status sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status st = fd >= 0 && fsync(fd) == 0 ? ST_OK : ST_IO;

    if (fd >= 0)
        (void)close(fd);
    return st;
}

static enum status make_folder(const char *path)
{
    return mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST ? ST_OK : ST_IO;
}

static enum status move_all(const char *folder, const char *to)
{
    char from[PATH_BYTES], into[PATH_BYTES];
    struct dirent *e;
    enum status st = ST_OK;
    DIR *dir = opendir(folder);

    if (dir == NULL)
        return ST_IO;
    while (st == ST_OK && (e = readdir(dir)) != NULL) {
        if (stays(e->d_name))
            continue;
        if (!path_of(folder, e->d_name, from) || !path_of(to, e->d_name, into))
            st = ST_LIMIT;
        else if (rename(from, into) != 0)
            st = ST_IO;
    }
    (void)closedir(dir);
    return st;
}

static enum status put_aside(const char *folder, uint64_t number)
{
    char old[PATH_BYTES], to[PATH_BYTES], from[PATH_BYTES];
    int n = snprintf(to, sizeof(to), "%s/old/%" PRIu64, folder, number);

    if (n < 0 || (size_t)n >= sizeof(to) || !path_of(folder, "old", old))
        return ST_LIMIT;
    enum status st = make_folder(old);
    if (st == ST_OK)
        st = make_folder(to);
    if (st == ST_OK)
        st = move_all(folder, to);
    if (st != ST_OK || !path_of(folder, NEXT_SITES, from) ||
        !path_of(folder, "sites", to))
        return st == ST_OK ? ST_LIMIT : st;
    return rename(from, to) == 0 ? sync_folder(folder) : ST_IO;
}

static bool is_there(const char *folder, const char *name)
{
    char path[PATH_BYTES];

    return path_of(folder, name, path) && access(path, F_OK) == 0;
}

enum status audit_fork_files(const char *folder, struct slice origin,
                             const struct clock *clock, struct audit_fork *f,
                             bool *out_readable)
{
    struct audit_fork before;
    uint64_t number = audit_fork_number(slice_of(f->old), origin);

    if (!record_why_ok(slice_of(f->why)))
        return ST_SYNTAX;
    /* Begun before; the last step is the new `sites`. */
    if (!is_there(folder, "seg") && audit_fork_read(folder, &before) == ST_OK) {
        *f = before;
        *out_readable = true;
        return is_there(folder, NEXT_SITES)
                   ? put_aside(folder,
                               audit_fork_number(slice_of(f->old), origin))
                   : ST_OK;
    }
    enum status st = read_old(folder, clock, f, out_readable);
    if (st == ST_OK)
        st = note_fork(folder, f);
    return st == ST_OK ? put_aside(folder, number) : st;
}
