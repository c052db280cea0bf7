/* pseudonym.h - every keyed hash of the product, and policy/'s one door to
 * libsodium. Constructions: design.md section 6, storage.md sections 3-5,
 * audit-format.md 3.3, 3.4. Pure: keys are arguments. */
#ifndef LETHE_POLICY_PSEUDONYM_H
#define LETHE_POLICY_PSEUDONYM_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/ids.h"

#include <stdint.h>

#define KEY_BYTES           32u
#define TAG_BYTES           16u
#define PSEUDONYM_TEXT_MAX  64u
#define EVENT_ID_TEXT_BYTES 26u /* 128 bits in base32 */

/* Output shapes: what a destination accepts as an id. */
enum pseudonym_shape {
    SHAPE_BASE32, /* 26 lower-case letters and digits of RFC 4648, no pad */
    SHAPE_COUNT
};

/* K_epoch = BLAKE2b-256(key = master, "epoch" || secret). Both 32 bytes. */
void epoch_key_make(const uint8_t master[KEY_BYTES],
                    const uint8_t secret[KEY_BYTES], uint8_t out[KEY_BYTES]);

/* What a pseudonym belongs to. Length-prefixed, so that no two spellings
 * share a message (R23, R24). */
struct pseudonym_scope {
    struct slice site;
    struct slice destination;
    struct slice purpose;
};

/* BLAKE2b-256(K_epoch, personal "lethe.pseud.v1", LP(site) LP(destination)
 * LP(purpose) LP(kind) LP(identifier)), cut to `bits` (8-128), stretched into
 * `shape` so that exactly 2^bits values stay. Returns the text's length; no
 * NUL is written. */
size_t pseudonym_make(const uint8_t epoch_key[KEY_BYTES],
                      const struct pseudonym_scope *scope, enum id_kind kind,
                      struct slice identifier, unsigned bits,
                      enum pseudonym_shape shape, char out[PSEUDONYM_TEXT_MAX]);

/* The event id for one destination: 128 bits, re-keyed from the client's own
 * id (law 8), or from 16 fresh bytes where there was none: SipHash-2-4-128
 * under the event key, which is BLAKE2b-128(K_epoch, personal
 * "lethe.event.v1", LP(site) LP(destination) LP(purpose)). Every event needs
 * a new one, so whoever makes many keeps the event key as long as the epoch's:
 * event_id_make() is event_key_make() and event_id_of(). */
#define EVENT_KEY_BYTES 16u
void event_id_make(const uint8_t epoch_key[KEY_BYTES],
                   const struct pseudonym_scope *scope, struct slice own_id,
                   char out[EVENT_ID_TEXT_BYTES]);
void event_key_make(const uint8_t epoch_key[KEY_BYTES],
                    const struct pseudonym_scope *scope,
                    uint8_t out[EVENT_KEY_BYTES]);
void event_id_of(const uint8_t event_key[EVENT_KEY_BYTES], struct slice own_id,
                 char out[EVENT_ID_TEXT_BYTES]);

/* BLAKE2b-128(opt-out key, LP(site) LP(canonical)): storage.md 4. */
void optout_tag_make(const uint8_t optout_key[KEY_BYTES], struct slice site,
                     struct slice canonical, uint8_t out[TAG_BYTES]);

/* BLAKE2b-128(K_spool, tag). */
void sweep_tag_make(const uint8_t spool_key[KEY_BYTES],
                    const uint8_t tag[TAG_BYTES], uint8_t out[TAG_BYTES]);

/* SipHash-2-4(K_day, LP(site) LP(canonical)), read as SipHash's own
 * (little-endian) number. A part over MARK_DIRECT_MAX bytes enters as its
 * BLAKE2b-256, so that a mark never needs memory. */
#define MARK_DIRECT_MAX 1024u
uint64_t subject_mark_make(const uint8_t day_key[16], struct slice site,
                           struct slice canonical);

/* BLAKE2b-256(key = 16 random bytes, personal "audit.subject.v1",
 * identifier), the value an opt-out's record holds: audit-format.md 3.4. */
void subject_commitment_make(const uint8_t key[16], struct slice identifier,
                             uint8_t out[32]);

/* BLAKE2b-256 without a key, for policy hashes of decisions and the like
 * (never for identifiers: R21). */
void plain_hash(const void *bytes, size_t len, uint8_t out[32]);

/* SHA-256 of `bytes`: policy hashes (policy-language.md). */
void sha256_hash(const void *bytes, size_t len, uint8_t out[32]);

/* SipHash-2-4-64 under a process-random key: cache slots. */
uint64_t cache_hash(const uint8_t key[16], const void *bytes, size_t len);

/* Overwrite secrets; not optimised away. */
void wipe(void *bytes, size_t len);

#endif
