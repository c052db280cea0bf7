/* policy_inside.h - shared by the files that read and compile a policy.
 *
 * Reading goes on after a mistake, so that the officer sees all of them at
 * once; l->problems->errors tells whether anything may be compiled. Running
 * out of memory sets l->nomem and is looked at once, at the end. */
#ifndef POLICY_POLICY_INSIDE_H
#define POLICY_POLICY_INSIDE_H

#include "lethe/policy/base/arena.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/policy.h"

#define POLICY_ARENA_MAX    (256u << 20) /* bytes of one compiled policy */
#define POLICY_RULES_MAX    60000u       /* numbered rules: 16 bits in rows */
#define POLICY_WORD_MAX     200u         /* bytes of one literal of a rule */
#define POLICY_PROSE_MAX    1000u        /* bytes of words for people */
#define POLICY_PATH_MAX     256u         /* bytes of one path to a field */
#define POLICY_PATH_PARTS   8u           /* names in one path */
#define POLICY_LIST_MAX     64u          /* entries of lists without a limit */
#define POLICY_ALL_PURPOSES ((uint16_t)0xffff)

/* A value and how it was reached, for naming it in a problem. */
struct at {
    const struct at *up;
    struct slice key;
    const struct json_value *v; /* NULL: not there; then `up` has the place */
};

/* One line of `policy show --effective`. */
struct listed {
    struct slice name;
    const struct rule *rule;     /* NULL for an event itself */
    const struct event_plan *of; /* the event it belongs to, or NULL */
    int destination;             /* whose override it is, or -1 */
    const struct json_value *v;  /* NULL: no rule was written: drop */
};
struct policy_listing {
    struct listed *rules; /* rule n is rules[n - 1] */
    unsigned count;
    struct json_tree *tree; /* owned; as policy.resolved, with places */
};

/* Names of events, open addressing, and the wildcards. */
struct name_slot {
    struct slice name; /* .at == NULL: empty */
    const struct event_plan *event;
};
struct policy_index {
    struct name_slot *slots;
    unsigned mask;
    const struct event_plan **prefixes; /* longest first */
    unsigned prefix_count;
    const struct event_plan *any;
};

struct load {
    struct policy *p;
    struct arena *a;
    struct json_tree *tree; /* resolved */
    const char *file;
    struct slice extends; /* SLICE_NONE: none */
    struct policy_problems *problems;
    struct buf listed; /* struct listed, in order */
    struct rule *identifiers;
    struct rule *context;
    struct slice *event_names; /* one row of POLICY_NAMES_MAX an event */
    unsigned *event_name_counts;
    bool nomem;
    bool too_many; /* rules: said once */
};

