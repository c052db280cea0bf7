#include "sqlite_inner.h"

#include "lethe/gateway/sink/subject.h"

/* The names stand in a table in memory (temp_store), so that one statement
 * takes any number of them. */
static const char names_sql[] =
    "CREATE TEMP TABLE IF NOT EXISTS lethe_names(name TEXT PRIMARY KEY)"
    " WITHOUT ROWID; DELETE FROM temp.lethe_names;";

#define WHOSE                                                                  \
    " WHERE written_ms >= ?1 AND (session_id IN temp.lethe_names OR user_id "  \
    "IN temp.lethe_names OR device_id IN temp.lethe_names OR group_id IN "     \
    "temp.lethe_names OR (?2 AND EXISTS (SELECT 1 FROM temp.lethe_names "      \
    "WHERE "                                                                   \
    "instr(details, '\"' || name || '\"') > 0)))"

static const char select_sql[] =
    "SELECT json_object('timestamp', timestamp, 'action', action, 'details',"
    " json(details), 'session_id', session_id, 'user_id', user_id,"
    " 'device_id', device_id, 'group_id', group_id, 'context', json(context),"
    " 'purpose', purpose, 'id', event_id) FROM user_actions" WHOSE
    " ORDER BY rowid";
static const char delete_sql[] = "DELETE FROM user_actions" WHOSE;

static enum status put_names(struct sqlite_sink *s,
                             const struct subject_names *names)
{
    sqlite3_stmt *insert = NULL;
    enum status r = sqlite_run(s, names_sql);

    if (r == ST_OK)
        r = sqlite_prepare(
            s, "INSERT OR IGNORE INTO temp.lethe_names VALUES(?1)", &insert);
    for (unsigned i = 0; r == ST_OK && i < names->count; i++) {
        (void)sqlite3_bind_text64(insert, 1, names->names[i].at,
                                  names->names[i].len, SQLITE_STATIC,
                                  SQLITE_UTF8);
        r = sqlite_status(sqlite3_step(insert));
        (void)sqlite3_reset(insert);
    }
    (void)sqlite3_finalize(insert);
    return r;
}

static enum status start(struct sqlite_sink *s, const char *sql,
                         const struct subject_names *names, sqlite3_stmt **out)
{
    enum status r = sqlite_prepare(s, sql, out);

    if (r != ST_OK)
        return r;
    (void)sqlite3_bind_int64(*out, 1, names->since_ms);
    (void)sqlite3_bind_int(*out, 2, names->in_fields);
    return ST_OK;
}

static enum status list(struct sqlite_sink *s,
                        const struct subject_names *names,
                        subject_line_fn *each, void *ctx, uint64_t *out_rows)
{
    sqlite3_stmt *find = NULL;
    enum status r = start(s, select_sql, names, &find);
    int rc = SQLITE_DONE;

    while (r == ST_OK && (rc = sqlite3_step(find)) == SQLITE_ROW) {
        struct slice line = {(const char *)sqlite3_column_text(find, 0),
                             (size_t)sqlite3_column_bytes(find, 0)};
        (*out_rows)++;
        if (each != NULL)
            r = line.at == NULL ? ST_NOMEM : each(ctx, line);
    }
    (void)sqlite3_finalize(find);
    return r == ST_OK ? sqlite_status(rc) : r;
}

static enum status erase_rows(struct sqlite_sink *s,
                              const struct subject_names *names,
                              uint64_t *out_rows)
{
    sqlite3_stmt *del = NULL;
    enum status r = start(s, delete_sql, names, &del);

    if (r == ST_OK)
        r = sqlite_status(sqlite3_step(del));
    (void)sqlite3_finalize(del);
    if (r == ST_OK) {
        *out_rows = (uint64_t)sqlite3_changes(s->db);
        s->unclean = s->unclean || *out_rows > 0;
    }
    return r;
}

enum status sqlite_sink_subject(struct sqlite_sink *s,
                                const struct subject_names *names, bool erase,
                                subject_line_fn *each, void *ctx,
                                uint64_t *out_rows, bool *out_pending)
{
    enum status r = put_names(s, names);

    *out_rows = 0;
    if (r == ST_OK && (each != NULL || !erase))
        r = list(s, names, each, ctx, out_rows);
    if (r == ST_OK && erase)
        r = erase_rows(s, names, out_rows);
    if (r == ST_OK && erase)
        r = sqlite_clean_log(s);
    *out_pending = s->unclean;
    enum status gone = sqlite_run(s, "DELETE FROM temp.lethe_names");
    return r == ST_OK ? gone : r;
}
