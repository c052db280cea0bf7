#include "lethe/gateway/sink/owner.h"

#include <grp.h>
#include <stddef.h>

enum status owner_find_group(const char *name, gid_t *out)
{
    struct group entry, *found = NULL;
    char memory[8192];

    if (name == NULL) {
        *out = OWNER_GROUP_NONE;
        return ST_OK;
    }
    if (getgrnam_r(name, &entry, memory, sizeof(memory), &found) != 0 ||
        found == NULL)
        return ST_DENIED;
    *out = entry.gr_gid;
    return ST_OK;
}