/* policy_problem.c: words about mistakes, and reading values with a check. */
void problem(struct load *l, const struct at *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void warning(struct load *l, const struct at *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *load_alloc(struct load *l, size_t count, size_t size);
struct slice load_copy(struct load *l, struct slice s);
struct slice load_path(struct load *l, const struct at *at);

/* The member `key`; false (and *out names the gap) if absent or null. */
bool at_get(const struct at *object, const char *key, struct at *out);
/* As at_get, but a gap is a problem; `right` says what would be right. */
bool at_need(struct load *l, const struct at *object, const char *key,
             const char *right, struct at *out);
struct at at_child(const struct at *up, const struct json_value *v);
bool want_kind(struct load *l, const struct at *at, enum json_kind kind,
               const char *right);
/* Every member of `at` must be one of `keys` (NULL-terminated). False if it
 * is no object; unknown members are problems. */
bool want_keys(struct load *l, const struct at *at, const char *const *keys);
/* A string of 1..max bytes without control characters. */
bool want_text(struct load *l, const struct at *at, size_t max,
               struct slice *out);
/* As want_text, one of `words` (NULL-terminated): its index, or -1. */
int want_word(struct load *l, const struct at *at, const char *const *words);
bool want_bool(struct load *l, const struct at *at, bool *out);
bool want_duration(struct load *l, const struct at *at, const char *least,
                   const char *most, struct duration *out);
bool want_whole(struct load *l, const struct at *at, double least, double most,
                unsigned *out);
/* A list of texts (or one text, if `single`), at most `max`, no repeats. */
bool want_texts(struct load *l, const struct at *at, bool single, unsigned max,
                size_t text_max, struct slice **out, unsigned *out_count);
bool name_leaves(struct slice name); /* [A-Za-z0-9_.$ -]{1,64} */
bool name_plain(struct slice name);  /* [A-Za-z0-9_-]{1,64} */
int duration_compare(struct duration a, struct duration b);

/* The members of an object by name, each with its place in the file. Rules are
 * numbered in this order: two files with one hash (RFC 8785 sorts names) must
 * give one numbering, since audit rows hold numbers. */
struct member {
    const struct json_value *v;
    unsigned index; /* in the file, from 0 */
};
struct member *members_sorted(struct load *l, const struct json_value *object,
                              unsigned *out_count);

/* policy_read*.c: one part of the language each. */
void read_general(struct load *l, const struct at *root);
void read_signals(struct load *l, const struct at *root);
void read_pseudonyms(struct load *l, const struct at *at,
                     struct destination_plan *d);
void read_purposes(struct load *l, const struct at *root);
bool read_purpose_list(struct load *l, const struct at *at, uint16_t *out,
                       uint8_t *order, unsigned *out_count);
void read_events(struct load *l, const struct at *root);
void read_destinations(struct load *l, const struct at *root);

enum rule_place { PLACE_IDENTIFIER, PLACE_CONTEXT, PLACE_FIELD };
struct rule_spot {
    enum rule_place place;
    enum context_key context;  /* for PLACE_CONTEXT */
    bool wildcard;             /* a field reached by "*": drop alone */
    const struct rule *base;   /* an override's rule: modifiers stay */
    struct slice default_name; /* that leaves without `as` */
    struct slice label;        /* out: words for the notice */
    struct slice *from;        /* out: other places, `from` then `names` */
    unsigned from_count;
};
/* Read one rule; `out` is a drop if anything is wrong. */
void read_rule(struct load *l, const struct at *at, struct rule_spot *spot,
               struct rule *out);
void read_identifiers(struct load *l, const struct at *root);
void read_context(struct load *l, const struct at *root);
/* policy_read_kinds.c: what stands inside one kind. */
void read_number(struct load *l, const struct at *at, struct rule *out);
void read_enum(struct load *l, const struct at *rule, const struct at *at,
               struct rule *out);
void read_extension(struct load *l, const struct at *at, struct rule *out);
void read_url(struct load *l, const struct at *at, struct rule *out);
void read_time(struct load *l, const struct at *at, struct rule *out);
size_t number_text(double value, char out[32]);

/* Give `r` the next number, under the path of `at`. */
void list_rule(struct load *l, const struct at *at, struct rule *r,
               const struct event_plan *of, int destination);
/* Give an event its number. */
void list_event(struct load *l, const struct at *at, struct event_plan *e);

/* policy_keys.c: `paths[i]` of field `fields[i]`, rank ranks[i]. */
struct key_path {
    struct slice path;
    int field;
    unsigned rank;
    const struct at *at;
};
/* True if `path` is well-formed; *many: it holds "[]". */
bool path_check(struct slice path, bool *out_many, bool *out_wildcard);
struct key_table *keys_build(struct load *l, const struct key_path *paths,
                             unsigned count);

/* Lists each event's fields that are a pseudonym anywhere. */
void naming_make(struct load *l);

/* policy_find.c */
void index_build(struct load *l, const struct at *events);

/* policy_decides.c: the 8 bytes of every (event, destination). */
void decides_make(struct load *l);
/* What `r` does, as bytes that compare across policies. */
void rule_bytes(const struct policy *p, const struct rule *r, struct buf *b);

/* policy_profile.c: profiles as checks; warnings. */
void profiles_check(struct load *l, const struct at *root);
void warn_careless(struct load *l, const struct at *root);

#endif
