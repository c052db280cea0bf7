/* epoch_place.c - which folder the epoch file lies in (storage.md 5). */
#include "lethe/gateway/keys/epoch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PLACES 4u

struct places {
    char paths[PLACES][PATH_MAX];
    bool make[PLACES]; /* ours to make if it is absent */
    unsigned count;
};

static void add_place(struct places *p, const char *path, bool make)
{
    size_t len = path == NULL ? 0 : strcspn(path, ":");

    /* systemd separates several folders with colons: the first one counts. */
    if (len == 0 || len >= PATH_MAX || path[0] != '/' || p->count == PLACES)
        return;
    memcpy(p->paths[p->count], path, len);
    p->paths[p->count][len] = '\0';
    p->make[p->count++] = make;
}

static void list_places(const struct conf *c, struct places *out)
{
    char shm[64];

    out->count = 0;
    if (c->epoch_runtime != NULL) {
        add_place(out, c->epoch_runtime, true);
        return;
    }
    (void)snprintf(shm, sizeof(shm), "/dev/shm/lethe-%u", (unsigned)geteuid());
    add_place(out, getenv("RUNTIME_DIRECTORY"), false);
    add_place(out, getenv("XDG_RUNTIME_DIR"), false);
    add_place(out, "/run/lethe", false);
    add_place(out, shm, true);
}

/* Ours, and closed to everybody else. */
static int open_ours(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
        (st.st_mode & 0777) == 0700)
        return fd;
    (void)close(fd);
    return -1;
}

static bool dies_with_the_boot(int dir)
{
    struct statfs fs;

    return fstatfs(dir, &fs) == 0 &&
           (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Overwrite and remove a file of this state that is not used any more: its
 * secrets would outlive their epochs there. */
static void remove_stray(int dir, const char *name)
{
    static const uint8_t zeros[4096];
    struct stat st;
    int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid()) {
        for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(zeros))
            if (pwrite(fd, zeros, sizeof(zeros), at) < 0)
                break;
        (void)fsync(fd);
        (void)unlinkat(dir, name, 0);
    }
    (void)close(fd);
}

static void remove_stray_in(const char *folder, const char *name)
{
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return;
    remove_stray(dir, name);
    (void)close(dir);
}

/* The first good place, or -1; strays in all others go. */
static int choose_runtime(const struct places *p, bool wanted, const char *name)
{
    int chosen = -1;

    for (unsigned i = 0; i < p->count; i++) {
        if (wanted && chosen < 0 && p->make[i])
            (void)mkdir(p->paths[i], 0700);
        int dir = open_ours(p->paths[i]);
        if (dir < 0)
            continue;
        if (wanted && chosen < 0 && dies_with_the_boot(dir)) {
            chosen = dir;
            continue;
        }
        remove_stray(dir, name);
        (void)close(dir);
    }
    return chosen;
}

enum status epoch_place_choose(const struct conf *c, const char *name,
                               int *out_dir, enum epoch_place *out_place)
{
    struct places *p = malloc(sizeof(*p));
    bool wanted =
        c->epoch_store == EPOCHS_UNSET || c->epoch_store == EPOCHS_RUNTIME;

    if (p == NULL)
        return ST_IO;
    list_places(c, p);
    int dir = choose_runtime(p, wanted, name);
    free(p);
    if (c->epoch_store == EPOCHS_RUNTIME && dir < 0)
        return ST_DENIED;
    if (c->epoch_store == EPOCHS_DISK) {
        dir = open(c->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            return ST_IO;
        *out_place = EPOCH_ON_DISK;
    } else {
        remove_stray_in(c->state_dir, EPOCH_DISK_NAME);
        *out_place = dir >= 0 ? EPOCH_ON_TMPFS : EPOCH_IN_MEMORY;
    }
    *out_dir = dir;
    return ST_OK;
}
