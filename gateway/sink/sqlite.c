/* A SQLite database as the app's own event store. SQLite itself takes the
 * columns out of the wire-ready body, so that this file parses nothing. The
 * delivery position commits with the rows: exactly once. */
#include "sqlite_inner.h"

#include "lethe/gateway/sink/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SQLITE_BUSY_MS      50
#define EXPIRE_ROWS_AT_ONCE 5000

static const struct {
    const char *name;
    const char *add;
} columns[] = {
    {"timestamp", "ALTER TABLE user_actions ADD COLUMN timestamp TEXT"},
    {"action", "ALTER TABLE user_actions ADD COLUMN action TEXT"},
    {"details", "ALTER TABLE user_actions ADD COLUMN details TEXT"},
    {"session_id", "ALTER TABLE user_actions ADD COLUMN session_id TEXT"},
    {"user_id", "ALTER TABLE user_actions ADD COLUMN user_id TEXT"},
    {"device_id", "ALTER TABLE user_actions ADD COLUMN device_id TEXT"},
    {"group_id", "ALTER TABLE user_actions ADD COLUMN group_id TEXT"},
    {"context", "ALTER TABLE user_actions ADD COLUMN context TEXT"},
    {"purpose", "ALTER TABLE user_actions ADD COLUMN purpose TEXT"},
    {"event_id", "ALTER TABLE user_actions ADD COLUMN event_id TEXT"},
    {"written_ms", "ALTER TABLE user_actions ADD COLUMN written_ms INTEGER"},
};

static const char settings_sql[] = "PRAGMA secure_delete = ON;"
                                   "PRAGMA trusted_schema = OFF;"
                                   "PRAGMA journal_mode = WAL;"
                                   "PRAGMA synchronous = FULL;"
                                   "PRAGMA cache_size = -4096;"
                                   "PRAGMA temp_store = MEMORY;";

static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS user_actions("
    "timestamp TEXT, action TEXT, details TEXT, session_id TEXT,"
    "user_id TEXT, device_id TEXT, group_id TEXT, context TEXT,"
    "purpose TEXT, event_id TEXT, written_ms INTEGER);"
    "CREATE TABLE IF NOT EXISTS lethe_position("
    "destination INTEGER PRIMARY KEY, sequence INTEGER NOT NULL,"
    "fragment INTEGER NOT NULL);";

/* After the columns are there. */
static const char index_sql[] =
    "CREATE UNIQUE INDEX IF NOT EXISTS lethe_event_id "
    "ON user_actions(event_id);"
    "CREATE INDEX IF NOT EXISTS lethe_retention "
    "ON user_actions(purpose, written_ms);";

/* The conflict is named: other constraints of an app's own table must fail
 * loudly, not swallow rows. "WHERE 1" keeps the grammar of upsert clear. */
static const char insert_sql[] =
    "INSERT INTO user_actions(timestamp, action, details, session_id, user_id,"
    " device_id, group_id, context, purpose, event_id, written_ms) "
    "SELECT json_extract(?1,'$.timestamp'), json_extract(?1,'$.action'),"
    " json_extract(?1,'$.details'), json_extract(?1,'$.session_id'),"
    " json_extract(?1,'$.user_id'), json_extract(?1,'$.device_id'),"
    " json_extract(?1,'$.group_id'), json_extract(?1,'$.context'),"
    " json_extract(?1,'$.purpose'), json_extract(?1,'$.id'), ?2 WHERE 1 "
    "ON CONFLICT(event_id) DO NOTHING";

enum status sqlite_status(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ST_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ST_BUSY;
    case SQLITE_FULL:
        return ST_FULL;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return ST_DENIED;
    case SQLITE_NOMEM:
        return ST_NOMEM;
    default:
        return ST_IO;
    }
}

