/* control_path.h - a Unix socket's address for a path of any length: sun_path
 * holds 107 bytes, a state_dir may be deeper. */
#ifndef LETHE_GATEWAY_CONTROL_PATH_H
#define LETHE_GATEWAY_CONTROL_PATH_H

#include "lethe/policy/base/status.h"

#include <sys/un.h>

/* *out_dir is an open folder that the address needs while it is used; close
 * it afterwards. Errors: ST_IO (no such folder; errno tells), ST_LIMIT. */
enum status control_address(const char *path, struct sockaddr_un *out,
                            int *out_dir) MUST_CHECK;

#endif
