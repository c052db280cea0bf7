/* policy_text.h - a policy as text for people: `policy show`, `diff` and
 * `draft`. Pure. What is written quotes the policy, never a client; draft
 * quotes names (not values) of the sample that its user handed in. */
#ifndef LETHE_POLICY_POLICY_TEXT_H
#define LETHE_POLICY_POLICY_TEXT_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/policy.h"

#include <stdbool.h>

/* Every rule with its number (the number that audit rows carry) and where it
 * came from, then every other setting. Errors: ST_LIMIT (the buffer's cap),
 * ST_NOMEM. */
enum status policy_show_effective(const struct policy *p,
                                  struct buf *out) MUST_CHECK;

/* The policy as sentences: who gets what, why, for how long, what becomes of
 * identifiers. Errors: as above. */
enum status policy_show_words(const struct policy *p,
                              struct buf *out) MUST_CHECK;

/* What changes for people from `before` to `after`, a line each. *loosens:
 * `after` may allow something that `before` did not; a change that cannot be
 * shown to tighten counts as loosening. Errors: as above. */
enum status policy_diff_words(const struct policy *before,
                              const struct policy *after, struct buf *out,
                              bool *out_loosens) MUST_CHECK;

/* A policy that loads and lets nothing through, listing every event and field
 * of `sample` (plain events, JSON Lines), with a proposed rule as a comment.
 * Lines that are no events are counted in *out_skipped. Errors: as above. */
enum status policy_draft(struct slice sample, struct buf *out,
                         unsigned *out_skipped) MUST_CHECK;

/* Append in words what becomes of a value under `r` ("rounded to ..."). */
void policy_rule_words(const struct rule *r, struct buf *out);

/* Append a duration in words ("13 months", "1 day"). */
void policy_duration_words(struct duration d, struct buf *out);

#endif
