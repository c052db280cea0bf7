/* audit_query.h - the options of `audit search` and `audit export`. */
#ifndef GATEWAY_CMD_AUDIT_QUERY_H
#define GATEWAY_CMD_AUDIT_QUERY_H

#include "lethe/gateway/audit/search.h"
#include "lethe/gateway/cmd/cmd.h"

/* The query that the options ask for, all but the marks of --ids. Returns
 * CMD_OK, or CMD_USAGE after saying what is wrong. */
int audit_query_read(const struct cmd_line *l, struct audit_query *q);
bool audit_query_is_export(const struct cmd_line *l);
/* A JSON array: what is asked by, never for which value. */
void audit_query_put_by(const struct audit_query *q, struct buf *out);
/* "i" or "i.row", for --after. */
void audit_query_put_place(const struct audit_query *q,
                           const struct audit_found *found, struct buf *out);

#endif
