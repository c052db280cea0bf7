/* optout_record.h - one numbered change of the opt-out list as 128 bytes, the
 * same in journal and store, and the keyed things that only the opt-out key
 * can make (storage.md section 4).
 *
 *   number u64 | time u64 | tag 16 | commitment, sealed 32 | ref u64 |
 *   kind u8 | packed u8 | site u16 | batch index u32      = 80 bytes, chained
 *   commitment key, sealed 16                           not chained: erasable
 *   running hash 32 = BLAKE2b-256(previous hash, the 80 bytes)
 *
 * A site's change holds the site's id in the 56 bytes from `tag` on: hex digits
 * packed two in a byte, other text (never longer than 56) as it is. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_RECORD_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_RECORD_H

#include "lethe/gateway/rights/optout.h"

#define OPTOUT_RECORD_BYTES  128u
#define OPTOUT_HEADER_BYTES  128u
#define OPTOUT_BODY_BYTES    80u /* of a record: what the chain covers */
#define OPTOUT_HASH_BYTES    32u
#define OPTOUT_COMMIT_KEY    16u
#define OPTOUT_SITE_MAX      64u /* bytes of a site's id of hex digits */
#define OPTOUT_SITE_TEXT_MAX 56u /* and of another one's */

enum optout_kind { OPTOUT_KIND_SET = 1, OPTOUT_KIND_LIFT, OPTOUT_KIND_SITE };

struct optout_change {
    uint64_t number;
    int64_t time_ms;
    enum optout_kind kind;
    uint8_t tag[TAG_BYTES];
    uint8_t commitment[32];                /* of a set; sealed */
    int64_t set_ms;                        /* of a lift: the set's time */
    uint8_t commit_key[OPTOUT_COMMIT_KEY]; /* sealed; all zero = erased */
    uint64_t ref;   /* set: the tag's change before it (0 = none);
                       lift: number of the set that falls */
    uint16_t site;  /* index of the site's change, counted from 0 */
    uint32_t batch; /* records before it in the write that made it */
    char site_id[OPTOUT_SITE_MAX + 1]; /* of a site's change */
};

/* Header of journal and store: magic, random id, check value of the key,
 * checksum. */
void optout_header_make(const uint8_t key[KEY_BYTES], const uint8_t id[16],
                        uint8_t out[OPTOUT_HEADER_BYTES]);
/* ST_OK; ST_CORRUPT (not a header, or changed); ST_DENIED (another key's). */
enum status optout_header_check(const uint8_t header[OPTOUT_HEADER_BYTES],
                                const uint8_t key[KEY_BYTES]) MUST_CHECK;
void optout_header_id(const uint8_t header[OPTOUT_HEADER_BYTES],
                      uint8_t out[16]);
/* The hash before the first change. */
void optout_hash_first(const uint8_t header[OPTOUT_HEADER_BYTES],
                       uint8_t out[OPTOUT_HASH_BYTES]);

void optout_record_encode(const struct optout_change *c,
                          const uint8_t before[OPTOUT_HASH_BYTES],
                          uint8_t out[OPTOUT_RECORD_BYTES]);
/* The running hash that stands in a record, and the one that its body makes
 * after `before`. */
const uint8_t *optout_record_hash(const uint8_t record[OPTOUT_RECORD_BYTES]);
void optout_record_chain(const uint8_t record[OPTOUT_RECORD_BYTES],
                         const uint8_t before[OPTOUT_HASH_BYTES],
                         uint8_t out[OPTOUT_HASH_BYTES]);
/* Does `record` follow `before` as change `number`? */
bool optout_record_follows(const uint8_t record[OPTOUT_RECORD_BYTES],
                           const uint8_t before[OPTOUT_HASH_BYTES],
                           uint64_t number);
/* Fields of a record. Errors: ST_CORRUPT (unknown kind, bad site id). */
enum status optout_record_decode(const uint8_t record[OPTOUT_RECORD_BYTES],
                                 struct optout_change *out) MUST_CHECK;
void optout_record_erase_key(uint8_t record[OPTOUT_RECORD_BYTES]);
#define OPTOUT_ERASE_OFFSET OPTOUT_BODY_BYTES /* of the key in a record */

/* Seal or open (the same step) commitment and its key in place; the pad comes
 * from the opt-out key and the change's number, time and tag. */
void optout_change_seal(struct optout_change *c, const uint8_t key[KEY_BYTES],
                        const uint8_t id[16]);
bool optout_change_key_erased(const struct optout_change *c);

#endif
