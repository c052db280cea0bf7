#include "wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t charge(size_t size)
{
    return size > WIRE_FIRST ? size : 0;
}

static void give_back(struct wire *w, struct wire_budget *budget)
{
    if (budget != NULL)
        budget->held -= charge(w->size);
    if (w->data != NULL)
        explicit_bzero(w->data, w->len);
    free(w->data);
}

enum status wire_reserve(struct wire *w, size_t size,
                         struct wire_budget *budget)
{
    struct wire old = *w;

    if (size <= w->size)
        return ST_OK;
    if (size < WIRE_FIRST)
        size = WIRE_FIRST;
    if (budget != NULL && charge(size) > budget->max - budget->held)
        return ST_FULL;
    char *data = malloc(size);
    if (data == NULL)
        return ST_NOMEM;
    if (old.len > 0)
        memcpy(data, old.data, old.len);
    if (budget != NULL)
        budget->held += charge(size);
    give_back(&old, budget);
    w->data = data;
    w->size = size;
    return ST_OK;
}

void wire_put(struct wire *w, struct slice s)
{
    assert(s.len <= w->size - w->len);

    if (s.len > 0)
        memcpy(w->data + w->len, s.at, s.len);
    w->len += s.len;
}

void wire_drop(struct wire *w, size_t n, struct wire_budget *budget)
{
    size_t rest = w->len - n;

    assert(n <= w->len);

    if (rest == 0 && w->size > WIRE_KEPT) {
        wire_free(w, budget);
        return;
    }
    if (w->len == 0)
        return;
    memmove(w->data, w->data + n, rest);
    explicit_bzero(w->data + rest, n);
    w->len = rest;
}

void wire_free(struct wire *w, struct wire_budget *budget)
{
    give_back(w, budget);
    *w = (struct wire){NULL, 0, 0};
}
