/* build.h - from a checked config to a running gateway, and back. */
#ifndef LETHE_GATEWAY_BUILD_H
#define LETHE_GATEWAY_BUILD_H

#include "lethe/gateway/gateway.h"

/* Build everything; 0, or 1 with the reason on standard error. Either way
 * build_tear_down() takes down what there is. */
int build_all(struct gateway *g, struct conf *c, unsigned *conf_refs,
              struct policy *const *policies);
void build_tear_down(struct gateway *g);

/* How long a stop waits for connections and transfers, at most. */
#define BUILD_DRAIN_MS 10000

/* ---- between the build files ------------------------------------------- */

/* Print "lethe: what: why"; returns 1. */
int build_refuse(const char *what, const char *why);
/* Keys, state, opt-outs, audit, journal: opened, recovered, audit started. */
int build_from_disk(struct gateway *g, struct conf *c);
/* The list's newest number into the epoch file. */
void build_note_optouts(struct gateway *g);
/* Fill the sweep sets with the opt-outs that came after the lookups of what
 * waits in the journal (`journal_seen`) and in outage.db, then let deliveries
 * go if the list is sound. Errors: ST_IO, ST_NOMEM. */
enum status build_sweep_sets(struct gateway *g,
                             uint64_t journal_seen) MUST_CHECK;

#endif
