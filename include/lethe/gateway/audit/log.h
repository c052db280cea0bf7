/* log.h - the audit log's writer (audit-format.md sections 3 and 4).
 *
 * One thread. Rows come from the committer once they are on disk in the
 * journal; each second, or at 65,536 decisions, or before its record would
 * pass 8,192 bytes, a site's batch closes: rows file synced, then the batch
 * record appended and synced. A heartbeat each 60 s when idle. Records are
 * JSON Lines in audit/seg/, rows in audit/rows/. A second thread keeps the tree
 * over the records that are on disk, has it signed once a second (signer.h) and
 * publishes audit/checkpoint. docs/audit.md says what is written. */
#ifndef LETHE_GATEWAY_AUDIT_LOG_H
#define LETHE_GATEWAY_AUDIT_LOG_H

#include "lethe/gateway/audit/row.h"
#include "lethe/gateway/audit/signer.h"
#include "lethe/gateway/conf.h"
#include "lethe/gateway/store/group.h"
#include "lethe/policy/base/buf.h"
#include "lethe/policy/base/clock.h"
#include "lethe/policy/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define AUDIT_RECORD_MAX 8192u
#define AUDIT_BATCH_ROWS 65536u

/* Record acts, in the order of audit-format.md 3.2. */
#define AUDIT_RECORD_ACTS(X)                                                   \
    X(BATCH, "batch")                                                          \
    X(DELIVERY, "delivery")                                                    \
    X(GATE_START, "gate.start")                                                \
    X(GATE_STOP, "gate.stop")                                                  \
    X(GATE_RECOVERED, "gate.recovered")                                        \
    X(CONFIG_LOAD, "config.load")                                              \
    X(POLICY_LOAD, "policy.load")                                              \
    X(POLICY_REJECT, "policy.reject")                                          \
    X(POLICY_APPROVE, "policy.approve")                                        \
    X(KEY_ROTATE, "key.rotate")                                                \
    X(KEY_DESTROY, "key.destroy")                                              \
    X(TAG_NEW, "tag.new")                                                      \
    X(TAG_DESTROY, "tag.destroy")                                              \
    X(OPTOUT_SET, "optout.set")                                                \
    X(OPTOUT_CLEAR, "optout.clear")                                            \
    X(OPTOUT_ROLLBACK, "optout.rollback")                                      \
    X(CONSENT_SUMMARY, "consent.summary")                                      \
    X(REQUEST_OPEN, "request.open")                                            \
    X(REQUEST_CLOSE, "request.close")                                          \
    X(SUBJECT_READ, "subject.read")                                            \
    X(ERASE_ASKED, "erase.asked")                                              \
    X(ERASE_CONFIRMED, "erase.confirmed")                                      \
    X(RETENTION_DELETE, "retention.delete")                                    \
    X(AUDIT_READ, "audit.read")                                                \
    X(AUDIT_BLOCKED, "audit.blocked")                                          \
    X(ADMIN_LOGIN, "admin.login")                                              \
    X(ADMIN_CHANGE, "admin.change")                                            \
    X(DESTINATION_PAUSE, "destination.pause")                                  \
    X(DESTINATION_RESUME, "destination.resume")                                \
    X(DEAD_REPLAY, "dead.replay")                                              \
    X(DEAD_PURGE, "dead.purge")                                                \
    X(SPOOL_PURGE, "spool.purge")                                              \
    X(POLICY_PURGE, "policy.purge")                                            \
    X(OPTOUT_IMPORT, "optout.import")                                          \
    X(OPTOUT_LOSS, "optout.loss")                                              \
    X(KEY_LOAD, "key.load")                                                    \
    X(TOKEN_ADD, "token.add")                                                  \
    X(TOKEN_REVOKE, "token.revoke")                                            \
    X(SITE_RETIRE, "site.retire")                                              \
    X(BREACH_MARK, "breach.mark")                                              \
    X(TLS_FAIL, "tls.fail")                                                    \
    X(CLOCK_STEP, "clock.step")                                                \
    X(SIGNER_GAP, "signer.gap")                                                \
    X(AUDIT_PRUNE, "audit.prune")                                              \
    X(AUDIT_HOLD, "audit.hold")                                                \
    X(CP_ANCHOR, "cp.anchor")                                                  \
    X(AUDIT_FORK, "audit.fork")                                                \
    X(CANARY_RUN, "canary.run")                                                \
    X(REPORT_MADE, "report.made")

