/* Load lethe.json: defaults, then the file, then what must agree between
 * keys. */
#include "lethe/gateway/conf.h"

#include "conf_read.h"
#include "conf_text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (16u << 20)

/* `conf` first, so that conf_free() finds what it lives in. */
struct owned {
    struct conf conf;
    struct arena *arena;
};

static enum status set_default_paths(struct conf_reader *r)
{
    struct conf *c = r->conf;
    const struct {
        char **to;
        const char *name;
    } rows[] = {
        {&c->state_dir, "state"},
        {&c->master_key_file, "keys/master.key"},
        {&c->optout_key_file, "keys/optout.key"},
        {&c->optout_journal, "optout-journal"},
        {&c->signer_dir, "signer"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[CONF_PATH_MAX];
        int len =
            snprintf(path, sizeof(path), "%s/%s", r->folder, rows[i].name);
        if (len < 0 || (size_t)len >= sizeof(path))
            return ST_NOMEM;
        *rows[i].to = conf_keep(r, (struct slice){path, (size_t)len});
        if (*rows[i].to == NULL)
            return ST_NOMEM;
    }
    c->audit_origin = conf_keep(r, SLICE("localhost/audit"));
    return c->audit_origin != NULL ? ST_OK : ST_NOMEM;
}

static void set_defaults(struct conf *c)
{
    c->forwarders = 1;
    c->audit_rows = ROWS_ALL;
    c->audit_time_step_ms = MS_PER_S;
    c->subject_search_ms = MS_PER_DAY;
    c->limit_connections = 10000;
    c->limit_body = UINT64_C(2) << 20;
    c->limit_inflated = UINT64_C(20) << 20;
    c->limit_request_ms = 30 * MS_PER_S;
    c->rate_optout = 60;
    c->limit_journal = UINT64_C(1) << 30;
    c->limit_spool = UINT64_C(20) << 30;
    c->limit_disk_free = UINT64_C(1) << 30;
    c->log_level = LOG_LEVEL_INFO;
}

/* The complaint of a cross-check: at `name` within the top level's `group`,
 * or as near to it as the file goes. */
static enum status refuse_at(struct conf_reader *r, const char *group,
                             const char *name, const char *what)
{
    const struct json_value *v = json_tree_root(r->tree);
    const char *const names[] = {group, name};

    for (size_t i = 0; i < 2 && names[i] != NULL; i++) {
        const struct json_value *next = json_get(v, names[i]);
        v = next != NULL ? next : v;
        (void)conf_enter(r, slice_of(names[i]));
    }
    return conf_refuse(r, v, "%s", what);
}

static enum status check_admin(struct conf_reader *r)
{
    const struct conf *c = r->conf;

