/* TC strings, bit by bit: fields of fixed width in a fixed order (IAB
 * "Transparency and Consent String with Global Vendor & CMP List Formats",
 * version 2). */
#include "lethe/policy/tcf.h"

#include "lethe/policy/pseudonym.h"

#include <string.h>

enum { SEGMENT_CORE, SEGMENT_DISCLOSED, SEGMENT_ALLOWED, SEGMENT_PUBLISHER };

#define DECISECOND_MS     100
#define RESTRICTION_TYPES 3u

/* Bits of one segment on their way; `over` once more were asked for than
 * there are, and then all further ones are zero. */
struct bits {
    const uint8_t *at;
    size_t next, end;
    bool over;
};

static uint64_t take(struct bits *b, unsigned width)
{
    uint64_t v = 0;

    if (b->over || b->end - b->next < width) {
        b->over = true;
        return 0;
    }
    while (width > 0) {
        unsigned left = 8 - (unsigned)(b->next % 8); /* in this byte */
        unsigned n = width < left ? width : left;
        unsigned byte = b->at[b->next / 8];
        v = v << n | (byte >> (left - n) & ((1u << n) - 1));
        b->next += n;
        width -= n;
    }
    return v;
}

static unsigned take_number(struct bits *b, unsigned width)
{
    return (unsigned)take(b, width);
}

/* The first bit on the wire is number 1. */
static uint32_t take_set(struct bits *b, unsigned width)
{
    uint32_t set = 0;

    for (unsigned i = 0; i < width; i++)
        set |= (uint32_t)take(b, 1) << i;
    return set;
}

static bool skip(struct bits *b, size_t width)
{
    if (b->over || b->end - b->next < width)
        b->over = true;
    else
        b->next += width;
    return !b->over;
}

/* Six bits a letter, A is 0. */
static bool take_letters(struct bits *b, char out[2])
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned v = take_number(b, 6);
        if (v > 'Z' - 'A')
            return false;
        out[i] = (char)('A' + v);
    }
    return true;
}

/* ---- vendors ------------------------------------------------------------ */

/* One entry of a list of ranges. False: none that makes sense. */
static bool take_range(struct bits *b, unsigned *first, unsigned *last)
{
    bool range = take(b, 1) != 0;

    *first = take_number(b, 16);
    *last = range ? take_number(b, 16) : *first;
    return !b->over && *first > 0 && *first <= *last;
}

static bool take_ranges(struct bits *b, unsigned count, unsigned max)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned first, last;
        if (!take_range(b, &first, &last) || last > max)
            return false;
    }
    return !b->over;
}

static bool take_vendors(struct bits *b, struct tcf_vendors *out)
{
    unsigned max = take_number(b, 16);

    out->there = true;
    out->ranges = take(b, 1) != 0;
    out->count = out->ranges ? (uint16_t)take(b, 12) : (uint16_t)max;
    out->at = b->next;
    return out->ranges ? take_ranges(b, out->count, max) : skip(b, max);
}

static bool in_ranges(struct bits *b, unsigned count, unsigned vendor)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned first, last;
        if (take_range(b, &first, &last) && first <= vendor && vendor <= last)
            return true;
    }
    return false;
}

static struct bits bits_from(const struct tcf *t, size_t at)
{
    return (struct bits){t->bytes, at, sizeof(t->bytes) * 8, false};
}

bool tcf_has_vendor(const struct tcf *t, const struct tcf_vendors *set,
                    unsigned vendor)
{
    struct bits b = bits_from(t, set->at);

    if (!set->there || vendor == 0)
        return false;
    if (set->ranges)
        return in_ranges(&b, set->count, vendor);
    return vendor <= set->count && skip(&b, vendor - 1) && take(&b, 1) != 0;
}

/* ---- restrictions ------------------------------------------------------- */

/* One publisher restriction's head, up to its ranges. */
static bool take_restriction(struct bits *b, unsigned *purpose, unsigned *type,
                             unsigned *ranges)
{
    *purpose = take_number(b, 6);
    *type = take_number(b, 2);
    *ranges = take_number(b, 12);
    return !b->over && *purpose >= 1 && *purpose <= TCF_PURPOSES &&
           *type < RESTRICTION_TYPES;
}

static bool take_restrictions(struct bits *b, struct tcf *out)
{
    unsigned purpose, type, ranges;

    out->restriction_count = take_number(b, 12);
    out->restrictions = b->next;
    for (unsigned i = 0; i < out->restriction_count; i++)
        if (!take_restriction(b, &purpose, &type, &ranges) ||
            !take_ranges(b, ranges, UINT16_MAX))
            return false;
    return !b->over;
}

void tcf_restrictions(const struct tcf *t, unsigned vendor,
                      struct tcf_restricted *out)
{
    struct bits b = bits_from(t, t->restrictions);
    unsigned purpose, type, ranges;

