/* policy.h - a site's policy, read, checked and compiled.
 *
 * Immutable once made; shared by threads through policy_ref/unref. A compiled
 * policy decides an event without allocating and without searching its rules:
 * the event's name is one hash lookup, each field of the hit is one hash
 * lookup in the event's key table, and each (destination, field) then has one
 * resolved rule. Language: ../shared/policy-language.md,
 * docs/policy-language.md. */
#ifndef LETHE_POLICY_POLICY_H
#define LETHE_POLICY_POLICY_H

#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/slice.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/ids.h"
#include "lethe/policy/json_tree.h"

#include <stdbool.h>
#include <stdint.h>

#define POLICY_PURPOSES_MAX     16u
#define POLICY_DESTINATIONS_MAX 16u
#define POLICY_EVENTS_MAX       512u
#define POLICY_FIELDS_MAX       256u /* of one event */
#define POLICY_ENUM_MAX         1024u
#define POLICY_BUCKETS_MAX      64u
#define POLICY_NAME_MAX         64u /* bytes of any name that leaves */
#define POLICY_NAMES_MAX        32u /* aliases of one event or field */
#define POLICY_SIGNALS_MAX      16u /* of the policy's own, of each sort */

enum rule_kind {
    RULE_DROP,
    RULE_BOOL,
    RULE_NUMBER,
    RULE_ENUM,
    RULE_EXTENSION,
    RULE_URL,
    RULE_HOST,
    RULE_TIME,
    RULE_PSEUDONYM,
    RULE_PLACE,
    RULE_CLASS,
    RULE_CONSTANT,
    RULE_KIND_COUNT
};

/* Sorted by text (folded where the rule folds) for binary search. */
struct rule_word {
    struct slice text;
    struct slice out;
};

struct rule {
    enum rule_kind kind;
    uint16_t number;       /* place in `policy show --effective`, from 1 */
    uint16_t purposes;     /* `for`: bit a purpose; all ones = any */
    struct slice out_name; /* the name that leaves; ours, never a client's */
    union {
        struct {
            bool has_round, has_min, has_max, clamp;
            double round, min, max;
            unsigned bucket_count;
            const double *buckets;            /* ascending */
            const struct slice *bucket_texts; /* bucket_count + 1: "<a"... */
            int decimals; /* of `round`: how results are printed */
        } number;
        struct { /* enum, extension */
            const struct rule_word *words;
            unsigned count;
            bool fold;
            bool has_other;
            struct slice other;
        } words;
        struct {                       /* url */
            const struct slice *paths; /* templates, ":x" is any segment */
            unsigned count;
            bool has_other;
            struct slice other;
        } url;
        struct {
            int64_t round_ms; /* > 0 */
        } time;
        struct slice constant;
        unsigned place; /* 0 country, 1 region, 2 city */
    } as;
};

/* One key table a event: what the client may call a field -> field index.
 * Nested paths walk from table to table. Open addressing, power of two. */
struct key_slot {
    struct slice key;         /* .at == NULL: empty */
    int field;                /* index into event_plan.fields, or -1 */
    unsigned rank;            /* 0 = the field's own name, then `from`, names */
    struct key_table *inside; /* for an object, or for each element: NULL */
};
struct key_table {
    struct key_slot *slots;
    unsigned mask;
    bool of_elements;   /* reached through []: walk every element */
    int wildcard;       /* field index of "*", or -1 */
    struct key_prefix { /* "click_*" */
        struct slice prefix;
        int field;
    } * prefixes;
    unsigned prefix_count;
};

struct field_plan {
    struct slice path;  /* as the policy writes it */
    struct slice label; /* words for the notice, may be SLICE_NONE */
    bool many;          /* path holds []: the value is a list. "tags[]" is
                           one slot "tags" without a table inside; in
                           "items[].price" items leads to a table of_elements */
};

