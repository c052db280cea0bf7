/* json_scan.h - the lexical pieces of json_reader.c that look at every byte.
 * Used by json_reader.c and, for texts that do not come as JSON, by
 * dialect/params.c. */
#ifndef LETHE_POLICY_JSON_SCAN_H
#define LETHE_POLICY_JSON_SCAN_H

#include "lethe/policy/json_reader.h"

/* Strings and numbers: both start at *at (a string: after its opening quote),
 * never read at or beyond `end`, and leave *at behind what they read or, on
 * failure, on the offending byte. JSON_FAULT_NONE: *out is the text. */

/* Unescapes in place: `out` lies within the bytes read. */
enum json_fault json_scan_string(char **at, char *end, struct slice *out);

enum json_fault json_scan_number(char **at, char *end, struct slice *out);

/* At least as many as the values in [at, end): every value but the first has
 * a comma or an opening bracket of its own before it. */
size_t json_scan_nodes_bound(const char *at, const char *end);

/* Well-formed UTF-8 without U+0000: what a string of a document would be. */
bool json_scan_is_text(struct slice s);

#endif
