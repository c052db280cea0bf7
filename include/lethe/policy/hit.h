/* hit.h - the canonical event, any dialect's. HOLDS PERSONAL DATA: it lives
 * in the request's arena and may not be stored, logged or sent (law 2).
 * Included by policy/ and intake.c only; make lint checks that. */
#ifndef LETHE_POLICY_HIT_H
#define LETHE_POLICY_HIT_H

#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/consent_mode.h"
#include "lethe/policy/ids.h"
#include "lethe/policy/json_reader.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;

#define HIT_IDENTIFIERS_MAX 8u /* more refuse the event: storage.md 4 */

struct identifier {
    enum id_kind kind;
    struct slice exact;     /* as sent; a number's exact text */
    struct slice canonical; /* the dialect's form for opt-out tags */
};

/* What an event and its request say of consent: filled by dialects and
 * consent_hear.h. NULL, false or SLICE_NONE = says nothing. */
struct consent_signals {
    bool gpc;       /* header, cookie-less context or policy */
    bool dnt;       /* the same for DNT */
    bool denied;    /* "consent": "denied", or what cannot be understood */
    bool other;     /* a signal of the policy's own: no to every purpose */
    bool other_own; /* the same, no to all but exempt purposes */
    bool anonymous; /* SP-Anonymous: no identifier leaves */
    /* Objects name -> bool: the app's own, and Segment's categories. */
    const struct json_node *app, *categories;
    /* Rudder's lists of category ids. */
    const struct json_node *allowed_ids, *denied_ids;
    struct slice tcf;         /* a TC string */
    bool tcf_unclear;         /* several that differ, or none that could be */
    struct consent_mode mode; /* what Google's tags say */
};

struct hit {
    struct slice name;      /* the event's name as the client sent it */
    struct slice client_id; /* the client's own event id, or SLICE_NONE */
    struct identifier identifiers[HIT_IDENTIFIERS_MAX];
    unsigned identifier_count;
    bool too_many_identifiers; /* more than fit: not looked up, so denied */
    struct slice context[CTX_COUNT]; /* SLICE_NONE where absent */
    bool has_time;
    int64_t time_ms;                /* the client's time, if has_time */
    const struct json_node *fields; /* object of the event's fields or NULL */
    unsigned unknown_keys;          /* outside the fields; dropped (R9) */
    struct consent_signals signals;
    uint16_t source; /* dialect number, audit_codes.h */
};

/* Add an identifier, with its canonical form. The same text of the same kind
 * is one identifier; what is empty is none. One too many is marked on the hit.
 * Errors: ST_NOMEM. */
enum status hit_add_identifier(struct hit *h, enum id_kind kind,
                               struct slice exact, struct arena *a) MUST_CHECK;

#endif
