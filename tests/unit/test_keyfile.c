/* Key files and locked memory: R31, R32, R35. Real files in a folder of the
 * test's own; only geteuid() is replaced (-Wl,--wrap). */
#include "lethe/gateway/keys/keyfile.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static char folder[] = "/tmp/lethe-keyfile-XXXXXX";
static char path[PATH_MAX];

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
static bool be_another_user;
uid_t __wrap_geteuid(void)
{
    return be_another_user ? 12345 : __real_geteuid();
}

static void put(const char *name, const void *bytes, size_t len, mode_t mode)
{
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static enum key_fault load(const char *state_dir)
{
    uint8_t *key = NULL;
    enum key_fault fault = KEY_FAULT_NONE;
    enum status st = keyfile_load(path, state_dir, &key, &fault);

    if (st == ST_OK) {
        assert_non_null(key);
        secret_free(key);
    } else {
        assert_int_equal(st, ST_DENIED);
        assert_null(key); /* untouched on error */
        assert_int_not_equal(fault, KEY_FAULT_NONE);
    }
    return fault;
}

static void r32_reads_hex_and_raw(void **state)
{
    uint8_t want[32], *key = NULL;
    enum key_fault fault;

    (void)state;
    for (unsigned i = 0; i < 32; i++)
        want[i] = (uint8_t)i;
    put("k", HEX64 "\n", 65, 0600);
    assert_int_equal(keyfile_load(path, NULL, &key, &fault), ST_OK);
    assert_memory_equal(key, want, 32);
    secret_free(key);
    put("k", want, 32, 0400);
    assert_int_equal(keyfile_load(path, NULL, &key, &fault), ST_OK);
    assert_memory_equal(key, want, 32);
    secret_free(key);
}

static void r32_refuses_what_is_not_one_key(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {HEX64 "\n\n", 66},
        {HEX64 "a\n", 66},
        {HEX64 "a", 65},
        {HEX64 "\r\n", 66},
        {HEX64, 63},
        {HEX64, 33},
        {HEX64, 31},
        {"g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
         65},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put("k", bad[i].bytes, bad[i].len, 0600);
        assert_int_equal(load(NULL), KEY_FAULT_CONTENT);
    }
}

static void r32_refuses_all_bytes_alike(void **state)
{
    uint8_t same[32];

    (void)state;
    memset(same, 0x61, sizeof(same));
    put("k", same, sizeof(same), 0600);
    assert_int_equal(load(NULL), KEY_FAULT_DEFAULT);
    same[31] ^= 1;
    put("k", same, sizeof(same), 0600);
    assert_int_equal(load(NULL), KEY_FAULT_NONE);
}

static void r32_refuses_every_other_mode(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode <= 07777; mode++) {
        if ((mode & 0777) % 3 != 0 && mode != 0644 && mode != 0640)
            continue; /* a third of them, and the common ones */
        put("k", HEX64 "\n", 65, (mode_t)mode);
        enum key_fault want =
            mode == 0400 || mode == 0600 ? KEY_FAULT_NONE : KEY_FAULT_MODE;
        enum key_fault got = load(NULL);
        if (geteuid() != 0 && (mode & 0400) == 0)
            want = KEY_FAULT_IO; /* only root can open those */
        assert_int_equal(got, want);
    }
}

static void r32_refuses_links_fifos_and_folders(void **state)
{
    char other[PATH_MAX];

    (void)state;
    put("real", HEX64 "\n", 65, 0600);
    (void)memcpy(other, path, sizeof(other));
    (void)snprintf(path, sizeof(path), "%s/link", folder);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(load(NULL), KEY_FAULT_SYMLINK);
    (void)snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load(NULL), KEY_FAULT_NOT_REGULAR);
    (void)snprintf(path, sizeof(path), "%s/dir", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(load(NULL), KEY_FAULT_NOT_REGULAR);
    (void)snprintf(path, sizeof(path), "%s/nothing", folder);
    assert_int_equal(load(NULL), KEY_FAULT_MISSING);
    (void)snprintf(path, sizeof(path), "%s/no/k", folder);
    assert_int_equal(load(NULL), KEY_FAULT_MISSING);
    (void)snprintf(path, sizeof(path), "%s/", folder);
    assert_int_equal(load(NULL), KEY_FAULT_MISSING);
}

static void r32_refuses_a_foreign_owner(void **state)
{
    (void)state;
    put("k", HEX64 "\n", 65, 0600);
    be_another_user = true;
    enum key_fault fault = load(NULL);
    be_another_user = false;
    assert_int_equal(fault, KEY_FAULT_OWNER);
}

static void r32_refuses_a_folder_others_can_write(void **state)
{
    static const mode_t bad[] = {0777, 0770, 0702, 01777};

    (void)state;
    put("k", HEX64 "\n", 65, 0600);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(chmod(folder, bad[i]), 0);
        assert_int_equal(load(NULL), KEY_FAULT_FOLDER);
    }
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(load(NULL), KEY_FAULT_NONE);
    assert_int_equal(chmod(folder, 0700), 0);
}

