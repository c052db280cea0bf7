#include "lethe/gateway/keys/epoch_file.h"
#include "lethe/gateway/keys/keyfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_SLOTS 32u /* a page of locked memory */
#define CHUNKS_MAX  (EPOCH_SLOTS_MAX / CHUNK_SLOTS)

static const uint8_t magic[8] = {'L', 'E', 'T', 'H', 'E', 'E', 'P', '1'};

static_assert(sizeof(struct epoch_slot) == EPOCH_SLOT_BYTES, "file format");
static_assert(sizeof(struct epoch_head) == EPOCH_SLOT_BYTES, "file format");

struct epoch_file {
    int fd; /* -1: memory only */
    enum epoch_place place;
    struct epoch_head *head;
    struct epoch_slot *chunks[CHUNKS_MAX];
    unsigned count;                  /* slots */
    bool unwritten[EPOCH_SLOTS_MAX]; /* a write of it failed */
    unsigned unwritten_count;
};

static void sum_of(const void *slot, uint8_t out[16])
{
    (void)crypto_generichash(out, 16, slot, EPOCH_SLOT_BYTES - 16, NULL, 0);
}

static bool sum_holds(const void *slot, const uint8_t sum[16])
{
    uint8_t want[16];

    sum_of(slot, want);
    return memcmp(want, sum, sizeof(want)) == 0;
}

static enum status write_slot(int fd, const void *slot, off_t at)
{
    if (fd < 0)
        return ST_OK;
    if (pwrite(fd, slot, EPOCH_SLOT_BYTES, at) != (ssize_t)EPOCH_SLOT_BYTES ||
        fsync(fd) != 0)
        return ST_IO;
    return ST_OK;
}

