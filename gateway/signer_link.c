#include "lethe/gateway/signer_link.h"

#include "lethe/gateway/file.h"
#include "lethe/policy/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS      INT64_C(5000)
#define START_TRIES 50 /* while a predecessor's child still holds the lock */
#define START_MS    10000
#define TRY_MS      100L
#define END_TRIES   20
#define AGAIN_MS    INT64_C(1000)
#define FOLDER_MODE 0700
#define EXIT_SERVED 2 /* of `lethe signer`: another one serves the folder */

struct signer_link {
    char dir[CONF_PATH_MAX], file[CONF_PATH_MAX];
    struct note_key key;
    bool made, ours;
    pid_t child; /* 0: none */
    int door;    /* our end of its standard input; -1 */
    int64_t started_ms;
};

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * MS_PER_S + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    const struct timespec t = {0, ms * 1000000L};

    (void)nanosleep(&t, NULL);
}

/* ---- the child ----------------------------------------------------------- */

/* Only calls that are safe between fork and exec. */
static void become_signer(const struct signer_link *s, int door)
{
    char *const argv[] = {(char[]){"lethe"},         (char[]){"signer"},
                          (char[]){"--dir"},         (char *)s->dir,
                          (char[]){"--config"},      (char *)s->file,
                          (char[]){"--with-parent"}, NULL};
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* Out of the terminal's group: a Ctrl-C is for the gateway, which still
     * has its end signed. */
    (void)setpgid(0, 0);
    /* Started anew it would inherit what libraries left open. */
    if (dup2(door, STDIN_FILENO) >= 0 &&
        close_range(STDERR_FILENO + 1, ~0U, 0) == 0)
        (void)execv("/proc/self/exe", argv);
    _exit(127);
}

static enum status start_child(struct signer_link *s)
{
    int ends[2];

    s->started_ms = now_ms();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return ST_IO;
    pid_t pid = fork();
    if (pid == 0)
        become_signer(s, ends[1]);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return ST_IO;
    }
    s->child = pid;
    s->door = ends[0];
    return ST_OK;
}

