#include "lethe/gateway/keys/keyfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX_BYTES      (2 * KEY_BYTES)
#define FILE_BYTES_MAX (HEX_BYTES + 1) /* hex digits and a newline */

static const char *const fault_texts[KEY_FAULT_COUNT] = {
    [KEY_FAULT_NONE] = "nothing is wrong with it",
    [KEY_FAULT_MISSING] = "there is no such file",
    [KEY_FAULT_SYMLINK] = "it is a symbolic link; name the file itself",
    [KEY_FAULT_NOT_REGULAR] = "it is not a regular file",
    [KEY_FAULT_OWNER] = "it belongs to another user than the one that runs "
                        "this; chown it",
    [KEY_FAULT_MODE] = "its mode must be 0400 or 0600",
    [KEY_FAULT_FOLDER] = "its folder can be changed by other users; take the "
                         "group's and others' write permission away",
    [KEY_FAULT_CONTENT] = "its content is not exactly one secret (a key is 64 "
                          "hex digits and a newline, or 32 raw bytes)",
    [KEY_FAULT_IN_STATE] = "it lies inside state_dir; keep keys apart from "
                           "the data they protect",
    [KEY_FAULT_DEFAULT] = "all its bytes are alike; make a random key",
    [KEY_FAULT_IO] = "it cannot be read",
};

const char *key_fault_text(enum key_fault fault)
{
    assert((unsigned)fault < KEY_FAULT_COUNT);
    return fault_texts[fault];
}

/* Folder and last name of `path`; false if a part is missing or too long. */
static bool split_path(const char *path, char folder[PATH_MAX],
                       const char **out_name)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);

    if (len >= PATH_MAX)
        return false;
    if (slash == NULL) {
        memcpy(folder, ".", 2);
        *out_name = path;
    } else {
        memcpy(folder, path, len);
        folder[len] = '\0';
        if (len == 0)
            memcpy(folder, "/", 2);
        *out_name = slash + 1;
    }
    return (*out_name)[0] != '\0';
}

static bool is_inside(const char *folder, const char *state_dir)
{
    char inner[PATH_MAX], outer[PATH_MAX];

    if (state_dir == NULL || realpath(folder, inner) == NULL ||
        realpath(state_dir, outer) == NULL)
        return false; /* a state_dir that is not there holds nothing */
    struct slice in = slice_of(inner), out = slice_of(outer);
    return slice_starts(in, out) &&
           (in.len == out.len || out.len == 1 || in.at[out.len] == '/');
}

static enum key_fault check_folder(int dir_fd)
{
    struct stat st;

    if (fstat(dir_fd, &st) != 0)
        return KEY_FAULT_IO;
    /* A sticky folder such as /tmp is refused too: others can still put a
     * file of their own where ours is missing. */
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return KEY_FAULT_FOLDER;
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return KEY_FAULT_FOLDER;
    return KEY_FAULT_NONE;
}

/* systemd's own folder for this unit: nobody else can write there. What lies in
 * it may be root's and carry an access list for us, which shows as the group's
 * bits (systemd.exec(5)). */
static bool is_credential(const char *folder)
{
    const char *said = getenv("CREDENTIALS_DIRECTORY");

    return said != NULL && said[0] == '/' && strcmp(folder, said) == 0;
}

static enum key_fault check_credential(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return KEY_FAULT_IO;
    if (!S_ISREG(st.st_mode))
        return KEY_FAULT_NOT_REGULAR;
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return KEY_FAULT_OWNER;
    return (st.st_mode & 07337) == 0 ? KEY_FAULT_NONE : KEY_FAULT_MODE;
}

static enum key_fault check_file(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return KEY_FAULT_IO;
    if (!S_ISREG(st.st_mode))
        return KEY_FAULT_NOT_REGULAR;
    if (st.st_uid != geteuid())
        return KEY_FAULT_OWNER;
    if ((st.st_mode & 07777) != 0400 && (st.st_mode & 07777) != 0600)
        return KEY_FAULT_MODE;
    return KEY_FAULT_NONE;
}

static enum key_fault open_fault(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return KEY_FAULT_MISSING;
    case ELOOP:
        return KEY_FAULT_SYMLINK;
    case ENXIO: /* a socket, or a device without a driver */
        return KEY_FAULT_NOT_REGULAR;
    default:
        return KEY_FAULT_IO;
    }
}

/* Open `path` under the rules of R32. The folder is held open, so that the
 * file that was checked is the one that lies in the folder checked. */
static enum key_fault open_checked(const char *path, const char *state_dir,
                                   int *out_fd)
{
    char folder[PATH_MAX];
    const char *name;
    enum key_fault fault;
    int fd = -1;

    if (!split_path(path, folder, &name))
        return KEY_FAULT_MISSING;
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == EACCES ? KEY_FAULT_IO : KEY_FAULT_MISSING;
    /* O_NONBLOCK: a FIFO must not hang the start. */
    fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        fault = open_fault(errno);
    else
        fault = is_credential(folder) ? check_credential(fd) : check_file(fd);
    if (fault == KEY_FAULT_NONE)
        fault = check_folder(dir);
    if (fault == KEY_FAULT_NONE && is_inside(folder, state_dir))
        fault = KEY_FAULT_IN_STATE;
    (void)close(dir);
    if (fault == KEY_FAULT_NONE)
        *out_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    return fault;
}

