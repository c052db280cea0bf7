/* fileio.h - whole reads and writes at an offset, and syncs, with the
 * errors that the store tells apart. */
#ifndef LETHE_GATEWAY_STORE_FILEIO_H
#define LETHE_GATEWAY_STORE_FILEIO_H

#include "lethe/policy/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* ST_FULL for a full disk or quota, ST_IO for everything else in errno. */
enum status file_error(void);

/* All of `len` bytes at `offset`. Errors: ST_FULL, ST_IO. */
enum status file_write_at(int fd, const void *bytes, size_t len,
                          uint64_t offset) MUST_CHECK;

/* All of `len` bytes at `offset`. Errors: ST_IO; ST_END (file ends first). */
enum status file_read_at(int fd, void *bytes, size_t len,
                         uint64_t offset) MUST_CHECK;

/* Zeros, written and not merely allocated, so that later writes in place
 * need no new blocks. Not synced. Errors: ST_FULL, ST_IO. */
enum status file_write_zeros(int fd, uint64_t offset, uint64_t len) MUST_CHECK;

/* fdatasync. Errors: ST_FULL, ST_IO. */
enum status file_sync(int fd) MUST_CHECK;

/* Make names in the folder that holds `path` durable. Errors: ST_IO. */
enum status file_sync_folder_of(const char *path) MUST_CHECK;
/* The same for the folder itself. */
enum status file_sync_folder(const char *folder) MUST_CHECK;

#endif
