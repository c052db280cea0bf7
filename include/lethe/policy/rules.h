/* rules.h - the rule kinds of policy-language.md: one raw value in, one clean
 * value or the reason for its absence out. Inside policy/ only; minimise.h is
 * the door. Every text that comes out is the policy's own, a rounded number,
 * a rounded time, a user-agent class of ours, or a host name where a policy
 * says "host". Nothing here allocates but from the arena. */
#ifndef LETHE_POLICY_RULES_H
#define LETHE_POLICY_RULES_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/clean_hit.h"
#include "lethe/policy/json_reader.h"
#include "lethe/policy/minimise.h"
#include "lethe/policy/policy.h"

#define NUMBER_TEXT_MAX      48u   /* bytes of a printed number */
#define NUMBER_DECIMALS_MAX  9     /* of `round`; finer rounds drop */
#define NUMBER_FREE_DECIMALS 6     /* kept where a rule has no `round` */
#define URL_PATH_MAX         1024u /* bytes of a path that may match */
#define HOST_TEXT_MAX        253u  /* RFC 1035 */
#define AGENT_SCAN_MAX       512u  /* bytes of a user agent that are read */
#define AGENT_TEXT_MAX       48u   /* bytes of a class */
#define MINIMISE_LIST_MAX    256u  /* elements of one list that are read */

/* What became of a value. */
enum fate {
    FATE_SENT,     /* as it was */
    FATE_CHANGED,  /* replaced or coarsened */
    FATE_RULE,     /* dropped: the rule says so */
    FATE_TYPE,     /* dropped: not a value of the rule's type */
    FATE_UNLISTED, /* dropped: on no list of the rule */
    FATE_OUTSIDE,  /* dropped: outside min and max */
    FATE_PURPOSE,  /* dropped: `for` names another purpose */
    FATE_NOMEM,    /* the arena is full: nothing may be forwarded */
    FATE_COUNT
};

static inline bool fate_sends(enum fate f)
{
    return f == FATE_SENT || f == FATE_CHANGED;
}

/* "sent", "changed", "dropped by rule", ... */
const char *fate_name(enum fate f);

struct raw_value {
    enum json_type type;
    struct slice text; /* of strings and numbers */
};

/* Apply any rule but RULE_PSEUDONYM (which needs keys: minimise.c). *out, name
 * included, is a value only where fate_sends(). */
enum fate rule_apply(const struct rule *r, struct raw_value v, struct arena *a,
                     struct clean_value *out);

/* RULE_NUMBER on the exact text of a JSON number. Decimal arithmetic: no
 * digit of a 64-bit integer is lost, and 0.15 to the nearest 0.1 is a tie. */
enum fate number_rule_apply(const struct rule *r, struct slice text,
                            struct arena *a, struct clean_value *out);

/* A JSON number's value in whole units (truncated), for times.
 * Errors: ST_SYNTAX; ST_LIMIT (beyond an int64_t). */
enum status number_to_i64(struct slice text, int64_t *out) MUST_CHECK;

/* RULE_URL: the template that the path of `url` matches, `other`, or
 * SLICE_NONE. Query, fragment, parameters, user, host and port never count;
 * dot segments, encoded slashes, back-slashes, control characters, broken
 * escapes and schemes other than http(s) match nothing but `other`. */
struct slice url_rule_match(const struct rule *r, struct slice url);

/* RULE_HOST: the lower-case host of an http(s) URL, without user and port,
 * into `out`; 0 if there is none that is a name (address literals are none:
 * R1). */
size_t url_host(struct slice url, char out[HOST_TEXT_MAX]);

/* RULE_CLASS: "Chrome 120 / Windows", "Bot", "Other" into `out`. */
size_t user_agent_class(struct slice agent, char out[AGENT_TEXT_MAX]);

/* What the rules of minimise() need beside the value. */
struct rule_scope {
    const struct policy *p;
    const struct minimise_keys *keys;
    unsigned destination;
    unsigned purpose;
    struct arena *a;
    bool anonymous; /* the client asks that no identifier leaves */
};

/* Apply the rule of field `field` for one destination: lists, `for` and
 * pseudonyms included. The field is present in `view`. */
enum fate field_apply(const struct rule_scope *s,
                      const struct event_plan *event,
                      const struct hit_view *view, unsigned field,
                      struct clean_value *out);

/* Apply the rule of a context value but CTX_TIME. */
enum fate context_apply(const struct rule_scope *s, const struct rule *r,
                        struct slice value, struct clean_value *out);

/* The pseudonym of the hit's first identifier of `kind`, or SLICE_NONE with
 * the reason. */
enum fate identifier_apply(const struct rule_scope *s, const struct rule *r,
                           const struct hit *h, enum id_kind kind,
                           struct slice *out);

/* `ms` rounded down to a multiple of `round_ms` (> 0), also before 1970. */
int64_t time_floor(int64_t ms, int64_t round_ms);

#endif