    if (c->admin.text == NULL)
        return ST_OK;
    for (unsigned i = 0; i < c->listen_count; i++)
        if (conf_same_address(&c->listen[i], &c->admin))
            return refuse_at(r, "admin", "address",
                             "a public listener has this address; give "
                             "another port");
    if (!conf_address_is_loopback(&c->admin) &&
        c->admin.tls.certificate == NULL)
        return refuse_at(r, "admin", "address",
                         "off loopback the admin listener needs \"tls\"; give "
                         "\"tls\" or an address such as \"127.0.0.1:8081\"");
    return ST_OK;
}

static bool lies_in(const char *path, const char *folder)
{
    struct slice p = slice_of(path), f = slice_of(folder);

    while (f.len > 1 && f.at[f.len - 1] == '/')
        f.len--;
    return slice_starts(p, f) && (p.len == f.len || p.at[f.len] == '/');
}

/* What must not be lost, copied or read together with the state (R31). */
static enum status check_apart(struct conf_reader *r)
{
    const struct conf *c = r->conf;
    const struct {
        const char *path, *group, *name;
    } rows[] = {
        {c->master_key_file, "master_key", "file"},
        {c->optout_key_file, "optout_key", "file"},
        {c->optout_journal, "optout_journal", NULL},
        {c->signer_dir, "signer", "dir"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (lies_in(rows[i].path, c->state_dir))
            return refuse_at(r, rows[i].group, rows[i].name,
                             "lies inside state_dir; give a place outside it");
    return ST_OK;
}

static enum status check(struct conf_reader *r)
{
    enum status st = check_admin(r);

    if (st == ST_OK)
        st = check_apart(r);
    if (st == ST_OK && r->conf->limit_inflated < r->conf->limit_body)
        st = refuse_at(r, "limits", "inflated",
                       "is less than limits.body; give at least as much");
    return st;
}

static enum status read_conf(struct conf_reader *r)
{
    enum status st = set_default_paths(r);

    if (st != ST_OK)
        return st;
    set_defaults(r->conf);
    st = conf_read_keys(r, json_tree_root(r->tree), conf_top_keys, r->conf);
    return st == ST_OK ? check(r) : st;
}

static enum status set_file(struct conf_reader *r)
{
    struct conf *c = r->conf;
    char path[CONF_PATH_MAX];

    if (realpath(r->file, path) == NULL) {
        (void)snprintf(r->complaint->text, sizeof(r->complaint->text),
                       "%s: cannot be read: %s", r->file, strerror(errno));
        return ST_IO;
    }
    c->file = conf_keep(r, slice_of(path));
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
    c->folder = conf_keep(r, slice_of(path));
    r->folder = c->folder;
    return c->file != NULL && c->folder != NULL ? ST_OK : ST_NOMEM;
}

static void complain(struct conf_complaint *out, const char *path,
                     const struct json_complaint *why)
{
    if (why->place.line == 0)
        (void)snprintf(out->text, sizeof(out->text), "%s: %s", path, why->text);
    else
        (void)snprintf(out->text, sizeof(out->text), "%s:%u:%u: %s", path,
                       why->place.line, why->place.column, why->text);
}

static enum status load_into(struct owned *o, const char *path,
                             struct conf_complaint *complaint)
{
    struct conf_reader r = {.file = path,
                            .arena = o->arena,
                            .conf = &o->conf,
                            .complaint = complaint};
    struct json_complaint why;
    struct json_tree *tree = NULL;

    enum status st = set_file(&r);
    if (st != ST_OK)
        return st;
    st = json_tree_load(path, true, &tree, &why);
    if (st != ST_OK) {
        complain(complaint, path, &why);
        return st == ST_LIMIT ? ST_SYNTAX : st;
    }
    r.tree = tree;
    st = read_conf(&r);
    json_tree_free(tree);
    return st;
}

enum status conf_load(const char *path, struct conf **out,
                      struct conf_complaint *out_complaint)
{
    struct owned *o = calloc(1, sizeof(*o));
    enum status st = ST_NOMEM;

    assert(path != NULL && out != NULL && out_complaint != NULL);

    (void)snprintf(out_complaint->text, sizeof(out_complaint->text),
                   "%s: out of memory", path);
    if (o == NULL)
        return ST_NOMEM;
    o->arena = arena_new(ARENA_BYTES);
    if (o->arena != NULL)
        st = load_into(o, path, out_complaint);
    if (st == ST_OK) {
        out_complaint->text[0] = '\0';
        *out = &o->conf;
    } else {
        conf_free(&o->conf);
    }
    return st;
}

void conf_free(struct conf *c)
{
    struct owned *o = (struct owned *)(void *)c;

    if (c == NULL)
        return;
    arena_free(o->arena);
    free(o);
}

const struct conf_site *conf_find_site(const struct conf *c,
                                       const char *name_or_id)
{
    for (unsigned i = 0; i < c->site_count; i++)
        if (strcmp(c->sites[i].name, name_or_id) == 0 ||
            strcmp(c->sites[i].id, name_or_id) == 0)
            return &c->sites[i];
    return NULL;
}

const struct conf_destination *conf_find_destination(const struct conf_site *s,
                                                     const char *name)
{
    for (unsigned i = 0; i < s->destination_count; i++)
        if (strcmp(s->destinations[i].name, name) == 0)
            return &s->destinations[i];
    return NULL;
}
