#include "lethe/gateway/audit/kept.h"

#include "lethe/gateway/audit/tlog/checkpoint.h"
#include "lethe/gateway/audit/tlog/note.h"
#include "lethe/gateway/file.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_MODE    0640
#define FOLDER_MODE  0750
#define NAME_BYTES   32u
#define PERIOD_BYTES 24u /* "<number>\n" before the note in "shown" */
#define PERIOD_NONE  INT64_MIN

/* A checkpoint as it lies on disk. */
struct kept_note {
    struct buf bytes;
    struct checkpoint c; /* borrows from bytes */
    unsigned signatures;
};

struct audit_kept {
    char folder[PATH_MAX - 64];
    pthread_mutex_t lock;
    struct kept_note shown; /* under the lock; bytes.len 0: none */
    int64_t period;         /* that it was taken at the beginning of */
    char day[DAY_TEXT_MAX]; /* that has its checkpoint, or "" */
    bool cosigned;          /* and cosigned */
    int64_t look_ms;        /* no sooner is the disk looked at for that day */
};

/* ---- notes -----------------------------------------------------------------
 */

static bool parse(struct kept_note *n)
{
    struct note parts;

    if (note_read(buf_slice(&n->bytes), &parts) != ST_OK ||
        checkpoint_read(parts.text, &n->c) != ST_OK)
        return false;
    n->signatures = parts.count;
    return n->c.size > 0; /* that of a new log says nothing */
}

static bool read_note(const struct audit_kept *k, const char *name,
                      struct kept_note *out)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", k->folder, name);
    bool good =
        file_read(path, NOTE_BYTES_MAX, &out->bytes) == ST_OK && parse(out);
    if (!good)
        buf_free(&out->bytes);
    return good;
}

static enum status write_bytes(const struct audit_kept *k, const char *name,
                               struct slice bytes)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", k->folder, name);
    enum status st = file_put(path, FILE_MODE, bytes);
    if (st != ST_OK)
        log_warn(LOG_AUDIT, "a checkpoint could not be kept",
                 LOG_NAME("why", status_name(st)));
    return st;
}

/* The newest, and if the witnesses have signed something since `above` leaves,
 * that. False: nothing was signed. */
static bool read_newest(const struct audit_kept *k, uint64_t above,
                        struct kept_note *out)
{
    struct kept_note cosigned;

    if (!read_note(k, "checkpoint", out))
        return false;
    if (!read_note(k, "cosigned", &cosigned))
        return true;
    if (cosigned.c.size > above && cosigned.c.size <= out->c.size &&
        slice_eq(cosigned.c.origin, out->c.origin)) {
        buf_free(&out->bytes);
        *out = cosigned;
    } else {
        buf_free(&cosigned.bytes);
    }
    return true;
}

/* ---- the public one
 * ----------------------------------------------------------- */

/* A restart within its hour shows the same again. */
static void read_shown(struct audit_kept *k)
{
    struct kept_note n;
    unsigned long long period;
    char path[PATH_MAX];
    struct buf all;

    (void)snprintf(path, sizeof(path), "%s/shown", k->folder);
    if (file_read(path, NOTE_BYTES_MAX + PERIOD_BYTES, &all) == ST_OK) {
        struct slice s = buf_slice(&all);
        size_t end = slice_find(s, '\n');
        buf_init(&n.bytes, NOTE_BYTES_MAX);
        buf_put(&n.bytes, slice_skip(s, end + 1));
        if (slice_to_u64(slice_head(s, end), &period) && period <= INT64_MAX &&
            !n.bytes.failed && parse(&n)) {
            k->shown = n;
            k->period = (int64_t)period;
        } else {
            buf_free(&n.bytes);
        }
    }
    buf_free(&all);
}

static void write_shown(const struct audit_kept *k)
{
    struct buf all;

    buf_init(&all, NOTE_BYTES_MAX + PERIOD_BYTES);
    buf_printf(&all, "%" PRIi64 "\n", k->period);
    buf_put(&all, buf_slice(&k->shown.bytes));
    /* Not on disk, it is shown all the same: at worst a restart shows a newer
     * one within the hour. */
    if (!all.failed && write_bytes(k, "shown", buf_slice(&all)) != ST_OK)
        log_debug(LOG_AUDIT, "the public checkpoint is in memory only");
    buf_free(&all);
}