enum status sqlite_run(struct sqlite_sink *s, const char *sql)
{
    return sqlite_status(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

enum status sqlite_prepare(struct sqlite_sink *s, const char *sql,
                           sqlite3_stmt **out)
{
    return sqlite_status(sqlite3_prepare_v3(
        s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

/* The file exists with the wanted mode and group before SQLite makes its
 * companions, which take both from it. */
static enum status make_file(const struct conf_destination *d)
{
    struct stat st;
    int fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                  d->mode & 0777u);
    gid_t group;
    enum status r;

    if (fd < 0 && errno == EEXIST) {
        if (lstat(d->path, &st) != 0)
            return ST_IO;
        return S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH) == 0 ? ST_OK
                                                                  : ST_DENIED;
    }
    if (fd < 0)
        return errno == EACCES ? ST_DENIED : ST_IO;
    r = owner_find_group(d->group, &group);
    if (r == ST_OK && group != OWNER_GROUP_NONE &&
        fchown(fd, (uid_t)-1, group) != 0)
        r = ST_DENIED;
    if (r == ST_OK && fchmod(fd, d->mode & 0777u) != 0)
        r = ST_DENIED;
    (void)close(fd);
    return r;
}

static enum status has_column(struct sqlite_sink *s, const char *name,
                              bool *out)
{
    sqlite3_stmt *find = NULL;
    enum status r = sqlite_prepare(
        s, "SELECT 1 FROM pragma_table_info('user_actions') WHERE name = ?1",
        &find);

    if (r != ST_OK)
        return r;
    (void)sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
    int rc = sqlite3_step(find);
    *out = rc == SQLITE_ROW;
    (void)sqlite3_finalize(find);
    return sqlite_status(rc);
}

/* The app's own table of old lacks our columns: add them. */
static enum status complete_table(struct sqlite_sink *s)
{
    enum status r = sqlite_run(s, create_sql);

    for (size_t i = 0; r == ST_OK && i < sizeof(columns) / sizeof(columns[0]);
         i++) {
        bool has = false;
        r = has_column(s, columns[i].name, &has);
        if (r == ST_OK && !has)
            r = sqlite_run(s, columns[i].add);
    }
    return r == ST_OK ? sqlite_run(s, index_sql) : r;
}

enum status sqlite_sink_open(const struct conf_destination *d,
                             struct sqlite_sink **out)
{
    struct sqlite_sink *s = NULL;
    enum status r = make_file(d);

    if (r != ST_OK)
        return r;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return ST_NOMEM;
    r = sqlite_status(sqlite3_open_v2(
        d->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL));
    if (r != ST_OK)
        goto fail;
    (void)sqlite3_busy_timeout(s->db, 5000); /* nobody waits for us yet */
    r = sqlite_run(s, settings_sql);
    if (r == ST_OK)
        r = complete_table(s);
    if (r == ST_OK)
        r = sqlite_prepare(s, insert_sql, &s->insert);
    if (r == ST_OK)
        r = sqlite_prepare(s,
                           "INSERT INTO lethe_position VALUES(?1,?2,?3) "
                           "ON CONFLICT(destination) DO UPDATE SET "
                           "sequence = ?2, fragment = ?3",
                           &s->position);
    if (r == ST_OK)
        r = sqlite_prepare(s,
                           "SELECT sequence, fragment FROM lethe_position "
                           "WHERE destination = ?1",
                           &s->read_position);
    if (r != ST_OK)
        goto fail;
    (void)sqlite3_busy_timeout(s->db, SQLITE_BUSY_MS);
    s->unclean = true; /* a former process may have left its log */
    *out = s;
    return ST_OK;
fail:
    sqlite_sink_close(s);
    return r;
}

enum status sqlite_sink_position(struct sqlite_sink *s, uint64_t destination,
                                 uint64_t *out_sequence, uint32_t *out_fragment)
{
    uint64_t sequence = 0;
    uint32_t fragment = 0;

    (void)sqlite3_bind_int64(s->read_position, 1, (sqlite3_int64)destination);
    int rc = sqlite3_step(s->read_position);
    if (rc == SQLITE_ROW) {
        sequence = (uint64_t)sqlite3_column_int64(s->read_position, 0);
        fragment = (uint32_t)sqlite3_column_int64(s->read_position, 1);
    }
    (void)sqlite3_reset(s->read_position);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sqlite_status(rc);
    *out_sequence = sequence;
    *out_fragment = fragment;
    return ST_OK;
}

static enum status insert_one(struct sqlite_sink *s, const struct fragment *f,
                              int64_t now_ms)
{
    int rc = sqlite3_bind_text64(s->insert, 1, f->body.at, f->body.len,
                                 SQLITE_STATIC, SQLITE_UTF8);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(s->insert, 2, now_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s->insert);
    (void)sqlite3_reset(s->insert);
    return sqlite_status(rc);
}

static enum status set_position(struct sqlite_sink *s, uint64_t destination,
                                uint64_t sequence, uint32_t fragment)
{
    (void)sqlite3_bind_int64(s->position, 1, (sqlite3_int64)destination);
    (void)sqlite3_bind_int64(s->position, 2, (sqlite3_int64)sequence);
    (void)sqlite3_bind_int64(s->position, 3, (sqlite3_int64)fragment);
    int rc = sqlite3_step(s->position);
    (void)sqlite3_reset(s->position);
    return sqlite_status(rc);
}

enum status sqlite_sink_write(struct sqlite_sink *s, uint64_t destination,
                              uint64_t sequence, uint32_t fragment,
                              const struct fragment *f, unsigned count,
                              int64_t now_ms)
{
    enum status r = sqlite_run(s, "BEGIN IMMEDIATE");

    if (r != ST_OK)
        return r;
    for (unsigned i = 0; r == ST_OK && i < count; i++)
        r = insert_one(s, &f[i], now_ms);
    if (r == ST_OK)
        r = set_position(s, destination, sequence, fragment);
    if (r == ST_OK)
        r = sqlite_run(s, "COMMIT");
    (void)sqlite3_clear_bindings(s->insert); /* the bodies are the caller's */
    if (r != ST_OK && !sqlite3_get_autocommit(s->db) &&
        sqlite_run(s, "ROLLBACK") != ST_OK)
        r = ST_IO;
    return r;
}

/* At most EXPIRE_ROWS_AT_ONCE, so that readers and deliveries get turns. */
static enum status delete_some(struct sqlite_sink *s, const char *purpose,
                               int64_t before_ms, int *out_rows)
{
    sqlite3_stmt *del = NULL;
    enum status r = sqlite_prepare(
        s,
        "DELETE FROM user_actions WHERE rowid IN (SELECT rowid FROM "
        "user_actions WHERE purpose = ?1 AND written_ms < ?2 LIMIT ?3)",
        &del);

    if (r != ST_OK)
        return r;
    (void)sqlite3_bind_text(del, 1, purpose, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(del, 2, before_ms);
    (void)sqlite3_bind_int(del, 3, EXPIRE_ROWS_AT_ONCE);
    int rc = sqlite3_step(del);
    (void)sqlite3_finalize(del);
    if (rc == SQLITE_DONE)
        *out_rows = sqlite3_changes(s->db);
    return sqlite_status(rc);
}

static enum status oldest_row(struct sqlite_sink *s, const char *purpose,
                              int64_t *out_ms)
{
    sqlite3_stmt *find = NULL;
    enum status r = sqlite_prepare(
        s, "SELECT min(written_ms) FROM user_actions WHERE purpose = ?1",
        &find);

    if (r != ST_OK)
        return r;
    (void)sqlite3_bind_text(find, 1, purpose, -1, SQLITE_STATIC);
    int rc = sqlite3_step(find);
    if (rc == SQLITE_ROW) /* NULL reads as 0: none */
        *out_ms = sqlite3_column_int64(find, 0);
    (void)sqlite3_finalize(find);
    return sqlite_status(rc);
}

enum status sqlite_clean_log(struct sqlite_sink *s)
{
    if (!s->unclean)
        return ST_OK;
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                       NULL, NULL);
    if (rc != SQLITE_OK && sqlite_status(rc) != ST_BUSY)
        return sqlite_status(rc);
    s->unclean = rc != SQLITE_OK;
    return ST_OK;
}

enum status sqlite_sink_expire(struct sqlite_sink *s, const char *purpose,
                               int64_t before_ms, uint64_t *out_rows,
                               int64_t *out_oldest_ms, bool *out_pending)
{
    uint64_t rows = 0;
    int64_t oldest = 0;
    int some = 0;
    enum status r;

    do {
        r = delete_some(s, purpose, before_ms, &some);
        if (r == ST_OK) {
            rows += (uint64_t)some;
            s->unclean = s->unclean || some > 0;
        }
    } while (r == ST_OK && some == EXPIRE_ROWS_AT_ONCE);
    *out_rows = rows; /* what is gone is gone, whatever follows */
    if (r == ST_OK)
        r = oldest_row(s, purpose, &oldest);
    if (r != ST_OK)
        return r;
    *out_oldest_ms = oldest;
    r = sqlite_clean_log(s);
    *out_pending = s->unclean;
    return r;
}

void sqlite_sink_close(struct sqlite_sink *s)
{
    if (s == NULL)
        return;
    (void)sqlite3_finalize(s->insert);
    (void)sqlite3_finalize(s->position);
    (void)sqlite3_finalize(s->read_position);
    (void)sqlite3_close(s->db);
    free(s);
}
