/* file.h - small whole files of our own: policies, sinks' helpers, commands.
 */
#ifndef LETHE_GATEWAY_FILE_H
#define LETHE_GATEWAY_FILE_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"

/* All bytes of a regular file, or of standard input for "-", into `out`
 * (initialised here with a cap of `max`; the caller frees it, also on error).
 * Errors: ST_IO (errno), ST_LIMIT (longer than `max`), ST_NOMEM. */
enum status file_read(const char *path, size_t max, struct buf *out) MUST_CHECK;

/* Make a new file with these bytes, synced; never over an existing one.
 * Errors: ST_EXISTS, ST_IO. */
enum status file_create(const char *path, unsigned mode,
                        struct slice bytes) MUST_CHECK;

/* These bytes in the place of `path`, whole or not at all, also over a crash:
 * written beside it (`path`.new), synced, renamed, its folder synced.
 * Errors: ST_IO, ST_FULL, ST_LIMIT (path too long). */
enum status file_put(const char *path, unsigned mode,
                     struct slice bytes) MUST_CHECK;
/* The same with mode 0600. */
enum status file_replace(const char *path, struct slice bytes) MUST_CHECK;

/* Make the folders that lie between `base`, which is there, and the file
 * `path`, which begins with it. `path` is as before afterwards.
 * Errors: ST_IO, ST_FULL. */
enum status file_make_folders(const char *base, char *path,
                              unsigned mode) MUST_CHECK;

#endif