    *out = (struct tcf_restricted){0};
    for (unsigned i = 0; i < t->restriction_count; i++) {
        if (!take_restriction(&b, &purpose, &type, &ranges))
            return;
        uint32_t *set = type == 0   ? &out->not_allowed
                        : type == 1 ? &out->needs_consent
                                    : &out->needs_interest;
        for (unsigned k = 0; k < ranges; k++) {
            unsigned first, last;
            if (take_range(&b, &first, &last) && first <= vendor &&
                vendor <= last)
                *set |= UINT32_C(1) << (purpose - 1);
        }
    }
}

/* ---- segments ----------------------------------------------------------- */

static bool take_core(struct bits *b, struct tcf *out)
{
    out->version = take_number(b, 6);
    out->created_ms = (int64_t)take(b, 36) * DECISECOND_MS;
    out->updated_ms = (int64_t)take(b, 36) * DECISECOND_MS;
    out->cmp = take_number(b, 12);
    out->cmp_version = take_number(b, 12);
    out->screen = take_number(b, 6);
    if (!take_letters(b, out->language))
        return false;
    out->list_version = take_number(b, 12);
    out->policy_version = take_number(b, 6);
    out->service_specific = take(b, 1) != 0;
    out->nonstandard_texts = take(b, 1) != 0;
    out->features = take_set(b, 12);
    out->consent = take_set(b, TCF_PURPOSES);
    out->interest = take_set(b, TCF_PURPOSES);
    out->purpose_one_treatment = take(b, 1) != 0;
    return take_letters(b, out->country) &&
           take_vendors(b, &out->vendor_consent) &&
           take_vendors(b, &out->vendor_interest) && take_restrictions(b, out);
}

/* The publisher's own purposes are nobody's business but its own. */
static bool take_publisher(struct bits *b, struct tcf *out)
{
    if (out->has_publisher)
        return false;
    out->has_publisher = true;
    out->publisher_consent = take_set(b, TCF_PURPOSES);
    out->publisher_interest = take_set(b, TCF_PURPOSES);
    return skip(b, 2 * (size_t)take_number(b, 6));
}

static bool take_segment(struct bits *b, struct tcf *out)
{
    struct tcf_vendors *set;

    switch (take_number(b, 3)) {
    case SEGMENT_DISCLOSED:
        set = &out->disclosed;
        break;
    case SEGMENT_ALLOWED:
        set = &out->allowed;
        break;
    case SEGMENT_PUBLISHER:
        return take_publisher(b, out);
    default: /* a second core, or none that we know */
        return false;
    }
    return !set->there && take_vendors(b, set);
}

/* Encoders fill the last bytes with zeros; anything else would be a part that
 * we have not understood. */
static bool is_padding(struct bits *b)
{
    if (b->over || b->end - b->next >= TCF_PADDING_BITS)
        return false;
    return take(b, (unsigned)(b->end - b->next)) == 0;
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

/* Six bits a character into the bytes from bit `at` on, which are zero. */
static bool unpack(struct slice text, uint8_t *bytes, size_t at)
{
    for (size_t i = 0; i < text.len; i++, at += 6) {
        int v = sextet(text.at[i]);
        if (v < 0)
            return false;
        unsigned two = (unsigned)v << (10 - at % 8);
        bytes[at / 8] = (uint8_t)(bytes[at / 8] | two >> 8);
        if (at % 8 > 2)
            bytes[at / 8 + 1] = (uint8_t)two;
    }
    return true;
}

enum status tcf_read(struct slice text, struct tcf *out)
{
    size_t at = 0;

    memset(out, 0, sizeof(*out));
    if (text.len > TCF_TEXT_MAX)
        return ST_LIMIT;
    for (unsigned i = 0; i < TCF_SEGMENTS_MAX; i++) {
        size_t dot = slice_find(text, '.');
        struct slice segment = slice_head(text, dot);
        struct bits b = {out->bytes, at, at + segment.len * 6, false};
        if (!unpack(segment, out->bytes, at) ||
            !(i == 0 ? take_core(&b, out) : take_segment(&b, out)) ||
            !is_padding(&b))
            return ST_SYNTAX;
        if (dot == text.len)
            return ST_OK;
        at = b.end;
        text = slice_skip(text, dot + 1);
    }
    return ST_SYNTAX;
}

bool tcf_is_valid(const struct tcf *t)
{
    const uint32_t never = 0x3d; /* purposes 1 and 3 to 6 */

    return t->version == 2 && t->service_specific && t->policy_version >= 4 &&
           (t->interest & never) == 0;
}

void tcf_wipe(struct tcf *t)
{
    wipe(t, sizeof(*t));
}
