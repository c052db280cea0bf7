/* powercut.c - LD_PRELOAD: what a power cut may take from a folder.
 *
 * Notes each change of the files below POWERCUT_ROOT in POWERCUT_LOG before it
 * is done, with what was there before: writes, truncations, allocations, and
 * the making, renaming and deleting of names. fsync and fdatasync are noted
 * after they would have ended (and are not done: a note is as durable as this
 * world gets). powercut.py then takes back what no sync had covered, all of it
 * or a part.
 *
 * POWERCUT_GRAVE  a folder on the same file system: a second name for each
 *                 file whose name goes, so that it can come back
 * POWERCUT_AFTER  if set: the lights go out before this change (1, 2, ...)
 * POWERCUT_DEAF   if set: syncs of paths that hold this text are not noted (a
 *                 program that forgets them; for tests of this tool)
 *
 * Not seen: memory maps (SQLite's -shm, which it makes anew), what stdio
 * writes, O_TMPFILE, links, rmdir. A rename to another folder ends the
 * process: nothing here does that. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FD_MAX 4096

enum op {
    OP_WRITE = 'W',
    OP_TRUNCATE = 'T',
    OP_ALLOCATE = 'A',
    OP_CREATE = 'C',
    OP_MKDIR = 'D',
    OP_UNLINK = 'U',
    OP_RENAME = 'R',
    OP_SYNC = 'S'
};

/* One note; its texts and bytes follow. powercut.py reads it as "<QQQQQIIIII4x"
 * and nothing else does, so that the host's order will do. */
struct note {
    uint64_t inode;  /* of the file; of the folder for names */
    uint64_t other;  /* U, R: the inode that lost its name; S: notes covered */
    uint64_t offset; /* W, A: from; T: the new size */
    uint64_t length; /* W, A */
    uint64_t size;   /* of the file, before */
    uint32_t op;
    uint32_t path_len, path2_len, new_len, old_len;
    uint32_t unused;
};
_Static_assert(sizeof(struct note) == 64, "as powercut.py reads it");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], grave[PATH_MAX];
static size_t root_len;
static int log_fd = -1;
static long until_cut = -1;
static const char *deaf_to;
static bool seen[FD_MAX]; /* descriptors of files and folders below root */

static void give_up(const char *what)
{
    char text[256];
    int n =
        snprintf(text, sizeof(text), "powercut: %s: errno %d\n", what, errno);

    if (syscall(SYS_write, 2, text, (size_t)n) < 0)
        (void)n;
    abort();
}

static const char *must_have(const char *name)
{
    const char *v = getenv(name);

    if (v == NULL || strlen(v) >= PATH_MAX)
        give_up(name);
    return v;
}

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void drop_lock(void)
{
    pthread_mutex_unlock(&lock);
}

/* All stay in one group: the lights go out for all at once. */
int setpgid(pid_t pid, pid_t group)
{
    (void)pid;
    (void)group;
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *after = getenv("POWERCUT_AFTER");

    root_len =
        (size_t)snprintf(root, sizeof(root), "%s", must_have("POWERCUT_ROOT"));
    (void)snprintf(grave, sizeof(grave), "%s", must_have("POWERCUT_GRAVE"));
    deaf_to = getenv("POWERCUT_DEAF");
    until_cut = after == NULL ? -1 : strtol(after, NULL, 10);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, must_have("POWERCUT_LOG"),
                          O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* Out of the way of whoever counts descriptors. */
    log_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_MAX / 8);
    if (log_fd < 0)
        give_up("its log");
    (void)syscall(SYS_close, fd);
    if (pthread_atfork(take_lock, drop_lock, drop_lock) != 0)
        give_up("forks");
}

static bool is_below(const char *path)
{
    return strncmp(path, root, root_len) == 0 &&
           (path[root_len] == '/' || path[root_len] == '\0');
}

/* The whole path of `name` seen from folder `at`, its folder's inode. False:
 * not ours. */
static bool resolve(int at, const char *name, char out[PATH_MAX],
                    uint64_t *out_folder)
{
    char folder[PATH_MAX] = ".", link[64], real[PATH_MAX];
    const char *slash = strrchr(name, '/');
    const char *base = slash == NULL ? name : slash + 1;
    struct stat s;

    if (slash != NULL && snprintf(folder, sizeof(folder), "%.*s",
                                  slash == name ? 1 : (int)(slash - name),
                                  name) >= (int)sizeof(folder))
        return false;
    int fd = (int)syscall(SYS_openat, at, folder, O_PATH | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof(real) - 1);
    bool good = n > 0 && fstat(fd, &s) == 0;
    (void)syscall(SYS_close, fd);
    if (!good)
        return false;
    real[n] = '\0';
    *out_folder = s.st_ino;
    return is_below(real) &&
           snprintf(out, PATH_MAX, "%s/%s", real, base) < PATH_MAX;
}

