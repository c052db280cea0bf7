/* key_change.h - other keys while the gateway runs: a new master key, new
 * epochs before their time (R34, R54). On the supervisor's thread. */
#ifndef LETHE_GATEWAY_KEY_CHANGE_H
#define LETHE_GATEWAY_KEY_CHANGE_H

#include "lethe/gateway/gateway.h"

/* Destroy the secrets of all epochs and begin new ones at the barrier: what was
 * written before cannot be linked to what is written from now on. Errors: as
 * supervisor_renew() (then workers stay paused and the tick tries again). */
enum status keys_end_epochs(struct gateway *g) MUST_CHECK;

/* A new random master key in the place of the old one, whose file is
 * overwritten; spool keys are wrapped under it, and all epochs end. A crash at
 * any point leaves a state that starts (keys_finish_rotation). Errors:
 * ST_DENIED (the key is no file that can be replaced), ST_IO, those of
 * keys_end_epochs(). */
enum status keys_rotate_master(struct gateway *g) MUST_CHECK;

/* At the start: open the spool keys at `path` into g->spool_keys. A rotation
 * that a crash cut short is finished (g->master is the new key then), one that
 * had not begun is forgotten. Errors: as spool_keys_open(). */
enum status keys_open_spool(struct gateway *g, const struct conf *c,
                            const char *path) MUST_CHECK;

#endif
