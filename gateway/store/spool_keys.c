#include "lethe/gateway/store/spool_keys.h"

#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/store/bytes.h"
#include "lethe/gateway/store/fileio.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file: one page of header, then SPOOL_KEYS_MAX slots of 128 bytes, so
 * that no slot crosses a sector. Header: magic, nonce, sealed magic (tells a
 * wrong master key from damage). Slot: state, use, destination, epoch,
 * made_ms, nonce, sealed key; associated data = its number and the rest. A
 * free slot keeps its `use`, so that a number never comes back. */
#define HEADER_BYTES 4096u
#define SLOT_BYTES   128u
#define FILE_BYTES   (HEADER_BYTES + SPOOL_KEYS_MAX * SLOT_BYTES)
#define MAGIC        "LETHESK1"
#define MAGIC_BYTES  8u
#define NONCE_BYTES  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define MAC_BYTES    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define META_BYTES   32u /* state, use, destination, epoch, made_ms */
#define AAD_BYTES    (4u + META_BYTES)
#define WRAP_CONTEXT "lethe.spool.wrap.v1"

enum slot_state { SLOT_FREE = 0, SLOT_LIVE = 1 };

struct slot {
    enum slot_state state;
    uint32_t use;
    uint64_t destination, epoch;
    int64_t made_ms;
};

struct spool_keys {
    int fd;
    char *path;
    pthread_mutex_t lock;
    uint8_t *wrap;              /* KEY_BYTES, locked */
    uint8_t (*keys)[KEY_BYTES]; /* SPOOL_KEYS_MAX, locked */
    struct slot slots[SPOOL_KEYS_MAX];
    unsigned high; /* slots at and beyond are free */
};

_Static_assert(META_BYTES + NONCE_BYTES + KEY_BYTES + MAC_BYTES <= SLOT_BYTES,
               "slot size");
_Static_assert(KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
               "key size");

static void meta_encode(const struct slot *s, uint8_t out[META_BYTES])
{
    be_put32(out, (uint32_t)s->state);
    be_put32(out + 4, s->use);
    be_put64(out + 8, s->destination);
    be_put64(out + 16, s->epoch);
    be_put64(out + 24, (uint64_t)s->made_ms);
}

static void aad_make(uint32_t number, const uint8_t *meta,
                     uint8_t out[AAD_BYTES])
{
    be_put32(out, number);
    memcpy(out + 4, meta, META_BYTES);
}

static void slot_encode(const uint8_t *wrap, uint32_t number,
                        const struct slot *s, const uint8_t *key,
                        uint8_t out[SLOT_BYTES])
{
    uint8_t aad[AAD_BYTES];
    uint8_t *nonce = out + META_BYTES;

    memset(out, 0, SLOT_BYTES);
    meta_encode(s, out);
    if (s->state == SLOT_FREE)
        return;
    aad_make(number, out, aad);
    randombytes_buf(nonce, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        nonce + NONCE_BYTES, NULL, key, KEY_BYTES, aad, sizeof(aad), NULL,
        nonce, wrap);
}

static enum status slot_decode(const uint8_t *wrap, uint32_t number,
                               const uint8_t in[SLOT_BYTES], struct slot *s,
                               uint8_t *key)
{
    uint8_t aad[AAD_BYTES];
    const uint8_t *nonce = in + META_BYTES;
    uint32_t state = be_get32(in);

    *s = (struct slot){.state = SLOT_FREE, .use = be_get32(in + 4)};
    if (state == SLOT_FREE)
        return ST_OK;
    if (state != SLOT_LIVE)
        return ST_CORRUPT;
    s->state = SLOT_LIVE;
    s->destination = be_get64(in + 8);
    s->epoch = be_get64(in + 16);
    s->made_ms = (int64_t)be_get64(in + 24);
    aad_make(number, in, aad);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            key, NULL, NULL, nonce + NONCE_BYTES, KEY_BYTES + MAC_BYTES, aad,
            sizeof(aad), nonce, wrap) != 0)
        return ST_CORRUPT;
    return ST_OK;
}

