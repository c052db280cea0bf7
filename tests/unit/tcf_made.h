/* tcf_made.h - TC strings bit by bit, for tests. */
#ifndef LETHE_TESTS_TCF_MADE_H
#define LETHE_TESTS_TCF_MADE_H

#include "lethe/policy/tcf.h"

#include <stddef.h>

#define MADE_DECISECONDS 17000000000ull /* the time that strings are of */
#define MADE_MS          INT64_C(1700000000000)

struct made {
    char text[TCF_TEXT_MAX + 64];
    size_t len;
    unsigned bits, have; /* of the letter under way */
};

static inline void put(struct made *m, unsigned long long v, unsigned width)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                                  "stuvwxyz0123456789-_";

    for (unsigned i = width; i > 0; i--) {
        m->bits = m->bits << 1 | (unsigned)(v >> (i - 1) & 1);
        if (++m->have == 6) {
            m->text[m->len++] = letters[m->bits];
            m->bits = m->have = 0;
        }
    }
}

/* Bit n-1 of `set` is number n, which comes first on the wire. */
static inline void put_set(struct made *m, uint32_t set, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        put(m, set >> i & 1, 1);
}

static inline void end_segment(struct made *m)
{
    while (m->have != 0)
        put(m, 0, 1);
}

static inline void next_segment(struct made *m, unsigned type)
{
    end_segment(m);
    m->text[m->len++] = '.';
    put(m, type, 3);
}

static inline struct slice made_text(struct made *m)
{
    end_segment(m);
    return (struct slice){m->text, m->len};
}

#define PURPOSE(n) (UINT32_C(1) << ((n)-1))

struct core {
    unsigned version, policy, specific, language, treatment;
    uint32_t consent, interest;
};
static const struct core good = {
    .version = 2,
    .policy = 4,
    .specific = 1,
    .consent = PURPOSE(1) | PURPOSE(8),
    .interest = PURPOSE(9),
};

static inline void put_head(struct made *m, const struct core *c)
{
    put(m, c->version, 6);
    put(m, MADE_DECISECONDS, 36);
    put(m, MADE_DECISECONDS, 36);
    put(m, 10, 12);
    put(m, 3, 12);
    put(m, 1, 6);
    put(m, c->language, 6);
    put(m, 17, 6);
    put(m, 100, 12);
    put(m, c->policy, 6);
    put(m, c->specific, 1);
    put(m, 0, 1 + 12);
    put_set(m, c->consent, 24);
    put_set(m, c->interest, 24);
    put(m, c->treatment, 1);
    put(m, 3, 6); /* DE */
    put(m, 4, 6);
}

/* One vendor as a range, or none (0). */
static inline void put_vendor(struct made *m, unsigned vendor)
{
    put(m, vendor, 16);
    put(m, vendor != 0, 1);
    if (vendor == 0)
        return;
    put(m, 1, 12);
    put(m, 0, 1);
    put(m, vendor, 16);
}

static inline void put_restriction(struct made *m, unsigned purpose,
                                   unsigned type, unsigned vendor)
{
    put(m, purpose, 6);
    put(m, type, 2);
    put(m, 1, 12);
    put(m, 0, 1);
    put(m, vendor, 16);
}

static inline void put_no_vendors(struct made *m)
{
    put_vendor(m, 0);
    put_vendor(m, 0);
    put(m, 0, 12);
}

#endif
