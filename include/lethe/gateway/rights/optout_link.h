/* optout_link.h - a sealed, expiring link by which a person opts a known
 * account out: the app asks for it with its token and sends it to the account's
 * owner. It holds the identifiers, encrypted and bound to the site under a
 * subkey of the opt-out key (XChaCha20-Poly1305, libsodium), so that neither a
 * mail server nor a browser's history learns them; opening it needs no state.
 * A link can be used any number of times until it expires: it only tightens. */
#ifndef LETHE_GATEWAY_RIGHTS_OPTOUT_LINK_H
#define LETHE_GATEWAY_RIGHTS_OPTOUT_LINK_H

#include "lethe/gateway/keys/keyfile.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdint.h>

#define OPTOUT_LINK_IDS_MAX   8u
#define OPTOUT_LINK_ID_MAX    1024u /* bytes of one identifier */
#define OPTOUT_LINK_BYTES_MAX 4096u /* of all identifiers, framed */
/* "lk1-", then base64url of nonce, sealed bytes and tag */
#define OPTOUT_LINK_TEXT_MAX 5600u

/* Append the link of these canonical identifiers. Errors: ST_LIMIT (none, too
 * many, too long), ST_NOMEM. */
enum status optout_link_make(const uint8_t optout_key[KEY_BYTES],
                             struct slice site_id, const struct slice *ids,
                             unsigned id_count, int64_t expires_ms,
                             struct buf *out) MUST_CHECK;

struct optout_link {
    struct slice ids[OPTOUT_LINK_IDS_MAX]; /* into bytes */
    unsigned id_count;
    uint8_t bytes[OPTOUT_LINK_BYTES_MAX + 64]; /* the caller wipes it */
};

/* Open a link of this site. Errors: ST_SYNTAX (no link), ST_CRYPTO (not made
 * here, not for this site, changed), ST_CLOSED (over). */
enum status optout_link_open(const uint8_t optout_key[KEY_BYTES],
                             struct slice site_id, struct slice text,
                             int64_t now_ms,
                             struct optout_link *out) MUST_CHECK;

#endif
