#include "lethe/gateway/audit/tlog/proof.h"

#include "base64.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>

#define FIRST_LINE "c2sp.org/tlog-proof@v1"
#define EXTRA      "extra "
#define INDEX      "index "
#define CODE_MAX   (PROOF_EXTRA_MAX / 3u * 4u + 8u) /* base64, NUL included */

_Static_assert(PROOF_BYTES_MAX >= sizeof(FIRST_LINE EXTRA INDEX) + CODE_MAX +
                                      22 + TREE_PROOF_MAX * 45 + 1 +
                                      NOTE_BYTES_MAX,
               "all that may be put fits");

/* The text behind `word` up to the end of its line, which is taken. */
static bool take_word(struct slice *s, struct slice word, struct slice *out)
{
    struct slice rest = slice_skip(*s, word.len);
    size_t end = slice_find(rest, '\n');

    if (!slice_starts(*s, word) || end == rest.len)
        return false;
    *out = slice_head(rest, end);
    *s = slice_skip(rest, end + 1);
    return true;
}

static enum status read_extra(struct slice *s, uint8_t *extra,
                              struct slice *out)
{
    struct slice code;
    size_t len;

    *out = SLICE_NONE;
    if (!take_word(s, SLICE(EXTRA), &code))
        return ST_OK;
    if (code.len >= CODE_MAX)
        return ST_LIMIT;
    if (!base64_read(code, extra, PROOF_EXTRA_MAX, &len))
        return ST_SYNTAX;
    *out = (struct slice){(const char *)extra, len};
    return len > 0 ? ST_OK : ST_SYNTAX; /* without one, the line is left out */
}

enum status proof_read(struct slice bytes, uint8_t *extra,
                       struct tlog_proof *out)
{
    struct tlog_proof p = {.path.count = 0};
    struct slice none, number;
    unsigned long long index;

    if (bytes.len > PROOF_BYTES_MAX)
        return ST_LIMIT;
    if (!take_word(&bytes, SLICE(FIRST_LINE), &none) || none.len > 0)
        return ST_SYNTAX;
    enum status st = read_extra(&bytes, extra, &p.extra);
    if (st != ST_OK)
        return st;
    if (!take_word(&bytes, SLICE(INDEX), &number) ||
        !slice_to_u64(number, &index) ||
        (number.at[0] == '0' && number.len > 1))
        return ST_SYNTAX;
    p.index = index;
    while (p.path.count < TREE_PROOF_MAX &&
           hash_line_take(&bytes, p.path.hashes[p.path.count]))
        p.path.count++;
    if (!slice_starts(bytes, SLICE("\n")) || bytes.len == 1)
        return ST_SYNTAX;
    p.checkpoint = slice_skip(bytes, 1);
    *out = p;
    return ST_OK;
}

static enum status put_extra(struct slice extra, struct buf *out)
{
    char *text;

    if (extra.len == 0)
        return ST_OK;
    text = malloc(CODE_MAX);
    if (text == NULL)
        return ST_NOMEM;
    sodium_bin2base64(text, CODE_MAX, (const uint8_t *)extra.at, extra.len,
                      sodium_base64_VARIANT_ORIGINAL);
    buf_put(out, SLICE(EXTRA));
    buf_put(out, slice_of(text));
    buf_put_char(out, '\n');
    free(text);
    return ST_OK;
}

enum status proof_put(const struct tlog_proof *p, struct buf *out)
{
    if (p->extra.len > PROOF_EXTRA_MAX || p->path.count > TREE_PROOF_MAX ||
        p->checkpoint.len > NOTE_BYTES_MAX)
        return ST_LIMIT;
    buf_put(out, SLICE(FIRST_LINE "\n"));
    enum status st = put_extra(p->extra, out);
    if (st != ST_OK)
        return st;
    buf_printf(out, INDEX "%" PRIu64 "\n", p->index);
    for (unsigned i = 0; i < p->path.count; i++)
        hash_line_put(p->path.hashes[i], out);
    buf_put_char(out, '\n');
    buf_put(out, p->checkpoint);
    return out->failed ? ST_NOMEM : ST_OK;
}

enum status proof_check(const struct tlog_proof *p,
                        const uint8_t leaf[HASH_BYTES],
                        const struct note_key *key, struct note *note,
                        struct checkpoint *c)
{
    enum status st = note_read(p->checkpoint, note);

    if (st == ST_OK && key != NULL)
        st = note_check(note, key, NULL);
    if (st == ST_OK)
        st = checkpoint_read(note->text, c);
    if (st == ST_OK && key != NULL && !slice_eq(c->origin, slice_of(key->name)))
        st = ST_UNKNOWN;
    if (st == ST_OK)
        st = tree_check_inclusion(&p->path, p->index, c->size, leaf, c->root);
    return st;
}
