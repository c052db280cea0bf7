#include "lethe/gateway/rights/register.h"

#include "lethe/policy/base/clock.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUSY_MS 5000

struct request_register {
    sqlite3 *db;
};

/* ---- words -------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned article;
} kinds[] = {
#define X(id, text, article) {text, article},
    REQUEST_KINDS(X)
#undef X
};
static const char *const outcomes[] = {
#define X(id, text) text,
    REQUEST_OUTCOMES(X)
#undef X
};
static const char *const delays[] = {"none", "complex", "many"};

const char *request_kind_name(enum request_kind k)
{
    return kinds[k].name;
}

unsigned request_kind_article(enum request_kind k)
{
    return kinds[k].article;
}

bool request_kind_find(struct slice text, enum request_kind *out)
{
    for (unsigned i = 0; i < REQUEST_KIND_COUNT; i++)
        if (slice_eq(text, slice_of(kinds[i].name))) {
            *out = (enum request_kind)i;
            return true;
        }
    return false;
}

const char *request_outcome_name(enum request_outcome o)
{
    return outcomes[o];
}

bool request_outcome_find(struct slice text, enum request_outcome *out)
{
    for (unsigned i = REQUEST_ENDED_OPEN + 1; i < REQUEST_OUTCOME_COUNT; i++)
        if (slice_eq(text, slice_of(outcomes[i]))) {
            *out = (enum request_outcome)i;
            return true;
        }
    return false;
}

const char *request_delay_name(enum request_delay d)
{
    return delays[d];
}

bool request_delay_find(struct slice text, enum request_delay *out)
{
    for (unsigned i = DELAY_NONE + 1; i < DELAY_COUNT; i++)
        if (slice_eq(text, slice_of(delays[i]))) {
            *out = (enum request_delay)i;
            return true;
        }
    return false;
}

bool request_ticket_ok(struct slice s)
{
    if (s.len == 0 || s.len > REQUEST_TICKET_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

/* ---- the file ----------------------------------------------------------- */

static const char setup_sql[] =
    "PRAGMA secure_delete=ON;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA trusted_schema=OFF;"
    "CREATE TABLE IF NOT EXISTS requests("
    " id TEXT PRIMARY KEY CHECK(length(id)=8),"
    " kind INTEGER NOT NULL,"
    " site TEXT NOT NULL,"
    " ticket TEXT NOT NULL,"
    " received_ms INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL,"
    " closed_ms INTEGER NOT NULL,"
    " delay INTEGER NOT NULL,"
    " outcome INTEGER NOT NULL) STRICT;"
    "CREATE INDEX IF NOT EXISTS requests_due ON requests(outcome,due_ms);";

static enum status from_sqlite(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ST_OK;
    case SQLITE_CONSTRAINT:
        return ST_EXISTS;
    case SQLITE_FULL:
        return ST_FULL;
    case SQLITE_NOMEM:
        return ST_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ST_CORRUPT;
    default:
        return ST_IO;
    }
}

