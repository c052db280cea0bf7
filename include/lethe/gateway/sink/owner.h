/* owner.h - group names to numbers. Apart from the sinks because the system's
 * `struct group` and ours share their name. */
#ifndef LETHE_GATEWAY_SINK_OWNER_H
#define LETHE_GATEWAY_SINK_OWNER_H

#include "lethe/policy/base/status.h"

#include <sys/types.h>

#define OWNER_GROUP_NONE ((gid_t)-1)

/* The group called `name` (NULL gives OWNER_GROUP_NONE). Errors: ST_DENIED
 * when there is none. Thread-safe. */
enum status owner_find_group(const char *name, gid_t *out) MUST_CHECK;

#endif
