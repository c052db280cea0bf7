/* The tables of lethe.json's top level. */
#include "conf_read.h"
#include "conf_text.h"

#include <string.h>

#define WORKERS_MAX        256
#define FORWARDERS_MAX     64
#define CONNECTIONS_MAX    1000000
#define RATE_MAX           1000000000
#define KIB                (INT64_C(1) << 10)
#define MIB                (INT64_C(1) << 20)
#define TIB                (INT64_C(1) << 40)
#define SUBJECT_SEARCH_MAX (14 * MS_PER_DAY) /* audit-format.md: P14D */

static const char *const tls_versions[] = {"1.2", "1.3", NULL};

static enum status read_min_version(struct conf_reader *r,
                                    const struct json_value *v,
                                    const struct conf_key *k, void *base)
{
    struct conf_tls *tls = base;
    struct conf_key row = *k;
    unsigned index = 0;

    row.words = tls_versions;
    enum status st = conf_read_choice(r, v, &row, &index);
    if (st == ST_OK)
        tls->min_version = index == 0 ? 12 : 13;
    return st;
}

static const struct conf_key tls_keys[] = {
    {.name = "certificate",
     .read = conf_read_path,
     .offset = offsetof(struct conf_tls, certificate),
     .required = true,
     .right = "the path of a PEM file"},
    {.name = "key",
     .read = conf_read_secret,
     .offset = offsetof(struct conf_tls, key),
     .required = true,
     .right = "{\"file\": \"path\"}"},
    {.name = "min", .read = read_min_version, .right = "\"1.2\" or \"1.3\""},
    {.name = NULL},
};

static enum status read_tls(struct conf_reader *r, const struct json_value *v,
                            const struct conf_key *k, void *base)
{
    struct conf_listen *l = base;

    (void)k;
    if (json_kind_of(v) == JSON_KIND_NULL)
        return ST_OK;
    l->tls.min_version = 12;
    return conf_read_keys(r, v, tls_keys, &l->tls);
}

static enum status read_address(struct conf_reader *r,
                                const struct json_value *v,
                                const struct conf_key *k, void *base)
{
    struct conf_listen *l = base;

    if (!conf_parse_address(json_string(v), l))
        return conf_refuse(r, v, "is not right; give %s", k->right);
    l->text = conf_keep(r, json_string(v));
    return l->text != NULL ? ST_OK : ST_NOMEM;
}

static enum status read_proxy(struct conf_reader *r,
                              const struct json_value *item, unsigned index,
                              void *ctx)
{
    struct conf_listen *l = ctx;

    if (!conf_parse_network(json_string(item), &l->proxies[index]))
        return conf_refuse(r, item,
                           "is no network; give \"10.0.0.0/8\", "
                           "\"2001:db8::/32\" or one address, with no bits "
                           "set beyond the prefix");
    l->proxy_count = index + 1;
    return ST_OK;
}

static enum status read_proxies(struct conf_reader *r,
                                const struct json_value *v,
                                const struct conf_key *k, void *base)
{
    (void)k;
    return conf_read_items(r, v, CONF_LIST_MAX, read_proxy, base);
}

#define ADDRESS_KEYS                                                           \
    {.name = "address",                                                        \
     .read = read_address,                                                     \
     .required = true,                                                         \
     .right = "an address and a port, such as \"127.0.0.1:8080\" or "          \
              "\"[::1]:8080\""},                                               \
    {                                                                          \
        .name = "tls", .read = read_tls,                                       \
        .right = "null or {\"certificate\", \"key\", \"min\"}"                 \
    }

static const struct conf_key listen_keys[] = {
    ADDRESS_KEYS,
    {.name = "trusted_proxies", .read = read_proxies, .right = "networks"},
    {.name = NULL},
};

