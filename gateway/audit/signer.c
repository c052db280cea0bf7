/* signer.c - one question, one answer: is this checkpoint a continuation of
 * what was signed last? */
#include "signer_internal.h"

#include "lethe/gateway/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

struct question {
    uint64_t old;
    struct tree_proof proof;
    struct checkpoint c;
};

/* "old <size>\n", in its one spelling. */
static bool take_old(struct slice *s, uint64_t *out)
{
    size_t end = slice_find(*s, '\n');
    unsigned long long number;

    if (end == s->len || !slice_starts(*s, SLICE("old ")))
        return false;
    struct slice digits = slice_skip(slice_head(*s, end), 4);
    if (!slice_to_u64(digits, &number) ||
        (digits.at[0] == '0' && digits.len > 1))
        return false;
    *out = number;
    *s = slice_skip(*s, end + 1);
    return true;
}

static bool read_question(struct slice body, struct question *out)
{
    out->proof.count = 0;
    if (body.len > SIGNER_BODY_MAX || !take_old(&body, &out->old))
        return false;
    while (body.len > 0 && body.at[0] != '\n') {
        if (out->proof.count == SIGNER_PROOF_MAX ||
            !hash_line_take(&body, out->proof.hashes[out->proof.count]))
            return false;
        out->proof.count++;
    }
    return body.len > 0 &&
           checkpoint_read(slice_skip(body, 1), &out->c) == ST_OK;
}

void signer_put(uint64_t old, const struct tree_proof *proof,
                const struct checkpoint *c, struct buf *out)
{
    buf_printf(out, "old %" PRIu64 "\n", old);
    for (unsigned i = 0; i < proof->count; i++)
        hash_line_put(proof->hashes[i], out);
    buf_put_char(out, '\n');
    checkpoint_put(c, out);
}

/* The code of the answer; 200: it may be signed. */
static int judge(const struct signer *s, const struct question *q,
                 struct signer_reply *out)
{
    if (!slice_eq(q->c.origin, slice_of(s->signer.key.name)))
        return 404;
    if (q->old > q->c.size)
        return 400;
    if (q->old != s->size) {
        out->has_size = true;
        out->size = s->size;
        return 409;
    }
    if (q->c.size == s->size)
        return memcmp(q->c.root, s->root, HASH_BYTES) != 0 ? 409
               : q->proof.count > 0                        ? 422
                                                           : 200;
    /* Nothing binds the first checkpoint to anything. */
    if (s->size == 0)
        return q->proof.count > 0 ? 422 : 200;
    return tree_check_consistency(&q->proof, s->size, s->root, q->c.size,
                                  q->c.root) == ST_OK
               ? 200
               : 422;
}

/* What is signed is on disk first. The same checkpoint again changes nothing
 * there but the time. */
static int keep(struct signer *s, const struct checkpoint *c, struct slice note)
{
    if (c->size == s->size) {
        (void)utimensat(AT_FDCWD, s->state_path, NULL, 0);
        return 200;
    }
    enum status st = file_replace(s->state_path, note);
    if (st != ST_OK)
        return st == ST_FULL ? 503 : 500;
    s->size = c->size;
    memcpy(s->root, c->root, HASH_BYTES);
    return 200;
}

static int64_t note_time(struct signer *s)
{
    int64_t now = s->clock->wall_ms(s->clock->ctx);
    /* Before the first signature nobody was expected. */
    int64_t gap = s->size > 0 ? now - s->asked_ms : 0;

    s->asked_ms = now;
    return gap > SIGNER_GAP_MS ? gap : 0;
}

static int sign(struct signer *s, const struct checkpoint *c,
                struct signer_reply *out)
{
    struct buf note;
    int code = 503;

    buf_init(&note, SIGNER_STATE_MAX);
    if (signer_note(&s->signer, c, &note) == ST_OK)
        code = keep(s, c, buf_slice(&note));
    if (code == 200) {
        struct slice all = buf_slice(&note);
        size_t at = all.len - 1;
        while (at > 0 && all.at[at - 1] != '\n')
            at--;
        buf_put(&out->lines, slice_skip(all, at));
        code = out->lines.failed ? 503 : 200;
    }
    buf_free(&note);
    return code;
}

void signer_answer(struct signer *s, struct slice body,
                   struct signer_reply *out)
{
    struct question q;

    *out = (struct signer_reply){.code = 400};
    buf_init(&out->lines, SIGNER_BODY_MAX);
    if (!read_question(body, &q))
        return;
    out->code = judge(s, &q, out);
    if (out->code != 200)
        return;
    out->gap_ms = note_time(s);
    out->code = sign(s, &q.c, out);
}
