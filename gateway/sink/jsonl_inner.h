/* jsonl_inner.h - what the files of the JSON Lines sink share; nobody else
 * includes it. */
#ifndef GATEWAY_SINK_JSONL_INNER_H
#define GATEWAY_SINK_JSONL_INNER_H

#include "lethe/gateway/sink/sink.h"

#include <sys/types.h>

#define JSONL_NAME_MAX 256u

struct file_sink {
    char *folder;
    char *stem; /* "user_analytics.audience." */
    mode_t mode;
    gid_t group; /* OWNER_GROUP_NONE: as it comes */
    int folder_fd;
    int fd; /* -1: none open */
    uint32_t day;
    struct buf lines;
};

uint32_t jsonl_day_of(int64_t wall_ms);
/* The file of `day`. Errors: ST_LIMIT. */
enum status jsonl_day_name(const char *stem, uint32_t day,
                           char out[JSONL_NAME_MAX]) MUST_CHECK;
/* The day in "<stem>YYYY-MM-DD.jsonl"; false for any other name. */
bool jsonl_name_day(const char *stem, const char *name, uint32_t *out_day);

/* Behind the name of a file that is being written anew without somebody's
 * lines. One that a crash left is removed when the sink opens. */
#define JSONL_ANEW ".anew"

#endif