/* The file `name` in `dir`, ours alone; whatever else has the name goes. */
static int open_file(int dir, const char *name)
{
    struct stat st;
    int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_uid == geteuid() && (st.st_mode & 07777) == 0600 &&
        st.st_nlink == 1)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
        return -1;
    fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0600);
    if (fd >= 0 && (fchmod(fd, 0600) != 0 || fsync(dir) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static enum status add_chunk(struct epoch_file *f)
{
    unsigned chunk = f->count / CHUNK_SLOTS;

    if (chunk == CHUNKS_MAX)
        return ST_LIMIT;
    f->chunks[chunk] = secret_alloc(CHUNK_SLOTS * sizeof(struct epoch_slot));
    if (f->chunks[chunk] == NULL)
        return ST_NOMEM;
    f->count += CHUNK_SLOTS;
    return ST_OK;
}

/* Zeros over all that is there, then an empty file of this state. */
static enum status start_anew(struct epoch_file *f, off_t size,
                              const uint8_t state_id[16])
{
    static const uint8_t zeros[EPOCH_SLOT_BYTES];

    for (off_t at = 0; at < size; at += (off_t)sizeof(zeros))
        if (pwrite(f->fd, zeros, sizeof(zeros), at) < 0)
            return ST_IO;
    if (f->fd >= 0 && (fsync(f->fd) != 0 || ftruncate(f->fd, 0) != 0))
        return ST_IO;
    memset(f->head, 0, sizeof(*f->head));
    memcpy(f->head->magic, magic, sizeof(magic));
    memcpy(f->head->state_id, state_id, 16);
    return epoch_file_write_head(f);
}

/* A slot that is torn or strange is as good as gone: erase it. */
static enum status read_slots(struct epoch_file *f, off_t size)
{
    unsigned in_file = (unsigned)(size / (off_t)EPOCH_SLOT_BYTES) - 1;

    for (unsigned i = 0; i < in_file; i++) {
        if (i == f->count) {
            enum status st = add_chunk(f);
            if (st != ST_OK)
                return st;
        }
        struct epoch_slot *slot = epoch_file_slot(f, i);
        off_t at = (off_t)(i + 1) * (off_t)EPOCH_SLOT_BYTES;
        bool good =
            pread(f->fd, slot, sizeof(*slot), at) == (ssize_t)sizeof(*slot) &&
            sum_holds(slot, slot->sum) && slot->kind <= EPOCH_SLOT_DAY;
        if (good)
            slot->tag[EPOCH_DAY_TAG_MAX - 1] = '\0';
        else if (!sodium_is_zero((const uint8_t *)slot, sizeof(*slot)) &&
                 epoch_file_erase(f, i) != ST_OK)
            return ST_IO;
    }
    return ST_OK;
}

static enum status read_file(struct epoch_file *f, const uint8_t state_id[16])
{
    struct stat st;
    const struct epoch_head *h = f->head;

    if (f->fd < 0)
        return start_anew(f, 0, state_id);
    if (fstat(f->fd, &st) != 0)
        return ST_IO;
    bool good =
        st.st_size >= (off_t)EPOCH_SLOT_BYTES &&
        st.st_size <= (off_t)((EPOCH_SLOTS_MAX + 1) * EPOCH_SLOT_BYTES) &&
        pread(f->fd, f->head, sizeof(*h), 0) == (ssize_t)sizeof(*h) &&
        memcmp(h->magic, magic, sizeof(magic)) == 0 && sum_holds(h, h->sum) &&
        memcmp(h->state_id, state_id, 16) == 0;
    return good ? read_slots(f, st.st_size)
                : start_anew(f, st.st_size, state_id);
}

enum status epoch_file_open(const struct conf *c, const uint8_t state_id[16],
                            struct epoch_file **out)
{
    char hex[33], name[64];
    int dir = -1;
    struct epoch_file *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return ST_NOMEM;
    f->fd = -1;
    (void)sodium_bin2hex(hex, sizeof(hex), state_id, 16);
    (void)snprintf(name, sizeof(name), "lethe-epochs-%s", hex);
    f->head = secret_alloc(sizeof(*f->head));
    enum status st = f->head == NULL
                         ? ST_NOMEM
                         : epoch_place_choose(c, name, &dir, &f->place);
    if (st == ST_OK && dir >= 0) {
        f->fd =
            open_file(dir, f->place == EPOCH_ON_DISK ? EPOCH_DISK_NAME : name);
        st = f->fd < 0 ? ST_IO : ST_OK;
        (void)close(dir);
    }
    if (st == ST_OK)
        st = read_file(f, state_id);
    if (st != ST_OK) {
        epoch_file_close(f);
        return st;
    }
    *out = f;
    return ST_OK;
}

void epoch_file_close(struct epoch_file *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        (void)close(f->fd);
    for (unsigned i = 0; i < CHUNKS_MAX; i++)
        secret_free(f->chunks[i]);
    secret_free(f->head);
    free(f);
}

enum epoch_place epoch_file_place(const struct epoch_file *f)
{
    return f->place;
}

unsigned epoch_file_count(const struct epoch_file *f)
{
    return f->count;
}

struct epoch_slot *epoch_file_slot(const struct epoch_file *f, unsigned index)
{
    assert(index < f->count);
    return &f->chunks[index / CHUNK_SLOTS][index % CHUNK_SLOTS];
}

enum status epoch_file_take(struct epoch_file *f, unsigned *out_index)
{
    unsigned i = 0;

    while (i < f->count &&
           (epoch_file_slot(f, i)->kind != EPOCH_SLOT_FREE || f->unwritten[i]))
        i++;
    if (i == f->count) {
        enum status st = add_chunk(f);
        if (st != ST_OK)
            return st;
    }
    *out_index = i;
    return ST_OK;
}

/* A slot's bytes to the file; all zero when it is free. */
static enum status put_slot(struct epoch_file *f, unsigned index)
{
    struct epoch_slot *slot = epoch_file_slot(f, index);

    if (slot->kind != EPOCH_SLOT_FREE)
        sum_of(slot, slot->sum);
    enum status st =
        write_slot(f->fd, slot, (off_t)(index + 1) * (off_t)EPOCH_SLOT_BYTES);
    if ((st != ST_OK) != f->unwritten[index]) {
        f->unwritten[index] = st != ST_OK;
        f->unwritten_count += st != ST_OK ? 1u : UINT32_MAX;
    }
    return st;
}

enum status epoch_file_write(struct epoch_file *f, unsigned index)
{
    for (unsigned i = 0; f->unwritten_count > 0 && i < f->count; i++)
        if (f->unwritten[i] && i != index && put_slot(f, i) != ST_OK)
            return ST_IO;
    return put_slot(f, index);
}

enum status epoch_file_erase(struct epoch_file *f, unsigned index)
{
    sodium_memzero(epoch_file_slot(f, index), sizeof(struct epoch_slot));
    return epoch_file_write(f, index);
}

struct epoch_head *epoch_file_head(const struct epoch_file *f)
{
    return f->head;
}

enum status epoch_file_write_head(struct epoch_file *f)
{
    sum_of(f->head, f->head->sum);
    return write_slot(f->fd, f->head, 0);
}
