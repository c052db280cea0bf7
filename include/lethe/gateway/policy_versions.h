/* policy_versions.h - which content a policy's "version" stood for: a version
 * that was once in force means the same rules for ever, so that it can be
 * named in a document and in a letter. Kept in the state folder, since a
 * restart, or another version between, must not make it forget.
 *
 * One file, replaced as a whole: {"policies":[{"site","version","hash",
 * "since"}]}, in the order in which they came into force: the last one of a
 * site is the one that is. Of more than POLICY_VERSIONS_MAX the oldest is
 * forgotten. Used by the supervisor only. */
#ifndef LETHE_GATEWAY_POLICY_VERSIONS_H
#define LETHE_GATEWAY_POLICY_VERSIONS_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define POLICY_VERSIONS_FILE "policy-versions"
#define POLICY_VERSIONS_MAX  4096u /* of all sites together */

struct policy_versions; /* opaque */

/* An absent file is an empty list. The caller owns *out. Errors: ST_CORRUPT,
 * ST_IO, ST_LIMIT, ST_NOMEM. */
enum status policy_versions_open(const char *path,
                                 struct policy_versions **out) MUST_CHECK;
void policy_versions_close(struct policy_versions *v); /* NULL is allowed */

struct policy_version {
    struct slice site; /* its id */
    struct slice version;
    const uint8_t *hash; /* 32 bytes: policy.hash */
};

/* May this version have this content? False: it is known with another. */
bool policy_versions_hold(const struct policy_versions *v,
                          const struct policy_version *p);

/* These come into force, at `now_ms`: in the file, synced, if one of them was
 * not in force before. On an error nothing is noted. Errors: ST_IO, ST_FULL,
 * ST_NOMEM. */
enum status policy_versions_note(struct policy_versions *v,
                                 const struct policy_version *list,
                                 unsigned count, int64_t now_ms) MUST_CHECK;

/* Since when this version has been in force; 0 if it is not the one that is. */
int64_t policy_versions_since(const struct policy_versions *v,
                              const struct policy_version *p);

#endif
