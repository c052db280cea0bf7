/* Spool keys: on disk before use, gone from it after destroying. Real files
 * in a folder of the test's own; fdatasync is counted and can be made to
 * fail. */
#include "lethe/gateway/store/spool_keys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned syncs;
static bool sync_fails;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    syncs++;
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return __real_fdatasync(fd);
}

struct fixture {
    char folder[64], path[96];
    uint8_t master[KEY_BYTES];
    struct spool_keys *k;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/lethe-keys-XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/spool.keys", f->folder);
    memset(f->master, 0x42, sizeof(f->master));
    sync_fails = false;
    *state = f;
    return spool_keys_open(f->path, f->master, &f->k) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    spool_keys_close(f->k);
    (void)unlink(f->path);
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    spool_keys_close(f->k);
    f->k = NULL;
    assert_int_equal(spool_keys_open(f->path, f->master, &f->k), ST_OK);
}

/* The whole file, to look for bytes in it. */
static size_t file_bytes(const struct fixture *f, uint8_t **out)
{
    struct stat sb;
    FILE *in = fopen(f->path, "rb");

    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &sb), 0);
    *out = malloc((size_t)sb.st_size);
    assert_int_equal(fread(*out, 1, (size_t)sb.st_size, in), sb.st_size);
    (void)fclose(in);
    return (size_t)sb.st_size;
}

static void a_key_is_made_once_and_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    struct spool_key a, b, c;
    uint8_t kept[KEY_BYTES];

    syncs = 0;
    assert_int_equal(spool_keys_get(f->k, 5, 9, 1000, &a), ST_OK);
    assert_int_equal(syncs, 1); /* durable before it is handed out */
    assert_int_equal(spool_keys_get(f->k, 5, 9, 2000, &b), ST_OK);
    assert_int_equal(syncs, 1);
    assert_int_equal(a.slot, b.slot);
    assert_ptr_equal(a.key, b.key);
    assert_int_equal(spool_keys_get(f->k, 5, 10, 2000, &c), ST_OK);
    assert_memory_not_equal(a.key, c.key, KEY_BYTES);
    memcpy(kept, a.key, KEY_BYTES);
    reopen(f);
    assert_int_equal(spool_keys_at(f->k, a.slot, a.use, &b), ST_OK);
    assert_memory_equal(b.key, kept, KEY_BYTES);
    assert_true(b.destination == 5 && b.epoch == 9 && b.made_ms == 1000);
}

static void r33_a_destroyed_key_leaves_nothing_in_the_file(void **state)
{
    struct fixture *f = *state;
    struct spool_key a, b;
    uint8_t *before, *after;

    assert_int_equal(spool_keys_get(f->k, 5, 9, 1000, &a), ST_OK);
    size_t len = file_bytes(f, &before);
    syncs = 0;
    assert_int_equal(spool_keys_destroy(f->k, a.slot, a.use), ST_OK);
    assert_int_equal(syncs, 1);
    assert_int_equal(file_bytes(f, &after), len);
    /* Slot 0 is behind the header page: only its `use` may stay. */
    const uint8_t *slot = after + 4096;
    assert_memory_not_equal(before + 4096, slot, 128);
    for (unsigned i = 8; i < 128; i++)
        assert_int_equal(slot[i], 0);
    for (unsigned i = 0; i < KEY_BYTES; i++)
        assert_int_equal(a.key[i], 0);
    assert_int_equal(spool_keys_at(f->k, a.slot, a.use, &b), ST_UNKNOWN);
    assert_int_equal(spool_keys_destroy(f->k, a.slot, a.use), ST_UNKNOWN);
    free(before);
    free(after);
}

static void a_slot_that_is_used_again_has_another_use(void **state)
{
    struct fixture *f = *state;
    struct spool_key a, b;

    assert_int_equal(spool_keys_get(f->k, 5, 9, 1, &a), ST_OK);
    assert_int_equal(spool_keys_destroy(f->k, a.slot, a.use), ST_OK);
    reopen(f);
    assert_int_equal(spool_keys_get(f->k, 6, 9, 1, &b), ST_OK);
    assert_int_equal(b.slot, a.slot);
    assert_int_equal(b.use, a.use + 1);
    assert_int_equal(spool_keys_at(f->k, a.slot, a.use, &a), ST_UNKNOWN);
}

static void a_key_whose_sync_fails_is_not_handed_out(void **state)
{
    struct fixture *f = *state;
    struct spool_key a = {.slot = 77}, b;

    sync_fails = true;
    assert_int_equal(spool_keys_get(f->k, 5, 9, 1, &a), ST_IO);
    assert_int_equal(a.slot, 77);
    assert_int_equal(spool_keys_each(f->k, 0, &b), ST_END);
    sync_fails = false;
    assert_int_equal(spool_keys_get(f->k, 5, 9, 1, &a), ST_OK);
    assert_int_equal(a.use, 2); /* the first may be on disk */
    sync_fails = true;
    assert_int_equal(spool_keys_destroy(f->k, a.slot, a.use), ST_IO);
    sync_fails = false;
    assert_int_equal(spool_keys_at(f->k, a.slot, a.use, &b), ST_OK);
}