static uint64_t slot_offset(uint32_t number)
{
    return HEADER_BYTES + (uint64_t)number * SLOT_BYTES;
}

static enum status slot_write(struct spool_keys *k, uint32_t number,
                              const struct slot *s, const uint8_t *key)
{
    uint8_t bytes[SLOT_BYTES];

    slot_encode(k->wrap, number, s, key, bytes);
    enum status st =
        file_write_at(k->fd, bytes, sizeof(bytes), slot_offset(number));
    if (st == ST_OK)
        st = file_sync(k->fd);
    sodium_memzero(bytes, sizeof(bytes));
    return st == ST_OK ? ST_OK : ST_IO;
}

/* A key of its own for wrapping, so that the master key has one use here. */
static void wrap_key_make(const uint8_t master[KEY_BYTES],
                          uint8_t out[KEY_BYTES])
{
    (void)crypto_generichash(out, KEY_BYTES, (const uint8_t *)WRAP_CONTEXT,
                             sizeof(WRAP_CONTEXT) - 1, master, KEY_BYTES);
}

static void header_encode(const uint8_t *wrap, uint8_t out[HEADER_BYTES])
{
    uint8_t *nonce = out + MAGIC_BYTES;

    memset(out, 0, HEADER_BYTES);
    memcpy(out, MAGIC, MAGIC_BYTES);
    randombytes_buf(nonce, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        nonce + NONCE_BYTES, NULL, (const uint8_t *)MAGIC, MAGIC_BYTES, NULL, 0,
        NULL, nonce, wrap);
}

static enum status header_check(const uint8_t *wrap,
                                const uint8_t in[HEADER_BYTES])
{
    uint8_t plain[MAGIC_BYTES];
    const uint8_t *nonce = in + MAGIC_BYTES;

    if (memcmp(in, MAGIC, MAGIC_BYTES) != 0)
        return ST_CORRUPT;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            plain, NULL, NULL, nonce + NONCE_BYTES, MAGIC_BYTES + MAC_BYTES,
            NULL, 0, nonce, wrap) != 0)
        return ST_CRYPTO;
    return ST_OK;
}

/* Write the whole table to a new file and put it in the place of `path`:
 * at no time is there half a file under that name. *out_fd is set as soon as
 * the new file has the name, even if that is not synced (ST_IO). */
static enum status file_replace(const struct spool_keys *k, const uint8_t *wrap,
                                int *out_fd)
{
    char temp[PATH_MAX];
    uint8_t *all = calloc(1, FILE_BYTES);
    int len = snprintf(temp, sizeof(temp), "%s.new", k->path);
    enum status st = ST_IO;
    int fd = -1;

    if (all == NULL || len < 0 || (size_t)len >= sizeof(temp))
        goto done;
    header_encode(wrap, all);
    for (uint32_t i = 0; i < SPOOL_KEYS_MAX; i++)
        slot_encode(wrap, i, &k->slots[i], k->keys[i], all + slot_offset(i));
    (void)unlink(temp);
    fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || file_write_at(fd, all, FILE_BYTES, 0) != ST_OK ||
        fsync(fd) != 0 || rename(temp, k->path) != 0)
        goto done;
    *out_fd = fd; /* from here on this is the file, synced name or not */
    fd = -1;
    st = file_sync_folder_of(k->path);

done:
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(temp);
    }
    free(all);
    return st;
}

static enum status table_decode(struct spool_keys *k, const uint8_t *all)
{
    enum status st = header_check(k->wrap, all);

    for (uint32_t i = 0; i < SPOOL_KEYS_MAX && st == ST_OK; i++) {
        st = slot_decode(k->wrap, i, all + slot_offset(i), &k->slots[i],
                         k->keys[i]);
        if (k->slots[i].state == SLOT_LIVE)
            k->high = i + 1;
    }
    return st;
}

static enum status file_load(struct spool_keys *k)
{
    struct stat sb;
    uint8_t *all = NULL;
    enum status st;