static bool all_zero(const uint8_t *at, size_t len)
{
    return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

/* Under lock. One write: what is cut off in the middle was never done. */
static void put_note(struct note *n, const char *path, const char *path2,
                     const void *fresh, const void *old)
{
    if (until_cut > 0 && n->op != OP_SYNC && --until_cut == 0)
        for (;;)
            (void)kill(0, SIGKILL);
    n->path_len = path == NULL ? 0 : (uint32_t)strlen(path);
    n->path2_len = path2 == NULL ? 0 : (uint32_t)strlen(path2);
    struct iovec v[5] = {{n, sizeof(*n)},
                         {(void *)(uintptr_t)path, n->path_len},
                         {(void *)(uintptr_t)path2, n->path2_len},
                         {(void *)(uintptr_t)fresh, n->new_len},
                         {(void *)(uintptr_t)old, n->old_len}};
    ssize_t want = (ssize_t)(sizeof(*n) + n->path_len + n->path2_len) +
                   (ssize_t)n->new_len + (ssize_t)n->old_len;
    if (syscall(SYS_writev, log_fd, v, 5) != want)
        give_up("its log is full");
}

/* The bytes of a file in [from, from + len), as many as there are; NULL and 0
 * for nothing but zeros. */
static uint8_t *read_old(int fd, uint64_t from, uint64_t len, uint32_t *out_len)
{
    uint8_t *bytes = malloc(len + 1);
    char link[64];

    *out_len = 0;
    if (bytes == NULL)
        give_up("memory");
    /* The descriptor may be for writing only. */
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    int in = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = in < 0 ? -1
                       : (ssize_t)syscall(SYS_pread64, in, bytes, (size_t)len,
                                          (off_t)from);
    if (n < 0)
        give_up("reading what was there");
    (void)syscall(SYS_close, in);
    if (!all_zero(bytes, (size_t)n))
        *out_len = (uint32_t)n;
    return bytes;
}

/* A descriptor closed behind our back may be a socket now. */
static bool is_seen(int fd)
{
    struct stat s;

    return fd >= 0 && fd < FD_MAX && seen[fd] && fstat(fd, &s) == 0 &&
           (S_ISREG(s.st_mode) || S_ISDIR(s.st_mode));
}

/* ---- bytes -------------------------------------------------------------- */

static ssize_t do_write(int fd, const void *bytes, size_t len, off_t at,
                        bool is_at)
{
    struct stat s;

    pthread_mutex_lock(&lock);
    if (fstat(fd, &s) != 0)
        give_up("fstat");
    uint64_t offset = (uint64_t)at;
    if (!is_at)
        offset = (uint64_t)((fcntl(fd, F_GETFL) & O_APPEND) != 0
                                ? s.st_size
                                : lseek(fd, 0, SEEK_CUR));
    struct note n = {.op = OP_WRITE,
                     .inode = s.st_ino,
                     .offset = offset,
                     .length = len,
                     .size = (uint64_t)s.st_size};
    uint8_t *old = read_old(fd, offset, len, &n.old_len);
    n.new_len = all_zero(bytes, len) ? 0 : (uint32_t)len;
    put_note(&n, NULL, NULL, bytes, old);
    free(old);
    ssize_t done = (ssize_t)(is_at ? syscall(SYS_pwrite64, fd, bytes, len, at)
                                   : syscall(SYS_write, fd, bytes, len));
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (!is_seen(fd) || len == 0)
        return (ssize_t)syscall(SYS_write, fd, bytes, len);
    return do_write(fd, bytes, len, 0, false);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (!is_seen(fd) || len == 0)
        return (ssize_t)syscall(SYS_pwrite64, fd, bytes, len, at);
    return do_write(fd, bytes, len, at, true);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite(fd, bytes, len, at);
}

/* Under lock. */
static void note_truncate(int fd, off_t size)
{
    struct stat s;

    if (fstat(fd, &s) != 0)
        give_up("fstat");
    struct note n = {.op = OP_TRUNCATE,
                     .inode = s.st_ino,
                     .offset = (uint64_t)size,
                     .size = (uint64_t)s.st_size};
    uint8_t *old = NULL;
    if (s.st_size > size)
        old = read_old(fd, n.offset, (uint64_t)(s.st_size - size), &n.old_len);
    put_note(&n, NULL, NULL, NULL, old);
    free(old);
}

int ftruncate(int fd, off_t size)
{
    if (!is_seen(fd))
        return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    note_truncate(fd, size);
    int done = (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t from, off_t len)
{
    struct stat s;

    if (!is_seen(fd))
        return (int)syscall(SYS_fallocate, fd, mode, from, len);
    pthread_mutex_lock(&lock);
    if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0 || fstat(fd, &s) != 0)
        give_up("fallocate");
    if (mode == 0) {
        struct note n = {.op = OP_ALLOCATE,
                         .inode = s.st_ino,
                         .offset = (uint64_t)from,
                         .length = (uint64_t)len,
                         .size = (uint64_t)s.st_size};
        put_note(&n, NULL, NULL, NULL, NULL);
    }
    int done = (int)syscall(SYS_fallocate, fd, mode, from, len);
    pthread_mutex_unlock(&lock);
    return done;
}

int posix_fallocate(int fd, off_t from, off_t len)
{
    return fallocate(fd, 0, from, len) == 0 ? 0 : errno;
}

int fallocate64(int fd, int mode, off_t from, off_t len)
{
    return fallocate(fd, mode, from, len);
}

int posix_fallocate64(int fd, off_t from, off_t len)
{
    return posix_fallocate(fd, from, len);
}

/* ---- syncs -------------------------------------------------------------- */

/* Below root, and no sync that is to be forgotten. Also of folders that opendir
 * opened. */
static bool is_ours(int fd, bool *out_forget)
{
    char link[64], real[PATH_MAX];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof(real) - 1);
    real[n < 0 ? 0 : n] = '\0';
    *out_forget = deaf_to != NULL && strstr(real, deaf_to) != NULL;
    return is_below(real);
}