static void a_wrong_master_key_is_told_from_damage(void **state)
{
    struct fixture *f = *state;
    struct spool_keys *other = NULL;
    struct spool_key a;
    uint8_t wrong[KEY_BYTES] = {0};

    assert_int_equal(spool_keys_get(f->k, 5, 9, 1, &a), ST_OK);
    assert_int_equal(spool_keys_open(f->path, wrong, &other), ST_CRYPTO);
    assert_null(other);
    /* Every byte of the sealed slot and of its description counts. */
    for (long at = 0; at < 32 + 24 + 32 + 16; at++) {
        FILE *io = fopen(f->path, "r+b");
        assert_int_equal(fseek(io, 4096 + at, SEEK_SET), 0);
        int good = fgetc(io);
        assert_int_equal(fseek(io, 4096 + at, SEEK_SET), 0);
        assert_int_equal(fputc(good ^ 0x10, io), good ^ 0x10);
        assert_int_equal(fflush(io), 0);
        assert_int_equal(spool_keys_open(f->path, f->master, &other),
                         ST_CORRUPT);
        assert_int_equal(fseek(io, 4096 + at, SEEK_SET), 0);
        assert_int_equal(fputc(good, io), good);
        (void)fclose(io);
    }
    assert_int_equal(truncate(f->path, 4096), 0);
    assert_int_equal(spool_keys_open(f->path, f->master, &other), ST_CORRUPT);
}

static void the_last_slot_is_used_and_one_beyond_is_a_limit(void **state)
{
    struct fixture *f = *state;
    struct spool_key a;

    for (uint64_t i = 0; i < SPOOL_KEYS_MAX; i++)
        assert_int_equal(spool_keys_get(f->k, 1, i, 1, &a), ST_OK);
    assert_int_equal(spool_keys_get(f->k, 1, SPOOL_KEYS_MAX, 1, &a), ST_LIMIT);
    assert_int_equal(spool_keys_each(f->k, SPOOL_KEYS_MAX - 1, &a), ST_OK);
    assert_int_equal(spool_keys_each(f->k, SPOOL_KEYS_MAX, &a), ST_END);
    assert_int_equal(spool_keys_destroy(f->k, 100, 1), ST_OK);
    assert_int_equal(spool_keys_get(f->k, 2, 2, 1, &a), ST_OK);
    assert_int_equal(a.slot, 100);
    assert_int_equal(spool_keys_at(f->k, SPOOL_KEYS_MAX, 0, &a), ST_UNKNOWN);
}

static void rewrapping_keeps_keys_and_shuts_out_the_old_master(void **state)
{
    struct fixture *f = *state;
    struct spool_keys *other = NULL;
    struct spool_key a, b;
    uint8_t kept[KEY_BYTES], old[KEY_BYTES];

    assert_int_equal(spool_keys_get(f->k, 5, 9, 1, &a), ST_OK);
    memcpy(kept, a.key, KEY_BYTES);
    memcpy(old, f->master, KEY_BYTES);
    memset(f->master, 0x24, KEY_BYTES);
    assert_int_equal(spool_keys_rewrap(f->k, f->master), ST_OK);
    assert_int_equal(spool_keys_open(f->path, old, &other), ST_CRYPTO);
    assert_int_equal(spool_keys_get(f->k, 6, 9, 1, &b), ST_OK);
    reopen(f);
    assert_int_equal(spool_keys_at(f->k, a.slot, a.use, &b), ST_OK);
    assert_memory_equal(b.key, kept, KEY_BYTES);
    assert_int_equal(spool_keys_each(f->k, 1, &b), ST_OK);
    assert_true(b.destination == 6);
}

static void the_file_is_private_and_a_symlink_is_refused(void **state)
{
    struct fixture *f = *state;
    struct spool_keys *other = NULL;
    struct stat sb;
    char link[128];

    assert_int_equal(stat(f->path, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0600);
    (void)snprintf(link, sizeof(link), "%s/link", f->folder);
    assert_int_equal(symlink(f->path, link), 0);
    assert_int_equal(spool_keys_open(link, f->master, &other), ST_IO);
    (void)unlink(link);
}

static void r23_destination_keys_do_not_run_together(void **state)
{
    (void)state;
    uint64_t a = destination_key(SLICE("ab"), SLICE("c"));
    uint64_t b = destination_key(SLICE("a"), SLICE("bc"));
    assert_true(a != b);
    assert_true(a == destination_key(SLICE("ab"), SLICE("c")));
    assert_true(a != 0);
    /* BLAKE2b-64 of 00000002 6162 00000001 63, from Python's hashlib. */
    assert_true(a == UINT64_C(0x88f5e1cfb74ccc43));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_is_made_once_and_survives_a_restart),
        T(r33_a_destroyed_key_leaves_nothing_in_the_file),
        T(a_slot_that_is_used_again_has_another_use),
        T(a_key_whose_sync_fails_is_not_handed_out),
        T(a_wrong_master_key_is_told_from_damage),
        T(the_last_slot_is_used_and_one_beyond_is_a_limit),
        T(rewrapping_keeps_keys_and_shuts_out_the_old_master),
        T(the_file_is_private_and_a_symlink_is_refused),
        cmocka_unit_test(r23_destination_keys_do_not_run_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
