/* consent_hear.h - where signals of consent stand in events and requests, and
 * how each is heard. Hearing only adds: nothing clears a signal, and what was
 * meant to say something but cannot be understood counts as a no (law 9). */
#ifndef LETHE_POLICY_CONSENT_HEAR_H
#define LETHE_POLICY_CONSENT_HEAR_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"

struct beacon;
struct consent_signals;
struct json_node;
struct policy;

/* A TC string; an empty one is none. Two that differ are unclear. */
void consent_hear_tcf(struct consent_signals *io, struct slice text);

/* The plain dialect's member `consent` (NULL: absent): an object, name by name,
 * which may also hold a TC string under "tcf"; anything else is a refusal. */
void consent_hear_consent(struct consent_signals *io,
                          const struct json_node *consent);

/* A property that is called `consent` among those of an SDK (NULL: absent):
 * "denied" and false refuse, an object is the app's own as above. Other values
 * are some property of the app's and say nothing. */
void consent_hear_property(struct consent_signals *io,
                           const struct json_node *consent);

/* What stands in an event's `context` (NULL: none): "tcf", Segment's
 * "consent".categoryPreferences, Rudder's "consentManagement". */
void consent_hear_context(struct consent_signals *io,
                          const struct json_node *context);

/* What a request says for all of its events: SP-Anonymous, gdpr_consent in the
 * query, and the headers that the policy names (signals.headers). Errors:
 * ST_NOMEM. */
enum status consent_hear_request(const struct policy *p, const struct beacon *b,
                                 struct arena *a,
                                 struct consent_signals *io) MUST_CHECK;

/* What an app passes on among the event's fields (NULL: none), where the policy
 * names such fields: signals.from_properties (true, 1, "1" or "true" sets GPC
 * and DNT) and signals.fields. */
void consent_hear_fields(const struct policy *p, const struct json_node *fields,
                         struct consent_signals *io);

/* Add what `more` says, of consent_hear_request(), to an event's own. */
void consent_hear_all(struct consent_signals *io,
                      const struct consent_signals *more);

#endif