static enum status read_listener(struct conf_reader *r,
                                 const struct json_value *item, unsigned index,
                                 void *ctx)
{
    struct conf *c = ctx;

    enum status st = conf_read_keys(r, item, listen_keys, &c->listen[index]);
    if (st != ST_OK)
        return st;
    for (unsigned i = 0; i < index; i++)
        if (conf_same_address(&c->listen[i], &c->listen[index]))
            return conf_refuse(r, json_get(item, "address"),
                               "another listener has this address");
    c->listen_count = index + 1;
    return ST_OK;
}

static enum status read_listen(struct conf_reader *r,
                               const struct json_value *v,
                               const struct conf_key *k, void *base)
{
    (void)k;
    if (json_kind_of(v) != JSON_KIND_ARRAY || json_size(v) == 0)
        return conf_refuse(r, v, "give an array of at least one listener");
    return conf_read_items(r, v, CONF_LISTEN_MAX, read_listener, base);
}

static enum status read_admin_hosts(struct conf_reader *r,
                                    const struct json_value *v,
                                    const struct conf_key *k, void *base)
{
    struct conf_key row = *k;

    (void)base;
    row.offset = offsetof(struct conf, admin_hosts);
    row.count = offsetof(struct conf, admin_host_count);
    return conf_read_texts(r, v, &row, r->conf);
}

static const struct conf_key admin_keys[] = {
    ADDRESS_KEYS,
    {.name = "hosts",
     .read = read_admin_hosts,
     .check = conf_is_host,
     .right = "host names that the admin listener answers for"},
    {.name = NULL},
};

static enum status read_admin(struct conf_reader *r, const struct json_value *v,
                              const struct conf_key *k, void *base)
{
    struct conf *c = base;

    (void)k;
    if (json_kind_of(v) == JSON_KIND_NULL)
        return ST_OK;
    return conf_read_keys(r, v, admin_keys, &c->admin);
}

static const struct conf_key runtime_keys[] = {
    {.name = "runtime",
     .read = conf_read_path,
     .offset = offsetof(struct conf, epoch_runtime),
     .required = true,
     .right = "the path of a folder on tmpfs"},
    {.name = NULL},
};

static const char *const epoch_words[] = {"memory", "runtime", "disk", NULL};
static const enum conf_epoch_store epoch_stores[] = {
    EPOCHS_MEMORY, EPOCHS_RUNTIME, EPOCHS_DISK};

static enum status read_epoch_store(struct conf_reader *r,
                                    const struct json_value *v,
                                    const struct conf_key *k, void *base)
{
    struct conf *c = base;

    if (json_kind_of(v) == JSON_KIND_OBJECT) {
        c->epoch_store = EPOCHS_RUNTIME;
        return conf_read_keys(r, v, runtime_keys, c);
    }
    unsigned index = 0;
    enum status st = conf_read_choice(r, v, k, &index);
    if (st == ST_OK)
        c->epoch_store = epoch_stores[index];
    return st;
}

#define AT(field) .offset = offsetof(struct conf, field)
#define PATH(field, what)                                                      \
    .read = conf_read_path, AT(field), .right = "the path of " what
#define SECRET(field)                                                          \
    .read = conf_read_secret, AT(field), .right = "{\"file\": \"path\"}"
#define COUNT(field, from, to)                                                 \
    .read = conf_read_count, AT(field), .min = (from), .max = (to),            \
    .right = "a whole number"
#define SIZE(field, from, to, text)                                            \
    .read = conf_read_size, AT(field), .min = (from), .max = (to),             \
    .right = "a size " text
#define TIME(field, from, to, text)                                            \
    .read = conf_read_time, AT(field), .min = (from), .max = (to),             \
    .right = "a duration " text

static const struct conf_key signer_keys[] = {
    {.name = "dir", PATH(signer_dir, "the signer's folder"), .required = true},
    {.name = NULL},
};

static const char *const rows_words[] = {"all", "dropped", "none", NULL};
static const char *const tiles_words[] = {"admin", NULL};

