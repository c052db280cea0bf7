#include "lethe/policy/consent_mode.h"

#include <string.h>

void consent_mode_say(struct consent_mode *io, enum consent_type type,
                      enum consent_said said)
{
    if (said > io->said[type])
        io->said[type] = (uint8_t)said;
}

static void say_all(struct consent_mode *io, enum consent_said said)
{
    for (unsigned i = 0; i < CONSENT_TYPE_COUNT; i++)
        consent_mode_say(io, (enum consent_type)i, said);
}

static enum consent_said of_digit(char c)
{
    if (c == '0')
        return CONSENT_DENIED;
    return c == '1' ? CONSENT_GRANTED : CONSENT_UNKNOWN;
}

void consent_mode_read_gcs(struct slice text, struct consent_mode *io)
{
    bool well_formed = text.len == 4 && slice_starts(text, SLICE("G1"));

    if (text.len == 0)
        return;
    consent_mode_say(io, CONSENT_AD_STORAGE,
                     well_formed ? of_digit(text.at[2]) : CONSENT_UNKNOWN);
    consent_mode_say(io, CONSENT_ANALYTICS_STORAGE,
                     well_formed ? of_digit(text.at[3]) : CONSENT_UNKNOWN);
    io->cookieless |= slice_eq(text, SLICE("G100"));
}

static enum consent_said of_letter(char c)
{
    switch (c) {
    case 't':
    case 'r':
    case 'v':
    case 'n':
        return CONSENT_GRANTED;
    case 'p':
    case 'q':
    case 'm':
    case 'u':
        return CONSENT_DENIED;
    case 'l':
        return CONSENT_UNSET;
    default:
        return CONSENT_UNKNOWN;
    }
}

void consent_mode_read_gcd(struct slice text, struct consent_mode *io)
{
    unsigned letters = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c >= '0' && c <= '9')
            continue;
        if (c < 'a' || c > 'z') {
            say_all(io, CONSENT_UNKNOWN);
            return;
        }
        if (letters < CONSENT_TYPE_COUNT)
            consent_mode_say(io, (enum consent_type)letters, of_letter(c));
        letters++;
    }
    for (; text.len > 0 && letters < CONSENT_TYPE_COUNT; letters++)
        consent_mode_say(io, (enum consent_type)letters, CONSENT_UNKNOWN);
}

void consent_mode_read_npa(struct slice text, struct consent_mode *io)
{
    if (slice_eq(text, SLICE("1")))
        consent_mode_say(io, CONSENT_AD_PERSONALIZATION, CONSENT_DENIED);
}

void consent_mode_read_word(enum consent_type type, struct slice text,
                            struct consent_mode *io)
{
    enum consent_said said = CONSENT_UNKNOWN;

    if (slice_eq_fold(text, SLICE("GRANTED")))
        said = CONSENT_GRANTED;
    else if (slice_eq_fold(text, SLICE("DENIED")))
        said = CONSENT_DENIED;
    consent_mode_say(io, type, said);
}