/* Closes our end, which ends it; its exit code, or -1. */
static int end_child(struct signer_link *s)
{
    int code = -1;

    if (s->child == 0)
        return -1;
    (void)close(s->door);
    s->door = -1;
    for (int i = 0; i <= END_TRIES; i++) {
        pid_t got = waitpid(s->child, &code, i < END_TRIES ? WNOHANG : 0);
        if (got == s->child || (got < 0 && errno != EINTR))
            break;
        if (i == END_TRIES - 1)
            (void)kill(s->child, SIGKILL);
        pause_ms(TRY_MS);
    }
    s->child = 0;
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

/* The child says with one byte that it listens. */
static bool is_up(const struct signer_link *s)
{
    struct pollfd p = {s->door, POLLIN, 0};
    char byte;

    return poll(&p, 1, START_MS) == 1 && read(s->door, &byte, 1) == 1;
}

/* A child that serves the folder, or somebody else who does. */
static enum status raise_child(struct signer_link *s)
{
    for (int i = 0; i < START_TRIES; i++) {
        enum status st = start_child(s);
        if (st != ST_OK || is_up(s))
            return st;
        if (end_child(s) != EXIT_SERVED)
            return ST_DENIED;
        pause_ms(TRY_MS);
    }
    return ST_EXISTS;
}

/* It died: another one, but not more than one a second. */
static void raise_again(struct signer_link *s)
{
    struct pollfd p = {s->door, 0, 0};

    if (s->child != 0 && poll(&p, 1, 0) == 0)
        return; /* it lives */
    if (now_ms() - s->started_ms < AGAIN_MS)
        return;
    if (s->child != 0)
        log_warn(LOG_AUDIT, "the signer ended; another one is started",
                 LOG_NUM("exit", end_child(s)));
    if (start_child(s) == ST_OK && !is_up(s))
        (void)end_child(s);
}

/* ---- the folder ---------------------------------------------------------- */

static bool is_there(const char *folder, const char *name)
{
    char path[CONF_PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

    /* What cannot be looked at is there. */
    return n < 0 || (size_t)n >= sizeof(path) || lstat(path, &st) == 0 ||
           errno != ENOENT;
}

static bool is_own(const char *dir)
{
    char path[CONF_PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/key", dir);

    return n > 0 && (size_t)n < sizeof(path) && lstat(path, &st) == 0 &&
           st.st_uid == geteuid();
}

/* A folder from before there was a signer. Where something was signed, a key
 * that is gone is no reason for another one. */
static enum status make_folder(struct signer_link *s, const struct conf *c)
{
    if (is_there(s->dir, "state") || is_there(s->dir, "key") ||
        is_there(s->dir, "log.vkey") ||
        is_there(c->state_dir, "audit/checkpoint"))
        return ST_OK;
    if (mkdir(s->dir, FOLDER_MODE) != 0 && errno != EEXIST)
        return ST_IO;
    enum status st = signer_make(s->dir, slice_of(c->audit_origin));
    s->made = st == ST_OK;
    return st;
}

static enum status find(struct signer_link *s, const struct conf *c,
                        char why[SIGNER_LINK_WHY_MAX])
{
    const char *text = "";
    enum status st = make_folder(s, c);

    if (st != ST_OK)
        text = "the signer's key cannot be made there; let signer.dir name a "
               "folder that Lethe's user may make or write";
    s->ours = st == ST_OK && is_own(s->dir);
    if (s->ours) {
        st = raise_child(s);
        if (st == ST_EXISTS) /* by hand, or another service of this user */
            st = ST_OK;
        text = "the signer does not start";
    }
    if (st == ST_OK) {
        st = signer_vkey(s->dir, &s->key);
        text = st == ST_UNKNOWN
                   ? "there is no log.vkey, though the log is signed; put the "
                     "signer's folder back, or begin a new log with `lethe "
                     "audit fork`"
                   : "log.vkey cannot be read";
    }
    if (st == ST_OK &&
        !signer_is_of(slice_of(s->key.name), slice_of(c->audit_origin))) {
        st = ST_DENIED;
        text = "the signer signs another log than audit.origin names; "
               "log.vkey tells which";
    }
    if (st != ST_OK)
        (void)snprintf(why, SIGNER_LINK_WHY_MAX, "%s", text);
    return st;
}

enum status signer_link_open(const struct conf *c, struct signer_link **out,
                             char why[SIGNER_LINK_WHY_MAX])
{
    struct signer_link *s = calloc(1, sizeof(*s));

    (void)snprintf(why, SIGNER_LINK_WHY_MAX, "%s", status_name(ST_NOMEM));
    if (s == NULL)
        return ST_NOMEM;
    s->door = -1;
    (void)snprintf(s->dir, sizeof(s->dir), "%s", c->signer_dir);
    (void)snprintf(s->file, sizeof(s->file), "%s", c->file);
    enum status st = find(s, c, why);
    if (st == ST_OK)
        *out = s;
    else
        signer_link_close(s);
    return st;
}

void signer_link_close(struct signer_link *s)
{
    if (s == NULL)
        return;
    (void)end_child(s);
    free(s);
}

const struct note_key *signer_link_key(const struct signer_link *s)
{
    return &s->key;
}

bool signer_link_is_new(const struct signer_link *s)
{
    return s->made;
}

bool signer_link_is_child(const struct signer_link *s)
{
    return s->child != 0;
}

enum status signer_link_ask(void *link, struct slice body,
                            struct signer_reply *out)
{
    struct signer_link *s = link;
    enum status st = signer_ask(s->dir, body, ASK_MS, out);

    if (st == ST_CLOSED && s->ours)
        raise_again(s);
    return st;
}
