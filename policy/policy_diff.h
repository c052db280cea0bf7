/* policy_diff.h - shared by the two halves of policy_diff_words(). */
#ifndef POLICY_POLICY_DIFF_H
#define POLICY_POLICY_DIFF_H

#include "policy_inside.h"

struct diff {
    const struct policy *a, *b; /* before, after */
    struct buf *out;
    bool loosens;
    unsigned lines;
    enum status st;
};

enum turn { TIGHTER, LOOSER, CHANGED };

/* Begin a line; the caller adds the words and a newline. */
void diff_begin(struct diff *x, enum turn turn);

/* Index of the purpose called `name`, or -1. */
int diff_purpose_in(const struct policy *p, struct slice name);

/* A line if the two differ; longer is looser. */
void diff_duration(struct diff *x, const char *what, struct slice name,
                   struct duration a, struct duration b);

void diff_purposes(struct diff *x);
void diff_general(struct diff *x);

#endif
