/* tcf.h - the IAB's TC strings, version 2 (TCF 2.2 and 2.3): what a person
 * answered to a consent dialog, as it travels with an event (R66, R67).
 *
 * A TC string is as good as an identifier: it is read, never stored, sent or
 * logged. Untrusted input: every length and number is checked before anything
 * of it counts. Pure; allocates nothing. */
#ifndef LETHE_POLICY_TCF_H
#define LETHE_POLICY_TCF_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define TCF_TEXT_MAX     4096u /* bytes of a string; real ones have 1000 */
#define TCF_BYTES_MAX    (TCF_TEXT_MAX / 4u * 3u)
#define TCF_SEGMENTS_MAX 4u  /* core and one of each kind */
#define TCF_PADDING_BITS 48u /* zero bits behind what a segment holds */
#define TCF_PURPOSES     24u

/* A set of vendors, still as bits or ranges in tcf.bytes. */
struct tcf_vendors {
    bool there;  /* its segment is */
    bool ranges; /* `count` entries, else `count` bits */
    size_t at;   /* the first bit of them in tcf.bytes */
    uint16_t count;
};

/* What a publisher asks of one vendor, by purpose: bit n-1 = purpose n. */
struct tcf_restricted {
    uint32_t not_allowed, needs_consent, needs_interest;
};

struct tcf {
    int64_t created_ms, updated_ms;
    unsigned version, cmp, cmp_version, screen, list_version, policy_version;
    char language[2], country[2]; /* two capital letters each */
    bool service_specific, nonstandard_texts;
    bool purpose_one_treatment; /* purpose 1 was not asked for */
    /* Bit n-1 = number n. */
    uint32_t features, consent, interest;
    struct tcf_vendors vendor_consent, vendor_interest;
    struct tcf_vendors disclosed; /* there: since TCF 2.3 it must be */
    struct tcf_vendors allowed;
    size_t restrictions; /* the first bit of the publisher's restrictions */
    unsigned restriction_count;
    bool has_publisher; /* what the publisher asked for itself */
    uint32_t publisher_consent, publisher_interest;
    uint8_t bytes[TCF_BYTES_MAX]; /* all segments, end to end */
};

/* Read `text`. Whatever the format does not allow refuses the whole: another
 * alphabet, segments twice or cut off, numbers out of range, bits behind the
 * end that are not zero. Errors: ST_SYNTAX, ST_LIMIT (over TCF_TEXT_MAX); then
 * *out means nothing. In every case *out holds traces of the text: wipe it
 * with tcf_wipe(). */
enum status tcf_read(struct slice text, struct tcf *out) MUST_CHECK;

/* Whether such a string may count at all (R67): version 2, of this service
 * alone, of policy 4 or later, and without legitimate interest for purposes 1
 * and 3 to 6, which no policy allows. */
bool tcf_is_valid(const struct tcf *t);

/* Is vendor `vendor` in the set? Not if its segment is absent. */
bool tcf_has_vendor(const struct tcf *t, const struct tcf_vendors *set,
                    unsigned vendor);

/* What the publisher asks of this vendor. */
void tcf_restrictions(const struct tcf *t, unsigned vendor,
                      struct tcf_restricted *out);

void tcf_wipe(struct tcf *t);

#endif
