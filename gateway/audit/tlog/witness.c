#include "lethe/gateway/audit/tlog/witness.h"

#include "lethe/gateway/audit/tlog/checkpoint.h"

#include <inttypes.h>

void witness_put(uint64_t old, const struct tree_proof *proof,
                 struct slice note, struct buf *out)
{
    buf_printf(out, "old %" PRIu64 "\n", old);
    for (unsigned i = 0; i < proof->count; i++)
        hash_line_put(proof->hashes[i], out);
    buf_put_char(out, '\n');
    buf_put(out, note);
}

enum status witness_read_size(struct slice body, uint64_t *out)
{
    unsigned long long v;

    if (!slice_ends(body, SLICE("\n")) ||
        !slice_to_u64(slice_head(body, body.len - 1), &v) ||
        (body.at[0] == '0' && body.len > 2))
        return ST_SYNTAX;
    *out = v;
    return ST_OK;
}

/* A note of `text` and this one line; what is not read as one is no line. */
static enum status check_line(struct slice line, struct slice text,
                              const struct note_key *key, uint64_t *out_time)
{
    struct note n;
    struct buf b;
    uint64_t time_s = 0;

    buf_init(&b, NOTE_BYTES_MAX);
    buf_put(&b, text);
    buf_put_char(&b, '\n');
    buf_put(&b, line);
    enum status st = b.failed ? ST_LIMIT : note_read(buf_slice(&b), &n);
    if (st == ST_OK)
        st = note_check(&n, key, &time_s);
    if (st == ST_OK && time_s == 0)
        st = ST_CRYPTO; /* of no checkpoint that a log has signed */
    buf_free(&b);
    if (st == ST_OK)
        *out_time = time_s;
    return st;
}

enum status witness_take_line(struct slice body, struct slice text,
                              const struct note_key *key, uint64_t *out_time,
                              struct buf *out)
{
    enum status found = ST_UNKNOWN;
    size_t before = out->len;
    uint64_t time_s = 0, one;

    while (body.len > 0) {
        size_t end = slice_find(body, '\n');
        struct slice line = slice_head(body, end + 1);
        enum status st =
            end == body.len ? ST_SYNTAX : check_line(line, text, key, &one);
        if (st != ST_OK && st != ST_UNKNOWN) {
            out->len = before; /* a lie takes back what was true before it */
            return st;
        }
        if (st == ST_OK && found == ST_UNKNOWN) { /* one of each is enough */
            buf_put(out, line);
            time_s = one;
            found = out->failed ? ST_NOMEM : ST_OK;
        }
        body = slice_skip(body, end + 1);
    }
    if (found == ST_OK)
        *out_time = time_s;
    return found;
}
