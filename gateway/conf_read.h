/* conf_read.h - lethe.json as tables: a row a key, with its type, its bounds
 * and what would be right. Used by conf*.c alone.
 *
 * Readers write into a struct that `base` points to and return ST_OK, or
 * ST_TYPE with the complaint filled, or ST_NOMEM. */
#ifndef LETHE_GATEWAY_CONF_READ_H
#define LETHE_GATEWAY_CONF_READ_H

#include "lethe/gateway/conf.h"
#include "lethe/policy/base/arena.h"
#include "lethe/policy/json_tree.h"

#include <stddef.h>

struct conf_reader {
    const char *file;   /* as the operator called it */
    const char *folder; /* absolute; relative paths start here */
    const struct json_tree *tree;
    struct arena *arena; /* owns every text and array of the config */
    struct conf *conf;
    struct conf_complaint *complaint;
    char path[256]; /* of the value being read: "sites[0].name" */
    size_t path_len;
};

struct conf_key;
typedef enum status conf_read_fn(struct conf_reader *r,
                                 const struct json_value *v,
                                 const struct conf_key *k, void *base);

struct conf_key {
    const char *name; /* NULL ends a table */
    conf_read_fn *read;
    size_t offset; /* of the target in *base */
    size_t count;  /* lists: offset of the unsigned that counts */
    const char *right;
    bool required;
    int64_t min; /* counts, sizes in bytes, times in ms */
    int64_t max;
    bool (*check)(struct slice text);
    const char *const *words;    /* choices, NULL at the end */
    const struct conf_key *keys; /* objects */
};

/* "file:line:column: key: <format>", always ST_TYPE. */
enum status conf_refuse(struct conf_reader *r, const struct json_value *v,
                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Extend r->path by a key or by "[index]"; conf_leave() takes it back. */
size_t conf_enter(struct conf_reader *r, struct slice name);
size_t conf_enter_index(struct conf_reader *r, unsigned index);
void conf_leave(struct conf_reader *r, size_t before);

/* Every member of `v` must have a row in `keys`, every required row a member.
 * An unknown key is refused with the list of known ones. */
enum status conf_read_keys(struct conf_reader *r, const struct json_value *v,
                           const struct conf_key *keys, void *base);

/* A NUL-terminated copy that lives as long as the config, or NULL. */
char *conf_keep(struct conf_reader *r, struct slice text);

/* Readers for tables. Targets: bool, unsigned, uint64_t, int64_t (ms),
 * char *, char * (absolute path), char * (path out of {"file": ..}), int
 * (index into words: any enum), char *[CONF_LIST_MAX] and its count. */
conf_read_fn conf_read_bool, conf_read_count, conf_read_size, conf_read_time,
    conf_read_text, conf_read_path, conf_read_secret, conf_read_choice,
    conf_read_texts;
/* An object whose keys go into the same *base. */
conf_read_fn conf_read_group;
/* null and nothing else. */
conf_read_fn conf_read_null;

/* Call `each` for the items of array `v`, at most `max`. */
typedef enum status conf_item_fn(struct conf_reader *r,
                                 const struct json_value *item, unsigned index,
                                 void *ctx);
enum status conf_read_items(struct conf_reader *r, const struct json_value *v,
                            unsigned max, conf_item_fn *each, void *ctx);

/* conf_top.c: the rows of the top level, for a struct conf. */
extern const struct conf_key conf_top_keys[];

/* conf_site.c: the array "sites" into r->conf. */
conf_read_fn conf_read_sites;

#endif