#define X(id, text) RECORD_##id,
enum audit_record_act { AUDIT_RECORD_ACTS(X) RECORD_ACT_COUNT };
#undef X
const char *audit_record_act_name(enum audit_record_act act);

struct audit_log;

/* How the log is signed. */
struct audit_signing {
    /* Asks the signer, as signer_ask(). Called by one thread at a time. */
    enum status (*ask)(void *ctx, struct slice body, struct signer_reply *out);
    void *ctx;
    struct note_key key; /* whose signature counts; its name is the origin */
};

struct audit_config {
    const char *folder; /* state_dir/audit */
    const char *node;   /* first label of audit.origin: "gw1" */
    const char *origin;
    enum conf_rows rows;
    int64_t time_step_ms;
    const struct clock *clock;
    /* oo and ooh for each batch record. */
    void (*optouts)(void *ctx, uint64_t *out_number, uint8_t out_hash[32]);
    /* After batch records are synced: rows of journal groups up to this
     * sequence, itself included, are safe. (journal_rows_safe() takes the
     * first that is not: sequence + 1.) */
    void (*rows_safe)(void *ctx, uint64_t sequence);
    /* Writing failed: nothing may be accepted from now on. */
    void (*on_broken)(void *ctx, enum status st);
    void *ctx;
    const char *version; /* of this build, for gate.start; NULL = "0" */
    const struct audit_signing *signing; /* borrowed; NULL: nothing is signed */
};

/* What start-up found; goes into gate.recovered. */
struct audit_recovery {
    uint64_t records;        /* good ones */
    uint64_t cut_bytes;      /* of an unfinished last line */
    uint64_t rows_rebuilt;   /* from the journal */
    uint64_t rows_cut;       /* bytes of rows after the last batch record */
    uint64_t newest_optout;  /* oo of the newest batch record */
    uint8_t newest_hash[32]; /* its ooh */
};

/* Open the folder (made if absent), read every record, cut what was never
 * finished. Errors: ST_IO, ST_CORRUPT (a record in the middle is damaged:
 * refuse to start), ST_NOMEM. */
enum status audit_open(const struct audit_config *config,
                       struct audit_log **out,
                       struct audit_recovery *out_found) MUST_CHECK;

/* Before audit_start: rows of one synced journal group and site; those that
 * batch records already cover are skipped. A journal_rows_fn. */
enum status audit_recover_rows(void *log, const struct group_rows *site,
                               uint64_t rows_before,
                               const uint8_t *rows) MUST_CHECK;

/* Hold the log against what was signed and published, write gate.start (and
 * gate.recovered where something was), start the threads.
 * `site_label(ctx, number)` names a site for batch.d.site.
 * Errors: ST_MISMATCH (records that were signed have changed), ST_END (some of
 * them are gone), ST_UNKNOWN (the signer signs another log), ST_CLOSED,
 * ST_TIMEOUT, ST_BUSY (it does not answer), those of writing. Nothing was
 * written then. */
enum status audit_start(struct audit_log *l, const struct audit_recovery *found,
                        const char *(*site_label)(void *ctx, uint64_t site),
                        void *ctx) MUST_CHECK;

/* Rows that are on disk in the journal group `sequence`. Takes references on
 * the groups; never blocks. Committer's thread. */
void audit_rows(struct audit_log *l, struct group *const *groups,
                unsigned count, uint64_t sequence, int64_t now_ms);