    if (fstat(k->fd, &sb) != 0)
        return ST_IO;
    if (!S_ISREG(sb.st_mode) || sb.st_size != (off_t)FILE_BYTES)
        return ST_CORRUPT;
    all = malloc(FILE_BYTES);
    if (all == NULL)
        return ST_NOMEM;
    st = file_read_at(k->fd, all, FILE_BYTES, 0);
    if (st == ST_OK)
        st = table_decode(k, all);
    free(all);
    return st;
}

static struct spool_keys *keys_new(const char *path)
{
    struct spool_keys *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->fd = -1;
    (void)pthread_mutex_init(&k->lock, NULL);
    k->path = strdup(path);
    k->wrap = secret_alloc(KEY_BYTES);
    k->keys = secret_alloc((size_t)SPOOL_KEYS_MAX * KEY_BYTES);
    if (k->path == NULL || k->wrap == NULL || k->keys == NULL) {
        spool_keys_close(k);
        return NULL;
    }
    return k;
}

enum status spool_keys_open(const char *path, const uint8_t master[KEY_BYTES],
                            struct spool_keys **out)
{
    if (sodium_init() < 0)
        return ST_CRYPTO;
    struct spool_keys *k = keys_new(path);
    if (k == NULL)
        return ST_NOMEM;
    wrap_key_make(master, k->wrap);
    k->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    enum status st;
    if (k->fd >= 0)
        st = file_load(k);
    else if (errno == ENOENT)
        st = file_replace(k, k->wrap, &k->fd);
    else
        st = ST_IO;
    if (st != ST_OK) {
        spool_keys_close(k);
        return st;
    }
    *out = k;
    return ST_OK;
}

static void key_describe(const struct spool_keys *k, uint32_t number,
                         struct spool_key *out)
{
    const struct slot *s = &k->slots[number];

    *out = (struct spool_key){.slot = number,
                              .use = s->use,
                              .destination = s->destination,
                              .epoch = s->epoch,
                              .made_ms = s->made_ms,
                              .key = k->keys[number]};
}

/* The live slot of (destination, epoch), or else the first free one that has
 * numbers left, or SPOOL_KEYS_MAX. */
static uint32_t slot_find(const struct spool_keys *k, uint64_t destination,
                          uint64_t epoch)
{
    uint32_t unused = SPOOL_KEYS_MAX;

    for (uint32_t i = 0; i < k->high; i++) {
        const struct slot *s = &k->slots[i];
        if (s->state == SLOT_LIVE && s->destination == destination &&
            s->epoch == epoch)
            return i;
        if (s->state == SLOT_FREE && s->use < UINT32_MAX &&
            unused == SPOOL_KEYS_MAX)
            unused = i;
    }
    return unused == SPOOL_KEYS_MAX ? k->high : unused;
}

static enum status slot_make(struct spool_keys *k, uint32_t number,
                             uint64_t destination, uint64_t epoch,
                             int64_t now_ms)
{
    struct slot *s = &k->slots[number];
    struct slot made = {.state = SLOT_LIVE,
                        .use = s->use + 1,
                        .destination = destination,
                        .epoch = epoch,
                        .made_ms = now_ms};

    /* Also when the write fails: it may have reached the disk. */
    s->use = made.use;
    randombytes_buf(k->keys[number], KEY_BYTES);
    enum status st = slot_write(k, number, &made, k->keys[number]);
    if (st != ST_OK) {
        sodium_memzero(k->keys[number], KEY_BYTES);
        return st;
    }
    *s = made;
    if (number >= k->high)
        k->high = number + 1;
    return ST_OK;
}

enum status spool_keys_get(struct spool_keys *k, uint64_t destination,
                           uint64_t epoch, int64_t now_ms,
                           struct spool_key *out)
{
    enum status st = ST_OK;

    (void)pthread_mutex_lock(&k->lock);
    uint32_t number = slot_find(k, destination, epoch);
    if (number >= SPOOL_KEYS_MAX)
        st = ST_LIMIT;
    else if (k->slots[number].state != SLOT_LIVE)
        st = slot_make(k, number, destination, epoch, now_ms);
    if (st == ST_OK)
        key_describe(k, number, out);
    (void)pthread_mutex_unlock(&k->lock);
    return st;
}

