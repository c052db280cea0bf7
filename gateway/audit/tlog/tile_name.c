#include "lethe/gateway/audit/tlog/tile_name.h"

#include "lethe/gateway/audit/tlog/tile.h"

#define GROUP_DIGITS 3u

/* Takes digits from the front of `s`, at most `most` of them. */
static bool take_digits(struct slice *s, size_t most, uint64_t *out)
{
    unsigned long long v;
    size_t n = 0;

    while (n < s->len && n < most && s->at[n] >= '0' && s->at[n] <= '9')
        n++;
    if (!slice_to_u64(slice_head(*s, n), &v))
        return false;
    *s = slice_skip(*s, n);
    *out = v;
    return true;
}

static bool take_text(struct slice *s, struct slice text)
{
    if (!slice_starts(*s, text))
        return false;
    *s = slice_skip(*s, text.len);
    return true;
}

/* "x001/x234/067". Overflow is no matter: the number would be written in
 * another way than it was read, and the caller compares. */
static bool take_number(struct slice *s, uint64_t *out)
{
    uint64_t v = 0, part;
    bool more;

    do {
        more = take_text(s, SLICE("x"));
        if (!take_digits(s, GROUP_DIGITS, &part) ||
            (more && !take_text(s, SLICE("/"))))
            return false;
        v = v * 1000 + part;
    } while (more);
    *out = v;
    return true;
}

enum status tile_name_read(struct slice path, struct tile_name *out)
{
    char again[TILE_PATH_MAX];
    uint64_t level = TILE_ENTRIES, number, width = TILE_WIDTH;
    struct slice rest = path;

    if (path.len >= TILE_PATH_MAX || !take_text(&rest, SLICE("tile/")))
        return ST_SYNTAX;
    if (!take_text(&rest, SLICE("entries/")) &&
        (!take_digits(&rest, 2, &level) || level > TILE_LEVEL_MAX ||
         !take_text(&rest, SLICE("/"))))
        return ST_SYNTAX;
    if (!take_number(&rest, &number))
        return ST_SYNTAX;
    if (take_text(&rest, SLICE(".p/")) &&
        (!take_digits(&rest, GROUP_DIGITS, &width) || width == 0 ||
         width >= TILE_WIDTH))
        return ST_SYNTAX;
    tile_path((unsigned)level, number, (unsigned)width, again);
    if (!slice_eq(slice_of(again), path))
        return ST_SYNTAX;
    *out = (struct tile_name){(unsigned)level, number, (unsigned)width};
    return ST_OK;
}

static unsigned shift_of(const struct tile_name *n)
{
    return n->level == TILE_ENTRIES ? 0 : n->level * TILE_HEIGHT;
}

bool tile_name_within(const struct tile_name *n, uint64_t size)
{
    unsigned shift = shift_of(n);
    uint64_t there = shift < 64 ? size >> shift : 0;

    return n->number < there / TILE_WIDTH ||
           (n->number == there / TILE_WIDTH && n->width <= there % TILE_WIDTH);
}

uint64_t tile_name_end(const struct tile_name *n)
{
    return (n->number * TILE_WIDTH + n->width) << shift_of(n);
}
