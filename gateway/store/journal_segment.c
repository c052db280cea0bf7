#include "journal_private.h"

#include "lethe/gateway/store/fileio.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define NUMBER_MAX 99999999u
#define TEMP_NAME  "new.tmp"
#define RETRY_S    1

static bool path_make(const struct journal *j, const char *name,
                      char out[PATH_MAX])
{
    int len = snprintf(out, PATH_MAX, "%s/%s", j->folder, name);

    return len > 0 && len < PATH_MAX;
}

/* "seg.00000001": exactly eight digits. */
static bool name_number(const char *name, unsigned *out)
{
    unsigned number = 0;

    if (strncmp(name, "seg.", 4) != 0)
        return false;
    for (unsigned i = 4; i < 12; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        number = number * 10 + (unsigned)(name[i] - '0');
    }
    if (name[12] != '\0')
        return false;
    *out = number;
    return true;
}

static struct segment *segment_new(int fd, unsigned number)
{
    struct segment *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->fd = fd;
    s->number = number;
    s->state = SEG_SPARE;
    return s;
}

void journal_segment_free(struct segment *s)
{
    if (s == NULL)
        return;
    (void)close(s->fd);
    free(s->groups);
    free(s->shares);
    free(s);
}

enum status journal_segments_take(struct journal *j, struct segment *made)
{
    assert(made != NULL);
    if (j->segment_count == JOURNAL_SEGMENTS_MAX)
        return ST_LIMIT;
    j->segments[j->segment_count++] = made;
    if (made->number >= j->next_number)
        j->next_number = made->number + 1;
    return ST_OK;
}

/* A file that is too short was cut: its length is restored with zeros. */
static enum status segment_adopt(struct journal *j, const char *name,
                                 unsigned number)
{
    char path[PATH_MAX];
    struct stat sb;
    enum status st = ST_IO;

    if (!path_make(j, name, path))
        return ST_IO;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &sb) != 0)
        goto fail;
    st = ST_CORRUPT;
    if (!S_ISREG(sb.st_mode) || (uint64_t)sb.st_size > j->segment_bytes)
        goto fail;
    st = file_write_zeros(fd, (uint64_t)sb.st_size,
                          j->segment_bytes - (uint64_t)sb.st_size);
    if (st != ST_OK)
        goto fail;
    struct segment *s = segment_new(fd, number);
    st = s == NULL ? ST_NOMEM : journal_segments_take(j, s);
    if (st == ST_OK)
        return ST_OK;
    free(s);

fail:
    if (fd >= 0)
        (void)close(fd);
    return st;
}

enum status journal_segments_find(struct journal *j)
{
    char path[PATH_MAX];
    enum status st = ST_OK;
    struct dirent *entry;
    unsigned number;

    DIR *dir = opendir(j->folder);
    if (dir == NULL)
        return ST_IO;
    while (st == ST_OK && (entry = readdir(dir)) != NULL) {
        if (name_number(entry->d_name, &number))
            st = segment_adopt(j, entry->d_name, number);
    }
    (void)closedir(dir);
    if (path_make(j, TEMP_NAME, path))
        (void)unlink(path); /* half-made when the last process ended */
    return st;
}

bool journal_disk_is_low(const struct journal *j, uint64_t more,
                         uint64_t keep_free)
{
    struct statvfs vfs;

    if (statvfs(j->folder, &vfs) != 0)
        return true; /* unknown is not enough */
    uint64_t left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return left < more || left - more < keep_free;
}

static enum status file_fill(const struct journal *j, int fd)
{
    /* Allocated in one piece if it can be; zeros make it written. */
    if (fallocate(fd, 0, 0, (off_t)j->segment_bytes) != 0 &&
        errno != EOPNOTSUPP && errno != EINTR)
        return file_error();
    enum status st = file_write_zeros(fd, 0, j->segment_bytes);
    if (st == ST_OK && fsync(fd) != 0)
        st = file_error();
    return st;
}

/* The number is the maker's to choose: only one thread makes segments. */
enum status journal_segment_make(const struct journal *j, uint64_t keep_free,
                                 struct segment **out)
{
    char temp[PATH_MAX], path[PATH_MAX], name[32];
    unsigned number = j->next_number;
    enum status st = ST_IO;

    (void)snprintf(name, sizeof(name), "seg.%08u", number);
    if (number > NUMBER_MAX || !path_make(j, name, path) ||
        !path_make(j, TEMP_NAME, temp))
        return ST_IO;
    if (journal_disk_is_low(j, j->segment_bytes, keep_free))
        return ST_FULL;
    int fd =
        open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return file_error();
    st = file_fill(j, fd);
    if (st != ST_OK)
        goto fail;
    struct segment *s = segment_new(fd, number);
    if (s == NULL) {
        st = ST_NOMEM;
        goto fail;
    }
    if (rename(temp, path) == 0 && file_sync_folder(j->folder) == ST_OK) {
        *out = s;
        return ST_OK;
    }
    st = ST_IO;
    free(s);

fail:
    (void)close(fd);
    (void)unlink(temp);
    return st;
}

