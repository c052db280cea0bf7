/* log_file.c - segments, rows files, the reserve; what is on disk is on disk.
 *
 * Order of a flush: rows written and synced, then records written and synced.
 * A record on disk therefore always has its rows. */
#include "log_internal.h"

#include "lethe/policy/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0640

enum status file_append_open(struct audit_file *f)
{
    struct stat s;

    f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (f->fd < 0)
        return errno == ENOSPC ? ST_FULL : ST_IO;
    if (fstat(f->fd, &s) != 0) {
        file_close(f);
        return ST_IO;
    }
    f->size = (uint64_t)s.st_size;
    return ST_OK;
}

void file_close(struct audit_file *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
}

static enum status sync_one(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status st = fd >= 0 && fsync(fd) == 0 ? ST_OK : ST_IO;

    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* The three folders' entries. */
enum status folder_sync(const struct audit_log *l)
{
    static const char *const parts[] = {"", "/seg", "/rows"};
    char path[PATH_BYTES];

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", l->folder, parts[i]);
        enum status st = sync_one(path);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum status segment_open(struct audit_log *l, uint64_t first)
{
    struct audit_file seg = {.fd = -1}, rows = {.fd = -1};
    enum status st;

    (void)snprintf(seg.path, sizeof(seg.path), "%s/seg/%012" PRIu64 ".jsonl",
                   l->folder, first);
    (void)snprintf(rows.path, sizeof(rows.path), "%s/rows/%012" PRIu64 ".rows",
                   l->folder, first);
    st = file_append_open(&rows);
    if (st == ST_OK)
        st = file_append_open(&seg);
    if (st == ST_OK)
        st = folder_sync(l);
    if (st != ST_OK) {
        file_close(&rows);
        file_close(&seg);
        return st;
    }
    file_close(&l->rows);
    file_close(&l->seg);
    l->rows = rows;
    l->seg = seg;
    l->segment_first = first;
    return ST_OK;
}

enum status segment_roll(struct audit_log *l, int64_t t_ms)
{
    int64_t day = t_ms / MS_PER_DAY;
    enum status st;

    if (l->next_index == l->segment_first)
        l->segment_day = day;
    if (l->next_index % SEGMENT_ALIGN != 0 ||
        l->next_index == l->segment_first ||
        (l->seg.size + l->seg_out.len < SEGMENT_BYTES && day == l->segment_day))
        return ST_OK;
    st = log_flush(l);
    /* No room for a new file: go on in the old one, to the next multiple. */
    if (st == ST_FULL || l->next_index % SEGMENT_ALIGN != 0)
        return ST_OK;
    if (st == ST_OK)
        st = segment_open(l, l->next_index);
    if (st == ST_OK)
        l->segment_day = day;
    return st == ST_FULL ? ST_OK : st;
}

/* One path, one inode, still linked: nobody moved the file away (a log that
 * writes on into a deleted file is lost without a sign). */
static bool is_in_place(const struct audit_file *f)
{
    struct stat open_one, named;

    return fstat(f->fd, &open_one) == 0 && stat(f->path, &named) == 0 &&
           open_one.st_nlink >= 1 && open_one.st_ino == named.st_ino &&
           open_one.st_dev == named.st_dev;
}

/* Write all of `b` behind the synced bytes. ST_FULL: the file is as it was. */
static enum status write_out(struct audit_file *f, const struct buf *b)
{
    size_t done = 0;

    while (done < b->len) {
        ssize_t n = pwrite(f->fd, b->data + done, b->len - done,
                           (off_t)(f->size + done));
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != ENOSPC && errno != EDQUOT)
            return ST_IO;
        return ftruncate(f->fd, (off_t)f->size) == 0 ? ST_FULL : ST_IO;
    }
    return ST_OK;
}

static enum status flush_once(struct audit_log *l)
{
    enum status st;

    if (!is_in_place(&l->seg) || !is_in_place(&l->rows))
        return ST_CORRUPT;
    st = write_out(&l->rows, &l->rows_out);
    if (st != ST_OK)
        return st;
    /* A sync that failed is never tried again: its pages may be gone. */
    if (l->rows_out.len > 0 && fdatasync(l->rows.fd) != 0)
        return ST_IO;
    st = write_out(&l->seg, &l->seg_out);
    if (st == ST_FULL && ftruncate(l->rows.fd, (off_t)l->rows.size) != 0)
        return ST_IO;
    if (st != ST_OK)
        return st;
    if (l->seg_out.len > 0 && fdatasync(l->seg.fd) != 0)
        return ST_IO;
    l->rows.size += l->rows_out.len;
    l->seg.size += l->seg_out.len;
    atomic_fetch_add(&l->row_bytes, l->rows_out.len);
    atomic_fetch_add(&l->record_bytes, l->seg_out.len);
    atomic_store(&l->synced, l->next_index);
    publish_lines(l, buf_slice(&l->seg_out));
    buf_reset(&l->rows_out);
    buf_reset(&l->seg_out);
    return ST_OK;
}

bool reserve_make(struct audit_log *l)
{
    if (!l->reserved && l->reserve_fd >= 0)
        l->reserved = posix_fallocate(l->reserve_fd, 0, RESERVE_BYTES) == 0;
    /* A part of it would hold room that others need more. */
    if (!l->reserved && l->reserve_fd >= 0 && ftruncate(l->reserve_fd, 0) != 0)
        return false;
    return l->reserved;
}

void reserve_release(struct audit_log *l)
{
    if (l->reserved && ftruncate(l->reserve_fd, 0) == 0)
        l->reserved = false;
}

static void blocked_put(struct audit_log *l, struct slice d)
{
    record_put(l,
               &(struct record_head){.act = RECORD_AUDIT_BLOCKED,
                                     .why = SLICE("timer"),
                                     .out = AUDIT_FAILED,
                                     .t_ms = record_time(l)},
               d);
}

/* The disk is full: say so in the log, in the room kept for that. */
static enum status block(struct audit_log *l)
{
    bool first = !l->blocked;

    l->blocked = true;
    if (first) {
        log_error(LOG_AUDIT, "disk full: audit blocked");
        l->blocked_mono = l->config.clock->mono_ms(l->config.clock->ctx);
        blocked_put(l, SLICE("{\"cause\":\"disk-full\",\"state\":\"begin\"}"));
    }
    reserve_release(l);
    return flush_once(l);
}

static enum status unblock(struct audit_log *l)
{
    char d[96];
    int64_t ms =
        l->config.clock->mono_ms(l->config.clock->ctx) - l->blocked_mono;

    if (!reserve_make(l))
        return ST_OK;
    int n = snprintf(
        d, sizeof(d),
        "{\"cause\":\"disk-full\",\"state\":\"end\",\"ms\":%" PRId64 "}", ms);
    blocked_put(l, (struct slice){d, (size_t)n});
    l->blocked = false;
    log_info(LOG_AUDIT, "audit goes on", LOG_NUM("ms", ms));
    return flush_once(l);
}

enum status log_flush(struct audit_log *l)
{
    enum status st;

    if (l->broken)
        return ST_IO;
    if (l->rows_out.failed || l->seg_out.failed)
        return ST_NOMEM;
    st = flush_once(l);
    if (st == ST_FULL)
        st = block(l);
    if (st == ST_OK && l->blocked)
        st = unblock(l);
    return st;
}

void log_break(struct audit_log *l, enum status st)
{
    if (atomic_exchange(&l->broken, true))
        return;
    log_error(LOG_AUDIT, "cannot write the audit log",
              LOG_NAME("why", status_name(st)));
    if (l->config.on_broken != NULL)
        l->config.on_broken(l->config.ctx, st);
}
