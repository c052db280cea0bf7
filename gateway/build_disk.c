/* build_disk.c - the part of start-up that reads what lies on disk: keys,
 * state, opt-outs, audit, journal. */
#include "lethe/gateway/build.h"
#include "lethe/gateway/canary.h"
#include "lethe/gateway/key_change.h"
#include "lethe/gateway/rights/register.h"

#include "lethe/gateway/keys/keyfile.h"
#include "lethe/gateway/version.h"
#include "lethe/policy/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#define SPOOL_KEYS_FILE "spool.keys"

int build_refuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "lethe: %s: %s\n", what, why);
    return 1;
}

static void newest_optout(void *ctx, uint64_t *out_number, uint8_t out_hash[32])
{
    const struct gateway *g = ctx;

    *out_number = optout_newest(g->optouts, out_hash);
}

static void rows_safe(void *ctx, uint64_t sequence)
{
    const struct gateway *g = ctx;

    journal_rows_safe(g->journal, sequence + 1); /* theirs is inclusive */
}

static void audit_broken(void *ctx, enum status st)
{
    struct gateway *g = ctx;

    log_error(LOG_AUDIT, "the audit log cannot be written: nothing is accepted",
              LOG_NAME("why", status_name(st)));
    atomic_store(&g->broken, true);
    (void)event_base_loopbreak(g->base);
}

static const char *site_label(void *ctx, uint64_t number)
{
    const struct conf *c = ctx;

    if (number == site_number(SLICE(CANARY_SITE_ID)))
        return CANARY_SITE_NAME;
    for (unsigned i = 0; i < c->site_count; i++)
        if (site_number(slice_of(c->sites[i].id)) == number)
            return c->sites[i].name;
    return NULL;
}

/* ---- keys and state ----------------------------------------------------- */

static int load_key(const char *what, const char *path, const char *state_dir,
                    uint8_t **out)
{
    enum key_fault fault = KEY_FAULT_NONE;

    if (keyfile_load(path, state_dir, out, &fault) == ST_OK)
        return 0;
    (void)fprintf(stderr, "lethe: %s: %s: %s\n", what, path,
                  key_fault_text(fault));
    return 1;
}

/* A site id in the state that the config lacks (storage.md section 1). */
static int check_sites(const struct gateway *g, const struct conf *c)
{
    const char *id;

    for (unsigned i = 0; (id = state_site(g->state, i)) != NULL; i++)
        if (conf_find_site(c, id) == NULL) {
            (void)fprintf(stderr,
                          "lethe: %s: the state folder knows the site id %s, "
                          "the config does not; put it back or `lethe site "
                          "retire` it\n",
                          c->file, id);
            return 1;
        }
    return 0;
}

static int open_state(struct gateway *g, const struct conf *c)
{
    const char *variable = key_in_environment();
    enum state_fault fault;

    if (variable != NULL)
        return build_refuse(variable, KEY_IN_ENVIRONMENT);
    if (state_open(c->state_dir, &g->state, &fault) != ST_OK)
        return build_refuse(c->state_dir, state_fault_text(fault));
    if (check_sites(g, c) != 0 ||
        load_key("master_key", c->master_key_file, c->state_dir, &g->master) ||
        load_key("optout_key", c->optout_key_file, c->state_dir,
                 &g->optout_key))
        return 1;
    if (secret_lock_failed())
        log_warn(LOG_KEYS, "memory could not be locked; raise RLIMIT_MEMLOCK");
    if (epochs_open(c, state_id(g->state), &g->epochs) != ST_OK)
        return build_refuse(
            "epoch_store",
            "no tmpfs folder of ours (mode 0700) was found; make "
            "/run/lethe, or write \"memory\"");
    log_info(LOG_KEYS, "epochs are kept",
             LOG_NAME("place", epoch_place_name(epochs_place(g->epochs))));
    return 0;
}

/* ---- what lies on disk -------------------------------------------------- */