struct segment *journal_segment_spare(struct journal *j)
{
    struct segment *best = NULL;

    /* Zeroed ones first: what is old then waits for the helper's zeros. */
    for (unsigned i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        if (s->state == SEG_SPARE && (best == NULL || best->dirty))
            best = s;
    }
    return best;
}

unsigned journal_segments_spare(const struct journal *j)
{
    unsigned spare = 0;

    for (unsigned i = 0; i < j->segment_count; i++)
        spare += j->segments[i]->state == SEG_SPARE;
    return spare;
}

static void make_spare(struct journal *j)
{
    struct segment *made = NULL;
    uint64_t keep_free = j->limits.disk_free;

    j->wanted = false;
    (void)pthread_mutex_unlock(&j->lock);
    enum status st = journal_segment_make(j, keep_free, &made);
    (void)pthread_mutex_lock(&j->lock);
    if (st == ST_OK) {
        st = journal_segments_take(j, made);
        if (st != ST_OK)
            journal_segment_free(made);
    }
    j->attempts++;
    j->attempt_status = st;
    (void)pthread_cond_broadcast(&j->changed);
}

static void wait_to_retry(struct journal *j)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_S;
    while (!j->stopping && !j->wanted &&
           pthread_cond_timedwait(&j->changed, &j->lock, &until) == 0)
        ;
}

static void *maker_run(void *ctx)
{
    struct journal *j = ctx;

    (void)pthread_mutex_lock(&j->lock);
    while (!j->stopping) {
        if (journal_segments_spare(j) >= JOURNAL_SPARES) {
            j->wanted = false;
            (void)pthread_cond_wait(&j->changed, &j->lock);
            continue;
        }
        make_spare(j);
        if (j->attempt_status != ST_OK)
            wait_to_retry(j);
    }
    (void)pthread_mutex_unlock(&j->lock);
    return NULL;
}

enum status journal_maker_start(struct journal *j)
{
    if (pthread_create(&j->maker, NULL, maker_run, j) != 0)
        return ST_NOMEM;
    j->maker_runs = true;
    return ST_OK;
}

void journal_maker_stop(struct journal *j)
{
    if (!j->maker_runs)
        return;
    (void)pthread_mutex_lock(&j->lock);
    j->stopping = true;
    (void)pthread_cond_broadcast(&j->changed);
    (void)pthread_mutex_unlock(&j->lock);
    (void)pthread_join(j->maker, NULL);
    j->maker_runs = false;
}

enum status journal_segment_await(struct journal *j, struct segment **out)
{
    struct segment *s = journal_segment_spare(j);

    if (s == NULL) {
        /* The attempt under way may have begun before we came: two more
         * ends of attempts are enough to know. */
        uint64_t seen = j->attempts + 2;
        j->wanted = true;
        (void)pthread_cond_broadcast(&j->changed);
        while (s == NULL && j->attempts < seen && !j->stopping) {
            if (j->attempts + 1 == seen && j->attempt_status != ST_OK)
                break; /* no use asking a full disk twice */
            (void)pthread_cond_wait(&j->changed, &j->lock);
            s = journal_segment_spare(j);
        }
    }
    if (s == NULL)
        return j->attempt_status == ST_IO ? ST_IO : ST_FULL;
    *out = s;
    return ST_OK;
}

uint64_t journal_segment_last_sequence(const struct segment *s)
{
    return s->group_count == 0 ? 0 : s->groups[s->group_count - 1].sequence;
}

enum status journal_segment_reserve(struct segment *s)
{
    if (s->group_count < s->group_size)
        return ST_OK;
    unsigned size = s->group_size == 0 ? 64 : s->group_size * 2;
    void *more = realloc(s->groups, size * sizeof(*s->groups));
    if (more == NULL)
        return ST_NOMEM;
    s->groups = more;
    s->group_size = size;
    return ST_OK;
}

void journal_segment_add_group(struct segment *s,
                               const struct journal_header *h, uint64_t offset)
{
    uint64_t bytes = journal_padded(h->length);

    assert(s->group_count < s->group_size);
    s->groups[s->group_count++] =
        (struct group_at){.sequence = h->sequence,
                          .page = (uint32_t)(offset / JOURNAL_PAGE),
                          .pages = (uint32_t)(bytes / JOURNAL_PAGE),
                          .accepted_ms = h->accepted_ms};
    s->used = offset + bytes;
}
