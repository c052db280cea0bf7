/* encode.h - the encoders of families that are destinations too. Included by
 * policy/wire.c and policy/dialect/ alone; contracts are in wire.h. */
#ifndef LETHE_POLICY_DIALECT_ENCODE_H
#define LETHE_POLICY_DIALECT_ENCODE_H

#include "lethe/policy/wire.h"

#define GA4_IDENTIFIER_BITS 62u /* of number.number */

void mixpanel_encode(const struct clean_hit *c, struct buf *body);
void ga4_encode(const struct clean_hit *c, struct buf *group, struct buf *body);

/* A field's name, or that name behind "field_" where `own` (NULL at its end)
 * already means something to the vendor. Appends a JSON string. */
void encode_name(struct buf *b, struct slice name, const char *const *own);

#endif