/* At most `max` bytes and the end of the file; one more is KEY_FAULT_CONTENT */
static enum key_fault read_whole(int fd, uint8_t *bytes, size_t max,
                                 size_t *out_len)
{
    size_t len = 0;

    while (len <= max) {
        ssize_t n = read(fd, bytes + len, max + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return KEY_FAULT_IO;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len > max)
        return KEY_FAULT_CONTENT;
    *out_len = len;
    return KEY_FAULT_NONE;
}

/* Key from a file's bytes, hex or raw. */
static enum key_fault decode_key(const uint8_t *bytes, size_t len,
                                 uint8_t key[KEY_BYTES])
{
    unsigned differing = 0;

    if (len == FILE_BYTES_MAX && bytes[len - 1] == '\n')
        len--;
    if (len == KEY_BYTES) {
        memcpy(key, bytes, KEY_BYTES);
    } else {
        size_t made = 0;
        if (len != HEX_BYTES ||
            sodium_hex2bin(key, KEY_BYTES, (const char *)bytes, len, NULL,
                           &made, NULL) != 0 ||
            made != KEY_BYTES)
            return KEY_FAULT_CONTENT;
    }
    for (size_t i = 1; i < KEY_BYTES; i++)
        differing |= (unsigned)(key[i] ^ key[0]);
    return differing == 0 ? KEY_FAULT_DEFAULT : KEY_FAULT_NONE;
}

enum status keyfile_load(const char *path, const char *state_dir,
                         uint8_t **out_key, enum key_fault *out_fault)
{
    int fd = -1;
    size_t len = 0;

    enum key_fault fault = open_checked(path, state_dir, &fd);
    if (fault != KEY_FAULT_NONE) {
        *out_fault = fault;
        return ST_DENIED;
    }
    uint8_t *bytes = secret_alloc(FILE_BYTES_MAX + 1);
    uint8_t *key = secret_alloc(KEY_BYTES);
    enum status st = bytes == NULL || key == NULL ? ST_NOMEM : ST_OK;
    if (st == ST_OK) {
        fault = read_whole(fd, bytes, FILE_BYTES_MAX, &len);
        if (fault == KEY_FAULT_NONE)
            fault = decode_key(bytes, len, key);
        st = fault == KEY_FAULT_NONE ? ST_OK : ST_DENIED;
    }
    (void)close(fd);
    secret_free(bytes);
    if (st == ST_OK) {
        *out_key = key;
        return ST_OK;
    }
    secret_free(key);
    *out_fault = fault;
    return st;
}

/* One line of `len` bytes: not empty, no control characters. */
static bool is_one_line(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return len > 0;
}

enum status secret_text_load(const char *path, size_t max, char **out,
                             enum key_fault *out_fault)
{
    int fd = -1;
    size_t len = 0;

    enum key_fault fault = open_checked(path, NULL, &fd);
    if (fault != KEY_FAULT_NONE) {
        *out_fault = fault;
        return ST_DENIED;
    }
    /* A newline, one byte too many (to notice it), and the NUL. */
    char *text = secret_alloc(max + 3);
    if (text == NULL) {
        (void)close(fd);
        return ST_NOMEM;
    }
    fault = read_whole(fd, (uint8_t *)text, max + 1, &len);
    (void)close(fd);
    if (fault == KEY_FAULT_NONE) {
        if (len > 0 && text[len - 1] == '\n')
            len--;
        text[len] = '\0';
        if (len <= max && is_one_line(text, len)) {
            *out = text;
            return ST_OK;
        }
        fault = KEY_FAULT_CONTENT;
    }
    secret_free(text);
    *out_fault = fault;
    return ST_DENIED;
}

static bool write_whole(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        (void)close(fd);
    return good;
}

enum status keyfile_create(const char *path)
{
    char folder[PATH_MAX];
    const char *name;
    uint8_t key[KEY_BYTES];
    char hex[HEX_BYTES + 1];

    if (!split_path(path, folder, &name))
        return ST_IO;
    int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? ST_EXISTS : ST_IO;
    randombytes_buf(key, sizeof(key));
    (void)sodium_bin2hex(hex, sizeof(hex), key, sizeof(key));
    hex[HEX_BYTES] = '\n';
    bool good = fchmod(fd, 0600) == 0 && write_whole(fd, hex, sizeof(hex)) &&
                fsync(fd) == 0 && sync_folder(folder);
    sodium_memzero(key, sizeof(key));
    sodium_memzero(hex, sizeof(hex));
    if (close(fd) != 0)
        good = false;
    if (good)
        return ST_OK;
    (void)unlink(path);
    return ST_IO;
}

static bool next_name(const char *path, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s" KEYFILE_NEXT, path);

    return n > 0 && n < PATH_MAX;
}

enum status keyfile_next_create(const char *path)
{
    char next[PATH_MAX];

    if (!next_name(path, next))
        return ST_IO;
    (void)unlink(next); /* of a rotation that failed in this process */
    return keyfile_create(next) == ST_OK ? ST_OK : ST_IO;
}

void keyfile_next_forget(const char *path)
{
    char next[PATH_MAX];

    if (next_name(path, next))
        (void)unlink(next);
}

/* Through a descriptor that outlives the name. */
enum status keyfile_next_use(const char *path)
{
    static const char zeros[FILE_BYTES_MAX];
    char next[PATH_MAX], folder[PATH_MAX];
    const char *name;
    int old = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    bool good = next_name(path, next) && split_path(path, folder, &name) &&
                rename(next, path) == 0 && sync_folder(folder);

    if (old >= 0 && good)
        good = write_whole(old, zeros, sizeof(zeros)) && fsync(old) == 0;
    if (old >= 0 && close(old) != 0)
        good = false;
    return good ? ST_OK : ST_IO;
}

void key_id_text(const uint8_t key[KEY_BYTES], char out[13])
{
    static const char label[] = "lethe.key.id.v1";
    uint8_t id[16];

    (void)crypto_generichash(id, sizeof(id), (const uint8_t *)label,
                             sizeof(label) - 1, key, KEY_BYTES);
    (void)sodium_bin2hex(out, 13, id, 6);
}