enum status register_open(const char *path, struct request_register **out)
{
    struct request_register *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return ST_NOMEM;
    mode_t before = umask(077);
    enum status st = from_sqlite(sqlite3_open_v2(
        path, &r->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
        NULL));
    if (st == ST_OK) {
        (void)sqlite3_busy_timeout(r->db, BUSY_MS);
        st = from_sqlite(sqlite3_exec(r->db, setup_sql, NULL, NULL, NULL));
    }
    (void)umask(before);
    if (st != ST_OK) {
        register_close(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

void register_close(struct request_register *r)
{
    if (r == NULL)
        return;
    (void)sqlite3_close(r->db);
    free(r);
}

static enum status prepare(struct request_register *r, const char *sql,
                           sqlite3_stmt **out)
{
    return from_sqlite(sqlite3_prepare_v2(r->db, sql, -1, out, NULL));
}

/* Run to its end and free it; a statement that could not be prepared is NULL.
 */
static enum status finish(sqlite3_stmt *s, enum status st)
{
    if (st == ST_OK)
        st = from_sqlite(sqlite3_step(s));
    (void)sqlite3_finalize(s);
    return st;
}

static void bind_text(sqlite3_stmt *s, int at, struct slice text)
{
    (void)sqlite3_bind_text64(s, at, text.len == 0 ? "" : text.at, text.len,
                              SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void column_text(sqlite3_stmt *s, int at, char *out, size_t room)
{
    const unsigned char *text = sqlite3_column_text(s, at);

    (void)snprintf(out, room, "%s", text == NULL ? "" : (const char *)text);
}

#define COLUMNS                                                                \
    "id, kind, site, ticket, received_ms, due_ms, closed_ms, delay, outcome"

/* A row that no version of ours wrote is damage. */
static enum status read_row(sqlite3_stmt *s, struct request_entry *out)
{
    int kind = sqlite3_column_int(s, 1), delay = sqlite3_column_int(s, 7),
        outcome = sqlite3_column_int(s, 8);

    memset(out, 0, sizeof(*out));
    if (kind < 0 || kind >= REQUEST_KIND_COUNT || delay < 0 ||
        delay >= DELAY_COUNT || outcome < 0 || outcome >= REQUEST_OUTCOME_COUNT)
        return ST_CORRUPT;
    column_text(s, 0, out->id, sizeof(out->id));
    column_text(s, 2, out->site, sizeof(out->site));
    column_text(s, 3, out->ticket, sizeof(out->ticket));
    out->kind = (enum request_kind)kind;
    out->received_ms = sqlite3_column_int64(s, 4);
    out->due_ms = sqlite3_column_int64(s, 5);
    out->closed_ms = sqlite3_column_int64(s, 6);
    out->delay = (enum request_delay)delay;
    out->outcome = (enum request_outcome)outcome;
    return ST_OK;
}

/* ---- entries ------------------------------------------------------------ */

static enum status count_all(struct request_register *r, uint64_t *out)
{
    sqlite3_stmt *s = NULL;
    enum status st = prepare(r, "SELECT count(*) FROM requests", &s);

    if (st == ST_OK)
        st = from_sqlite(sqlite3_step(s));
    if (st == ST_OK)
        *out = (uint64_t)sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return st;
}

enum status register_add(struct request_register *r, struct request_entry *e)
{
    const struct duration month = {1, 0};
    sqlite3_stmt *s = NULL;
    uint64_t count = 0;
    enum status st = count_all(r, &count);

    if (st == ST_OK && count >= REQUESTS_MAX)
        st = ST_LIMIT;
    if (st == ST_OK)
        st = prepare(r,
                     "INSERT INTO requests(" COLUMNS
                     ") VALUES(?1,?2,?3,?4,?5,?6,0,0,0)",
                     &s);
    if (st != ST_OK)
        return st;
    (void)snprintf(e->id, sizeof(e->id), "%08x", randombytes_random());
    e->due_ms = duration_after(e->received_ms, month);
    e->delay = DELAY_NONE;
    e->outcome = REQUEST_ENDED_OPEN;
    e->closed_ms = 0;
    bind_text(s, 1, slice_of(e->id));
    (void)sqlite3_bind_int(s, 2, (int)e->kind);
    bind_text(s, 3, slice_of(e->site));
    bind_text(s, 4, slice_of(e->ticket));
    (void)sqlite3_bind_int64(s, 5, e->received_ms);
    (void)sqlite3_bind_int64(s, 6, e->due_ms);
    return finish(s, ST_OK);
}

enum status register_find(struct request_register *r, struct slice id,
                          struct request_entry *out)
{
    sqlite3_stmt *s = NULL;
    enum status st =
        prepare(r, "SELECT " COLUMNS " FROM requests WHERE id = ?1", &s);

    if (st == ST_OK) {
        bind_text(s, 1, id);
        int rc = sqlite3_step(s);
        st = rc == SQLITE_ROW    ? read_row(s, out)
             : rc == SQLITE_DONE ? ST_UNKNOWN
                                 : from_sqlite(rc);
    }
    (void)sqlite3_finalize(s);
    return st;
}

static enum status find_open(struct request_register *r, struct slice id,
                             struct request_entry *out)
{
    enum status st = register_find(r, id, out);

    return st == ST_OK && out->outcome != REQUEST_ENDED_OPEN ? ST_CLOSED : st;
}

static enum status store(struct request_register *r,
                         const struct request_entry *e)
{
    sqlite3_stmt *s = NULL;
    enum status st =
        prepare(r,
                "UPDATE requests SET due_ms = ?2, closed_ms = ?3, delay = ?4,"
                " outcome = ?5 WHERE id = ?1",
                &s);

    if (st == ST_OK) {
        bind_text(s, 1, slice_of(e->id));
        (void)sqlite3_bind_int64(s, 2, e->due_ms);
        (void)sqlite3_bind_int64(s, 3, e->closed_ms);
        (void)sqlite3_bind_int(s, 4, (int)e->delay);
        (void)sqlite3_bind_int(s, 5, (int)e->outcome);
    }
    return finish(s, st);
}

enum status register_extend(struct request_register *r, struct slice id,
                            enum request_delay why, struct request_entry *out)
{
    const struct duration at_most = {3, 0}; /* one month, and two more */
    enum status st = find_open(r, id, out);

    if (st == ST_OK && out->delay != DELAY_NONE)
        st = ST_EXISTS;
    if (st != ST_OK)
        return st;
    out->due_ms = duration_after(out->received_ms, at_most);
    out->delay = why;
    return store(r, out);
}

enum status register_end(struct request_register *r, struct slice id,
                         enum request_outcome outcome, int64_t now_ms,
                         struct request_entry *out)
{
    enum status st = find_open(r, id, out);

    if (st != ST_OK)
        return st;
    out->outcome = outcome;
    out->closed_ms = now_ms;
    return store(r, out);
}

enum status register_each(struct request_register *r, bool all,
                          register_each_fn *each, void *ctx)
{
    sqlite3_stmt *s = NULL;
    struct request_entry e;
    int rc = SQLITE_DONE;
    enum status st =
        prepare(r,
                "SELECT " COLUMNS " FROM requests WHERE ?1 OR outcome = 0"
                " ORDER BY outcome <> 0, due_ms, id",
                &s);

    if (st == ST_OK)
        (void)sqlite3_bind_int(s, 1, all);
    while (st == ST_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        st = read_row(s, &e);
        if (st == ST_OK)
            st = each(ctx, &e);
    }
    (void)sqlite3_finalize(s);
    return st == ST_OK ? from_sqlite(rc) : st;
}

enum status register_count(struct request_register *r, int64_t now_ms,
                           struct register_facts *out)
{
    sqlite3_stmt *s = NULL;
    enum status st = prepare(
        r,
        "SELECT count(*), count(*) FILTER (WHERE due_ms >= ?1 AND due_ms < ?2),"
        " count(*) FILTER (WHERE due_ms < ?1) FROM requests WHERE outcome = 0",
        &s);

    if (st == ST_OK) {
        (void)sqlite3_bind_int64(s, 1, now_ms);
        (void)sqlite3_bind_int64(s, 2, now_ms + REQUEST_SOON_MS);
        st = from_sqlite(sqlite3_step(s));
    }
    if (st == ST_OK)
        *out = (struct register_facts){
            (uint64_t)sqlite3_column_int64(s, 0),
            (uint64_t)sqlite3_column_int64(s, 1),
            (uint64_t)sqlite3_column_int64(s, 2),
        };
    (void)sqlite3_finalize(s);
    return st;
}

enum status register_forget(struct request_register *r, int64_t now_ms,
                            uint64_t *out_count)
{
    sqlite3_stmt *s = NULL;
    enum status st = prepare(
        r, "DELETE FROM requests WHERE outcome <> 0 AND closed_ms < ?1", &s);

    *out_count = 0;
    if (st == ST_OK)
        (void)sqlite3_bind_int64(s, 1, now_ms - REQUESTS_KEEP_MS);
    st = finish(s, st);
    if (st == ST_OK)
        *out_count = (uint64_t)sqlite3_changes(r->db);
    return st;
}
