/* signer_files.c - the signer's folder: key, public key, state. */
#include "signer_internal.h"

#include "lethe/gateway/file.h"
#include "lethe/gateway/keys/keyfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VKEY_MODE 0644

bool signer_path(const char *dir, const char *name, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

    return n > 0 && n < PATH_MAX;
}

bool signer_is_of(struct slice name, struct slice origin)
{
    unsigned long long number;

    if (!slice_starts(name, origin))
        return false;
    struct slice rest = slice_skip(name, origin.len);
    if (rest.len == 0)
        return true;
    return rest.at[0] == '/' && rest.len > 1 && rest.at[1] != '0' &&
           slice_to_u64(slice_skip(rest, 1), &number) && number >= 2;
}

enum status signer_note(const struct note_signer *s, const struct checkpoint *c,
                        struct buf *note)
{
    buf_reset(note);
    checkpoint_put(c, note);
    size_t len = note->len;
    buf_put_char(note, '\n');
    if (note->failed)
        return ST_NOMEM;
    return note_sign(s, slice_head(buf_slice(note), len), 0, note);
}

static enum status write_vkey(const char *dir, const struct note_key *key)
{
    char path[PATH_MAX], line[NOTE_VKEY_MAX + 1];

    if (!signer_path(dir, "log.vkey", path))
        return ST_LIMIT;
    note_key_text(key, line);
    size_t len = strlen(line);
    line[len] = '\n';
    enum status st = file_put(path, VKEY_MODE, (struct slice){line, len + 1});
    /* Public whatever the umask says. */
    return st == ST_OK && chmod(path, VKEY_MODE) != 0 ? ST_IO : st;
}

/* The state of a log of which nothing was signed. */
static enum status write_empty(const char *dir, const struct note_signer *s)
{
    struct checkpoint c = {.origin = slice_of(s->key.name)};
    char path[PATH_MAX];
    struct buf note;

    if (!signer_path(dir, "state", path))
        return ST_LIMIT;
    sha256(NULL, 0, c.root);
    buf_init(&note, SIGNER_STATE_MAX);
    enum status st = signer_note(s, &c, &note);
    if (st == ST_OK)
        st = file_replace(path, buf_slice(&note));
    buf_free(&note);
    return st;
}

enum status signer_make(const char *dir, struct slice origin)
{
    char path[PATH_MAX];
    enum key_fault fault;
    uint8_t *seed = NULL;

    if (!signer_path(dir, "state", path))
        return ST_LIMIT;
    if (access(path, F_OK) == 0)
        return ST_EXISTS;
    if (!signer_path(dir, "key", path))
        return ST_LIMIT;
    enum status st = keyfile_create(path);
    if (st == ST_OK || st == ST_EXISTS)
        st = keyfile_load(path, NULL, &seed, &fault);
    if (st != ST_OK)
        return st;
    struct note_signer *s = secret_alloc(sizeof(*s));
    st = s == NULL ? ST_NOMEM : note_signer_make(origin, NOTE_ED25519, seed, s);
    if (st == ST_OK)
        st = write_empty(dir, s);
    if (st == ST_OK)
        st = write_vkey(dir, &s->key);
    secret_free(s);
    secret_free(seed);
    return st;
}

/* A file that is not there needs no other name. */
static enum status set_aside(const char *dir, const char *name, uint64_t number)
{
    char from[PATH_MAX], aside[64], to[PATH_MAX];

    (void)snprintf(aside, sizeof(aside), "%s.%" PRIu64, name, number);
    if (!signer_path(dir, name, from) || !signer_path(dir, aside, to))
        return ST_LIMIT;
    return rename(from, to) == 0 || errno == ENOENT ? ST_OK : ST_IO;
}

enum status signer_fork(const char *dir, struct slice name, uint64_t old_number)
{
    int lock;
    enum status st = signer_lock(dir, &lock);

    if (st != ST_OK)
        return st;
    st = set_aside(dir, "log.vkey", old_number);
    if (st == ST_OK)
        st = set_aside(dir, "state", old_number);
    if (st == ST_OK)
        st = signer_make(dir, name);
    (void)close(lock);
    return st;
}

enum status signer_vkey(const char *dir, struct note_key *out)
{
    char path[PATH_MAX];
    struct buf text;

    if (!signer_path(dir, "log.vkey", path))
        return ST_LIMIT;
    enum status st = file_read(path, NOTE_VKEY_MAX, &text);
    if (st == ST_IO && errno == ENOENT)
        st = ST_UNKNOWN;
    struct slice s = buf_slice(&text);
    if (st == ST_OK && (s.len == 0 || s.at[s.len - 1] != '\n'))
        st = ST_SYNTAX;
    if (st == ST_OK)
        st = note_key_read(slice_head(s, s.len - 1), out);
    if (st == ST_OK && out->type != NOTE_ED25519)
        st = ST_SYNTAX;
    buf_free(&text);
    return st == ST_TYPE || st == ST_LIMIT ? ST_SYNTAX : st;
}

