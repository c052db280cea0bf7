/* secret.c - the second half of keyfile.h: locked memory, and a process that
 * leaves no core dump behind (R35). */
#include "lethe/gateway/keys/keyfile.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static atomic_bool lock_failed;

void *secret_alloc(size_t bytes)
{
    /* sodium_malloc() puts the block's end at a page's end; a multiple of 16
     * keeps its start aligned. */
    size_t size = (bytes + 15) & ~(size_t)15;

    if (size < bytes)
        return NULL;
    void *secret = sodium_malloc(size == 0 ? 16 : size);
    if (secret == NULL)
        return NULL;
    /* sodium_malloc() locks too, but hides the result (R35: checked). Without
     * the lock the block still has its guard pages and stays out of dumps. */
    if (sodium_mlock(secret, size) != 0)
        atomic_store(&lock_failed, true);
    sodium_memzero(secret, size);
    return secret;
}

void secret_free(void *secret)
{
    if (secret != NULL)
        sodium_free(secret); /* wipes and unlocks */
}

bool secret_lock_failed(void)
{
    return atomic_load(&lock_failed);
}

enum status secrets_init(void)
{
    const struct rlimit none = {0, 0};

    if (sodium_init() < 0)
        return ST_CRYPTO;
    if (setrlimit(RLIMIT_CORE, &none) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return ST_CRYPTO;
    return ST_OK;
}

const char *key_in_environment(void)
{
    static const char *const names[] = {
        "KEY",       "MASTER_KEY",       "OPTOUT_KEY",
        "LETHE_KEY", "LETHE_MASTER_KEY", "LETHE_OPTOUT_KEY"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (getenv(names[i]) != NULL)
            return names[i];
    return NULL;
}
