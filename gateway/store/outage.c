#include "lethe/gateway/store/outage.h"

#include "lethe/gateway/store/fileio.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS         5000
#define SCHEMA_VERSION  1
#define PAGE_BYTES      4096u
#define GIVE_BACK_PAGES 2048u

/* secure_delete: what is deleted is overwritten with zeros. What the write-
 * ahead log still holds of it is sealed, and dies with its K_spool.
 * auto_vacuum: after a long outage the file gives its space back. */
static const char setup_sql[] =
    "PRAGMA page_size=4096;"
    "PRAGMA auto_vacuum=INCREMENTAL;"
    "PRAGMA secure_delete=ON;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA trusted_schema=OFF;"
    "CREATE TABLE IF NOT EXISTS waiting("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " kind INTEGER NOT NULL CHECK(kind IN (0,1)),"
    " destination INTEGER NOT NULL,"
    " slot INTEGER NOT NULL,"
    " use INTEGER NOT NULL,"
    " count INTEGER NOT NULL CHECK(count>=0),"
    " done INTEGER NOT NULL CHECK(done BETWEEN 0 AND count),"
    " accepted_ms INTEGER NOT NULL,"
    " optout_seen INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL,"
    " cause INTEGER NOT NULL,"
    " status INTEGER NOT NULL,"
    " sealed BLOB NOT NULL) STRICT;"
    "CREATE INDEX IF NOT EXISTS waiting_next"
    " ON waiting(kind,destination,id);"
    "CREATE INDEX IF NOT EXISTS waiting_key ON waiting(slot,use);"
    "PRAGMA user_version=1;";

enum statement {
    PUT,
    NEXT,
    SET_DONE,
    DELETE_ROW,
    REVIVE_COUNT,
    REVIVE,
    COUNT,
    USES_KEY,
    SEEN,
    PAGES,
    FREE_PAGES,
    GIVE_BACK,
    BEGIN,
    COMMIT,
    ROLLBACK,
    STATEMENTS
};

static const char *const statement_sql[STATEMENTS] = {
    [PUT] = "INSERT INTO waiting(kind,destination,slot,use,count,done,"
            "accepted_ms,optout_seen,expires_ms,cause,status,sealed)"
            " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
    [NEXT] = "SELECT id,slot,use,count,done,accepted_ms,optout_seen,"
             "expires_ms,cause,status,sealed,destination FROM waiting"
             " WHERE kind=?1 AND destination=?2 AND id>?3"
             " ORDER BY id LIMIT 1",
    [SET_DONE] = "UPDATE waiting SET done=?2 WHERE id=?1",
    [DELETE_ROW] = "DELETE FROM waiting WHERE id=?1",
    [REVIVE_COUNT] = "SELECT COALESCE(SUM(count-done),0) FROM waiting"
                     " WHERE kind=1 AND (?1=0 OR destination=?1)",
    [REVIVE] = "UPDATE waiting SET kind=0,expires_ms=?2"
               " WHERE kind=1 AND (?1=0 OR destination=?1)",
    [COUNT] = "SELECT COUNT(*),COALESCE(SUM(count-done),0),"
              "COALESCE(MIN(accepted_ms),0) FROM waiting"
              " WHERE kind=?1 AND (?2=0 OR destination=?2)",
    [USES_KEY] = "SELECT EXISTS(SELECT 1 FROM waiting"
                 " WHERE slot=?1 AND use=?2)",
    [SEEN] = "SELECT COALESCE(MIN(optout_seen),-1) FROM waiting",
    [PAGES] = "PRAGMA page_count",
    [FREE_PAGES] = "PRAGMA freelist_count",
    [GIVE_BACK] = "PRAGMA incremental_vacuum(2048)",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

struct outage {
    pthread_mutex_t lock;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

static enum status sql_error(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return ST_OK;
    case SQLITE_FULL:
        return ST_FULL;
    case SQLITE_NOMEM:
        return ST_NOMEM;
    default:
        return ST_IO;
    }
}

static enum status version_check(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL);
    enum status st = ST_CORRUPT;

    if (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        int version = sqlite3_column_int(s, 0);
        if (version == 0 || version == SCHEMA_VERSION)
            st = ST_OK;
    }
    (void)sqlite3_finalize(s);
    return st;
}

static enum status prepare_all(struct outage *o)
{
    for (unsigned i = 0; i < STATEMENTS; i++) {
        int rc = sqlite3_prepare_v3(o->db, statement_sql[i], -1,
                                    SQLITE_PREPARE_PERSISTENT,
                                    &o->statements[i], NULL);
        if (rc != SQLITE_OK)
            return sql_error(rc);
    }
    return ST_OK;
}

