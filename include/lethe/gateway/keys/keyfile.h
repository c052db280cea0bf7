/* keyfile.h - key files and locked memory: R31, R32, R35, R36. */
#ifndef LETHE_GATEWAY_KEYS_KEYFILE_H
#define LETHE_GATEWAY_KEYS_KEYFILE_H

#include "lethe/policy/base/status.h"
#include "lethe/policy/pseudonym.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_fault { /* why a key file is refused; each has its own words */
                 KEY_FAULT_NONE,
                 KEY_FAULT_MISSING,
                 KEY_FAULT_SYMLINK,
                 KEY_FAULT_NOT_REGULAR,
                 KEY_FAULT_OWNER,
                 KEY_FAULT_MODE,
                 KEY_FAULT_FOLDER,   /* parent writable by group or others */
                 KEY_FAULT_CONTENT,  /* not exactly one key */
                 KEY_FAULT_IN_STATE, /* inside state_dir */
                 KEY_FAULT_DEFAULT,  /* all bytes alike */
                 KEY_FAULT_IO,
                 KEY_FAULT_COUNT
};
const char *key_fault_text(enum key_fault fault);

/* Read the 32-byte key in `path` (64 hex digits and a newline, or 32 raw
 * bytes) into locked memory. `state_dir` may be NULL. On ST_OK *out_key is
 * from secret_alloc(); free it with secret_free(). Errors: ST_DENIED (with
 * *out_fault), ST_NOMEM. */
enum status keyfile_load(const char *path, const char *state_dir,
                         uint8_t **out_key,
                         enum key_fault *out_fault) MUST_CHECK;

/* The name of a variable that looks like a key of ours, or NULL. Keys come
 * from files alone (R32): whoever sets one believes it counts, and everybody
 * who can read /proc has it. */
const char *key_in_environment(void);
#define KEY_IN_ENVIRONMENT                                                     \
    "keys come from files, never from the environment; unset it"

/* Make a new random key file, mode 0600, never over an existing one.
 * Errors: ST_EXISTS, ST_IO. */
enum status keyfile_create(const char *path) MUST_CHECK;

/* A rotation in steps that a crash may part: a new key beside the one in `path`
 * (under its name and KEYFILE_NEXT); later it takes the old one's place, whose
 * bytes are then overwritten; or it is forgotten. Errors: ST_IO. */
#define KEYFILE_NEXT ".next"
enum status keyfile_next_create(const char *path) MUST_CHECK;
enum status keyfile_next_use(const char *path) MUST_CHECK;
void keyfile_next_forget(const char *path);

/* Id of a key for logs and records: 12 hex digits of its keyed hash. */
void key_id_text(const uint8_t key[KEY_BYTES], char out[13]);

/* Locked, zeroed memory outside core dumps; NULL if it cannot be had.
 * secret_lock_failed() says whether some of it could not be locked. */
void *secret_alloc(size_t bytes);
void secret_free(void *secret);
bool secret_lock_failed(void);

/* sodium_init, RLIMIT_CORE 0, non-dumpable. Errors: ST_CRYPTO. */
enum status secrets_init(void) MUST_CHECK;

/* A one-line secret (token, API key) under the same file rules, without its
 * newline, at most `max` bytes, NUL-terminated into secret memory. */
enum status secret_text_load(const char *path, size_t max, char **out,
                             enum key_fault *out_fault) MUST_CHECK;

#endif