static void r31_refuses_a_key_inside_the_state(void **state)
{
    char deeper[PATH_MAX];

    (void)state;
    put("k", HEX64 "\n", 65, 0600);
    assert_int_equal(load(folder), KEY_FAULT_IN_STATE);
    assert_int_equal(load("/tmp"), KEY_FAULT_IN_STATE);
    assert_int_equal(load("/tmp/lethe-keyfile"), KEY_FAULT_NONE);
    (void)snprintf(deeper, sizeof(deeper), "%s/dir/../../%s", folder,
                   folder + 5);
    assert_int_equal(load(deeper), KEY_FAULT_IN_STATE);
    (void)snprintf(deeper, sizeof(deeper), "%s/dir", folder);
    assert_int_equal(load(deeper), KEY_FAULT_NONE);
}

static void r32_every_fault_has_its_own_words(void **state)
{
    (void)state;
    for (unsigned a = 0; a < KEY_FAULT_COUNT; a++)
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(key_fault_text((enum key_fault)a),
                                    key_fault_text((enum key_fault)b));
}

static void create_makes_a_key_once(void **state)
{
    struct stat st;
    uint8_t *key = NULL;
    enum key_fault fault;
    char id[13];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/new", folder);
    mode_t old = umask(0);
    assert_int_equal(keyfile_create(path), ST_OK);
    (void)umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(keyfile_load(path, NULL, &key, &fault), ST_OK);
    key_id_text(key, id);
    assert_int_equal(strlen(id), 12);
    secret_free(key);
    assert_int_equal(keyfile_create(path), ST_EXISTS);
    (void)snprintf(path, sizeof(path), "%s/no/new", folder);
    assert_int_equal(keyfile_create(path), ST_IO);
}

static void text_secret_is_one_line(void **state)
{
    char *text = NULL;
    enum key_fault fault;

    (void)state;
    put("t", "0123456789\n", 11, 0600);
    assert_int_equal(secret_text_load(path, 10, &text, &fault), ST_OK);
    assert_string_equal(text, "0123456789");
    secret_free(text);
    text = NULL;
    assert_int_equal(secret_text_load(path, 9, &text, &fault), ST_DENIED);
    assert_int_equal(fault, KEY_FAULT_CONTENT);
    put("t", "0123456789", 10, 0600);
    assert_int_equal(secret_text_load(path, 10, &text, &fault), ST_OK);
    secret_free(text);
    text = NULL;
    put("t", "01234567890", 11, 0600); /* one beyond, no newline */
    assert_int_equal(secret_text_load(path, 10, &text, &fault), ST_DENIED);
    put("t", "a\nb\n", 4, 0600);
    assert_int_equal(secret_text_load(path, 10, &text, &fault), ST_DENIED);
    put("t", "\n", 1, 0600);
    assert_int_equal(secret_text_load(path, 10, &text, &fault), ST_DENIED);
    put("t", "a\0b\n", 4, 0600);
    assert_int_equal(secret_text_load(path, 10, &text, &fault), ST_DENIED);
    put("t", "abc\n", 4, 0644);
    assert_int_equal(secret_text_load(path, 10, &text, &fault), ST_DENIED);
    assert_int_equal(fault, KEY_FAULT_MODE);
    assert_null(text);
}

static void r35_no_core_and_locked_memory(void **state)
{
    struct rlimit core;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    assert_int_equal(core.rlim_max, 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    uint8_t *secret = secret_alloc(33);
    assert_non_null(secret);
    assert_int_equal((uintptr_t)secret % 16, 0);
    for (unsigned i = 0; i < 33; i++)
        assert_int_equal(secret[i], 0);
    assert_false(secret_lock_failed());
    secret_free(secret);
    secret_free(NULL);
    assert_null(secret_alloc(SIZE_MAX));
}

static void r35_a_failed_lock_is_told(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* it makes mlock() do nothing */
#endif
    struct rlimit old, none = {0, 0};
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
    (void)setrlimit(RLIMIT_MEMLOCK, &none);
    /* Only an unprivileged process meets the limit. */
    uid_t me = geteuid();
    if (me == 0)
        assert_int_equal(seteuid(65534), 0);
    uint8_t *key = secret_alloc(KEY_BYTES);
    if (me == 0)
        assert_int_equal(seteuid(0), 0);
    (void)setrlimit(RLIMIT_MEMLOCK, &old);
    assert_non_null(key);
    memset(key, 1, KEY_BYTES);
    secret_free(key);
    assert_true(secret_lock_failed());
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || secrets_init() != ST_OK;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"k",    "real", "link",
                                        "fifo", "new",  "t"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/dir", folder);
    (void)rmdir(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r32_reads_hex_and_raw),
        cmocka_unit_test(r32_refuses_what_is_not_one_key),
        cmocka_unit_test(r32_refuses_all_bytes_alike),
        cmocka_unit_test(r32_refuses_every_other_mode),
        cmocka_unit_test(r32_refuses_links_fifos_and_folders),
        cmocka_unit_test(r32_refuses_a_foreign_owner),
        cmocka_unit_test(r32_refuses_a_folder_others_can_write),
        cmocka_unit_test(r31_refuses_a_key_inside_the_state),
        cmocka_unit_test(r32_every_fault_has_its_own_words),
        cmocka_unit_test(create_makes_a_key_once),
        cmocka_unit_test(text_secret_is_one_line),
        cmocka_unit_test(r35_no_core_and_locked_memory),
        cmocka_unit_test(r35_a_failed_lock_is_told),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
