/* commit_private.h - commit_start with another idle time, for tests. */
#ifndef LETHE_GATEWAY_STORE_COMMIT_PRIVATE_H
#define LETHE_GATEWAY_STORE_COMMIT_PRIVATE_H

#include "lethe/gateway/store/commit.h"

#define COMMIT_IDLE_MS INT64_C(1000)

enum status commit_start_tuned(struct journal *j, const struct clock *clock,
                               const struct commit_hooks *hooks,
                               int64_t idle_ms, struct commit **out) MUST_CHECK;

#endif
