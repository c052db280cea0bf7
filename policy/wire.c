#include "lethe/policy/wire.h"

#include "dialect/encode.h"

void wire_encode(enum wire_form form, const struct clean_hit *c,
                 const struct policy *p, struct buf *group, struct buf *body)
{
    switch (form) {
    case WIRE_MIXPANEL:
        mixpanel_encode(c, body);
        return;
    case WIRE_GA4:
        ga4_encode(c, group, body);
        return;
    case WIRE_PLAIN:
    case WIRE_FORM_COUNT:
        break;
    }
    clean_hit_encode_plain(c, p, body);
}

unsigned wire_identifier_bits(enum wire_form form)
{
    return form == WIRE_GA4 ? GA4_IDENTIFIER_BITS : 128;
}

void encode_name(struct buf *b, struct slice name, const char *const *own)
{
    for (unsigned i = 0; own[i] != NULL; i++)
        if (slice_eq(name, slice_of(own[i]))) {
            buf_put(b, SLICE("\"field_"));
            buf_put(b, name); /* a word of ours: nothing to escape */
            buf_put_char(b, '"');
            return;
        }
    buf_put_json_string(b, name);
}