/* Tiles are served to auditors on the admin listener; nothing else is built. */
static enum status read_tiles(struct conf_reader *r, const struct json_value *v,
                              const struct conf_key *k, void *base)
{
    unsigned index;

    (void)base;
    return conf_read_choice(r, v, k, &index);
}

static const struct conf_key witness_keys[] = {
    {.name = "name",
     .read = conf_read_text,
     .offset = offsetof(struct conf_witness, name),
     .required = true,
     .check = conf_is_name,
     .right = "1 to 32 of a-z, 0-9, - and _"},
    {.name = "url",
     .read = conf_read_text,
     .offset = offsetof(struct conf_witness, url),
     .required = true,
     .check = conf_is_url_prefix,
     .right = "an https:// URL without a query or a slash at its end; plain "
              "http:// only to loopback"},
    {.name = "key",
     .read = conf_read_text,
     .offset = offsetof(struct conf_witness, key),
     .required = true,
     .check = conf_is_witness_key,
     .right = "the witness's verifier key, such as "
              "\"witness.example.org/w1+f3c080b6+BCms...\""},
    {.name = "ca",
     .read = conf_read_path,
     .offset = offsetof(struct conf_witness, ca),
     .right = "the path of a PEM file"},
    {.name = NULL},
};

static enum status read_witness(struct conf_reader *r,
                                const struct json_value *item, unsigned index,
                                void *ctx)
{
    struct conf *c = ctx;
    struct conf_witness *w = &c->witnesses[index];

    enum status st = conf_read_keys(r, item, witness_keys, w);
    if (st != ST_OK)
        return st;
    for (unsigned i = 0; i < index; i++) {
        const char *same = strcmp(c->witnesses[i].name, w->name) == 0 ? "name"
                           : strcmp(c->witnesses[i].key, w->key) == 0 ? "key"
                                                                      : NULL;
        if (same != NULL)
            return conf_refuse(r, json_get(item, same),
                               "another witness has this %s", same);
    }
    c->witness_count = index + 1;
    return ST_OK;
}

static enum status read_witnesses(struct conf_reader *r,
                                  const struct json_value *v,
                                  const struct conf_key *k, void *base)
{
    (void)k;
    return conf_read_items(r, v, CONF_WITNESSES_MAX, read_witness, base);
}

static const struct conf_key audit_keys[] = {
    {.name = "origin",
     .read = conf_read_text,
     AT(audit_origin),
     .check = conf_is_log_origin,
     .right = "the log's own name without spaces, \"+\" or scheme, such as "
              "\"gw1.example.eu/audit\""},
    {.name = "rows",
     .read = conf_read_choice,
     AT(audit_rows),
     .words = rows_words,
     .right = "\"all\", \"dropped\" or \"none\""},
    {.name = "time_step",
     TIME(audit_time_step_ms, MS_PER_S, MS_PER_H, "from \"PT1S\" to \"PT1H\"")},
    {.name = "subject_search",
     TIME(subject_search_ms, 0, SUBJECT_SEARCH_MAX,
          "up to \"P14D\"; \"PT0S\" switches it off")},
    {.name = "tiles",
     .read = read_tiles,
     .words = tiles_words,
     .right = "\"admin\""},
    {.name = "witnesses",
     .read = read_witnesses,
     .right = "[{\"name\", \"url\", \"key\"}]"},
    {.name = NULL},
};

static const struct conf_key rate_keys[] = {
    {.name = "optout", COUNT(rate_optout, 0, RATE_MAX)},
    {.name = "events", COUNT(rate_events, 0, RATE_MAX)},
    {.name = NULL},
};