/* What one destination does with one event. */
struct delivery_plan {
    uint16_t purposes;         /* event's and destination's in common */
    const struct rule *fields; /* one a field_plan, same order */
    const struct rule *identifiers[ID_COUNT]; /* never NULL up to ID_GROUP */
    const struct rule *context[CTX_COUNT];    /* never NULL */
    uint8_t decides[8]; /* hash of all that decides this (event,
                           destination): storage.md 2, "tightening purges" */
};

enum event_match { MATCH_EXACT, MATCH_PREFIX, MATCH_ANY };

struct event_plan {
    struct slice name;     /* as the policy writes it */
    struct slice out_name; /* the name that leaves */
    enum event_match match;
    uint16_t number;   /* rule number of the event itself */
    uint16_t purposes; /* bit a purpose */
    struct slice label;
    struct key_table *keys;
    const struct field_plan *fields;
    unsigned field_count;
    const uint16_t *naming; /* fields that some destination gets as a
                               pseudonym: they name a person */
    unsigned naming_count;
    struct delivery_plan to[POLICY_DESTINATIONS_MAX]; /* by destination */
};

enum signal_policy { SIGNAL_DENY, SIGNAL_DENY_CONSENT, SIGNAL_IGNORE };
/* A signal of the policy's own: a header or a field that says no. */
struct signal_rule {
    struct slice name;      /* the header's, or a path into the fields */
    const struct slice *is; /* values that say it; none: any value */
    unsigned is_count;
    enum signal_policy then; /* never SIGNAL_IGNORE */
};

enum basis {
    BASIS_CONSENT,
    BASIS_LEGITIMATE_INTEREST,
    BASIS_CONTRACT,
    BASIS_LEGAL_OBLIGATION,
    BASIS_PUBLIC_TASK,
    BASIS_VITAL_INTERESTS,
    BASIS_COUNT
};

struct purpose_plan {
    struct slice name;
    enum basis basis;
    bool exempt;
    bool asserted;           /* consent.asserted stands in for a seen yes */
    const struct slice *app; /* consent.app: names an event may give */
    unsigned app_count;
    bool consent_mode_analytics; /* consent.consent_mode: analytics_storage */
    bool consent_mode_ads;
    uint32_t tcf;          /* consent.tcf: bit n-1 = TCF purpose n */
    uint32_t tcf_interest; /* of them: legitimate interest is as good */
    const struct slice *tcf_countries; /* purpose 1 counts though not asked */
    unsigned tcf_country_count;
    struct duration retention;
};

enum profile {
    PROFILE_NONE,
    PROFILE_CNIL_STRICT,
    PROFILE_CNIL_PRAGMATIC,
    PROFILE_CNIL_EXEMPT,
    PROFILE_COUNT
};

struct destination_plan {
    struct slice name;
    enum profile profile;
    uint16_t purposes;                          /* bit a purpose */
    uint8_t purpose_order[POLICY_PURPOSES_MAX]; /* as the policy lists them */
    unsigned purpose_count;
    enum id_kind visitor[ID_COUNT]; /* first present feeds the main id */
    unsigned visitor_count;
    bool release_boundary;
    int64_t time_round_ms; /* of its time rule; 0 if time is dropped */
    unsigned bits;         /* of its pseudonyms: 8..128 */
    struct duration rotate;
    int64_t rotate_at_ms; /* after midnight UTC */
    unsigned tcf_vendor;  /* 0: none */
    struct slice role;    /* "controller", "processor", "joint-controller" */
    struct slice country; /* two letters */
    struct slice recipient;
    struct slice transfer; /* "adequacy", "DPF", ..., or SLICE_NONE */
};