static enum status open_audit(struct gateway *g, const struct conf *c,
                              struct audit_recovery *found)
{
    char folder[CONF_PATH_MAX], node[64];
    size_t label = slice_find(slice_of(c->audit_origin), '.');

    if (!state_path(c, "audit", folder))
        return ST_LIMIT;
    (void)snprintf(node, sizeof(node), "%.*s", (int)(label < 32 ? label : 32),
                   c->audit_origin);
    g->signing = (struct audit_signing){
        .ask = signer_link_ask,
        .ctx = g->signer,
        .key = *signer_link_key(g->signer),
    };
    const struct audit_config config = {
        .folder = folder,
        .node = node,
        .origin = g->signing.key.name, /* a fork's has a number behind it */
        .version = LETHE_VERSION,
        .rows = c->audit_rows,
        .time_step_ms = c->audit_time_step_ms,
        .clock = g->clock,
        .optouts = newest_optout,
        .rows_safe = rows_safe,
        .on_broken = audit_broken,
        .ctx = g,
        .signing = &g->signing,
    };
    return audit_open(&config, &g->audit, found);
}

static int open_signer(struct gateway *g, const struct conf *c)
{
    char why[SIGNER_LINK_WHY_MAX];

    if (signer_link_open(c, &g->signer, why) != ST_OK)
        return build_refuse(c->signer_dir, why);
    if (signer_link_is_new(g->signer))
        log_warn(LOG_AUDIT, "the log was not signed until now: a key was made "
                            "in the signer's folder; keep log.vkey elsewhere");
    return 0;
}

static const char *unsigned_text(enum status st)
{
    switch ((int)st) {
    case ST_MISMATCH:
        return "it is not what was signed: records have changed. Put the right "
               "files back, or begin a new log with `lethe audit fork`";
    case ST_END:
        return "records that were signed are missing: they were lost, or this "
               "is an older copy. Put the newer files back, or begin a new log "
               "with `lethe audit fork`";
    case ST_UNKNOWN:
        return "the signer signs another log than this one";
    case ST_CLOSED:
    case ST_TIMEOUT:
    case ST_BUSY:
        return "the signer does not answer";
    case ST_CORRUPT:
        return "its tree cannot be made: tiles of pruned records are missing";
    default:
        return "cannot be written";
    }
}

static int open_optouts(struct gateway *g, const struct conf *c,
                        const struct audit_recovery *found)
{
    char path[CONF_PATH_MAX];
    uint64_t reach;
    uint8_t hash[32];

    epochs_optout_seen(g->epochs, &reach, hash);
    if (found->newest_optout > reach) {
        reach = found->newest_optout;
        memcpy(hash, found->newest_hash, sizeof(hash));
    }
    if (!state_path(c, "optout.db", path) ||
        optout_open(c->optout_journal, path, g->optout_key, reach, hash,
                    &g->optouts) != ST_OK)
        return build_refuse("opt-out list", "out of memory");
    enum optout_health health = optout_health_of(g->optouts);
    if (health != OPTOUT_SOUND)
        log_error(LOG_OPTOUT,
                  "the opt-out list cannot be trusted: everyone is opted out",
                  LOG_NAME("health", optout_health_name(health)));
    return 0;
}

static int open_stores(struct gateway *g, const struct conf *c,
                       struct journal_recovery *out_found)
{
    const struct journal_limits limits = {c->limit_spool, c->limit_disk_free};
    char path[CONF_PATH_MAX];