static int do_sync(int fd, long number)
{
    struct stat s, log;
    bool forget;

    if (!is_ours(fd, &forget))
        return (int)syscall(number, fd);
    if (forget)
        return 0;
    pthread_mutex_lock(&lock); /* what is being written is not covered */
    if (fstat(fd, &s) != 0 || fstat(log_fd, &log) != 0)
        give_up("fstat");
    pthread_mutex_unlock(&lock);
    (void)usleep(500); /* a disk's time, in which others write on */
    pthread_mutex_lock(&lock);
    struct note n = {
        .op = OP_SYNC, .inode = s.st_ino, .other = (uint64_t)log.st_size};
    put_note(&n, NULL, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd)
{
    return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync);
}

/* ---- names -------------------------------------------------------------- */

/* Under lock: a second name for what `path` names. Its inode, 0 for none. */
static uint64_t bury(const char *path)
{
    char to[PATH_MAX + 32];
    struct stat s;

    if (lstat(path, &s) != 0 || !S_ISREG(s.st_mode))
        return 0;
    (void)snprintf(to, sizeof(to), "%s/%llu", grave,
                   (unsigned long long)s.st_ino);
    if (linkat(AT_FDCWD, path, AT_FDCWD, to, 0) != 0 && errno != EEXIST)
        give_up("a grave");
    return s.st_ino;
}

static int do_open(int at, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    uint64_t folder = 0;
    struct stat s;

    pthread_mutex_lock(&lock);
    bool ours = resolve(at, name, path, &folder);
    if (ours && (flags & O_CREAT) != 0 && lstat(path, &s) != 0) {
        struct note n = {.op = OP_CREATE, .inode = folder};
        put_note(&n, path, NULL, NULL, NULL);
    }
    int fd = (int)syscall(SYS_openat, at, name, flags & ~O_TRUNC, mode);
    if (ours && fd >= 0 && (flags & O_TRUNC) != 0) {
        note_truncate(fd, 0);
        (void)syscall(SYS_ftruncate, fd, 0);
    }
    if (fd >= 0 && fd < FD_MAX)
        seen[fd] = ours && (flags & O_PATH) == 0;
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list more)
{
    return (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
}

int open(const char *name, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return do_open(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return do_open(AT_FDCWD, name, flags, mode);
}

int openat(int at, const char *name, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return do_open(at, name, flags, mode);
}

int close(int fd)
{
    if (fd >= 0 && fd < FD_MAX && fd != log_fd)
        seen[fd] = false;
    return (int)syscall(SYS_close, fd);
}

int mkdir(const char *name, mode_t mode)
{
    char path[PATH_MAX];
    uint64_t folder = 0;
    struct stat s;

    pthread_mutex_lock(&lock);
    if (resolve(AT_FDCWD, name, path, &folder) && lstat(path, &s) != 0) {
        struct note n = {.op = OP_MKDIR, .inode = folder};
        put_note(&n, path, NULL, NULL, NULL);
    }
    int done = (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlinkat(int at, const char *name, int flags)
{
    char path[PATH_MAX];
    uint64_t folder = 0;

    pthread_mutex_lock(&lock);
    if (resolve(at, name, path, &folder)) {
        struct note n = {.op = OP_UNLINK, .inode = folder, .other = bury(path)};
        if (n.other != 0)
            put_note(&n, path, NULL, NULL, NULL);
    }
    int done = (int)syscall(SYS_unlinkat, at, name, flags);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int renameat(int at, const char *from, int to_at, const char *to)
{
    char path[PATH_MAX], path2[PATH_MAX];
    uint64_t folder = 0, folder2 = 0;

    pthread_mutex_lock(&lock);
    bool ours = resolve(at, from, path, &folder);
    if (ours != resolve(to_at, to, path2, &folder2) || folder != folder2)
        give_up("a rename to another folder");
    if (ours && access(path, F_OK) == 0) {
        struct note n = {
            .op = OP_RENAME, .inode = folder, .other = bury(path2)};
        put_note(&n, path, path2, NULL, NULL);
    }
    int done = (int)syscall(SYS_renameat, at, from, to_at, to);
    pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
