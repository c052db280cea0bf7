/* probe.h - `destination test`: could a batch be delivered there now? Sends
 * nothing of anybody: files and databases are opened for writing, network
 * destinations get an empty batch, GA4 a made-up event at its validation
 * address, which keeps nothing. Blocks for at most the destination's
 * timeout. */
#ifndef LETHE_GATEWAY_SINK_PROBE_H
#define LETHE_GATEWAY_SINK_PROBE_H

#include "lethe/gateway/conf.h"

#include <stdbool.h>

struct probe_result {
    bool ok;
    int status;     /* HTTP status or errno; 0 none */
    char text[200]; /* one sentence for the operator */
};
void probe_destination(const struct conf_destination *d,
                       struct probe_result *out);

#endif
