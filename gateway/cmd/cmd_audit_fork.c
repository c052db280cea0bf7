/* cmd_audit_fork.c - `audit fork`: a new log, where the old one cannot go on.
 * Nothing runs meanwhile. As root it acts as the owner of each folder, so that
 * what it makes there is theirs. */
#include "lethe/gateway/audit/fork.h"
#include "lethe/gateway/cmd/cmd.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/state.h"
#include "lethe/gateway/system_clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE      0700
#define CHECKPOINT_BYTES 4096u

struct forking {
    struct conf *conf;
    struct state *state;
    char folder[CONF_PATH_MAX];
    struct audit_fork fork;
    char name[NOTE_NAME_MAX + 1];
    bool has_last;                 /* fork.old, .size and .root are set */
    char signs[NOTE_NAME_MAX + 1]; /* the log that the signer signs */
    bool readable;
};

/* False: it cannot be had. Nothing happens but for root. */
static bool act_as_owner(const char *folder)
{
    struct stat st;

    if (getuid() != 0)
        return true;
    return seteuid(0) == 0 && stat(folder, &st) == 0 &&
           setegid(st.st_gid) == 0 && seteuid(st.st_uid) == 0;
}

static void set_last(struct forking *f, const struct checkpoint *c)
{
    memcpy(f->fork.old, c->origin.at, c->origin.len);
    f->fork.old[c->origin.len] = '\0';
    f->fork.size = c->size;
    memcpy(f->fork.root, c->root, HASH_BYTES);
    f->has_last = true;
}

/* What the signer signed last, if it can still tell. */
static int ask_signer(struct forking *f)
{
    const char *dir = f->conf->signer_dir;
    char why[SIGNER_WHY_MAX];
    struct signer *s = NULL;
    struct checkpoint c;

    if (mkdir(dir, FOLDER_MODE) != 0 && errno != EEXIST)
        return cmd_fail(CMD_WRONG, "%s: %s", dir, strerror(errno));
    if (!act_as_owner(dir))
        return cmd_fail(CMD_WRONG, "%s: its owner cannot be had", dir);
    if (signer_open(dir, SLICE_NONE, system_clock(), &s, why) != ST_OK) {
        (void)fprintf(stderr, "lethe: %s: %s\n", dir, why);
        return CMD_OK;
    }
    signer_last(s, &c);
    set_last(f, &c);
    memcpy(f->signs, f->fork.old, sizeof(f->signs));
    signer_close(s);
    return CMD_OK;
}

/* Else what was published last; else nothing is known. */
static void ask_checkpoint(struct forking *f)
{
    struct checkpoint c = {.origin = slice_of(f->conf->audit_origin)};
    char path[CONF_PATH_MAX];
    struct note note;
    struct buf text;

    if (f->has_last)
        return;
    sha256(NULL, 0, c.root);
    set_last(f, &c);
    if (!state_path(f->conf, "audit/checkpoint", path))
        return;
    if (file_read(path, CHECKPOINT_BYTES, &text) == ST_OK &&
        note_read(buf_slice(&text), &note) == ST_OK &&
        checkpoint_read(note.text, &c) == ST_OK)
        set_last(f, &c);
    buf_free(&text);
}

static int fork_files(struct forking *f)
{
    const char *state_dir = f->conf->state_dir;
    struct slice origin = slice_of(f->conf->audit_origin);
    enum state_fault fault;

    if (!act_as_owner(state_dir))
        return cmd_fail(CMD_WRONG, "%s: its owner cannot be had", state_dir);
    if (state_open(state_dir, &f->state, &fault) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s: %s", state_dir,
                        state_fault_text(fault));
    ask_checkpoint(f);
    if (!state_path(f->conf, "audit", f->folder))
        return cmd_fail(CMD_WRONG, "state_dir is too long a path");
    enum status st = audit_fork_name(slice_of(f->fork.old), origin, f->name);
    if (st == ST_OK)
        st = audit_fork_files(f->folder, origin, system_clock(), &f->fork,
                              &f->readable);
    if (st == ST_OK) /* begun before, it has the name that it had then */
        st = audit_fork_name(slice_of(f->fork.old), origin, f->name);
    return st == ST_OK
               ? CMD_OK
               : cmd_fail(CMD_WRONG, "%s: %s", f->folder,
                          st == ST_SYNTAX ? "is the log of another audit.origin"
                                          : status_name(st));
}

static int fork_signer(struct forking *f)
{
    const char *dir = f->conf->signer_dir;

    if (strcmp(f->signs, f->name) == 0)
        return CMD_OK; /* done before */
    if (!act_as_owner(dir))
        return cmd_fail(CMD_WRONG, "%s: its owner cannot be had", dir);
    enum status st =
        signer_fork(dir, slice_of(f->name),
                    audit_fork_number(slice_of(f->fork.old),
                                      slice_of(f->conf->audit_origin)));
    if (st == ST_EXISTS)
        return cmd_fail(CMD_WRONG,
                        "%s: a signer runs there; stop it and do this again",
                        dir);
    return st == ST_OK ? CMD_OK
                       : cmd_fail(CMD_WRONG, "%s: %s", dir, status_name(st));
}

static void say(const struct cmd_line *l, const struct forking *f)
{
    if (l->json) {
        (void)printf("{\"origin\":\"%s\",\"old\":\"%s\",\"size\":%llu,"
                     "\"readable\":%s}\n",
                     f->name, f->fork.old, (unsigned long long)f->fork.size,
                     f->readable ? "true" : "false");
        return;
    }
    (void)printf("the log goes on as %s, after %llu signed records of %s; "
                 "the old files are in %s/old\n",
                 f->name, (unsigned long long)f->fork.size, f->fork.old,
                 f->folder);
    if (!f->readable)
        (void)printf("the old records cannot be read: rows that still wait in "
                     "the journal are written down again\n");
}

/* The signer last: until it has the new name, the old log is refused. */
static int fork_log(const struct cmd_line *l, struct forking *f)
{
    int code = ask_signer(f);

    if (code == CMD_OK)
        code = fork_files(f);
    if (code == CMD_OK)
        code = fork_signer(f);
    if (code == CMD_OK)
        say(l, f);
    return code;
}

static bool read_ticket(const char *ticket, char out[AUDIT_FORK_WHY])
{
    int n = snprintf(out, AUDIT_FORK_WHY, "ticket:%s", ticket);

    return n > 0 && (size_t)n < AUDIT_FORK_WHY && audit_fork_why_ok(out);
}

int cmd_audit_fork(const struct cmd *self, int argc, char **argv)
{
    struct conf_complaint complaint;
    struct forking f = {0};
    struct cmd_line l;
    int code = cmd_parse(self, argc, argv, &l);

    if (code >= 0)
        return code;
    if (cmd_value(&l, "--config") == NULL || cmd_value(&l, "--reason") == NULL)
        return cmd_fail(CMD_USAGE,
                        "audit fork needs --config FILE and --reason TICKET");
    if (!read_ticket(cmd_value(&l, "--reason"), f.fork.why))
        return cmd_fail(CMD_USAGE, "--reason takes 1 to 32 letters, digits, "
                                   "dots, dashes and underscores");
    if (secrets_init() != ST_OK)
        return cmd_fail(CMD_WRONG, "libsodium cannot be initialised");
    if (conf_load(cmd_value(&l, "--config"), &f.conf, &complaint) != ST_OK)
        return cmd_fail(CMD_WRONG, "%s", complaint.text);
    code = fork_log(&l, &f);
    state_close(f.state);
    conf_free(f.conf);
    return code;
}
