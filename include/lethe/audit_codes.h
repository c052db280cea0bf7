/* audit_codes.h - numbers that stand in audit rows and records for ever.
 * APPEND ONLY. docs/audit.md copies these tables (a test compares them);
 * policy.load.d.codes is their hash. audit-format.md 3.3. */
#ifndef LETHE_AUDIT_CODES_H
#define LETHE_AUDIT_CODES_H

/* Row acts (audit-format.md 3.3). */
#define AUDIT_ACTS(X)                                                          \
    X(1, CLEARED, "cleared")                                                   \
    X(2, MINIMISED, "cleared-minimised")                                       \
    X(3, DROPPED, "dropped")                                                   \
    X(4, SWEPT, "swept")                                                       \
    X(5, EXPIRED, "expired")                                                   \
    X(6, DEAD, "dead-lettered")                                                \
    X(7, REFUSED, "refused-by-recipient")                                      \
    X(8, PURGED, "purged")

/* Why: the reason byte of a row, and the label of metrics. `no-consent` and
 * every opt-out reason share one metric label (design.md section 5). */
#define AUDIT_REASONS(X)                                                       \
    X(0, NONE, "none")                                                         \
    X(1, UNKNOWN_EVENT, "unknown-event")                                       \
    X(2, NO_PURPOSE, "no-purpose")                                             \
    X(3, NO_CONSENT, "no-consent")                                             \
    X(4, CONSENT_DENIED, "consent-denied")                                     \
    X(5, APP_DENIED, "app-denied")                                             \
    X(6, OPTED_OUT, "opted-out")                                               \
    X(7, OPTOUT_COOKIE, "optout-cookie")                                       \
    X(8, OPTOUT_UNREADABLE, "optout-unreadable")                               \
    X(9, GPC, "gpc")                                                           \
    X(10, DNT, "dnt")                                                          \
    X(11, UNIDENTIFIED, "unidentified")                                        \
    X(12, LATE, "late")                                                        \
    X(13, TOO_MANY_IDENTIFIERS, "too-many-identifiers")                        \
    X(14, TOO_LARGE, "too-large")                                              \
    X(15, NO_DESTINATION, "no-destination")                                    \
    X(16, POLICY_CHANGED, "policy-changed")                                    \
    X(17, EXPIRED_WAITING, "expired-waiting")                                  \
    X(18, RECIPIENT_REFUSED, "recipient-refused")                              \
    X(19, RECIPIENT_FAILED, "recipient-failed")                                \
    X(20, OPERATOR, "operator")                                                \
    X(21, PROFILE_UPDATE, "profile-update")                                    \
    X(22, INTERNAL, "internal")                                                \
    X(23, KEY_GONE, "key-gone")                                                \
    X(24, OPTED_OUT_THEN, "opted-out-then")                                    \
    X(25, CONSENT_MODE, "consent-mode")                                        \
    X(26, TCF, "tcf")                                                          \
    X(27, SIGNAL, "signal")

/* Requests refused before a decision: batch.d.ref. */
#define AUDIT_REFUSALS(X)                                                      \
    X(400, BAD_REQUEST, "bad-request")                                         \
    X(404, NO_SITE, "no-site")                                                 \
    X(413, TOO_LARGE_REQUEST, "too-large-request")                             \
    X(429, RATE, "rate")                                                       \
    X(503, OVERLOAD, "overload")

/* Row `source`: dialects. */
#define AUDIT_SOURCES(X)                                                       \
    X(0, GATEWAY, "gateway")                                                   \
    X(1, PLAIN, "plain")                                                       \
    X(2, MIXPANEL, "mixpanel")                                                 \
    X(3, GA4, "ga4")                                                           \
    X(4, UNIVERSAL, "universal")

/* Row field-class bitmap: classes of fields that were stripped or replaced. */
#define AUDIT_CLASSES(X)                                                       \
    X(0, IDENTIFIER, "identifier")                                             \
    X(1, ADDRESS, "address")                                                   \
    X(2, USER_AGENT, "user-agent")                                             \
    X(3, URL, "url")                                                           \
    X(4, REFERRER, "referrer")                                                 \
    X(5, TITLE, "title")                                                       \
    X(6, CAMPAIGN, "campaign")                                                 \
    X(7, LANGUAGE, "language")                                                 \
    X(8, SCREEN, "screen")                                                     \
    X(9, TIME, "time")                                                         \
    X(10, FILE_NAME, "file-name")                                              \
    X(11, NUMBER, "number")                                                    \
    X(12, VALUE, "value")                                                      \
    X(13, UNKNOWN_FIELD, "unknown-field")                                      \
    X(14, WRONG_TYPE, "wrong-type")                                            \
    X(15, EVENT_ID, "event-id")                                                \
    X(16, PLACE, "place")

#define X(n, id, text) ACT_##id = n,
enum audit_act { AUDIT_ACTS(X) ACT_COUNT = 9 };
#undef X
#define X(n, id, text) REASON_##id = n,
enum audit_reason { AUDIT_REASONS(X) REASON_COUNT };
#undef X
#define X(n, id, text) REFUSAL_##id = n,
enum audit_refusal { AUDIT_REFUSALS(X) REFUSAL_END };
#undef X
#define X(n, id, text) SOURCE_##id = n,
enum audit_source { AUDIT_SOURCES(X) SOURCE_COUNT };
#undef X
#define X(n, id, text) CLASS_##id = n,
enum audit_class { AUDIT_CLASSES(X) CLASS_COUNT };
#undef X

/* The fixed text of a code, or "unknown" for numbers this build lacks. */
const char *audit_act_name(unsigned act);
const char *audit_reason_name(unsigned reason);
const char *audit_refusal_name(unsigned refusal);
const char *audit_source_name(unsigned source);
const char *audit_class_name(unsigned bit);

/* SHA-256 over all these tables, lower-case hex with its NUL:
 * policy.load.d.codes. */
void audit_codes_hash(char out[65]);

#endif