struct policy {
    unsigned refs; /* atomic; use policy_ref/policy_unref */
    struct slice name;
    struct slice version;
    uint8_t hash[32];   /* SHA-256 over the RFC 8785 form, resolved */
    char hash_text[65]; /* lower-case hex */
    struct purpose_plan purposes[POLICY_PURPOSES_MAX];
    unsigned purpose_count;
    struct destination_plan destinations[POLICY_DESTINATIONS_MAX];
    unsigned destination_count;
    enum signal_policy gpc, dnt;
    bool enforce_consent_mode, enforce_tcf;
    bool tcf_undisclosed_allow; /* signals.tcf.require_disclosed is false */
    struct duration tcf_max_age;
    /* signals.from_properties: paths into the fields. */
    struct slice gpc_property, dnt_property, consent_property, tcf_property;
    const struct signal_rule *header_signals, *field_signals;
    unsigned header_signal_count, field_signal_count;
    bool unidentified_allow;
    const struct slice *optout_identifiers; /* paths into the fields */
    unsigned optout_identifier_count;
    /* By kind: where else to read such an identifier, paths into the fields;
     * the first present one counts, where the hit has none of its own. */
    const struct slice *identifier_from[ID_COUNT];
    unsigned identifier_from_count[ID_COUNT];
    struct duration keep_spool, keep_dead, keep_rows, keep_records;
    unsigned rule_count; /* rules are numbered 1..rule_count */
    struct event_plan *events;
    unsigned event_count;
    struct policy_index *index;     /* names -> events; policy_find_event() */
    struct json_tree *resolved;     /* `extends` done and gone: what the
                                   hash is over */
    struct arena *memory;           /* owns everything above */
    struct policy_listing *listing; /* number -> rule; policy_rule_name() */
    struct slice file;              /* as policy_load() was told */
    struct slice extends;           /* what it extends, or SLICE_NONE */
};

/* What is wrong with a policy, for the officer. Several may come. */
struct policy_problem {
    char file[256];
    struct json_place place;
    char text[400]; /* the key, what is wrong, what would be right */
    bool warning;   /* does not refuse the load */
};
#define POLICY_PROBLEMS_MAX 64u
struct policy_problems {
    struct policy_problem list[POLICY_PROBLEMS_MAX];
    unsigned count;
    unsigned errors; /* of them no warnings */
};

/* Finds the file that `extends` names ("cnil-strict"): the text is borrowed
 * until the load is over. ST_UNKNOWN if there is none. */
typedef enum status policy_source(void *ctx, struct slice name,
                                  struct slice *out_text);

/* Read, resolve, check (language, profiles, deviations) and compile `text`.
 * `file` names it in problems. On ST_OK the caller owns one reference;
 * *problems may still hold warnings. Pure: reads no file itself.
 * Errors: ST_SYNTAX or ST_TYPE (problems filled), ST_NOMEM, ST_LIMIT. */
enum status policy_load(struct slice text, const char *file,
                        policy_source *source, void *source_ctx,
                        struct policy **out,
                        struct policy_problems *problems) MUST_CHECK;

/* The shipped profiles (cnil-strict, cnil-pragmatic, cnil-exempt, mixbot),
 * compiled into the binary from policy/profiles/: a policy_source. */
enum status policy_shipped(void *unused, struct slice name,
                           struct slice *out_text);

struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p); /* NULL is allowed */

/* The plan of the event a client called `name`: exact, then aliases, then
 * the longest prefix, then "*"; NULL if the policy has none. */
const struct event_plan *policy_find_event(const struct policy *p,
                                           struct slice name);

/* Index of the destination called `name`, or -1. */
int policy_find_destination(const struct policy *p, struct slice name);

/* FNV-1a of a key, as key_table uses it. */
uint32_t policy_key_hash(struct slice key);

/* Name of rule `number` ("events.file_upload.fields.file_size"), the profile,
 * basis and rule kind. "" for numbers out of range. */
struct slice policy_rule_name(const struct policy *p, unsigned number);
const char *rule_kind_name(enum rule_kind kind);
const char *profile_name(enum profile profile);
const char *basis_name(enum basis basis);

#endif
