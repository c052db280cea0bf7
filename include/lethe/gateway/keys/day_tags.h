/* day_tags.h - `day-tags` in state_dir: how many day keys each of the last
 * days has had. No secret: it only keeps two keys from one tag after the
 * first was lost with the boot. */
#ifndef LETHE_GATEWAY_KEYS_DAY_TAGS_H
#define LETHE_GATEWAY_KEYS_DAY_TAGS_H

#include "lethe/gateway/keys/epochs.h"

#define DAY_TAGS_MAX   64u     /* days that are remembered */
#define DAY_NUMBER_MAX 999999u /* keys of one day */

/* The next tag of the UTC day that starts at `starts_ms`, on disk when this
 * returns: "2026-11-22", then "2026-11-22.2". Errors: ST_IO, ST_LIMIT. */
enum status day_tag_next(const char *state_dir, int64_t starts_ms,
                         char out_tag[EPOCH_DAY_TAG_MAX],
                         unsigned *out_number) MUST_CHECK;

#endif