static enum status database_open(struct outage *o, const char *path)
{
    /* Made here first, so that nobody else may ever read it; SQLite gives its
     * side files the same mode. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return file_error();
    (void)close(fd);
    int rc = sqlite3_open_v2(path, &o->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_NOFOLLOW,
                             NULL);
    if (rc != SQLITE_OK)
        return sql_error(rc);
    (void)sqlite3_busy_timeout(o->db, BUSY_MS);
    enum status st = version_check(o->db);
    if (st == ST_OK)
        st = sql_error(sqlite3_exec(o->db, setup_sql, NULL, NULL, NULL));
    return st;
}

enum status outage_open(const char *path, struct outage **out)
{
    struct outage *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return ST_NOMEM;
    (void)pthread_mutex_init(&o->lock, NULL);
    enum status st = database_open(o, path);
    if (st == ST_OK)
        st = prepare_all(o);
    if (st != ST_OK) {
        outage_close(o);
        return st;
    }
    *out = o;
    return ST_OK;
}

void outage_close(struct outage *o)
{
    if (o == NULL)
        return;
    for (unsigned i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(o->statements[i]);
    (void)sqlite3_close(o->db);
    (void)pthread_mutex_destroy(&o->lock);
    free(o);
}

/* Take the connection and a statement; statement_end() gives both back. */
static sqlite3_stmt *statement_begin(struct outage *o, enum statement which)
{
    (void)pthread_mutex_lock(&o->lock);
    return o->statements[which];
}

static void statement_end(struct outage *o, sqlite3_stmt *s)
{
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s); /* no copy of a blob stays */
    (void)pthread_mutex_unlock(&o->lock);
}

/* SQLite has no unsigned 64 bits: the same bits are stored. */
static void bind(sqlite3_stmt *s, int index, int64_t value)
{
    int rc = sqlite3_bind_int64(s, index, value);

    assert(rc == SQLITE_OK); /* a wrong index is our bug */
    (void)rc;
}

static int put_row(struct outage *o, struct outage_row *row,
                   struct slice sealed)
{
    sqlite3_stmt *s = o->statements[PUT];

    bind(s, 1, row->kind);
    bind(s, 2, (int64_t)row->destination);
    bind(s, 3, row->slot);
    bind(s, 4, row->use);
    bind(s, 5, row->count);
    bind(s, 6, row->done);
    bind(s, 7, row->accepted_ms);
    bind(s, 8, (int64_t)row->optout_seen);
    bind(s, 9, row->expires_ms);
    bind(s, 10, row->cause);
    bind(s, 11, row->status);
    int rc = sealed.len == 0 ? sqlite3_bind_zeroblob(s, 12, 0)
                             : sqlite3_bind_blob64(s, 12, sealed.at, sealed.len,
                                                   SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    if (rc == SQLITE_DONE)
        row->id = sqlite3_last_insert_rowid(o->db);
    return rc;
}

/* Run a statement without parameters or result. */
static int run(struct outage *o, enum statement which)
{
    int rc = sqlite3_step(o->statements[which]);

    (void)sqlite3_reset(o->statements[which]);
    return rc;
}

enum status outage_put_many(struct outage *o, struct outage_row *rows,
                            const struct slice *sealed, unsigned count)
{
    (void)pthread_mutex_lock(&o->lock);
    int rc = run(o, BEGIN);
    for (unsigned i = 0; i < count && rc == SQLITE_DONE; i++)
        rc = put_row(o, &rows[i], sealed[i]);
    if (rc == SQLITE_DONE)
        rc = run(o, COMMIT);
    /* A full disk may have rolled back by itself. */
    if (rc != SQLITE_DONE && sqlite3_get_autocommit(o->db) == 0)
        (void)run(o, ROLLBACK);
    (void)pthread_mutex_unlock(&o->lock);
    if (rc == SQLITE_DONE)
        return ST_OK;
    for (unsigned i = 0; i < count; i++)
        rows[i].id = 0;
    return sql_error(rc) == ST_FULL ? ST_FULL : ST_IO;
}

enum status outage_put(struct outage *o, struct outage_row *row,
                       struct slice sealed)
{
    return outage_put_many(o, row, &sealed, 1);
}

static void row_read(sqlite3_stmt *s, enum outage_kind kind,
                     struct outage_row *out)
{
    *out = (struct outage_row){
        .id = sqlite3_column_int64(s, 0),
        .kind = kind,
        .slot = (uint32_t)sqlite3_column_int64(s, 1),
        .use = (uint32_t)sqlite3_column_int64(s, 2),
        .count = (uint32_t)sqlite3_column_int64(s, 3),
        .done = (uint32_t)sqlite3_column_int64(s, 4),
        .accepted_ms = sqlite3_column_int64(s, 5),
        .optout_seen = (uint64_t)sqlite3_column_int64(s, 6),
        .expires_ms = sqlite3_column_int64(s, 7),
        .cause = (uint8_t)sqlite3_column_int(s, 8),
        .status = sqlite3_column_int(s, 9),
        .destination = (uint64_t)sqlite3_column_int64(s, 11),
    };
}

enum status outage_next(struct outage *o, enum outage_kind kind,
                        uint64_t destination, int64_t after,
                        struct outage_row *out, struct buf *sealed)
{
    sqlite3_stmt *s = statement_begin(o, NEXT);
    enum status st;

