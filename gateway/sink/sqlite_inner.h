/* sqlite_inner.h - what the files of the SQLite sink share; nobody else
 * includes it. */
#ifndef GATEWAY_SINK_SQLITE_INNER_H
#define GATEWAY_SINK_SQLITE_INNER_H

#include "lethe/gateway/sink/sink.h"

#include <sqlite3.h>

struct sqlite_sink {
    sqlite3 *db;
    sqlite3_stmt *insert, *position, *read_position;
    bool unclean; /* deleted rows may still lie in the write-ahead log */
};

enum status sqlite_status(int rc);
enum status sqlite_run(struct sqlite_sink *s, const char *sql) MUST_CHECK;
enum status sqlite_prepare(struct sqlite_sink *s, const char *sql,
                           sqlite3_stmt **out) MUST_CHECK;
/* Bring deleted rows out of the write-ahead log, if any lie there; a reader
 * that holds it leaves s->unclean set. Errors: ST_IO ... */
enum status sqlite_clean_log(struct sqlite_sink *s) MUST_CHECK;

#endif