    if (!state_path(c, SPOOL_KEYS_FILE, path) ||
        keys_open_spool(g, c, path) != ST_OK)
        return build_refuse(path, "cannot be opened with this master key");
    if (!state_path(c, "journal", path) ||
        journal_open(path, &limits, &g->journal, out_found) != ST_OK)
        return build_refuse(path, strerror(errno));
    if (!state_path(c, "outage.db", path) ||
        outage_open(path, &g->outage) != ST_OK)
        return build_refuse(path, "cannot be opened");
    if (!state_path(c, "tokens.json", path) ||
        tokens_open(path, &g->tokens) != ST_OK)
        return build_refuse(path, "cannot be read");
    if (!state_path(c, POLICY_VERSIONS_FILE, path) ||
        policy_versions_open(path, &g->versions) != ST_OK)
        return build_refuse(path, "cannot be read");
    if (!state_path(c, "rights.db", path) ||
        register_open(path, &g->requests) != ST_OK)
        return build_refuse(path, "cannot be opened");
    if (sweep_new(&g->sweep) != ST_OK)
        return build_refuse("opt-out list", "out of memory");
    return 0;
}

/* Sweep sets hold what came after the lookups of what still waits. */
static enum status sweep_one(void *ctx, uint64_t number,
                             const uint8_t tag[TAG_BYTES])
{
    struct gateway *g = ctx;

    return sweep_add(g->sweep, g->spool_keys, number, tag);
}

enum status build_sweep_sets(struct gateway *g, uint64_t journal_seen)
{
    uint64_t after = 0;
    enum status st = outage_seen(g->outage, &after);

    if (journal_seen < after)
        after = journal_seen;
    if (st == ST_OK && optout_health_of(g->optouts) == OPTOUT_SOUND)
        st = optout_each_set(g->optouts, after, sweep_one, g);
    if (st == ST_OK)
        sweep_hold(g->sweep, optout_health_of(g->optouts) != OPTOUT_SOUND);
    return st;
}

/* An unsound list is told in the log; what it holds up nobody else can say. */
static void record_health(struct gateway *g)
{
    enum optout_health health = optout_health_of(g->optouts);

    if (health != OPTOUT_SOUND)
        (void)gateway_record(
            g, RECORD_OPTOUT_ROLLBACK, NULL, "boot", false, NULL,
            "{\"health\":\"%s\",\"reach\":%llu}", optout_health_name(health),
            (unsigned long long)optout_newest(g->optouts, NULL));
}

static int recover(struct gateway *g, const struct conf *c,
                   struct audit_recovery *found,
                   const struct journal_recovery *journal)
{
    if (journal_replay_rows(g->journal, audit_recover_rows, g->audit) != ST_OK)
        return build_refuse("audit log",
                            "rows could not be rebuilt from the journal");
    enum status st = audit_start(g->audit, found, site_label, (void *)c);
    if (st != ST_OK)
        return build_refuse("audit log", unsigned_text(st));
    if (journal->damaged > 0) {
        log_error(LOG_SPOOL, "the journal is damaged",
                  LOG_NUM("groups", journal->damaged),
                  LOG_NUM("from", journal->damaged_from),
                  LOG_NUM("to", journal->damaged_to));
        (void)gateway_record(g, RECORD_GATE_RECOVERED, NULL, "boot", false,
                             NULL,
                             "{\"damaged\":%llu,\"from\":%llu,\"to\":%llu}",
                             (unsigned long long)journal->damaged,
                             (unsigned long long)journal->damaged_from,
                             (unsigned long long)journal->damaged_to);
    }
    return 0;
}

int build_from_disk(struct gateway *g, struct conf *c)
{
    struct audit_recovery found;
    struct journal_recovery journal;

    if (open_state(g, c) != 0 || open_signer(g, c) != 0)
        return 1;
    enum status st = open_audit(g, c, &found);
    if (st != ST_OK)
        return build_refuse("audit log", st == ST_CORRUPT
                                             ? "a record in it is damaged; see "
                                               "`lethe audit verify --rows`"
                                             : status_name(st));
    if (open_optouts(g, c, &found) != 0 || open_stores(g, c, &journal) != 0 ||
        recover(g, c, &found, &journal) != 0)
        return 1;
    record_health(g);
    sweep_hold(g->sweep, true); /* until the sets are whole */
    return build_sweep_sets(g, journal.optout_seen) == ST_OK
               ? 0
               : build_refuse("opt-out list",
                              "the sweep sets could not be rebuilt");
}