    bind(s, 1, kind);
    bind(s, 2, (int64_t)destination);
    bind(s, 3, after);
    int rc = sqlite3_step(s);
    if (rc == SQLITE_DONE) {
        st = ST_END;
    } else if (rc != SQLITE_ROW) {
        st = sql_error(rc);
    } else {
        buf_reset(sealed);
        buf_put_bytes(sealed, sqlite3_column_blob(s, 10),
                      (size_t)sqlite3_column_bytes(s, 10));
        st = sealed->failed ? ST_IO : ST_OK;
        if (st == ST_OK)
            row_read(s, kind, out);
    }
    statement_end(o, s);
    return st == ST_NOMEM ? ST_IO : st;
}

/* Run a statement that changes one row. */
static enum status change(struct outage *o, sqlite3_stmt *s)
{
    int rc = sqlite3_step(s);
    enum status st = rc == SQLITE_DONE ? ST_OK : sql_error(rc);

    if (st == ST_OK && sqlite3_changes(o->db) == 0)
        st = ST_UNKNOWN;
    statement_end(o, s);
    return st == ST_NOMEM ? ST_IO : st;
}

enum status outage_set_done(struct outage *o, int64_t id, uint32_t done)
{
    sqlite3_stmt *s = statement_begin(o, SET_DONE);

    bind(s, 1, id);
    bind(s, 2, done);
    return change(o, s);
}

static uint64_t number_of(struct outage *o, enum statement which)
{
    sqlite3_stmt *s = o->statements[which];
    uint64_t value = 0;

    if (sqlite3_step(s) == SQLITE_ROW)
        value = (uint64_t)sqlite3_column_int64(s, 0);
    (void)sqlite3_reset(s);
    return value;
}

/* Give space back in large steps, not with every row. */
static void give_back(struct outage *o)
{
    (void)pthread_mutex_lock(&o->lock);
    if (number_of(o, FREE_PAGES) >= GIVE_BACK_PAGES) {
        while (sqlite3_step(o->statements[GIVE_BACK]) == SQLITE_ROW)
            ;
        (void)sqlite3_reset(o->statements[GIVE_BACK]);
    }
    (void)pthread_mutex_unlock(&o->lock);
}

enum status outage_delete(struct outage *o, int64_t id)
{
    sqlite3_stmt *s = statement_begin(o, DELETE_ROW);

    bind(s, 1, id);
    enum status st = change(o, s);
    if (st == ST_OK)
        give_back(o);
    return st;
}

enum status outage_revive(struct outage *o, uint64_t destination,
                          int64_t expires_ms, uint64_t *out_count)
{
    uint64_t count = 0;
    sqlite3_stmt *s = statement_begin(o, REVIVE_COUNT);
    sqlite3_stmt *update = o->statements[REVIVE];

    bind(s, 1, (int64_t)destination);
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        count = (uint64_t)sqlite3_column_int64(s, 0);
        (void)sqlite3_reset(s);
        bind(update, 1, (int64_t)destination);
        bind(update, 2, expires_ms);
        rc = sqlite3_step(update);
        (void)sqlite3_reset(update);
    }
    statement_end(o, s);
    if (rc != SQLITE_DONE)
        return sql_error(rc) == ST_FULL ? ST_FULL : ST_IO;
    *out_count = count;
    return ST_OK;
}

enum status outage_count(struct outage *o, enum outage_kind kind,
                         uint64_t destination, uint64_t *out_rows,
                         uint64_t *out_fragments, int64_t *out_oldest_ms)
{
    sqlite3_stmt *s = statement_begin(o, COUNT);
    enum status st = ST_IO;

    bind(s, 1, kind);
    bind(s, 2, (int64_t)destination);
    if (sqlite3_step(s) == SQLITE_ROW) {
        *out_rows = (uint64_t)sqlite3_column_int64(s, 0);
        *out_fragments = (uint64_t)sqlite3_column_int64(s, 1);
        *out_oldest_ms = sqlite3_column_int64(s, 2);
        st = ST_OK;
    }
    statement_end(o, s);
    return st;
}

enum status outage_seen(struct outage *o, uint64_t *out_seen)
{
    sqlite3_stmt *s = statement_begin(o, SEEN);
    enum status st = ST_IO;

    if (sqlite3_step(s) == SQLITE_ROW) {
        *out_seen = (uint64_t)sqlite3_column_int64(s, 0);
        st = ST_OK;
    }
    statement_end(o, s);
    return st;
}

enum status outage_uses_key(struct outage *o, uint32_t slot, uint32_t use,
                            bool *out_uses)
{
    sqlite3_stmt *s = statement_begin(o, USES_KEY);
    enum status st = ST_IO;

    bind(s, 1, slot);
    bind(s, 2, use);
    if (sqlite3_step(s) == SQLITE_ROW) {
        *out_uses = sqlite3_column_int(s, 0) != 0;
        st = ST_OK;
    }
    statement_end(o, s);
    return st;
}

uint64_t outage_bytes(struct outage *o)
{
    (void)pthread_mutex_lock(&o->lock);
    uint64_t pages = number_of(o, PAGES), unused = number_of(o, FREE_PAGES);
    (void)pthread_mutex_unlock(&o->lock);
    return (pages > unused ? pages - unused : 0) * PAGE_BYTES;
}