/* The state says which log this is; the key says whether that is so. */
static enum status check_state(struct signer *s, struct slice text,
                               const uint8_t seed[NOTE_SEED_BYTES])
{
    struct checkpoint c;
    struct note note;

    if (note_read(text, &note) != ST_OK ||
        checkpoint_read(note.text, &c) != ST_OK ||
        note_signer_make(c.origin, NOTE_ED25519, seed, &s->signer) != ST_OK ||
        note_check(&note, &s->signer.key, NULL) != ST_OK)
        return ST_CORRUPT;
    s->size = c.size;
    memcpy(s->root, c.root, HASH_BYTES);
    return ST_OK;
}

/* A state is touched at each request: its time is that of the last one. */
static enum status read_state(struct signer *s,
                              const uint8_t seed[NOTE_SEED_BYTES])
{
    struct stat info;
    struct buf text;

    enum status st = file_read(s->state_path, SIGNER_STATE_MAX, &text);
    if (st == ST_IO && errno == ENOENT)
        st = ST_UNKNOWN;
    if (st == ST_LIMIT)
        st = ST_CORRUPT;
    if (st == ST_OK)
        st = check_state(s, buf_slice(&text), seed);
    if (st == ST_OK && stat(s->state_path, &info) != 0)
        st = ST_IO;
    if (st == ST_OK)
        s->asked_ms = (int64_t)info.st_mtim.tv_sec * MS_PER_S +
                      info.st_mtim.tv_nsec / 1000000;
    buf_free(&text);
    return st;
}

/* The log's name by the config, while nothing was signed under another. */
static enum status take_origin(struct signer *s, struct slice origin,
                               const uint8_t seed[NOTE_SEED_BYTES],
                               char why[SIGNER_WHY_MAX])
{
    if (origin.len == 0 || signer_is_of(slice_of(s->signer.key.name), origin))
        return ST_OK;
    if (s->size > 0) {
        (void)snprintf(why, SIGNER_WHY_MAX,
                       "it signs another log than audit.origin names; "
                       "log.vkey tells which");
        return ST_MISMATCH;
    }
    enum status st = note_signer_make(origin, NOTE_ED25519, seed, &s->signer);
    return st == ST_OK ? write_empty(s->dir, &s->signer) : st;
}

static enum status open_state(struct signer *s, struct slice origin,
                              const uint8_t seed[NOTE_SEED_BYTES],
                              char why[SIGNER_WHY_MAX])
{
    struct note_key vkey;
    enum status st = read_state(s, seed);

    if (st == ST_UNKNOWN)
        (void)snprintf(why, SIGNER_WHY_MAX,
                       "state is gone: what was signed is not known; put it "
                       "back, or begin a new log with `lethe audit fork`");
    if (st == ST_CORRUPT)
        (void)snprintf(why, SIGNER_WHY_MAX,
                       "state is not what this key has signed");
    if (st == ST_OK)
        st = take_origin(s, origin, seed, why);
    if (st != ST_OK)
        return st;
    if (signer_vkey(s->dir, &vkey) == ST_OK &&
        strcmp(vkey.name, s->signer.key.name) == 0 &&
        memcmp(vkey.public_key, s->signer.key.public_key, NOTE_PUBLIC_BYTES) ==
            0)
        return ST_OK;
    return write_vkey(s->dir, &s->signer.key);
}

static enum status open_all(struct signer *s, struct slice origin,
                            char why[SIGNER_WHY_MAX])
{
    enum key_fault fault = KEY_FAULT_NONE;
    char path[PATH_MAX];
    uint8_t *seed = NULL;

    if (!signer_path(s->dir, "key", path))
        return ST_LIMIT;
    enum status st = keyfile_load(path, NULL, &seed, &fault);
    if (st == ST_OK)
        st = open_state(s, origin, seed, why);
    else
        (void)snprintf(why, SIGNER_WHY_MAX, "key: %s", key_fault_text(fault));
    secret_free(seed);
    return st;
}

enum status signer_open(const char *dir, struct slice origin,
                        const struct clock *clock, struct signer **out,
                        char why[SIGNER_WHY_MAX])
{
    struct signer *s = secret_alloc(sizeof(*s));
    enum status st = ST_NOMEM;

    why[0] = '\0';
    if (s != NULL) {
        s->clock = clock;
        int n = snprintf(s->dir, sizeof(s->dir), "%s", dir);
        st = n > 0 && (size_t)n < sizeof(s->dir) &&
                     signer_path(dir, "state", s->state_path)
                 ? open_all(s, origin, why)
                 : ST_LIMIT;
    }
    if (st == ST_OK) {
        *out = s;
        return ST_OK;
    }
    if (why[0] == '\0')
        (void)snprintf(why, SIGNER_WHY_MAX, "%s", status_name(st));
    signer_close(s);
    return st;
}

void signer_close(struct signer *s)
{
    secret_free(s);
}

void signer_last(const struct signer *s, struct checkpoint *out)
{
    *out = (struct checkpoint){.origin = slice_of(s->signer.key.name),
                               .size = s->size};
    memcpy(out->root, s->root, HASH_BYTES);
}

const struct note_key *signer_key(const struct signer *s)
{
    return &s->signer.key;
}
