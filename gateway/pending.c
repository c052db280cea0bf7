#include "lethe/gateway/pending.h"

#include "lethe/gateway/conf.h"
#include "lethe/gateway/file.h"
#include "lethe/policy/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME    "audit-pending"
#define WHY_MAX 64u

/* What a command may do without a gateway, and nothing else: the file is no
 * way to put other records into the log. */
static const enum audit_record_act acts[] = {
    RECORD_AUDIT_READ, RECORD_SUBJECT_READ, RECORD_OPTOUT_SET,
    RECORD_SITE_RETIRE};

static bool path_of(const char *state_dir, char out[CONF_PATH_MAX])
{
    int n = snprintf(out, CONF_PATH_MAX, "%s/%s", state_dir, NAME);

    return n > 0 && (size_t)n < CONF_PATH_MAX;
}

/* The names in a folder, on disk. */
static enum status sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        (void)close(fd);
    return good ? ST_OK : ST_IO;
}

/* An unfinished last line, from a command that died, ends here. */
static enum status append(int fd, const char *line, size_t len)
{
    struct stat about;
    char last = '\n';

    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return ST_IO;
    if (about.st_size > 0 && pread(fd, &last, 1, about.st_size - 1) != 1)
        return ST_IO;
    if ((size_t)about.st_size + len + 1 > PENDING_BYTES_MAX)
        return ST_LIMIT;
    if (last != '\n' && write(fd, "\n", 1) != 1)
        return ST_IO;
    return write(fd, line, len) == (ssize_t)len && fsync(fd) == 0 ? ST_OK
                                                                  : ST_IO;
}

enum status pending_add(const char *state_dir, enum audit_record_act act,
                        const char *why, const char *members, int64_t now_ms)
{
    char path[CONF_PATH_MAX], line[PENDING_LINE_MAX], at[TIME_TEXT_MAX];

    (void)time_format(now_ms, true, at);
    int n = snprintf(line, sizeof(line), "%s %s {\"at\":\"%s\"%s%s}\n",
                     audit_record_act_name(act), why, at,
                     members[0] != '\0' ? "," : "", members);
    if (n < 0 || (size_t)n >= sizeof(line) || !path_of(state_dir, path))
        return ST_LIMIT;
    int fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ST_IO;
    enum status st = append(fd, line, (size_t)n);
    if (close(fd) != 0 && st == ST_OK)
        st = ST_IO;
    return st == ST_OK ? sync_folder(state_dir) : st;
}

/* "<act> <why> <d>" */
static enum status hand_over(struct slice line, pending_fn *record, void *ctx)
{
    size_t act_end = slice_find(line, ' ');
    struct slice act = slice_head(line, act_end);
    struct slice rest = slice_skip(line, act_end + 1);
    size_t why_end = slice_find(rest, ' ');
    char why[WHY_MAX];

    if (why_end == 0 || why_end >= sizeof(why) || why_end == rest.len)
        return record(ctx, RECORD_ACT_COUNT, "", SLICE_NONE);
    memcpy(why, rest.at, why_end);
    why[why_end] = '\0';
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (slice_eq(act, slice_of(audit_record_act_name(acts[i]))))
            return record(ctx, acts[i], why, slice_skip(rest, why_end + 1));
    return record(ctx, RECORD_ACT_COUNT, "", SLICE_NONE);
}

enum status pending_take(const char *state_dir, pending_fn *record, void *ctx)
{
    char path[CONF_PATH_MAX];
    struct buf text;

    if (!path_of(state_dir, path))
        return ST_LIMIT;
    enum status st = file_read(path, PENDING_BYTES_MAX, &text);
    bool absent = st == ST_IO && errno == ENOENT;
    struct slice rest = st == ST_OK ? buf_slice(&text) : SLICE_NONE;
    while (st == ST_OK && rest.len > 0) {
        size_t end = slice_find(rest, '\n');
        st = hand_over(slice_head(rest, end), record, ctx);
        rest = slice_skip(rest, end + 1);
    }
    buf_free(&text);
    if (st == ST_OK)
        st = unlink(path) == 0 ? sync_folder(state_dir) : ST_IO;
    return absent ? ST_OK : st;
}