static bool slot_is(const struct spool_keys *k, uint32_t slot, uint32_t use)
{
    return slot < SPOOL_KEYS_MAX && k->slots[slot].state == SLOT_LIVE &&
           k->slots[slot].use == use;
}

enum status spool_keys_at(struct spool_keys *k, uint32_t slot, uint32_t use,
                          struct spool_key *out)
{
    (void)pthread_mutex_lock(&k->lock);
    bool found = slot_is(k, slot, use);
    if (found)
        key_describe(k, slot, out);
    (void)pthread_mutex_unlock(&k->lock);
    return found ? ST_OK : ST_UNKNOWN;
}

enum status spool_keys_each(struct spool_keys *k, unsigned index,
                            struct spool_key *out)
{
    enum status st = ST_END;

    (void)pthread_mutex_lock(&k->lock);
    for (uint32_t i = 0; i < k->high; i++) {
        if (k->slots[i].state != SLOT_LIVE || index-- != 0)
            continue;
        key_describe(k, i, out);
        st = ST_OK;
        break;
    }
    (void)pthread_mutex_unlock(&k->lock);
    return st;
}

enum status spool_keys_destroy(struct spool_keys *k, uint32_t slot,
                               uint32_t use)
{
    enum status st = ST_UNKNOWN;

    (void)pthread_mutex_lock(&k->lock);
    if (slot_is(k, slot, use)) {
        struct slot gone = {.state = SLOT_FREE, .use = use};
        st = slot_write(k, slot, &gone, NULL);
        if (st == ST_OK) {
            sodium_memzero(k->keys[slot], KEY_BYTES);
            k->slots[slot] = gone;
        }
    }
    (void)pthread_mutex_unlock(&k->lock);
    return st;
}

/* What the file held was wrapped under the old key: overwrite it through the
 * descriptor that is still open. A crash before that leaves it to whoever
 * holds the old master key, which rotation destroys. */
enum status spool_keys_rewrap(struct spool_keys *k,
                              const uint8_t master[KEY_BYTES])
{
    uint8_t wrap[KEY_BYTES];
    int fd = -1;

    wrap_key_make(master, wrap);
    (void)pthread_mutex_lock(&k->lock);
    enum status st = file_replace(k, wrap, &fd);
    if (fd >= 0) {
        if (st == ST_OK)
            st = file_write_zeros(k->fd, 0, FILE_BYTES);
        if (st == ST_OK)
            st = file_sync(k->fd);
        (void)close(k->fd);
        k->fd = fd;
        memcpy(k->wrap, wrap, KEY_BYTES);
    }
    (void)pthread_mutex_unlock(&k->lock);
    sodium_memzero(wrap, sizeof(wrap));
    return st == ST_OK ? ST_OK : ST_IO;
}

void spool_keys_close(struct spool_keys *k)
{
    if (k == NULL)
        return;
    if (k->fd >= 0)
        (void)close(k->fd);
    secret_free(k->wrap);
    secret_free(k->keys);
    (void)pthread_mutex_destroy(&k->lock);
    free(k->path);
    free(k);
}

static void hash_text(crypto_generichash_blake2b_state *h, struct slice s)
{
    uint8_t len[4];

    be_put32(len, (uint32_t)s.len);
    (void)crypto_generichash_blake2b_update(h, len, sizeof(len));
    if (s.len > 0)
        (void)crypto_generichash_blake2b_update(h, (const uint8_t *)s.at,
                                                s.len);
}

uint64_t destination_key(struct slice site_id, struct slice name)
{
    crypto_generichash_blake2b_state h;
    uint8_t out[8];

    (void)crypto_generichash_blake2b_init(&h, NULL, 0, sizeof(out));
    hash_text(&h, site_id);
    hash_text(&h, name);
    (void)crypto_generichash_blake2b_final(&h, out, sizeof(out));
    uint64_t key = be_get64(out);
    return key == 0 ? 1 : key; /* 0 means "all" to outage.h */
}