static void show(struct audit_kept *k, int64_t period)
{
    bool first = k->shown.bytes.len == 0;
    struct kept_note n;

    if (!read_newest(k, k->shown.c.size, &n)) {
        if (!first) /* the next chance is the next hour */
            k->period = period;
        return;
    }
    /* After a fork it is another log. */
    bool newer = first || n.c.size > k->shown.c.size ||
                 !slice_eq(n.c.origin, k->shown.c.origin);
    pthread_mutex_lock(&k->lock);
    k->period = period;
    struct kept_note old = newer ? k->shown : n;
    if (newer)
        k->shown = n;
    pthread_mutex_unlock(&k->lock);
    buf_free(&old.bytes);
    write_shown(k);
}

bool audit_kept_shown(struct audit_kept *k, struct buf *out)
{
    pthread_mutex_lock(&k->lock);
    bool any = k->shown.bytes.len > 0;
    buf_put(out, buf_slice(&k->shown.bytes));
    pthread_mutex_unlock(&k->lock);
    return any && !out->failed;
}

/* ---- one a day
 * ------------------------------------------------------------------ */

static void make_folder(const struct audit_kept *k)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/cp", k->folder);
    if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
        log_warn(LOG_AUDIT, "the folder for each day's checkpoint cannot be "
                            "made");
}

/* The day's first, and in its place the first of the day that is cosigned. */
static void keep_day(struct audit_kept *k, const char *day)
{
    struct kept_note have, n;
    char name[NAME_BYTES];
    bool is_there;

    (void)snprintf(name, sizeof(name), "cp/%s.txt", day);
    is_there = read_note(k, name, &have);
    if (is_there && have.signatures > 1) {
        k->cosigned = true;
    } else if (!is_there) {
        make_folder(k);
        if (read_note(k, "checkpoint", &n)) {
            is_there = write_bytes(k, name, buf_slice(&n.bytes)) == ST_OK;
            buf_free(&n.bytes);
        }
    } else if (read_note(k, "cosigned", &n)) {
        if (n.c.size >= have.c.size && slice_eq(n.c.origin, have.c.origin) &&
            write_bytes(k, name, buf_slice(&n.bytes)) == ST_OK)
            k->cosigned = true;
        buf_free(&n.bytes);
    }
    if (is_there) {
        (void)snprintf(k->day, sizeof(k->day), "%s", day);
        buf_free(&have.bytes);
    }
}

static void tick_day(struct audit_kept *k, int64_t wall_ms)
{
    char today[DAY_TEXT_MAX];

    day_format(wall_ms, today);
    bool has = slice_eq(slice_of(today), slice_of(k->day));
    if (has && (k->cosigned || wall_ms < k->look_ms))
        return;
    if (!has)
        k->cosigned = false;
    keep_day(k, today);
    k->look_ms = wall_ms + MS_PER_MIN;
}

void audit_kept_tick(struct audit_kept *k, int64_t wall_ms)
{
    int64_t period = wall_ms / AUDIT_SHOWN_EVERY_MS;

    if (period != k->period)
        show(k, period);
    tick_day(k, wall_ms);
}

/* ---- life
 * -------------------------------------------------------------------------- */

enum status audit_kept_open(const char *folder, struct audit_kept **out)
{
    struct audit_kept *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return ST_NOMEM;
    int n = snprintf(k->folder, sizeof(k->folder), "%s", folder);
    if (n < 0 || (size_t)n >= sizeof(k->folder)) {
        free(k);
        return ST_LIMIT;
    }
    pthread_mutex_init(&k->lock, NULL);
    k->period = PERIOD_NONE;
    read_shown(k);
    *out = k;
    return ST_OK;
}

void audit_kept_close(struct audit_kept *k)
{
    if (k == NULL)
        return;
    buf_free(&k->shown.bytes);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
