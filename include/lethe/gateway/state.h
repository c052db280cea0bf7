/* state.h - the state folder (storage.md section 1): its version, its random
 * id, its lock, and the sites that have entered it. */
#ifndef LETHE_GATEWAY_STATE_H
#define LETHE_GATEWAY_STATE_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define STATE_FORMAT   1u
#define STATE_SITE_MAX 64u /* hex digits of a site's id */
#define STATE_SITES_MAX                                                        \
    1024u /* sites that ever entered and were not retired                      \
           */

struct state; /* opaque: state_open() makes it, state_close() frees it */

enum state_fault {
    STATE_FAULT_NONE,
    STATE_FAULT_LOCKED,  /* another gateway or command holds it */
    STATE_FAULT_VERSION, /* written by another format of Lethe */
    STATE_FAULT_OWNER,   /* not ours, or open to others */
    STATE_FAULT_DAMAGED, /* VERSION or sites cannot be read */
    STATE_FAULT_IO
};
const char *state_fault_text(enum state_fault fault);

/* Make the folder (0700) and its VERSION if absent, take the lock. On ST_OK
 * the caller owns *out. Errors: ST_BUSY (locked), ST_DENIED, ST_CORRUPT,
 * ST_IO; *out_fault says which. */
enum status state_open(const char *folder, struct state **out,
                       enum state_fault *out_fault) MUST_CHECK;
void state_close(struct state *s); /* gives the lock back; NULL is allowed */

/* 16 random bytes minted with the folder. */
const uint8_t *state_id(const struct state *s);

/* The site is in the state from now on (written and synced once).
 * Errors: ST_IO, ST_LIMIT. */
enum status state_enter_site(struct state *s, struct slice id) MUST_CHECK;
enum status state_retire_site(struct state *s, struct slice id) MUST_CHECK;

/* Id of site `index`, or NULL after the last. */
const char *state_site(const struct state *s, unsigned index);

/* <folder>/<name> into out; false if it does not fit. */
bool state_path(const struct conf *c, const char *name,
                char out[CONF_PATH_MAX]);

#endif
