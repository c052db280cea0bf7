#include "lethe/policy/base/status.h"

#include <assert.h>

static const char *const names[ST_COUNT] = {
    [ST_OK] = "ok",           [ST_NOMEM] = "nomem",
    [ST_LIMIT] = "limit",     [ST_SYNTAX] = "syntax",
    [ST_TYPE] = "type",       [ST_UNKNOWN] = "unknown",
    [ST_EXISTS] = "exists",   [ST_DENIED] = "denied",
    [ST_IO] = "io",           [ST_CORRUPT] = "corrupt",
    [ST_FULL] = "full",       [ST_BUSY] = "busy",
    [ST_END] = "end",         [ST_CLOSED] = "closed",
    [ST_CRYPTO] = "crypto",   [ST_MISMATCH] = "mismatch",
    [ST_TIMEOUT] = "timeout",
};

const char *status_name(enum status st)
{
    assert((unsigned)st < ST_COUNT);
    return names[st];
}
