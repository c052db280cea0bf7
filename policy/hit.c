/* hit.c - which identifiers a hit holds: each is asked for on the opt-out list
 * before anything is decided (law 4). */
#include "lethe/policy/hit.h"

#include "lethe/policy/dialect.h"

enum status hit_add_identifier(struct hit *h, enum id_kind kind,
                               struct slice exact, struct arena *a)
{
    struct slice canonical;

    if (exact.len == 0)
        return ST_OK;
    for (unsigned i = 0; i < h->identifier_count; i++)
        if (h->identifiers[i].kind == kind &&
            slice_eq(h->identifiers[i].exact, exact))
            return ST_OK;
    if (h->identifier_count == HIT_IDENTIFIERS_MAX) {
        h->too_many_identifiers = true;
        return ST_OK;
    }
    enum status st = dialect_canonical(exact, a, &canonical);
    if (st == ST_OK)
        h->identifiers[h->identifier_count++] =
            (struct identifier){kind, exact, canonical};
    return st;
}
