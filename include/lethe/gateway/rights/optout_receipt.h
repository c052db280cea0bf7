/* optout_receipt.h - a receipt's text: "lo1-" and 43 letters, digits, "-" and
 * "_". It holds the entry's number (masked: nobody can count opt-outs with
 * it), the commitment's key, and a check that only the opt-out key makes. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_RECEIPT_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_RECEIPT_H

#include "lethe/gateway/rights/optout.h"

#define OPTOUT_RECEIPT_BYTES 47u /* of the text, without a NUL */

/* `number` 0 makes a receipt that lifts nothing and looks like any other. */
void optout_receipt_make(const uint8_t key[KEY_BYTES], uint64_t number,
                         const uint8_t commit_key[16],
                         char out[OPTOUT_RECEIPT_MAX]);

/* Errors: ST_SYNTAX (not a receipt), ST_UNKNOWN (not one of this key's). */
enum status optout_receipt_read(const uint8_t key[KEY_BYTES], struct slice text,
                                uint64_t *out_number,
                                uint8_t out_commit_key[16]) MUST_CHECK;

/* The commitment's key, which stands in a receipt openly: with it and the
 * identifier a person makes the commitment again, without this gateway. Whether
 * the receipt was ever given, the commitment's record tells.
 * Errors: ST_SYNTAX. */
enum status optout_receipt_open(struct slice text,
                                uint8_t out_commit_key[16]) MUST_CHECK;

/* A commitment as optout.set's record holds it: base64 with padding. */
#define OPTOUT_COMMITMENT_TEXT 45u
void optout_commitment_text(const uint8_t commitment[32],
                            char out[OPTOUT_COMMITMENT_TEXT]);

#endif
