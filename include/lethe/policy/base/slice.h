/* slice.h - a borrowed run of bytes. Not NUL-terminated; may hold NULs.
 * Whoever owns the bytes outlives the slice; {NULL, 0} is "absent". */
#ifndef LETHE_POLICY_BASE_SLICE_H
#define LETHE_POLICY_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *at;
    size_t len; /* bytes */
};

/* A slice of a string literal; usable in constant initialisers as SLICE_INIT */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_INIT(literal)                                                    \
    {                                                                          \
        "" literal, sizeof(literal) - 1                                        \
    }
#define SLICE_NONE ((struct slice){NULL, 0})
/* For printf("%.*s", SLICE_ARG(s)): for officers' and operators' own text
 * only, never for bytes from a client. */
#define SLICE_ARG(s) (int)(s).len, (s).at

/* The bytes of a NUL-terminated string of our own (config, argv, tables);
 * never of network input. NULL gives SLICE_NONE. */
struct slice slice_of(const char *text);

/* Equal bytes; two empty slices are equal whatever they point to. */
bool slice_eq(struct slice a, struct slice b);

/* Equal when ASCII case is ignored. */
bool slice_eq_fold(struct slice a, struct slice b);

/* `s` begins with `prefix`. */
bool slice_starts(struct slice s, struct slice prefix);

/* `s` ends with `suffix`. */
bool slice_ends(struct slice s, struct slice suffix);

/* `s` without its first `n` bytes; empty if n >= s.len. */
struct slice slice_skip(struct slice s, size_t n);

/* At most the first `n` bytes of `s`. */
struct slice slice_head(struct slice s, size_t n);

/* Without ASCII space, tab, CR and LF at both ends. */
struct slice slice_trim(struct slice s);

/* Index of the first `c`, or s.len. */
size_t slice_find(struct slice s, char c);

/* An unsigned decimal number of 1-20 digits and nothing else into *out;
 * false (out untouched) on anything else or on overflow. */
bool slice_to_u64(struct slice s, unsigned long long *out);

#endif
