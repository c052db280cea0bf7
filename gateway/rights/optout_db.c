#include "lethe/gateway/rights/optout_db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct optout_db {
    sqlite3 *sql;
    sqlite3_stmt *add, *read, *newest;
};

static enum status status_of(int rc)
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
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* "no such table": not our store */
    case SQLITE_FORMAT:
        return ST_CORRUPT;
    default:
        return ST_IO;
    }
}

static int run(sqlite3 *sql, const char *text)
{
    return sqlite3_exec(sql, text, NULL, NULL, NULL);
}

/* secure_delete: an erased key must not stay in free pages. The journal is
 * what is synced; this file may lag behind it after a power loss, never be
 * torn (WAL). */
static int set_up(sqlite3 *sql)
{
    int rc = sqlite3_busy_timeout(sql, 2000);

    if (rc == SQLITE_OK)
        rc = run(sql, "PRAGMA journal_mode=WAL;"
                      "PRAGMA synchronous=NORMAL;"
                      "PRAGMA secure_delete=ON;"
                      "PRAGMA trusted_schema=OFF;"
                      "PRAGMA temp_store=MEMORY");
    return rc;
}

static int put_header(sqlite3 *sql, const uint8_t header[OPTOUT_HEADER_BYTES])
{
    sqlite3_stmt *put = NULL;
    int rc = sqlite3_prepare_v2(
        sql, "INSERT INTO header(one, bytes) VALUES(1, ?)", -1, &put, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob(put, 1, header, (int)OPTOUT_HEADER_BYTES,
                               SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(put);
    (void)sqlite3_finalize(put);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum status optout_db_create(const char *path,
                             const uint8_t header[OPTOUT_HEADER_BYTES])
{
    sqlite3 *sql = NULL;
    /* SQLite would take an existing file, and the umask's mode. */
    int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno == EEXIST ? ST_EXISTS : ST_IO;
    (void)close(fd);
    int rc = sqlite3_open_v2(path, &sql,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = set_up(sql);
    if (rc == SQLITE_OK)
        rc = run(sql, "PRAGMA synchronous=FULL; BEGIN;"
                      "CREATE TABLE header(one INTEGER PRIMARY KEY "
                      "CHECK(one = 1), bytes BLOB NOT NULL);"
                      "CREATE TABLE change(number INTEGER PRIMARY KEY, "
                      "record BLOB NOT NULL)");
    if (rc == SQLITE_OK)
        rc = put_header(sql, header);
    if (rc == SQLITE_OK)
        rc = run(sql, "COMMIT");
    if (sqlite3_close(sql) != SQLITE_OK || rc != SQLITE_OK) {
        (void)unlink(path);
        return ST_IO;
    }
    return ST_OK;
}

static int prepare(struct optout_db *db)
{
    int rc = sqlite3_prepare_v3(
        db->sql, "INSERT INTO change(number, record) VALUES(?, ?)", -1,
        SQLITE_PREPARE_PERSISTENT, &db->add, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(db->sql,
                                "SELECT record FROM change WHERE number = ?",
                                -1, SQLITE_PREPARE_PERSISTENT, &db->read, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(
            db->sql, "SELECT number FROM change ORDER BY number DESC LIMIT 1",
            -1, SQLITE_PREPARE_PERSISTENT, &db->newest, NULL);
    return rc;
}

/* The blob of `size` bytes in the row that `s` stands on. */
static enum status take_blob(sqlite3_stmt *s, void *out, size_t size)
{
    int rc = sqlite3_step(s);

    if (rc == SQLITE_DONE)
        return ST_UNKNOWN;
    if (rc != SQLITE_ROW)
        return status_of(rc);
    const void *bytes = sqlite3_column_blob(s, 0);
    if (bytes == NULL || sqlite3_column_bytes(s, 0) != (int)size)
        return ST_CORRUPT;
    memcpy(out, bytes, size);
    return ST_OK;
}

static enum status read_header(sqlite3 *sql, uint8_t out[OPTOUT_HEADER_BYTES])
{
    sqlite3_stmt *get = NULL;
    int rc = sqlite3_prepare_v2(sql, "SELECT bytes FROM header WHERE one = 1",
                                -1, &get, NULL);
    enum status st = status_of(rc);

    if (st == ST_OK)
        st = take_blob(get, out, OPTOUT_HEADER_BYTES);
    (void)sqlite3_finalize(get);
    return st == ST_UNKNOWN ? ST_CORRUPT : st;
}

static enum status check_file(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR ? ST_UNKNOWN : ST_IO;
    /* An empty file is what a cut leaves; SQLite would call it a new store. */
    return S_ISREG(st.st_mode) && st.st_size > 0 ? ST_OK : ST_CORRUPT;
}

enum status optout_db_open(const char *path,
                           uint8_t out_header[OPTOUT_HEADER_BYTES],
                           struct optout_db **out)
{
    uint8_t header[OPTOUT_HEADER_BYTES];
    enum status st = check_file(path);

    if (st != ST_OK)
        return st;
    struct optout_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return ST_NOMEM;
    int rc = sqlite3_open_v2(path, &db->sql,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = set_up(db->sql);
    if (rc == SQLITE_OK)
        rc = prepare(db);
    st = status_of(rc);
    if (st == ST_OK)
        st = read_header(db->sql, header);
    if (st != ST_OK) {
        optout_db_close(db);
        return st;
    }
    memcpy(out_header, header, sizeof(header));
    *out = db;
    return ST_OK;
}

void optout_db_close(struct optout_db *db)
{
    if (db == NULL)
        return;
    (void)sqlite3_finalize(db->add);
    (void)sqlite3_finalize(db->read);
    (void)sqlite3_finalize(db->newest);
    (void)sqlite3_close(db->sql);
    free(db);
}

enum status optout_db_newest(struct optout_db *db, uint64_t *out_number)
{
    int rc = sqlite3_step(db->newest);
    sqlite3_int64 number =
        rc == SQLITE_ROW ? sqlite3_column_int64(db->newest, 0) : 0;

    (void)sqlite3_reset(db->newest);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return status_of(rc);
    if (number < 0)
        return ST_CORRUPT;
    *out_number = (uint64_t)number;
    return ST_OK;
}

enum status optout_db_read(struct optout_db *db, uint64_t number,
                           uint8_t out[OPTOUT_RECORD_BYTES])
{
    uint8_t record[OPTOUT_RECORD_BYTES];
    int rc = sqlite3_bind_int64(db->read, 1, (sqlite3_int64)number);
    enum status st =
        rc == SQLITE_OK ? take_blob(db->read, record, sizeof(record)) : ST_IO;

    (void)sqlite3_reset(db->read);
    if (st == ST_OK)
        memcpy(out, record, sizeof(record));
    return st;
}

enum status optout_db_add(struct optout_db *db, uint64_t first,
                          const uint8_t *records, size_t count)
{
    int rc = run(db->sql, "BEGIN IMMEDIATE");

    for (size_t i = 0; rc == SQLITE_OK && i < count; i++) {
        const uint64_t number = first + i;
        rc = sqlite3_bind_int64(db->add, 1, (sqlite3_int64)number);
        if (rc == SQLITE_OK)
            rc =
                sqlite3_bind_blob(db->add, 2, records + i * OPTOUT_RECORD_BYTES,
                                  (int)OPTOUT_RECORD_BYTES, SQLITE_STATIC);
        if (rc == SQLITE_OK && sqlite3_step(db->add) != SQLITE_DONE)
            rc = sqlite3_errcode(db->sql);
        (void)sqlite3_reset(db->add);
    }
    if (rc == SQLITE_OK)
        rc = run(db->sql, "COMMIT");
    if (rc != SQLITE_OK && sqlite3_get_autocommit(db->sql) == 0)
        (void)run(db->sql, "ROLLBACK");
    (void)sqlite3_clear_bindings(db->add);
    return rc == SQLITE_OK ? ST_OK : status_of(rc);
}

enum status optout_db_erase_key(struct optout_db *db, uint64_t number)
{
    uint8_t record[OPTOUT_RECORD_BYTES];
    sqlite3_stmt *put = NULL;
    enum status st = optout_db_read(db, number, record);

    if (st != ST_OK)
        return st;
    optout_record_erase_key(record);
    int rc = sqlite3_prepare_v2(db->sql,
                                "UPDATE change SET record = ? WHERE number = ?",
                                -1, &put, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob(put, 1, record, (int)sizeof(record),
                               SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 2, (sqlite3_int64)number);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(put);
    (void)sqlite3_finalize(put);
    return rc == SQLITE_DONE ? ST_OK : status_of(rc);
}
