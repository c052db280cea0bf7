/* tiles_export.h - a whole log as static files, for an auditor: checkpoint,
 * minimum-index, tiles and entry bundles, named as C2SP tlog-tiles names them,
 * so that any web server can serve the folder, and any tool read it. */
#ifndef LETHE_GATEWAY_AUDIT_TILES_EXPORT_H
#define LETHE_GATEWAY_AUDIT_TILES_EXPORT_H

#include "lethe/policy/base/status.h"

#include <stdint.h>

struct tiles_exported {
    uint64_t size;    /* records that the checkpoint covers */
    uint64_t minimum; /* the first that is still there */
    uint64_t tiles, bundles;
    uint64_t written; /* files that were not there yet, just so */
};

/* Write what `folder`'s newest checkpoint covers into `dir`, which is made if
 * it is absent. An export into the same folder adds to it; a file that is there
 * with other bytes is replaced; the checkpoint comes last. The tiles are held
 * against the checkpoint's root before anything is written.
 * Errors: ST_UNKNOWN (nothing was signed yet), ST_MISMATCH (the log is not what
 * was signed), ST_CORRUPT, ST_END (records or tiles are missing), ST_LIMIT
 * (path too long), ST_IO, ST_FULL, ST_NOMEM. */
enum status tiles_export(const char *folder, const char *dir,
                         struct tiles_exported *out) MUST_CHECK;

#endif
