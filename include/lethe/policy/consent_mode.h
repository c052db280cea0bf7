/* consent_mode.h - Google's consent mode as it travels with events: gcs, gcd,
 * npa (tags) and the Measurement Protocol's "consent" (R15, R65). Whatever is
 * not understood counts against consent, never for it. Pure. */
#ifndef LETHE_POLICY_CONSENT_MODE_H
#define LETHE_POLICY_CONSENT_MODE_H

#include "lethe/policy/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum consent_type {
    CONSENT_AD_STORAGE,
    CONSENT_ANALYTICS_STORAGE,
    CONSENT_AD_USER_DATA,
    CONSENT_AD_PERSONALIZATION,
    CONSENT_TYPE_COUNT
};

/* In the order in which one overrules another: the strictest wins. */
enum consent_said {
    CONSENT_UNSET, /* nothing was said */
    CONSENT_GRANTED,
    CONSENT_UNKNOWN, /* something that is not understood */
    CONSENT_DENIED
};

struct consent_mode {
    uint8_t said[CONSENT_TYPE_COUNT]; /* enum consent_said */
    bool cookieless;                  /* a G100 ping: nothing is granted */
};

/* `said` for one type, unless something stricter was said already. */
void consent_mode_say(struct consent_mode *io, enum consent_type type,
                      enum consent_said said);

/* "G1xy": x ad_storage, y analytics_storage, each 0 or 1; G100 is cookieless.
 * Anything else is unknown for both; an empty text says nothing. */
void consent_mode_read_gcs(struct slice text, struct consent_mode *io);

/* Letters between digits, in the order of enum consent_type: t, r, v, n
 * granted; p, q, m, u denied; l unset; any other, too few, or another
 * character unknown. Letters beyond the fourth are of types to come and say
 * nothing here. An empty text says nothing. */
void consent_mode_read_gcd(struct slice text, struct consent_mode *io);

/* "1" denies personalised advertising. */
void consent_mode_read_npa(struct slice text, struct consent_mode *io);

/* "GRANTED" or "DENIED", in any case; else unknown. */
void consent_mode_read_word(enum consent_type type, struct slice text,
                            struct consent_mode *io);

#endif
