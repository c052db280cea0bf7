/* json_keys.h - does an object repeat a key? Used by json_reader.c alone. */
#ifndef LETHE_POLICY_JSON_KEYS_H
#define LETHE_POLICY_JSON_KEYS_H

#include "lethe/policy/json_reader.h"

/* A member of `object` (complete, at most JSON_MEMBERS_MAX members) whose key
 * another member has too, or NULL. Time grows with n log n at worst, whatever
 * keys a client picks. */
const struct json_node *json_repeated_key(const struct json_node *object);

#endif
