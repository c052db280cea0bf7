/* sample.h - an officer's own sample of plain events run against a policy,
 * with keys that are thrown away (R30): for `policy explain`, `policy test` and
 * `minimise`. Never a live epoch, never a gateway's opt-out list. */
#ifndef LETHE_GATEWAY_CMD_SAMPLE_H
#define LETHE_GATEWAY_CMD_SAMPLE_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/policy.h"

#include <stdint.h>

#define SAMPLE_BYTES_MAX (256u << 20) /* of one sample file */

/* The policy in `path`, or the shipped one of that name. Problems are printed
 * on standard error. Errors: ST_IO, ST_TYPE, ST_SYNTAX, ST_NOMEM. */
enum status sample_policy(const char *path, struct policy **out) MUST_CHECK;

/* The same, with the problems for the caller instead; a file that cannot be
 * read is said on standard error. *problems is always set. */
enum status sample_policy_read(const char *path, struct policy **out,
                               struct policy_problems *problems) MUST_CHECK;
void sample_print_problems(const struct policy_problems *problems);

struct sample_run {
    const struct policy *policy;
    int destination; /* only this one; -1 = all */
    bool bare;       /* print the clean event alone, drops nothing */
    bool fixed_keys; /* keys of zeros: same output each time (tests) */
    bool explain;    /* print why, field by field, instead */
    bool json;       /* the explanation as JSON Lines */
    int64_t now_ms;
    uint64_t events, cleared, dropped, bad; /* counted while running */
};

/* Run JSON Lines `text` (it is written into); a line of output each event and
 * destination: {"destination":"store","event":{...}} or
 * {"destination":"mp","dropped":"no-consent"}. `out` may be flushed by
 * `flush` when large. Errors: ST_NOMEM, ST_LIMIT. */
enum status sample_events(struct sample_run *run, char *text, size_t len,
                          struct buf *out,
                          void (*flush)(struct buf *out)) MUST_CHECK;

#endif
