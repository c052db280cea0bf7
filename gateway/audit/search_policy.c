/* search_policy.c - which bit of a row is which destination: what the
 * policy.load that a batch names said. */
#include "search_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct known_policy *new_policy(struct known_policies *known)
{
    if (known->count == known->room) {
        size_t room = known->room == 0 ? 8 : 2 * known->room;
        struct known_policy *more =
            reallocarray(known->list, room, sizeof(*more));
        if (more == NULL)
            return NULL;
        known->list = more;
        known->room = room;
    }
    struct known_policy *p = &known->list[known->count++];
    *p = (struct known_policy){0};
    return p;
}

/* "dst":["store","file"] of a policy.load. */
static void take_names(struct slice d, struct known_policy *p)
{
    const struct slice mark = SLICE("\"dst\":[");
    struct slice rest = d, name;

    while (rest.len > 0 && !slice_starts(rest, mark))
        rest = slice_skip(rest, 1);
    rest = slice_skip(rest, mark.len);
    while (p->count < DESTINATIONS_MAX && take_string(&rest, &name) &&
           name.len <= NAME_MAX_BYTES) {
        memcpy(p->names[p->count++], name.at, name.len);
        if (!take_text(&rest, SLICE(",")))
            break;
    }
}

/* Line number `index` - `first` of the segment. */
static enum status read_policy(FILE *in, uint64_t first, struct known_policy *p)
{
    struct record_view r;
    size_t room = 0;
    char *text = NULL;
    ssize_t n = 0;

    for (uint64_t i = first; n >= 0 && i <= p->index; i++)
        n = getline(&text, &room, in);
    enum status st = n < 0 && ferror(in) ? ST_IO : ST_OK;
    if (n > 0 && text[n - 1] == '\n' &&
        record_read((struct slice){text, (size_t)n - 1}, &r) &&
        r.i == p->index && slice_eq(r.act, SLICE("policy.load"))) {
        p->found = true;
        take_names(r.d, p);
    }
    free(text);
    return st;
}

static enum status look_up(const struct segments *in, struct known_policy *p)
{
    char path[READ_PATH_MAX];
    size_t k = in->count;

    while (k > 0 && in->first[k - 1] > p->index)
        k--;
    if (k == 0)
        return ST_OK; /* pruned */
    (void)snprintf(path, sizeof(path), "%s/seg/%012" PRIu64 ".jsonl",
                   in->folder, in->first[k - 1]);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT ? ST_OK : ST_IO;
    enum status st = read_policy(file, in->first[k - 1], p);
    (void)fclose(file);
    return st;
}

enum status policy_find(struct known_policies *known, const struct segments *in,
                        uint64_t index, const struct known_policy **out)
{
    struct known_policy *p = NULL;
    enum status st = ST_OK;

    for (size_t i = known->count; p == NULL && i > 0; i--)
        if (known->list[i - 1].index == index)
            p = &known->list[i - 1];
    if (p == NULL) {
        p = new_policy(known);
        if (p == NULL)
            return ST_NOMEM;
        p->index = index;
        st = look_up(in, p);
    }
    if (st == ST_OK)
        *out = p->found ? p : NULL;
    return st;
}

unsigned policy_bit(const struct known_policy *p, const char *name)
{
    for (unsigned k = 0; k < p->count; k++)
        if (strcmp(p->names[k], name) == 0)
            return 1u << k;
    return 0;
}
