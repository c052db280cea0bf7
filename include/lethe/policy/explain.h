/* explain.h - one hit's way through a policy, for the officer or developer who
 * asks what becomes of a sample: per destination whether it is cleared, by
 * which rule, and for each value what went in, which rule met it and what came
 * out or why nothing did.
 *
 * THE OUTPUT HOLDS THE SAMPLE'S OWN BYTES. It goes back to whoever brought the
 * sample (a file, standard input, their own request), and nowhere else. The
 * pseudonyms in it are made under a key that the caller draws fresh and throws
 * away (R30): never a live epoch's. */
#ifndef LETHE_POLICY_EXPLAIN_H
#define LETHE_POLICY_EXPLAIN_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/consent.h"
#include "lethe/policy/pseudonym.h"

struct hit;

enum explain_form {
    EXPLAIN_TEXT, /* lines for people */
    EXPLAIN_JSON  /* one object on one line, with a newline */
};

struct explain_case {
    const struct policy *p;
    const struct hit *h;
    enum optout_state optout;
    uint16_t present; /* as for decide(): bit a destination */
    int64_t now_ms;
    uint8_t throwaway[KEY_BYTES]; /* fresh random bytes, wiped afterwards */
};

/* Append the explanation of `c` to `out`; scratch memory comes from `a`.
 * Errors: ST_NOMEM (arena), ST_LIMIT (out's cap); what was appended then is
 * of no use. */
enum status explain(const struct explain_case *c, enum explain_form form,
                    struct arena *a, struct buf *out) MUST_CHECK;

#endif