static const struct conf_key limit_keys[] = {
    {.name = "connections", COUNT(limit_connections, 1, CONNECTIONS_MAX)},
    {.name = "body",
     SIZE(limit_body, KIB, 64 * MIB, "from \"1KiB\" to \"64MiB\"")},
    {.name = "inflated",
     SIZE(limit_inflated, KIB, 1024 * MIB, "from \"1KiB\" to \"1GiB\"")},
    {.name = "request_time",
     TIME(limit_request_ms, MS_PER_S, 10 * MS_PER_MIN,
          "from \"PT1S\" to \"PT10M\"")},
    {.name = "rate",
     .read = conf_read_group,
     .keys = rate_keys,
     .right = "{\"optout\", \"events\"}: a minute and client, 0 = none"},
    {.name = "journal",
     SIZE(limit_journal, MIB, TIB, "from \"1MiB\" to \"1TiB\"")},
    {.name = "spool", SIZE(limit_spool, MIB, TIB, "from \"1MiB\" to \"1TiB\"")},
    {.name = "disk_free", SIZE(limit_disk_free, 0, TIB, "up to \"1TiB\"")},
    {.name = NULL},
};

static const char *const level_words[] = {"error", "warn", "info", "debug",
                                          NULL};
static const char *const format_words[] = {"text", "json", NULL};

static enum status read_format(struct conf_reader *r,
                               const struct json_value *v,
                               const struct conf_key *k, void *base)
{
    struct conf *c = base;
    unsigned index = 0;

    enum status st = conf_read_choice(r, v, k, &index);
    if (st == ST_OK)
        c->log_json = index == 1;
    return st;
}

static const struct conf_key log_keys[] = {
    {.name = "level",
     .read = conf_read_choice,
     AT(log_level),
     .words = level_words,
     .right = "\"error\", \"warn\", \"info\" or \"debug\""},
    {.name = "format",
     .read = read_format,
     .words = format_words,
     .right = "\"text\" or \"json\""},
    {.name = NULL},
};

/* An officer who reads `true` here would believe that nothing loads without
 * a signature. */
static enum status read_approval(struct conf_reader *r,
                                 const struct json_value *v,
                                 const struct conf_key *k, void *base)
{
    enum status st = conf_read_bool(r, v, k, base);

    if (st == ST_OK && ((struct conf *)base)->require_approval)
        return conf_refuse(r, v, "is not right; give %s", k->right);
    return st;
}

const struct conf_key conf_top_keys[] = {
    {.name = "state_dir", PATH(state_dir, "a folder")},
    {.name = "listen",
     .read = read_listen,
     .required = true,
     .right = "[{\"address\": \"127.0.0.1:8080\"}]"},
    {.name = "admin", .read = read_admin, .right = "{\"address\", ...}"},
    {.name = "workers", COUNT(workers, 0, WORKERS_MAX)},
    {.name = "forwarders", COUNT(forwarders, 1, FORWARDERS_MAX)},
    {.name = "master_key", SECRET(master_key_file)},
    {.name = "optout_key", SECRET(optout_key_file)},
    {.name = "optout_journal", PATH(optout_journal, "a file or folder")},
    {.name = "epoch_store",
     .read = read_epoch_store,
     .words = epoch_words,
     .right = "\"runtime\", \"memory\", \"disk\" or {\"runtime\": \"/path\"}"},
    {.name = "signer",
     .read = conf_read_group,
     .keys = signer_keys,
     .right = "{\"dir\": \"signer\"}"},
    {.name = "audit",
     .read = conf_read_group,
     .keys = audit_keys,
     .right = "an object"},
    {.name = "limits",
     .read = conf_read_group,
     .keys = limit_keys,
     .right = "an object"},
    {.name = "geo", .read = conf_read_null, .right = "null: not built yet"},
    {.name = "log",
     .read = conf_read_group,
     .keys = log_keys,
     .right = "{\"level\": \"info\", \"format\": \"text\"}"},
    {.name = "require_approval",
     .read = read_approval,
     AT(require_approval),
     .right = "false: approvals are not built yet"},
    {.name = "sites",
     .read = conf_read_sites,
     .required = true,
     .right = "an array of sites"},
    {.name = NULL},
};
