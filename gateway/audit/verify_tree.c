/* verify_tree.c - the tree over the log's lines, and checkpoints of it.
 *
 * RFC 6962: a line without its newline is a leaf. Where the log's beginning
 * was deleted there is no tree: the hashes that would stand for it are not
 * kept yet. */
#include "verify_internal.h"

#include <inttypes.h>
#include <string.h>

#define ROOT_CHARS 44u

static void hash_node(const uint8_t left[HASH_BYTES],
                      const uint8_t right[HASH_BYTES], uint8_t out[HASH_BYTES])
{
    uint8_t bytes[1 + 2 * HASH_BYTES];

    bytes[0] = 0x01;
    memcpy(bytes + 1, left, HASH_BYTES);
    memcpy(bytes + 1 + HASH_BYTES, right, HASH_BYTES);
    sha256(bytes, sizeof(bytes), out);
}

static void tree_add(struct tree *t, struct slice line)
{
    uint8_t bytes[1 + READ_LINE_MAX], hash[HASH_BYTES];
    unsigned level = 0;

    bytes[0] = 0x00;
    memcpy(bytes + 1, line.at, line.len);
    sha256(bytes, 1 + line.len, hash);
    for (uint64_t full = t->size; (full & 1) != 0; full >>= 1)
        hash_node(t->peaks[level++], hash, hash);
    memcpy(t->peaks[level], hash, HASH_BYTES);
    t->size++;
}

static void tree_root(const struct tree *t, char out[ROOT_CHARS + 1])
{
    uint8_t hash[HASH_BYTES];
    bool any = false;

    sha256("", 0, hash);
    for (unsigned level = 0; level < 64; level++) {
        if ((t->size >> level & 1) == 0)
            continue;
        if (any)
            hash_node(t->peaks[level], hash, hash);
        else
            memcpy(hash, t->peaks[level], HASH_BYTES);
        any = true;
    }
    root_text(hash, out);
}

static bool is_whole(const struct verify *v)
{
    return v->files.count == 0 || v->files.first[0] == 0;
}

/* A root tells that something was changed, not where. */
static bool check_since(struct verify *v)
{
    const struct audit_checkpoint *c = v->since;
    const char *origin = v->report->head.origin;
    char root[ROOT_CHARS + 1];

    if (c == NULL || c->size != v->tree.size)
        return true;
    if (origin[0] != '\0' && strcmp(origin, c->origin) != 0)
        return fault(v, 0, "is of another log than the checkpoint's");
    tree_root(&v->tree, root);
    if (strcmp(root, c->root) != 0)
        return fault(v, 0,
                     "or a later one is not what it was: the first "
                     "%" PRIu64 " are not those of the checkpoint",
                     c->size);
    return true;
}

bool tree_begin(struct verify *v)
{
    if (v->since != NULL && !is_whole(v))
        return fault(v, 0,
                     "is deleted: without it, nothing can be compared "
                     "with a checkpoint");
    return check_since(v);
}

bool tree_grow(struct verify *v, struct slice line)
{
    if (!is_whole(v))
        return true;
    tree_add(&v->tree, line);
    return check_since(v);
}

bool tree_end(struct verify *v)
{
    struct audit_checkpoint *head = &v->report->head;

    if (v->since != NULL && v->since->size > v->tree.size)
        return fault(v, v->tree.size,
                     "is missing: the checkpoint counted %" PRIu64,
                     v->since->size);
    if (!is_whole(v))
        head->origin[0] = '\0';
    head->size = v->tree.size;
    tree_root(&v->tree, head->root);
    return true;
}

static bool take_line(struct slice *s, struct slice *out)
{
    size_t end = slice_find(*s, '\n');

    if (end == s->len)
        return false;
    *out = slice_head(*s, end);
    *s = slice_skip(*s, end + 1);
    return true;
}

/* 43 digits and a pad; the last digit carries four bits and two zeros. */
static bool is_root(struct slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                 "qrstuvwxyz0123456789+/";

    if (s.len != ROOT_CHARS || s.at[ROOT_CHARS - 1] != '=')
        return false;
    for (size_t i = 0; i < ROOT_CHARS - 1; i++)
        if (s.at[i] == '\0' || strchr(digits, s.at[i]) == NULL)
            return false;
    return (strchr(digits, s.at[ROOT_CHARS - 2]) - digits) % 4 == 0;
}

static bool is_origin(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < 0x20 || s.at[i] > 0x7e)
            return false;
    return s.len > 0 && s.len <= AUDIT_ORIGIN_MAX;
}

enum status audit_checkpoint_read(struct slice text,
                                  struct audit_checkpoint *out)
{
    struct slice origin, size, root;
    unsigned long long number;

    if (!take_line(&text, &origin) || !take_line(&text, &size) ||
        !take_line(&text, &root) || text.len > 0 || !is_origin(origin) ||
        !is_root(root) || !slice_to_u64(size, &number) ||
        (size.at[0] == '0' && size.len > 1))
        return ST_SYNTAX;
    *out = (struct audit_checkpoint){.size = number};
    memcpy(out->origin, origin.at, origin.len);
    memcpy(out->root, root.at, root.len);
    return ST_OK;
}

void audit_checkpoint_put(const struct audit_checkpoint *c, struct buf *out)
{
    buf_printf(out, "%s\n%" PRIu64 "\n%s\n", c->origin, c->size, c->root);
}