enum audit_outcome { AUDIT_OK, AUDIT_DENIED, AUDIT_FAILED };

struct audit_entry {
    enum audit_record_act act;
    const char *who; /* "gw:<node>", "api:..", "adm:.."; NULL = this gateway */
    const char *why; /* "boot", "timer", "class:text" */
    enum audit_outcome out;
    struct slice d; /* JSON object, ASCII, no spaces, no escapes; audit-format
                       3.2; SLICE("{}") if empty */
};

/* Append a record; returns once it is synced (step 2 of audit-format.md
 * section 4) if `wait`, else at once. *out_index (may be NULL) is its leaf
 * index, only with `wait`. Closes open batches first where the act demands
 * (policy.load, tag.new). Any thread but the audit's own.
 * Errors: ST_SYNTAX (d breaks the grammar or the size; a policy.load without
 * "pol":"<16 hex digits or more>"), ST_NOMEM, ST_CLOSED,
 * ST_IO (not on disk; where the disk is full the record may still follow). */
enum status audit_append(struct audit_log *l, const struct audit_entry *e,
                         bool wait, uint64_t *out_index) MUST_CHECK;
/* Wait until all that was appended before is in the files, for whoever is
 * about to read them. Errors: ST_NOMEM, ST_CLOSED, ST_IO. */
enum status audit_settle(struct audit_log *l) MUST_CHECK;

/* Age in ms of the oldest row that is in no synced batch record yet, 0 when
 * none waits; for lethe_audit_lag and readiness. (Not the time since the last
 * record: a silent minute is not a lag.) */
int64_t audit_lag_ms(const struct audit_log *l);
bool audit_is_broken(const struct audit_log *l);
/* The disk is full: nothing may be accepted, until this is false again. */
bool audit_is_blocked(const struct audit_log *l);
/* Bytes of rows and records written since start, for the disk forecast. */
void audit_bytes(const struct audit_log *l, uint64_t *out_rows,
                 uint64_t *out_records);

/* Records that are on disk. */
uint64_t audit_synced_size(const struct audit_log *l);

/* Leaves that the newest published checkpoint covers; 0 without a signer. */
uint64_t audit_signed_size(const struct audit_log *l);
/* Since the signer answered last, though nothing new may have come: it is
 * asked every few seconds. 0 without a signer. */
int64_t audit_signed_age_ms(const struct audit_log *l);
/* No new signed checkpoint for AUDIT_UNSIGNED_MS: nothing may be accepted until
 * there is one. audit.blocked tells. */
#define AUDIT_UNSIGNED_MS INT64_C(30000)
#define AUDIT_DEAF_MS     INT64_C(12000)
bool audit_is_unsigned(const struct audit_log *l);
/* Until a published checkpoint covers record `index`: for acts that loosen
 * (audit-format.md section 4). Where the signer has not answered for
 * AUDIT_DEAF_MS, it is not waited for. Errors: ST_TIMEOUT, ST_CLOSED (stopping,
 * or the log is broken). Without a signer ST_OK at once. */
enum status audit_wait_signed(struct audit_log *l, uint64_t index,
                              int64_t timeout_ms) MUST_CHECK;

/* Close batches, write gate.stop, have the end signed, end the threads, free.
 */
void audit_stop(struct audit_log *l);

/* One destination's fragments since its first: all totals but the last two,
 * which are what is there now. cleared = the sum of the other seven. */
struct audit_delivery_facts {
    const char *site, *destination; /* names of the config */
    uint64_t cleared, accepted, refused, swept, expired, purged;
    uint64_t dead, waiting;
};

/* Append `delivery` records (as many as the size needs), without waiting. The
 * caller does so each 60 s and before audit_stop. Errors: as audit_append. */
enum status audit_delivery(struct audit_log *l,
                           const struct audit_delivery_facts *facts,
                           unsigned count) MUST_CHECK;

/* How a site is named in journal groups: its id's first 8 bytes of hex. */
uint64_t site_number(struct slice site_id);

#endif
