/* conf.h - lethe.json, the operator's file (design.md section 5): read,
 * checked, immutable. Holds no secrets, only where they lie. Relative paths
 * are made absolute against the file's folder. Unknown key, bad value,
 * missing required key: refused, naming file, line and key. */
#ifndef LETHE_GATEWAY_CONF_H
#define LETHE_GATEWAY_CONF_H

#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/log.h"
#include "lethe/policy/base/status.h"
#include "lethe/policy/json_tree.h"
#include "lethe/policy/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CONF_LISTEN_MAX       16u
#define CONF_SITES_MAX        256u
#define CONF_DESTINATIONS_MAX 16u /* a site */
#define CONF_LIST_MAX         64u /* hosts, origins, keys, proxies ... */
#define CONF_PATH_MAX         4096u
#define CONF_NAME_MAX         32u /* bytes of a site's or destination's name */
#define CONF_WITNESSES_MAX    8u

struct conf_tls {
    char *certificate; /* PEM path; NULL = no TLS */
    char *key;
    int min_version; /* 12 or 13 */
};

struct conf_network { /* 127.0.0.1 or 10.0.0.0/8 or 2001:db8::/32 */
    int family;
    uint8_t bytes[16];
    unsigned bits;
};

struct conf_listen {
    char *text; /* as written, "127.0.0.1:8080" */
    struct sockaddr_storage address;
    socklen_t address_len;
    struct conf_network proxies[CONF_LIST_MAX];
    unsigned proxy_count;
    struct conf_tls tls;
};

enum destination_type {
    DESTINATION_JSONL,
    DESTINATION_SQLITE,
    DESTINATION_HTTP,
    DESTINATION_MIXPANEL,
    DESTINATION_GA4,
    DESTINATION_TYPE_COUNT
};

/* Of a Mixpanel destination. */
enum mixpanel_api { MIXPANEL_IMPORT, MIXPANEL_TRACK };

struct conf_destination {
    char *name;
    enum destination_type type;
    char *path;         /* jsonl, sqlite */
    char *url;          /* network kinds; vendors: scheme, host, prefix */
    char *body;         /* http: template with one "{events}", or NULL: [..] */
    char *content_type; /* http; default application/json */
    char *secret_file;  /* http: sent as Authorization: Bearer, or NULL;
                         * mixpanel: token; ga4: api_secret */
    enum mixpanel_api api;
    char *measurement_id; /* ga4 */
    char *ca;           /* network kinds: PEM file, or NULL for the system's */
    unsigned batch;     /* fragments an upload; the default is the type's */
    int64_t timeout_ms; /* a transfer; default 10 s */
    unsigned concurrency; /* transfers at once; default 2 */
    int64_t max_age_ms;   /* connection; 0 = library default */
    unsigned mode;        /* file kinds: permission bits, default 0640 */
    char *group;          /* file kinds, or NULL */
};

enum origin_kind { ORIGIN_EXACT, ORIGIN_SUBDOMAINS, ORIGIN_ANY_PORT };
struct conf_origin {
    enum origin_kind kind;
    char *text; /* exact text; ".example.com" with scheme apart; ... */
    char *scheme;
};

struct conf_site {
    char *id;     /* 16..64 hex digits, lower case */
    char *name;   /* [a-z0-9-]{1,32} */
    char *policy; /* path */
    char *hosts[CONF_LIST_MAX];
    unsigned host_count;
    struct conf_origin origins[CONF_LIST_MAX];
    unsigned origin_count;
    char *optout_return[CONF_LIST_MAX];
    unsigned optout_return_count;
    char *keys[CONF_LIST_MAX];
    unsigned key_count;
    bool debug;
    struct conf_destination destinations[CONF_DESTINATIONS_MAX];
    unsigned destination_count;
};

struct conf_witness { /* of the audit log, C2SP tlog-witness over HTTP */
    char *name;
    char *url; /* prefix of its paths */
    char *key; /* verifier key of its cosignatures */
    char *ca;  /* PEM file, or NULL for the system's */
};

enum conf_rows { ROWS_ALL, ROWS_DROPPED, ROWS_NONE };

enum conf_epoch_store {
    EPOCHS_UNSET, /* runtime, falling back to memory */
    EPOCHS_MEMORY,
    EPOCHS_RUNTIME, /* refuses to start where there is no tmpfs of ours */
    EPOCHS_DISK
};

struct conf {
    char *file;   /* the file itself, absolute */
    char *folder; /* its folder */
    char *state_dir;
    struct conf_listen listen[CONF_LISTEN_MAX];
    unsigned listen_count;
    struct conf_listen admin; /* .text NULL = no admin listener */
    char *admin_hosts[CONF_LIST_MAX];
    unsigned admin_host_count;
    unsigned workers; /* 0 = cores - 1, at least 1 */
    unsigned forwarders;
    char *master_key_file;
    char *optout_key_file;
    char *optout_journal;
    enum conf_epoch_store epoch_store;
    char *epoch_runtime; /* {"runtime": "/path"}, or NULL */
    char *signer_dir;
    char *audit_origin;
    enum conf_rows audit_rows;
    int64_t audit_time_step_ms;
    int64_t subject_search_ms; /* 0 = off */
    struct conf_witness witnesses[CONF_WITNESSES_MAX];
    unsigned witness_count;
    unsigned limit_connections;
    uint64_t limit_body;
    uint64_t limit_inflated;
    int64_t limit_request_ms;
    unsigned rate_optout; /* a minute and client; 0 = none */
    unsigned rate_events;
    uint64_t limit_journal;
    uint64_t limit_spool;
    uint64_t limit_disk_free;
    enum log_level log_level;
    bool log_json;
    bool require_approval;
    struct conf_site *sites;
    unsigned site_count;
};

/* A complaint for the operator: file, line, key and what would be right. */
struct conf_complaint {
    char text[512];
};

/* Read and check `path` (the files it names are checked by those who use
 * them). On ST_OK the caller owns *out; conf_free() it.
 * Errors: ST_IO, ST_SYNTAX, ST_TYPE (complaint filled), ST_NOMEM. */
enum status conf_load(const char *path, struct conf **out,
                      struct conf_complaint *out_complaint) MUST_CHECK;

void conf_free(struct conf *c); /* NULL is allowed */

/* Site by name or id, or NULL. Destination of a site by name, or NULL. */
const struct conf_site *conf_find_site(const struct conf *c,
                                       const char *name_or_id);
const struct conf_destination *conf_find_destination(const struct conf_site *s,
                                                     const char *name);

const char *destination_type_name(enum destination_type type);

/* Delivered over the network by libcurl, not written here. */
bool destination_is_network(enum destination_type type);

/* The form in which a destination of this type takes events. */
enum wire_form destination_wire(enum destination_type type);

#endif
