/* wire.h - the forms in which clean hits leave: what an encoder writes at
 * accept time is what a destination gets, joined with others of its upload
 * (the spool holds wire-ready bytes). Pure. */
#ifndef LETHE_POLICY_WIRE_H
#define LETHE_POLICY_WIRE_H

#include "lethe/policy/base/buf.h"
#include "lethe/policy/clean_hit.h"

#define WIRE_GROUP_MAX 96u /* bytes of a grouping text */

enum wire_form {
    WIRE_PLAIN,    /* clean_hit_encode_plain(): jsonl, sqlite, http */
    WIRE_MIXPANEL, /* the rest of {"properties":{ ... : see below */
    WIRE_GA4,      /* one object of a Measurement Protocol "events" array */
    WIRE_FORM_COUNT
};

/* Append one event's bytes to `body`; check body->failed. Append to `group`
 * what events of one upload must have in common, at most WIRE_GROUP_MAX
 * bytes; nothing where any two may travel together.
 *
 * WIRE_MIXPANEL: everything behind {"properties":{ of one event of /import or
 * /track, so that the sink can put the project's token there. The visitor is
 * distinct_id ("" without one: Mixpanel refuses placeholders), the event id
 * $insert_id, the rounded time `time`, "ip":0 (R2).
 *
 * WIRE_GA4: {"name":...,"params":{...}}; the group is wire_ga4_group's text.
 * A visitor becomes a client id `number.number` of 62 bits and a session a
 * positive integer of 31 bits; without a visitor each event has a client id
 * of its own. Names become what GA4 takes ([A-Za-z][A-Za-z0-9_]*, 40), texts
 * are cut at 100 bytes, lists are joined by commas, and what would be beyond
 * its 25 parameters is left out. */
void wire_encode(enum wire_form form, const struct clean_hit *c,
                 const struct policy *p, struct buf *group, struct buf *body);

/* The parts of a WIRE_GA4 group: "<client id> <user id or -> <time or ->". */
struct wire_ga4_group {
    struct slice client_id;
    struct slice user_id;     /* SLICE_NONE: none */
    struct slice time_micros; /* SLICE_NONE: none */
};
void wire_ga4_group_read(struct slice group, struct wire_ga4_group *out);

/* How many different identifiers a form can tell apart, as bits: policies may
 * ask for more (policy check says so). */
unsigned wire_identifier_bits(enum wire_form form);

#endif
